"""`report.html` of a corpus: what every step did to every source, to look at and to print.

One static file without a script, made of the ledger alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bailong.prepare.pages import dropped, recorded
from bailong.prepare.pages.books import BYTES, DOCUMENTS, TOKENS, Books
from bailong.prepare.pages.funnel import NAMES, funnel
from bailong.report import bars, elements, palette, units
from bailong.report.elements import cell, name, number, row, section, th

#: sources side by side in a table
COLUMNS = 7


def page(ledger: dict[str, Any]) -> str:
    """The whole page."""
    books = Books(ledger)
    languages = {source["name"]: source["language"] for source in ledger["sources"]}
    parts = [
        ("steps", "Step by step", _steps(books)),
        ("drops", "Drops", dropped.drops(books, languages)),
        ("lengths", "Lengths", _lengths(books)),
        ("duplicates", "Duplicates", dropped.duplicates(ledger, languages)),
        ("templates", "Templates", dropped.templates(ledger)),
        ("mixture", "Mixture", _mixture(ledger, books)),
        ("packing", "Packing", _packing(ledger)),
        ("speed", "Speed", _speed(ledger)),
        ("sources", "Sources and bad input", recorded.sources(ledger)),
        ("settings", "Settings", recorded.settings(ledger)),
        ("reproduce", "How to reproduce", recorded.reproduce(ledger)),
    ]
    there = [(anchor, title, body) for anchor, title, body in parts if body]
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in there)
    contents = f'<nav aria-label="Sections">{links}</nav>'
    warnings = elements.warning("The books do not balance", [escape(problem) for problem in books.problems])
    sections = [bars.PATTERNS, _header(ledger, books), warnings, contents, *(body for _, _, body in there)]
    colours = [(palette.variable(i), *pair) for i, pair in enumerate(palette.COLOURS)]
    return elements.document(f"{ledger['name']} · corpus", palette.css(colours), ["page.css", "corpus.css"], sections)


def _header(ledger: dict[str, Any], books: Books) -> str:
    came, left = books.came(), books.left()
    figures = [
        ("documents", f"{came[DOCUMENTS]:,}", f"{left[DOCUMENTS]:,}", units.share(left[DOCUMENTS], came[DOCUMENTS])),
        ("text", units.size(came[BYTES]), units.size(left[BYTES]), units.share(left[BYTES], came[BYTES])),
    ]
    if (tokenized := books.tokens_at_first()) is not None:
        token = "tokens (characters)" if books.characters else "tokens"
        kept = units.share(left[TOKENS], tokenized)
        figures.append((token, f"{tokenized:,}", f"{left[TOKENS]:,}", f"{kept} of the cleaned text"))
    shown = "".join(
        f'<div><dt>{escape(what)}</dt><dd>{first} <span aria-label="to">→</span> <b>{last}</b></dd>'
        f'<dd class="soft">{kept} kept</dd></div>'
        for what, first, last, kept in figures
    )
    balance = ""
    if not books.problems:
        balance = (
            '<p class="finding"><b>The books balance.</b> '
            f"{units.plural(came[DOCUMENTS], 'document')} in = {left[DOCUMENTS]:,} out + {books.drops():,} dropped, "
            "and so for every step of every source, in documents and in characters. Checked when the corpus was made, "
            "and again for this page.</p>"
        )
    largest = max(books.stages(), key=lambda stage: stage.lost[DOCUMENTS], default=None) if books.sources else None
    loss = ""
    if largest and largest.lost[DOCUMENTS]:
        share = units.share(largest.lost[DOCUMENTS], came[DOCUMENTS])
        loss = (
            f'<p class="finding">Most documents were dropped by <b>{escape(largest.step)}</b>: '
            f"{largest.lost[DOCUMENTS]:,}, {share} of what was read.</p>"
        )
    command = f"<pre>{escape(ledger['command'])}</pre>" if ledger.get("command") else ""
    return f"""<header>
<p class="eyebrow">Bailong · corpus</p>
<h1>{escape(ledger["name"])}</h1>
<p class="meta">{escape(str(ledger["created"]))} · digest <code>{escape(ledger["digest"][:16])}</code></p>
<dl class="figures">{shown}</dl>
{balance}{loss}{command}
</header>"""


# --- step by step ------------------------------------------------------------------------------------


def _steps(books: Books) -> str:
    if not books.sources:
        return ""
    panels: list[tuple[str, str]] = []
    for measure, measured in NAMES.items():
        if measure == TOKENS and books.tokens_at_first() is None:
            continue
        many = len(books.sources) > 1
        drawn = [funnel("All sources", books.stages(), measure)] if many else []
        drawn += [funnel(source, books.stages(source), measure) for source in books.sources]
        body = f'<div class="panels wide">{"".join(drawn)}</div>{_steps_table(books, measure)}'
        panels.append((measured, body))
    return section(
        "Step by step",
        _views("steps", panels),
        "What is left after each step and its share of what was read (of tokens: of what was tokenized). "
        "<span class='legend'>"
        f"<span>{bars.key('kept')}left</span><span>{bars.key('lost')}taken away by the step</span>"
        f"<span>{bars.key('passed')}the step is not applied to this source</span></span>",
        "steps",
    )


def _steps_table(books: Books, measure: int) -> str:
    """Exact numbers: a row a step, a column a source; beyond `COLUMNS` sources in several tables."""
    columns: list[str | None] = [None, *books.sources] if len(books.sources) > 1 else list(books.sources)
    tables = []
    width = -(-len(columns) // -(-len(columns) // COLUMNS))  # tables of about the same width
    for first in range(0, len(columns), width):
        group = [(source or "All sources", books.stages(source)) for source in columns[first : first + width]]
        rows = []
        for number_of_step, stage in enumerate(group[0][1]):
            if measure == TOKENS and not stage.counted:
                continue
            cells = [name("read" if stage.step == "in" else stage.step)]
            for _, stages in group:
                mine = stages[number_of_step]
                lost = mine.lost[measure]
                told = f'<span class="delta">{units.signed(-lost)}</span>' if lost else ""
                cells.append(f'<td class="n">{mine.left[measure]:,}{told}</td>' if mine.applied else number(units.NONE))
            rows.append(row(cells))
        head = [th(f"{NAMES[measure]} left after"), *(th(label, "n") for label, _ in group)]
        tables.append(elements.table(head, rows, "steps" if width > 2 else "steps narrow"))
    return "".join(tables) + '<p class="note">Below a number: its change by the step. –: not applied.</p>'


def _views(group: str, panels: Sequence[tuple[str, str]]) -> str:
    """One panel at a time, chosen by radio buttons; CSS alone shows and hides them."""
    if len(panels) == 1:
        return panels[0][1]
    choices = "".join(
        f'<input type="radio" name="{group}" id="{group}{i}"{" checked" if i == 0 else ""}>'
        f'<label for="{group}{i}">{escape(title)}</label>'
        for i, (title, _) in enumerate(panels)
    )
    shown = "".join(f'<div class="view">{body}</div>' for _, body in panels)
    return f'<div class="views">{choices}{shown}</div>'


# --- lengths -----------------------------------------------------------------------------------------


def _lengths(books: Books) -> str:
    """Characters: collected against cleaned. Tokens: cleaned against what is left in the end."""
    panels = []
    for unit in ("characters", "tokens"):
        pairs = {}
        for source in books.sources:
            # a flow counts lengths in tokens from `tokenize` on, in characters before
            flows = [flows[source] for flows in books.steps.values() if source in flows]
            measured = [f.lengths for f in flows if f.lengths and (f.left[TOKENS] > 0) == (unit == "tokens")]
            if measured:
                gone = unit == "tokens" and not flows[-1].left[DOCUMENTS]
                pairs[source] = (measured[0], type(measured[0])() if gone else measured[-1])
        buckets = [bucket for before, after in pairs.values() for bucket in (*before, *after)]
        if buckets:
            drawn = [
                bars.histogram(source, before, after, min(buckets), max(buckets), unit)
                for source, (before, after) in pairs.items()
            ]
            panels.append((unit, f'<div class="panels">{"".join(drawn)}</div>'))
    if not panels:
        return ""
    return section(
        "Lengths",
        _views("lengths", panels),
        "Documents by length; each bucket begins at the number below it and ends before twice that number. In "
        "characters: as collected, and as the text steps left them. In tokens: as tokenized, and as they are in the "
        "end. "
        f"<span class='legend'><span>{bars.key('came')}before</span><span>{bars.key('kept')}after</span></span>",
        "lengths",
    )


# --- mixture, packing --------------------------------------------------------------------------------


def _mixture(ledger: dict[str, Any], books: Books) -> str:
    parts = ledger["mixture"]
    if not parts:
        return ""
    told = any(part.get("paper_share") is not None for part in parts)
    head = [th("source"), th("language"), *(th(what, "n") for what in ("documents", "bytes", "tokens", "proportion"))]
    head += [th("in the paper", "n")] if told else []
    rows = []
    for i, part in enumerate(parts):
        cells = [name(part["source"], bars.swatch(i)), cell(part["language"] or units.NONE), *_amounts(part)]
        cells.append(number(f"{part['share']:.2%}"))
        if told:
            paper = part.get("paper_share")
            cells.append(number(f"{paper:.2%}" if paper is not None else units.NONE))
        rows.append(row(cells))
    total = {key: sum(part[key] for part in parts) for key in ("documents", "bytes", "tokens")}
    filler = [number("")] if told else []
    rows.append(row([name("training text"), cell(""), *_amounts(total), number(units.share(1, 1)), *filler], "total"))
    held = ledger["held_out"]
    if held.get("documents"):
        rows.append(row([name("held out"), cell(""), *_amounts(held), number(""), *filler], "reference"))
    stacks = bars.stack("This corpus", [(part["source"], part["tokens"]) for part in parts], total["tokens"])
    if told:
        papers = [(part["source"], part.get("paper_share") or 0.0) for part in parts]
        stacks += bars.stack("The paper, Table 3", papers, max(1.0, sum(share for _, share in papers)))
    notes = []
    if held.get("documents"):
        every = held["documents"] + total["documents"]
        notes.append(f"{units.share(held['documents'], every)} of the documents are held out of training.")
    different = total["documents"] + held.get("documents", 0) - books.left()[DOCUMENTS]
    if different > 0:
        notes.append(f"{units.plural(different, 'document')} are repetitions of documents of scarce sources.")
    if books.characters:
        notes.append("No tokenizer was given: a token is a character here.")
    return section(
        "Mixture",
        stacks + elements.table(head, rows, "mixture") + f'<p class="note">{escape(" ".join(notes))}</p>',
        "What training reads, as Table 3 of the paper: proportions of tokens.",
        "mixture",
    )


def _amounts(part: dict[str, Any]) -> list[str]:
    size = units.size(part["bytes"]) if "bytes" in part else units.NONE
    tokens = f"{part['tokens']:,}" if "tokens" in part else units.NONE
    return [number(f"{part['documents']:,}"), number(size), number(tokens)]


def _packing(ledger: dict[str, Any]) -> str:
    packed = ledger.get("pack") or {}
    strategies = packed.get("strategies") or {}
    if not strategies:
        return ""
    rows = [
        row(
            [
                name(label + (" (chosen)" if label == packed.get("strategy") else "")),
                number(f"{found['sequences']:,}"),
                number(f"{found['tokens']:,}"),
                number(f"{found['lost']:,}"),
                number(f"{found['padding']:.2%}"),
            ]
        )
        for label, found in strategies.items()
    ]
    head = [th("strategy"), *(th(what, "n") for what in ("sequences", "tokens kept", "tokens lost", "padding"))]
    context = packed.get("context")
    return section(
        "Packing",
        elements.table(head, rows),
        f"What filling sequences of {context:,} tokens would keep, lose and pad; <code>stage.packing</code> decides "
        "when the corpus is read.",
        "packing",
    )


# --- speed  ------------------------------------------------------------------------


def _speed(ledger: dict[str, Any]) -> str:
    speeds = {name: step["speed"] for name, step in ledger["steps"].items() if step.get("speed")}
    if not speeds:
        return ""
    total = sum(speed["cpu_seconds"] for speed in speeds.values())
    rows = []
    for step, speed in speeds.items():
        seconds, rate = speed["cpu_seconds"], speed["mb_per_cpu_second"]
        rows.append(
            row(
                [
                    name(step),
                    f'<td class="wide">{bars.bar(seconds, total, 2)}</td>',
                    number(f"{seconds:,.1f}" if seconds >= 0.05 or not seconds else "<0.1"),
                    number(units.share(seconds, total)),
                    number(f"{rate:,.1f}" if rate else units.NONE),
                    number(f"{speed['peak_memory_gb']:.2f} GB" if speed["peak_memory_gb"] else units.NONE),
                ]
            )
        )
    rows.append(row([name("total"), cell(""), number(f"{total:,.1f}"), cell(""), cell(""), cell("")], "total"))
    head = [
        th("step"),
        th(""),
        *(th(what, "n") for what in ("CPU seconds", "share", "MB per CPU second", "peak memory")),
    ]
    return section(
        "Speed",
        elements.table(head, rows, "speed"),
        "CPU time of all workers together, and the text that each CPU second got through. The text steps, tokenize and "
        "length share one pass and its memory; peak memory is that of the largest worker.",
        "speed",
    )
