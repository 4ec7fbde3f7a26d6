"""The books of dialogues: what came into a step, what left it, what was dropped and why. Checked at run time."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bailong.prepare.dialogue.shapes import Dialogue, Piece, key

MEASURES = ("dialogues", "turns")
#: samples kept of each reason, and the characters kept of each text in them
SAMPLES, SNIPPET = 5, 1200


def size(piece: Piece) -> tuple[int, int]:
    """Dialogues and turns; a question is a turn to be."""
    return 1, len(piece.turns) if isinstance(piece, Dialogue) else 1


@dataclass
class Flow:
    """One step over one source.

    Attributes:
        came, left: dialogues and turns before and after.
        drops: reason -> dialogues and turns dropped. A record that cannot be read is a dialogue without turns.
        joined: dialogues that became part of another.
        counts: whatever else the step counts.
        samples: reason -> a few of {id, ...}, chosen by hash and so always the same.
    """

    came: list[int] = field(default_factory=lambda: [0, 0])
    left: list[int] = field(default_factory=lambda: [0, 0])
    drops: dict[str, list[int]] = field(default_factory=dict)
    joined: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def enter(self, piece: Piece) -> None:
        _add(self.came, size(piece))

    def leave(self, piece: Piece) -> None:
        _add(self.left, size(piece))

    def drop(self, reason: str, piece: Piece) -> None:
        _add(self.drops.setdefault(reason, [0, 0]), size(piece))

    def lose(self, reason: str) -> None:
        """Count a record that came in and cannot be read."""
        _add(self.came, (1, 0))
        _add(self.drops.setdefault(reason, [0, 0]), (1, 0))

    def sample(self, reason: str, piece: Piece, **facts: str) -> None:
        """Offer a sample; those of the lowest hashes stay, their texts cut to `SNIPPET` characters."""
        kept = self.samples.setdefault(reason, [])
        rank = hashlib.blake2b(key(piece).encode(), digest_size=8, person=reason.encode()[:16]).hexdigest()
        if len(kept) >= SAMPLES and rank >= kept[-1]["rank"]:
            return
        kept.append({"rank": rank, "id": piece.id, **{name: text[:SNIPPET] for name, text in facts.items()}})
        kept.sort(key=lambda row: row["rank"])
        del kept[SAMPLES:]

    def check(self, name: str) -> None:
        """The law of the books, in dialogues and in turns.

        Raises:
            AssertionError: something was lost or invented.
        """
        for i, measured in enumerate(MEASURES):
            dropped = sum(sizes[i] for sizes in self.drops.values())
            joined = self.joined if i == 0 else 0
            if self.came[i] != self.left[i] + dropped + joined:
                raise AssertionError(
                    f"{name}: {self.came[i]:,} {measured} in, but {self.left[i]:,} out + {dropped:,} dropped"
                    + (f" + {joined:,} joined to others" if joined else "")
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "in": dict(zip(MEASURES, self.came, strict=True)),
            "out": dict(zip(MEASURES, self.left, strict=True)),
            "drops": {reason: dict(zip(MEASURES, n, strict=True)) for reason, n in sorted(self.drops.items())},
            "joined": self.joined,
            "counts": dict(sorted(self.counts.items())),
            "samples": dict(sorted(self.samples.items())),
        }

    @classmethod
    def of(cls, saved: dict[str, Any]) -> Flow:
        return cls(
            came=[saved["in"][m] for m in MEASURES],
            left=[saved["out"][m] for m in MEASURES],
            drops={reason: [n[m] for m in MEASURES] for reason, n in saved["drops"].items()},
            joined=saved["joined"],
            counts=Counter(saved["counts"]),
            samples={reason: list(rows) for reason, rows in saved["samples"].items()},
        )


def _add(total: list[int], sizes: tuple[int, int]) -> None:
    for i, value in enumerate(sizes):
        total[i] += value
