"""The demo's figures on the pages are those of the file that was committed, and of nothing else."""

import csv
import io
import re
from pathlib import Path

import pytest

from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from benchmarks import demo
from tests.compare.folders import write_sweep

ROWS = list(csv.DictReader(io.StringIO(demo.TABLE.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("page", demo.PAGES, ids=lambda page: page.relative_to(demo.ROOT).as_posix())
def test_a_page_says_what_the_file_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert demo.filled(text, demo.figures(ROWS)) == text, "python benchmarks/demo.py RUNS fills the pages"


def test_every_figure_has_its_place() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in demo.PAGES)
    assert set(demo.figures(ROWS)) == {name for name, *_ in demo.REGION.findall(text)}
    assert text.count("<!-- figure ") == text.count("<!-- /figure -->")


def test_the_file_is_one_sweep_of_one_machine_and_commit() -> None:
    assert [(row["initializer"], row["seed"]) for row in ROWS] == [
        (name, str(seed)) for name in ("random", "mean", "zip_tie") for seed in (0, 1, 2)
    ]
    assert len({row["git_commit"] for row in ROWS}) == len({row["hardware"] for row in ROWS}) == 1
    assert not ROWS[0]["git_commit"].endswith("+"), "made from a clean tree"
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT.*", row["started"]) for row in ROWS)


def test_another_run_changes_the_pages_and_the_words() -> None:
    """Where no choice is told from random, zip_tie 0.005 below on every seed is: in bold and in words."""
    base = {row["seed"]: float(row["bpb_final"]) for row in ROWS if row["initializer"] == "random"}
    noise = dict(zip(base, (0.004, -0.004, 0.0), strict=True))

    def ends(moved: dict[str, float], **apart: float) -> list[dict[str, str]]:
        return [
            row | {"bpb_final": f"{base[row['seed']] + apart.get(row['initializer'], moved[row['seed']]):.6f}"}
            for row in ROWS
        ]

    before, after = demo.figures(ends(noise, random=0.0)), demo.figures(ends(noise, random=0.0, zip_tie=-0.005))
    assert "none told from `random`" in before["caption"] and "tells none" in before["disappointed"]
    assert "`zip_tie` told from `random`" in after["caption"] and "tells `zip_tie`" in after["disappointed"]
    assert "**−0.005** ± 0.000" in after["table"] and "**−0.005**" not in before["table"]
    assert all(before[name] != after[name] for name in ("caption", "ends", "table", "words", "disappointed"))


def test_the_file_comes_from_run_folders(tmp_path: Path) -> None:
    curves = {"random": [[4.0, 3.0, 2.0], [4.1, 3.0, 2.1]], "zip_tie": [[3.5, 2.0, 1.9], [3.6, 2.2, 2.0]]}
    comparison = compare_runs(read([write_sweep(tmp_path, curves)]))
    rows = list(csv.DictReader(io.StringIO(demo.text_of(demo.rows_of(comparison)))))
    again = demo.comparison_of(rows)
    for ours, theirs in zip(again.choices, comparison.choices, strict=True):
        assert ours.name == theirs.name and ours.reach is not None and theirs.reach is not None
        for metric in demo.METRICS:
            there, here = theirs.metrics[metric], ours.metrics[metric]
            assert there and here and (here.mean, here.half) == pytest.approx((there.mean, there.half), abs=1e-5)
        assert ours.reach.saved and theirs.reach.saved
        assert ours.reach.saved.mean == pytest.approx(theirs.reach.saved.mean, abs=1)
    assert {"166", "0"} == {row["equal_rows"] for row in rows} and rows[0]["hardware"] == "AMD EPYC, 2 cores"


def test_unfinished_runs_are_refused(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, {"random": [[4, 3]], "zip_tie": [[3, 2]]})
    (sweep / "initializer=zip_tie,seed=0" / "result.json").unlink()
    with pytest.raises(ValueError, match="not finished: initializer=zip_tie,seed=0"):
        demo.rows_of(compare_runs(read([sweep])))
