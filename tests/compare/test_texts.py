"""What is forgotten of the old language: its figures, their intervals, and runs that never scored it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bailong.compare import curves, facts, page, runs, statements, table, texts
from bailong.compare.comparison import Comparison, compare_runs
from bailong.compare.settings import Compare
from bailong.compare.statistics import estimate
from tests.compare.folders import config, write_run, write_sweep

ENGLISH = {"random": [1.2, 1.3, 1.25], "zip_tie": [1.1, 1.12, 1.12]}


def sweep(folder: Path, without: str = "") -> Comparison:
    """Three seeds of two choices; the record of the run named `without` has no old language."""
    for initializer, ends in ENGLISH.items():
        for seed, end in enumerate(ends):
            name = f"initializer={initializer},seed={seed}"
            curve = None if name == without else [1.05, 1.1, end]
            write_run(folder / name, [3.0, 2.5, 2.0 + seed / 100], initializer, seed, english=curve)
    return compare_runs(runs.read([folder]))


def shown(comparison: Comparison, folder: Path) -> tuple[str, str]:
    """The terminal's words and the page."""
    console = Console(file=io.StringIO(), width=80)
    table.show(comparison, console)
    return console.file.getvalue(), page.page(comparison, Compare(runs=str(folder)), folder)  # type: ignore[attr-defined]


def test_forgetting_has_its_interval_over_seeds_and_pairs(tmp_path: Path) -> None:
    comparison = sweep(tmp_path)
    assert comparison.texts == {"en": True}
    random, zip_tie = comparison.choices
    expected = estimate([end - 1.0 for end in ENGLISH["zip_tie"]])
    found = zip_tie.texts["en"]
    assert expected and found.change and found.paired and found.base and found.final
    assert (found.change.mean, found.change.half) == pytest.approx((expected.mean, expected.half))
    # of the part that was scored at both ends alone, on which forgetting rests
    assert (found.base.mean, found.final.mean) == pytest.approx((1.5, sum(ENGLISH["zip_tie"]) / 3 + 0.5))
    apart = estimate([a - b for a, b in zip(ENGLISH["zip_tie"], ENGLISH["random"], strict=True)])
    assert apart and (found.paired.mean, found.paired.half) == pytest.approx((apart.mean, apart.half))
    assert random.texts["en"].paired is None


def test_it_stands_in_terminal_page_table_and_curves(tmp_path: Path) -> None:
    comparison = sweep(tmp_path)
    said, html = shown(comparison, tmp_path)
    assert "en, the old language" in said and "forgetting" in said and "+0.113" in said
    assert max(map(len, said.splitlines())) <= 80
    assert "The old language: en" in html and "+0.113" in html and "Other texts" in html
    sentence = dict(statements.findings(comparison))["zip_tie"]
    difference = statements.forgotten(comparison.choices[1])["en"]
    assert difference.apart
    assert f"It forgets {difference.aside().lstrip('−')} bits per byte of en less than random." in sentence
    assert sentence.startswith("is told from random by what becomes of en alone")
    rows = list(csv.DictReader(io.StringIO(table.csv_text(comparison))))
    assert [float(row["forgetting"]) for row in rows] == pytest.approx(
        [end - 1 for ends in ENGLISH.values() for end in ends]
    )
    row = {key: rows[0][key] for key in ("old_language", "old_bpb_base", "old_bpb_step0", "old_bpb_final")}
    assert row == {"old_language": "en", "old_bpb_base": "1.5", "old_bpb_step0": "1.55", "old_bpb_final": "1.7"}
    panel = curves.text_panels(comparison)[0]
    assert (panel.key, panel.reference) == ("eval/en/bpb", 1.0)
    assert panel.title in curves.svg(curves.figure1(comparison))
    assert facts.shared(comparison)["old language"] == "en, 12,000 bytes of sample:corpus.jsonl"
    assert facts.shared(comparison)["held-out text"] == "31,381 bytes in zh-Hant"
    assert not comparison.warnings


def whole(folder: Path, at_ends: int | None = 90_000) -> Comparison:
    """Three seeds of two choices, whose held-out text has a longer part with 0.25 bits more at both ends."""
    for initializer, low in (("random", 2.0), ("zip_tie", 1.9)):
        for seed in range(3):
            place = folder / f"initializer={initializer},seed={seed}"
            tree = config(initializer, seed, data__evaluation_bytes=31_381, data__evaluation_bytes_at_ends=at_ends)
            base = {"bpb_untouched": 2.5, "bpb_tied": 2.75, "tied_checkpoint": False}
            longer = {"bpb_untouched": 2.625, "bpb_tied": 2.875}
            ends = {"bytes": 90_000, "tokens": 9, "bpb_step0": 3.25, "bpb_final": low + 0.25 + seed / 100}
            result = {"base": base | {"texts": {"ends": longer}}, "ends": ends}
            write_run(place, [3.0, 2.5, low + seed / 100], initializer, seed, settings=tree, result=result)
            file = place / "metrics.jsonl"
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            for row in (rows[0], rows[-1]):
                row["eval/ends/bpb"] = row["eval/bpb"] + 0.25
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return compare_runs(runs.read([folder]))


def test_both_ends_are_of_the_longest_part_of_the_held_out_text(tmp_path: Path) -> None:
    comparison = whole(tmp_path)
    assert comparison.texts == {} and not comparison.warnings
    random = comparison.choices[0]
    step0, final, auc = (random.metrics[key] for key in ("bpb_step0", "bpb_final", "auc"))
    assert step0 and final and auc
    assert (step0.mean, final.mean) == pytest.approx((3.25, 2.26)) and auc.mean < 2.6
    assert [base["bpb_untouched"] for base in comparison.bases] == [2.625]
    assert curves.evaluation_panels(comparison)[1].reference == 2.5
    assert facts.shared(comparison)["held-out text"] == "31,381 bytes (90,000 at the ends)"
    said, html = shown(comparison, tmp_path)
    assert "3.250" in said and "2.260" in said and "2.625" in html and "2.875" in html and "Another text" not in html
    file = next(tmp_path.glob("initializer=zip_tie,seed=1/result.json"))
    result = json.loads(file.read_text())
    result["ends"]["bpb_final"] += 0.01
    file.write_text(json.dumps(result))
    assert [check.name for check in compare_runs(runs.read([tmp_path])).warnings] == ["Results match the record"]


def test_a_text_that_was_named_ends_before_is_a_further_text(tmp_path: Path) -> None:
    comparison = whole(tmp_path, None)
    assert comparison.texts == {"ends": False}
    final = comparison.choices[0].metrics["bpb_final"]
    assert final and final.mean == pytest.approx(2.01)


def test_runs_of_before_are_read_and_say_nothing_of_it(tmp_path: Path) -> None:
    write_sweep(tmp_path, {"random": [[3.0, 2.0]] * 2, "zip_tie": [[2.9, 1.9]] * 2})
    comparison = compare_runs(runs.read([tmp_path]))
    said, html = shown(comparison, tmp_path)
    assert comparison.texts == {} and "forgetting" not in said and "old language" not in html
    rows = list(csv.DictReader(io.StringIO(table.csv_text(comparison))))
    assert {row["forgetting"] for row in rows} == {""}


def test_a_run_of_before_among_others_is_counted_and_told(tmp_path: Path) -> None:
    comparison = sweep(tmp_path, without="initializer=zip_tie,seed=1")
    found = comparison.choices[1].texts["en"]
    assert found.change and found.change.n == 2 and found.paired and found.paired.n == 2
    said, html = shown(comparison, tmp_path)
    assert "2 of 3" in said and "2 of 3" in html
    assert any(check.name == "Same text en" and "1 of 6 runs" in check.detail for check in comparison.warnings)


def test_another_text_under_the_same_name_is_told(tmp_path: Path) -> None:
    sweep(tmp_path)
    other = {"texts": {"en": {"old": True, "bytes": 12_000, "source": "x", "sha256": "f" * 64}}}
    write_run(tmp_path / "initializer=zip_tie,seed=2", [3.0, 2.5, 2.02], "zip_tie", 2, english=[1, 1, 1], result=other)
    comparison = compare_runs(runs.read([tmp_path]))
    assert [check.ok for check in comparison.checks if check.name == "Same text en"] == [False]


def test_a_result_that_contradicts_its_record_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [3.0, 2.0], english=[1.1, 1.4], result={"forgetting": 0.1})
    comparison = compare_runs(runs.read([tmp_path]))
    assert any(check.name == "Results match the record" for check in comparison.warnings)


def test_an_unfinished_run_has_curves_and_no_forgetting(tmp_path: Path) -> None:
    place = write_run(tmp_path / "a", [3.0, 2.0], english=[1.1, 1.4], finished=False)
    run = runs.read_run(place, [])
    assert texts.names([run]) == {"en": False} and texts.forgetting(run) is None
    assert len(run.curve("eval/en/bpb")[0]) == 2
    shown(compare_runs(runs.read([tmp_path])), tmp_path)


def test_shares_of_replay_are_compared_as_a_fair_question(tmp_path: Path) -> None:
    """The data and its order are the same in every arm, so nothing is said against it; the tokens differ, and stand."""
    for share, end in ((0.0, 1.4), (0.25, 1.1)):
        for seed in (0, 1):
            tree = config("zip_tie", seed, data__replay={"share": share, "path": "sample:corpus.jsonl", "text": "en"})
            counts = {"data_tokens": 2000, "replay_tokens": 500 if share else 0}
            folder = tmp_path / f"data.replay.share={share},seed={seed}"
            write_run(folder, [3.0, 2.0], "zip_tie", seed, settings=tree, result=counts, english=[1.0, end + seed / 50])
    comparison = compare_runs(runs.read([tmp_path]), "data.replay.share", "0.0")
    assert [choice.name for choice in comparison.choices] == ["0", "0.25"] and not comparison.warnings
    paired = comparison.choices[1].texts["en"].paired
    assert paired and paired.mean == pytest.approx(-0.3)
    rows = list(csv.DictReader(io.StringIO(table.csv_text(comparison))))
    assert [row["replay_tokens"] for row in rows] == ["0", "0", "500", "500"]
