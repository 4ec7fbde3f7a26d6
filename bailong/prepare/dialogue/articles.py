"""A part of the articles that questions are about: so that no article is both trained and tested on.

Passages of one article share names and facts, so a split by question or by passage lets a model see its test.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bailong.data.sources import share
from bailong.prepare.dialogue.shapes import PassageQuestion, Piece
from bailong.prepare.dialogue.step import Context, DialogueStep


@dataclass
class Articles(DialogueStep):
    """Keep the questions whose article has its place in [`first`, `last`) of all articles in the order of their hashes.

    The same two numbers choose the same articles in a benchmark (`evaluation.NAME.articles`).
    """

    first: float = 0.0
    last: float = 1.0

    name: ClassVar[str] = "articles"

    def __post_init__(self) -> None:
        self.require(0 <= self.first < 1, "first", "at least 0 and below 1")
        self.require(self.first < self.last <= 1, "last", f"above first={self.first}, and at most 1")

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        for piece in pieces:
            assert isinstance(piece, PassageQuestion), "pieces that are dialogues already"
            if not piece.article:
                context.flow.drop("no_article", piece)
            elif self.first <= share(piece.article, "article") < self.last:
                yield piece
            else:
                context.flow.drop("other_article", piece)
