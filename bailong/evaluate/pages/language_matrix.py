"""The language asked for against that of the answers, as tables and as a drawing."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from bailong.report import bars, elements, plot, units
from bailong.report.elements import Cell, section
from bailong.report.markup import Html, visible

Scores = dict[str, Any]
#: columns of `differences`
DIFFERENCE = ["points", "95 % interval", "questions"]
#: of the drawing: width, that of the names of rows, height of a row
WIDTH, NAMES, ROW = 960, 190.0, 34.0
TOLD = (
    "A row is the language asked for, a column that of the answer, by counting characters and words. Shares of the "
    "row, with the count and the 95 % interval (Wilson). Questions that leave the language free, in a language that "
    "the rule does not know, or without an answer are left out."
)


def lines(scores: Scores) -> list[str]:
    """A line for each model; none where nobody was asked in a language that is known."""
    found = []
    for model, matrix in _matrices(scores):
        right = matrix["right"]
        told = f"{model}: answers in the language asked for: {_between(right)} of {right['n']:,}"
        parts = [(matrix["untold"], "cannot be told"), (matrix["empty"], "hold nothing")]
        found.append("; ".join([told, *(f"{count:,} {what}" for count, what in parts if count)]))
    return found


def figure(scores: Scores) -> str:
    """The section; nothing where there is no matrix."""
    parts = []
    for model, matrix in _matrices(scores):
        of = scores["models"][model]["response_language"]
        right = matrix["right"]
        left = f"; left out: {units.listed(of['left_out'].items())}" if of["left_out"] else ""
        told = f"In the language asked for: {_between(right)} of {units.plural(right['n'], 'answer')}{left}."
        parts.append(f"<h3>{visible(model)}</h3>{elements.note(told)}{_table(matrix)}")
        if len(of["benchmarks"]) > 1:
            each = "".join(f"<h4>{visible(name)}</h4>{_table(one)}" for name, one in of["benchmarks"].items())
            parts.append(elements.fold("By benchmark", each))
    rows = [[pair, name, *figures] for pair, name, *figures in differences(scores)]
    if rows:
        parts.append(elements.note("How far two models are apart in it, on the questions that both answered:"))
        parts.append(elements.table(rows, ["first − second"], ["benchmark", *DIFFERENCE], kind="counts"))
    return section("Asked and answered", "".join(parts), TOLD, "answered")


def differences(scores: Scores) -> list[list[str]]:
    """How far two models are apart in the share of right languages, a row each; in percentage points."""
    rows = []
    for one in scores["differences"]:
        known = one.get("response_language", {})
        for name, found in known.items():
            if name and len(known) < 3:
                continue  # it is all there is
            ends = [f"{100 * found[end]:+.1f}" for end in ("low", "high") if found[end] is not None]
            figures = [f"{100 * found['mean']:+.1f}", " to ".join(ends), f"{found['n']:,}"]
            rows.append([f"{one['first']} − {one['second']}", name or "all", *figures])
    return rows


def drawing(scores: Scores) -> str:
    """A heat map for each model, of all benchmarks together; nothing where there is none."""
    shapes: list[str] = []
    told, y = [], 8.0
    for model, matrix in _matrices(scores):
        more, y = _map(model, matrix, y)
        shapes += more
        told.append(f"{model}: {_between(matrix['right'])} in the language asked for")
    if not shapes:
        return ""
    return bars.drawing(WIDTH, round(y), "Language asked for, and language of the answer", ". ".join(told), shapes)


def _matrices(scores: Scores) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for model, of in scores["models"].items():
        if matrix := of.get("response_language", {}).get("all"):
            yield model, matrix


def _between(found: Mapping[str, Any]) -> str:
    return f"{100 * found['share']:.0f} % ({100 * found['low']:.0f} to {100 * found['high']:.0f})"


def _table(matrix: Mapping[str, Any]) -> str:
    rows = [
        [row["asked"], f"{row['n']:,}", *(_cell(row["asked"], name, found) for name, found in _named(matrix, row))]
        for row in matrix["rows"]
    ]
    return elements.table(rows, ["asked for"], ["answers", *matrix["columns"]], kind="counts")


def _named(matrix: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return zip(matrix["columns"], row["cells"], strict=True)


def _cell(asked: str, name: str, found: Mapping[str, Any]) -> Cell:
    if not found["count"]:
        return Cell(f'<td class="n none" title="{_said(asked, name, found)}">0</td>')
    shade = f"background: color-mix(in srgb, {plot.colour(0)} {round(55 * found['share'])}%, transparent)"
    ends = f"{100 * found['low']:.0f}–{100 * found['high']:.0f}"
    below = f'<span class="range">{found["count"]:,}</span><span class="range">{ends}</span>'
    shown = Html(f"{100 * found['share']:.0f} %{below}")
    return Cell(f'<td class="n" style="{shade}" title="{_said(asked, name, found)}">{shown}</td>')


def _said(asked: str, name: str, found: Mapping[str, Any]) -> str:
    ends = f"{100 * found['low']:.1f} to {100 * found['high']:.1f} %"
    return escape(f"{asked} asked for, {name}: {found['count']:,}, {100 * found['share']:.1f} % ({ends})")


def _map(model: str, matrix: Mapping[str, Any], y: float) -> tuple[list[str], float]:
    """One heat map from `y` on, and where it ends."""
    columns, rows = matrix["columns"], matrix["rows"]
    wide = min(150.0, (WIDTH - NAMES - 10) / len(columns))
    title = f"{plot.cut(model, 60)}: {_between(matrix['right'])} in the language asked for, of {matrix['right']['n']:,}"
    shapes = [f'<text class="name" x="4" y="{y + 12:.1f}">{escape(title)}</text>']
    top = y + 56
    for number, name in enumerate(columns):
        at = NAMES + (number + 0.5) * wide
        first, _, second = name.partition(" ") if len(name) * plot.PLACE > wide else (name, "", "")
        for up, word in ((14, first), (0, second)) if second else ((0, first),):
            place = f'text-anchor="middle" x="{at:.1f}" y="{top - 8 - up:.1f}"'
            shown = escape(plot.cut(word, int(wide / plot.PLACE)))
            shapes.append(f'<text class="soft" {place}>{shown}</text>')
    for number, row in enumerate(rows):
        upper = top + number * ROW
        label = f"{plot.cut(row['asked'], 20)} ({row['n']:,})"
        shapes.append(f'<text class="value" x="{NAMES - 8:.1f}" y="{upper + 21:.1f}">{escape(label)}</text>')
        for place, (name, found) in enumerate(_named(matrix, row)):
            left = NAMES + place * wide
            box = f'x="{left + 1:.1f}" y="{upper + 1:.1f}" width="{wide - 2:.1f}" height="{ROW - 2:.1f}"'
            outline = ' stroke="var(--ink)" stroke-width="1.4"' if name == row["asked"] else ""
            shade = f'fill="{plot.colour(0)}" fill-opacity="{0.04 + 0.56 * found["share"]:.2f}"'
            said = f"<title>{_said(row['asked'], name, found)}</title>"
            shapes.append(f'<g>{said}<rect {box} rx="2" {shade}{outline}/>')
            shown = f"{100 * found['share']:.0f} %" if found["count"] else "0"
            kind = "" if found["count"] else ' class="soft"'
            at = f'x="{left + wide / 2:.1f}" y="{upper + 21:.1f}"'
            shapes.append(f'<text{kind} text-anchor="middle" {at}>{shown}</text></g>')
    return shapes, top + len(rows) * ROW + 26
