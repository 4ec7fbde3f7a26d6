"""Hydra sweeper `optuna`: a sweep whose jobs are chosen one after the other, by what came of those before.

Not hydra-optuna-sweeper: its last release asks for an Optuna below 3, and of a search that was killed it knows neither
which trials were under way nor what the next ones would have been. Here a trial is a job of a sweep like any other, in
the folder that its overrides name: one that is finished is not trained again, one that was killed goes on from its
checkpoint. What has been tried stands in the folder of the sweep (`bailong.app.study`).
"""

from __future__ import annotations

import copy
import shlex
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from bailong.app import space
from bailong.app.explain import accepted_keys, explain
from bailong.app.sweeper import PLUGIN_MODULE, JobSweeper
from bailong.app.workspace import GROUPS, key
from bailong.run import folder
from bailong.run.checks import one_of, require
from bailong.run.provenance import command_line

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from bailong.app.study import Study
    from bailong.app.sweep import Job, Sweep
    from bailong.train.settings import Train


@dataclass
class SearchConfig:
    """`params` are what is searched, in `n_trials` trials; `n_jobs` are chosen at once and run side by side, and the
    next when all of these have ended.

    `sampler`: `tpe`, after `startup` trials at random, or `random`; `seed` is its own.
    """

    _target_: str = f"{PLUGIN_MODULE}.OptunaSweeper"
    n_trials: int = 20
    n_jobs: int = 1
    sampler: str = "tpe"
    startup: int = 10
    seed: int = 0
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=SearchConfig)


class OptunaSweeper(JobSweeper):
    """Looks for the settings with the fewest bits per byte of held-out text at the end of training."""

    def __init__(
        self, n_trials: int, n_jobs: int, sampler: str, startup: int, seed: int, params: dict[str, str] | None
    ) -> None:
        require(n_trials > 0, "hydra.sweeper.n_trials", n_trials, "above 0")
        require(n_jobs > 0, "hydra.sweeper.n_jobs", n_jobs, "above 0")
        require(startup >= 0, "hydra.sweeper.startup", startup, "0 or more")
        require(seed >= 0, "hydra.sweeper.seed", seed, "0 or more")
        one_of("hydra.sweeper.sampler", sampler, ("tpe", "random"))
        self.n_trials, self.n_jobs = n_trials, n_jobs
        self.how = {"sampler": sampler, "startup": startup, "seed": seed}
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        if config.hydra.launcher.get("jobs", self) is None:
            config = copy.deepcopy(config)
            with read_write(config):
                config.hydra.launcher.jobs = self.n_jobs
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.console = self.launcher.console

    def sweep(self, arguments: list[str]) -> None:
        try:
            from bailong.app.study import Study
        except ModuleNotFoundError as error:
            if error.name != "optuna":
                raise
            wanted = "hydra/sweeper=optuna needs the package optuna: pip install 'bailong[optuna]'"
            raise ModuleNotFoundError(wanted) from None
        self.space = space.read(self.params, arguments, self.parser())
        probes = self.launcher.sweep(self.space.probes(), 0)
        first, place = probes.jobs[0], probes.place
        if first.settings.plan:
            self._plan(probes)
            raise SystemExit(0)
        facts = self._facts(first.settings)
        with Study(place / "study.jsonl", self.space.axes, self.how, facts, first.settings.rerun) as study:
            self._begin(study)
            while trials := self._next(study):
                self._run(study, trials)
            self._end(study, place, first.run.experiment)
            if not study.finished():
                raise SystemExit(1)

    def _facts(self, settings: Train) -> dict[str, Any]:
        """What the search is, flat: what is searched, how, and all else that decides what is learned."""
        from bailong.train.identity import identity

        searched = {f"hydra.sweeper.params.{axis.key}": axis.told() for axis in self.space.axes}
        return searched | {f"hydra.sweeper.{name}": value for name, value in self.how.items()} | identity(settings)

    def _next(self, study: Study) -> list[FrozenTrial]:
        """The trials that are run next: those that were broken off, or as many new ones as are chosen at once."""
        while (count := len(study.trials)) < self.n_trials and (not study.under_way() or count % self.n_jobs):
            params = study.proposed()
            try:
                job = self.launcher.sweep([self.space.overrides(params)], count).jobs[0]
            except ValueError as error:
                study.begin(params, refused=str(error))
            except (HydraException, OmegaConfBaseException) as error:  # a choice that does not go with another
                study.begin(params, refused=explain(error, accepted_keys("train")))
            else:
                study.begin(params, run=job.run.name)
        return study.under_way()

    def _run(self, study: Study, trials: list[FrozenTrial]) -> None:
        """Run trials and tell the study what came of them.

        Raises:
            SystemExit: they were interrupted; they stay under way.
        """
        from bailong.app.sweep import remember

        asked = [tuple(self.space.overrides(trial.params)) for trial in trials]
        different = list(dict.fromkeys(asked))  # two trials of the same values are one job
        sweep = self.launcher.sweep(different, trials[0].number)
        remember(sweep.place, command_line(), study.runs())
        pending, stopped = sweep.unfinished(), None
        for _ in range(2):  # one that was killed before our eyes goes on from its checkpoint, once
            if pending and stopped is None:
                stopped = self.launcher.run(pending, trials[0].number)
                pending = [job for job in pending if job.killed]
        if any(job.status == "interrupted" for job in sweep.jobs):
            self.console.print(f"interrupted in trial {trials[0].number} of {self.n_trials}", highlight=False)
            raise SystemExit(128 + (stopped or signal.SIGINT))
        for trial, overrides in zip(trials, asked, strict=True):
            study.tell(trial, _measured(sweep.jobs[different.index(overrides)]))
        best = study.finished()[:1]
        standing = f"best: trial {best[0].number}, {best[0].value:.4f} bits per byte" if best else "none has a result"
        self.console.print(f"{len(study.trials)} of {self.n_trials} trials; {standing}", highlight=False)

    def _begin(self, study: Study) -> None:
        """Say where the study stands before it goes on."""
        if study.beside:
            self.console.print(f"a new study, for the last one there is another: {study.beside}", highlight=False)
        going, ended = len(study.under_way()), len(study.finished()) + len(study.failed())
        resumed = f", {going} to resume" if going else ""
        how = ", ".join(f"{name} {value}" for name, value in self.how.items())
        self.console.print(
            f"study {study.name}: {ended} of {self.n_trials} trials ended{resumed}; {how}, {self.n_jobs} at a time",
            highlight=False,
        )

    def _plan(self, probes: Sweep) -> None:
        """What would be searched, and what jobs at its ends would cost: nothing is started."""
        for axis in self.space.axes:
            self.console.print(f"{axis.key}: {axis.told()}", highlight=False)
        self.console.print(f"{self.n_trials} trials; jobs at the ends of what is searched:", highlight=False)
        probes.plan()

    def _end(self, study: Study, place: Path, experiment: str | None) -> None:
        """The trials, best first, and the command that trains the best."""
        table = Table(title=f"study {study.name} in {place}", title_justify="left")
        for column in ("trial", "bits per byte", *study.space):
            table.add_column(column, justify="right", overflow="fold")
        for trial in [*study.finished(), *study.failed()]:
            value = "[red]failed[/]" if trial.value is None else f"{trial.value:.4f}"
            table.add_row(str(trial.number), value, *(str(trial.params[name]) for name in study.space))
        self.console.print(table)
        for trial in study.failed():
            self.console.print(f"trial {trial.number} failed: {_reason(trial, place)}", highlight=False)
        for best in study.finished()[:1]:
            words = [o for o in self.space.overrides(best.params) if key(o) not in (*GROUPS, "rerun")]
            named = [f"experiments={experiment}"] if experiment else []
            self.console.print(f"best: {shlex.join(['bailong-train', *named, *words])}", highlight=False)
        self.console.print(f"compare: bailong-compare runs={place}", highlight=False)


def _measured(job: Job) -> float | None:
    """What is to be small: bits per byte at the end; None of a job that did not come so far, or diverged."""
    return folder.result(job.run)["bpb_final"] if job.status in ("finished", "skipped") else None


def _reason(trial: FrozenTrial, place: Path) -> str:
    from bailong.app.sweep import reason

    if refused := trial.user_attrs.get("refused"):
        return refused
    own = place / trial.user_attrs["run"]
    return "its bits per byte are not finite" if (own / "result.json").exists() else reason(own, 1)
