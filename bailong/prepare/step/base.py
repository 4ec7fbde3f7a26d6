"""What a step is, what a text step says about each document, and what one that compares documents finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

from bailong.prepare.work.task import Task
from bailong.run.checks import Knobs, did_you_mean
from bailong.run.parse import overridden
from bailong.text.language import other_than_chinese

if TYPE_CHECKING:
    from bailong.data.settings import Source

S = TypeVar("S", bound="Step")
#: runs tasks on the engine and returns their manifests, in order
RunTasks = Callable[[list[Task]], list[dict[str, Any]]]


class ShardRef(NamedTuple):
    """A clean shard as the global steps see it.

    Attributes:
        task: name of the task that wrote it; an input of every task that reads it.
        source: position of its source in `data.sources`, and `language`, its label.
        characters: whether a token is a character.
    """

    task: str
    source: int
    documents: int
    tokens: int
    language: str = ""
    characters: bool = False


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
class Step(Knobs):
    """The knobs of a step; the base of all, over text and over dialogues."""

    #: the step's name: of its module, its config group or key, and its key in the ledger
    name: ClassVar[str] = "step"
    #: where the step's settings stand, with the dot; nothing for a group of its own
    group: ClassVar[str] = ""
    #: raised whenever the same knobs give another result: what an older version made is then made again
    version: ClassVar[int] = 1
    #: knobs that do not decide the result: paths of files whose content `facts` hashes, batch sizes, devices
    local: ClassVar[tuple[str, ...]] = ()

    def facts(self) -> dict[str, Any]:
        """What beside the knobs decides the result: versions of libraries, hashes of dictionaries and lists.

        Recorded in the ledger, and part of what decides whether finished work is still valid.
        """
        return {}

    def key_of(self, knob: str) -> str:
        return f"{self.group}{self.name}.{knob}"

    def recipe(self) -> dict[str, Any]:
        """The knobs that decide the result."""
        return {knob: value for knob, value in asdict(self).items() if knob not in self.local}

    def chosen(self, knobs: Iterable[str]) -> dict[str, Any]:
        """Some knobs by name."""
        return {knob: getattr(self, knob) for knob in knobs}


@dataclass
class CorpusStep(Step):
    """A step over text. `enabled: false` leaves it out, for all sources or (`data.sources[].steps`) for one."""

    enabled: bool = True

    def of_language(self, language: str) -> Self:
        """The step for a source of a language, where a knob leaves it to the source."""
        return self

    def task(self, name: str, function: str, arguments: dict[str, Any], *inputs: Iterable[str]) -> Task:
        """A task in the step's folder, whose function is one of its module."""
        names = tuple(name for group in inputs for name in group)
        return Task(f"{self.name}/{name}", f"bailong.step.{self.name}:{function}", arguments, names, self.version)


@dataclass
class TextStep(CorpusStep):
    """A step that looks at one document at a time."""

    def open(self) -> Callable[[str], Result]:
        """The function that is applied to every document; dictionaries and automata are loaded here.

        Called once in each worker process: what it returns need not be picklable.
        """
        raise NotImplementedError


@dataclass
class SpokenStep(TextStep):
    """A text step whose rules depend on the language.

    Attributes:
        language: of the text, as `tr`; null: the label of the source.
    """

    language: str | None = None

    def of_language(self, language: str) -> Self:
        return self if self.language is not None else replace(self, language=language)


@dataclass
class ChineseStep(TextStep):
    """A text step that is made for Chinese: a source that carries the label of another language goes without it."""

    def of_language(self, language: str) -> Self:
        return replace(self, enabled=False) if other_than_chinese(language) else self


@dataclass
class GlobalStep(CorpusStep):
    """A step that compares documents with each other, once all of them are cleaned."""

    @classmethod
    def find(
        cls, settings: Mapping[int, Self], run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str] = ()
    ) -> str:
        """Find what is to go; the name of the task whose folder holds `drops.npy` is returned.

        Args:
            settings: source position -> knobs, for the sources that take part.
            shards: all clean shards; the drops refer to them by their place here.
            drops: earlier tasks with a `drops.npy`; what they removed takes no part.
        """
        raise NotImplementedError


def overridden_steps(every: Mapping[str, S], source: Source, label: str, of: str = "") -> dict[str, S]:
    """The steps that a source names, in its order, its own knobs over those of `every`, which it may name.

    Raises:
        ValueError: a step or knob that there is not, or a value of another type.
    """
    steps = {}
    for name, override in source.steps.items():
        where = f"data.sources[{label}].steps.{name}"
        if name not in every:
            near, accepted = did_you_mean(name, every), ", ".join(every)
            raise ValueError(f"{where} is no step{of}{near}: accepted are {accepted}")
        steps[name] = overridden(every[name], override, where) if override else every[name]
    return steps
