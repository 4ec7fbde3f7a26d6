"""`bailong-prepare`: from raw text to a clean, deduplicated, mixed corpus with a ledger (paper, section 3.2)."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from bailong import step
from bailong.checks import require
from bailong.config import Prepare
from bailong.data import ledger, task
from bailong.data.estimate import estimate
from bailong.data.pipeline import Pipeline
from bailong.data.task import Task
from bailong.report import corpus as page
from bailong.report.card import card
from bailong.step import collect
from bailong.tracking import folder
from bailong.tracking.progress import Reporter
from bailong.workspace import MADE, command_line


def prepare(settings: Prepare) -> Path | None:
    """Make the corpus, or return at once if it is there.

    Killed at any moment, the same command goes on where it stopped and ends in the same bytes, with any engine and
    number of workers.

    Returns:
        The folder, with `documents/`, `dropped/`, `quarantine/`, `tokens/`, `ledger.json` and `report.html`; None
        after a plan.

    Raises:
        ValueError: a source that cannot be read, too much bad input, a folder that holds another corpus, ...
    """
    if settings.data.kind == "dialogue":
        from bailong import prepare_dialogues

        return prepare_dialogues.prepare(settings)
    if settings.plan:
        Console().print(estimate(settings).shown())
        return None
    target = place_of(settings)
    work = target / "work"
    console = Console()
    with folder.locked(target):
        reporter = Reporter(target / "prepare.log")
        try:
            pipeline = Pipeline(settings, work, lambda phase, tasks: run(settings, work, phase, tasks, reporter))
            units = collect.tasks(
                settings.data.sources, [mine["collect"] for mine in pipeline.steps], target / ".cache"
            )
            identity = pipeline.identity(units)
            if is_made(target, identity, settings.overwrite):
                reporter.say(f"{target} is up to date")
                if not settings.keep_work:  # a kill may have come between the ledger and this
                    shutil.rmtree(work, ignore_errors=True)
                made = json.loads((target / "ledger.json").read_text(encoding="utf-8"))
            else:
                made = make(settings, pipeline, units, identity, target)
            describe(settings, target)  # also of one that is there: it may have been moved, or a run killed before this
        finally:
            settings.engine.close()
            reporter.close()
    console.print(card(made))
    console.print(f"report: {target / 'report.html'}", highlight=False)
    return target


def place_of(settings: Prepare) -> Path:
    """The folder that the corpus goes to.

    Raises:
        ValueError: there can be no such folder.
    """
    name = settings.data.name
    require(bool(name) and "/" not in name, "data.name", name, "a file name: data/<name> is where the corpus goes")
    target = Path(settings.data.folder or f"data/{settings.data.name}")
    file = next((place for place in (target, *target.parents) if os.path.lexists(place) and not place.is_dir()), None)
    require(file is None, "data.folder", str(target), f"a folder, there or to be made, and {file} is a file")
    return target


def make(
    settings: Prepare, pipeline: Pipeline, units: list[Task], identity: dict[str, Any], target: Path
) -> dict[str, Any]:
    """Every step in turn; the ledger."""
    pipeline.run(units)
    made = ledger.build(pipeline, identity, command_line())
    ledger.place(pipeline, made, page.page(made), target)
    if settings.keep_work:
        task.sweep(pipeline.root, [name for names in pipeline.phases.values() for name in names])
    else:
        shutil.rmtree(pipeline.root)
    return made


def run(settings: Prepare, root: Path, phase: str, tasks: list[Task], reporter: Reporter) -> list[dict[str, Any]]:
    """Run the tasks of a phase on the engine, with a bar or lines that say how long it will take."""
    pending = [t for t in tasks if task.finished(t, root) is None]
    if pending:
        done = len(tasks) - len(pending)
        depth = 2 if phase in (*step.GLOBAL, "templates") else 1  # a step that compares documents: minhash/bands, ...
        label = ", ".join(dict.fromkeys("/".join(t.name.split("/")[:depth]) for t in tasks))
        reporter.say(f"{label}: {len(pending)} of {len(tasks)} tasks to do")
        reporter.begin(len(tasks), done, label, spoken=True)

        def advance(_: Task) -> None:
            nonlocal done
            done += 1
            reporter.advance(done)

        try:
            settings.engine.run(pending, root, advance)
        finally:
            reporter.end()
    return [task.read(root, t.name) for t in tasks]


def is_made(target: Path, identity: dict[str, Any], overwrite: bool) -> bool:
    """Whether `target` already holds this very corpus.

    Raises:
        ValueError: it holds another one, and that may not be overwritten.
    """
    file = target / "ledger.json"
    if not file.is_file():
        return False
    before = json.loads(file.read_text(encoding="utf-8"))["identity"]
    now = json.loads(json.dumps(identity, default=str))
    differing = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if differing and not overwrite:
        shown = "; ".join(f"{key}: {short(before.get(key))} before, {short(now.get(key))} now" for key in differing[:4])
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise ValueError(
            f"{target} holds a corpus made with other settings ({shown}{more}): add overwrite=true to make it again "
            "(what the change does not touch is kept), or give another data.folder"
        )
    return not differing


def describe(settings: Prepare, target: Path) -> None:
    """Leave `data/<name>.yaml`, by which `data=<name>` is known to the other commands, wherever the corpus lies."""
    data = settings.data
    written = {
        "defaults": ["/schema/data@_here_"],
        "name": data.name,
        "folder": str(target),
        "held_out": data.held_out,
        "evaluate_on": data.evaluate_on,
        "evaluation_bytes": data.evaluation_bytes,
    } | ({"kind": data.kind} if data.kind != "text" else {})
    text = f"# Made by bailong-prepare: the corpus in {target}.\n" + yaml.safe_dump(written, sort_keys=False)
    folder.write(Path(MADE) / f"{data.name}.yaml", text)


def short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:24] + "…"
