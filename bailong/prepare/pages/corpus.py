"""`report.html` of a corpus: what every step did to every source, to look at and to print.

One static file without a script, made of the ledger alone.
"""

from collections.abc import Sequence
from typing import Any

from bailong.prepare.pages import dropped, parts, provenance
from bailong.prepare.pages.flows import BYTES, DOCUMENTS, TOKENS, Flows, StepTotals
from bailong.prepare.pages.funnel import NAMES, funnel
from bailong.report import bars, elements, units
from bailong.report.elements import Row, cell, section, table
from bailong.report.markup import Html, visible

#: sources side by side in a table
COLUMNS = 7


def page(ledger: dict[str, Any]) -> str:
    """The whole page."""
    flows = Flows(ledger)
    languages = {source["name"]: source["language"] for source in ledger["sources"]}
    sections = [
        _steps(flows),
        dropped.drops(flows, languages),
        _lengths(flows),
        dropped.duplicates(ledger, languages),
        dropped.templates(ledger),
        _mixture(ledger, flows),
        _packing(ledger),
        _speed(ledger),
        provenance.sources(ledger),
        provenance.settings(ledger),
        provenance.reproduce(ledger),
    ]
    warning = elements.warning("The books do not balance", flows.problems)
    top = [bars.PATTERNS, _header(ledger, flows), warning]
    return elements.page(f"{ledger['name']} · corpus", top, sections, ["corpus.css"])


def _header(ledger: dict[str, Any], flows: Flows) -> str:
    came, left = flows.came(), flows.left()
    figures = [
        (
            what,
            parts.change(show(came[measure]), show(left[measure])),
            f"{units.share(left[measure], came[measure])} kept",
        )
        for what, measure, show in (("documents", DOCUMENTS, "{:,}".format), ("text", BYTES, units.size))
    ]
    if (tokenized := flows.tokens_at_first()) is not None:
        token = "tokens (characters)" if flows.characters else "tokens"
        kept = f"{units.share(left[TOKENS], tokenized)} of the cleaned text kept"
        figures.append((token, parts.change(f"{tokenized:,}", f"{left[TOKENS]:,}"), kept))
    every = f"{flows.balance()}, and so for every step of every source, in documents and in characters"
    checked = "Checked when the corpus was made, and again for this page."
    balance = elements.finding(Html(f"<b>The books balance.</b> {every}. {checked}"))
    after = "" if flows.problems else balance
    largest = max(flows.totals(), key=lambda totals: totals.lost[DOCUMENTS], default=None)
    if largest and largest.lost[DOCUMENTS]:
        share = units.share(largest.lost[DOCUMENTS], came[DOCUMENTS])
        told = f"{largest.lost[DOCUMENTS]:,}, {share} of what was read."
        after += elements.finding(Html(f"Most documents were dropped by <b>{visible(largest.step)}</b>: {told}"))
    return parts.header("corpus", ledger, figures, after)


# --- step by step ------------------------------------------------------------------------------------


def _steps(flows: Flows) -> str:
    panels = []
    sources = [None, *flows.sources] if len(flows.sources) > 1 else flows.sources
    for measure, measured in NAMES.items() if sources else ():
        if measure == TOKENS and flows.tokens_at_first() is None:
            continue
        drawn = [funnel(source or "All sources", flows.totals(source), measure) for source in sources]
        body = f'<div class="panels wide">{"".join(drawn)}</div>{_steps_tables(flows, sources, measure)}'
        panels.append((measured, body))
    return section(
        "Step by step",
        _views("steps", panels),
        "What is left after each step and its share of what was read (of tokens: of what was tokenized). Bars have a "
        "scale of their own: the longest is the largest drop of its source. "
        + bars.legend(lost="taken away by the step"),
        "steps",
    )


def _steps_tables(flows: Flows, sources: Sequence[str | None], measure: int) -> str:
    """Exact numbers: a row a step, a column a source; beyond `COLUMNS` sources in several tables."""
    tables = []
    width = -(-len(sources) // -(-len(sources) // COLUMNS))  # tables of about the same width
    for first in range(0, len(sources), width):
        group = sources[first : first + width]
        rows = []
        for same in zip(*(flows.totals(source) for source in group), strict=True):
            if measure != TOKENS or same[0].counted:
                rows.append([same[0].label, *(_amount(totals, measure) for totals in same)])
        numbers = [source or "All sources" for source in group]
        kind = "steps" if width > 2 else "steps narrow"
        tables.append(table(rows, [f"{NAMES[measure]} left after"], numbers, kind=kind))
    return "".join(tables) + elements.note("Below a number: its change by the step. –: not applied.")


def _amount(totals: StepTotals, measure: int) -> str:
    if not totals.applied:
        return units.NONE
    lost = totals.lost[measure]
    change = f'<span class="delta">{units.signed(-lost)}</span>' if lost else ""
    return Html(f"{totals.left[measure]:,}{change}")


def _views(group: str, panels: Sequence[tuple[str, str]]) -> str:
    """One panel at a time, chosen by radio buttons; CSS alone shows and hides them."""
    if len(panels) < 2:
        return "".join(body for _, body in panels)
    choices = "".join(
        f'<input type="radio" name="{group}" id="{group}{i}"{" checked" if i == 0 else ""}>'
        f'<label for="{group}{i}">{visible(title)}</label>'
        for i, (title, _) in enumerate(panels)
    )
    # on paper nobody chooses: all are there, each under its name
    shown = "".join(f'<div class="view"><h4>{visible(title)}</h4>{body}</div>' for title, body in panels)
    return f'<div class="views">{choices}{shown}</div>'


# --- lengths -----------------------------------------------------------------------------------------


def _lengths(flows: Flows) -> str:
    """Characters: collected against cleaned. Tokens: cleaned against what is left in the end."""
    panels = []
    for unit in ("characters", "tokens"):
        pairs = {}
        for source in flows.sources:
            # a flow counts lengths in tokens from `tokenize` on, in characters before
            steps = [of_source[source] for of_source in flows.steps.values() if source in of_source]
            measured = [f.lengths for f in steps if f.lengths and (f.left[TOKENS] > 0) == (unit == "tokens")]
            if measured:
                gone = unit == "tokens" and not steps[-1].left[DOCUMENTS]
                pairs[source] = (measured[0], type(measured[0])() if gone else measured[-1])
        buckets = [bucket for before, after in pairs.values() for bucket in (*before, *after)]
        if buckets:
            axis = min(buckets), max(buckets)
            drawn = [bars.histogram(name, before, after, axis, unit) for name, (before, after) in pairs.items()]
            panels.append((unit, f'<div class="panels">{"".join(drawn)}</div>'))
    return section(
        "Lengths",
        _views("lengths", panels),
        "Documents by length; each bucket begins at the number below it and ends before twice that number. In "
        "characters: as collected, and as the text steps left them. In tokens: as tokenized, and as they are in the "
        "end. Below the numbers: the change of each bucket. " + bars.legend(came="before", kept="after"),
        "lengths",
    )


# --- mixture, packing, speed -------------------------------------------------------------------------


def _mixture(ledger: dict[str, Any], flows: Flows) -> str:
    mixture, held = ledger["mixture"], ledger["held_out"]
    if not mixture:
        return ""
    paper = any(part.get("paper_share") is not None for part in mixture)
    rows: list[list[str] | Row] = []
    names, stacks = parts.mixture(mixture, "tokens", [part.get("paper_share") for part in mixture], 3)
    for label, part in zip(names, mixture, strict=True):
        shares = [part["share"], *([part.get("paper_share")] if paper else [])]
        shown = [f"{share:.2%}" if share is not None else units.NONE for share in shares]
        rows.append([label, part["language"] or units.NONE, *_amounts(part), *shown])
    total = {key: sum(part[key] for part in mixture) for key in ("documents", "bytes", "tokens")}
    filler = [""] if paper else []
    rows.append(Row(["training text", "", *_amounts(total), units.share(1, 1), *filler], "total"))
    if held.get("documents"):
        rows.append(Row(["held out", "", *_amounts(held), "", *filler], "reference"))
    notes = []
    if held.get("documents"):
        every = held["documents"] + total["documents"]
        notes.append(f"{units.share(held['documents'], every)} of the documents are held out of training.")
    different = total["documents"] + held.get("documents", 0) - flows.left()[DOCUMENTS]
    if different > 0:
        notes.append(f"{units.plural(different, 'document')} are repetitions of documents of scarce sources.")
    if flows.characters:
        notes.append("No tokenizer was given: a token is a character here.")
    numbers = ["documents", "bytes", "tokens", "proportion", *(["in the paper"] if paper else [])]
    return section(
        "Mixture",
        stacks + table(rows, ["source", "language"], numbers, kind="mixture") + elements.note(" ".join(notes)),
        "What training reads, as Table 3 of the paper: proportions of tokens.",
        "mixture",
    )


def _amounts(part: dict[str, Any]) -> list[str]:
    size = units.size(part["bytes"]) if "bytes" in part else units.NONE
    tokens = f"{part['tokens']:,}" if "tokens" in part else units.NONE
    return [f"{part['documents']:,}", size, tokens]


def _packing(ledger: dict[str, Any]) -> str:
    packed = ledger.get("pack") or {}
    rows = [
        [label + (" (chosen)" if label == packed.get("strategy") else "")]
        + [*(f"{found[key]:,}" for key in ("sequences", "tokens", "lost")), f"{found['padding']:.2%}"]
        for label, found in (packed.get("strategies") or {}).items()
    ]
    return section(
        "Packing",
        table(rows, ["strategy"], ["sequences", "tokens kept", "tokens lost", "padding"]),
        f"What filling sequences of {packed.get('context', 0):,} tokens would keep, lose and pad; "
        "<code>stage.packing</code> decides when the corpus is read.",
        "packing",
    )


def _speed(ledger: dict[str, Any]) -> str:
    speeds = {name: step["speed"] for name, step in ledger["steps"].items() if step.get("speed")}
    if not speeds:
        return ""
    total = sum(speed["cpu_seconds"] for speed in speeds.values())
    rows: list[list[str] | Row] = []
    for step, speed in speeds.items():
        seconds, rate, memory = speed["cpu_seconds"], speed["mb_per_cpu_second"], speed["peak_memory_gb"]
        rows.append(
            [
                step,
                cell(bars.bar(seconds, total, 2), "wide"),
                f"{seconds:,.1f}" if seconds >= 0.05 or not seconds else "<0.1",
                units.share(seconds, total),
                f"{rate:,.1f}" if rate else units.NONE,
                f"{memory:.2f} GB" if memory else units.NONE,
            ]
        )
    rows.append(Row(["total", "", f"{total:,.1f}", "", "", ""], "total"))
    return section(
        "Speed",
        table(rows, ["step", ""], ["CPU seconds", "share", "MB per CPU second", "peak memory"], kind="speed"),
        "CPU time of all workers together, and the text that each CPU second got through. The text steps, tokenize and "
        "length share one pass and its memory; peak memory is that of the largest worker.",
        "speed",
    )
