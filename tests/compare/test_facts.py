"""What runs share and what differs, and the rows they began with."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from bailong.compare import facts
from bailong.compare.comparison import Comparison, compare_runs
from bailong.compare.runs import read
from bailong.model.grow import GrowReport, NewRows
from bailong.train import fit
from tests.compare.folders import config, write_run, write_sweep
from tests.report.parsed import words

CURVES = {"random": [[4.0, 3.0, 2.0], [5.0, 3.0, 2.2]], "zip_tie": [[3.0, 2.0, 1.9], [3.5, 2.4, 2.0]]}


def compared(folder: Path) -> Comparison:
    return compare_runs(read([folder]))


def test_what_all_runs_share(tmp_path: Path) -> None:
    comparison = compared(write_sweep(tmp_path, CURVES))
    assert facts.shared(comparison) == {
        "model": "tiny, models/tiny, nf4",
        "trained": "1,000 of 20,000 parameters (5.0%)",
        "tokenizer": "tiny, tokenizers/tiny, 4,000 new tokens, sha256 tttttttttttt",
        "data": "sample, data/sample, sha256 dddddddddddd",
        "language": "zh-Hant",
        "held-out text": "31,381 bytes",
        "hardware": "AMD EPYC, 2 cores",
        "software": "Python 3.11.7",
        "commit": "0123456789ab",
        "steps": "20",
        "tokens": "2,000",
        "started": "2026-01-02 03:04",
    }
    keys = [key for key, _ in facts.differing(comparison)]
    assert keys == ["initializer.name", "initializer.std", "seed"]
    text = words(facts.compared(comparison))
    assert "All runs share model tiny, models/tiny, nf4" in text and "What differs random zip_tie" in text


@pytest.mark.parametrize(
    ("hardware", "shown"),
    [
        ({"cpu": "AMD EPYC", "cores": 64}, "AMD EPYC, 64 cores"),
        ({"cpu": "AMD EPYC", "cores": 2, "gpu": "NVIDIA H200"}, "1 × NVIDIA H200"),
    ],
)
def test_other_hardware_is_a_difference_and_a_warning(tmp_path: Path, hardware: dict[str, object], shown: str) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, hardware=hardware)
    comparison = compared(sweep)
    assert "hardware" not in facts.shared(comparison)
    assert ("hardware", ["AMD EPYC, 2 cores", f"AMD EPYC, 2 cores; {shown}"]) in list(facts.differing(comparison))
    warning = next(check for check in comparison.warnings if check.name == "Same hardware")
    assert shown in warning.detail and "AMD EPYC, 2 cores" in warning.detail


def test_other_commits_and_models_are_told(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    git = {"commit": "f" * 40, "dirty": True}
    other = config("zip_tie", 1, model__path="models/other")
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, git=git, settings=other)
    found = dict(facts.differing(compared(sweep)))
    assert found["commit"] == ["0123456789ab", "0123456789ab; ffffffffffff + changes"]
    assert found["model"] == ["tiny, models/tiny, nf4", "tiny, models/tiny, nf4; tiny, models/other, nf4"]


def test_what_a_run_does_not_say_is_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [4, 3], finished=False)
    (tmp_path / "run" / "provenance.json").unlink()
    found = facts.shared(compared(tmp_path))
    assert {"hardware", "commit", "steps", "trained"}.isdisjoint(found) and found["language"] == "zh-Hant"


def test_the_new_rows_of_each_choice(tmp_path: Path) -> None:
    text = words(facts.rows_table(compared(write_sweep(tmp_path, CURVES))))
    assert "random 4,000 1.000 to 1.010 0 tied" in text and "zip_tie 4,000 1.000 to 1.010 166 tied" in text


def test_the_rows_are_the_same_for_every_seed_where_nothing_is_drawn(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / str(seed), [4, 3], "random", seed, result={"rows_sha256": "ab" * 32})
    assert "abababababab, the same in all 2 runs" in words(facts.rows_table(compared(tmp_path)))


def test_without_a_log_the_hash_is_still_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [4, 3])
    (run / "train.log").unlink()
    assert "random 4,000 – – – rows-random-" in words(facts.rows_table(compared(tmp_path)))
    write_run(run, [4, 3], result={"rows_sha256": None, "new_rows": 0})
    (run / "train.log").write_text("no new rows: stage=pretrain draws every row itself\n")
    assert facts.rows_table(compared(tmp_path)) == ""


def test_the_log_is_what_training_writes(tmp_path: Path) -> None:
    """The line that is read here is the one that a run says."""
    said: list[str] = []
    made = NewRows("ab" * 32, 0.591, 1663)
    built = SimpleNamespace(
        counts={"true": 4, "packed": 4, "trainable": 1},
        device="cpu",
        precision="32-true",
        model=None,
        grown=GrowReport(27_271, 59_271, False, made, made),
        base={"bpb_untouched": None},
        calibrated=None,
    )
    settings = SimpleNamespace(
        model=SimpleNamespace(name="tiny"),
        initializer=SimpleNamespace(name="zip_tie"),
        adapter=SimpleNamespace(name="all", present=True),
    )
    corpus = SimpleNamespace(per_source=[], training=SimpleNamespace(trained=None))
    fit._describe(settings, built, corpus, SimpleNamespace(say=said.append))  # type: ignore[arg-type]
    run = write_run(tmp_path / "run", [4, 3])
    (run / "train.log").write_text("\n".join(said))
    found = facts.new_rows(read([run]).runs[0])
    assert found is not None
    assert (found.added, found.tied, found.norm_ratio, found.equal) == (27_271, False, 0.591, 1663)
