"""What a step of corpus preparation is, and what a text step says about each document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from bailong.prepare.work.task import Task

#: runs tasks on the engine and returns their manifests, in order
Run = Callable[[list[Task]], list[dict[str, Any]]]


class Result(NamedTuple):
    """What became of one document.

    Attributes:
        text: the document after the step; None drops it.
        reason: why it was dropped, one of a few short words (`too_short`, `banned:<word id>`, ...).
        removed: (reason, piece) for every piece cut out of a document that stays; the pieces and the text that
            stays add up to the text that came in, character by character.
        counts: what happened to the document, to be counted (`converted`, `already_traditional`, ...).
    """

    text: str | None
    reason: str = ""
    removed: tuple[tuple[str, str], ...] = ()
    counts: tuple[str, ...] = ()


@dataclass
class Step:
    """Knobs of every step. `enabled: false` leaves it out, for all sources or (`data.sources[].steps`) for one."""

    enabled: bool = True

    #: the step's name: of its module, its config group and its key in the ledger
    name: ClassVar[str] = "step"
    #: raised whenever the same knobs give another result: what an older version made is then made again
    version: ClassVar[int] = 1
    #: knobs that do not decide the result: paths of files whose content `facts` hashes, batch sizes, devices
    local: ClassVar[tuple[str, ...]] = ()

    def facts(self) -> dict[str, Any]:
        """What beside the knobs decides the result: versions of libraries, hashes of dictionaries and lists.

        Recorded in the ledger, and part of what decides whether finished work is still valid.
        """
        return {}


@dataclass
class TextStep(Step):
    """A step that looks at one document at a time."""

    def open(self) -> Callable[[str], Result]:
        """The function that is applied to every document; dictionaries and automata are loaded here.

        Called once in each worker process: what it returns need not be picklable.
        """
        raise NotImplementedError
