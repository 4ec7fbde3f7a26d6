"""A corpus in the terminal: what every step left, the mixture, and one line that sums it up."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bailong.prepare.pages.flows import DOCUMENTS, TOKENS, Flows
from bailong.report import units
from bailong.report.terminal import columns

#: reasons named of a step
REASONS = 3


def card(ledger: dict[str, Any]) -> Group:
    """Tables that fit 80 columns, and read the same without colours."""
    flows = Flows(ledger)
    parts = [Text(f"Corpus {ledger['name']}", "bold"), Text(), _steps(flows)]
    if ledger["mixture"]:
        parts += [Text(), _mixture(ledger, flows)]
    return Group(*parts, Text(), *_verdict(ledger, flows))


def _steps(flows: Flows) -> Table:
    table = columns(["step"], ["documents", _token(flows), "dropped"], ["why"])
    for totals in flows.totals():
        dropped = totals.lost[DOCUMENTS]
        table.add_row(
            Text(totals.label),
            f"{totals.left[DOCUMENTS]:,}",
            f"{totals.left[TOKENS]:,}" if totals.counted else "",
            units.signed(-dropped) if dropped else "",
            Text(_why(flows, totals.step), "dim"),
        )
    return table


def _why(flows: Flows, step: str) -> str:
    """`too_short 31, banned 5`; what was cut and rewritten after it."""
    if step not in flows.steps:
        return ""
    dropped, cut, changed = flows.dropped(step), flows.cut(step), flows.whole(step).changed
    told = [f"{reason.name} {reason.size[0]:,}" for reason in dropped[:REASONS]]
    told += [units.plural(len(dropped) - REASONS, "more reason")] if len(dropped) > REASONS else []
    told += [f"{sum(reason.size[0] for reason in cut):,} pieces cut"] if cut else []
    told += [f"{changed:,} rewritten"] if changed and not cut else []
    return ", ".join(told)


def _mixture(ledger: dict[str, Any], flows: Flows) -> Table:
    parts = ledger["mixture"]
    paper = any(part.get("paper_share") is not None for part in parts)
    table = columns(["training text"], ["documents", _token(flows), "share", *(["paper"] if paper else [])])
    for part in parts:
        shares = [part["share"], *([part.get("paper_share")] if paper else [])]
        told = [f"{share:.2%}" if share is not None else units.NONE for share in shares]
        table.add_row(Text(part["source"]), f"{part['documents']:,}", f"{part['tokens']:,}", *told)
    return table


def _verdict(ledger: dict[str, Any], flows: Flows) -> list[Text]:
    came, left = flows.came()[DOCUMENTS], flows.left()[DOCUMENTS]
    told = f"{flows.balance()}; {units.share(left, came)} kept"
    if held := ledger["held_out"].get("documents"):
        told += f", {held:,} of them held out"
    bad = sum(sum((source.get("quarantined") or {}).values()) for source in ledger["sources"])
    told += f"; {units.plural(bad, 'bad input')} set aside in quarantine/." if bad else "; no bad input."
    if flows.problems:
        return [Text("The books do not balance:", "bold red"), *(Text(f"  {line}") for line in flows.problems)]
    return [Text.assemble(("The books balance: ", "bold green"), told)]


def _token(flows: Flows) -> str:
    return "characters" if flows.characters else "tokens"
