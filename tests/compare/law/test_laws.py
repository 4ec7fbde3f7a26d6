"""Laws, fits, intervals and verdicts against planted truths, formulas by hand and SciPy."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize

from bailong.compare.law import choice, laws
from bailong.compare.law.bootstrap import draw
from bailong.compare.law.descent import Scale, descend
from bailong.compare.law.fit import Series, fit, judge, noise, pooled, predict
from bailong.compare.law.laws import DataPower, LogMetric, PowerCeiling, Rectified
from bailong.compare.law.points import Point, Points
from tests.compare.law.worlds import SIZES, powers

UP, DOWN = Scale(False, 0.3), Scale(True, 1e-3)
#: law, scale, its parameters as printed, and its formula by hand
PLANTED = {
    "power_ceiling": (PowerCeiling(), UP, (75.0, -0.1), lambda x, a, b: 100 - a * x**b),
    "power_ceiling, fitted": (PowerCeiling(None), UP, (90.0, -0.15, 93.0), lambda x, a, b, c: c - a * x**b),
    "power_ceiling, g": (PowerCeiling(100, 0.6), UP, (75.0, -0.1), lambda x, a, b: 100 - a * (0.6 * x) ** b),
    "log_metric": (LogMetric(11.0), UP, (2.5, 0.4, 2.2), lambda x, la, alpha, b: (la + alpha * np.log(x)) ** b),
    "data_power": (DataPower(), DOWN, (0.9, 8.0, 0.3), lambda x, e, b, beta: e + b / x**beta),
    "rectified": (Rectified(), DOWN, (0.9, 200.0, 150.0, 0.5), lambda x, e, b, d, beta: b / (d + x**beta) + e),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_parameters_are_found_again(name: str) -> None:
    law, scale, truth, formula = PLANTED[name]
    found = judge(law, Series("l", SIZES, formula(SIZES, *truth), np.zeros(6)), scale)
    assert law.natural(found.p) == pytest.approx(truth, rel=1e-6)
    assert found.share > 0.2 and found.largest_out == pytest.approx(0, abs=1e-6)
    assert predict(found, np.array([64e3]), SIZES.max()) == pytest.approx(formula(64e3, *truth), rel=1e-9)


@pytest.mark.parametrize("name", PLANTED)
def test_a_slope_is_the_derivative(name: str) -> None:
    law, scale, truth, formula = PLANTED[name]
    p = fit(law, Series("l", SIZES, formula(SIZES, *truth), np.zeros(6)), scale).p
    for x in (12e3, 300e3):
        by_hand = float(formula(x + 1, *truth) - formula(x - 1, *truth)) / 2
        assert law.slope(np.array(x), p) == pytest.approx(by_hand, rel=1e-4)
        if (steep := law.steep(p)) is not None:
            assert np.exp(steep[0]) * x ** -(steep[1] + 1) == pytest.approx(abs(by_hand), rel=1e-4)


def test_the_fit_is_scipys_with_and_without_outliers() -> None:
    """Huber's loss against a general minimizer; with a wide Huber, against plain least squares."""
    random = np.random.default_rng(3)
    y = 100 - 75 * SIZES**-0.1 + random.normal(0, 0.4, 6)
    y[2] += 5

    def loss(p: np.ndarray) -> float:
        left = np.abs(100 - np.exp(p[0]) * SIZES ** -np.exp(p[1]) - y)
        return float(np.where(left <= 0.3, left**2 / 2, 0.3 * (left - 0.15)).sum())

    start = np.log([60.0, 0.08])
    theirs = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-12, "fatol": 1e-15, "maxiter": 9000})
    one = Series("l", SIZES, y, np.zeros(6))
    assert fit(PowerCeiling(), one, UP).cost <= theirs.fun + 1e-12
    assert fit(PowerCeiling(), one, UP).p == pytest.approx(theirs.x, abs=1e-5)
    plain, _ = curve_fit(lambda x, a, b: 100 - a * x**b, SIZES, y, p0=(60, -0.08))
    wide = fit(PowerCeiling(), one, Scale(False, 1e6))
    assert PowerCeiling().natural(wide.p) == pytest.approx(plain, rel=1e-5)


def test_a_thousand_fits_at_once_are_those_one_by_one() -> None:
    random = np.random.default_rng(5)
    ys = 100 - 75 * SIZES**-0.1 + random.normal(0, 0.5, (40, 6))
    weights = random.integers(0, 3, (40, 6)).astype(float) + 0.5
    together, costs = descend(PowerCeiling(), SIZES, ys, np.tile(np.log([60.0, 0.08]), (40, 1)), UP, weights)
    for y, w, p, cost in zip(ys, weights, together, costs, strict=True):

        def loss(q: np.ndarray, y: np.ndarray = y, w: np.ndarray = w) -> float:
            left = np.abs(100 - np.exp(q[0]) * SIZES ** -np.exp(q[1]) - y)
            return float((w * np.where(left <= 0.3, left**2 / 2, 0.3 * (left - 0.15))).sum())

        assert loss(p) == pytest.approx(cost)
        assert cost <= minimize(loss, p, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14}).fun + 1e-9


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Two hundred worlds, three seeds each: the 80 % interval of either parameter covers in 70 to 90 of 100."""
    worlds, held, law = 200, np.zeros((2, 2)), PowerCeiling()
    for world in range(worlds):
        series = powers([75.0], [-0.1], 0.3, 3, world)
        fits = [fit(law, series[0], UP, starts=16)]
        drawn = draw(fits, series, UP, 200, world)[0]
        assert drawn.how == "runs"
        for i, truth in enumerate((75.0, -0.1)):
            found = drawn.interval(law.natural(drawn.p)[:, i])
            held[i] += found.low80 <= truth <= found.high80, found.low95 <= truth <= found.high95
    assert np.all((held[:, 0] >= 0.7 * worlds) & (held[:, 0] <= 0.9 * worlds)), held
    assert np.all(held[:, 1] >= 0.88 * worlds), held


def test_a_single_run_draws_its_residuals_and_a_base_is_in_every_sample() -> None:
    one = powers([75.0], [-0.1], 0.3, 1, 0)[0]
    assert draw([fit(PowerCeiling(), one, UP)], [one], UP, 50)[0].how == "residuals"
    x, seeds = np.tile([0.0, *SIZES], 3), np.repeat(["", "a", "b"], 7)
    kept = (x > 0) & (seeds != "") | (x == 0) & (seeds == "")
    based = Series("l", x[kept], 200 / (150 + x[kept] ** 0.5) + 0.9, seeds[kept])
    assert (based.x == 0).sum() == 1
    drawn = draw([fit(Rectified(), based, DOWN)], [based], DOWN, 50)[0]
    assert drawn.how == "runs"
    at_zero = Rectified().predict(np.array(0.0), drawn.p)
    assert at_zero == pytest.approx(np.full(50, 200 / 150 + 0.9), rel=1e-4)


def test_g_and_the_factor_are_one_number() -> None:
    """g doubled and a times 2^-b: the same predictions; so one language cannot tell them apart."""
    y = 100 - 75 * (0.4 * SIZES) ** -0.1
    plain, doubled = (fit(PowerCeiling(100, g), Series("l", SIZES, y, np.zeros(6)), UP) for g in (0.4, 0.8))
    a, b = PowerCeiling().natural(plain.p)
    assert PowerCeiling().natural(doubled.p) == pytest.approx((a * 2**-b, b), rel=1e-6)
    x = np.geomspace(1e3, 1e6, 20)
    assert plain.predict(x) == pytest.approx(doubled.predict(x), rel=1e-9)


def test_beyond_three_times_the_largest_size_must_be_forced() -> None:
    found = fit(PowerCeiling(), powers([75.0], [-0.1], 0, 1, 0)[0], UP)
    assert predict(found, np.array([960e3]), 320e3) == pytest.approx(100 - 75 * 960e3**-0.1)
    with pytest.raises(ValueError, match=r"961,000 .* at most 3 times the largest one measured, 320,000; force=true"):
        predict(found, np.array([961e3]), 320e3)
    assert predict(found, np.array([961e3]), 320e3, force=True) == pytest.approx(100 - 75 * 961e3**-0.1)


def test_pooling_finds_the_most_probable_parameters() -> None:
    """Against SciPy on the whole joint objective: factors, exponents and their mean."""
    series = powers([75.0, 80.0, 70.0], [-0.1, -0.12, -0.09], 0.6, 2, 1)
    scale = Scale(False, 1e6)
    alone = [fit(PowerCeiling(), one, scale) for one in series]
    weight = noise(alone) ** 2 / 0.3**2
    found = pooled(alone, series, scale, 0.3)

    def loss(q: np.ndarray) -> float:
        total = 0.0
        for i, one in enumerate(series):
            left = 100 - np.exp(q[2 * i]) * one.x ** -np.exp(q[2 * i + 1]) - one.y
            total += 0.5 * float(left @ left) + 0.5 * weight * (q[2 * i + 1] - q[6]) ** 2
        return total

    mine = np.concatenate([*(each.p for each in found), [np.mean([each.p[1] for each in found])]])
    assert loss(mine) <= minimize(loss, mine, method="BFGS", options={"gtol": 1e-10}).fun + 1e-9
    spread = [np.std([each.p[1] for each in group]) for group in (found, alone)]
    assert spread[0] < spread[1]


def points(found: list[Series], score: str = "chrf", **more: object) -> Points:
    return Points(
        [
            Point(one.language, float(y), float(x), str(unit), **more)  # type: ignore[arg-type]
            for one in found
            for x, y, unit in zip(one.x, one.y, one.units, strict=True)
        ],
        score,
    )


def judged(told: Points, **more: object) -> choice.Verdict:
    how = choice.setting(told, "auto", None, None)
    series, _ = choice.series(told)
    return choice.verdict(choice.candidates(series, how, {}, 16, 0), "auto")


def test_a_planted_law_beats_its_nulls_and_a_line_beats_every_law() -> None:
    good = judged(points(powers([75.0, 60.0], [-0.3, -0.2], 0.02, 2, 0)))
    assert good.usable and good.chosen.name == "power_ceiling"
    for name, scores in {"line": 20 + 4 * np.log(SIZES), "flat": 50 + 0.0 * SIZES}.items():
        bad = judged(points([Series("l", SIZES, scores, np.zeros(6))]))
        assert not bad.usable and "no law beats its null" in bad.reason, name


def test_noise_beats_no_null_by_a_hair() -> None:
    """Scores without any trend: with a margin and the criterion few of many worlds find a law."""
    usable = 0
    for world in range(40):
        y = 50 + np.random.default_rng(world).normal(0, 1, 18)
        one = Series("l", np.tile(SIZES, 3), y, np.repeat(np.arange(3), 6).astype(str))
        usable += judged(points([one])).usable
    assert usable <= 4
    first = choice.Candidate("power_ceiling", [], 10.0, 0.96)
    nulls = {"constant": choice.Candidate("constant", [], 11.0, 1.0), "log_linear": choice.Candidate("l", [], 0.0, 2.0)}
    assert not choice._beats(first, nulls) and choice._beats(dataclasses.replace(first, largest_out=0.94), nulls)
    assert not choice._beats(dataclasses.replace(first, largest_out=0.1, aicc=11.5), nulls)


def test_akaikes_criterion_by_hand() -> None:
    one = powers([75.0], [-0.1], 0.3, 2, 4)[0]
    found = judge(PowerCeiling(), one, Scale(False, 1e6))
    rss, n, k = float(found.residuals @ found.residuals), 12, 3
    assert found.aicc == pytest.approx(n * np.log(rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
    assert judge(Rectified(), dataclasses.replace(one, y=one.y / 100).where(np.arange(12) < 6), DOWN).aicc == np.inf


def test_the_direction_is_by_name_or_by_trend_and_laws_are_for_one() -> None:
    rising, falling = powers([75.0], [-0.1], 0, 1, 0), [Series("l", SIZES, 1 + 8 * SIZES**-0.3, np.zeros(6))]
    assert choice.setting(points(falling, "score"), "auto", None, None).direction == "down"
    assert choice.setting(points(rising, "score"), "auto", None, None).direction == "up"
    assert choice.setting(points(rising, "eval/bpb"), "auto", None, None).direction == "down"
    assert choice.setting(points(falling, "pud.chrf"), "auto", None, None).direction == "up"
    up = {law.name for law in laws.candidates("up", 100, 100, 1, 9) if not law.null}
    down = {law.name for law in laws.candidates("down", None, 100, 1, 9) if not law.null}
    assert up == {"power_ceiling", "log_metric"} and down == {"data_power", "rectified"}
    assert choice.setting(points([Series("l", SIZES, SIZES / 4e5, np.zeros(6))]), "up", None, None).ceiling == 1.0
    flat = points([Series("l", SIZES, 1 + 0.0 * SIZES, np.zeros(6))], "score")
    one_each = points([*rising, *falling], "score")
    sizeless = Points([Point("tr", 2.0, None, "", "r", sizes={"a": 1.0})], "score")
    for told in (flat, one_each, sizeless):
        if told is one_each:
            told.points[6:] = [dataclasses.replace(point, language="m") for point in told.points[6:]]
        with pytest.raises(ValueError, match="give direction=up or direction=down"):
            choice.setting(told, "auto", None, None)
    with pytest.raises(ValueError, match="above 0"):
        choice.setting(points([Series("l", SIZES, -SIZES, np.zeros(6))]), "down", None, None)
    with pytest.raises(ValueError, match="at most the ceiling, 100"):
        choice.setting(points([Series("l", SIZES, SIZES, np.zeros(6))]), "up", None, None)


def test_a_score_that_falls_while_the_loss_falls_is_told() -> None:
    def told(scores: list[float], losses: list[float]) -> list[str]:
        found = [Point("tr", s, x, "0", loss=loss) for s, x, loss in zip(scores, SIZES, losses, strict=True)]
        return choice.misled(Points(found, "chrf"), "up")

    falling = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5]
    assert told([40, 42, 44, 45, 46, 47], falling) == []
    assert told([40, 42, 44, 43, 41, 38], falling[::-1]) == []
    warned = told([40, 42, 44, 43, 41, 38], falling)
    assert len(warned) == 1 and "from 40,000 to 320,000 the score gets worse (44 to 38)" in warned[0]
