"""The few numbers that a comparison rests on. Pure functions of plain arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

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


def estimate(found: Sequence[float | None]) -> Estimate | None:
    """Mean and 95 % interval (Student's t, n - 1 degrees of freedom) of what is known; None without values."""
    values = [value for value in found if value is not None]
    n = len(values)
    if n == 0:
        return None
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None, 1)
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return Estimate(mean, float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * math.sqrt(variance / n), n)


def corrected(found: Estimate, arms: int) -> Estimate:
    """The same mean with its interval at Bonferroni's level for `arms` comparisons, 1 − 0.05 / arms: all of such
    intervals hold their true means at once in at least 95 of 100 cases. Holm's steps would tell a little more, but they
    give verdicts and no intervals. A single run has none."""
    if found.half is None or arms < 2:
        return found
    wide, plain = (float(stdtrit(found.n - 1, 1 - (1 - CONFIDENCE) / 2 / m)) for m in (arms, 1))
    return Estimate(found.mean, found.half * wide / plain, found.n)


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
