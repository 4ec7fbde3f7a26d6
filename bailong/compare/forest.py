"""Forest plots: intervals around zero, drawn in the cells of a table over one scale, with its axis below them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bailong.compare.curves import Style
from bailong.compare.statistics import Estimate
from bailong.report.markup import Html

#: pixels: a drawing, its middle, and how far the scale goes to either side
WIDTH, MIDDLE, HALF = 132, 66.0, 56.0
#: the line at zero and the letters, where no style sheet says otherwise (a notebook's page may keep none)
SOFT = "var(--soft, #808791)"


@dataclass(frozen=True)
class Scale:
    """`reach` is the value at either edge, `step` the distance of its ticks."""

    reach: float
    step: float

    def x(self, value: float) -> float:
        return MIDDLE + HALF * value / self.reach

    @property
    def ticks(self) -> list[float]:
        n = int(self.reach / self.step + 1e-9)
        return [self.step * k for k in range(-n, n + 1)]


def scale(values: Sequence[Estimate | None]) -> Scale | None:
    """A scale that holds all intervals, with one to four round ticks a side; None where all are zero or none is."""
    reach = max((max(abs(v.low), abs(v.high)) for v in values if v), default=0.0)
    if reach <= 0:
        return None
    size = 10.0 ** math.floor(math.log10(reach))
    step = next(size * round_ for round_ in (5, 2, 1, 0.5) if size * round_ <= reach)
    return Scale(reach * 1.04, step)


def interval(value: Estimate | None, over: Scale | None, style: Style) -> Html:
    """A point and its interval, with the scale's ticks behind them."""
    if value is None or over is None:
        return Html()
    y = 11.0
    low, mean, high = (over.x(v) for v in (value.low, value.mean, value.high))
    colour = f"var({style.variable}, {style.light})"
    bar = f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>'
    return _drawn(22, f'{_ticks(over, 0, 22)}{bar}<circle cx="{mean:.1f}" cy="{y}" r="3.6" fill="{colour}"/>')


def axis(over: Scale | None) -> Html:
    """The scale: its ticks, the outer ones and zero with their value, and the unit."""
    if over is None:
        return Html()
    outer = over.ticks[-1]
    line = f'<line x1="{MIDDLE - HALF}" x2="{MIDDLE + HALF}" y1="0.5" y2="0.5" stroke="{SOFT}" stroke-width="1"/>'
    labels = "".join(_label(over.x(value), 17, _text(value)) for value in (-outer, 0.0, outer))
    return _drawn(34, f"{line}{_ticks(over, 0, 5)}{labels}{_label(MIDDLE, 30, 'bits per byte')}")


def _ticks(over: Scale, top: float, bottom: float) -> str:
    return "".join(
        f'<line x1="{over.x(value):.1f}" x2="{over.x(value):.1f}" y1="{top:g}" y2="{bottom:g}" stroke="{SOFT}" '
        f'stroke-width="1" stroke-opacity="{0.9 if value == 0 else 0.28}"/>'
        for value in over.ticks
    )


def _label(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="middle" font-size="10.5" fill="{SOFT}">{text}</text>'


def _text(value: float) -> str:
    return f"{'+' if value > 0 else '−'}{abs(value):.2g}" if value else "0"


def _drawn(height: int, inside: str) -> Html:
    return Html(
        f'<svg width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" aria-hidden="true">{inside}</svg>'
    )
