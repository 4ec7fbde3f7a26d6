"""One training run, from settings to `result.json`: a finished run returns at once, an unfinished one goes on."""

from typing import Any

from bailong.model.architecture import require_known_at
from bailong.model.gguf import as_folder
from bailong.run import folder
from bailong.run.folder import Run
from bailong.run.process import importing, quiet, rank
from bailong.run.progress import Reporter
from bailong.train import identity, pause
from bailong.train.settings import Train


def ready(settings: Train) -> None:
    """Put the folder that a GGUF file stands for in its place, and refuse what can be seen to go wrong before anything
    is hashed, tokenized or loaded.

    Raises:
        ValueError: a base model whose loss would be taken wrongly.
    """
    if not settings.stage.from_scratch:
        settings.model.path = as_folder(settings.model.path)
        require_known_at(settings.model.path)


def train(settings: Train, run: Run) -> dict[str, Any] | None:
    """Run, resume or skip; returns the content of `result.json`, None where the run pauses before its end.

    Raises:
        ValueError: what a user can mend. SystemExit: the run was asked to stop and has saved itself.
    """
    ready(settings)
    if settings.plan:
        from bailong.train.plan import show

        show(settings)
        return None
    facts = identity.identity(settings)
    if rank() > 0:  # the first process of the run keeps its folder
        return _fit(settings, run, facts, Reporter(None))
    state = folder.state(run, facts, settings.rerun)
    if state == "finished":
        print(f"finished before: {run.folder} (rerun=true starts it over)")
        return folder.result(run)
    if state == "started" and settings.pause_at is not None and pause.reached(run.folder, settings.pause_at):
        print(f"paused before: {run.folder} (without pause_at it goes on)")
        return None
    with folder.locked(run.folder):
        folder.start(settings, run, facts, identity.fingerprint(facts))
        reporter = Reporter(run.folder / "train.log")
        try:
            return _fit(settings, run, facts, reporter)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            folder.fail(run, error)
            raise
        finally:
            reporter.close()


def _fit(settings: Train, run: Run, facts: dict[str, Any], reporter: Reporter) -> dict[str, Any] | None:
    with importing():
        quiet()
        # Imported here, so that a finished run is recognised without waiting for torch
        from bailong.train.fit import fit

    return fit(settings, run, facts, reporter)
