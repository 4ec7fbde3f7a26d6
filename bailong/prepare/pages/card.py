"""A corpus in the terminal: what every step left, the mixture, and one line that sums it up."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bailong.prepare.pages.books import DOCUMENTS, TOKENS, Books
from bailong.report import units
from bailong.report.terminal import columns

#: reasons named of a step
REASONS = 3


def card(ledger: dict[str, Any]) -> Group:
    """Tables that fit 80 columns, and read the same without colours."""
    books = Books(ledger)
    parts = [Text(f"Corpus {ledger['name']}", "bold"), Text(), _steps(books)]
    if ledger["mixture"]:
        parts += [Text(), _mixture(ledger, books)]
    return Group(*parts, Text(), *_verdict(ledger, books))


def _steps(books: Books) -> Table:
    table = columns(["step"], ["documents", _token(books), "dropped"], ["why"])
    for stage in books.stages() if books.sources else []:
        dropped = stage.lost[DOCUMENTS]
        table.add_row(
            Text("read" if stage.step == "in" else stage.step),
            f"{stage.left[DOCUMENTS]:,}",
            f"{stage.left[TOKENS]:,}" if stage.counted else "",
            units.signed(-dropped) if dropped else "",
            Text(_why(books, stage.step), "dim"),
        )
    return table


def _why(books: Books, step: str) -> str:
    """`too_short 31, banned 5`; what was cut and rewritten after it."""
    if step not in books.steps:
        return ""
    dropped, cut, changed = books.dropped(step), books.cut(step), books.whole(step).changed
    told = [f"{reason.name} {reason.size[0]:,}" for reason in dropped[:REASONS]]
    told += [units.plural(len(dropped) - REASONS, "more reason")] if len(dropped) > REASONS else []
    told += [f"{sum(reason.size[0] for reason in cut):,} pieces cut"] if cut else []
    told += [f"{changed:,} rewritten"] if changed and not cut else []
    return ", ".join(told)


def _mixture(ledger: dict[str, Any], books: Books) -> Table:
    parts = ledger["mixture"]
    paper = any(part.get("paper_share") is not None for part in parts)
    table = columns(["training text"], ["documents", _token(books), "share", *(["paper"] if paper else [])])
    for part in parts:
        shares = [part["share"], *([part.get("paper_share")] if paper else [])]
        told = [f"{share:.2%}" if share is not None else units.NONE for share in shares]
        table.add_row(Text(part["source"]), f"{part['documents']:,}", f"{part['tokens']:,}", *told)
    return table


def _verdict(ledger: dict[str, Any], books: Books) -> list[Text]:
    came, left = books.came()[DOCUMENTS], books.left()[DOCUMENTS]
    told = f"{units.plural(came, 'document')} in = {left:,} out + {books.drops():,} dropped"
    told += f"; {units.share(left, came)} kept"
    if held := ledger["held_out"].get("documents"):
        told += f", {held:,} of them held out"
    bad = sum(sum((source.get("quarantined") or {}).values()) for source in ledger["sources"])
    told += f"; {units.plural(bad, 'bad input')} set aside in quarantine/." if bad else "; no bad input."
    if books.problems:
        return [Text("The books do not balance:", "bold red"), *(Text(f"  {line}") for line in books.problems)]
    return [Text.assemble(("The books balance: ", "bold green"), told)]


def _token(books: Books) -> str:
    return "characters" if books.characters else "tokens"
