"""Intervals over one scale: where they stand, and what the axis says."""

import re

import pytest

from bailong.compare import forest
from bailong.compare.curves import DASHES, Style
from bailong.compare.statistics import Estimate

STYLE = Style("--choice0", "#0b66a8", "#5cb3f0", DASHES[0], "")


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>(.*?)</text>", svg)


@pytest.mark.parametrize(
    ("reach", "outer"),
    [(0.644, "+0.5"), (0.116, "+0.1"), (0.012, "+0.01"), (9.3, "+5"), (1.0, "+1"), (3e-5, "+2e-05"), (4.2, "+4")],
)
def test_the_axis_has_round_ticks_a_zero_and_its_unit(reach: float, outer: str) -> None:
    over = forest.scale([Estimate(reach / 2, reach / 2, 3), None, Estimate(0, reach / 9, 3)])
    assert over is not None and 3 <= len(over.ticks) <= 9
    assert texts(forest.axis(over)) == [f"−{outer[1:]}", "0", outer, "bits per byte"]
    assert all(0 <= over.x(value) <= forest.WIDTH for value in (-reach, reach, *over.ticks))


def test_an_interval_stands_where_the_axis_says() -> None:
    over = forest.scale([Estimate(-0.5, 0.25, 3), Estimate(1, None, 1)])
    assert over is not None and over.ticks == [-1, 0, 1]
    drawn = forest.interval(Estimate(-0.5, 0.25, 3), over, STYLE)
    bar = re.search(r'<line x1="([\d.]+)" x2="([\d.]+)"[^>]*stroke-width="2.5"', drawn)
    middle = re.search(r'cx="([\d.]+)"', drawn)
    assert bar and middle
    found = [float(bar[1]), float(middle[1]), float(bar[2])]
    assert found == pytest.approx([over.x(v) for v in (-0.75, -0.5, -0.25)], abs=0.06)
    assert f'x1="{over.x(0):.1f}"' in drawn, "the line at zero"


def test_nothing_to_draw() -> None:
    assert forest.scale([None, Estimate(0, 0, 2)]) is None
    assert forest.interval(Estimate(0, 0, 2), None, STYLE) == forest.axis(None) == ""
