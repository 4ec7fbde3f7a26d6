"""The books of corpus preparation: what came in, what went out, what was dropped and why. Mergeable, and checked."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: documents kept as samples of each drop reason
SAMPLES = 20
#: characters of a sample that are kept
SNIPPET = 240

MEASURES = ("documents", "characters", "bytes", "tokens")
#: measures of what is cut out of documents
PIECES = ("pieces", "characters", "bytes")


def measure(text: str, tokens: int = 0) -> tuple[int, int, int, int]:
    """One document in all four measures."""
    return 1, len(text), _bytes(text), tokens


@dataclass
class Flow:
    """One step over the documents of one source.

    Attributes:
        came, left: documents, characters, UTF-8 bytes and tokens before and after (tokens from `tokenize` on).
        drops: reason -> the four measures of the documents dropped.
        removed: reason -> pieces, characters and bytes cut out of documents that stay.
        grown: characters that the step added to the documents that stay (negative: took away) by rewriting them.
        changed: documents whose text it rewrote.
        counts: whatever else the step counts.
        samples: reason -> up to `SAMPLES` of {key, text, ...}, chosen by the hash of the document's key and so the
            same for any engine and order.
        lengths: power of two -> documents that left with as many characters (of `tokenize` on: tokens).
    """

    came: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    left: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    drops: dict[str, list[int]] = field(default_factory=dict)
    removed: dict[str, list[int]] = field(default_factory=dict)
    grown: int = 0
    changed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lengths: Counter[int] = field(default_factory=Counter)

    def enter(self, size: tuple[int, int, int, int]) -> None:
        _add(self.came, size)

    def leave(self, size: tuple[int, int, int, int]) -> None:
        _add(self.left, size)
        self.lengths[(size[3] or size[1]).bit_length()] += 1

    def drop(self, reason: str, size: tuple[int, int, int, int], key: bytes, text: str, **more: Any) -> None:
        """Count a dropped document and keep it as a sample if its hash says so."""
        _add(self.drops.setdefault(reason, [0, 0, 0, 0]), size)
        self.sample(reason.partition(":")[0], key, text=text, **more)

    def cut(self, reason: str, piece: str, key: bytes) -> None:
        """Count a piece cut out of a document that stays."""
        _add(self.removed.setdefault(reason, [0, 0, 0]), (1, len(piece), _bytes(piece)))
        self.sample(reason, key, text=piece)

    def sample(self, reason: str, key: bytes, **facts: Any) -> None:
        """Offer a sample; the `SAMPLES` with the lowest hashes stay, one a document, their texts cut to `SNIPPET`.

        A fact that is a function is called only if the sample stays.
        """
        kept = self.samples.setdefault(reason, [])
        rank = hashlib.blake2b(key, digest_size=8, person=reason.encode()[:16]).hexdigest()
        if len(kept) >= SAMPLES and rank >= kept[-1]["rank"]:
            return
        if not any(row["rank"] == rank for row in kept):
            found = {name: fact() if callable(fact) else fact for name, fact in facts.items()}
            shown = {name: _shown(fact) if isinstance(fact, str) else fact for name, fact in found.items()}
            kept.append({"rank": rank, "key": key.hex(), **shown})
            kept.sort(key=lambda row: row["rank"])
            del kept[SAMPLES:]

    def check(self, name: str) -> None:
        """The law of the books, in documents and in characters.

        Raises:
            AssertionError: something was lost or invented.
        """
        for i, measured in enumerate(MEASURES[:2]):
            dropped = sum(size[i] for size in self.drops.values())
            cut = sum(size[1] for size in self.removed.values()) if i == 1 else 0
            came = self.came[i] + (self.grown if i == 1 else 0)
            if came != self.left[i] + dropped + cut:
                raise AssertionError(
                    f"{name}: {came:,} {measured} in, but {self.left[i]:,} out + {dropped:,} dropped + {cut:,} cut"
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "in": dict(zip(MEASURES, self.came, strict=True)),
            "out": dict(zip(MEASURES, self.left, strict=True)),
            "drops": {r: dict(zip(MEASURES, size, strict=True)) for r, size in sorted(self.drops.items())},
            "removed": {r: dict(zip(PIECES, size, strict=True)) for r, size in sorted(self.removed.items())},
            "grown": self.grown,
            "changed": self.changed,
            "counts": dict(sorted(self.counts.items())),
            "samples": dict(sorted(self.samples.items())),
            "lengths": {str(k): v for k, v in sorted(self.lengths.items())},
        }

    @classmethod
    def of(cls, saved: dict[str, Any]) -> Flow:
        return cls(
            came=[saved["in"][m] for m in MEASURES],
            left=[saved["out"][m] for m in MEASURES],
            drops={r: [size[m] for m in MEASURES] for r, size in saved["drops"].items()},
            removed={r: [size[m] for m in PIECES] for r, size in saved["removed"].items()},
            grown=saved["grown"],
            changed=saved["changed"],
            counts=Counter(saved["counts"]),
            samples={r: list(rows) for r, rows in saved["samples"].items()},
            lengths=Counter({int(k): v for k, v in saved["lengths"].items()}),
        )


def merged(flows: Iterable[Flow]) -> Flow:
    """The books of several shards as one."""
    total = Flow()
    for flow in flows:
        _add(total.came, flow.came)
        _add(total.left, flow.left)
        for mine, theirs in ((total.drops, flow.drops), (total.removed, flow.removed)):
            for reason, size in theirs.items():
                _add(mine.setdefault(reason, [0] * len(size)), size)
        total.grown += flow.grown
        total.changed += flow.changed
        total.counts.update(flow.counts)  # not +=, which forgets what was counted to be none
        total.lengths.update(flow.lengths)
        for reason, rows in flow.samples.items():
            both = {row["rank"]: row for row in [*total.samples.get(reason, []), *rows]}
            total.samples[reason] = heapq.nsmallest(SAMPLES, both.values(), key=lambda row: row["rank"])
    return total


def _shown(text: str) -> str:
    """A snippet that any file can hold: half a surrogate pair is spelt out."""
    return text[:SNIPPET].encode("utf-8", "backslashreplace").decode("utf-8")


def _bytes(text: str) -> int:
    """UTF-8 bytes; half a surrogate pair, which UTF-8 does not have, counts as three."""
    return len(text.encode("utf-8", "surrogatepass"))


def _add(total: list[int], size: Iterable[int]) -> None:
    for i, value in enumerate(size):
        total[i] += value
