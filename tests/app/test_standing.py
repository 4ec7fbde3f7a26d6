"""Who is dropped at a rung: by an interval over seeds, by rank where there is none, and never too many."""

import pytest

from bailong.app.standing import stand
from bailong.compare.statistics import corrected, estimate

#: by arm, bits per byte of three seeds; `near` is behind by less than its seeds vary
SCORES = {
    "best": {"0": 3.00, "1": 3.10, "2": 3.05},
    "near": {"0": 3.02, "1": 3.09, "2": 3.07},
    "far": {"0": 3.50, "1": 3.61, "2": 3.54},
    "farther": {"0": 4.00, "1": 4.10, "2": 4.06},
}


def fates(found):
    return {one.arm: one.fate for one in found}


def test_an_arm_whose_interval_is_above_zero_is_dropped_and_no_other():
    found = stand(SCORES, (), keep=0.25, looks=2)
    assert fates(found) == {"best": "best", "near": "goes on", "far": "dropped", "farther": "dropped"}
    far = next(one for one in found if one.arm == "far")
    expected = corrected(estimate([0.50, 0.51, 0.49]), 3 * 2)
    assert far.behind.mean == pytest.approx(expected.mean) and far.behind.half == pytest.approx(expected.half)
    assert far.behind.half > estimate([0.50, 0.51, 0.49]).half * 2, "Bonferroni's, for 3 arms at 2 rungs"
    row = far.row()
    assert row["low"] > 0 and row["seeds"] == 3 and row["why"] == "interval above 0"


def test_more_rungs_and_arms_make_it_harder_to_drop_one():
    scores = {"best": {"0": 3.0, "1": 3.0, "2": 3.0}, "behind": {"0": 3.03, "1": 3.04, "2": 3.05}}
    assert fates(stand(scores, (), 0.5, looks=1))["behind"] == "dropped"
    assert fates(stand(scores, (), 0.5, looks=9))["behind"] == "goes on"


def test_a_share_goes_on_whatever_intervals_say():
    found = stand(SCORES, (), keep=0.75, looks=1)
    assert fates(found) == {"best": "best", "near": "goes on", "far": "goes on", "farther": "dropped"}
    assert next(one.why for one in found if one.arm == "far") == "3 of 4 are kept"


def test_one_seed_is_cut_by_rank():
    scores = {arm: {"0": found["0"]} for arm, found in SCORES.items()}
    found = stand(scores, (), keep=0.5, looks=2)
    assert fates(found) == {"best": "best", "near": "goes on", "far": "dropped", "farther": "dropped"}
    assert "one seed" in found[-1].why and found[-1].behind.half is None and found[-1].row()["low"] is None
    assert fates(stand({"a": {"0": 1.0}, "b": {"0": 1.0}}, (), 0.5, 1)) == {"a": "best", "b": "dropped"}, "by name"


def test_a_control_is_neither_dropped_nor_the_best_and_takes_no_place():
    scores = SCORES | {"control": {"0": 1.0, "1": 1.0, "2": 1.0}, "bad": {"0": 9.0, "1": 9.1, "2": 9.0}}
    found = stand(scores, ("control", "bad"), keep=0.25, looks=1)
    assert [one.arm for one in found] == ["control", "best", "near", "far", "farther", "bad"]
    assert fates(found)["control"] == fates(found)["bad"] == "control" and fates(found)["best"] == "best"
    assert found[0].behind.mean == pytest.approx(1 - 3.05), "it is held against the best all the same"


def test_at_the_end_nobody_is_dropped():
    assert "dropped" not in fates(stand(SCORES, (), keep=0.25, looks=0)).values()
