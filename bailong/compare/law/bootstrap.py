"""How far a law could lie elsewhere with other runs of the same kind: seeds are drawn again, a whole curve at a time.

Where a language has a single run, or its runs are not curves, there is no unit to draw: the residuals are then drawn
again around the fitted law, which is said (`Draws.how`).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, t

from bailong.compare.law.descent import Scale, descend
from bailong.compare.law.fit import Fit, Series, noise, share_rate

#: a sample of runs that lacks sizes for the law is drawn anew at most so often
AGAIN = 50
#: units below which percentiles run out of different samples
FEW = 6


class Interval(NamedTuple):
    """The middle 80 % and 95 % of the draws, widened for the few units that they are of."""

    low80: float
    high80: float
    low95: float
    high95: float


@dataclass(frozen=True)
class Draws:
    """The parameters of one language in every draw, [draws, k]. `units` are what was drawn, `runs` or `residuals`;
    `free` are the degrees of freedom behind the spread."""

    p: np.ndarray
    how: str
    free: int
    widening: float

    def around(self, p: np.ndarray) -> np.ndarray:
        """The draws, as far from `p` as n units lie that are not drawn from themselves."""
        return p + (self.p - p) * self.widening

    def interval(self, values: np.ndarray) -> Interval:
        """The interval of a number that was computed in every draw, [draws]."""
        return interval(values, self.free, self.widening)


def interval(values: np.ndarray, free: int = 10**6, widening: float = 1.0) -> Interval:
    """Percentiles, taken further out as Student's t is wider than the normal and n units draw too narrow; of fewer than
    `FEW` units, whose samples are too alike for that, Student's interval with the draws' standard deviation."""
    found = []
    for share in (0.80, 0.95):
        quantile = float(t.ppf(0.5 + share / 2, free)) * widening
        if widening > 1 and free + 1 < FEW:
            sided = values.min() > 0 or values.max() < 0  # an interval of what has one sign keeps it
            read = np.log(np.abs(values)) if sided else values
            middle, half = float(read.mean()), quantile * float(read.std())
            ends = [middle - half, middle + half]
            found += sorted(math.copysign(math.exp(end), values[0]) for end in ends) if sided else ends
        else:
            tail = float(norm.cdf(-quantile))
            found += [float(value) for value in np.quantile(values, [tail, 1 - tail])]
    return Interval(*found)


def draw(
    fits: list[Fit], series: list[Series], scale: Scale, resamples: int, seed: int = 0, spread: float | None = None
) -> list[Draws]:
    """The laws of all languages fitted again to `resamples` samples of their runs.

    Args:
        spread: of partial pooling, as in `fit.pooled`; None: every language by itself.
    """
    data = [one if each.law.zero else one.tuned() for each, one in zip(fits, series, strict=True)]
    samples = [
        _sample(each, one, scale, resamples, [seed, i]) for i, (each, one) in enumerate(zip(fits, data, strict=True))
    ]
    ps = []
    for each, one, sample in zip(fits, data, samples, strict=True):
        start = np.repeat(each.p[None], resamples, axis=0)
        ps.append(descend(each.law, one.x, sample.y, start, scale, sample.weights, steps=60)[0])
    place = fits[0].law.rate
    if spread is not None and place is not None and len(fits) > 1:
        weight = noise(fits) ** 2 / spread**2
        ys, ws = [sample.y for sample in samples], [sample.weights for sample in samples]
        ps = share_rate([each.law for each in fits], data, ps, scale, place, weight, ys, ws, rounds=12)
    return [Draws(p, sample.how, sample.free, sample.widening) for p, sample in zip(ps, samples, strict=True)]


class _Sample(NamedTuple):
    y: np.ndarray
    weights: np.ndarray
    how: str
    free: int
    widening: float


def _sample(fitted: Fit, data: Series, scale: Scale, resamples: int, seed: list[int]) -> _Sample:
    random = np.random.default_rng(seed)
    units = list(dict.fromkeys(data.units[data.x > 0].tolist()))
    members = np.array([data.units == unit for unit in units])
    base = ~members.any(0)  # the untuned one is of no seed's curve, and in every sample
    sizes = [len(np.unique(data.x[member])) for member in members]
    k = len(fitted.p)
    if len(units) > 1 and min(sizes) > 1 and len(np.unique(data.x)) >= k:
        counts = _counts(members, data.x, k, resamples, random)
        n = len(units)
        return _Sample(data.y[None], counts @ members + base, "runs", n - 1, math.sqrt(n / (n - 1)))
    n, free = len(data.x), max(len(data.x) - k, 1)
    centred = (fitted.residuals - fitted.residuals.mean()) * math.sqrt(n / free)
    wrong = centred[random.integers(0, n, (resamples, n))]
    read = scale.read(fitted.law.predict(data.x, fitted.p)) + wrong
    y = np.exp(read) if scale.logarithmic else read
    return _Sample(y, np.ones((1, n)), "residuals", free, 1.0)


def _counts(members: np.ndarray, x: np.ndarray, k: int, resamples: int, random: np.random.Generator) -> np.ndarray:
    """How often each unit is drawn, [resamples, units]; a sample with fewer sizes than parameters is drawn anew."""
    n = len(members)
    counts = random.multinomial(n, np.full(n, 1 / n), resamples).astype(float)
    if all(len(np.unique(x[member])) >= k for member in members):
        return counts
    for _ in range(AGAIN):
        poor = [i for i, row in enumerate(counts) if len(np.unique(x[(row @ members) > 0])) < k]
        if not poor:
            break
        counts[poor] = random.multinomial(n, np.full(n, 1 / n), len(poor))
    return counts
