"""The allocation of a budget over languages, and whether it is told from sharing equally.

The optimum of a fitted law has always a gain over equal shares, also where the languages are alike and the law only
follows the noise of its points. So the gain is what the whole procedure would have: the laws of one draw of the
bootstrap are allocated by, and those of another draw judge it. Where the 80 % interval of that holds 0, equal shares
are returned.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bailong.compare.law import goal as goals
from bailong.compare.law import programme
from bailong.compare.law.bootstrap import Draws, Interval, interval
from bailong.compare.law.fit import REACH, Fit
from bailong.compare.law.goal import Goal
from bailong.compare.law.programme import Box, Curve

#: draws that are allocated anew where that takes a search each, and for the robust goal; its draws in each
FEW, INSIDE = 100, 64
#: a bound this near to a whole number is that number
WHOLE = 1e-9


@dataclass(frozen=True)
class Gain:
    """What the optimum is predicted to have over another allocation, in units of the goal."""

    value: float
    interval: Interval

    @property
    def told(self) -> bool:
        """Whether the 80 % interval leaves 0 out, above it."""
        return self.interval.low80 > 0


@dataclass(frozen=True)
class Change:
    """What a language's score does when equal shares become the optimum; up is better."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Allocation:
    """Sizes by language, as whole numbers where they are handed on.

    `proportional` is None where no caps or available data say to what. `chosen` is `optimum` or `uniform`, `reason`
    a sentence.
    """

    objective: str
    budget: float
    languages: list[str]
    optimum: np.ndarray
    uniform: np.ndarray
    proportional: np.ndarray | None
    scores: dict[str, np.ndarray]
    over_uniform: Gain
    over_proportional: Gain | None
    changes: list[Change]
    method: str
    chosen: str
    reason: str
    take: dict[str, int]
    notes: list[str]

    @property
    def worst(self) -> int:
        """The language that loses most, or gains least."""
        return int(np.argmin([change.value for change in self.changes]))


@dataclass(frozen=True)
class Wish:
    """What is asked for: the goal, the budget, and per language the bounds.

    `low`, `high` are [languages], `high` infinite without a cap. `unique` are the dialogues that there are (None: not
    told), which are a cap unless `repetition` is the rate at which repeating them saturates.
    """

    goal: Goal
    budget: float
    low: np.ndarray
    high: np.ndarray
    unique: np.ndarray | None = None
    repetition: float | None = None
    force: bool = False

    @property
    def shared(self) -> np.ndarray:
        """Which languages may take a share, [languages]: a cap of 0 takes one out, and so does a weight of 0 that no
        floor stands beside."""
        return (self.low > 0) | ((self.high >= 1) & (self.goal.weights > 0))

    def only(self, kept: np.ndarray) -> "Wish":
        """The wish of these languages alone."""
        weights = self.goal.weights[kept]
        none = None if self.goal.none is None else self.goal.none[kept]
        return replace(
            self,
            goal=replace(self.goal, weights=weights / weights.sum(), none=none),
            low=self.low[kept],
            high=self.high[kept],
            unique=None if self.unique is None else self.unique[kept],
        )


def box_of(
    wish: Wish, languages: list[str], largest: np.ndarray, smallest: np.ndarray | None = None
) -> tuple[Box, list[str]]:
    """The bounds of the programme, in whole dialogues, and what is to be said of them.

    Args:
        largest, smallest: the largest and the smallest size measured of each language; a law is read within three
            times either (None, or a smallest of 0: down to nothing).

    Raises:
        ValueError: the budget does not fit between the bounds.
    """
    low, high, notes = np.ceil(wish.low - WHOLE), wish.high.copy(), []
    if wish.unique is not None and wish.repetition is None:
        high = np.minimum(high, wish.unique)
    high = np.floor(np.minimum(high, wish.budget) + WHOLE)
    beyond = (high > REACH * largest) & (not wish.force)
    if beyond.any():
        high = np.where(beyond, np.floor(REACH * largest + WHOLE), high)
        named = ", ".join(f"{languages[i]} {REACH * largest[i]:,.0f}" for i in np.flatnonzero(beyond))
        notes.append(f"held at {REACH:g} times the largest size measured ({named}); force=true lifts it")
    if low.sum() > wish.budget:
        raise ValueError(
            f"budget={wish.budget:,.0f} is not accepted: it must be at least {low.sum():,.0f}, which the floors "
            "alone take"
        )
    if (low > high).any():
        i = int(np.flatnonzero(low > high)[0])
        raise ValueError(
            f"floors.{languages[i]}={low[i]:,.0f} is not accepted: it must be at most {high[i]:,.0f}, which is "
            "its cap, its available data or the reach of its law"
        )
    if high.sum() < wish.budget:
        held = " (force=true lifts the reach of the laws)" if beyond.any() else ""
        raise ValueError(
            f"budget={wish.budget:,.0f} is not accepted: it must be at most {high.sum():,.0f}, which is all that caps, "
            f"available data and the reach of the laws allow{held}"
        )
    if smallest is not None and not wish.force:
        low = _least(wish, languages, low, high, smallest)
    return Box(low, high, wish.budget), notes


def _least(wish: Wish, languages: list[str], low: np.ndarray, high: np.ndarray, smallest: np.ndarray) -> np.ndarray:
    """Floors so that no law is read further below its points than it is read beyond them."""
    least = np.ceil(smallest / REACH - WHOLE)
    low = np.maximum(low, least)
    if low.sum() > wish.budget:
        raise ValueError(
            f"budget={wish.budget:,.0f} is not accepted: it must be at least {low.sum():,.0f}, for no law is read "
            "below a third of the smallest size measured (force=true lifts it, a cap of 0 leaves a language out)"
        )
    if (least > high).any():
        i = int(np.flatnonzero(least > high)[0])
        raise ValueError(
            f"{languages[i]} can be given at most {high[i]:,.0f}, and its law is read from {least[i]:,.0f}, a third of "
            f"the smallest size measured: give it more, caps.{languages[i]}=0 to leave it out, or force=true"
        )
    return low


def allocate(
    wish: Wish, fits: list[Fit], draws: list[Draws], names: list[str], largest: np.ndarray, seed: int = 0,
    smallest: np.ndarray | None = None,
) -> Allocation:  # fmt: skip
    """The best allocation, its gain over equal and proportional shares, and which of them is returned.

    Args:
        fits, draws, names: by language, in the same order as in the wish.
        largest, smallest: sizes measured of each language, as `box_of` takes them.
    """
    box, notes = box_of(wish, names, np.asarray(largest, dtype=float), smallest)
    robust = wish.goal.name == "robust"
    point = _curves(wish, fits, [_several(each, draw, robust) for each, draw in zip(fits, draws, strict=True)])
    found, method = goals.solve(wish.goal, point, box, seed)
    held = (box.low > np.ceil(wish.low - WHOLE)) & (found[0] <= box.low * (1 + 1e-9))
    if held.any():
        named = ", ".join(f"{names[i]} {box.low[i]:,.0f}" for i in np.flatnonzero(held))
        notes.append(f"held at a third of the smallest size measured ({named}); force=true lifts it")
    uniform = programme.level(np.ones(len(names)), box)
    shares = wish.unique if wish.unique is not None else wish.high if np.isfinite(wish.high).all() else None
    proportional = None if shares is None or shares.min() <= 0 else programme.level(shares, box)

    anew, judges = _procedure(wish, fits, draws, box, method, seed)
    judged = programme.values(judges, anew)
    baseline = {"uniform": uniform} | ({} if proportional is None else {"proportional": proportional})
    sizes = {"optimum": found[0]} | baseline
    scores = {name: programme.values(point, x[None])[0] for name, x in sizes.items()}
    there = {name: programme.values(judges, np.tile(x, (len(anew), 1))) for name, x in baseline.items()}
    best = wish.goal.score(scores["optimum"][None])[0]

    # the draws behind `judged` are widened already; of languages with different numbers of runs the fewest count
    free = min(draw.free for draw in draws)

    def gain(name: str) -> Gain:
        apart = wish.goal.score(judged) - wish.goal.score(there[name])
        return Gain(float(best - wish.goal.score(scores[name][None])[0]), interval(apart[np.isfinite(apart)], free))

    apart = judged - there["uniform"]
    moved = scores["optimum"] - scores["uniform"]
    changes = [Change(float(moved[i]), interval(apart[:, i], draws[i].free)) for i in range(len(names))]
    over = gain("uniform")
    chosen, reason = _decide(over, len(names))
    final = sizes[chosen]
    take = dict(zip(names, programme.whole(final, box.low, box.high, box.budget), strict=True))
    return Allocation(
        wish.goal.name, wish.budget, names, found[0], uniform, proportional, scores, over,
        None if proportional is None else gain("proportional"), changes, method, chosen, reason, take, notes,
    )  # fmt: skip


def _decide(over: Gain, languages: int) -> tuple[str, str]:
    if languages == 1:
        return "uniform", "one language takes the whole budget"
    low, high = over.interval.low80, over.interval.high80
    if over.told:
        return "optimum", f"the 80 % interval of its gain over equal shares, {low:.3g} to {high:.3g}, leaves 0 out"
    return "uniform", (
        f"uniform: the 80 % interval of the optimum's gain over equal shares, {low:.3g} to {high:.3g}, holds 0"
        if high >= 0
        else f"uniform: with other runs the optimum would lose to equal shares, {low:.3g} to {high:.3g}"
    )


def _several(each: Fit, draw: Draws, robust: bool) -> np.ndarray:
    """Parameters of the one programme, [1, draws, k]: of the fit, or for the robust goal of every draw."""
    return draw.p[None] if robust else each.p[None, None]


def _curves(wish: Wish, fits: list[Fit], parameters: list[np.ndarray]) -> list[Curve]:
    found = []
    for i, (each, p) in enumerate(zip(fits, parameters, strict=True)):
        sign = -1.0 if each.law.direction == "down" else 1.0
        unique = None if wish.unique is None else float(wish.unique[i])
        found.append(Curve(each.law, p, sign, unique, wish.repetition))
    return found


def _procedure(
    wish: Wish, fits: list[Fit], draws: list[Draws], box: Box, method: str, seed: int
) -> tuple[np.ndarray, list[Curve]]:
    """Sizes [draws, languages] that each draw's laws make best, and the laws of the next draw, which judge them."""
    robust = wish.goal.name == "robust"
    n = len(draws[0].p)
    n = min(n, FEW) if robust or method == "slsqp" else n
    spread = [draw.around(each.p)[:n] for each, draw in zip(fits, draws, strict=True)]
    ps = [p[:, None] for p in spread]
    if robust:
        # a draw stands for the fit, and the spread of the draws around the fit for the draws around it
        around = [draw.p[None, :INSIDE] - each.p for each, draw in zip(fits, draws, strict=True)]
        ps = [p + apart for p, apart in zip(ps, around, strict=True)]
    aimed = _curves(wish, fits, ps)
    anew, _ = goals.solve(wish.goal, aimed, box, seed)
    return anew, [replace(curve, p=np.roll(p, -1, axis=0)[:, None]) for curve, p in zip(aimed, spread, strict=True)]


def told(allocation: Allocation) -> dict[str, Any]:
    """As JSON values, by language where there is one for each."""

    def by_language(values: Any) -> dict[str, float]:
        return {name: float(value) for name, value in zip(allocation.languages, values, strict=True)}

    return {
        "objective": allocation.objective,
        "goal": goals.GOALS[allocation.objective],
        "budget": allocation.budget,
        "method": allocation.method,
        "chosen": allocation.chosen,
        "reason": allocation.reason,
        "take": allocation.take,
        "optimum": by_language(allocation.optimum),
        "uniform": by_language(allocation.uniform),
        "proportional": None if allocation.proportional is None else by_language(allocation.proportional),
        "scores": {name: by_language(values) for name, values in allocation.scores.items()},
        "gain_over_uniform": gain(allocation.over_uniform),
        "gain_over_proportional": None if allocation.over_proportional is None else gain(allocation.over_proportional),
        "changes": {
            name: {"value": change.value, **change.interval._asdict()}
            for name, change in zip(allocation.languages, allocation.changes, strict=True)
        },
        "worst": allocation.languages[allocation.worst],
        "notes": allocation.notes,
    }


def gain(found: Gain) -> dict[str, float]:
    return {"value": found.value, **found.interval._asdict()}
