"""What a ledger records beside the flow of documents: sources and bad input, settings, how to reproduce it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from bailong.report import documents, elements, units
from bailong.report.elements import cell, name, number, row, section, th

#: characters shown of a value
LONG = 300


def sources(ledger: dict[str, Any]) -> str:
    if not ledger["sources"]:
        return ""
    rows, bad = [], []
    for source in ledger["sources"]:
        quarantined = source.get("quarantined") or {}
        rows.append(
            row(
                [
                    name(source["name"]),
                    cell(source["language"] or units.NONE),
                    cell(source["licence"] or units.NONE),
                    number(f"{source['files']:,}"),
                    number(f"{sum(quarantined.values()):,}"),
                    f'<td class="path"><code>{documents.visible(source["path"])}</code></td>',
                ]
            )
        )
        bad += [
            row([name(source["name"]), cell(reason), number(f"{count:,}"), _quarantine(source["name"])])
            for reason, count in sorted(quarantined.items(), key=lambda item: (-item[1], item[0]))
        ]
    head = [th("source"), th("language"), th("licence"), th("files", "n"), th("bad inputs", "n"), th("path")]
    body = elements.table(head, rows, "sources")
    if bad:
        columns = [th("source"), th("reason"), th("inputs", "n"), th("where to look")]
        body += "<h3>Bad input</h3>" + elements.table(columns, bad, "bad")
    else:
        body += '<p class="note">No input was bad.</p>'
    return section(
        "Sources and bad input",
        body,
        "Input that could not be read as a document was set aside with its file, offset and reason, and reading went "
        "on.",
        "sources",
    )


def _quarantine(source: str) -> str:
    return f'<td><a href="quarantine/"><code>quarantine/{escape(source)}-*.jsonl</code></a></td>'


def settings(ledger: dict[str, Any]) -> str:
    parts = []
    for step, known in ledger["steps"].items():
        tables = [("settings", known.get("settings") or {}), ("facts", known.get("facts") or {})]
        body = "".join(
            elements.table([th(title), th("value")], _facts(values), "facts") for title, values in tables if values
        )
        if body:
            parts.append(f'<details class="plain settings"><summary>{escape(step)}</summary>{body}</details>')
    if not parts:
        return ""
    return section(
        "Settings",
        "".join(parts),
        "Every knob of each step, and what beside the knobs decided its result: versions of libraries, hashes of "
        "dictionaries and lists. Where sources differ, facts begin with the source.",
        "settings",
    )


def _facts(values: dict[str, Any], above: str = "") -> list[str]:
    """Rows of a nested dictionary, inner keys behind a dot."""
    rows = []
    for key, value in values.items():
        label = f"{above}{key}"
        if isinstance(value, dict) and value:
            rows += _facts(value, f"{label}.")
        else:
            told = _fact(value)
            shown = told if len(told) <= LONG else told[:LONG] + "…"
            rows.append(
                row(
                    [
                        f"<th scope='row'><code>{documents.visible(label)}</code></th>",
                        f"<td>{documents.visible(shown)}</td>",
                    ]
                )
            )
    return rows  # fmt: skip


def _fact(value: Any) -> str:
    tellers: dict[type, Callable[[Any], str]] = {
        bool: lambda v: "true" if v else "false",
        type(None): lambda v: "null",
        float: lambda v: f"{v:g}",
        list: lambda v: ", ".join(_fact(item) for item in v) or "none",
        dict: lambda v: "none",
    }
    return tellers.get(type(value), str)(value)


def reproduce(ledger: dict[str, Any]) -> str:
    provenance = ledger.get("provenance") or {}
    lines = [f"git checkout {provenance['commit']}"] if provenance.get("commit") else []
    lines += [ledger["command"]] if ledger.get("command") else []
    versions = {k: v for k, v in (provenance.get("versions") or {}).items() if v}
    known = {"fingerprint of the settings": ledger.get("fingerprint"), "digest of the corpus": ledger.get("digest")}
    rows = _facts({k: v for k, v in known.items() if v} | versions)
    body = (f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else "") + elements.table([], rows, "facts")
    return section(
        "How to reproduce",
        body,
        "The same command, with any number of workers, on one machine or many, interrupted or not, ends in the same "
        "digest.",
        "reproduce",
    )
