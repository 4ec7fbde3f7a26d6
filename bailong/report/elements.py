"""What the report pages are built of: the page, its header, sections, tables and what folds.

Text is escaped here, by `visible`; what a caller has built already is `Html` and stays as it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from bailong.report import palette
from bailong.report.flatten import flatten
from bailong.report.markup import Html, visible


class Section(Html):
    """A part of the page; `link` is its line in the list of contents."""

    link: str = ""


class Cell(Html):
    """A whole `<td>` or `<th>`: what a table would otherwise make of a text."""


@dataclass(frozen=True)
class Row:
    """A row that looks otherwise than the others of its table, such as its `total`."""

    cells: Sequence[str]
    kind: str = ""


def page(
    title: str,
    top: Sequence[str],
    sections: Sequence[str],
    sheets: Sequence[str] = (),
    colours: Iterable[tuple[str, str, str]] = palette.CHOICES,
    scripts: str = "",
) -> str:
    """One static file: `top`, a list of contents if sections have anchors, and those sections that say something.

    Args:
        sheets: style sheets of this folder beside `page.css`.
        colours: CSS variables as (name, light, dark).
    """
    styles = "".join(asset(sheet) for sheet in ("page.css", *sheets))
    links = "".join(section.link for section in sections if isinstance(section, Section))
    contents = f'<nav aria-label="Sections">{links}</nav>' if links else ""
    content = "\n".join(part for part in (*top, contents, *sections) if part)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{palette.css(colours)}
{styles}</style>
</head>
<body>
<main>
{content}
</main>
{scripts}</body>
</html>
"""


def excerpt(parts: Iterable[str], colours: Iterable[tuple[str, str, str]] = palette.CHOICES) -> Html:
    """Parts of a page for a notebook, with their style: on its light and its dark ground, also where a theme of its own
    (JupyterLab, VS Code) says which of them it is."""
    named = [*colours, ("--soft", "#626a75", "#9aa3ae"), ("--grid", "#dcdfe3", "#3a4049")]
    light, dark = ("; ".join(f"{name}: {pair[i]}" for name, *pair in named) for i in (0, 1))
    themes = ('[data-jp-theme-light="false"]', ".vscode-dark")
    style = (
        f".bailong {{ {light} }}\n@media (prefers-color-scheme: dark) {{ .bailong {{ {dark} }} }}\n"
        f'[data-jp-theme-light="true"] .bailong, .vscode-light .bailong {{ {light} }}\n'
        f"{', '.join(f'{theme} .bailong' for theme in themes)} {{ {dark} }}\n{asset('notebook.css')}"
    )
    return Html(f'<style>\n{style}</style>\n<div class="bailong">\n{"".join(parts)}\n</div>')


def header(
    kind: str, title: str, meta: str, figures: Sequence[Sequence[str]] = (), after: str = "", first: str = ""
) -> str:
    """The head of a page. `figures` are (what, number, a softer line below it); `after` them, and `first`, is HTML."""
    shown = "".join(
        f"<div><dt>{visible(what)}</dt><dd>{visible(number)}</dd>"
        + "".join(f'<dd class="soft">{visible(line)}</dd>' for line in below)
        + "</div>"
        for what, number, *below in figures
    )
    listed = f'<dl class="figures">{shown}</dl>' if shown else ""
    return (
        f'<header>\n<p class="eyebrow">Bailong · {kind}</p>\n<h1>{visible(title)}</h1>\n'
        f'<p class="meta">{visible(meta)}</p>\n{first}{listed}\n{after}\n</header>'
    )


def code(lines: str | None) -> str:
    """A command, or several; nothing without one."""
    return f"<pre>{visible(lines)}</pre>" if lines else ""


def finding(text: str) -> str:
    return f'<p class="finding">{visible(text)}</p>'


def note(text: str) -> str:
    return f'<p class="note">{visible(text)}</p>' if text else ""


def section(name: str, body: str, sub: str = "", anchor: str = "") -> Section:
    """A part of the page under its heading, nothing without a body; `body` and `sub` are HTML."""
    if not body:
        return Section()
    place = f' id="{escape(anchor)}"' if anchor else ""
    below = f"<p class=sub>{sub}</p>" if sub else ""
    made = Section(f"<section{place}><h2>{visible(name)}</h2>{below}{body}</section>")
    made.link = f'<a href="#{escape(anchor)}">{visible(name)}</a>' if anchor else ""
    return made


def warning(title: str, lines: Sequence[str]) -> str:
    """A box of what must be read first; nothing without lines."""
    if not lines:
        return ""
    items = "".join(f"<li>{visible(line)}</li>" for line in lines)
    return f'<aside class="warning" role="note"><h2>{escape(title)}</h2><ul>{items}</ul></aside>'


def fold(title: str, body: str, kind: str = "plain") -> str:
    """What opens under a line."""
    return f'<details class="{kind}"><summary>{visible(title)}</summary>{body}</details>'


def samples(items: Iterable[str]) -> str:
    return f'<ul class="samples">{"".join(items)}</ul>'


# --- tables ------------------------------------------------------------------------------------------


def table(
    rows: Iterable[Sequence[str] | Row],
    words: Sequence[str],
    numbers: Sequence[str] = (),
    after: Sequence[str] = (),
    kind: str = "",
) -> str:
    """Nothing without rows. Headings are of words, of numbers whose digits line up, and of words behind them; a row's
    first cell is its heading."""
    ends = len(words), len(words) + len(numbers)
    drawn = [_row(row if isinstance(row, Row) else Row(row), *ends) for row in rows]
    if not drawn:
        return ""
    heads = [*(th(head) for head in words), *(th(head, "n") for head in numbers), *(th(head) for head in after)]
    top = f"<thead><tr>{''.join(heads)}</tr></thead>" if heads else ""
    return f'<div class="scroll"><table{_class(kind)}>{top}<tbody>{"".join(drawn)}</tbody></table></div>'


def _row(row: Row, first: int, last: int) -> str:
    cells = (cell(text, "n" if first <= i < last else "") if i else name(text) for i, text in enumerate(row.cells))
    return f"<tr{_class(row.kind)}>{''.join(cells)}</tr>"


def facts(tree: Mapping[str, Any], *heads: str, show: Callable[[Any], str] = str) -> str:
    """A nested mapping as a table of dotted keys and values."""
    rows = [[Html(f"<code>{visible(key)}</code>"), show(value)] for key, value in flatten(tree)]
    return table(rows, heads, kind="facts")


def th(text: str, kind: str = "", span: int = 1) -> Cell:
    """A heading of a column."""
    spanned = f' colspan="{span}"' if span > 1 else ""
    return text if isinstance(text, Cell) else Cell(f'<th scope="col"{_class(kind)}{spanned}>{visible(text)}</th>')


def name(text: str) -> Cell:
    """The heading of a row."""
    return text if isinstance(text, Cell) else Cell(f'<th scope="row">{visible(text)}</th>')


def cell(text: str, kind: str = "") -> Cell:
    return text if isinstance(text, Cell) else Cell(f"<td{_class(kind)}>{visible(text)}</td>")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def asset(name: str) -> str:
    return files("bailong.report").joinpath(name).read_text(encoding="utf-8")


def script(name: str) -> str:
    return f"<script>\n{asset(name)}</script>\n"
