"""What a ledger records beside the flow of documents: sources and bad input, settings, how to reproduce it."""

from typing import Any

from bailong.prepare.pages import parts
from bailong.report import elements, units
from bailong.report.elements import section, table
from bailong.report.markup import Html, visible

#: characters shown of a value
LONG = 300


def sources(ledger: dict[str, Any]) -> str:
    rows, bad = [], []
    for source in ledger["sources"]:
        quarantined = source.get("quarantined") or {}
        words = [source["name"], source["language"] or units.NONE, source["licence"] or units.NONE]
        counts = [f"{source['files']:,}", f"{sum(quarantined.values()):,}"]
        rows.append([*words, *counts, parts.path(source["path"])])
        where = f'<a href="quarantine/"><code>quarantine/{visible(source["name"])}-*.jsonl</code></a>'
        bad += [
            [source["name"], reason, f"{count:,}", Html(where)]
            for reason, count in sorted(quarantined.items(), key=lambda item: (-item[1], item[0]))
        ]
    listed = table(rows, ["source", "language", "licence"], ["files", "bad inputs"], ["path"], kind="sources")
    if bad:
        listed += "<h3>Bad input</h3>" + table(bad, ["source", "reason"], ["inputs"], ["where to look"], kind="bad")
    elif listed:
        listed += elements.note("No input was bad.")
    return section(
        "Sources and bad input",
        listed,
        "Input that could not be read as a document was set aside with its file, offset and reason, and reading went "
        "on.",
        "sources",
    )


def settings(ledger: dict[str, Any]) -> str:
    folded = []
    for step, known in ledger["steps"].items():
        body = "".join(elements.facts(known.get(key) or {}, key, "value", show=_value) for key in ("settings", "facts"))
        if body:
            folded.append(elements.fold(step, body, "plain settings"))
    return section(
        "Settings",
        "".join(folded),
        "Every knob of each step, and what beside the knobs decided its result: versions of libraries, hashes of "
        "dictionaries and lists. Where sources differ, facts begin with the source.",
        "settings",
    )


def _value(value: Any) -> str:
    told = _fact(value)
    return told if len(told) <= LONG else told[:LONG] + "…"


def _fact(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_fact, value)) or "none"
    if isinstance(value, bool | None):
        return {True: "true", False: "false", None: "null"}[value]
    return "none" if isinstance(value, dict) else f"{value:g}" if isinstance(value, float) else str(value)


def reproduce(ledger: dict[str, Any]) -> str:
    provenance = ledger.get("provenance") or {}
    lines = [f"git checkout {provenance['commit']}"] if provenance.get("commit") else []
    lines += [ledger["command"]] if ledger.get("command") else []
    known = {"fingerprint of the settings": ledger.get("fingerprint"), "digest of the corpus": ledger.get("digest")}
    found = {k: v for k, v in (known | (provenance.get("versions") or {})).items() if v}
    return section(
        "How to reproduce",
        elements.code("\n".join(lines)) + elements.facts(found, show=_value),
        "The same command, with any number of workers, on one machine or many, interrupted or not, ends in the same "
        "digest.",
        "reproduce",
    )
