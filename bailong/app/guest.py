"""Another of Hydra's launchers (submitit, joblib, ...), under the rules of our sweeps: see `bailong.app.sweep`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

from bailong.app.sweep_launcher import SweepLauncher
from bailong.run import folder
from bailong.run.process import Interrupted, interruptible

if TYPE_CHECKING:
    from bailong.app.sweep import Job


class Guest(SweepLauncher):
    """Hands to the launcher that `hydra/launcher` names the jobs that are not finished, and watches their folders."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=_returning(task_function), config=config
        )

    def manner(self) -> str:
        return f"by {self.config.hydra.runtime.choices['hydra/launcher']}"

    def run(self, pending: list[Job], first: int) -> int | None:
        watch = _Watch(pending, self.console)
        stopped, fault = None, ""
        try:
            with interruptible():
                for job in pending:
                    job.alone(self.console, lambda: False)
                    job.run.folder.mkdir(parents=True, exist_ok=True)  # its name may depend on what is swept: kept so
                    (job.run.folder / "error.json").unlink(missing_ok=True)
                # a sweep before this one may have been killed, and its jobs not
                left = [job for job in pending if not (job.done() or job.paused())]
                with watch:
                    if left:
                        self.launcher.launch([job.overrides for job in left], first)
        except KeyboardInterrupt as error:
            stopped = error.number if isinstance(error, Interrupted) else signal.SIGINT
            for job in pending:
                if _asked_to_stop(job):
                    job.alone(self.console, lambda: False)
        except RuntimeError as error:  # the launcher cannot start here, or a job died before it could say why
            fault = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        finally:
            # submitit makes its own folder under the name in which `%j` is not the number of a job yet
            with contextlib.suppress(OSError):
                Path(str(getattr(self.launcher, "params", {}).get("submitit_folder"))).rmdir()
        watch.look(last=True, stopped=stopped, fault=fault)
        return stopped


class _Watch:
    """Looks every second whether jobs have ended, and says so; used in a `with` statement."""

    def __init__(self, jobs: list[Job], console: Console) -> None:
        self.jobs, self.console = jobs, console
        self.stale = {job.run.name: _made(job) for job in jobs}  # of a run that is started over
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)

    def look(self, last: bool = False, stopped: int | None = None, fault: str = "") -> None:
        """Take down what has ended; `last`: nothing runs any more; `fault`: why, of jobs that say nothing."""
        for job in self.jobs:
            if job.status in ("finished", "failed", "interrupted", "paused"):
                continue
            if (made := _made(job)) is not None and made != self.stale[job.run.name] or job.paused():
                code = 0
            elif (job.run.folder / "error.json").exists():
                code = 1
            elif last:
                code = 1 if stopped is None else 128 + stopped
            else:
                continue
            words = job.ended(code)
            if code == 1 and fault and not (job.run.folder / "error.json").exists():
                words = job.reason = fault
            self.console.print(f"  {job.status:<8} {job.run.name}: {words}", highlight=False)

    def _follow(self) -> None:
        while not self.over.wait(1):
            self.look()

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def _made(job: Job) -> int | None:
    """When the result of a job was written; None where there is none."""
    place = job.run.folder / "result.json"
    return place.stat().st_mtime_ns if place.exists() else None


def _asked_to_stop(job: Job) -> bool:
    """Whether the job runs on this machine: it is asked to save and stop. One in a cluster goes on."""
    writer = folder.writer(job.run.folder)
    with contextlib.suppress(ValueError, TypeError, KeyError, ProcessLookupError):
        here = json.loads(writer or "null")
        if here["host"] == socket.gethostname():
            os.kill(here["pid"], signal.SIGTERM)
            return True
    return False


def _returning(task: TaskFunction) -> Callable[[DictConfig], None]:
    """A task that never leaves by SystemExit: submitit would take that for its own failure and forget the others."""

    def run(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except SystemExit as error:
            if error.code:
                raise RuntimeError(f"exit code {error.code}") from error

    return run
