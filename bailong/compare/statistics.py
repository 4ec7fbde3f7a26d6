"""The few numbers that a comparison rests on. Pure functions of plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` runs; `half` is half the width of its 95 % t-interval (None for a single run)."""

    mean: float
    half: float | None
    n: int

    @property
    def low(self) -> float:
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        return self.mean + (self.half or 0.0)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out; a single run is never clear."""
        return self.half is not None and (self.low > 0 or self.high < 0)


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and 95 % interval (Student's t, n - 1 degrees of freedom); None without values."""
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, 1)
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return Estimate(mean, t_quantile(0.5 + CONFIDENCE / 2, n - 1) * math.sqrt(variance / n), n)


def t_probability(t: float, freedom: int) -> float:
    """P(|T| <= t) for Student's t with whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    cos2 = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(freedom // 2):
        total += term
        term *= cos2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


@lru_cache
def t_quantile(probability: float, freedom: int) -> float:
    """The t with P(T <= t) = probability, for probability in (0.5, 1), by bisection."""
    assert 0.5 < probability < 1 and freedom >= 1
    low, high = 0.0, 1.0
    while t_probability(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if t_probability(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def area(tokens: np.ndarray, values: np.ndarray, horizon: float) -> float | None:
    """Mean of a curve from 0 to `horizon` tokens (trapezoids, divided by the horizon).

    None where the curve does not span that range: it must start at 0 and reach the horizon.
    """
    if len(tokens) < 2 or tokens[0] > 0 or not 0 < horizon <= tokens[-1]:
        return None
    inside = tokens < horizon
    x = np.append(tokens[inside], horizon)
    y = np.append(values[inside], np.interp(horizon, tokens, values))
    return float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(x)) / horizon)


def first_reach(tokens: np.ndarray, values: np.ndarray, target: float) -> float | None:
    """Tokens at which a curve first is at `target` or below, by straight lines between its points."""
    below = np.flatnonzero(values <= target)
    if len(below) == 0:
        return None
    i = int(below[0])
    if i == 0:
        return float(tokens[0])
    share = (values[i - 1] - target) / (values[i - 1] - values[i])
    return float(tokens[i - 1] + share * (tokens[i] - tokens[i - 1]))
