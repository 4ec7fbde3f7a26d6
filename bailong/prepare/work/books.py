"""The books of a step: what came in, what went out, what was dropped and why. Mergeable, and checked."""

import hashlib
import heapq
import itertools
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from bailong.report.units import listed

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
class Balance:
    """What came into one step over one source, what left it, what was dropped and why: the law and the samples.

    Attributes:
        came, left: by each of `measures`, before and after.
        drops: reason -> the measures of what was dropped.
        counts: whatever else the step counts.
        samples: reason -> up to `most_samples` rows, chosen by the hash of a key and so the same for any engine and
            order.
    """

    came: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    drops: dict[str, list[int]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    #: what is counted; the law holds for the first two
    measures: ClassVar[tuple[str, ...]] = ()
    #: fields as they are written after what came and left, and the names of the numbers in each value of a field
    written: ClassVar[dict[str, tuple[str, ...]]] = {}
    #: samples kept of each reason, and the characters kept of each text in them
    most_samples: ClassVar[int] = 0
    snippet: ClassVar[int] = 0

    def __post_init__(self) -> None:
        self.came = self.came or [0] * len(self.measures)
        self.left = self.left or [0] * len(self.measures)

    def enter(self, size: Iterable[int]) -> None:
        _add(self.came, size)

    def leave(self, size: Iterable[int]) -> None:
        _add(self.left, size)

    def drop(self, reason: str, size: Iterable[int]) -> None:
        _add(self.drops.setdefault(reason, [0] * len(self.measures)), size)

    def offer(self, reason: str, key: bytes, name: str | None, facts: dict[str, Any]) -> None:
        """Offer a sample; those of the lowest hashes stay, their texts cut to `snippet` characters.

        Args:
            name: of what is shown, its `id`; None: its key tells it, and of each key one sample stays.
            facts: the row; one that is a function is called only if the sample stays.
        """
        kept = self.samples.setdefault(reason, [])
        rank = hashlib.blake2b(key, digest_size=8, person=reason.encode()[:16]).hexdigest()
        if len(kept) >= self.most_samples and rank >= kept[-1]["rank"]:
            return
        if name is not None or not any(row["rank"] == rank for row in kept):
            found = {name: fact() if callable(fact) else fact for name, fact in facts.items()}
            shown = {n: _shown(fact, self.snippet) if isinstance(fact, str) else fact for n, fact in found.items()}
            kept.append({"rank": rank, **({"key": key.hex()} if name is None else {"id": name}), **shown})
            kept.sort(key=lambda row: row["rank"])
            del kept[self.most_samples :]

    def adjusted(self, measure: int) -> tuple[int, int, str]:
        """Of a measure by its place: what the step added, what it took out of that which stays, and words for it."""
        raise NotImplementedError

    def check(self, name: str) -> None:
        """The law of the books, in the first two measures.

        Raises:
            AssertionError: something was lost or invented.
        """
        for i, measured in enumerate(self.measures[:2]):
            dropped = sum(size[i] for size in self.drops.values())
            added, taken, words = self.adjusted(i)
            if (came := self.came[i] + added) != self.left[i] + dropped + taken:
                raise AssertionError(
                    f"{name}: {came:,} {measured} in, but {self.left[i]:,} out + {dropped:,} dropped{words}"
                )

    def to_json(self) -> dict[str, Any]:
        saved: dict[str, Any] = {
            "in": dict(zip(self.measures, self.came, strict=True)),
            "out": dict(zip(self.measures, self.left, strict=True)),
        }
        for name, parts in self.written.items():
            saved[name] = value = getattr(self, name)
            if isinstance(value, dict):
                saved[name] = {
                    str(k): dict(zip(parts, v, strict=True)) if parts else v for k, v in sorted(value.items())
                }
        return saved

    @classmethod
    def of(cls, saved: dict[str, Any]) -> Self:
        flow = cls([saved["in"][m] for m in cls.measures], [saved["out"][m] for m in cls.measures])
        for name, parts in cls.written.items():
            value = saved[name]
            if isinstance(value, dict):
                read = {k: [v[part] for part in parts] if parts else copy(v) for k, v in value.items()}
                value = {int(k): v for k, v in read.items()} if name == "lengths" else read
                value = type(getattr(flow, name))(value)
            setattr(flow, name, value)
        return flow


@dataclass
class Flow(Balance):
    """One step over the documents of one source: documents, characters, UTF-8 bytes, and tokens from `tokenize` on.

    Attributes:
        removed: reason -> pieces, characters and bytes cut out of documents that stay.
        grown: characters that the step added to the documents that stay (negative: took away) by rewriting them.
        changed: documents whose text it rewrote.
        lengths: power of two -> documents that left with as many characters (of `tokenize` on: tokens).
    """

    removed: dict[str, list[int]] = field(default_factory=dict)
    grown: int = 0
    changed: int = 0
    lengths: Counter[int] = field(default_factory=Counter)

    measures: ClassVar[tuple[str, ...]] = MEASURES
    written: ClassVar[dict[str, tuple[str, ...]]] = {
        "drops": MEASURES, "removed": PIECES, "grown": (), "changed": (), "counts": (), "samples": (), "lengths": (),
    }  # fmt: skip
    most_samples: ClassVar[int] = SAMPLES
    snippet: ClassVar[int] = SNIPPET

    def leave(self, size: tuple[int, int, int, int]) -> None:
        _add(self.left, size)
        self.lengths[(size[3] or size[1]).bit_length()] += 1

    def drop(self, reason: str, size: tuple[int, int, int, int], key: bytes, text: str, **more: Any) -> None:
        """Count a dropped document and keep it as a sample if its hash says so."""
        _add(self.drops.setdefault(reason, [0, 0, 0, 0]), size)
        self.offer(reason.partition(":")[0], key, None, {"text": text, **more})

    def cut(self, reason: str, piece: str, key: bytes) -> None:
        """Count a piece cut out of a document that stays."""
        _add(self.removed.setdefault(reason, [0, 0, 0]), (1, len(piece), _bytes(piece)))
        self.offer(reason, key, None, {"text": piece})

    def sample(self, reason: str, key: bytes, **facts: Any) -> None:
        """Offer a sample, one a document (`offer`)."""
        self.offer(reason, key, None, facts)

    def adjusted(self, measure: int) -> tuple[int, int, str]:
        cut = sum(size[1] for size in self.removed.values()) if measure == 1 else 0
        return self.grown if measure == 1 else 0, cut, f" + {cut:,} cut"


def check_passed_on(source: str, flows: Iterable[tuple[str, Balance]]) -> None:
    """What one step let through is what the next one met, but for tokens, which come with `tokenize`.

    Raises:
        AssertionError: the books do not balance.
    """
    for (before, first), (after, second) in itertools.pairwise(flows):
        if (left := first.left[:3]) != (came := second.came[:3]):
            raise AssertionError(f"{source}: {before} let {left} through, {after} met {came}")


def told_drops(flows: Iterable[tuple[str, Balance]]) -> str:
    """What each step dropped of all sources, and why: `length 31 (too_short 31), mix 2 (not_sampled 2)`."""
    steps: dict[str, Counter[str]] = {}
    for name, flow in flows:
        steps.setdefault(name, Counter()).update({reason: size[0] for reason, size in flow.drops.items()})
    return ", ".join(
        f"{name} {reasons.total():,} ({listed(reasons.most_common())})" for name, reasons in steps.items() if +reasons
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


def _shown(text: str, most: int) -> str:
    """A snippet that any file can hold: half a surrogate pair is spelt out."""
    return text[:most].encode("utf-8", "backslashreplace").decode("utf-8")


def _bytes(text: str) -> int:
    """UTF-8 bytes; half a surrogate pair, which UTF-8 does not have, counts as three."""
    return len(text.encode("utf-8", "surrogatepass"))


def _add(total: list[int], size: Iterable[int]) -> None:
    for i, value in enumerate(size):
        total[i] += value
