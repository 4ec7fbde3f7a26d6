"""Without a law: many small runs with other mixtures, a regression of their scores, and the best of many mixtures.

After RegMix (2407.01492). The one assumption is that mixtures keep their ranks from small runs to the large one, so
what the regression is worth is how well it ranks runs that it has not seen; where that is no better than chance,
equal shares are returned.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau, norm, spearmanr

from bailong.compare.law import programme
from bailong.compare.law.bootstrap import Interval, interval
from bailong.compare.law.points import Points
from bailong.compare.law.programme import Box

#: strengths of the ridge, of which the one with the least leave-one-out error is taken
RIDGES = np.geomspace(1e-6, 1e2, 17)
#: of the simulated mixtures, the mean of so many of the best is taken: one alone is the luckiest
BEST = 100
#: permutations of the scores behind the p of the rank agreement; samples of the runs with LightGBM
PERMUTATIONS, FEW = 499, 50
#: above this the ranks are no better than chance
CHANCE = 0.05


@dataclass(frozen=True)
class Table:
    """Runs: sizes by source [runs, sources], scores that are better when higher [runs]."""

    sources: list[str]
    sizes: np.ndarray
    scores: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        return self.sizes / self.sizes.sum(1, keepdims=True)


@dataclass(frozen=True)
class Mixture:
    """The best mixture, what it is predicted to gain, and how far the regression is to be believed."""

    sources: list[str]
    optimum: np.ndarray
    uniform: np.ndarray
    kendall: float
    spearman: float
    p: float
    gain: float
    interval: Interval
    chosen: str
    reason: str
    take: dict[str, int]
    runs: int


def table(points: Points, weights: dict[str, float], direction: str) -> Table:
    """The points by run: a run's score is the (weighted) mean over its languages.

    Raises:
        ValueError: no sizes by source, a run with two mixtures, or too few runs.
    """
    sources = sorted({source for point in points.points for source in point.sizes})
    if not sources:
        raise ValueError("method=regmix needs the size of every source: columns size.<source>, or runs that tell them")
    if len(sources) < 2:
        raise ValueError(f"method=regmix needs two sources or more, and there is {sources[0]} alone")
    groups: dict[Any, list[Any]] = {}
    for i, point in enumerate(points.points):
        groups.setdefault(point.run or (point.seed and (point.seed, *sorted(point.sizes.items()))) or i, []).append(
            point
        )
    sizes, scores = [], []
    for group in groups.values():
        mixtures = [[point.sizes.get(source, 0.0) for source in sources] for point in group]
        mine = mixtures[0]
        if (other := next((each for each in mixtures if each != mine), None)) is not None:
            told = " and ".join(", ".join(f"{size:g}" for size in each) for each in (mine, other))
            raise ValueError(
                f"run {group[0].run} is not accepted: its rows hold two mixtures of {', '.join(sources)} ({told}); "
                "each mixture must be a run of its own"
            )
        heavy = [weights.get(point.language, 1.0) for point in group]
        if sum(mine) <= 0 or sum(heavy) <= 0:
            continue
        sizes.append(mine)
        scores.append(float(np.average([point.score for point in group], weights=heavy)))
    least = len(sources) + 3
    if len(scores) < least:
        raise ValueError(
            f"method=regmix needs at least {least} runs of {len(sources)} sources, and there are {len(scores)}"
        )
    sign = 1.0 if direction == "up" else -1.0
    return Table(sources, np.array(sizes), sign * np.array(scores))


def features(shares: np.ndarray, totals: np.ndarray | None) -> np.ndarray:
    """Scheffé's polynomial of a mixture: shares, their products, and the logarithm of the size where it varies."""
    k = shares.shape[1]
    products = [shares[:, i] * shares[:, j] for i in range(k) for j in range(i + 1, k)]
    more = [] if totals is None else [np.log(totals)]
    return np.column_stack([shares, *products, *more])


class Ridge:
    """Ridge regression around the mean, its strength by leave-one-out."""

    def __init__(self, x: np.ndarray, y: np.ndarray, strength: float | None = None) -> None:
        self.middle, self.spread = x.mean(0), np.where(x.std(0) > 1e-12, x.std(0), 1.0)
        inner = (x - self.middle) / self.spread
        self.mean = y.mean()
        self.strength = strength or min(RIDGES, key=lambda each: self._left_out(inner, y, each)[1])
        self.left_out = self._left_out(inner, y, self.strength)[0]
        k = inner.shape[1]
        self.weights = np.linalg.solve(inner.T @ inner + self.strength * len(y) * np.eye(k), inner.T @ (y - self.mean))

    def _left_out(self, x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
        """What each run is predicted to score by the others, and the mean square error of that."""
        n, k = x.shape
        hat = x @ np.linalg.solve(x.T @ x + strength * n * np.eye(k), x.T) + 1.0 / n
        wrong = (y - hat @ y) / np.maximum(1.0 - np.diag(hat), 1e-9)
        return y - wrong, float(wrong @ wrong) / n

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.mean + ((x - self.middle) / self.spread) @ self.weights


class Trees:
    """LightGBM, for scores that are no smooth function of the mixture; it needs many runs."""

    def __init__(self, x: np.ndarray, y: np.ndarray, whole: bool = True) -> None:
        try:
            from lightgbm import LGBMRegressor  # type: ignore[import-not-found]
        except ModuleNotFoundError:
            raise ValueError(
                "learner=lightgbm needs a package that is not here: pip install 'bailong[regmix]'"
            ) from None

        def trained(rows: np.ndarray) -> Any:
            model = LGBMRegressor(
                n_estimators=100, learning_rate=0.1, num_leaves=8, min_child_samples=max(2, len(y) // 20),
                random_state=0, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1,
            )  # fmt: skip
            return model.fit(x[rows], y[rows])

        every = np.arange(len(y))
        self.model = trained(every)
        self.left_out = np.array([trained(every != i).predict(x[i : i + 1])[0] for i in every]) if whole else y

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x)


def best(
    data: Table, box: Box, learner: str = "ridge", simulated: int = 100_000, resamples: int = 1000, seed: int = 0
) -> Mixture:
    """The mixture that the regression likes best, within the bounds of the sources."""
    totals = data.sizes.sum(1)
    varied = totals if np.ptp(np.log(totals)) > 1e-6 else None
    x = features(data.shares, varied)
    random = np.random.default_rng([seed, len(data.sources)])
    model = Ridge(x, data.scores) if learner == "ridge" else Trees(x, data.scores)
    kendall, spearman = agreement(model.left_out, data.scores)
    p = _chance(x, data.scores, kendall, learner, random)

    tried = simulate(box, simulated, random)
    at = features(tried / box.budget, None if varied is None else np.full(len(tried), box.budget))
    uniform = programme.level(np.ones(len(data.sources)), box)
    equal = features(uniform[None] / box.budget, None if varied is None else np.array([box.budget]))

    def chosen(fitted: Any) -> np.ndarray:
        top = np.argsort(-fitted.predict(at), kind="stable")[: min(BEST, len(at))]
        return programme.exact(tried[top].mean(0)[None], *box.bounds(), box.budget)[0]

    def worth(fitted: Any, sizes: np.ndarray) -> float:
        mine = features(sizes[None] / box.budget, None if varied is None else np.array([box.budget]))
        return float(fitted.predict(mine)[0] - fitted.predict(equal)[0])

    found = chosen(model)
    drawn = []
    for _ in range(resamples if learner == "ridge" else FEW):
        # one half of the runs chooses, the other judges: samples that share runs would share their luck
        order = random.permutation(len(x))
        halves = [_again(learner, model, x[part], data.scores[part]) for part in np.array_split(order, 2)]
        drawn.append(worth(halves[1], chosen(halves[0])))
    told = interval(np.array(drawn))
    name, reason = _decide(kendall, p, told)
    final = found if name == "optimum" else uniform
    take = dict(zip(data.sources, programme.whole(final, box.low, box.high, box.budget), strict=True))
    return Mixture(
        data.sources, found, uniform, kendall, spearman, p, worth(model, found), told, name, reason, take, len(x)
    )


def agreement(predicted: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Kendall's and Spearman's rank correlation; 0 where either side is all one."""
    if np.ptp(predicted) < 1e-12 or np.ptp(scores) < 1e-12:
        return 0.0, 0.0
    return float(kendalltau(predicted, scores)[0]), float(spearmanr(predicted, scores)[0])  # type: ignore[arg-type]


def simulate(box: Box, count: int, random: np.random.Generator) -> np.ndarray:
    """Mixtures within the bounds, [count, sources]: of every evenness, from one source to equal shares."""
    evenness = np.exp(random.uniform(np.log(0.2), np.log(5.0), count))
    parts = random.standard_gamma(np.repeat(evenness[:, None], len(box.low), 1))
    shares = np.maximum(parts / np.maximum(parts.sum(1, keepdims=True), 1e-300), 1e-9)
    low, high = box.bounds(count)
    free = box.budget - box.low.sum()
    x = np.clip(box.low + shares * free, low, high)
    for _ in range(20):
        x = programme.exact(x, low, high, box.budget)
    kept = x[np.abs(x.sum(1) - box.budget) < 1e-6 * box.budget]
    return kept if len(kept) else programme.level(np.ones(len(box.low)), box)[None]


def _again(learner: str, model: Any, x: np.ndarray, y: np.ndarray) -> Any:
    return Ridge(x, y, model.strength) if learner == "ridge" else Trees(x, y, whole=False)


def _chance(x: np.ndarray, y: np.ndarray, kendall: float, learner: str, random: np.random.Generator) -> float:
    """How often scores in another order are ranked as well, with everything chosen anew."""
    if (
        learner != "ridge"
    ):  # a tree for every run and permutation would take hours; Kendall's own p is of pairs at random
        n = len(y)
        return float(norm.sf(kendall / np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))))
    shuffled = [random.permutation(y) for _ in range(PERMUTATIONS)]
    as_good = sum(agreement(Ridge(x, each).left_out, each)[0] >= kendall for each in shuffled)
    return (1 + as_good) / (1 + PERMUTATIONS)


def _decide(kendall: float, p: float, told: Interval) -> tuple[str, str]:
    if p > CHANCE or kendall <= 0:
        return "uniform", (
            "uniform: runs that the regression has not seen are ranked no better than by chance "
            f"(Kendall {kendall:.2f}, p {p:.2g})"
        )
    gain = f"the 80 % interval of the gain over equal shares, {told.low80:.3g} to {told.high80:.3g},"
    if told.low80 <= 0:
        return "uniform", f"uniform: {gain} does not lie above 0"
    return "optimum", f"unseen runs are ranked (Kendall {kendall:.2f}, p {p:.2g}), and {gain} leaves 0 out"
