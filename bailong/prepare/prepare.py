"""`bailong-prepare`: from raw data to a folder that training reads, with a ledger and a report."""

import shutil
from pathlib import Path

from rich.console import Console

from bailong.prepare import place
from bailong.prepare.corpus import CorpusRecipe
from bailong.prepare.dialogues import DialogueRecipe
from bailong.prepare.settings import Prepare
from bailong.run import folder
from bailong.run.progress import Reporter


def prepare(settings: Prepare) -> Path | None:
    """Make a corpus or dialogues, or return at once if they are there.

    Killed at any moment, the same command goes on where it stopped and ends in the same bytes, with any engine and
    number of workers; no call to an API is paid for twice.

    Returns:
        The folder, with `documents/`, `quarantine/`, `ledger.json`, `report.html`, and what the recipe puts beside
        them; None after a plan.

    Raises:
        ValueError: a source that cannot be read, too much bad input, an API that refuses, a folder that holds another
            corpus, ...
    """
    kind = DialogueRecipe if settings.data.kind == "dialogue" else CorpusRecipe
    console = Console()
    if settings.plan:
        console.print(kind.plan(settings))
        return None
    target = place.place_of(settings)
    with folder.locked(target):
        reporter = Reporter(target / "prepare.log")
        try:
            recipe = kind(settings, target, reporter)
            made = place.made(target, recipe.identity, settings.overwrite)
            lost = recipe.lost(made) if made else 0
            if made and not (settings.overwrite and lost):
                reporter.say(f"{target} is up to date")
                if lost:
                    reporter.say(
                        f"{lost:,} dialogues were lost to errors of the API: overwrite=true asks for them again"
                    )
            else:
                made = recipe.make()
            if not settings.keep_work:  # also of one that is there: a kill may have come between the ledger and this
                shutil.rmtree(target / "work", ignore_errors=True)
            place.describe(settings, target)  # it may have been moved, or a run killed before this
        finally:
            reporter.close()
    console.print(recipe.card(made))
    console.print(f"report: {target / 'report.html'}", highlight=False)
    return target
