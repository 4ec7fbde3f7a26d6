"""What is drawn, and that it is drawn the same twice."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bailong.compare import curves
from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from tests.compare.folders import write_run, write_sweep

CURVES = {"random": [[4.0, 3.0, 2.0], [5.0, 3.0, 2.2]], "zip_tie": [[3.0, 2.0, 1.9], [3.5, 2.4, 2.0]]}


def test_band_is_mean_lowest_and_highest(tmp_path: Path) -> None:
    band = curves.band(read([write_sweep(tmp_path, {"random": CURVES["random"]})]).runs, "eval/bpb")
    assert band is not None
    assert band.tokens.tolist() == [0, 1000, 2000]
    assert band.mean.tolist() == pytest.approx([4.5, 3.0, 2.1])
    assert band.low.tolist() == [4.0, 3.0, 2.0]
    assert band.high.tolist() == [5.0, 3.0, 2.2]


def test_band_of_runs_that_evaluate_at_other_tokens(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [4, 2, 0], tokens_per_evaluation=1000)
    write_run(tmp_path / "b", [4, 2, 0], "random", 1, tokens_per_evaluation=500)
    band = curves.band(read([tmp_path]).runs, "eval/bpb")
    assert band is not None
    assert band.tokens.tolist() == [0, 500, 1000], "as far as both reach"
    assert band.mean.tolist() == pytest.approx([4, (3 + 2) / 2, (2 + 0) / 2])


def test_thin_keeps_ends_and_peaks() -> None:
    n = 10_000
    mean = np.sin(np.arange(n) / 400)
    mean[4321], mean[77] = 9.0, -9.0
    thinned = curves.thin(curves.Band(np.arange(n, dtype=float), mean, mean - 1, mean + 1))
    assert len(thinned.tokens) <= curves.POINTS
    assert {0, 77, 4321, n - 1} <= set(thinned.tokens.astype(int))
    assert thinned.high[thinned.tokens == 4321] == 10
    assert (np.diff(thinned.tokens) > 0).all()


def test_svg_is_the_same_twice_and_keeps_its_text(tmp_path: Path) -> None:
    comparison = compare_runs(read([write_sweep(tmp_path, CURVES)]))
    first, second = (curves.svg(curves.figure1(comparison)) for _ in range(2))
    assert first == second
    assert "<dc:date>" not in first
    ElementTree.fromstring(first)
    for text in ("Evaluation loss (nats per token)", "Bits per byte, the start", "zip_tie", "Trained tokens"):
        assert text in first
    assert curves.png(curves.figure1(comparison)) == curves.png(curves.figure1(comparison))


def test_embedded_svg_takes_its_colours_from_the_page(tmp_path: Path) -> None:
    comparison = compare_runs(read([write_sweep(tmp_path, CURVES)]))
    panels = curves.evaluation_panels(comparison)
    text, places = curves.embedded(curves.draw(comparison, panels, legend=False), panels, comparison, "figure7")
    ElementTree.fromstring(text.replace("xlink:href", "href"))
    colours = set(re.findall(r"#[0-9a-f]{6}\b", text))
    assert not colours, f"colours that no theme can change: {colours}"
    assert {"var(--baseline)", "var(--choice0)", "var(--ink)", "var(--paper)"} <= set(re.findall(r"var\(--\w+\)", text))
    assert set(re.findall(r'\bid="([^"]+)"', text)) >= {"figure7"}
    assert all(name.startswith("figure7") for name in re.findall(r'\bid="([^"]+)"', text))
    assert [len(panel["series"]) for panel in places["panels"]] == [2, 2]
    assert places["panels"][1]["series"][0]["mean"] == pytest.approx([4.5, 3.0, 2.1])
    x0, y0, x1, y1 = places["panels"][0]["frame"]
    assert 0 < x0 < x1 < places["width"] / 2 and 0 < y0 < y1 < places["height"]


def test_unfinished_runs_stay_out_of_the_mean(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    (sweep / "initializer=zip_tie,seed=1" / "result.json").unlink()
    comparison = compare_runs(read([sweep]))
    panels = curves.evaluation_panels(comparison)
    figure = curves.draw(comparison, panels)
    curves.svg(figure)
    assert panels[1].series[1][1].mean.tolist() == [3.0, 2.0, 1.9]
    assert len(figure.axes[1].lines) == 4, "two means, the unfinished run, and the base model's line"


def test_the_start_is_two_evaluations_or_a_tenth(tmp_path: Path) -> None:
    write_run(tmp_path / "short" / "a", [5 - i / 10 for i in range(11)])
    assert curves.zoom(compare_runs(read([tmp_path / "short"]))) == 2000
    write_run(tmp_path / "long", [5 - i / 100 for i in range(101)], "zip_tie")
    assert curves.zoom(compare_runs(read([tmp_path / "long"]))) == 10_000
    assert curves.zoom(compare_runs(read([tmp_path]))) == 2000, "a long run does not push the start of a short one out"
    write_run(tmp_path / "few", [5, 4, 3])
    assert curves.zoom(compare_runs(read([tmp_path / "few"]))) == 1000, "never the whole run where less can be shown"


def test_the_start_begins_at_step_0_and_every_line_reaches_its_edge(tmp_path: Path) -> None:
    """Choices that evaluate at other tokens, one of them rarely."""
    write_run(tmp_path / "a", [5 - i / 100 for i in range(101)])
    write_run(tmp_path / "b", [4, 3, 2, 1], "zip_tie", tokens_per_evaluation=33_000)
    comparison = compare_runs(read([tmp_path]))
    panels = curves.zoom_panels(comparison)
    figure = curves.draw(comparison, panels)
    for ax in figure.axes:
        left, right = ax.get_xlim()
        assert left < 0 < right and right <= 1.03 * 33_000
        marks = [tick for tick in ax.get_xticks() if left <= tick <= right]
        assert 0 in marks and 3 <= len(marks) <= 8
        for line in ax.lines:
            x = line.get_xdata()
            assert x[0] == 0 and x[-1] >= 33_000 and len(x) > 1


def test_one_evaluation_is_drawn(tmp_path: Path) -> None:
    comparison = compare_runs(read([write_run(tmp_path / "run", [4.0], finished=False)]))
    assert "<svg" in curves.svg(curves.figure1(comparison))


def test_many_choices_and_other_scripts_are_drawn(tmp_path: Path) -> None:
    for i in range(9):
        write_run(tmp_path / str(i), [4, 3], f"白龍{i}" if i else "random")
    comparison = compare_runs(read([tmp_path]))
    looks = [(style.variable, str(style.dash)) for style in curves.styles(comparison.choices).values()]
    assert len(set(looks)) == 9, "no two choices look alike"
    assert "白龍1" in curves.svg(curves.figure1(comparison))
    curves.png(curves.figure1(comparison))
