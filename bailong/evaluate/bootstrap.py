"""Intervals by drawing questions again: how far a mean could lie elsewhere with other questions of the same kind.

Questions are what is drawn, never turns or samples: those of one question hang together and are averaged before. The
interval says nothing about another judge, another day, or questions of another kind.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95
#: bytes of the draws that are held at a time
CHUNK = 1 << 24
#: with fewer distinct values than questions / this, counting values is faster than drawing questions (measured)
_FEW = 10


@dataclass(frozen=True)
class Interval:
    """A mean over `n` questions (over benchmarks: in all of them) and its 95 % interval; no interval for n = 1."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def row(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """First minus second on the same questions; `p` is two-sided, never below 2 / (resamples + 1)."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    n: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def row(self) -> dict[str, Any]:
        return asdict(self) | {"clear": self.clear}


def generator(seed: int, *labels: str) -> np.random.Generator:
    """A stream of its own for every label, so that one more benchmark or model changes no other's interval."""
    named = hashlib.sha256("\x1f".join(labels).encode("utf-8", "surrogatepass")).digest()[:16]
    return np.random.default_rng([seed, int.from_bytes(named, "little")])


def means(values: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """Means of `resamples` draws of n out of the n values, with replacement.

    How often each distinct value is drawn is one multinomial draw, which is all that a mean depends on. Where most
    values differ, questions are drawn themselves, `CHUNK` bytes at a time.

    Args:
        values: [n], one per question, n >= 1.

    Returns:
        [resamples]
    """
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) * _FEW <= n or len(distinct) == 1:
        return random.multinomial(n, counts / n, size=resamples) @ distinct / n
    found = np.empty(resamples)
    rows = max(1, CHUNK // (8 * n))
    for start in range(0, resamples, rows):
        drawn = random.integers(0, n, size=(min(rows, resamples - start), n), dtype=np.int32)
        found[start : start + rows] = values[drawn].mean(axis=1)
    return found


def sums(values: np.ndarray, resamples: int, random: np.random.Generator) -> np.ndarray:
    """Sums of `resamples` draws of n out of n rows, with replacement: what scores of a whole corpus are made of.

    Args:
        values: [n, k], a row per sentence.

    Returns:
        [resamples, k]
    """
    n, k = values.shape
    found = np.empty((resamples, k))
    rows = max(1, CHUNK // (8 * n))
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = random.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        found[start : start + size] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) @ values
    return found


def interval(values: Sequence[float] | np.ndarray, drawn: np.ndarray) -> Interval:
    """Mean of the values, and the middle 95 % of `drawn`, their resampled means."""
    low, high = _middle(drawn) if len(values) > 1 else (None, None)
    return Interval(float(np.mean(values)), low, high, len(values))


def average(means_of: Sequence[Interval], drawn: Sequence[np.ndarray]) -> Interval:
    """The unweighted mean of benchmarks (Table 6's Avg); questions are drawn inside each benchmark."""
    alone = any(found.low is None for found in means_of)  # of one question nothing is known
    low, high = (None, None) if alone else _middle(np.mean(np.stack(drawn), axis=0))
    n = sum(found.n for found in means_of)
    return Interval(float(np.mean([found.mean for found in means_of])), low, high, n)


def difference(
    pairs: Sequence[Sequence[tuple[float, float]]], resamples: int, random: np.random.Generator
) -> Difference:
    """Paired bootstrap: questions are drawn with both models' scores at once.

    Args:
        pairs: per benchmark the two scores of each question that both models have; each benchmark weighs the same.
    """
    apart = [np.asarray([first - second for first, second in of]) for of in pairs]
    mean = float(np.mean([of.mean() for of in apart]))
    n = sum(map(len, apart))
    if any(len(of) < 2 for of in apart):
        return Difference(mean, None, None, None, n)
    return _apart(mean, np.mean(np.stack([means(of, resamples, random) for of in apart]), axis=0), n)


def _apart(mean: float, drawn: np.ndarray, n: int) -> Difference:
    """A difference, with what its resampled values tell of it."""
    low, high = _middle(drawn)
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return Difference(mean, low, high, min(1.0, 2 * (int(beyond) + 1) / (len(drawn) + 1)), n)


class Resampling(NamedTuple):
    """How intervals are made; every label has a stream of its own."""

    resamples: int
    seed: int

    def interval(self, values: Sequence[float], *labels: str) -> tuple[Interval, np.ndarray]:
        """Of the mean, with the resampled means that it rests on."""
        draws = means(np.asarray(values, dtype=float), self.resamples, generator(self.seed, *labels))
        return interval(values, draws), draws

    def difference(self, pairs: Sequence[Sequence[tuple[float, float]]], *labels: str) -> dict[str, Any] | None:
        """Of paired scores per benchmark; None where one has no pairs."""
        if not pairs or not all(pairs):
            return None
        return difference(pairs, self.resamples, generator(self.seed, *labels)).row()

    def sums(self, values: np.ndarray, *labels: str) -> np.ndarray:
        """Resampled sums of what sentences add to a score, [resamples, k]."""
        return sums(values, self.resamples, generator(self.seed, *labels))

    def around(self, value: float, drawn: np.ndarray, n: int) -> dict[str, Any]:
        """A score of n sentences, with the middle 95 % of its resampled values."""
        low, high = _middle(drawn) if n > 1 else (None, None)
        return {"value": value, "low": low, "high": high, "n": n}

    def apart(self, value: float, drawn: np.ndarray, n: int) -> dict[str, Any]:
        """A difference between two such scores of the same n sentences."""
        return (_apart(value, drawn, n) if n > 1 else Difference(value, None, None, None, n)).row()


def _middle(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
