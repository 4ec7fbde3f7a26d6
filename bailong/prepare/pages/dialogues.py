"""`report.html` of a corpus of dialogues: Table 4 of the paper for it, lengths, what was lost, and samples to read.

One static file without a script, made of the ledger alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bailong.prepare.pages.dialogue_card import flows, languages, quarantined, spent
from bailong.report import bars, documents, elements, palette, units
from bailong.report.bars import smallest
from bailong.report.elements import cell, name, number, row, section, th

#: the kinds of sample that a step keeps: (texts of it, what they are called)
SAMPLES = {"changed": ("before", "after"), "translated": ("before", "after"), "made": ("instruction", "output")}


def page(ledger: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        ("table", "Table 4", _table_4(ledger)),
        ("lengths", "Lengths", _lengths(ledger)),
        ("steps", "Step by step", _steps(ledger)),
        ("control", "Control tokens", _control(ledger)),
        ("samples", "Dialogues", _samples(ledger)),
        ("sources", "Sources", _sources(ledger)),
    ]
    there = [(anchor, title, body) for anchor, title, body in parts if body]
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in there)
    contents = f'<nav aria-label="Sections">{links}</nav>'
    colours = [(palette.variable(i), *pair) for i, pair in enumerate(palette.COLOURS)]
    body = [bars.PATTERNS, _header(ledger), contents, *(part for _, _, part in there)]
    return elements.document(f"{ledger['name']} · dialogues", palette.css(colours), ["page.css", "corpus.css"], body)


def _header(ledger: dict[str, Any]) -> str:
    total = ledger["total"]
    read, lost, joined = flows(ledger)
    figures = [
        ("dialogues", f"{read:,}", f"{total['dialogues']:,}"),
        ("turns", "", f"{total['turns']:,}"),
        ("characters, instructions and outputs", "", _characters(total)),
    ]
    shown = "".join(
        f"<div><dt>{escape(what)}</dt><dd>"
        + (f'{first} <span aria-label="to">→</span> ' if first else "")
        + f"<b>{last}</b></dd></div>"
        for what, first, last in figures
    )
    bad = sum(quarantined(source) for source in ledger["sources"])
    told = f"{units.plural(read, 'record')} came in; {lost:,} were dropped, {bad:,} of them as no dialogue at all"
    told += f", and {joined:,} became further turns of others." if joined else "."
    balance = f'<p class="finding"><b>The books balance.</b> {told} Checked for each step of each source.</p>'
    api = f'<p class="finding">{escape(spent(ledger["api"]))}.</p>' if ledger["api"] else ""
    command = f"<pre>{escape(ledger['command'])}</pre>" if ledger.get("command") else ""
    return f"""<header>
<p class="eyebrow">Bailong · dialogues</p>
<h1>{escape(ledger["name"])}</h1>
<p class="meta">{escape(str(ledger["created"]))} · digest <code>{escape(ledger["digest"][:16])}</code></p>
<dl class="figures">{shown}</dl>
{balance}{api}{command}
</header>"""


def _characters(row: dict[str, Any]) -> str:
    return f"{row['instruction_characters']:,} + {row['output_characters']:,}"


# --- Table 4 -----------------------------------------------------------------------------------------


def _table_4(ledger: dict[str, Any]) -> str:
    rows = []
    for i, mine in enumerate(ledger["mixture"]):
        figures = [f"{mine['dialogues']:,}", f"{mine['share']:.2%}", *_averages(mine)]
        label = name(mine["source"], bars.swatch(i))
        rows.append(row([label, *map(number, figures), cell(languages(mine["scripts"]))]))
        if paper := mine["paper"]:
            figures = [units.NONE, f"{paper['share']:.2%}"]
            figures += [f"{paper[key]:.2f}" for key in ("instruction", "output", "turns")]
            cells = [name("the paper’s"), *map(number, figures), cell(f"from {paper['language']}")]
            rows.append(row(cells, "reference"))
    total = ledger["total"]
    cells = [name("together"), number(f"{total['dialogues']:,}"), number("100%"), *map(number, _averages(total))]
    rows.append(row([*cells, cell(languages(total["scripts"]))], "total"))
    head = [th("source"), *(th(what, "n") for what in ("dialogues", "proportion", "input", "output", "turns"))]
    parts = [(mine["source"], mine["dialogues"]) for mine in ledger["mixture"]]
    stacks = bars.stack("This corpus", parts, total["dialogues"])
    if any(mine["paper"] for mine in ledger["mixture"]):
        papers = [(mine["source"], mine["paper"]["share"] if mine["paper"] else 0.0) for mine in ledger["mixture"]]
        stacks += bars.stack("The paper, Table 4", papers, 1.0)
    note = (
        '<p class="note">Input and output: average characters of an instruction and of an output. Language: what the '
        "outputs are written in, counted by characters that only one script has (zh: by neither)."
    )
    note += " The paper’s rows are from its Table 4; its INNX (7.10%) is closed." if "Table 4" in stacks else ""
    return section(
        "Table 4",
        stacks + elements.table([*head, th("language")], rows, "mixture") + note + "</p>",
        "What training reads: proportions are of dialogues, not of tokens.",
        "table",
    )


def _averages(mine: dict[str, Any]) -> list[str]:
    return [f"{mine[f'average_{key}']:.2f}" for key in ("instruction", "output", "turns")]


# --- lengths -----------------------------------------------------------------------------------------


def _lengths(ledger: dict[str, Any]) -> str:
    rows = [mine for mine in ledger["mixture"] if mine["turns"]]
    if not rows:
        return ""
    keys = ("instruction_lengths", "output_lengths")
    buckets = [int(bucket) for mine in rows for key in keys for bucket in mine[key]]
    drawn = [_histogram(mine, min(buckets), max(buckets)) for mine in rows]
    most = max(int(size) for mine in rows for size in mine["sizes"])
    shown = min(most, 10)
    head = [th("source"), *(th(str(n) if n < 10 else "10 and more", "n") for n in range(1, shown + 1))]
    table = []
    for mine in rows:
        counts = [0] * shown
        for size, count in mine["sizes"].items():
            counts[min(int(size), shown) - 1] += count
        table.append(row([name(mine["source"]), *(number(f"{n:,}" if n else units.NONE) for n in counts)]))
    return section(
        "Lengths",
        f'<div class="panels">{"".join(drawn)}</div><h3>Dialogues by their turns</h3>'
        + elements.table(head, table, "mixture"),
        "Texts by their characters; each bucket begins at the number below it and ends before twice that number. "
        f"<span class='legend'><span>{bars.key('came')}instructions</span>"
        f"<span>{bars.key('kept')}outputs</span></span>",
        "lengths",
    )


def _histogram(mine: dict[str, Any], low: int, high: int) -> str:
    left, top, width, height = 4, 16, 312, 92
    slot = width / (high - low + 1)
    kinds = [(kind, {int(k): n for k, n in mine[key].items()}) for kind, key in _KINDS]
    tallest = max(n for _, counts in kinds for n in counts.values())
    stride = -(-(high - low + 1) // 6)
    drawn = []
    for bucket in range(low, high + 1):
        x = left + slot * (bucket - low)
        for kind, counts in kinds:
            if count := counts.get(bucket, 0):
                tall = max(height * count / tallest, 1)
                inset = 0.75 if kind == "came" else max(1.5, slot * 0.22)
                drawn.append(
                    f'<rect class="{kind}" x="{x + inset:.1f}" y="{top + height - tall:.1f}" '
                    f'width="{slot - 2 * inset:.1f}" height="{tall:.1f}"/>'
                )
        if (bucket - low) % stride == 0:
            drawn.append(f'<text class="soft" x="{x + 1:.1f}" y="{top + height + 14}">{smallest(bucket):,}</text>')
    told = "; ".join(
        f"{'instructions' if kind == 'came' else 'outputs'} "
        + ", ".join(f"from {smallest(bucket):,}: {count:,}" for bucket, count in sorted(counts.items()))
        for kind, counts in kinds
    )
    return (
        f'<figure class="panel"><figcaption>{escape(mine["source"])}</figcaption>'
        f'<svg class="drawing" viewBox="0 0 320 128" role="img"><title>{escape(mine["source"])}</title>'
        f"<desc>{escape(told)}</desc>"
        f'<text class="soft" x="{left}" y="10">{units.plural(tallest, "text")}</text>'
        f'<path class="axis" d="M{left} {top + height}H{left + width}"/>{"".join(drawn)}</svg></figure>'
    )


_KINDS = (("came", "instruction_lengths"), ("kept", "output_lengths"))


# --- what happened -----------------------------------------------------------------------------------


def _steps(ledger: dict[str, Any]) -> str:
    parts = []
    for source in ledger["sources"]:
        rows = []
        for step in source["steps"]:
            why = [f"{reason} {n['dialogues']:,}" for reason, n in step["drops"].items()]
            why += [f"{units.plural(step['joined'], 'turn')} joined to others"] if step["joined"] else []
            counts = [f"{label} {n:,}" for label, n in step["counts"].items() if n]
            figures = [step["in"]["dialogues"], step["out"]["dialogues"], step["out"]["turns"]]
            rows.append(
                row(
                    [
                        name(step["step"]),
                        *(number(f"{figure:,}") for figure in figures),
                        cell(", ".join(why) or units.NONE, "path"),
                        cell(", ".join(counts) or units.NONE, "path"),
                    ]
                )
            )
        head = [th("step"), th("dialogues in", "n"), th("out", "n"), th("turns out", "n"), th("dropped"), th("counted")]
        samples = "".join(_step_samples(step, source["language"]) for step in source["steps"])
        parts.append(f"<h3>{escape(source['name'])}</h3>{elements.table(head, rows, 'sources')}{samples}")
    return section(
        "Step by step",
        "".join(parts),
        "In = out + dropped + joined, for each step. What could not be read is in <code>quarantine/</code> with file, "
        "place and reason; what the API could not do in <code>failures.jsonl</code>.",
        "steps",
    )


def _step_samples(step: dict[str, Any], language: str) -> str:
    """Samples of what a step did, under a line to open."""
    parts = []
    for reason, samples in step["samples"].items():
        if reason not in SAMPLES:
            continue
        items = []
        for sample in samples:
            texts = [str(sample[key]) for key in SAMPLES[reason]]
            if reason == "changed":
                shown = documents.difference(*texts, limit=1200, language=language)
            else:
                items.append(f"<li>{documents.passage(texts[0], language)}</li>")
                shown = documents.passage(texts[1], language)
            origin = f'<span class="origin"><code>{documents.visible(sample["id"])}</code></span>'
            items.append(f'<li class="kept">{shown}{origin}</li>')
        label = f"{step['step']}: {units.plural(len(samples), 'sample')}"
        parts.append(
            f'<details class="plain"><summary>{escape(label)}</summary>'
            f'<div class="inside"><ul class="samples">{"".join(items)}</ul></div></details>'
        )
    return "".join(parts)


def _control(ledger: dict[str, Any]) -> str:
    rows = [
        row([name(mine["source"]), f"<td><code>{escape(token)}</code></td>", number(f"{count:,}")])
        for mine in ledger["mixture"]
        for token, count in mine["control"].items()
    ]
    if not rows:
        body = '<p class="note">No dialogue holds one.</p>'
    else:
        body = elements.table([th("source"), th("token"), th("dialogues", "n")], rows, "sources")
    return section(
        "Control tokens",
        body,
        "Dialogues that hold the name of a control token as text. They are left as they are: training takes "
        "the tokenizer’s BOS and EOS out of the text, so that none ends a turn in the middle.",
        "control",
    )


def _samples(ledger: dict[str, Any]) -> str:
    parts = [
        f"<h3>{escape(mine['source'])}</h3>{''.join(_dialogue(sample) for sample in mine['samples'])}"
        for mine in ledger["mixture"]
        if mine["samples"]
    ]
    if not parts:
        return ""
    sub = "A few dialogues of each source, chosen by their hash, long texts cut."
    return section("Dialogues", "".join(parts), sub, "samples")


def _dialogue(sample: dict[str, Any]) -> str:
    turns = "".join(
        f"<li>{documents.passage(instruction, sample['language'])}</li>"
        f'<li class="kept">{documents.passage(output, sample["language"])}</li>'
        for instruction, output in sample["turns"]
    )
    first = " ".join(sample["turns"][0][0].split())[:70]
    return (
        f'<details class="cluster"><summary><span class="count">{units.plural(len(sample["turns"]), "turn")}</span>'
        f'<bdi class="begin">{documents.visible(first)}</bdi></summary>'
        f'<div class="inside"><ul class="samples">{turns}</ul>'
        f'<span class="origin"><code>{documents.visible(sample["id"])}</code></span></div></details>'
    )


# --- sources -----------------------------------------------------------------------------------------


def _sources(ledger: dict[str, Any]) -> str:
    rows = []
    for source in ledger["sources"]:
        asked = source["api"]
        rows.append(
            row(
                [
                    name(source["name"]),
                    cell(source["shape"]),
                    cell(source["licence"] or units.NONE),
                    number(f"{quarantined(source):,}"),
                    number(f"{asked['calls']:,}" if asked else units.NONE),
                    f'<td class="path"><code>{documents.visible(source["path"])}</code></td>',
                ]
            )
        )
    head = [th("source"), th("shape"), th("licence"), th("bad records", "n"), th("calls", "n"), th("path")]
    knobs = "".join(
        f'<details class="plain settings"><summary>{escape(source["name"])}: settings</summary>'
        + elements.table([th("setting"), th("value")], _settings(source["settings"]), "facts")
        + "</details>"
        for source in ledger["sources"]
        if source["settings"]
    )
    return section("Sources", elements.table(head, rows, "sources") + knobs, "", "sources")


def _settings(steps: dict[str, dict[str, Any]]) -> Sequence[str]:
    return [
        row([f"<th scope='row'><code>{escape(f'{step}.{knob}')}</code></th>", cell(str(value))])
        for step, knobs in steps.items()
        for knob, value in knobs.items()
    ]
