"""What the pages of a corpus and of dialogues share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bailong.report import elements
from bailong.report.elements import Cell, cell
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
