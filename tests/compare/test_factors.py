"""Alpha or rank? Three settings of which two share one with the third."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from bailong.compare import factors, table
from bailong.compare.comparison import compare_runs
from bailong.compare.page import page
from bailong.compare.runs import read
from bailong.compare.settings import Compare
from bailong.compare.statistics import Estimate
from tests.compare.folders import config, write_run

SETTINGS = {"r8_a32": (8, 32), "r16_a32": (16, 32), "r16_a48": (16, 48)}
BY = ["adapter.rank", "adapter.alpha"]


def sweep(folder, ends):
    """Runs whose last bits per byte are `ends`, by setting and seed."""
    for name, values in ends.items():
        rank, alpha = SETTINGS[name]
        for seed, end in enumerate(values):
            tree = config(seed=seed)
            tree["adapter"] = {"name": "linears", "rank": rank, "alpha": float(alpha)}
            write_run(folder / f"adapter={name},seed={seed}", [3.0, 2.5, end], seed=seed, settings=tree)
    return compare_runs(read([folder]), BY, ["16", "32"])


APART = {"r8_a32": [2.01, 2.11, 2.05], "r16_a32": [2.00, 2.10, 2.04], "r16_a48": [1.80, 1.91, 1.84]}
ALIKE = {"r8_a32": [2.01, 2.02], "r16_a32": [2.00, 2.10], "r16_a48": [1.99, 2.13]}


def test_the_steps_and_what_is_between_them_are_those_of_the_pairs(tmp_path):
    (corner,) = factors.corners(sweep(tmp_path, APART))
    assert corner.values == (("16", "32"), ("8", "32"), ("16", "48"))
    shared, rank, alpha = (np.array(APART[name]) for name in ("r16_a32", "r8_a32", "r16_a48"))
    for effect, values in zip(corner.effects, (rank - shared, alpha - shared), strict=True):
        test = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (effect.estimate.low, effect.estimate.high) == pytest.approx((test.low, test.high))
    further = -(alpha - shared) - (rank - shared)  # alpha lowers, the smaller rank raises
    assert corner.more.estimate.mean == pytest.approx(further.mean()) and corner.more.apart
    (question, said) = next(factors.findings(sweep(tmp_path / "again", APART)))
    assert question == "alpha or rank?"
    assert "The step in alpha moves it further than the step in rank, by 0.187 ±" in said
    assert "rank 16 to 8 at alpha 32: +0.010" in said and "alpha 32 to 48 at rank 16: −0.197" in said
    assert "alpha / rank: 2 to 4 and to 3" in said
    comparison = sweep(tmp_path / "third", APART)
    assert comparison.baseline is not None and comparison.baseline.name == "16, 32"


def test_what_the_seeds_do_not_tell_is_not_said(tmp_path):
    comparison = sweep(tmp_path, ALIKE)
    ((_, said),) = factors.findings(comparison)
    assert "cannot be told" in said and "further" not in said and "2 pairs of seeds" in said
    stream = io.StringIO()
    table.show(comparison, Console(file=stream, width=200))
    assert "alpha or rank?" in stream.getvalue()
    settings = Compare(runs=[str(tmp_path)], by=BY, baseline=["16", "32"])
    assert "Which matters more cannot be told" in page(comparison, settings, tmp_path)


def test_one_pair_says_nothing_of_which_matters_more(tmp_path):
    ((_, said),) = factors.findings(sweep(tmp_path, {name: [value[0]] for name, value in APART.items()}))
    assert "nothing is said of which matters more" in said


def test_of_a_grid_the_corners_at_the_baseline_are_told(tmp_path):
    for rank in (8, 16, 32):
        for alpha in (16, 32):
            tree = config(seed=0)
            tree["adapter"] = {"name": f"r{rank}", "rank": rank, "alpha": alpha}
            write_run(tmp_path / f"{rank},{alpha}", [3.0, 2.0 + rank / 100 - alpha / 1000], settings=tree)
    found = [*factors.corners(compare_runs(read([tmp_path]), BY, ["16", "32"]))]
    assert [corner.values[0] for corner in found] == [("16", "32")] * 2
    assert {corner.values[1][0] for corner in found} == {"8", "32"}


def test_more_corners_than_anyone_would_read_are_counted(tmp_path, monkeypatch):
    ranks = {f"r{rank}_a32": (rank, 32) for rank in (4, 8, 16)} | {f"r16_a{alpha}": (16, alpha) for alpha in (48, 64)}
    monkeypatch.setattr("tests.compare.test_factors.SETTINGS", ranks)
    ends = {name: [2.0 + i / 10, 2.1 + i / 10] for i, name in enumerate(ranks)}
    assert len(list(factors.findings(sweep(tmp_path / "four", ends)))) == 4  # two ranks by two alphas
    ranks["r2_a32"] = (2, 32)
    ((question, said),) = factors.findings(sweep(tmp_path / "six", ends | {"r2_a32": [2.6, 2.7]}))
    assert question == "alpha or rank?" and said.startswith("6 times") and "give fewer runs" in said


def test_only_pairs_that_all_three_have_count(tmp_path):
    (corner,) = factors.corners(sweep(tmp_path, APART | {"r16_a48": [1.80, 1.91]}))
    assert corner.more.estimate.n == corner.effects[0].estimate.n == 2


@pytest.mark.parametrize("n", [2, 3, 4, 12])
def test_the_smallest_difference_is_told_four_times_of_five(n):
    generator = np.random.default_rng(0)
    spread = 0.3
    seen = factors.detectable(Estimate(0.0, float(stats.t.ppf(0.975, n - 1)) * spread / np.sqrt(n), n))
    drawn = generator.normal(seen, spread, size=(40_000, n))
    half = stats.t.ppf(0.975, n - 1) * drawn.std(axis=1, ddof=1) / np.sqrt(n)
    assert np.mean(np.abs(drawn.mean(axis=1)) > half) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("by", ["adapter.rank", ["adapter.rank", "seed"], ["adapter.name", "adapter.rank"]])
def test_other_comparisons_have_no_corner(tmp_path, by):
    sweep(tmp_path, APART)
    if by == ["adapter.rank", "seed"]:
        return  # a rank and a seed are a grid, whose corners are many
    assert not [*factors.corners(compare_runs(read([tmp_path]), by, "x"))]
