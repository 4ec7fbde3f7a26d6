"""`bailong-prepare` for dialogues: from published datasets to what `stage=sft` trains on (paper, section 4.2)."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from bailong.data import sources
from bailong.prepare.dialogue import pipeline
from bailong.prepare.dialogue.books import DialogueFlow
from bailong.prepare.dialogue.mixture import TABLE_4
from bailong.prepare.dialogue.pipeline import Asker, Line, Staged
from bailong.prepare.dialogue.publish import publish, total
from bailong.prepare.pages import dialogues as page
from bailong.prepare.pages.dialogue_card import card, plan_card
from bailong.prepare.pipeline import names_of
from bailong.prepare.settings import Prepare
from bailong.run import folder
from bailong.run.progress import Reporter
from bailong.run.provenance import command_line


def prepare(settings: Prepare) -> Path | None:
    """Make the dialogues, or return at once if they are there.

    Killed at any moment, the same command goes on where it stopped and ends in the same documents: finished sources
    stay, and no call to the API is paid for twice.

    Returns:
        The folder, with `documents/`, `quarantine/`, `failures.jsonl`, `ledger.json` and `report.html`; None after a
        plan.

    Raises:
        ValueError: a source that cannot be read, too much bad input, an API that refuses, another corpus there, ...
    """
    from bailong.prepare.place import describe, is_made, place_of

    target = place_of(settings)
    if settings.plan:
        with tempfile.TemporaryDirectory() as nowhere:
            plan(settings, Path(nowhere))
        return None
    console = Console()
    with folder.locked(target):
        reporter = Reporter(target / "prepare.log")
        try:
            lines = lines_of(settings, target)
            identity = identity_of(settings, lines)
            if is_made(target, identity, settings.overwrite) and not (settings.overwrite and unasked(target)):
                reporter.say(f"{target} is up to date")
                if count := unasked(target):
                    reporter.say(
                        f"{count:,} dialogues were lost to errors of the API: overwrite=true asks for them again"
                    )
                ledger = json.loads((target / "ledger.json").read_text(encoding="utf-8"))
                if not settings.keep_work:  # a kill may have come between the ledger and this
                    shutil.rmtree(target / "work", ignore_errors=True)
            else:
                ledger = make(settings, lines, identity, target, reporter)
            describe(settings, target)
        finally:
            reporter.close()
    console.print(card(ledger))
    console.print(f"report: {target / 'report.html'}", highlight=False)
    return target


def make(
    settings: Prepare, lines: list[Line], identity: dict[str, Any], target: Path, reporter: Reporter
) -> dict[str, Any]:
    """Every source through its steps, then all together; the ledger."""
    work = target / "work"
    duplicates = settings.dialogue.duplicates == "drop"
    staged: dict[str, Staged] = {}
    for line in lines:
        staged[line.name] = pipeline.staged(line, work / line.name) or stage(settings, line, work, reporter)
    fresh = target / ".fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "documents").mkdir(parents=True)
    folders = {line.name: work / line.name for line in lines}
    last, measures, digest = publish(folders, settings.mix, duplicates, fresh / "documents")
    flows = {name: [*staged[name].flows, *last[name]] for name in folders}
    for line in lines:
        pipeline.check(line.name, flows[line.name])
        mixed = flows[line.name][-1][1]
        written = mixed.left[0] + mixed.counts["repeated"]
        if written != measures[line.name].dialogues:
            raise AssertionError(
                f"{line.name}: {written:,} dialogues chosen, {measures[line.name].dialogues:,} written"
            )
    whole = total(measures)
    if not whole["dialogues"]:
        raise ValueError(f"data={settings.data.name} comes to no dialogue at all: look at data.sources")
    ledger = {
        "name": settings.data.name,
        "kind": "dialogue",
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": command_line(),
        "identity": identity,
        "fingerprint": hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest(),
        "digest": digest,
        "sources": [
            {
                "name": line.name,
                "path": line.source.path,
                "language": line.language,
                "licence": line.source.licence,
                "shape": line.source.kind,
                "settings": {step.name: dataclasses.asdict(step) | step.facts() for step in line.steps},
                "steps": [{"step": name, **flow.to_json()} for name, flow in flows[line.name]],
                "api": staged[line.name].account if line.asks else None,
            }
            for line in lines
        ],
        "mixture": [
            {
                "source": line.name,
                "language": line.language,
                **measures[line.name].to_json(),
                "share": measures[line.name].dialogues / (whole["dialogues"] or 1),
                "paper": TABLE_4[line.name]._asdict() if line.name in TABLE_4 else None,
            }
            for line in lines
        ],
        "total": whole,
        "api": asked(settings, staged) if any(line.asks for line in lines) else None,
    }
    place(ledger, fresh, target, folders)
    if not settings.keep_work:
        shutil.rmtree(work)
    return ledger


def stage(settings: Prepare, line: Line, work: Path, reporter: Reporter) -> Staged:
    """One source, with a bar or lines for the calls that it makes."""
    client, done = None, itertools.count(1)
    if line.asks:
        from bailong.api.client import Client

        client = Client(settings.api, settings.prices)
        # Those that are repeated come on top
        total = _planned(settings, line)["calls"] if _local(line) else None
        reporter.begin(total, 0, f"{line.name}: calls", spoken=True)
    began = time.monotonic()
    duplicates = settings.dialogue.duplicates == "drop"
    try:
        asker = Asker(client, lambda: reporter.advance(next(done)))
        made = pipeline.stage(line, work / line.name, asker, settings.collect.max_bad_ratio, duplicates)
    finally:
        reporter.end()
    came, left = made.flows[0][1].came[0], made.flows[-1][1].left
    asked = f"; {client.totals.line()}" if client is not None else ""
    seconds = time.monotonic() - began
    reporter.say(f"{line.name}: {came:,} read, {left[0]:,} dialogues of {left[1]:,} turns in {seconds:.0f} s{asked}")
    return made


def plan(settings: Prepare, place: Path) -> None:
    """What the API would be asked, and what it would cost. Local sources are read whole, so their calls are exact.

    A source whose file is not there yet is shown and not counted, as one of the Hub.

    Args:
        place: a folder for what need not be kept.
    """
    rows = []
    for name, source in zip(names_of(settings.data.sources), settings.data.sources, strict=True):
        try:
            sources.files(source)
        except ValueError:
            rows.append({"source": name, "asks": True, "account": None, "where": "not here"})
            continue
        line = pipeline.line(settings, source, name, place / ".cache")
        if not line.asks:
            rows.append({"source": line.name, "asks": False})
        elif not _local(line):
            rows.append({"source": line.name, "asks": True, "account": None, "where": "on the Hub"})
        else:
            rows.append({"source": line.name, "asks": True, "account": _planned(settings, line)})
    known = [row["account"] for row in rows if row.get("account")]
    Console().print(plan_card(settings.data.name, settings.api.model, rows, pipeline.summed(known)))


def _planned(settings: Prepare, line: Line) -> dict[str, Any]:
    """The account of what a source would ask."""
    from bailong.api.client import Client

    asker = Asker(Client(settings.api, settings.prices), plan=True)
    nowhere = io.StringIO()
    flows: list[tuple[str, DialogueFlow]] = []
    duplicates = settings.dialogue.duplicates == "drop"
    for _ in pipeline.pieces_of(line, flows, asker, settings.collect.max_bad_ratio, duplicates, nowhere, nowhere):
        pass
    return asker.account()


def _local(line: Line) -> bool:
    return not line.source.path.startswith("hub:")


def lines_of(settings: Prepare, target: Path) -> list[Line]:
    names = names_of(settings.data.sources)
    if settings.mix.enabled:
        settings.mix.check(names)
    return pipeline.lines(settings, names, target / ".cache")


def identity_of(settings: Prepare, lines: list[Line]) -> dict[str, Any]:
    """Flat `key: value` of all that decides the dialogues."""
    flat = {f"{line.name}: {key}": value for line in lines for key, value in line.identity.items()}
    flat |= {f"mix.{knob}": value for knob, value in dataclasses.asdict(settings.mix).items()}
    # Their order too: the first of two equal dialogues stays, and data.evaluate_on is a position.
    return flat | {"sources": [line.name for line in lines]}


def asked(settings: Prepare, staged: dict[str, Staged]) -> dict[str, Any]:
    """Who was asked, and the calls of all sources together."""
    from bailong.api.call import public_url

    calls = pipeline.summed([made.account for made in staged.values() if made.account["calls"]])
    return {"model": settings.api.model, "base_url": public_url(settings.api), **calls}


def unasked(target: Path) -> int:
    """Dialogues that a finished folder lacks because the API failed, not because of what it said."""
    ledger = json.loads((target / "ledger.json").read_text(encoding="utf-8"))
    return sum(
        step["drops"].get(reason, {"dialogues": 0})["dialogues"]
        for source in ledger["sources"]
        for step in source["steps"]
        for reason in ("api_error", "empty")
    )


def place(ledger: dict[str, Any], fresh: Path, target: Path, folders: dict[str, Path]) -> None:
    """Put everything in place: first the old ledger goes, last the new one comes, so nobody reads half of it."""
    (fresh / "quarantine").mkdir()
    for name, staged in folders.items():
        if (staged / "quarantine.jsonl").stat().st_size:
            shutil.copy2(staged / "quarantine.jsonl", fresh / "quarantine" / f"{name}.jsonl")
    with (fresh / "failures.jsonl").open("wb") as failures:
        for staged in folders.values():
            failures.write((staged / "failures.jsonl").read_bytes())
    (fresh / "report.html").write_text(page.page(ledger), encoding="utf-8")
    (fresh / "ledger.json").write_text(json.dumps(ledger, ensure_ascii=False, indent=1), encoding="utf-8")
    (target / "ledger.json").unlink(missing_ok=True)
    for name in ("documents", "quarantine"):
        shutil.rmtree(target / name, ignore_errors=True)
        (fresh / name).rename(target / name)
    for name in ("failures.jsonl", "report.html", "ledger.json"):
        (fresh / name).replace(target / name)
    fresh.rmdir()
