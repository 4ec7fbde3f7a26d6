"""The page as a file: whole, static, and honest about what is missing."""

import json
import re
from pathlib import Path

from bailong.compare.comparison import compare_runs
from bailong.compare.page import page
from bailong.compare.runs import read
from bailong.compare.settings import Compare
from tests.compare.folders import config, write_run, write_sweep
from tests.report.parsed import check_whole, headings, parsed, words

CURVES = {
    "random": [[4.00, 3.0, 2.0], [4.02, 3.0, 2.1]],
    "zip_tie": [[3.50, 2.0, 1.9], [3.51, 2.1, 2.0]],
    "mean": [[6.0, 4.0, 3.0], [6.0, 4.0, 3.0]],
}


def made(folder: Path, **settings: str) -> str:
    found = Compare(runs=str(folder), **settings)
    return page(compare_runs(read(found.runs), found.by, found.baseline), found, folder)


def test_the_page_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    text = made(write_sweep(tmp_path, CURVES))
    check_whole(text)
    assert text == made(tmp_path), "the same runs give the same page"


def test_sections_stand_in_order(tmp_path: Path) -> None:
    text = made(write_sweep(tmp_path, CURVES))
    assert headings(text) == [
        "What is compared",
        "Bits per byte",
        "Difference to random",
        "The base model before extension",
        "How to read these numbers",
        "Evaluation curves",
        "The start",
        "Training loss",
        "New and old tokens",
        "The new rows",
        "Runs",
        "Is the comparison fair?",
        "How to reproduce",
    ]


def test_headline_numbers(tmp_path: Path) -> None:
    text = words(made(write_sweep(tmp_path, CURVES)))
    assert "Does the initializer matter?" in text
    # t(0.975, 1) times half the distance of the two seeds
    assert "zip_tie 2 3.505 ± 0.064" in text
    assert "not reached" in text
    assert "2.500 2.750 +0.250" in text, "the base model and the damage of tying"
    assert "bailong-train sweeps=initializers experiments=tiny" in text
    assert "git checkout 0123456789abcdef" in text


def test_a_fair_comparison_has_no_warning_and_an_unfair_one_does(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    assert "Before you trust this" not in made(sweep)
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, result={"data_order": "other"})
    text = words(made(sweep))
    assert "Before you trust this" in text
    assert "Same data order? order-of-s, other for 1 of 2 seeds" in text


def test_links_lead_to_the_run_folders(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "a b", CURVES)
    found = Compare(runs=str(sweep), to=str(tmp_path / "report"))
    text = page(compare_runs(read(found.runs)), found, tmp_path / "report")
    assert "../a%20b/initializer=zip_tie,seed=0/" in parsed(text).links


def test_one_run_and_no_baseline(tmp_path: Path) -> None:
    text = words(made(write_run(tmp_path / "run", [4, 3], "zip_tie", sweep=None)))
    assert "initializer: zip_tie" in text
    assert "No run has initializer.name=random" in text
    assert "Difference to" not in text and "speed-up" not in text.split("How to read")[0]
    assert "With one finished run per choice there is no interval" in text


def test_an_unfinished_sweep(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES, ["initializer=zip_tie,seed=2"])
    for result in sweep.glob("initializer=zip*/result.json"):
        result.unlink()
    (sweep / "initializer=zip_tie,seed=0" / "error.json").write_text(
        json.dumps({"type": "RuntimeError", "message": "<b>out</b> of memory"})
    )
    text = made(sweep)
    assert "&lt;b&gt;out&lt;/b&gt; of memory" in text and "<b>out</b>" not in text
    assert "4 finished, 1 failed, 1 interrupted; 1 more not started" in words(text)


def test_nothing_measured_yet(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [4, 3], finished=False)
    (folder / "metrics.jsonl").unlink()
    text = made(folder)
    assert "<figure>" not in text
    assert "interrupted" in words(text)


def test_the_forest_has_an_axis_for_each_measure(tmp_path: Path) -> None:
    text = made(write_sweep(tmp_path, CURVES))
    row = text.split('<tr class="axis">')[1].split("</tr>")[0]
    assert row.count("bits per byte</text>") == 3 and row.count(">0</text>") == 3


def test_names_are_escaped(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [4, 3], settings=config("</script><img src=x>"))
    text = made(tmp_path)
    assert "<img" not in text
    assert text.count("</script>") == 2


def test_hover_data_is_readable(tmp_path: Path) -> None:
    text = made(write_sweep(tmp_path, CURVES))
    found = re.search(r'<script type="application/json" id="curves">(.*?)</script>', text, re.S)
    assert found
    figures = json.loads(found[1])
    assert [len(figure["panels"]) for figure in figures] == [2, 2, 1, 2]
    assert all(f'id="{figure["id"]}"' in text for figure in figures)
