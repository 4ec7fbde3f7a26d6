"""Grouping, pairing and fairness, on curves whose numbers are worked out by hand."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from bailong.compare import curves, table
from bailong.compare.comparison import Check, Comparison, compare_runs
from bailong.compare.runs import read
from bailong.compare.statements import speed_up
from tests.compare.folders import config, write_run, write_sweep

# Evaluations at 0, 1000 and 2000 tokens.
CURVES = {
    "random": [[4.0, 3.0, 2.0], [5.0, 3.0, 2.2]],
    "zip_tie": [[3.0, 2.0, 1.9], [3.5, 2.4, 2.0]],
    "mean": [[6.0, 4.0, 3.0], [6.0, 4.0, 3.0]],
}


def compared(folder: Path, **settings: str | list[str]) -> Comparison:
    return compare_runs(read([folder]), **settings)


def by_name(comparison: Comparison, name: str):
    return next(choice for choice in comparison.choices if choice.name == name)


def warned(comparison: Comparison) -> list[str]:
    return [check.name for check in comparison.warnings]


def test_means_intervals_and_order(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    assert [choice.name for choice in comparison.choices] == ["random", "mean", "zip_tie"], "baseline first"
    random = by_name(comparison, "random").metrics
    assert random["bpb_step0"].mean == pytest.approx(4.5)
    assert random["bpb_final"].mean == pytest.approx(2.1)
    # half = t(0.975, 1) * s / sqrt(2), and s / sqrt(2) of two values is half their distance
    assert random["bpb_step0"].half == pytest.approx(12.7062 * 0.5, rel=1e-4)
    # (4+3)/2 + (3+2)/2 over 2 and (5+3)/2 + (3+2.2)/2 over 2
    assert random["auc"].mean == pytest.approx((3.0 + 3.3) / 2)
    assert comparison.horizon == 2000


def test_paired_differences_are_by_seed(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    zip_tie = by_name(comparison, "zip_tie").paired
    assert zip_tie["bpb_step0"].mean == pytest.approx((-1.0 - 1.5) / 2)
    assert zip_tie["bpb_step0"].half == pytest.approx(12.7062 * 0.25, rel=1e-4)
    assert zip_tie["bpb_final"].mean == pytest.approx((-0.1 - 0.2) / 2)
    assert zip_tie["bpb_final"].n == 2
    assert by_name(comparison, "random").paired == {"bpb_step0": None, "auc": None, "bpb_final": None}


def test_tokens_to_the_baselines_final_loss(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    reach = by_name(comparison, "zip_tie").reach
    # seed 0: at 2.0 after exactly 1000; seed 1: from 2.4 to 2.0, 2.2 is half way
    assert comparison.tokens_to_baseline[str(tmp_path / "initializer=zip_tie,seed=0")] == pytest.approx(1000)
    assert comparison.tokens_to_baseline[str(tmp_path / "initializer=zip_tie,seed=1")] == pytest.approx(1500)
    assert reach.tokens.mean == pytest.approx(1250)
    assert reach.base == pytest.approx(2000) and reach.saved.mean == pytest.approx(750)
    assert speed_up(by_name(comparison, "zip_tie")).factor == pytest.approx(2000 / 1250)
    base = by_name(comparison, "random")
    assert speed_up(base).factor == pytest.approx(1) and base.reach.tokens.mean == pytest.approx(2000)
    missed = by_name(comparison, "mean")
    assert (missed.reach.reached, missed.reach.of, missed.reach.tokens, speed_up(missed)) == (0, 2, None, None)


def test_reached_by_some_seeds_gives_no_mean(tmp_path: Path) -> None:
    curves = {"random": [[4, 2], [4, 2]], "zip_tie": [[3, 1], [3, 2.5]]}
    reach = by_name(compared(write_sweep(tmp_path, curves)), "zip_tie").reach
    assert (reach.reached, reach.of, reach.tokens) == (1, 2, None)


def test_reached_before_the_first_step(tmp_path: Path) -> None:
    choice = by_name(compared(write_sweep(tmp_path, {"random": [[4, 3]], "zip_tie": [[2, 1]]})), "zip_tie")
    assert choice.reach.tokens.mean == 0 and math.isinf(speed_up(choice).factor)


def test_a_run_without_a_partner_gives_tokens_and_no_saving(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [4, 3, 2], "random", 0)
    for seed in (1, 2):
        write_run(tmp_path / f"b{seed}", [3, 2, 1], "zip_tie", seed)
    choice = by_name(compared(tmp_path), "zip_tie")
    assert choice.reach.tokens.mean == pytest.approx(1000) and choice.reach.saved is None
    assert speed_up(choice) is None and not any(choice.paired.values())


def test_a_baseline_that_gets_worse_again_gives_no_false_saving(tmp_path: Path) -> None:
    # random is at its final 3.0 already after 1000 of 3000 tokens
    curves = {"random": [[4, 3, 2, 3]], "zip_tie": [[4, 3, 2, 3]]}
    assert speed_up(by_name(compared(write_sweep(tmp_path, curves)), "zip_tie")).factor == pytest.approx(1)


def test_a_finished_sweep_is_fair(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    assert warned(comparison) == []
    assert {check.name for check in comparison.checks if check.ok} >= {
        "Only the choice differs",
        "Same seeds",
        "Same data order",
        "Same data",
        "Same tokenizer",
        "Same number of steps",
        "Same code",
        "Same hardware",
        "Clean working tree",
        "Results match the record",
    }
    assert set(comparison.differing) == {"initializer.name", "initializer.noise", "initializer.std", "seed"}
    assert comparison.bases == [{"bpb_untouched": 2.5, "bpb_tied": 2.75, "tied_checkpoint": False}]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"data_order": "other"}, ["Same data order"]),
        ({"data_sha256": "other"}, ["Only the choice differs", "Same data"]),
        ({"tokenizer_sha256": "other"}, ["Only the choice differs", "Same tokenizer"]),
        ({"steps": 21}, ["Same number of steps"]),
        ({"bpb_final": 1.0}, ["Results match the record"]),
    ],
)
def test_an_unfair_comparison_is_told(tmp_path: Path, change: dict, names: list[str]) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, result=change)
    assert warned(compared(sweep)) == names


def test_data_order_may_differ_between_seeds(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    orders = {run.result["data_order"] for run in comparison.runs.runs}
    assert len(orders) == 2 and "Same data order" not in warned(comparison)


def test_other_code_and_a_dirty_tree_are_told(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    git = {"commit": "f" * 40, "dirty": True}
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, git=git)
    assert warned(compared(sweep)) == ["Same code", "Clean working tree"]


def test_a_setting_that_differs_with_the_choice_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [4, 3], "random")
    write_run(tmp_path / "b", [3, 2], settings=config("zip_tie", optimizer__lr=1e-3, tracking__wandb="offline"))
    comparison = compared(tmp_path)
    assert warned(comparison) == ["Only the choice differs"]
    assert "optimizer.lr" in comparison.warnings[0].detail
    assert "tracking.wandb" not in comparison.differing
    assert by_name(comparison, "zip_tie").paired["bpb_final"].mean == pytest.approx(-1), "the seed still pairs them"


def test_runs_pair_within_the_settings_that_vary_inside_a_choice(tmp_path: Path) -> None:
    for lr, shift in ((1e-3, 0.0), (1e-4, 1.0)):
        for name, drop in (("random", 0.0), ("zip_tie", 0.25)):
            curve = [4 + shift - drop, 3 + shift - drop]
            write_run(tmp_path / f"{name}{lr}", curve, settings=config(name, optimizer__lr=lr))
    comparison = compared(tmp_path)
    paired = by_name(comparison, "zip_tie").paired["bpb_final"]
    assert paired.n == 2 and paired.mean == pytest.approx(-0.25) and paired.half == pytest.approx(0, abs=1e-9)
    assert warned(comparison) == ["One setting per choice"]


def test_by_any_key_in_natural_order(tmp_path: Path) -> None:
    for rank in (128, 8, 64):
        write_run(tmp_path / f"rank{rank}", [4, 3 - rank / 1000], settings=config("zip_tie", adapter__rank=rank))
    comparison = compared(tmp_path, by="adapter.rank", baseline="64")
    assert [choice.name for choice in comparison.choices] == ["64", "8", "128"]
    assert by_name(comparison, "128").paired["bpb_final"].mean == pytest.approx(-0.064)
    assert warned(comparison) == []


def test_by_several_keys(tmp_path: Path) -> None:
    for name, rank in (("random", 64), ("random", 8), ("zip_tie", 64), ("zip_tie", 8)):
        for seed in (0, 1):
            bpb = [4, 3 - rank / 1000 - (name == "zip_tie")]
            write_run(tmp_path / f"{name}{rank}{seed}", bpb, settings=config(name, seed, adapter__rank=rank))
    comparison = compared(tmp_path, by=["initializer", "adapter.rank"], baseline=["random", "64"])
    names = [choice.name for choice in comparison.choices]
    assert names == ["random, 64", "random, 8", "zip_tie, 8", "zip_tie, 64"]
    paired = by_name(comparison, "zip_tie, 64").paired["bpb_final"]
    assert paired.n == 2 and paired.mean == pytest.approx(-1)
    assert comparison.label == "initializer and adapter.rank" and warned(comparison) == []
    first = compared(tmp_path, by=["initializer", "adapter.rank"])
    assert first.baseline.name == first.asked_baseline == "random, 8", "the first of those with the value given"
    by_seed = compared(tmp_path, by=["initializer.name", "adapter.rank", "seed"], baseline=["random", "8", "1"])
    assert len(by_seed.choices) == 8 and by_name(by_seed, "zip_tie, 8, 0").paired["bpb_final"].n == 1


def test_more_baselines_than_keys_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [4, 3])
    with pytest.raises(ValueError, match="a value for each key of by=seed"):
        compared(tmp_path, by="seed", baseline=["0", "1"])


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [4, 3])
    with pytest.raises(ValueError, match=r"by=initialiser is not accepted.*did you mean"):
        compared(tmp_path, by=["seed", "initialiser"])
    with pytest.raises(ValueError, match=r"by=adapter.rnk is not accepted.*did you mean adapter.rank"):
        compared(tmp_path, by="adapter.rnk")


def test_without_the_baseline(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, {"zip_tie": [[3, 2]], "mean": [[4, 3]]}))
    assert comparison.baseline is None and comparison.tokens_to_baseline == {}
    assert all(choice.reach is None for choice in comparison.choices)


def test_while_the_sweep_runs(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    (sweep / "initializer=zip_tie,seed=1" / "result.json").unlink()
    comparison = compared(sweep)
    zip_tie = by_name(comparison, "zip_tie")
    assert len(zip_tie.finished) == 1 and len(zip_tie.runs) == 2
    assert zip_tie.metrics["bpb_final"].n == 1 and zip_tie.metrics["bpb_final"].half is None
    assert zip_tie.paired["bpb_final"].n == 1
    assert "Same seeds" in warned(comparison), "that run was interrupted, so the seeds stay unequal"
    for result in sweep.glob("*/result.json"):
        result.unlink()
    comparison = compared(sweep)
    assert all(choice.metrics["auc"] is None for choice in comparison.choices)
    assert {check.ok for check in comparison.checks if check.name.startswith("Same")} == {None}


def test_shorter_runs_bound_the_area(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [4, 3, 2], "random")
    write_run(tmp_path / "b", [4, 3], "zip_tie")
    comparison = compared(tmp_path)
    assert comparison.horizon == 1000
    assert by_name(comparison, "random").metrics["auc"].mean == pytest.approx(3.5)
    assert "Same number of steps" in warned(comparison)


def test_a_run_that_diverged_does_not_cut_the_mean_over_the_run_short(tmp_path: Path) -> None:
    lost = [3.0, 2.5, math.nan, math.nan, math.nan]
    write_sweep(tmp_path, {"random": [[5, 4, 3, 2, 1]], "zip_tie": [lost, [4, 3, 2, 1, 0]]})
    comparison = compared(tmp_path)
    assert comparison.horizon == 4000
    auc = by_name(comparison, "zip_tie").metrics["auc"]
    assert auc.n == 1 and auc.mean == pytest.approx(2)
    assert by_name(comparison, "random").metrics["auc"].mean == pytest.approx(3)


def test_a_run_twice_in_one_choice_is_told(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, {"random": [[4, 3]], "zip_tie": [[3, 2]]})
    write_run(tmp_path / "again", [3, 2], "zip_tie")
    assert json.loads((sweep / "again" / "run.json").read_text())["name"] == "again"
    comparison = compared(sweep)
    assert "Same seeds" in warned(comparison)
    twice = by_name(comparison, "zip_tie")
    assert [found.n for found in twice.paired.values() if found] == [1, 1, 1], "a seed is one pair"
    assert twice.reach is not None and twice.reach.saved is not None and twice.reach.saved.n == 1


def write_arm(
    folder: Path, name: str, seed: int, tokenizer: str | None, size: int, model: str | None = None, **told: object
) -> None:
    """A finished run of a tokenizer whose tokens hold `size` bytes; None is the own one of the base `model`."""
    write_run(folder, [4.0, 3.0, 2.0], name, seed, tokens_per_evaluation=4_000 // size)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"identity": {"tokenizer": tokenizer, "model": model}}))
    result = json.loads((folder / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps(result | told | {"tokenizer_sha256": tokenizer, "bytes": 8_000}))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    rows = [row | {"bytes": size * row["tokens"]} for row in rows]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_arms_of_several_tokenizers_are_compared_over_bytes(tmp_path: Path) -> None:
    """A token of an extended tokenizer holds more text: over tokens the arm with the longer ones would seem faster.

    Without an extension a run has no tokenizer folder, and its tokenizer is the base's.
    """
    write_arm(tmp_path / "no_extension", "no_extension", 0, None, 2, data_order="order-of-no_extension")
    write_arm(tmp_path / "zip_tie", "zip_tie", 0, "t" * 64, 4, data_order="order-of-zip_tie")
    found = compare_runs(read([tmp_path]), baseline="no_extension")
    arm = next(choice for choice in found.choices if choice.name == "zip_tie")
    assert found.unit == "bytes" and found.horizon == 8_000
    assert arm.reach is not None and arm.reach.tokens is not None and arm.reach.tokens.mean == 8_000
    assert arm.paired["auc"] is not None and arm.paired["auc"].mean == 0
    assert "bytes" in curves.draw(found, curves.evaluation_panels(found)).axes[0].get_xlabel()
    assert not any(check.name == "Same number of steps" for check in found.checks)
    assert next(check for check in found.checks if check.name == "Same data order").ok


def test_runs_of_two_streams_of_dropout_are_never_pooled(tmp_path: Path) -> None:
    """Those that were made before there was another than torch's do not name theirs."""
    for initializer, level in (("random", 3.0), ("zip_tie", 2.0)):
        for seed in (0, 1, 2, 3):
            tree = config(initializer, seed, adapter__dropout=0.1, adapter__linears=True)
            known = {"adapter.dropout_stream": "bits16"} if seed > 1 else {}
            end = level + 0.1 * seed
            folder = tmp_path / f"{initializer}-{seed}"
            write_run(folder, [4.0, end + 0.5, end], initializer, seed, settings=tree, identity=known)
    comparison = compared(tmp_path)
    assert [choice.name for choice in comparison.choices] == [
        "random, bits16", "random, torch", "zip_tie, bits16", "zip_tie, torch"
    ]  # fmt: skip
    assert [len(choice.runs) for choice in comparison.choices] == [2, 2, 2, 2]
    assert by_name(comparison, "random, bits16").metrics["bpb_final"].mean == pytest.approx(3.25)
    assert by_name(comparison, "zip_tie, bits16").paired["bpb_final"].mean == pytest.approx(-1.0)
    assert by_name(comparison, "zip_tie, torch").paired["bpb_final"] is None, "their partners dropped other numbers"


def test_where_nothing_is_dropped_there_is_no_stream(tmp_path: Path) -> None:
    for dropout in (0.0, 0.1):
        for seed in (0, 1):
            tree = config("random", seed, adapter__dropout=dropout, adapter__linears=True)
            write_run(tmp_path / f"{dropout}-{seed}", [4.0, 3.0], seed=seed, settings=tree)
    comparison = compared(tmp_path, by="adapter.dropout", baseline="0.0")
    assert [choice.name for choice in comparison.choices] == ["0", "0.1"]


def check(comparison: Comparison, name: str) -> Check:
    return next(check for check in comparison.checks if check.name == name)


def test_the_own_tokenizer_of_a_base_is_another_than_an_extended_one(tmp_path: Path) -> None:
    write_arm(tmp_path / "no_extension", "no_extension", 0, None, 2, "a" * 64)
    write_arm(tmp_path / "zip_tie", "zip_tie", 0, "t" * 64, 4, "a" * 64)
    found = check(compare_runs(read([tmp_path]), baseline="no_extension"), "Same tokenizer")
    assert found.ok is False
    assert found.detail == "own of aaaaaaaaaa, tttttttttt: compare bits per byte only, never the loss"


def test_two_bases_have_two_tokenizers_of_their_own(tmp_path: Path) -> None:
    for name, size in (("random", 2), ("zip_tie", 4)):
        write_arm(tmp_path / name, name, 0, None, size, f"org/{name}")
    found = compare_runs(read([tmp_path]))
    assert found.unit == "bytes" and "tokenizer" in check(found, "Only the choice differs").detail
    assert check(found, "Same tokenizer").detail.startswith("own of org/random, own of org/zip_tie: ")


def test_the_own_tokenizer_of_one_base_is_one(tmp_path: Path) -> None:
    for name in ("random", "zip_tie"):
        write_arm(tmp_path / name, name, 0, None, 2, "a" * 64)
    found = compare_runs(read([tmp_path]))
    assert found.unit == "tokens" and warned(found) == []
    assert check(found, "Same tokenizer").ok and check(found, "Same tokenizer").detail == "own of aaaaaaaaaa"


def test_bases_that_share_a_tokenizer_have_one(tmp_path: Path) -> None:
    """Exports of a sweep, which are fine-tuned and compared."""
    for name in ("random", "zip_tie"):
        write_arm(tmp_path / name, name, 0, None, 2, f"org/{name}")
        place = tmp_path / name / "provenance.json"
        place.write_text(json.dumps(json.loads(place.read_text()) | {"own_tokenizer": "c" * 64}))
    found = compare_runs(read([tmp_path]))
    assert found.unit == "tokens" and check(found, "Same tokenizer").ok


@pytest.mark.parametrize(("key", "name"), [("data_order", "Same data order"), ("data_sha256", "Same data")])
def test_a_run_that_does_not_tell_is_not_taken_to_agree(tmp_path: Path, key: str, name: str) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, result={key: None})
    found = check(compared(sweep), name)
    assert found.ok is None and found.detail.endswith(", and 1 of 6 runs do not tell")


def test_seeds_are_counted_apart_from_tokenizers(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_arm(tmp_path / f"n{seed}", "no_extension", seed, None, 2, data_order=f"n{seed}")
        write_arm(tmp_path / f"z{seed}", "zip_tie", seed, "t" * 64, 4, data_order=f"z{seed}")
    found = compare_runs(read([tmp_path]), baseline="no_extension")
    told = check(found, "Same data order")
    assert told.ok and told.detail == "for each of 4 groups of runs of one seed, setting and tokenizer"
    rows = list(csv.DictReader(io.StringIO(table.csv_text(found))))
    assert {row["bytes_to_baseline"] for row in rows} == {"8000.0"} and "tokens_to_baseline" not in rows[0]
    assert {row["bytes"] for row in rows} == {"8000"}
