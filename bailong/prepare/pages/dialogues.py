"""`report.html` of a corpus of dialogues: Table 4 of the paper for it, lengths, what was lost, and samples to read.

One static file without a script, made of the ledger alone.
"""

from collections import Counter
from typing import Any

from bailong.prepare.pages import parts
from bailong.prepare.pages.dialogue_card import averages, paper_averages, quarantined, reasons, record_counts, spent
from bailong.report import bars, documents, elements, units
from bailong.report.elements import Row, cell, section, table
from bailong.report.markup import Html, visible

#: the kinds of sample that a step keeps: (texts of it, what they are called)
SAMPLES = {"changed": ("before", "after"), "translated": ("before", "after"), "made": ("instruction", "output")}


def page(ledger: dict[str, Any]) -> str:
    """The whole page."""
    sections = [
        _table_4(ledger),
        _lengths(ledger),
        _steps(ledger),
        _control(ledger),
        _samples(ledger),
        _sources(ledger),
    ]
    return elements.page(f"{ledger['name']} · dialogues", [bars.PATTERNS, _header(ledger)], sections, ["corpus.css"])


def _header(ledger: dict[str, Any]) -> str:
    total = ledger["total"]
    read, lost, joined = record_counts(ledger)
    characters = f"{total['instruction_characters']:,} + {total['output_characters']:,}"
    figures = [
        ("dialogues", parts.change(f"{read:,}", f"{total['dialogues']:,}")),
        ("turns", Html(f"<b>{total['turns']:,}</b>")),
        ("characters, instructions and outputs", Html(f"<b>{characters}</b>")),
    ]
    bad = sum(quarantined(source) for source in ledger["sources"])
    told = f"{units.plural(read, 'record')} came in; {lost:,} were dropped, {bad:,} of them as no dialogue at all"
    told += f", and {joined:,} became further turns of others." if joined else "."
    after = elements.finding(Html(f"<b>The books balance.</b> {told} Checked for each step of each source."))
    after += elements.finding(f"{spent(ledger['api'])}.") if ledger["api"] else ""
    return parts.header("dialogues", ledger, figures, after)


def _table_4(ledger: dict[str, Any]) -> str:
    mixture, total = ledger["mixture"], ledger["total"]
    rows: list[list[str] | Row] = []
    papers = [mine["paper"] and mine["paper"]["share"] for mine in mixture]
    names, stacks = parts.mixture(mixture, "dialogues", papers, 4)
    for shown, mine in zip(names, mixture, strict=True):
        rows.append([shown, f"{mine['dialogues']:,}", f"{mine['share']:.2%}", *averages(mine)])
        if paper := mine["paper"]:
            figures = [units.NONE, f"{paper['share']:.2%}", *paper_averages(paper)]
            rows.append(Row(["the paper’s", *figures], "reference"))
    rows.append(Row(["together", f"{total['dialogues']:,}", "100%", *averages(total)], "total"))
    note = (
        "Input and output: average characters of an instruction and of an output. Language: what the outputs are "
        "written in, counted by characters that only one script has (zh: by neither)."
    )
    if any(mine["paper"] for mine in mixture):
        note += " The paper’s rows are from its Table 4; its INNX (7.10%) is closed."
    numbers = ["dialogues", "proportion", "input", "output", "turns"]
    return section(
        "Table 4",
        stacks + table(rows, ["source"], numbers, ["language"], kind="mixture") + elements.note(note),
        "What training reads: proportions are of dialogues, not of tokens.",
        "table",
    )


def _lengths(ledger: dict[str, Any]) -> str:
    mixture = [mine for mine in ledger["mixture"] if mine["turns"]]
    if not mixture:
        return ""
    keys = ("instruction_lengths", "output_lengths")
    texts = [[Counter({int(bucket): n for bucket, n in mine[key].items()}) for key in keys] for mine in mixture]
    buckets = [bucket for both in texts for lengths in both for bucket in lengths]
    axis = min(buckets), max(buckets)
    drawn = []
    for mine, (instructions, outputs) in zip(mixture, texts, strict=True):
        told = "; ".join(
            f"{what} " + ", ".join(f"from {bars.smallest(bucket):,}: {n:,}" for bucket, n in sorted(lengths.items()))
            for what, lengths in (("instructions", instructions), ("outputs", outputs))
        )
        drawn.append(bars.outlined(mine["source"], instructions, outputs, axis, "text", mine["source"], told))
    shown = min(max(int(size) for mine in mixture for size in mine["sizes"]), 10)
    rows = []
    for mine in mixture:
        counts = [0] * shown
        for size, count in mine["sizes"].items():
            counts[min(int(size), shown) - 1] += count
        rows.append([mine["source"], *(f"{n:,}" if n else units.NONE for n in counts)])
    numbers = [str(n) if n < 10 else "10 and more" for n in range(1, shown + 1)]
    return section(
        "Lengths",
        f'<div class="panels">{"".join(drawn)}</div><h3>Dialogues by their turns</h3>'
        + table(rows, ["source"], numbers, kind="mixture"),
        "Texts by their characters; each bucket begins at the number below it and ends before twice that number. "
        + bars.legend(came="instructions", kept="outputs"),
        "lengths",
    )


def _steps(ledger: dict[str, Any]) -> str:
    shown = []
    for source in ledger["sources"]:
        rows = []
        for step in source["steps"]:
            figures = [step["in"]["dialogues"], step["out"]["dialogues"], step["out"]["turns"]]
            why, counts = reasons(step, f"{units.plural(step['joined'], 'turn')} joined to others")
            words = [cell(", ".join(told) or units.NONE, "path") for told in (why, counts)]
            rows.append([step["step"], *(f"{figure:,}" for figure in figures), *words])
        samples = "".join(_step_samples(step, source["language"]) for step in source["steps"])
        listed = table(rows, ["step"], ["dialogues in", "out", "turns out"], ["dropped", "counted"], kind="sources")
        shown.append(f"<h3>{visible(source['name'])}</h3>{listed}{samples}")
    return section(
        "Step by step",
        "".join(shown),
        "In = out + dropped + joined, for each step. What could not be read is in <code>quarantine/</code> with file, "
        "place and reason; what the API could not do in <code>failures.jsonl</code>.",
        "steps",
    )


def _step_samples(step: dict[str, Any], language: str) -> str:
    """Samples of what a step did, under a line to open."""
    folded = []
    for reason, samples in step["samples"].items():
        if reason not in SAMPLES:
            continue
        items = []
        for sample in samples:
            first, second = (str(sample[key]) for key in SAMPLES[reason])
            if reason == "changed":
                shown = documents.difference(first, second, limit=1200, language=language)
            else:
                items.append(documents.item(documents.passage(first, language)))
                shown = documents.passage(second, language)
            items.append(documents.item(shown, documents.origin("", sample["id"]), kind="kept"))
        label = f"{step['step']}: {units.plural(len(samples), 'sample')}"
        folded.append(elements.fold(label, f'<div class="inside">{elements.samples(items)}</div>'))
    return "".join(folded)


def _control(ledger: dict[str, Any]) -> str:
    rows = [
        [mine["source"], Html(f"<code>{visible(token)}</code>"), f"{count:,}"]
        for mine in ledger["mixture"]
        for token, count in mine["control"].items()
    ]
    return section(
        "Control tokens",
        table(rows, ["source", "token"], ["dialogues"], kind="sources") or elements.note("No dialogue holds one."),
        "Dialogues that hold the name of a control token as text. They are left as they are: training takes "
        "the tokenizer’s BOS and EOS out of the text, so that none ends a turn in the middle.",
        "control",
    )


def _samples(ledger: dict[str, Any]) -> str:
    shown = [
        f"<h3>{visible(mine['source'])}</h3>{''.join(_dialogue(sample) for sample in mine['samples'])}"
        for mine in ledger["mixture"]
        if mine["samples"]
    ]
    sub = "A few dialogues of each source, chosen by their hash, long texts cut."
    return section("Dialogues", "".join(shown), sub, "samples")


def _dialogue(sample: dict[str, Any]) -> str:
    items = [
        documents.item(documents.passage(text, sample["language"]), kind=kind)
        for turn in sample["turns"]
        for text, kind in zip(turn, ("", "kept"), strict=True)
    ]
    inside = elements.samples(items) + documents.origin("", sample["id"])
    return documents.group(units.plural(len(sample["turns"]), "turn"), sample["turns"][0][0], 70, inside)


def _sources(ledger: dict[str, Any]) -> str:
    rows = [
        [source["name"], source["shape"], source["licence"] or units.NONE, f"{quarantined(source):,}"]
        + [f"{source['api']['calls']:,}" if source["api"] else units.NONE, parts.path(source["path"])]
        for source in ledger["sources"]
    ]
    knobs = "".join(
        elements.fold(
            f"{source['name']}: settings", elements.facts(source["settings"], "setting", "value"), "plain settings"
        )
        for source in ledger["sources"]
        if source["settings"]
    )
    listed = table(rows, ["source", "shape", "licence"], ["bad records", "calls"], ["path"], kind="sources")
    return section("Sources", listed + knobs, "", "sources")
