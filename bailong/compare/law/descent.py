"""Least squares with Huber's loss for many problems of one law at once.

SciPy fits one problem at a time. Sixty-four starts, or a thousand resamples of the runs, are arrays here: one
Levenberg-Marquardt descent for all of them, in which large residuals weigh less. The best of the starts is then
polished by `scipy.optimize.least_squares` (fit.py), which is also what the tests hold this against.
"""

from dataclasses import dataclass

import numpy as np

from bailong.compare.law.laws import TINY, Law

#: step of the central differences, relative to 1 and to the parameter
STEP = 1e-6


@dataclass(frozen=True)
class Scale:
    """How residuals are read: of losses the difference of logarithms, of scores the difference.

    `delta` is where Huber's loss turns from a square into a line, in those units.
    """

    logarithmic: bool
    delta: float

    def read(self, y: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(y, TINY)) if self.logarithmic else y


@dataclass(frozen=True)
class Prior:
    """A pull of one parameter towards `centre`, [problems], as of `weight` squared residuals for each unit apart."""

    place: int
    centre: np.ndarray
    weight: float


def huber(residuals: np.ndarray, delta: float) -> np.ndarray:
    """Half the square up to `delta`, a line from there."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))


def residuals(law: Law, x: np.ndarray, y: np.ndarray, p: np.ndarray, scale: Scale) -> np.ndarray:
    """What the law says less what was measured, [problems, points]. `x` is [points], `y` broadcasts."""
    return scale.read(law.predict(x[None, :], p[:, None, :])) - scale.read(y)


def costs(
    law: Law, x: np.ndarray, y: np.ndarray, p: np.ndarray, scale: Scale, weights: np.ndarray, prior: Prior | None
) -> np.ndarray:
    """What is made small, [problems]."""
    total = (weights * huber(residuals(law, x, y, p, scale), scale.delta)).sum(-1)
    if prior is not None:
        total = total + 0.5 * prior.weight * (p[:, prior.place] - prior.centre) ** 2
    return total


def descend(
    law: Law,
    x: np.ndarray,
    y: np.ndarray,
    start: np.ndarray,
    scale: Scale,
    weights: np.ndarray | None = None,
    prior: Prior | None = None,
    steps: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """Parameters [problems, k] and costs [problems].

    Args:
        x: sizes, [points]. y: scores, [points] or [problems, points].
        start: [problems, k]. weights: how often a point counts, [problems, points]; None: once.
    """
    weights = np.ones((1, len(x))) if weights is None else weights
    low, high = law.bounds(np.atleast_2d(y))
    p = np.clip(start, low, high)
    cost = costs(law, x, y, p, scale, weights, prior)
    damping = np.full(len(p), 1e-2)
    open_ = np.ones(len(p), dtype=bool)
    k = p.shape[1]
    for _ in range(steps):
        at = np.flatnonzero(open_)
        if not len(at):
            break
        mine, ys = p[at], y[at] if y.ndim == 2 and len(y) > 1 else y
        ws = weights[at] if len(weights) > 1 else weights
        pull = None if prior is None else Prior(prior.place, prior.centre[at], prior.weight)
        normal, gradient = _normal(law, x, ys, mine, scale, ws, pull)
        # a parameter that its bound holds back stays there
        held = ((mine <= low) & (gradient > 0)) | ((mine >= high) & (gradient < 0))
        free = ~held
        normal = normal * (free[:, :, None] & free[:, None, :])
        diagonal = np.einsum("bii->bi", normal)
        largest = np.maximum(diagonal.max(1, keepdims=True), TINY)
        extra = damping[at, None] * np.maximum(diagonal, 1e-12 * largest) + np.where(free, 1e-14 * largest, 1.0)
        normal = normal + extra[:, :, None] * np.eye(k)
        step = -np.linalg.solve(normal, (gradient * free)[:, :, None])[:, :, 0]
        tried = np.clip(mine + np.clip(step, -5.0, 5.0) if law.rate is not None else mine + step, low, high)
        after = costs(law, x, ys, tried, scale, ws, pull)
        better = after <= cost[at]
        gained = cost[at] - after
        moved = np.abs(tried - mine).max(1)
        p[at[better]], cost[at[better]] = tried[better], after[better]
        damping[at] = np.clip(np.where(better, damping[at] / 5, damping[at] * 4), 1e-12, 1e12)
        done = better & (gained <= 1e-13 * after) & (moved <= 1e-9 * (1 + np.abs(tried).max(1)))
        open_[at[done | (~better & (damping[at] >= 1e10))]] = False
    return p, cost


def _normal(
    law: Law, x: np.ndarray, y: np.ndarray, p: np.ndarray, scale: Scale, weights: np.ndarray, prior: Prior | None
) -> tuple[np.ndarray, np.ndarray]:
    """The normal matrices [problems, k, k] and gradients [problems, k]."""
    found = residuals(law, x, y, p, scale)
    weighted = weights * np.minimum(1.0, scale.delta / np.maximum(np.abs(found), 1e-300))
    columns = []
    for i in range(p.shape[1]):
        step = np.zeros_like(p)
        step[:, i] = STEP * np.maximum(1.0, np.abs(p[:, i]))
        ahead, behind = (residuals(law, x, y, p + sign * step, scale) for sign in (1, -1))
        columns.append((ahead - behind) / (2 * step[:, i, None]))
    jacobian = np.stack(columns, -1)
    lean = jacobian * weighted[..., None]
    normal = np.einsum("bni,bnj->bij", lean, jacobian)
    gradient = np.einsum("bni,bn->bi", lean, found)
    if prior is not None:
        normal[:, prior.place, prior.place] += prior.weight
        gradient[:, prior.place] += prior.weight * (p[:, prior.place] - prior.centre)
    return normal, gradient
