"""Mixtures by regression: against scikit-free leave-one-out by hand, planted optima, and noise alone."""

import numpy as np
import pytest

from bailong.compare.law import regmix
from bailong.compare.law.points import Point, Points
from bailong.compare.law.programme import Box
from bailong.compare.law.regmix import Ridge, Table, best, features, table

SOURCES = ["en", "tr", "vi"]
BOX = Box(np.zeros(3), np.full(3, 3000.0), 3000.0)


def runs(planted: float, count: int = 48, world: int = 0) -> Table:
    """Runs whose score is highest at equal parts of the first two sources and none of the third."""
    random = np.random.default_rng(world)
    shares = random.dirichlet(np.ones(3), count)
    return Table(SOURCES, 1000 * shares, 30 + planted * shares[:, 0] * shares[:, 1] + random.normal(0, 0.3, count))


def test_leave_one_out_is_that_of_leaving_out() -> None:
    data = runs(20.0, 20)
    x = features(data.shares, None)
    whole = Ridge(x, data.scores, 1e-3)
    inner = (x - whole.middle) / whole.spread
    for i in (0, 7, 19):
        kept = np.arange(20) != i
        # the same standardization and penalty, the intercept free
        design = np.column_stack([np.ones(19), inner[kept]])
        penalty = 1e-3 * 20 * np.diag([0.0, *np.ones(inner.shape[1])])
        weights = np.linalg.solve(design.T @ design + penalty, design.T @ data.scores[kept])
        assert whole.left_out[i] == pytest.approx(float(np.array([1.0, *inner[i]]) @ weights), abs=1e-8)


def test_a_planted_optimum_is_found_and_kept_within_caps() -> None:
    found = best(runs(20.0), BOX, simulated=20_000, resamples=100)
    assert found.chosen == "optimum" and found.kendall > 0.6 and found.p < 0.01
    assert found.optimum == pytest.approx([1500, 1500, 0], abs=150) and sum(found.take.values()) == 3000
    gain = 20 * (found.optimum[0] * found.optimum[1]) / 3000**2 - 20 / 9
    assert found.interval.low80 > 0 and found.gain == pytest.approx(gain, abs=0.4)
    capped = best(runs(20.0), Box(np.array([0, 0, 600.0]), np.array([900.0, 3000, 3000]), 3000.0), "ridge", 20_000, 50)
    assert capped.optimum[0] <= 900 + 1e-6 and capped.optimum[2] >= 600 - 1e-6
    assert capped.take["en"] == pytest.approx(900, abs=40) and sum(capped.take.values()) == 3000


def test_noise_alone_comes_back_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regmix, "PERMUTATIONS", 59)
    found = [best(runs(0.0, world=world), BOX, simulated=1000, resamples=30) for world in range(20)]
    assert sum(each.chosen == "uniform" for each in found) >= 18
    chance = next(each for each in found if each.p > 0.05)
    assert "no better than by chance" in chance.reason and set(chance.take.values()) == {1000}


def test_trees_rank_runs_too() -> None:
    pytest.importorskip("lightgbm", reason="the extra regmix is not installed")
    found = best(runs(20.0, 60), BOX, "lightgbm", 5000, 20)
    assert found.kendall > 0.5


def test_a_run_is_its_languages_together_and_few_runs_are_refused() -> None:
    mixed = [
        Point(language, score, None, "", f"r{i}", sizes={"a": 10.0 + i, "b": 20.0})
        for i in range(6)
        for language, score in (("tr", 10.0 + i), ("vi", 30.0))
    ]
    data = table(Points(mixed, "chrf"), {}, "up")
    assert data.scores.tolist() == [20 + i / 2 for i in range(6)] and data.sizes[2].tolist() == [12, 20]
    weighted = table(Points(mixed, "chrf"), {"vi": 3.0}, "down")
    assert weighted.scores.tolist() == pytest.approx([-(10 + i + 90) / 4 for i in range(6)])
    with pytest.raises(ValueError, match="at least 5 runs of 2 sources, and there are 4"):
        table(Points(mixed[:8], "chrf"), {}, "up")
    with pytest.raises(ValueError, match="needs the size of every source"):
        table(Points([Point("tr", 1.0, 3.0)], "chrf"), {}, "up")
