"""What an allocation makes highest: the goals, each with the way in which its programme is solved."""

from dataclasses import dataclass, replace

import numpy as np

from bailong.compare.law import programme
from bailong.compare.law.programme import Box, Curve

#: in the words of `objective`
GOALS = {
    "mean": "the mean score",
    "weighted": "the weighted mean score",
    "maxmin": "the lowest score",
    "gap": "less of the gap to the level, in the mean",
    "nash": "the mean logarithm of the gain over no data",
    "robust": "the mean score over the draws of the bootstrap",
}


@dataclass(frozen=True)
class Goal:
    """A goal over languages.

    `weights` [languages] sum to 1. `none` are the values without data (nash), `level` the value that is aimed at
    (gap), both as `Curve.value` gives them.
    """

    name: str
    weights: np.ndarray
    none: np.ndarray | None = None
    level: float | None = None

    def score(self, found: np.ndarray) -> np.ndarray:
        """The goal of values [programmes, languages]."""
        if self.name == "maxmin":
            return found.min(1)
        if self.name == "gap":
            assert self.level is not None
            found = np.minimum(found - self.level, 0.0)
        if self.name == "nash":
            assert self.none is not None
            gain = found - self.none
            found = np.where(gain > 0, np.log(np.maximum(gain, 1e-300)), -np.inf)
        return found @ self.weights


def solve(goal: Goal, curves: list[Curve], box: Box, seed: int = 0) -> tuple[np.ndarray, str]:
    """The best sizes [programmes, languages], and how they were found: `exact`, or `slsqp`.

    Raises:
        ValueError: nash, and a language gains nothing within its bounds.
    """
    low, high = box.bounds(len(curves[0].p))
    if goal.name == "maxmin":
        return programme.raise_least(curves, low, high, box.budget), "exact"
    if goal.name == "gap":
        return _close_gaps(goal, curves, low, high, box, seed)
    if goal.name == "nash":
        return _nash(goal, curves, low, high, box, seed)
    return _sum(goal, curves, low, high, box, seed)


def _sum(
    goal: Goal, curves: list[Curve], low: np.ndarray, high: np.ndarray, box: Box, seed: int
) -> tuple[np.ndarray, str]:
    def marginal(x: np.ndarray) -> np.ndarray:
        return programme.slopes(curves, x) * goal.weights

    if not _is_concave(curves, goal, low, high):
        return _searched(goal, curves, box, seed), "slsqp"
    found = [curve.steep for curve in curves]
    if any(steep is None for steep in found) or goal.weights.min() <= 0:
        return programme.pour(marginal, low, high, box.budget), "exact"
    heights, rates = (np.stack([steep[i] for steep in found if steep], 1) for i in (0, 1))
    heights = heights + np.log(goal.weights)

    def sizes(wanted: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum((heights - wanted) / (rates + 1), 600.0))

    return programme.pour(marginal, low, high, box.budget, sizes), "exact"


def _is_concave(curves: list[Curve], goal: Goal, low: np.ndarray, high: np.ndarray) -> bool:
    """By the marginals of the first programme: the others are draws around it."""
    first = [replace(curve, p=curve.p[:1]) for curve in curves]

    def marginal(x: np.ndarray) -> np.ndarray:
        found = programme.slopes(first, x) * goal.weights
        if goal.none is not None and goal.name == "nash":
            found = found / np.maximum(programme.values(first, x) - goal.none, 1e-12)
        return found

    return programme.concave(marginal, low[:1], high[:1])


def _close_gaps(
    goal: Goal, curves: list[Curve], low: np.ndarray, high: np.ndarray, box: Box, seed: int
) -> tuple[np.ndarray, str]:
    """Nobody is taken past the level while another is below it; what is left when all are there is poured as for the
    mean."""
    assert goal.level is not None
    enough = programme.reach(curves, np.full(low.shape, goal.level), low, high)
    short = (enough.sum(1) >= box.budget)[:, None]
    return _sum(
        Goal("mean", goal.weights), curves, np.where(short, low, enough), np.where(short, enough, high), box, seed
    )


def _nash(
    goal: Goal, curves: list[Curve], low: np.ndarray, high: np.ndarray, box: Box, seed: int
) -> tuple[np.ndarray, str]:
    assert goal.none is not None
    none = goal.none
    if not np.all(programme.values(curves, high)[0] > none):
        raise ValueError(
            "objective=nash is not accepted: a language gains nothing over no data, whatever it is given; "
            "give caps that reach further, or another objective"
        )
    start = programme.reach(curves, np.broadcast_to(none, high.shape), low, high) * (1 + 1e-6)
    start = np.minimum(np.where(programme.values(curves, low) > none, low, np.maximum(start, low)), high)
    if start.sum(1).max() >= box.budget:
        raise ValueError(
            f"objective=nash is not accepted: some {start.sum(1).max():,.0f} are needed before every language gains "
            "over no data, which is more than the budget"
        )

    def marginal(x: np.ndarray) -> np.ndarray:
        gain = np.maximum(programme.values(curves, x) - none, 1e-12)
        return programme.slopes(curves, x) / gain * goal.weights

    if _is_concave(curves, goal, start, high):
        return programme.pour(marginal, start, high, box.budget), "exact"
    return _searched(goal, curves, Box(start.max(0), box.high, box.budget), seed), "slsqp"


def _searched(goal: Goal, curves: list[Curve], box: Box, seed: int) -> np.ndarray:
    """One programme after the other, from fewer starts where they are draws."""
    found = []
    programmes = len(curves[0].p)
    for i in range(programmes):
        one = [replace(curve, p=curve.p[i : i + 1]) for curve in curves]
        starts = programme.STARTS if programmes == 1 else 4
        found.append(programme.search(lambda x, one=one: goal.score(programme.values(one, x)), box, seed, starts))
    return np.array(found)
