"""One law on the points of one language: the best of many starts, its criterion, and how it does beyond its points."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import least_squares

from bailong.compare.law.descent import Prior, Scale, descend, huber, residuals
from bailong.compare.law.laws import Law

#: two minima are one where their costs are this near, relatively
SAME = 1e-6
#: a prediction goes no further than this many times the largest size
REACH = 3.0


@dataclass(frozen=True)
class Series:
    """The points of one language: sizes, scores and the unit (a seed's whole curve) that each belongs to, all [n]."""

    language: str
    x: np.ndarray
    y: np.ndarray
    units: np.ndarray

    @property
    def largest(self) -> float:
        return float(self.x.max())

    @property
    def middle(self) -> float:
        """The mean logarithm of the sizes."""
        return float(np.log(self.x[self.x > 0]).mean())

    def where(self, kept: np.ndarray) -> "Series":
        return Series(self.language, self.x[kept], self.y[kept], self.units[kept])

    def tuned(self) -> "Series":
        """Without the base that no data tuned."""
        return self.where(self.x > 0)


@dataclass(frozen=True)
class Fit:
    """A law with its parameters `p` [k]; `share` of the starts ended within `SAME` of the best cost.

    `residuals` [n] are in the units of the scale. `aicc` is infinite where the points are too few for the law.
    """

    law: Law
    p: np.ndarray
    cost: float
    share: float
    residuals: np.ndarray = field(repr=False)
    aicc: float = math.inf
    #: root mean square error, in units of the score, at the largest size when that is left out; None: too few sizes
    largest_out: float | None = None

    @property
    def deviation(self) -> float:
        """The residuals' standard deviation, with the degrees of freedom that are left."""
        free = max(len(self.residuals) - len(self.p), 1)
        return math.sqrt(float(self.residuals @ self.residuals) / free)

    def predict(self, x: float | np.ndarray) -> np.ndarray:
        return self.law.predict(np.asarray(x, dtype=float), self.p)


def fit(law: Law, series: Series, scale: Scale, starts: int = 64, seed: int = 0) -> Fit:
    """The law fitted; a size of 0 is left out where the law has no value there."""
    data = series if law.zero else series.tuned()
    found, cost, share = _search(law, data, scale, starts, seed)
    left = residuals(law, data.x, data.y[None], found[None], scale)[0]
    return Fit(law, found, cost, share, left)


def judge(law: Law, series: Series, scale: Scale, starts: int = 64, seed: int = 0) -> Fit:
    """The law fitted, with its criterion and its error at the largest size; both are of the tuned points, which every
    law can take, so that they compare."""
    data = series.tuned()
    whole = fit(law, data, scale, starts, seed)
    told = fit(law, series, scale, starts, seed) if law.zero and len(data.x) < len(series.x) else whole
    aicc = criterion(whole.cost, len(data.x), len(whole.p))
    return Fit(
        told.law, told.p, told.cost, told.share, told.residuals, aicc, _largest_out(law, data, scale, starts, seed)
    )


def criterion(cost: float, n: int, k: int) -> float:
    """Akaike's, corrected for few points, of n residuals with a common spread; k parameters and that spread."""
    k += 1
    if n - k - 1 <= 0:
        return math.inf
    return n * math.log(max(2 * cost / n, 1e-24)) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _largest_out(law: Law, data: Series, scale: Scale, starts: int, seed: int) -> float | None:
    inner = data.x < data.largest
    if len(np.unique(data.x[inner])) < max(2, len(law.parameters)):
        return None
    part = fit(law, data.where(inner), scale, starts, seed)
    wrong = part.predict(data.x[~inner]) - data.y[~inner]
    return math.sqrt(float(wrong @ wrong) / len(wrong))


def _search(law: Law, data: Series, scale: Scale, starts: int, seed: int) -> tuple[np.ndarray, float, float]:
    """The best of a grid of starts and of these, jittered; SciPy has the last word."""
    grid = np.array(list(law.grid(data.x, data.y)))
    random = np.random.default_rng([seed, len(grid)])
    more = grid[np.arange(max(0, starts - len(grid))) % len(grid)]
    jitter = random.normal(0.0, 0.3, more.shape) * np.maximum(1.0, 0.1 * np.abs(more))
    begin = np.concatenate([grid, more + jitter])
    found, cost = descend(law, data.x, data.y[None], begin, scale)
    best = int(np.argmin(cost))
    share = float(np.mean(cost <= cost[best] * (1 + SAME) + 1e-14 * scale.delta**2))
    p, value = polish(law, data, scale, found[best])
    return (p, value, share) if value <= cost[best] else (found[best], float(cost[best]), share)


def polish(law: Law, data: Series, scale: Scale, p: np.ndarray) -> tuple[np.ndarray, float]:
    """The minimum that SciPy finds from `p`, and its cost."""
    low, high = law.bounds(data.y)
    tight = 4e-16
    done = least_squares(
        lambda q: residuals(law, data.x, data.y[None], q[None], scale)[0],
        np.clip(p, low, high),
        jac="3-point",
        bounds=(low, high),
        loss="huber",
        f_scale=scale.delta,
        x_scale="jac",
        xtol=tight,
        ftol=tight,
        gtol=tight,
    )
    left = residuals(law, data.x, data.y[None], done.x[None], scale)[0]
    return done.x, float(huber(left, scale.delta).sum())


def predict(fitted: Fit, x: np.ndarray, largest: float, force: bool = False) -> np.ndarray:
    """Scores at sizes `x`.

    Raises:
        ValueError: a size is beyond `REACH` times the largest one measured, and nothing forces it.
    """
    x = np.asarray(x, dtype=float)
    if x.size and x.max() > REACH * largest * (1 + 1e-9) and not force:
        raise ValueError(
            f"a size of {x.max():,.0f} is not accepted: it must be at most {REACH:g} times the largest one measured, "
            f"{largest:,.0f}; force=true predicts beyond it all the same"
        )
    return fitted.predict(x)


def pooled(fits: list[Fit], series: list[Series], scale: Scale, spread: float = 0.3) -> list[Fit]:
    """The fits once more, with exponents drawn towards each other: their logarithms are normal around one mean, with
    standard deviation `spread` (the most probable parameters; the mean itself is free)."""
    place = fits[0].law.rate
    if place is None or len(fits) < 2:
        return fits
    data = [one if each.law.zero else one.tuned() for each, one in zip(fits, series, strict=True)]
    weight = noise(fits) ** 2 / spread**2
    ps = [each.p[None] for each in fits]
    found = share_rate([each.law for each in fits], data, ps, scale, place, weight)
    told = []
    for each, one, p in zip(fits, data, found, strict=True):
        left = residuals(each.law, one.x, one.y[None], p, scale)[0]
        cost = float(huber(left, scale.delta).sum())
        told.append(Fit(each.law, p[0], cost, each.share, left, each.aicc, each.largest_out))
    return told


def noise(fits: list[Fit]) -> float:
    """The common standard deviation of the residuals of several fits."""
    free = sum(max(len(each.residuals) - len(each.p), 0) for each in fits)
    total = sum(float(each.residuals @ each.residuals) for each in fits)
    return math.sqrt(total / max(free, 1))


def share_rate(
    laws: list[Law],
    data: list[Series],
    ps: list[np.ndarray],
    scale: Scale,
    place: int,
    weight: float,
    ys: list[np.ndarray] | None = None,
    weights: list[np.ndarray] | None = None,
    rounds: int = 40,
) -> list[np.ndarray]:
    """Exponents and their mean in turn until both stand still; each of `ps` is [problems, k]."""
    for _ in range(rounds):
        centre = np.mean([p[:, place] for p in ps], axis=0)
        after = []
        for i, (law, one, p) in enumerate(zip(laws, data, ps, strict=True)):
            y = one.y[None] if ys is None else ys[i]
            w = None if weights is None else weights[i]
            after.append(descend(law, one.x, y, p, scale, w, Prior(place, centre, weight), steps=30)[0])
        moved = max(float(np.abs(new - old).max()) for new, old in zip(after, ps, strict=True))
        ps = after
        if moved < 1e-9:
            break
    return ps
