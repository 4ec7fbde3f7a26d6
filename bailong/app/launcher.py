"""Hydra launcher `pool`: every job of a sweep in a process of its own, several at a time.

Hydra's basic launcher runs all jobs in one process, where torch's threads, CUDA memory and W&B leak from job to job,
and it raises only the first error. Here a failing job stops nobody, and jobs are skipped without importing torch. Each
job is given one GPU in turn where there are several.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bailong.app.forked import Forked, Parent
from bailong.app.search import OptunaSweeper
from bailong.app.sweep_launcher import SweepLauncher
from bailong.app.sweeper import PLUGIN_MODULE, PoolSweeper, RacingSweeper
from bailong.run.checks import require
from bailong.run.process import ASKING, child_environment, visible_gpus

if TYPE_CHECKING:
    from bailong.app.sweep import Job
    from bailong.train.settings import Train


@dataclass
class PoolConfig:
    """`jobs` at a time (null: one a GPU, two without any), on `gpus` GPUs (null: all that are visible).

    `warm`: on Linux and without a GPU, they are forked from one process that imports torch once.
    """

    _target_: str = f"{PLUGIN_MODULE}.PoolLauncher"
    jobs: int | None = None
    gpus: int | None = None
    warm: bool = True


ConfigStore.instance().store(group="hydra/launcher", name="pool", node=PoolConfig)


class PoolLauncher(SweepLauncher):
    """Runs the jobs of a sweep as processes, `jobs` at a time."""

    def __init__(self, jobs: int | None = None, gpus: int | None = None, warm: bool = True) -> None:
        super().__init__()
        require(jobs is None or jobs > 0, "hydra.launcher.jobs", jobs, "above 0, or null")
        require(gpus is None or gpus > 0, "hydra.launcher.gpus", gpus, "above 0, or null")
        self.gpus = visible_gpus()[:gpus]
        self.jobs = jobs or len(self.gpus) or 2
        self.warm = warm and not self.gpus and sys.platform == "linux"

    def manner(self) -> str:
        return f"{self.jobs} at a time"

    def run(self, pending: list[Job], first: int) -> int | None:
        """Run them; the first signal that asked the sweep to stop is returned."""
        stopping: int | None = None

        def stop(signum: int, _frame: Any) -> None:
            nonlocal stopping
            stopping = stopping or signum
            for job in pending:
                if job.process is not None and job.process.poll() is None:
                    job.process.send_signal(signal.SIGTERM)

        before = {number: signal.signal(number, stop) for number in ASKING}
        slots = list(range(self.jobs))
        parents: dict[int, Parent] = {}

        def one(job: Job) -> None:
            if stopping is not None:
                job.status = "interrupted"
                return
            slot = slots.pop()
            try:
                if job.alone(self.console, lambda: stopping is not None):
                    self._one(job, slot, parents.get(job.settings.trainer.threads), lambda: stopping is not None)
            except Exception as error:  # one job that cannot even be started stops nobody
                job.status, job.reason = "failed", f"{type(error).__name__}: {error}"
            finally:
                slots.append(slot)

        try:
            parents |= self._parents(pending)
            with ThreadPoolExecutor(self.jobs) as pool, Live(console=self.console, transient=True) as live:
                done = [pool.submit(one, job) for job in pending]
                while not all(future.done() for future in done):
                    if self.console.is_terminal:
                        live.update(_running(pending))
                    time.sleep(0.2)
                    if stopping is None:
                        self._watch(parents)
                for future in done:
                    future.result()
        finally:
            for parent in parents.values():
                parent.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        return stopping

    def _parents(self, pending: list[Job]) -> dict[int, Parent]:
        """By `trainer.threads`, what several jobs are forked from; nothing where each is started by itself."""
        alike: dict[int, list[Train]] = {}
        for job in pending if self.warm else ():
            alike.setdefault(job.settings.trainer.threads, []).append(job.settings)
        return {threads: Parent(jobs) for threads, jobs in alike.items() if len(jobs) > 1}

    def _watch(self, parents: dict[int, Parent]) -> None:
        """Say it, once, when jobs cannot be forked any more."""
        for parent in parents.values():
            if not parent.told and (why := parent.fault()):
                parent.told = True
                self.console.print(
                    f"  warning  jobs cannot be forked from process {parent.process.pid} any more ({why}): those under "
                    "way go on, the next ones are started by themselves",
                    highlight=False,
                )

    def _one(self, job: Job, slot: int, parent: Parent | None, stopped: Callable[[], bool]) -> None:
        job.run.folder.mkdir(parents=True, exist_ok=True)
        (job.run.folder / "error.json").unlink(missing_ok=True)
        began = time.monotonic()
        self.console.print(f"  start    {job.run.name}", highlight=False)
        with (job.run.folder / "console.log").open("ab") as log:
            code = None
            if parent is not None and parent.fault() is None:
                code = _attended(job, parent.fork(log))
            if code is None and stopped():
                code = -signal.SIGTERM
            if code is None:  # started by itself; a forked one whose parent died goes on, or is found finished
                code = _attended(job, self._started(job, slot, log))
        assert code is not None
        job.seconds = time.monotonic() - began
        words = job.ended(code)
        self.console.print(f"  {job.status:<8} {job.run.name}: {words} ({job.seconds:.0f} s)", highlight=False)

    def _started(self, job: Job, slot: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = os.environ | child_environment(job.settings.trainer.threads)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bailong.app.job"],  # -P: not whatever `bailong/` lies in this folder
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the sweep alone, which then asks each job to save and stop
        )


def _attended(job: Job, process: subprocess.Popen[bytes] | Forked) -> int | None:
    """Give a job its settings and wait for its end; its exit code (`Forked.wait`)."""
    job.process = process
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as line:  # open until it ends: see the job
        line.write(pickle.dumps((job.settings, job.run)))
        line.flush()
        process.wait()
    return process.wait()


def _running(jobs: list[Job]) -> Table:
    """What the jobs under way said last."""
    table = Table.grid(padding=(0, 2))
    for job in jobs:
        if job.process is not None and job.process.poll() is None:
            log = job.run.folder / "train.log"
            lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
            table.add_row(f"  [bold]{job.run.name}[/]", Text(lines[-1] if lines else "starting"))
    return table


def register() -> None:
    """Make launcher and sweepers known to Hydra.

    Hydra instantiates them only from the namespace package `hydra_plugins`. A second top-level package for three
    classes would be a worse evil than to lend this module that name.
    """
    plugins = Plugins.instance()  # scans the installed plugins, before the namespace is touched
    try:
        namespace = importlib.import_module("hydra_plugins")
    except ImportError:
        namespace = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    sys.modules[PLUGIN_MODULE] = namespace.bailong = sys.modules[__name__]  # type: ignore[attr-defined]
    for plugin in (PoolLauncher, PoolSweeper, RacingSweeper, OptunaSweeper):
        plugin.__module__ = PLUGIN_MODULE
        plugins.register(plugin)
