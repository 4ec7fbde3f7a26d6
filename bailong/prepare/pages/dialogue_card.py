"""Dialogues in the terminal: Table 4 of the paper for this corpus, what became of each source, the cost of a plan."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bailong.prepare.dialogue.shapes import ABSENT, EMPTY
from bailong.report import units
from bailong.report.terminal import columns


def card(ledger: dict[str, Any]) -> Group:
    """Tables that fit 80 columns, and read the same without colours."""
    total = ledger["total"]
    parts: list[Any] = [Text(f"Dialogues {ledger['name']}", "bold"), Text(), _table_4(ledger), Text(), _steps(ledger)]
    read, lost, joined = record_counts(ledger)
    repeated = sum(step["counts"].get("repeated", 0) for source in ledger["sources"] for step in source["steps"])
    told = f"{read:,} records = {total['dialogues'] - repeated:,} dialogues + {lost:,} dropped + {joined:,} joined"
    told += f"; {units.plural(repeated, 'repetition')}" if repeated else ""
    bad = sum(quarantined(source) for source in ledger["sources"])
    told += f"; {units.plural(bad, 'bad record')} in quarantine/." if bad else "; no bad record."
    parts += [Text(), Text.assemble(("The books balance: ", "bold green"), told)]
    if ledger["api"]:
        parts.append(Text(spent(ledger["api"])))
    return Group(*parts)


def plan_card(name: str, model: str, rows: list[dict[str, Any]], total: dict[str, Any]) -> Group:
    """What the API would be asked: calls, of which some are known already, tokens and dollars of the others."""
    table = columns(["source"], ["calls", "known", "tokens in", "tokens out", "cost"])
    for row in rows:
        if not row["asks"]:
            table.add_row(row["source"], *[units.NONE] * 5)
        elif row["account"] is None:
            table.add_row(row["source"], row["where"], *["?"] * 4)
        else:
            table.add_row(row["source"], *_account(row["account"]))
    table.add_row(Text("together", "bold"), *_account(total))
    notes = [f"prices of {total['prices']}" if total["prices"] else "", "tokens are estimates, answers by experience"]
    if total["unpriced"]:
        notes[0] = f"no price is known of {', '.join(total['unpriced'])}"
    if any(row["asks"] and row["account"] is None for row in rows):
        notes.append("what is on the Hub or not here is not counted: give its file as path")
    note = "; ".join(part for part in notes if part)
    title = Text.assemble((f"Plan of {name}: ", "bold"), f"calls to {model}, nothing was asked")
    return Group(title, Text(), table, Text(), Text(f"{note}.", "dim"))


def record_counts(ledger: dict[str, Any]) -> tuple[int, int, int]:
    """Records read, dropped, and joined to others."""
    read = sum(source["steps"][0]["in"]["dialogues"] for source in ledger["sources"])
    steps = [step for source in ledger["sources"] for step in source["steps"]]
    lost = sum(n["dialogues"] for step in steps for n in step["drops"].values())
    return read, lost, sum(step["joined"] for step in steps)


def quarantined(source: dict[str, Any]) -> int:
    """Records of a source that are no dialogues: they have no turns."""
    drops = source["steps"][0]["drops"]
    return sum(n["dialogues"] for reason, n in drops.items() if not n["turns"] and reason not in (ABSENT, EMPTY))


def languages(scripts: dict[str, int]) -> str:
    """`zh-Hant 98.1%, en 1.9%`: the commonest first, the rarest left out."""
    whole = sum(scripts.values())
    shown = [f"{name} {units.share(count, whole)}" for name, count in list(scripts.items())[:2]]
    return shown[0].split()[0] if len(scripts) == 1 else ", ".join(shown) or units.NONE


def spent(account: dict[str, Any]) -> str:
    """The calls of a corpus in one sentence."""
    cost = units.NONE if account["dollars"] is None else f"${account['dollars']:,.2f}"
    bad = {status: n for status, n in account["statuses"].items() if status != "ok"}
    told = f"{account['model']}: {account['calls']:,} calls, {account['cached']:,} of them known"
    told += f", {', '.join(f'{n:,} {status}' for status, n in bad.items())}" if bad else ""
    return f"{told}; {account['prompt_tokens']:,} tokens in, {account['answer_tokens']:,} out, {cost}"


def averages(row: dict[str, Any]) -> list[str]:
    """Columns of Table 4: characters of an instruction and of an output, turns, languages."""
    figures = [f"{row[f'average_{key}']:.2f}" for key in ("instruction", "output", "turns")]
    return [*figures, languages(row["scripts"])]


def paper_averages(paper: dict[str, Any]) -> list[str]:
    """The same columns as the paper prints them."""
    return [*(f"{paper[key]:.2f}" for key in ("instruction", "output", "turns")), f"from {paper['language']}"]


def reasons(step: dict[str, Any], joined: str) -> tuple[list[str], list[str]]:
    """Why dialogues are fewer after a step, and what else it counted; `joined` says so of those joined to others."""
    why = [f"{reason} {n['dialogues']:,}" for reason, n in step["drops"].items()]
    counts = [f"{name} {n:,}" for name, n in step["counts"].items() if n]
    return [*why, *([joined] if step["joined"] else [])], counts


def _table_4(ledger: dict[str, Any]) -> Table:
    table = columns(["source"], ["dialogues", "share", "input", "output", "turns"], ["language"])
    for row in ledger["mixture"]:
        table.add_row(row["source"], f"{row['dialogues']:,}", f"{row['share']:.2%}", *averages(row))
        if paper := row["paper"]:
            cells = ["  the paper's", "", f"{paper['share']:.2%}", *paper_averages(paper)]
            table.add_row(*(Text(cell, "dim") for cell in cells))
    total = ledger["total"]
    table.add_row(Text("together", "bold"), f"{total['dialogues']:,}", "", *averages(total))
    return table


def _steps(ledger: dict[str, Any]) -> Table:
    table = columns(["step"], ["in", "out", "turns"], ["why"])
    for source in ledger["sources"]:
        table.add_row(Text(source["name"], "bold"))
        for step in source["steps"]:
            why, counts = reasons(step, f"{step['joined']:,} joined")
            came, left = step["in"], step["out"]
            figures = f"{came['dialogues']:,}", f"{left['dialogues']:,}", f"{left['turns']:,}"
            table.add_row(f"  {step['step']}", *figures, Text(", ".join(why + counts), "dim"))
    return table


def _account(account: dict[str, Any]) -> list[str]:
    cost = "unknown" if account["dollars"] is None else f"${account['dollars']:,.2f}"
    figures = [account[key] for key in ("calls", "cached", "prompt_tokens", "answer_tokens")]
    return [*(f"{figure:,}" for figure in figures), cost]
