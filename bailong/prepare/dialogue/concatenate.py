"""Single turns joined into dialogues of several turns (paper, section 4.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bailong.data.turns import Dialogue
from bailong.prepare.dialogue.sample import rank
from bailong.prepare.dialogue.shapes import Piece
from bailong.prepare.dialogue.step import Context, DialogueStep, dialogue


@dataclass
class Concatenate(DialogueStep):
    """Groups of `turns` single turns become one dialogue each; dialogues that have several turns already stay.

    Table 4 of the paper implies fixed groups: of 4 for Medical and GSM8K, of 3 for FGC and DRCD, and for Alpaca, whose
    average of 2.50 is no group's size, groups of 1 to 4.

    Attributes:
        turns: size of a group. most: where given, sizes are drawn evenly from `turns` to `most`.
        order: `hash` joins turns at random (by their hash and `seed`); `file` neighbours, such as questions about one
            passage.
        remainder: the turns at the end that do not fill a group: `keep` them as a shorter dialogue, or `drop` them.
    """

    turns: int = 4
    most: int | None = None
    order: str = "hash"
    remainder: str = "keep"
    seed: int = 0

    name: ClassVar[str] = "concatenate"

    def __post_init__(self) -> None:
        self.require(self.turns >= 1, "turns", "1 or more")
        self.require(
            self.most is None or self.most >= self.turns, "most", "at least dialogue.concatenate.turns, or null"
        )
        self.one_of("order", ("hash", "file"))
        self.one_of("remainder", ("keep", "drop"))

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        singles: list[Dialogue] = []
        for piece in pieces:
            found = dialogue(piece)
            if len(found.turns) == 1:
                singles.append(found)
            else:
                context.flow.counts["had several turns"] += 1
                yield found
        if self.order == "hash":
            singles.sort(key=lambda single: rank(single, self.seed))
        at = 0
        while at < len(singles):
            size = self._size(singles[at])
            group, at = singles[at : at + size], at + size
            if len(group) < size and self.remainder == "drop":
                for single in group:
                    context.flow.drop("remainder", single)
                return
            context.flow.joined += len(group) - 1
            yield joined(group)

    def _size(self, first: Dialogue) -> int:
        if self.most is None:
            return self.turns
        return self.turns + rank(first, self.seed + 1) % (self.most - self.turns + 1)


def joined(group: list[Dialogue]) -> Dialogue:
    """One dialogue of all their turns. Its labels are those on which they agree; its passages are all of theirs."""
    agreed = {
        label: group[0].__dict__[label] if len({d.__dict__[label] for d in group}) == 1 else ""
        for label in ("category", "language")
    }
    passages = dict.fromkeys(passage for single in group for passage in single.paragraph.split())
    return Dialogue(
        id="+".join(single.id for single in group),
        turns=tuple(turn for single in group for turn in single.turns),
        paragraph=" ".join(passages),
        **agreed,
    )
