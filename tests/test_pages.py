"""Figures of sweeps on the pages are those of the files that were committed, and of nothing else."""

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from benchmarks import pages
from tests.compare.folders import write_run, write_sweep

ROWS = pages.SWEEPS["demo"].rows


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.relative_to(pages.ROOT).as_posix())
def test_a_page_says_what_the_files_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert pages.filled(text, pages.every_figure()) == text, "python benchmarks/pages.py SWEEP RUNS fills the pages"


def test_every_figure_has_its_place() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in pages.PAGES)
    assert set(pages.every_figure()) == {name for name, *_ in pages.REGION.findall(text)}
    assert text.count("<!-- figure ") == text.count("<!-- /figure -->")


@pytest.mark.parametrize("name", pages.SWEEPS)
def test_a_file_is_one_sweep_of_one_machine_and_commit(name: str) -> None:
    rows = pages.SWEEPS[name].rows
    arms = pages.SWEEPS[name].arms
    assert {(row["initializer"], row["seed"]) for row in rows} == arms and len(rows) == len(arms) >= 9
    assert len({row["git_commit"] for row in rows}) == len({row["hardware"] for row in rows}) == 1
    assert not rows[0]["git_commit"].endswith("+"), "made from a clean tree"
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT.*", row["started"]) for row in rows)
    assert pages.SWEEPS[name].drawing.is_file()


def test_a_difference_is_that_of_the_pairs() -> None:
    """A row that moves moves its mean, its difference and the caption; the mark of the table follows the interval."""
    rows = pages.SWEEPS["smollm2"].rows
    moved = [row | ({"bpb_final": "9.5"} if row["initializer"] == "mean" else {}) for row in rows]
    zip_tie = sum(float(row["bpb_final"]) for row in rows if row["initializer"] == "zip_tie") / 2
    before, after = pages.smollm2(rows), pages.smollm2(moved)
    assert f"{9.5 - zip_tie:+.3f}" in after["smollm2_caption"] and "9.500 ± 0.000" in after["smollm2_table"]
    assert before["smollm2_caption"] != after["smollm2_caption"]
    assert "| `mean` | **3.725** | **9.500** |" in after["smollm2_short"]
    noisy = [row | ({"bpb_final": f"{9 * int(row['seed'])}"} if row["initializer"] == "mean" else {}) for row in rows]
    assert "| `mean` | **3.725** | 4.500 |" in pages.smollm2(noisy)["smollm2_short"], "its interval holds zero"


def test_another_run_changes_the_pages_and_the_words() -> None:
    """Where no choice is told from random, zip_tie 0.005 below on every seed is: in bold and in words."""
    base = {row["seed"]: float(row["bpb_final"]) for row in ROWS if row["initializer"] == "random"}
    noise = dict(zip(base, (0.004, -0.004, 0.0), strict=True))

    def ends(moved: dict[str, float], **apart: float) -> list[dict[str, str]]:
        return [
            row | {"bpb_final": f"{base[row['seed']] + apart.get(row['initializer'], moved[row['seed']]):.6f}"}
            for row in ROWS
        ]

    before, after = pages.demo(ends(noise, random=0.0)), pages.demo(ends(noise, random=0.0, zip_tie=-0.005))
    assert "none told from `random`" in before["ends"] and "tells none" in before["disappointed"]
    assert "`zip_tie` told from `random`" in after["ends"] and "tells `zip_tie`" in after["disappointed"]
    assert "**−0.005** ± 0.000" in after["table"] and "**−0.005**" not in before["table"]
    assert all(before[name] != after[name] for name in ("ends", "table", "words", "disappointed"))


def test_the_file_comes_from_run_folders(tmp_path: Path) -> None:
    curves = {"random": [[4.0, 3.0, 2.0], [4.1, 3.0, 2.1]], "zip_tie": [[3.5, 2.0, 1.9], [3.6, 2.2, 2.0]]}
    comparison = compare_runs(read([write_sweep(tmp_path, curves)]))
    rows = list(csv.DictReader(io.StringIO(pages.text_of(pages.rows_of(comparison)))))
    again = pages.comparison_of(rows, "random")
    for ours, theirs in zip(again.choices, comparison.choices, strict=True):
        assert ours.name == theirs.name and ours.reach is not None and theirs.reach is not None
        for metric in pages.METRICS:
            there, here = theirs.metrics[metric], ours.metrics[metric]
            assert there and here and (here.mean, here.half) == pytest.approx((there.mean, there.half), abs=1e-5)
        assert ours.reach.saved and theirs.reach.saved
        assert ours.reach.saved.mean == pytest.approx(theirs.reach.saved.mean, abs=1)
    assert {"166", "0"} == {row["equal_rows"] for row in rows} and rows[0]["hardware"] == "AMD EPYC, 2 cores"


def test_unfinished_runs_are_refused(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, {"random": [[4, 3]], "zip_tie": [[3, 2]]})
    (sweep / "initializer=zip_tie,seed=0" / "result.json").unlink()
    with pytest.raises(ValueError, match="not finished: initializer=zip_tie,seed=0"):
        pages.rows_of(compare_runs(read([sweep])))


def demo_runs(folder: Path) -> Path:
    """Runs as those of the demo."""
    arms = [(name, int(seed)) for name, seed in sorted(pages.SWEEPS["demo"].arms)]
    for i, (name, seed) in enumerate(arms):
        write_run(folder / f"initializer={name},seed={seed}", [4 + i / 100, 3, 2 + i / 50], name, seed, train_every=11)
    (folder / "curves.svg").write_text("<svg/>")
    return folder


def edited(folder: Path, name: str, **more: object) -> None:
    place = folder / name
    place.write_text(json.dumps(json.loads(place.read_text()) | more))


OTHERS = {
    "another sweep": lambda at: [edited(run, "run.json", sweep="adapters") for run in at.glob("initializer=*")],
    "a seed less": lambda at: shutil.rmtree(at / "initializer=zip_tie,seed=2"),
    "a run more": lambda at: write_run(at / "initializer=zip_tie,seed=7", [4, 3, 2], "zip_tie", 7),
    "two tokenizers": lambda at: edited(at / "initializer=mean,seed=0", "result.json", tokenizer_sha256="u" * 64),
    "no drawing": lambda at: (at / "curves.svg").unlink(),
    "an unfinished run": lambda at: (at / "initializer=mean,seed=1" / "result.json").unlink(),
}


@pytest.mark.parametrize("other", OTHERS)
def test_runs_that_are_not_the_sweep_write_nothing(other: str, tmp_path: Path, monkeypatch, capsys) -> None:
    root = a_copy(tmp_path / "root", monkeypatch)
    runs = demo_runs(tmp_path / "runs")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    OTHERS[other](runs)
    monkeypatch.setattr(sys, "argv", ["pages.py", "demo", str(runs)])
    assert pages.main() == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.endswith("; nothing was written\n") and told.count("\n") == 1
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_the_runs_of_the_sweep_fill_file_drawing_and_pages(tmp_path: Path, monkeypatch, capsys) -> None:
    root = a_copy(tmp_path / "root", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["pages.py", "demo", str(demo_runs(tmp_path / "runs"))])
    assert pages.main() == 0, capsys.readouterr().err
    assert (root / "experiments" / "demo_initializers.svg").read_text() == "<svg/>"
    assert len(pages.SWEEPS["demo"].rows) == 9 and pages.SWEEPS["demo"].rows[0]["hardware"] == "AMD EPYC, 2 cores"
    monkeypatch.setattr(sys, "argv", ["pages.py"])
    assert pages.main() == 0


def a_copy(root: Path, monkeypatch) -> Path:
    """The repository's pages, files and sweeps elsewhere, as those that are written to."""
    for name in ("experiments", "sweeps"):
        shutil.copytree(pages.ROOT / name, root / name)
    shutil.copy(pages.ROOT / "README.md", root)
    monkeypatch.setattr(pages, "ROOT", root)
    monkeypatch.setattr(pages, "PAGES", (root / "README.md", root / "experiments" / "README.md"))
    return root
