"""What the report pages are built of: the document, its sections and tables. Cells are HTML, texts are escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files


def document(title: str, colours: str, sheets: Sequence[str], body: Iterable[str], scripts: str = "") -> str:
    """One static file. `colours` is CSS, `sheets` name style sheets of this folder, `body` are sections of HTML."""
    styles = "".join(asset(sheet) for sheet in sheets)
    content = "\n".join(section for section in body if section)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{colours}
{styles}</style>
</head>
<body>
<main>
{content}
</main>
{scripts}</body>
</html>
"""


def section(name: str, body: str, sub: str = "", anchor: str = "") -> str:
    """A part of the page under its heading; `sub` is HTML."""
    place = f' id="{escape(anchor)}"' if anchor else ""
    return f"<section{place}><h2>{escape(name)}</h2>{f'<p class=sub>{sub}</p>' if sub else ''}{body}</section>"


def warning(title: str, lines: Sequence[str]) -> str:
    """A box of what must be read first, lines as HTML; nothing without lines."""
    if not lines:
        return ""
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f'<aside class="warning" role="note"><h2>{escape(title)}</h2><ul>{items}</ul></aside>'


def table(head: Sequence[str], rows: Sequence[str], kind: str = "") -> str:
    top = f"<thead><tr>{''.join(head)}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{kind}">{top}<tbody>{"".join(rows)}</tbody></table></div>'


def row(cells: Iterable[str], kind: str = "") -> str:
    return f'<tr class="{kind}">{"".join(cells)}</tr>'


def th(text: str, kind: str = "", span: int = 1) -> str:
    """A heading of a column."""
    spanned = f' colspan="{span}"' if span > 1 else ""
    return f'<th scope="col" class="{kind}"{spanned}>{escape(text)}</th>'


def name(text: str, before: str = "") -> str:
    """The heading of a row; `before` is HTML."""
    return f'<th scope="row">{before}{escape(text)}</th>'


def cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>'


def number(text: str) -> str:
    """A cell whose digits line up with those above."""
    return cell(text, "n")


def asset(name: str) -> str:
    return files("bailong.report").joinpath(name).read_text(encoding="utf-8")
