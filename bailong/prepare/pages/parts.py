"""What the pages of a corpus and of dialogues share."""

from collections.abc import Sequence
from typing import Any

from bailong.report import bars, elements
from bailong.report.elements import Cell, cell, name
from bailong.report.markup import Html, visible


def header(kind: str, ledger: dict[str, Any], figures: Sequence[Sequence[str]], after: str) -> str:
    """`after` is HTML and stands above the command."""
    meta = Html(f"{visible(str(ledger['created']))} · digest <code>{visible(ledger['digest'][:16])}</code>")
    return elements.header(kind, ledger["name"], meta, figures, after + elements.code(ledger.get("command")))


def change(first: str, last: str) -> Html:
    """`first → last`."""
    return Html(f'{first} <span aria-label="to">→</span> <b>{last}</b>')


def path(text: str) -> Cell:
    return cell(Html(f"<code>{visible(text)}</code>"), "path")


def mixture(
    rows: Sequence[dict[str, Any]], measure: str, shares: Sequence[float | None], number: int
) -> tuple[list[Cell], str]:
    """The names of the sources with their colour, and the mixture drawn above that of the paper's table `number`.

    Args:
        measure: of which the rows are parts of a whole.
        shares: what the paper has of each source.
    """
    parts = [(row["source"], row[measure]) for row in rows]
    stacks = bars.stack("This corpus", parts, sum(size for _, size in parts))
    if any(share is not None for share in shares):
        papers = [(row["source"], share or 0.0) for row, share in zip(rows, shares, strict=True)]
        stacks += bars.stack(f"The paper, Table {number}", papers, max(1.0, sum(share for _, share in papers)))
    return [name(Html(bars.swatch(i) + visible(source))) for i, (source, _) in enumerate(parts)], stacks
