"""The programme: which sizes, of a sum and within bounds, make a goal highest.

Several programmes of one kind, such as one for every draw of the bootstrap, are solved at once: sizes are
[programmes, languages]. A goal that is a sum of concave functions of one size each is solved exactly: at the optimum
all sizes between their bounds have the same marginal, and that one number is found by bisection (the conditions of
Karush, Kuhn and Tucker). The least favoured language is raised by bisection too. What is not concave goes to
`scipy.optimize.minimize` (SLSQP) from many starts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from bailong.compare.law import saturation
from bailong.compare.law.laws import Law

#: halvings of an interval of logarithms, for the common marginal and for each size
OUTER, INNER = 90, 70
#: relative distance at which two sizes are one
NEAR = 1e-13
#: starts of SLSQP
STARTS = 32
#: sizes are read above this share of the budget: a power has no value at 0
LEAST = 1e-12

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """What one language's score is worth, higher is better: the law with the sign of its direction.

    `p` is [programmes, draws, k]: a programme's value is the mean over its draws. Of `unique` dialogues each may be
    repeated, with saturation of rate `repetition`; None: sizes are as they are.
    """

    law: Law
    p: np.ndarray
    sign: float
    unique: float | None = None
    repetition: float | None = None

    def value(self, x: np.ndarray) -> np.ndarray:
        """[programmes] of sizes [programmes]."""
        return self.sign * self.law.predict(self._effective(x)[:, None], self.p).mean(-1)

    def slope(self, x: np.ndarray) -> np.ndarray:
        steep = self.sign * self.law.slope(self._effective(x)[:, None], self.p).mean(-1)
        if self.unique is not None and self.repetition is not None:
            steep = steep * saturation.slope(x, self.unique, self.repetition)
        return steep

    @property
    def steep(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Of a marginal exp(c) x^-(r + 1): c and r, both [programmes]; None where it is none."""
        if self.p.shape[1] > 1 or (self.unique is not None and self.repetition is not None):
            return None
        return self.law.steep(self.p[:, 0])

    def _effective(self, x: np.ndarray) -> np.ndarray:
        if self.unique is None or self.repetition is None:
            return x
        return saturation.effective(x, self.unique, self.repetition)


@dataclass(frozen=True)
class Box:
    """Sizes between `low` and `high`, both [languages], that sum to `budget`."""

    low: np.ndarray
    high: np.ndarray
    budget: float

    def bounds(self, programmes: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Both as [programmes, languages]; a `low` of 0 is a size so small that it is read as none."""
        low = np.maximum(self.low, LEAST * self.budget)
        return np.tile(low, (programmes, 1)), np.tile(np.maximum(self.high, low), (programmes, 1))


def values(curves: list[Curve], x: np.ndarray) -> np.ndarray:
    """Every language's value, [programmes, languages]."""
    return np.stack([curve.value(x[:, i]) for i, curve in enumerate(curves)], axis=1)


def slopes(curves: list[Curve], x: np.ndarray) -> np.ndarray:
    return np.stack([curve.slope(x[:, i]) for i, curve in enumerate(curves)], axis=1)


def level(shares: np.ndarray, box: Box) -> np.ndarray:
    """Sizes in proportion to `shares` [languages]; what a bound takes or leaves is poured over the others."""
    top = box.budget / shares.min() + float(np.max(box.high / shares))
    low, high = 0.0, top
    for _ in range(200):
        middle = (low + high) / 2
        if np.clip(middle * shares, box.low, box.high).sum() < box.budget:
            low = middle
        else:
            high = middle
    return exact(np.clip(high * shares, box.low, box.high)[None], *box.bounds(), box.budget)[0]


def pour(
    marginal: Function, low: np.ndarray, high: np.ndarray, budget: float, inverse: Function | None = None
) -> np.ndarray:
    """The optimum of a sum of concave functions whose derivatives are `marginal`.

    Args:
        low, high: bounds of the sizes, both [programmes, languages], as `bounds` gives them.
        inverse: sizes for the logarithm of a marginal, [programmes, 1], where a formula says them; else they are found.
    """
    steepest = np.log(np.maximum(marginal(low).max(1), 1e-290)) + 1e-3
    flattest = np.log(np.maximum(marginal(high).min(1), 1e-300)) - 1e-3
    least, most = low, high
    for _ in range(OUTER):
        middle = (steepest + flattest) / 2
        if inverse is not None:
            x = np.clip(inverse(middle[:, None]), low, high)
        else:
            x = _inverse(marginal, np.exp(middle)[:, None], least, most)
        apart = x.sum(1) - budget
        over = apart > 0
        flattest, steepest = np.where(over, middle, flattest), np.where(over, steepest, middle)
        if np.all((np.abs(apart) <= NEAR * budget) | (steepest - flattest <= NEAR)):
            break
        # all sizes fall when the marginal rises: those found bound those to come, but for their last digits
        least = np.where(over[:, None], least, np.maximum(low, x * (1 - 4 * NEAR)))
        most = np.where(over[:, None], np.minimum(high, x * (1 + 4 * NEAR)), most)
    return exact(x, low, high, budget)


def _inverse(marginal: Function, wanted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sizes at which decreasing functions are `wanted`, kept between the bounds."""
    a, b = np.log(low), np.log(high)
    for _ in range(INNER):
        middle = (a + b) / 2
        above = marginal(np.exp(middle)) > wanted
        a, b = np.where(above, middle, a), np.where(above, b, middle)
        if np.all(b - a <= NEAR):
            break
    return np.clip(np.exp((a + b) / 2), low, high)


def raise_least(curves: list[Curve], low: np.ndarray, high: np.ndarray, budget: float) -> np.ndarray:
    """The optimum for the least favoured language: all are at one value, but for those that a bound holds."""
    bottom, top = values(curves, low).min(1), values(curves, high).max(1)
    least, most = low, high
    for _ in range(OUTER):
        middle = (bottom + top) / 2
        x = reach(curves, middle[:, None], least, most)
        apart = x.sum(1) - budget
        over = apart > 0
        bottom, top = np.where(over, bottom, middle), np.where(over, middle, top)
        if np.all((np.abs(apart) <= NEAR * budget) | (top - bottom <= NEAR * np.abs(top))):
            break
        least = np.where(over[:, None], least, np.maximum(low, x * (1 - 4 * NEAR)))
        most = np.where(over[:, None], np.minimum(high, x * (1 + 4 * NEAR)), most)
    return exact(x, low, high, budget)


def reach(curves: list[Curve], wanted: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The smallest sizes between the bounds at which values are `wanted`."""
    return _inverse(lambda x: -values(curves, x), -wanted, low, high)


def concave(marginal: Function, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether no marginal rises anywhere between the bounds; both are [1, languages]."""
    grid = np.exp(np.linspace(np.log(low[0]), np.log(high[0]), 200))
    found = np.stack([marginal(row[None])[0] for row in grid])
    return bool(np.all(np.diff(found, axis=0) <= 1e-9 * np.abs(found[:-1])))


def search(goal: Function, box: Box, seed: int = 0, starts: int = STARTS) -> np.ndarray:
    """The best that SLSQP finds for one programme, whose `goal` gives [1] of sizes [1, languages]."""
    random = np.random.default_rng([seed, len(box.low)])
    shares = [np.ones(len(box.low)), *random.dirichlet(np.ones(len(box.low)), starts - 1)]
    best: tuple[float, np.ndarray] | None = None
    size, (low, high) = box.budget, box.bounds()
    for share in shares:
        begin = level(np.maximum(share, 1e-6), box) / size
        unit = max(abs(float(goal(begin[None] * size)[0])), 1e-6)
        done = minimize(
            lambda z, unit=unit: -float(goal(np.maximum(z[None] * size, low))[0]) / unit,
            begin,
            method="SLSQP",
            bounds=list(zip(low[0] / size, high[0] / size, strict=True)),
            constraints=[{"type": "eq", "fun": lambda z: z.sum() - 1.0, "jac": np.ones_like}],
            options={"ftol": 1e-12, "maxiter": 300},
        )
        x = exact(np.clip(done.x[None] * size, low, high), low, high, size)
        found = float(goal(x)[0])
        if np.isfinite(found) and (best is None or found > best[0]):
            best = found, x[0]
    assert best is not None
    return best[1]


def exact(x: np.ndarray, low: np.ndarray, high: np.ndarray, budget: float) -> np.ndarray:
    """The last digits: what lies between the bounds is scaled until the sum is the budget."""
    for _ in range(4):
        free = (x > low * (1 + 1e-9)) & (x < high * (1 - 1e-12))
        held = np.where(free, 0.0, x).sum(1)
        loose = np.where(free, x, 0.0).sum(1)
        scale = np.where(loose > 0, (budget - held) / np.where(loose > 0, loose, 1.0), 1.0)
        x = np.clip(np.where(free, x * scale[:, None], x), low, high)
        if np.all(np.abs(x.sum(1) - budget) <= 1e-12 * budget):
            break
    return x


def whole(x: np.ndarray, low: np.ndarray, high: np.ndarray, budget: float) -> list[int]:
    """Sizes [languages] as whole numbers within whole bounds that sum to the budget: the largest remainders are rounded
    up, and what the last digits of large sizes are off is taken from the others in turn."""
    down = np.minimum(np.floor(x + 1e-9), np.floor(high + 1e-9)).astype(int)
    down = np.maximum(down, np.ceil(low - 1e-9).astype(int))
    left = int(np.floor(budget + 1e-9)) - int(down.sum())
    step = 1 if left > 0 else -1
    order = np.argsort(-step * (x - down), kind="stable")
    while left:
        room = [i for i in order if low[i] - 1e-9 <= down[i] + step <= high[i] + 1e-9]
        if not room:
            raise ValueError(f"budget={budget:,.0f} is not accepted: no whole numbers within the bounds sum to it")
        for i in room[: abs(left)]:
            down[i] += step
        left = int(np.floor(budget + 1e-9)) - int(down.sum())
    return [int(n) for n in down]
