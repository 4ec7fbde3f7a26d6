"""A sweep: every job is checked before the first one starts, finished ones are skipped, a table says how it ended.

Who runs the jobs that are left is a launcher's business: `bailong.app.launcher`, or any other of Hydra's.
"""

import contextlib
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from bailong.app import workspace
from bailong.app.forked import Forked
from bailong.app.race import Race, Rules
from bailong.app.request import request
from bailong.run import files, folder
from bailong.run.folder import Run
from bailong.run.process import ASKING
from bailong.run.provenance import command_line
from bailong.train import identity, pause, plan, train
from bailong.train.settings import Train

#: jobs whose checking takes long enough to be told, and the seconds between two lines of it where there is no terminal
MANY, EVERY = 20, 5


@dataclass
class Job:
    """One job of a sweep and how it ended: `finished`, `skipped` (was finished before), `failed`, `interrupted`,
    `paused` (at `pause_at`), `dropped` (out of a race)."""

    settings: Train
    run: Run
    overrides: list[str]
    status: str = "waiting"
    reason: str = ""
    seconds: float = 0.0
    killed: bool = False  # by a signal that leaves no time to say why
    process: subprocess.Popen[bytes] | Forked | None = None

    def done(self) -> bool:
        """Whether there is nothing left to do.

        Raises:
            ValueError: its folder holds a run of other settings.
        """
        return folder.state(self.run, self.facts, self.settings.rerun) == "finished"

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What its run is."""
        return identity.identity(self.settings)

    def until(self, share: float) -> None:
        """Have it pause at a share of its steps when it is run next (1: have it end), whoever runs it."""
        self.settings.pause_at = share if share < 1 else None
        asked = [] if share == 1 else [f"pause_at={share}"]
        self.overrides = [o for o in self.overrides if workspace.key(o) != "pause_at"] + asked

    def paused(self) -> bool:
        """Whether it has come to where it is to pause."""
        share = self.settings.pause_at
        return share is not None and pause.reached(self.run.folder, share)

    @property
    def diverged(self) -> bool:
        """Whether it failed because its loss is not finite."""
        note = self.run.folder / "error.json"
        return self.status == "failed" and note.exists() and files.read_object(note).get("type") == "Diverged"

    def alone(self, console: Console, stopped: Callable[[], bool]) -> bool:
        """Wait until no other process writes to the job's folder; False where the sweep was stopped before."""
        told = False
        while (writer := folder.writer(self.run.folder)) is not None:
            if not told:
                console.print(f"  waiting  {self.run.name}: process {writer} writes there", highlight=False)
            told = True
            if stopped():
                self.status = "interrupted"
                return False
            time.sleep(0.5)
        return True

    def ended(self, code: int) -> str:
        """Take down how its process ended, from its folder and the exit code; what there is to say of it."""
        if code == 0:
            self.status = "finished" if (self.run.folder / "result.json").exists() else "paused"
            self.killed = False
            return self.measured()
        asked = any(code in (128 + number, -number) for number in ASKING)
        self.killed = code < 0 and not asked
        self.status = "interrupted" if asked else "failed"
        self.reason = reason(self.run.folder, code)
        return self.reason

    def measured(self) -> str:
        """What a finished job came to: bits per byte at step 0 and at the end, those of the old language from the
        untouched base on; of a paused one where it stands."""
        if self.status == "paused":
            steps, scores = pause.curve(self.run.folder)
            return f"step {steps[-1]} of {pause.total_steps(self.run.folder)}, {scores[-1]:.3f} bits per byte"
        result = folder.result(self.run)
        told = f"{result['bpb_step0']:.3f} -> {result['bpb_final']:.3f} bits per byte"
        if not (name := result.get("old_language")):
            return told
        old = result["texts"][name]
        before = old["bpb_step0"] if old["bpb_base"] is None else old["bpb_base"]
        return f"{told}; {name} {before:.3f} -> {old['bpb_final']:.3f}"


class Sweep:
    """The jobs of a sweep, composed and checked.

    Args:
        asked: the overrides of each job.
        first: the number of the first.

    Raises:
        ValueError: a job is not accepted, or two of them are the same.
    """

    def __init__(
        self, loader: ConfigLoader, config: DictConfig, asked: Sequence[Sequence[str]], first: int, console: Console
    ) -> None:
        self.loader, self.config, self.console = loader, config, console
        self.swept = self._swept()
        self.jobs = self._compose(asked, first)
        self._check()

    @property
    def place(self) -> Path:
        """The folder of the sweep."""
        return self.jobs[0].run.folder.parent

    def conduct(self, run: Callable[[list[Job]], int | None], how: str, rules: Rules | None = None) -> list[JobReturn]:
        """Have the jobs run that are not finished yet, and say how all of them ended.

        Args:
            run: runs jobs and takes down how each ended; returns the signal that stopped it, if one did.
            how: they are run, in words. rules: of the race that they run; None: each runs to its end.

        Raises:
            ValueError: they cannot race under these rules.
            SystemExit: a job failed (1) or was interrupted (128 + signal), or only a plan was asked for (0).
        """
        jobs = self.jobs
        if jobs[0].settings.plan:
            self.plan()
            raise SystemExit(0)
        pending = self.unfinished()
        race = Race(self.place, jobs, rules, self.swept, self.console) if rules else None
        remember(self.place, command_line(), [job.run.name for job in jobs])
        counts = [(sum(job.status == status for job in jobs), status) for status in ("paused", "dropped")]
        others = "".join(f"{count} {status}, " for count, status in counts if count)
        done = sum(job.status == "skipped" for job in jobs)
        left = sum(job.status == "waiting" for job in jobs)
        self.console.print(f"{len(jobs)} jobs: {done} already finished, {others}{left} to run, {how}")
        stopped = race.run(run) if race else run(pending) if pending else None
        self._table()
        if bad := [job for job in jobs if job.status in ("waiting", "failed", "interrupted")]:
            interrupted = any(job.status == "interrupted" for job in bad)
            raise SystemExit(128 + (stopped or signal.SIGINT) if interrupted else 1)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=str(job.run.folder)) for job in jobs]

    def unfinished(self) -> list[Job]:
        """The jobs that are left to run; the others are marked as skipped, or as paused where they shall be.

        Raises:
            ValueError: the folder of one holds a run of other settings.
        """
        for job in self.jobs:
            again = job.settings.rerun
            job.status = "skipped" if job.done() else "paused" if not again and job.paused() else "waiting"
        return [job for job in self.jobs if job.status == "waiting"]

    def _check(self) -> None:
        if several := next((job for job in self.jobs if job.settings.trainer.devices > 1), None):
            raise ValueError(
                f"trainer.devices={several.settings.trainer.devices} is not accepted in a sweep: a job of a sweep is "
                "one process on one device; start runs on several devices one by one"
            )
        folders = [job.run.folder for job in self.jobs]
        if twice := next((place for place in folders if folders.count(place) > 1), None):
            raise ValueError(
                f"two jobs of the sweep share the folder {twice}: they differ only in settings that name no folder "
                "(threads, tracking, outputs); sweep over something that is learned"
            )
        for job in self.jobs:
            train.ready(job.settings)
        identity.require_differing([job.settings for job in self.jobs])

    def _compose(self, asked: Sequence[Sequence[str]], first: int) -> list[Job]:
        """Every job, checked: first a few in which every value stands once, so that a bad one is refused at once."""
        seen: set[str] = set()
        order: list[int] = []
        rest: list[int] = []
        for i, overrides in enumerate(asked):
            (rest if seen.issuperset(overrides) else order).append(i)
            seen.update(overrides)
        jobs = {i: self._job(asked[i], first + i) for i in order}
        if rest and not self.console.is_terminal and len(asked) > MANY:
            self.console.print(f"{len(asked)} jobs: every value is accepted, each combination is checked now")
        shown = Progress(TextColumn("checked"), BarColumn(), MofNCompleteColumn(), console=self.console, transient=True)
        said = time.monotonic()
        with shown if self.console.is_terminal else contextlib.nullcontext():
            bar = shown.add_task("", total=len(asked), completed=len(jobs))
            for i in rest:
                jobs[i] = self._job(asked[i], first + i)
                shown.advance(bar)
                if not self.console.is_terminal and time.monotonic() - said > EVERY:
                    said = time.monotonic()
                    self.console.print(f"checked {len(jobs)} of {len(asked)} jobs", highlight=False)
        return [jobs[i] for i in range(len(asked))]

    def _swept(self) -> set[str]:
        """The keys of the axes: of the sweep's file, and of the command line."""
        typed = OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)
        axes = [o for o in OverridesParser.create().parse_overrides(typed) if o.is_sweep_override()]  # type: ignore[arg-type]
        named = (key for names in self.config.hydra.sweeper.get("params") or {} for key in str(names).split(","))
        keys = [*named, *(axis.get_key_element() for axis in axes)]
        return {str(key).strip().lstrip("+~") for key in keys}

    def _job(self, overrides: Sequence[str], number: int) -> Job:
        composed = self.loader.load_sweep_config(self.config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        return Job(*request(composed, self.swept), list(overrides))

    def plan(self) -> None:
        """What the sweep would do: nothing is started, nothing is left behind."""
        table = Table(title=f"{len(self.jobs)} jobs in {self.place}", title_justify="left")
        for column in ("job", "state", "tokens", "FLOPs"):
            table.add_column(column, justify="left" if column in ("job", "state") else "right", overflow="fold")
        for job in self.jobs:
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

    def _table(self) -> None:
        table = Table(title=f"sweep {self.place}", title_justify="left")
        for column in ("job", "status", "seconds", "outcome"):
            table.add_column(column, justify="right" if column == "seconds" else "left", overflow="fold")
        colours = {"finished": "green", "skipped": "cyan", "failed": "red", "interrupted": "yellow"}
        rare = {"paused": "yellow", "dropped": "magenta"}
        for job in self.jobs:
            colour = (colours | rare)[job.status]
            outcome = job.measured() if job.status in ("finished", "skipped", "paused") else job.reason
            table.add_row(
                job.run.name, f"[{colour}]{job.status}[/]", f"{job.seconds:.0f}" if job.seconds else "", outcome
            )
        counts = Counter(job.status for job in self.jobs)
        self.console.print(table)
        told = [*colours, *(status for status in rare if counts[status])]
        self.console.print(", ".join(f"{counts[status]} {status}" for status in told), highlight=False)
        self.console.print(f"compare: bailong-compare runs={self.place}", highlight=False)


def remember(sweep: Path, command: str, jobs: list[str]) -> None:
    """Add a command and its jobs to `sweep.json`; an older command whose jobs it covers is forgotten."""
    place = sweep / "sweep.json"
    older = json.loads(place.read_text())["commands"] if place.exists() else {}
    kept = {words: names for words, names in older.items() if not set(names) <= set(jobs)}
    if not any(set(jobs) <= set(names) for names in kept.values()):
        kept[command] = jobs
    names = list(dict.fromkeys(name for group in kept.values() for name in group))
    files.write_json(place, {"commands": kept, "jobs": names})


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
