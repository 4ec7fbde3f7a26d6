"""The books of dialogues: what came into a step, what left it, what was dropped and why. Checked at run time."""

from dataclasses import dataclass
from typing import ClassVar

from bailong.prepare.dialogue.shapes import Dialogue, Piece, key
from bailong.prepare.work.books import Balance


def size(piece: Piece) -> tuple[int, int]:
    """Dialogues and turns; a question and a pair are a turn to be."""
    return 1, len(piece.turns) if isinstance(piece, Dialogue) else 1


@dataclass
class DialogueFlow(Balance):
    """One step over the dialogues of one source. A record that cannot be read is a dialogue without turns.

    Attributes:
        joined: dialogues that became part of another.
    """

    joined: int = 0

    measures: ClassVar[tuple[str, ...]] = ("dialogues", "turns")
    written: ClassVar[dict[str, tuple[str, ...]]] = {"drops": measures, "joined": (), "counts": (), "samples": ()}
    most_samples: ClassVar[int] = 5
    snippet: ClassVar[int] = 1200

    def enter(self, piece: Piece) -> None:
        super().enter(size(piece))

    def leave(self, piece: Piece) -> None:
        super().leave(size(piece))

    def drop(self, reason: str, piece: Piece) -> None:
        super().drop(reason, size(piece))

    def lose(self, reason: str) -> None:
        """Count a record that came in and cannot be read."""
        super().enter((1, 0))
        super().drop(reason, (1, 0))

    def sample(self, reason: str, piece: Piece, **facts: str) -> None:
        self.offer(reason, key(piece).encode(), piece.id, facts)

    def adjusted(self, measure: int) -> tuple[int, int, str]:
        joined = self.joined if measure == 0 else 0
        return 0, joined, f" + {joined:,} joined to others" if joined else ""
