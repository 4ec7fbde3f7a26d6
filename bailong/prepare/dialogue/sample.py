"""Take a number of dialogues out of many (paper, section 4.2: 50,000 of MOSS), before anything is paid for them."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from bailong.prepare.dialogue.shapes import Piece, key
from bailong.prepare.dialogue.step import Context, DialogueStep


@dataclass
class Sample(DialogueStep):
    """Keep `dialogues` of them (null: all), chosen by the hash of their content and `seed`, in their old order.

    Only those that are kept are held in memory.
    """

    dialogues: int | None = None
    seed: int = 0

    name: ClassVar[str] = "sample"

    def __post_init__(self) -> None:
        self.require(self.dialogues is None or self.dialogues > 0, "dialogues", "above 0, or null")

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        if self.dialogues is None:
            yield from pieces
            return
        kept: list[tuple[int, int, Piece]] = []  # a heap: the highest rank, which goes first, on top
        for number, piece in enumerate(pieces):
            entry = (-rank(piece, self.seed), -number, piece)
            out = heapq.heappushpop(kept, entry) if len(kept) >= self.dialogues else heapq.heappush(kept, entry)
            if out is not None:
                context.flow.drop("not_sampled", out[2])
        yield from (piece for _, _, piece in sorted(kept, key=lambda entry: -entry[1]))


def rank(piece: Piece, seed: int) -> int:
    """A fixed pseudo-random number in [0, 2^64) of a piece's content."""
    digest = hashlib.blake2b(key(piece).encode("utf-8"), digest_size=8, key=b"%d" % seed).digest()
    return int.from_bytes(digest, "big")
