"""Scores against the size of models: a panel for each benchmark and group, parameters on a logarithmic axis."""

import math
from collections.abc import Callable, Iterator
from html import escape

from bailong.evaluate.pages import score_table
from bailong.evaluate.pages.choice_table import choice_tables
from bailong.evaluate.pages.score_table import Score, Scores
from bailong.report import bars, elements, palette, plot, units
from bailong.report.elements import section
from bailong.report.markup import Html, visible

#: sizes that make a figure
FEWEST = 3
#: of a panel, in its own units: its height, and where its axes begin and end
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 176, 34.0, 300.0, 10.0, 148.0


def figure(scores: Scores) -> str:
    """The section; nothing where fewer than three sizes are known."""
    sizes = {model: size for model, size in score_table.sizes(scores).items() if size}
    if len(set(sizes.values())) < FEWEST:
        return ""
    places = {model: place for place, model in enumerate(scores["models"])}  # their colours on the whole page
    panels = [_panel(name, points, sizes, places, chance) for name, points, chance in _shown(scores, sizes)]
    if not panels:
        return ""
    names = (f"{bars.swatch(places[model])} {visible(model)} ({units.short(size)})" for model, size in sizes.items())
    told = (
        "A point for each model with the 95 % interval over questions. The axis of parameters is logarithmic; models "
        "differ in more than size, so no line is drawn through them. Dashed: what chance gives."
    )
    legend = elements.note(Html(" &nbsp; ".join(names)))
    return section("Scores over sizes", f'{legend}<div class="panels">{"".join(panels)}</div>', told, "sizes")


def _shown(scores: Scores, sizes: dict[str, int]) -> Iterator[tuple[str, dict[str, Score], float | None]]:
    """Each panel's name, the score of each model that has one, and that of chance."""
    made = score_table.score_table(scores)
    tables = [(made, "", None)]
    for name, table in choice_tables(scores).items():
        tables.append((table, f"{name}, ", 100 / scores["benchmarks"][name]["choices"]))
    for table, prefix, chance in tables:
        for place, (name, note) in enumerate(table.columns):
            if name == "Avg" and len(scores["columns"]) == 1:
                continue  # it is that one column
            cells = {row.name: row.cells[place] for row in table.evaluated}
            points = {model: cells[model] for model in sizes if model in cells and cells[model].value is not None}
            if len({sizes[model] for model in points}) >= FEWEST:
                of = f" ({note})" if name == "Avg" and note else ""
                unit = "" if chance is None else ", %"
                yield f"{prefix}{name}{of}{unit}", points, chance


def _panel(
    name: str, points: dict[str, Score], sizes: dict[str, int], places: dict[str, int], chance: float | None
) -> str:
    ends = [end for score in points.values() for end in (score.value, score.low, score.high) if end is not None]
    ends += [chance] if chance is not None else []
    step = plot.step(max(ends) - min(ends) or 1.0)
    bottom, top = math.floor(min(ends) / step) * step, math.ceil(max(ends) / step) * step
    top += step * (top == bottom)
    logs = {model: math.log10(sizes[model]) for model in points}
    least, most = min(logs.values()), max(logs.values())

    def x(model: str) -> float:
        return LEFT + 14 + (RIGHT - LEFT - 28) * (logs[model] - least) / (most - least)

    def y(value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - bottom) / (top - bottom)

    shapes = [_grid(bottom + step * n, y) for n in range(round((top - bottom) / step) + 1)]
    if chance is not None:
        dashed = 'stroke="var(--soft)" stroke-dasharray="4 3"'
        shapes.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(chance):.1f}" y2="{y(chance):.1f}" {dashed}/>')
    shapes += [_size(x(model), sizes[model]) for model in _apart(points, x)]
    for model, score in points.items():
        shapes.append(_point(score, model, f"var({palette.variable(places[model])})", x(model), y))
    told = "; ".join(f"{model} ({units.short(sizes[model])}) {_said(score)}" for model, score in points.items())
    return bars.panel(name, bars.drawing(320, HEIGHT, f"{name} against parameters", told, shapes))


def _apart(points: dict[str, Score], x: Callable[[str], float]) -> list[str]:
    """Models whose sizes can be written below the axis without touching."""
    shown: list[str] = []
    for model in sorted(points, key=x):
        if not shown or x(model) - x(shown[-1]) >= 34:
            shown.append(model)
    return shown


def _grid(value: float, y: Callable[[float], float]) -> str:
    line = f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="var(--grid)"/>'
    return f'{line}<text class="soft value" x="{LEFT - 5}" y="{y(value) + 3.5:.1f}">{value:.10g}</text>'


def _size(x: float, size: int) -> str:
    tick = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{BOTTOM}" y2="{BOTTOM + 4}" stroke="var(--soft)"/>'
    return f'{tick}<text class="soft" text-anchor="middle" x="{x:.1f}" y="{BOTTOM + 17}">{units.short(size)}</text>'


def _said(score: Score) -> str:
    return score_table.number(score.value) + score.between(" ({} to {})")


def _point(score: Score, model: str, colour: str, x: float, y: Callable[[float], float]) -> str:
    assert score.value is not None
    bar = ""
    if score.low is not None and score.high is not None:
        ends = f'y1="{y(score.low):.1f}" y2="{y(score.high):.1f}"'
        bar = f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{colour}" stroke-width="2"/>'
    said = f"<title>{escape(model)}: {_said(score)}</title>"
    return f'<g>{said}{bar}<circle cx="{x:.1f}" cy="{y(score.value):.1f}" r="4" fill="{colour}"/></g>'
