"""Lines with bands and points on axes, as SVG that takes its colours from the page it stands on, or stands alone."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich.cells import cell_len, set_cell_size

from bailong.report import palette

#: of the lines of choices whose colours come round again
DASHES = ("", "6 3", "2 3")
#: one place of a text of 12 px, in px; wide characters have two
PLACE = 6.6


def colour(number: int) -> str:
    return f"var({palette.variable(number)})"


def dash(number: int) -> str:
    """How the line of a choice is dashed: not at all for the first round of colours."""
    return DASHES[number // len(palette.COLOURS) % len(DASHES)]


def step(span: float) -> float:
    """A round distance of grid lines, four or so of them."""
    size = 10.0 ** math.floor(math.log10(span))
    return next(size * part for part in (0.2, 0.5, 1, 2, 5) if size * part >= span / 5)


def rounded(low: float, high: float) -> tuple[float, float, float]:
    """Ends of an axis that holds both values, and the distance of its grid lines."""
    apart = step(high - low or 1.0)
    bottom, top = math.floor(low / apart + 1e-9) * apart, math.ceil(high / apart - 1e-9) * apart
    return bottom, top if top > bottom else bottom + apart, apart


def cut(text: str, places: int) -> str:
    """A text of at most so many places, as the widest characters are counted."""
    return text if cell_len(text) <= places else set_cell_size(text, places - 1) + "…"


@dataclass(frozen=True)
class Axes:
    """A frame: where it stands in the drawing, and which values its edges are."""

    left: float
    right: float
    top: float
    bottom: float
    x_ends: tuple[float, float]
    y_ends: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_ends
        return self.left + (self.right - self.left) * (value - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        low, high = self.y_ends
        return self.bottom - (self.bottom - self.top) * (value - low) / ((high - low) or 1.0)

    def title(self, text: str) -> str:
        return f'<text class="name" x="{self.left:.1f}" y="{self.top - 12:.1f}">{escape(text)}</text>'

    def rows(self, apart: float, shape: str = "{:g}") -> Iterator[str]:
        """Grid lines across, with their values; the last is the upper edge."""
        low, high = self.y_ends
        for number in range(round((high - low) / apart) + 1):
            value = low + number * apart
            y, shown = self.y(value), shape.format(round(value, 10) + 0.0).replace("-", "−")
            yield f'<path stroke="var(--grid)" d="M{self.left:.1f} {y:.1f}H{self.right:.1f}"/>'
            yield f'<text class="soft value" x="{self.left - 6:.1f}" y="{y + 4:.1f}">{shown}</text>'

    def ticks(self, values: Sequence[float], unit: str) -> Iterator[str]:
        """Values below the lower edge, and what they are."""
        for value in values:
            place = f'x="{self.x(value):.1f}" y="{self.bottom + 17:.1f}"'
            yield f'<path stroke="var(--soft)" d="M{self.x(value):.1f} {self.bottom:.1f}v4"/>'
            yield f'<text class="soft" text-anchor="middle" {place}>{value:g}</text>'
        place = f'x="{(self.left + self.right) / 2:.1f}" y="{self.bottom + 34:.1f}"'
        yield f'<text class="soft" text-anchor="middle" {place}>{escape(unit)}</text>'

    def line(self, xs: Sequence[float], ys: Sequence[float | None], stroke: str, dashes: str = "") -> str:
        """Through all points that are known, with a gap where one is not."""
        drawn = f' stroke-dasharray="{dashes}"' if dashes else ""
        paths = "".join(f"M{' L'.join(run)}" for run in self._runs(xs, ys))
        return f'<path fill="none" stroke="{stroke}" stroke-width="1.8" stroke-linejoin="round"{drawn} d="{paths}"/>'

    def band(self, xs: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None], fill: str) -> str:
        """The surface between two lines."""
        runs = zip(self._runs(xs, lows), self._runs(xs, highs), strict=True)
        paths = "".join(f"M{' L'.join([*low, *reversed(high)])}Z" for low, high in runs)
        return f'<path fill="{fill}" fill-opacity=".17" d="{paths}"/>'

    def _runs(self, xs: Sequence[float], ys: Sequence[float | None]) -> Iterator[list[str]]:
        run: list[str] = []
        for x, y in zip(xs, ys, strict=True):
            if y is not None:
                run.append(f"{self.x(x):.1f} {self.y(y):.1f}")
            elif run:
                yield run
                run = []
        if run:
            yield run


def legend(names: Sequence[tuple[str, str, str]], x: float, y: float, width: float) -> tuple[str, float]:
    """Lines with what they stand for, side by side as long as there is room.

    Args:
        names: each with the colour of its line and its dashes.

    Returns:
        The shapes, and how far down they reach.
    """
    shapes, at = [], x
    for name, stroke, dashes in names:
        shown = cut(name, 44)
        wide = 32 + PLACE * cell_len(shown)
        if at > x and at + wide > x + width:
            at, y = x, y + 18
        drawn = f' stroke-dasharray="{dashes}"' if dashes else ""
        shapes.append(f'<path stroke="{stroke}" stroke-width="2.4"{drawn} d="M{at:.1f} {y - 4:.1f}h22"/>')
        shapes.append(f'<text x="{at + 28:.1f}" y="{y:.1f}">{escape(shown)}</text>')
        at += wide + 16
    return "".join(shapes), y


def alone(drawing: str) -> str:
    """A drawing of `bars.drawing` as a file: with its colours for light and dark, on paper of its own."""
    soft = [(name, palette.INK[name], dark) for name, dark in palette.DARK_INK.items()]
    style = (
        f"{palette.css([*palette.CHOICES, *soft])}"
        "svg { background: var(--paper); } text { font: 12px system-ui, 'Noto Sans', 'Noto Sans CJK TC', sans-serif; "
        "fill: var(--ink); } .soft { fill: var(--soft); } .value { text-anchor: end; } .name { font-weight: 600; }"
    )
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "<title>", f"<style>{style}</style><title>", 1
    )
