"""`bailong-prepare`: from raw text to a clean, deduplicated, mixed corpus with a ledger (paper, section 3.2)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from bailong.prepare import ledger, step
from bailong.prepare.estimate import estimate
from bailong.prepare.pages import corpus as page
from bailong.prepare.pages.card import card
from bailong.prepare.pipeline import Pipeline
from bailong.prepare.place import describe, is_made, place_of
from bailong.prepare.settings import Prepare
from bailong.prepare.step import collect
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from bailong.run import folder
from bailong.run.progress import Reporter
from bailong.run.provenance import command_line


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
        from bailong.prepare import dialogues as prepare_dialogues

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
