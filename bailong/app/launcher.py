"""Hydra launcher `pool`: every job of a sweep in a process of its own, several at a time.

Hydra's basic launcher runs all jobs in one process, where torch's threads, CUDA memory and W&B leak from job
to job, and it raises only the first error. Here every job is checked before the first one starts, finished
jobs are skipped without importing torch, a failing job stops nobody, and a closing table says what happened.
Each job is given one GPU in turn where there are several.
"""

import contextlib
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from bailong.app.request import request
from bailong.app.sweeper import PLUGIN_MODULE, PoolSweeper
from bailong.run import files, folder
from bailong.run.checks import require
from bailong.run.folder import Run
from bailong.run.process import ASKING, child_environment, visible_gpus
from bailong.run.provenance import command_line
from bailong.train import identity, plan, train
from bailong.train.settings import Train

#: jobs whose checking takes long enough to be told, and the seconds between two lines of it where there is no terminal
MANY, EVERY = 20, 5


@dataclass
class PoolConfig:
    """`jobs` at a time (null: one a GPU, two without any), on `gpus` GPUs (null: all that are visible)."""

    _target_: str = f"{PLUGIN_MODULE}.PoolLauncher"
    jobs: int | None = None
    gpus: int | None = None


ConfigStore.instance().store(group="hydra/launcher", name="pool", node=PoolConfig)


@dataclass
class Job:
    """One job of a sweep and how it ended: `finished`, `skipped` (was finished before), `failed`, `interrupted`."""

    settings: Train
    run: Run
    status: str = "waiting"
    reason: str = ""
    seconds: float = 0.0
    process: subprocess.Popen[bytes] | None = None


class PoolLauncher(Launcher):
    """Runs the jobs of a sweep as subprocesses, `jobs` at a time."""

    def __init__(self, jobs: int | None = None, gpus: int | None = None) -> None:
        require(jobs is None or jobs > 0, "hydra.launcher.jobs", jobs, "above 0, or null")
        require(gpus is None or gpus > 0, "hydra.launcher.gpus", gpus, "above 0, or null")
        self.gpus = visible_gpus()[:gpus]
        self.jobs = jobs or len(self.gpus) or 2
        self.console = Console(stderr=True, soft_wrap=True)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader = hydra_context.config_loader
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        jobs = self._compose(job_overrides, initial_job_idx)
        if several := next((job for job in jobs if job.settings.trainer.devices > 1), None):
            raise ValueError(
                f"trainer.devices={several.settings.trainer.devices} is not accepted in a sweep: a job of a sweep is "
                "one process on one device; start runs on several devices one by one"
            )
        folders = [job.run.folder for job in jobs]
        if twice := next((place for place in folders if folders.count(place) > 1), None):
            raise ValueError(
                f"two jobs of the sweep share the folder {twice}: they differ only in settings that name no folder "
                "(threads, tracking, outputs); sweep over something that is learned"
            )
        for job in jobs:
            train.require(job.settings)
        identity.require_differing([job.settings for job in jobs])
        if jobs[0].settings.plan:
            self._plan(jobs)
            raise SystemExit(0)
        for job in jobs:
            job.status = folder.state(job.run, identity.identity(job.settings), job.settings.rerun)
        sweep = jobs[0].run.folder.parent
        remember(sweep, command_line(), [job.run.name for job in jobs])
        asked = self._run([job for job in jobs if job.status != "finished"], len(jobs))
        for job in jobs:
            if job.status == "finished" and job.process is None:
                job.status = "skipped"
        self._table(jobs, sweep)
        if bad := [job for job in jobs if job.status not in ("finished", "skipped")]:
            interrupted = any(job.status == "interrupted" for job in bad)
            raise SystemExit(128 + (asked or signal.SIGINT) if interrupted else 1)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=str(job.run.folder)) for job in jobs]

    def _compose(self, asked: Sequence[Sequence[str]], first: int) -> list[Job]:
        """Every job, checked: first a few in which every value stands once, so that a bad one is refused at once."""
        swept, seen = self._swept(), set()
        order: list[int] = []
        rest: list[int] = []
        for i, overrides in enumerate(asked):
            (rest if seen.issuperset(overrides) else order).append(i)
            seen.update(overrides)
        jobs = {i: self._job(asked[i], first + i, swept) for i in order}
        if rest and not self.console.is_terminal and len(asked) > MANY:
            self.console.print(f"{len(asked)} jobs: every value is accepted, each combination is checked now")
        shown = Progress(TextColumn("checked"), BarColumn(), MofNCompleteColumn(), console=self.console, transient=True)
        said = time.monotonic()
        with shown if self.console.is_terminal else contextlib.nullcontext():
            bar = shown.add_task("", total=len(asked), completed=len(jobs))
            for i in rest:
                jobs[i] = self._job(asked[i], first + i, swept)
                shown.advance(bar)
                if not self.console.is_terminal and time.monotonic() - said > EVERY:
                    said = time.monotonic()
                    self.console.print(f"checked {len(jobs)} of {len(asked)} jobs", highlight=False)
        return [jobs[i] for i in range(len(asked))]

    def _swept(self) -> set[str]:
        """The keys of the axes: of the sweep's file, and of the command line."""
        typed = OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)
        axes = [o for o in OverridesParser.create().parse_overrides(typed) if o.is_sweep_override()]  # type: ignore[arg-type]
        keys = [*(self.config.hydra.sweeper.get("params") or {}), *(axis.get_key_element() for axis in axes)]
        return {str(key).lstrip("+~") for key in keys}

    def _job(self, overrides: Sequence[str], number: int, swept: Collection[str]) -> Job:
        composed = self.loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        return Job(*request(composed, swept))

    def _run(self, pending: list[Job], total: int) -> int | None:
        """Run them; the first signal that asked the sweep to stop is returned."""
        self.console.print(
            f"{total} jobs: {total - len(pending)} already finished, {len(pending)} to run, {self.jobs} at a time"
        )
        stopping: int | None = None

        def stop(signum: int, _frame: Any) -> None:
            nonlocal stopping
            stopping = stopping or signum
            for job in pending:
                if job.process is not None and job.process.poll() is None:
                    job.process.send_signal(signal.SIGTERM)

        before = {number: signal.signal(number, stop) for number in ASKING}
        slots = list(range(self.jobs))

        def one(job: Job) -> None:
            if stopping is not None:
                job.status = "interrupted"
                return
            slot = slots.pop()
            try:
                if self._alone(job, lambda: stopping is not None):
                    self._one(job, slot)
            except Exception as error:  # one job that cannot even be started stops nobody
                job.status, job.reason = "failed", f"{type(error).__name__}: {error}"
            finally:
                slots.append(slot)

        try:
            with ThreadPoolExecutor(self.jobs) as pool, Live(console=self.console, transient=True) as live:
                done = [pool.submit(one, job) for job in pending]
                while not all(future.done() for future in done):
                    if self.console.is_terminal:
                        live.update(_running(pending))
                    time.sleep(0.2)
                for future in done:
                    future.result()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return stopping

    def _alone(self, job: Job, stopped: Callable[[], bool]) -> bool:
        """Wait until no other process writes to the job's folder; False where the sweep was stopped before."""
        told = False
        while (writer := folder.writer(job.run.folder)) is not None:
            if not told:
                self.console.print(f"  waiting  {job.run.name}: process {writer} writes there", highlight=False)
            told = True
            if stopped():
                job.status = "interrupted"
                return False
            time.sleep(0.5)
        return True

    def _one(self, job: Job, slot: int) -> None:
        job.run.folder.mkdir(parents=True, exist_ok=True)
        (job.run.folder / "error.json").unlink(missing_ok=True)
        environment = os.environ | child_environment(job.settings.trainer.threads)
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        began = time.monotonic()
        self.console.print(f"  start    {job.run.name}", highlight=False)
        with (job.run.folder / "console.log").open("ab") as log:
            job.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bailong.app.job"],  # -P: not whatever `bailong/` lies in this folder
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which then asks each job to save and stop
            )
            assert job.process.stdin is not None
            with contextlib.suppress(BrokenPipeError), job.process.stdin as line:  # open until it ends: see the job
                line.write(pickle.dumps((job.settings, job.run)))
                line.flush()
                job.process.wait()
            job.process.wait()
        job.seconds = time.monotonic() - began
        code = job.process.returncode
        if code == 0:
            job.status = "finished"
            result = json.loads((job.run.folder / "result.json").read_text())
            words = f"{result['bpb_step0']:.3f} -> {result['bpb_final']:.3f} bits per byte"
        else:
            asked = any(code in (128 + number, -number) for number in ASKING)
            job.status = "interrupted" if asked else "failed"
            job.reason = words = reason(job.run.folder, code)
        self.console.print(f"  {job.status:<8} {job.run.name}: {words} ({job.seconds:.0f} s)", highlight=False)

    def _plan(self, jobs: list[Job]) -> None:
        """What the sweep would do: nothing is started, nothing is left behind."""
        table = Table(title=f"{len(jobs)} jobs in {jobs[0].run.folder.parent}", title_justify="left")
        for column in ("job", "state", "tokens", "FLOPs"):
            table.add_column(column, justify="left" if column in ("job", "state") else "right", overflow="fold")
        for job in jobs:
            state = "to do"
            if (job.run.folder / "run.json").exists():
                try:
                    state = folder.state(job.run, identity.identity(job.settings), job.settings.rerun)
                except ValueError as error:
                    state = str(error)
            budget, _ = plan.plan(job.settings)
            tokens = f"{budget.tokens:,}" if budget.tokens else "unknown"
            work = f"{budget.total_flops:.2e}" if budget.total_flops else "unknown"
            table.add_row(job.run.name, state, tokens, work)
        Console().print(table)

    def _table(self, jobs: list[Job], sweep: Path) -> None:
        table = Table(title=f"sweep {sweep}", title_justify="left")
        for column in ("job", "status", "seconds", "reason"):
            table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
        colours = {"finished": "green", "skipped": "cyan", "failed": "red", "interrupted": "yellow"}
        for job in jobs:
            colour = colours[job.status]
            table.add_row(
                job.run.name, f"[{colour}]{job.status}[/]", f"{job.seconds:.0f}" if job.seconds else "", job.reason
            )
        counts = {status: sum(job.status == status for job in jobs) for status in colours}
        self.console.print(table)
        self.console.print(", ".join(f"{count} {status}" for status, count in counts.items()), highlight=False)
        self.console.print(f"compare: bailong-compare runs={sweep}", highlight=False)


def remember(sweep: Path, command: str, jobs: list[str]) -> None:
    """Add a command and its jobs to `sweep.json`; an older command whose jobs it covers is forgotten."""
    place = sweep / "sweep.json"
    older = json.loads(place.read_text())["commands"] if place.exists() else {}
    kept = {words: names for words, names in older.items() if not set(names) <= set(jobs)}
    if not any(set(jobs) <= set(names) for names in kept.values()):
        kept[command] = jobs
    names = list(dict.fromkeys(name for group in kept.values() for name in group))
    files.write_json(place, {"commands": kept, "jobs": names})


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
    """Make launcher and sweeper known to Hydra.

    Hydra instantiates them only from the namespace package `hydra_plugins`. A second top-level package for two classes
    would be a worse evil than to lend this module that name.
    """
    plugins = Plugins.instance()  # scans the installed plugins, before the namespace is touched
    try:
        namespace = importlib.import_module("hydra_plugins")
    except ImportError:
        namespace = sys.modules["hydra_plugins"] = ModuleType("hydra_plugins")
    sys.modules[PLUGIN_MODULE] = namespace.bailong = sys.modules[__name__]  # type: ignore[attr-defined]
    for plugin in (PoolLauncher, PoolSweeper):
        plugin.__module__ = PLUGIN_MODULE
        plugins.register(plugin)


def reason(run_folder: Path, code: int) -> str:
    """Why a job failed, from its `error.json` or, when it had no time to write one, its exit code."""
    note = run_folder / "error.json"
    if note.exists():
        error = json.loads(note.read_text())
        return error["message"].strip().splitlines()[0] if error["message"].strip() else error["type"]
    console = run_folder / "console.log"
    said = console.read_text(errors="replace").splitlines()[-1:] if console.exists() else []
    if said and said[0].startswith("error: "):
        return said[0].removeprefix("error: ")
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{name}, see {run_folder / 'console.log'}"
