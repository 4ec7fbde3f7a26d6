"""Pairs of a translation made into instructions to translate, and what answers them (Zhu et al., arXiv 2308.04948)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from bailong.data.turns import Dialogue, Turn, paragraph_digest
from bailong.prepare.dialogue import wording
from bailong.prepare.dialogue.sample import rank
from bailong.prepare.dialogue.shapes import Piece, SentencePair
from bailong.prepare.dialogue.step import Context, DialogueStep
from bailong.text import translation


@dataclass
class Instruct(DialogueStep):
    """The instruction is a wording of a list with the names of the two languages, then the sentence; the output is the
    other side.

    Attributes:
        direction: `into`, from the source's language into the target's (of English text into the new language, which is
            what helps, as the paper says); `from`, the other way; `both`, a half of the pairs each, by their hashes: a
            pair in both directions could be held out in one of them and learned in the other.
        instructions: a YAML list of wordings with {source} and {target}: ours, or a path. Which one a pair gets depends
            on its hash and `seed`.
    """

    direction: str = "into"
    instructions: str = translation.OURS
    seed: int = 0

    name: ClassVar[str] = "instruct"

    def __post_init__(self) -> None:
        self.one_of("direction", ("into", "from", "both"))

    def facts(self) -> dict[str, Any]:
        return {"wordings": wording.digest("\n".join(self._wordings()))}

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        wordings = self._wordings()
        for piece in pieces:
            assert isinstance(piece, SentencePair), "pieces that are no pairs"
            number = rank(piece, self.seed)
            wording_of, half = divmod(number, 2)
            turned = self.direction == "from" or (self.direction == "both" and half)
            yield _made(_turned(piece) if turned else piece, wording_of, wordings)

    def _wordings(self) -> tuple[str, ...]:
        return translation.load(self.instructions, "dialogue.instruct.instructions")


def _turned(pair: SentencePair) -> SentencePair:
    """The pair in the other direction."""
    return SentencePair(pair.id, pair.target, pair.source, pair.category, pair.source_language, pair.language)


def _made(pair: SentencePair, number: int, wordings: tuple[str, ...]) -> Dialogue:
    asked = translation.instruction(number, pair.source_language, pair.language, wordings)
    turn = Turn(translation.request(asked, pair.source), pair.target)
    # both sides, so that no benchmark asks for a sentence that was trained on
    seen = " ".join(paragraph_digest(side) for side in (pair.source, pair.target))
    return Dialogue(pair.id, (turn,), pair.category or "translation", pair.language, seen)
