"""Allocations against the conditions of the optimum, SLSQP, and what must hold of any."""

import dataclasses

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm, t

from bailong.compare.law import saturation
from bailong.compare.law.allocate import Allocation, Wish, allocate, box_of
from bailong.compare.law.bootstrap import Draws, draw
from bailong.compare.law.descent import Scale
from bailong.compare.law.fit import Fit, fit
from bailong.compare.law.goal import Goal
from bailong.compare.law.laws import PowerCeiling, Rectified
from bailong.compare.law.programme import whole
from tests.compare.law.worlds import powers

A = np.array([70.0, 80.0, 90.0, 60.0, 75.0, 85.0])
B = np.array([-0.08, -0.1, -0.12, -0.15, -0.09, -0.11])
NAMES = [f"l{i}" for i in range(6)]
SCALE = Scale(False, 0.3)


def known(factors: np.ndarray, exponents: np.ndarray, spread: float = 0.0) -> tuple[list[Fit], list[Draws]]:
    """Fits of known laws, and draws around them."""
    random = np.random.default_rng(0)
    fits, draws = [], []
    for a, b in zip(factors, exponents, strict=True):
        p = np.log([a, -b])
        fits.append(Fit(PowerCeiling(), p, 0.0, 1.0, np.zeros(6)))
        draws.append(Draws(p + spread * random.normal(size=(40, 2)), "runs", 9, 1.0))
    return fits, draws


def made(goal: Goal | str, budget: float, high: float | np.ndarray = np.inf, **more: object) -> Allocation:
    fits, draws = known(A, B, float(more.pop("spread", 0.0)))  # type: ignore[arg-type]
    goal = Goal(goal, np.full(6, 1 / 6)) if isinstance(goal, str) else goal
    low = np.broadcast_to(np.asarray(more.pop("low", 0.0), dtype=float), (6,))
    asked = Wish(goal, budget, low, np.broadcast_to(np.asarray(high, dtype=float), (6,)), force=True, **more)  # type: ignore[arg-type]
    return allocate(asked, fits, draws, NAMES, np.full(6, 320e3))


def scores(x: np.ndarray) -> np.ndarray:
    return 100 - A * np.maximum(x, 1e-300) ** B


def marginals(x: np.ndarray) -> np.ndarray:
    return -A * B * x ** (B - 1)


@pytest.mark.parametrize("budget", [6e4, 1.2e6])
@pytest.mark.parametrize("cap", [np.inf, 0.18])
def test_marginals_are_equal_off_the_caps_and_scipy_finds_no_better(budget: float, cap: float) -> None:
    high = cap * budget
    x = made("mean", budget, high).optimum
    free = x < high * (1 - 1e-9)
    assert x.sum() == pytest.approx(budget, abs=1e-9 * budget)
    assert 1 < free.sum() < (7 if cap == np.inf else 6)
    assert marginals(x)[free] == pytest.approx(np.full(free.sum(), marginals(x)[free][0]), rel=1e-6)
    assert np.all(marginals(x)[~free] >= marginals(x)[free].max() * (1 - 1e-6))
    theirs = minimize(
        lambda z: -scores(z * budget).mean(), np.full(6, 1 / 6), method="SLSQP",
        bounds=[(1e-6, min(cap, 1.0))] * 6, constraints=[{"type": "eq", "fun": lambda z: z.sum() - 1}],
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert scores(x).mean() == pytest.approx(-theirs.fun, abs=1e-4)
    assert scores(x).mean() >= -theirs.fun - 1e-9


def test_identical_languages_get_equal_shares_exactly_and_a_cap_is_poured_over() -> None:
    fits, draws = known(np.full(6, 75.0), np.full(6, -0.1))
    asked = Wish(Goal("mean", np.full(6, 1 / 6)), 60e3, np.zeros(6), np.full(6, np.inf))
    x = allocate(asked, fits, draws, NAMES, np.full(6, 32e3)).optimum
    assert len(set(x.tolist())) == 1 and x[0] == pytest.approx(10e3, rel=1e-12)
    capped = Wish(asked.goal, 60e3, np.zeros(6), np.array([4e3, *[np.inf] * 5]))
    x = allocate(capped, fits, draws, NAMES, np.full(6, 32e3)).optimum
    assert x == pytest.approx([4e3, *[56e3 / 5] * 5], rel=1e-9)


@pytest.mark.parametrize("name", ["mean", "maxmin"])
def test_more_budget_takes_from_nobody(name: str) -> None:
    before = np.zeros(6)
    for budget in (3e4, 6e4, 12e4, 24e4, 48e4):
        after = made(name, budget, 150e3).optimum
        assert np.all(after >= before - 1e-6)
        before = after


def test_weights_and_floors() -> None:
    weights = np.array([3.0, 1, 1, 1, 1, 1]) / 8
    x = made(Goal("weighted", weights), 6e5, low=np.array([0, 0, 0, 9e4, 0, 0])).optimum
    assert x[3] == pytest.approx(9e4)
    free = np.array([0, 1, 2, 4, 5])
    assert (weights * marginals(x))[free] == pytest.approx(np.full(5, (weights * marginals(x))[0]), rel=1e-6)


def test_maxmin_levels_scores_and_gap_stops_at_the_level() -> None:
    x = made("maxmin", 1.2e6, 4e5).optimum
    held = x > 4e5 * (1 - 1e-9)
    assert held.any() and scores(x)[~held] == pytest.approx(np.full((~held).sum(), scores(x)[~held][0]), abs=1e-6)
    assert np.all(scores(x)[held] <= scores(x)[~held][0])
    gap = made(Goal("gap", np.full(6, 1 / 6), level=84.0), 1.2e6).optimum
    reached = scores(gap) > 84 - 1e-6
    assert reached.any() and not reached.all() and scores(gap)[reached] == pytest.approx(np.full(reached.sum(), 84.0))
    assert marginals(gap)[~reached] == pytest.approx(np.full((~reached).sum(), marginals(gap)[~reached][0]), rel=1e-6)


def test_nash_is_scipys_and_needs_a_gain_for_everybody() -> None:
    none = np.array([50.0, 60, 40, 70, 55, 45])
    x = made(Goal("nash", np.full(6, 1 / 6), none=none), 6e5).optimum
    share = marginals(x) / (scores(x) - none)
    assert share == pytest.approx(np.full(6, share[0]), rel=1e-6)
    with pytest.raises(ValueError, match="gains nothing over no data"):
        made(Goal("nash", np.full(6, 1 / 6), none=np.full(6, 99.0)), 6e5)


def test_robust_makes_the_mean_over_the_draws_highest() -> None:
    x = made("robust", 6e5, spread=0.1).optimum
    _, draws = known(A, B, 0.1)
    p = np.stack([each.p for each in draws])  # [languages, draws, 2]
    slopes = (np.exp(p[..., 0] + p[..., 1]) * x[:, None] ** (-np.exp(p[..., 1]) - 1)).mean(1)
    assert slopes == pytest.approx(np.full(6, slopes[0]), rel=1e-6)


def test_what_is_not_concave_is_searched_from_many_starts() -> None:
    """With exponents above 1 the law begins with a stretch on which more helps ever more: equal shares are a trap."""
    p = np.log([0.5, 2e4, 1e4, 1.5])
    fits = [Fit(Rectified(), p, 0.0, 1.0, np.zeros(6))] * 3
    draws = [Draws(np.tile(p, (4, 1)), "runs", 9, 1.0)] * 3
    asked = Wish(Goal("mean", np.full(3, 1 / 3)), 600.0, np.zeros(3), np.full(3, np.inf))
    found = allocate(asked, fits, draws, ["a", "b", "c"], np.full(3, 600.0))
    assert found.method == "slsqp"

    def loss(x: np.ndarray) -> np.ndarray:
        return (2e4 / (1e4 + x**1.5) + 0.5).mean(-1)

    grid = np.array([(i, j, 600 - i - j) for i in range(0, 601, 10) for j in range(0, 601 - i, 10)], dtype=float)
    assert loss(found.optimum) <= loss(grid).min() + 1e-4 < loss(np.full(3, 200.0))


def test_equal_laws_come_back_uniform_and_unequal_ones_do_not() -> None:
    """Planted equal laws and noise: equal shares in at least 80 of 100 worlds; clear differences: the optimum."""
    goal, answers = Goal("mean", np.full(4, 1 / 4)), []
    for world in range(40):
        series = powers([75.0] * 4, [-0.1] * 4, 0.3, 3, world)
        fits = [fit(PowerCeiling(), one, SCALE, starts=16) for one in series]
        draws = draw(fits, series, SCALE, 100, world)
        found = allocate(Wish(goal, 4e5, np.zeros(4), np.full(4, np.inf)), fits, draws, NAMES[:4], np.full(4, 320e3))
        assert found.over_uniform.value >= 0, "the optimum of a law always gains by that law"
        answers.append(found.chosen)
    assert answers.count("uniform") >= 32
    fits, draws = known(A, B, 0.01)
    clear = allocate(
        Wish(Goal("mean", np.full(6, 1 / 6)), 6e4, np.zeros(6), np.full(6, np.inf)), fits, draws, NAMES, np.full(6, 3e4)
    )
    assert clear.chosen == "optimum" and clear.over_uniform.interval.low80 > 0
    gain = scores(clear.optimum).mean() - scores(np.full(6, 1e4)).mean()
    assert clear.over_uniform.value == pytest.approx(gain, abs=1e-9)
    change = scores(clear.optimum) - scores(np.full(6, 1e4))
    assert clear.worst == int(change.argmin()) and clear.changes[clear.worst].value == pytest.approx(change.min())


def test_saturation_is_continuous_with_slope_one_and_is_what_the_slope_adds_up_to() -> None:
    unique, rate, step = 5000.0, 1.7, 1e-3
    at = [float(saturation.effective(np.array(unique + d), unique, rate)) for d in (-step, 0.0, step)]
    assert at[1] == unique
    assert (at[1] - at[0]) / step == pytest.approx(1, abs=1e-6) and (at[2] - at[1]) / step == pytest.approx(1, abs=1e-6)
    for size in (3000.0, 9000.0, 40e3):
        area = quad(lambda d: float(saturation.slope(np.array(d), unique, rate)), 0, size, points=[unique], limit=200)[
            0
        ]
        assert saturation.effective(np.array(size), unique, rate) == pytest.approx(area, rel=1e-8)
    by_hand = unique * (1 + (1 - np.exp(-rate * (9000 / unique - 1))) / rate)
    assert saturation.effective(np.array(9000.0), unique, rate) == pytest.approx(by_hand)


def test_repeated_data_are_worth_less_and_may_go_beyond_what_there_is() -> None:
    unique = np.array([2e4, *[1e6] * 5])
    x = made("mean", 6e5, unique=unique, repetition=1.0).optimum
    assert 2e4 < x[0] < made("mean", 6e5).optimum[0]
    worth = saturation.effective(x[:1], 2e4, 1.0)
    mine = (-A[0] * B[0] * worth ** (B[0] - 1) * saturation.slope(x[:1], 2e4, 1.0))[0]
    assert mine == pytest.approx(marginals(x)[1], rel=1e-6)
    assert made("mean", 6e5, unique=unique).optimum[0] == pytest.approx(2e4)


def test_a_budget_that_does_not_fit_is_one_line() -> None:
    def box(budget: float, low: float = 0.0, high: float = np.inf, force: bool = False) -> list[str]:
        asked = Wish(Goal("mean", np.full(2, 0.5)), budget, np.full(2, low), np.full(2, high), force=force)
        return box_of(asked, ["tr", "vi"], np.array([1000.0, 2000.0]))[1]

    assert (
        box(5000) == ["held at 3 times the largest size measured (tr 3,000); force=true lifts it"]
        and box(5000, force=True) == []
    )
    for asked, said in {
        (10_000.0, 0.0, np.inf): r"budget=10,000 is not accepted: it must be at most 9,000.*force=true lifts the reach",
        (1000.0, 600.0, np.inf): "budget=1,000 is not accepted: it must be at least 1,200, which the floors alone take",
        (5000.0, 0.0, 2000.0): "at most 4,000, which is all that caps",
        (5000.0, 900.0, 800.0): "floors.tr=900 is not accepted: it must be at most 800",
    }.items():
        with pytest.raises(ValueError, match=said):
            box(*asked)


def test_bounds_are_whole_dialogues_and_the_take_adds_up_within_them() -> None:
    fits, draws = known(A[:3], B[:3], 0.01)
    random = np.random.default_rng(1)
    for _ in range(12):
        low, high = random.uniform(0, 3333.3, 3), random.uniform(3400, 9e3, 3)
        budget = float(random.integers(int(np.ceil(low).sum()), int(np.floor(high).sum()) + 1))
        asked = Wish(Goal("mean", np.full(3, 1 / 3)), budget, low, high)
        take = np.array(list(allocate(asked, fits, draws, NAMES[:3], np.full(3, 32e3)).take.values()))
        assert take.sum() == budget and np.all((low <= take) & (take <= high))
    with pytest.raises(ValueError, match="it must be at least 10,002, which the floors alone take"):
        box_of(Wish(Goal("mean", np.full(3, 1 / 3)), 1e4, np.full(3, 3333.2), np.full(3, np.inf)), NAMES, np.ones(3))
    with pytest.raises(ValueError, match="it must be at most 9,999"):
        box_of(Wish(Goal("mean", np.full(3, 1 / 3)), 1e4, np.zeros(3), np.full(3, 3333.9)), NAMES, np.full(3, 1e9))


def test_no_law_is_read_far_below_its_smallest_size() -> None:
    """Two languages whose marginals differ a thousandfold: the flat one still gets a third of its smallest size."""
    fits, draws = known(np.array([90.0, 1e-2]), np.array([-0.3, -0.3]), 0.01)
    names, largest, smallest = ["tr", "vi"], np.full(2, 32e3), np.array([0.0, 900.0])

    def asked(budget: float, high: float = np.inf, force: bool = False) -> Wish:
        return Wish(Goal("mean", np.full(2, 0.5)), budget, np.zeros(2), np.array([np.inf, high]), force=force)

    held = allocate(asked(5e3), fits, draws, names, largest, 0, smallest)
    assert held.optimum == pytest.approx([4700, 300])
    assert "held at a third of the smallest size measured (vi 300); force=true lifts it" in held.notes
    assert allocate(asked(5e3, force=True), fits, draws, names, largest, 0, smallest).optimum[1] < 30
    for wish, said in (
        (asked(200), "budget=200 is not accepted: it must be at least 300, for no law is read below"),
        (asked(5e3, 299.9), "vi can be given at most 299, and its law is read from 300"),
    ):
        with pytest.raises(ValueError, match=said):
            box_of(wish, names, largest, smallest)


def test_intervals_of_gain_and_changes_have_the_degrees_of_freedom_of_the_runs() -> None:
    """The same draws of three runs and of many: by Student's t and its quantiles, not by those of the normal."""
    found = {}
    for free in (2, 10**6):
        fits, draws = known(A, B, 0.05)
        draws = [dataclasses.replace(each, free=free) for each in draws]
        asked = Wish(Goal("mean", np.full(6, 1 / 6)), 6e5, np.zeros(6), np.full(6, np.inf))
        found[free] = allocate(asked, fits, draws, NAMES, np.full(6, 320e3))
    tail = norm.cdf(-t.ppf(0.9, 2))
    assert tail == pytest.approx(0.0297, abs=1e-4), "the quantiles of 3 to 97 % stand for those of 10 to 90 %"
    pairs = [(found[f].over_uniform, *found[f].changes) for f in (2, 10**6)]
    for few, many in zip(*pairs, strict=True):
        assert few.interval.low80 < many.interval.low80 and few.interval.high80 > many.interval.high80


def test_whole_numbers_keep_the_sum_and_the_caps() -> None:
    x, high = np.array([10.4, 20.4, 30.4, 8.8]), np.array([10.4, 99, 99, 99])
    assert whole(x, np.zeros(4), high, 70.0) == [10, 21, 30, 9]
    assert sum(whole(np.full(7, 100 / 7), np.zeros(7), np.full(7, np.inf), 100.0)) == 100
