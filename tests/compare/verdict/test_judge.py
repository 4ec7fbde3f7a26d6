"""Verdicts on planted curves: every figure is worked out by hand. Evaluations stand every 10 steps, 1000 tokens, 4000
bytes; a run has 63 seconds."""

from pathlib import Path

import pytest
from scipy.stats import t as student

from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from bailong.compare.verdict.judge import LOG_AREA, Verdict, sentences, verdicts
from tests.compare.folders import config, write_run

PROBES = (0.0625, 0.25, 0.5)


def judged(folder: Path, by: str = "initializer.name", baseline: str = "random") -> list[Verdict]:
    return verdicts(compare_runs(read([folder]), by, baseline), PROBES)


def plant(folder: Path, curves: dict[str, list[list[float]]], **told: object) -> Path:
    for name, seeds in curves.items():
        for seed, bpb in enumerate(seeds):
            write_run(folder / f"{name}-{seed}", bpb, name, seed, result={"rows_seconds": 6.3, **told})
    return folder


FOUR = {
    "random": [[5.0, 4.0, 3.0, 2.5, 2.0], [5.0, 4.0, 3.0, 2.5, 2.2]],
    "mean": [[4.0, 3.0, 2.6, 2.3, 1.9], [4.0, 3.0, 2.6, 2.3, 2.0]],
    "zip_tie": [[3.0, 2.0, 1.9, 1.8, 1.7], [3.0, 2.0, 1.9, 1.8, 1.8]],
    "other": [[3.5, 2.5, 2.0, 1.7, 1.5], [3.5, 2.5, 2.0, 1.7, 1.5]],
}


def arm(found: Verdict, name: str):
    return next(one for one in found.arms if one.choice.name == name)


def test_probes_are_read_and_not_invented(tmp_path: Path) -> None:
    (found,) = judged(plant(tmp_path, FOUR))
    means = arm(found, "random").means
    assert means["bpb_at_0.0625"] is None, "250 tokens are before the first evaluation"
    assert means["bpb_at_0.25"].mean == 4.0 and means["bpb_at_0.5"].mean == 3.0
    paired = arm(found, "zip_tie").paired
    assert (paired["bpb_at_0.25"].mean, paired["bpb_at_0.25"].n) == (pytest.approx(-2.0), 2)
    row = next(row for folder, row in found.values.items() if folder.endswith("zip_tie-1"))
    assert row["bpb_at_0.0625"] is None and row["bpb_at_0.5"] == pytest.approx(1.9)


def test_what_the_rows_cost_is_counted(tmp_path: Path) -> None:
    """16,000 bytes in 63 seconds; rows of 6.3 seconds cost a tenth of them, 1,600 bytes."""
    (found,) = judged(plant(tmp_path, FOUR))
    base, zip_tie = arm(found, "random"), arm(found, "zip_tie")
    assert base.bytes.tokens.mean == pytest.approx(16_000 + 1_600) and base.seconds.tokens.mean == pytest.approx(69.3)
    # 2.0 is reached at 4,000 bytes, and 2.2 at four fifths of them
    assert zip_tie.bytes.tokens.mean == pytest.approx((4_000 + 3_200) / 2 + 1_600)
    assert zip_tie.seconds.tokens.mean == pytest.approx((15.75 + 12.6) / 2 + 6.3)
    assert zip_tie.bytes.saved.mean == pytest.approx(16_000 - 3_600)


def test_a_run_that_never_arrives_is_censored(tmp_path: Path) -> None:
    (found,) = judged(plant(tmp_path, {"random": [[4, 3, 2], [4, 3, 2]], "mean": [[4, 3, 2.5], [4, 2, 1]]}))
    mean = arm(found, "mean")
    assert (mean.bytes.reached, mean.bytes.of, mean.bytes.tokens) == (1, 2, None)
    told = [row["bytes_to_baseline_with_rows"] for folder, row in found.values.items() if "mean" in folder]
    assert told == ["not reached", pytest.approx(4_000 + 800)]


def test_a_cost_that_was_not_recorded_is_said(tmp_path: Path) -> None:
    (found,) = judged(plant(tmp_path, FOUR, rows_seconds=None))
    assert arm(found, "zip_tie").bytes is None and any(
        "8 of 8 finished runs do not record" in s for s in sentences(found)
    )
    (found,) = judged(plant(tmp_path, FOUR, rows_seconds=None, new_rows=0))
    assert arm(found, "random").bytes.tokens.mean == pytest.approx(16_000), "no rows cost nothing"


def test_orders_and_the_shortest_probe(tmp_path: Path) -> None:
    """zip_tie and other change places between half and the end: at step 0 five of six pairs stand as at the end."""
    (found,) = judged(plant(tmp_path, FOUR))
    assert {one.measure: round(one.value, 6) for one in found.taus} == {
        "bpb_step0": round(4 / 6, 6),
        "bpb_at_0.25": round(4 / 6, 6),
        "bpb_at_0.5": round(4 / 6, 6),
        LOG_AREA: round(4 / 6, 6),
    }
    assert any("No order before the end agrees" in text for text in sentences(found))
    same = {name: [[v - 0.1 * i for v in (4, 3, 2)]] for i, name in enumerate(FOUR)}
    (found,) = judged(plant(tmp_path / "same", same))
    assert any("The order at step 0 is the first" in s and "one seed, so no interval" in s for s in sentences(found))


def test_three_choices_have_no_order(tmp_path: Path) -> None:
    (found,) = judged(plant(tmp_path, {name: FOUR[name] for name in ("random", "mean", "zip_tie")}))
    assert found.taus == [] and any("fewer than 4 choices" in text for text in sentences(found))


def test_what_survives_looking_at_three(tmp_path: Path) -> None:
    """Differences d, d + 2w: mean d + w, half the interval t(1 − 0.025 / m, 1) · w; 12.7 w alone, 38.2 w for three."""
    curves = {"random": [[4.0, 3.0], [4.0, 3.0]]}
    for name, mean in (("mean", 0.5), ("zip_tie", 0.3), ("other", 0.1)):
        curves[name] = [[4.0, 3.0 - mean + 0.01], [4.0, 3.0 - mean - 0.01]]
    (found,) = judged(plant(tmp_path, curves))
    wide = found.corrected(arm(found, "zip_tie"), "bpb_final").estimate.half
    assert wide == pytest.approx(student.ppf(1 - 0.025 / 3, 1) * 0.01)
    assert "bpb_final" in found.survives(arm(found, "mean"))
    assert "bpb_final" not in found.survives(arm(found, "zip_tie")), "bold alone: 0.3 > 0.127, and < 0.382"


def test_tied_and_untied_runs_are_judged_apart(tmp_path: Path) -> None:
    for tie, shift in (("input", 0.0), ("none", 1.0)):
        for name, drop in (("random", 0.0), ("zip_tie", 0.5)):
            folder = write_run(
                tmp_path / f"{name}-{tie}", [4 + shift - drop, 3 + shift - drop], settings=config(name, model__tie=tie)
            )
            (folder / "train.log").unlink()
    found = judged(tmp_path)
    assert [one.tied for one in found] == [True, False]
    assert [arm(one, "random").means["bpb_final"].mean for one in found] == [3.0, 4.0]
    assert [arm(one, "zip_tie").paired["bpb_final"].mean for one in found] == [-0.5, -0.5]


def test_runs_that_end_early_or_are_unfinished(tmp_path: Path) -> None:
    """The shorter run, of 20 steps, sets the budget: its probes and those of the longer stand at the same tokens."""
    write_run(tmp_path / "a", [4, 3, 2, 1, 0.5], "random", english=[1.0, 1.1, 1.2, 1.3, 1.4])
    write_run(tmp_path / "b", [4, 3, 2], "zip_tie")
    write_run(tmp_path / "c", [4, 3], "mean", finished=False)
    (found,) = judged(tmp_path)
    assert found.steps == 20 and arm(found, "random").means["bpb_at_0.5"].mean == pytest.approx(3.0)
    assert arm(found, "mean").means["bpb_final"] is None and arm(found, "mean").runs == []
    assert arm(found, "zip_tie").drift is None and arm(found, "random").drift.mean == pytest.approx(0.4)
    for result in tmp_path.glob("*/result.json"):
        result.unlink()
    (found,) = judged(tmp_path)
    assert found.taus == [] and all(value is None for one in found.arms for value in one.means.values())
