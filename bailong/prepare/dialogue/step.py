"""What a step over dialogues is, and what it is given to work with."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.shapes import Dialogue, Piece
from bailong.prepare.step.base import Step

if TYPE_CHECKING:
    from bailong.api.call import Call, Reply

#: pieces that a step with calls holds at once: many times the calls under way, so that few wait for the last of a batch
BATCH = 1024


@dataclass
class Context:
    """What a step is given beside the pieces.

    Attributes:
        flow: where it counts what it drops, joins and changes; what comes and leaves is counted around it.
        ask: puts calls to the API and gives the replies in their order; the number is about how many tokens an answer
            will have. In a plan nothing is asked and every reply is None: the step then passes on what stands for
            its result.
        fail: keeps a row of what the API could not do, for `failures.jsonl`.
    """

    flow: DialogueFlow
    ask: Callable[[list[Call], int], list[Reply | None]]
    fail: Callable[[dict[str, Any]], None]


@dataclass
class DialogueStep(Step):
    """A step over dialogues. Each source names its steps in the order in which they are applied."""

    group: ClassVar[str] = "dialogue."

    def asks(self) -> bool:
        """Whether it asks the API."""
        return False

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        """What becomes of the pieces, in order."""
        raise NotImplementedError


def through(step: DialogueStep, pieces: Iterable[Piece], context: Context) -> Iterator[Piece]:
    """Apply a step, and count what comes and what leaves."""

    def entering() -> Iterator[Piece]:
        for piece in pieces:
            context.flow.enter(piece)
            yield piece

    for piece in step.run(entering(), context):
        context.flow.leave(piece)
        yield piece


def batches(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    while batch := list(itertools.islice(pieces, BATCH)):
        yield batch


def dialogue(piece: Piece) -> Dialogue:
    """A piece that has to have outputs by now (bailong.prepare.dialogue.pipeline sees to it)."""
    assert isinstance(piece, Dialogue), f"{piece.id} is still a question"
    return piece
