"""The recipe of a corpus: from raw text to clean, deduplicated, mixed documents (paper, section 3.2)."""

from pathlib import Path
from typing import Any

from rich.console import RenderableType

from bailong.prepare import ledger, step
from bailong.prepare.estimate import estimate
from bailong.prepare.pages import corpus as page
from bailong.prepare.pages.card import card
from bailong.prepare.pipeline import Pipeline
from bailong.prepare.settings import Prepare
from bailong.prepare.step import collect
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from bailong.run.progress import Reporter


class CorpusRecipe:
    """Every step in turn, as tasks on the engine; puts `dropped/` and `tokens/` beside the documents.

    Attributes:
        identity: flat `key: value` of all that decides the corpus.
    """

    card = staticmethod(card)

    def __init__(self, settings: Prepare, target: Path, reporter: Reporter) -> None:
        self.settings, self.target, self.reporter = settings, target, reporter
        self.pipeline = Pipeline(settings, target / "work", self._run)
        knobs = [mine["collect"] for mine in self.pipeline.steps]
        self.units = collect.tasks(settings.data.sources, knobs, target / ".cache")
        self.identity = self.pipeline.identity(self.units)

    @staticmethod
    def plan(settings: Prepare) -> RenderableType:
        """What it would take."""
        return estimate(settings).shown()

    def lost(self, made: dict[str, Any]) -> int:
        """Nothing: text is lost to no errors but its own."""
        return 0

    def make(self) -> dict[str, Any]:
        """Make the corpus; its ledger."""
        try:
            self.pipeline.run(self.units)
        finally:
            self.settings.engine.close()
        made = ledger.build(self.pipeline, self.identity)
        ledger.place(self.pipeline, made, page.page(made), self.target)
        if self.settings.keep_work:
            task.sweep(self.pipeline.root, [name for names in self.pipeline.phases.values() for name in names])
        return made

    def _run(self, phase: str, tasks: list[Task]) -> list[dict[str, Any]]:
        """Run the tasks of a phase on the engine, with a bar or lines that say how long it will take."""
        root = self.pipeline.root
        pending = [t for t in tasks if task.finished(t, root) is None]
        if pending:
            done = len(tasks) - len(pending)
            depth = 2 if phase in (*step.GLOBAL, "templates") else 1  # steps that compare: minhash/bands, ...
            label = ", ".join(dict.fromkeys("/".join(t.name.split("/")[:depth]) for t in tasks))
            self.reporter.say(f"{label}: {len(pending)} of {len(tasks)} tasks to do")
            self.reporter.begin(len(tasks), done, label, spoken=True)

            def advance(_: Task) -> None:
                nonlocal done
                done += 1
                self.reporter.advance(done)

            try:
                self.settings.engine.run(pending, root, advance)
            finally:
                self.reporter.end()
        return [task.read(root, t.name) for t in tasks]
