"""A study: the trials of a search, in a journal of Optuna's that is whole after every line.

Optuna's own backend for files waits half a minute for the lock of a process that was killed, and refuses a file whose
last line was left half written and appended to; ours is `bailong.run.journal`, whose lock dies with its process. The
lines are Optuna's: `optuna-dashboard` and `optuna.load_study` read the file. Not SQLite, whose locks a folder on NFS
does not have.

What a trial tries is a function of the seed, its number and the trials before it: the sampler is made anew for each, so
that a search that was broken off goes on as an unbroken one. A trial is one line from the beginning: it has all of its
values, or it is not there.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from bailong.app.space import Axis
from bailong.run.folder import difference
from bailong.run.journal import Journal

#: that are significant of what a trial tries
DIGITS = 4


class _Log(BaseJournalBackend):
    """Optuna's operations as rows of a journal of ours."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        yield from self.journal.rows[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        for log in logs:
            self.journal.append(log)


class Study:
    """One study of those in a file; used in a `with` statement, in which no other process writes there.

    Args:
        path: the file; it has a study for each search that was ever asked for under this name.
        how: `sampler`, `startup` and `seed` (`bailong.app.search.SearchConfig`).
        facts: flat, what the search is: other facts are another study.
        anew: forget what is known of it.

    Raises:
        ValueError: another process writes to the file, or it is damaged.
    """

    def __init__(
        self, path: Path, axes: Sequence[Axis], how: Mapping[str, Any], facts: dict[str, Any], anew: bool = False
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = {axis.key: _distribution(axis) for axis in axes}
        self.how = how
        facts = json.loads(json.dumps(facts, default=str))
        self.name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
        self.journal = Journal(path)
        storage = JournalStorage(_Log(self.journal))
        there = {study.study_name: study.user_attrs["facts"] for study in storage.get_all_studies()}
        if anew and self.name in there:
            optuna.delete_study(study_name=self.name, storage=storage)
        #: in what the last study of the file differs, where this one is begun beside it
        self.beside = difference([*there.values()][-1], facts) if there and self.name not in there else ""
        self.study = optuna.create_study(
            storage=storage, study_name=self.name, direction="minimize", load_if_exists=True
        )
        self.study.set_user_attr("facts", facts)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, by number."""
        return self.study.get_trials(deepcopy=False)

    def under_way(self) -> list[FrozenTrial]:
        """Those that have begun and not ended."""
        return [trial for trial in self.trials if trial.state == TrialState.RUNNING]

    def finished(self) -> list[FrozenTrial]:
        """Those with a value, best first; of equals the first that was tried."""
        found = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return sorted(found, key=lambda trial: (trial.value, trial.number))

    def failed(self) -> list[FrozenTrial]:
        """Those that ended without a value."""
        return [trial for trial in self.trials if trial.state == TrialState.FAIL]

    def runs(self) -> list[str]:
        """The names of the runs of all trials."""
        return list(dict.fromkeys(trial.user_attrs["run"] for trial in self.trials if "run" in trial.user_attrs))

    def proposed(self) -> dict[str, Any]:
        """Values for the next trial, by axis."""
        known = self.trials
        memory = optuna.create_study(direction="minimize", sampler=self._sampler(len(known)))
        memory.add_trials(known)
        params = memory.ask(self.space).params
        return {name: _short(value, self.space[name]) for name, value in params.items()}

    def begin(self, params: dict[str, Any], run: str = "", refused: str = "") -> None:
        """Add a trial, in a run of that name; one whose settings are refused has failed, for that reason."""
        state = TrialState.FAIL if refused else TrialState.RUNNING
        notes = {"refused": refused} if refused else {"run": run}
        self.study.add_trial(create_trial(state=state, params=params, distributions=self.space, user_attrs=notes))

    def tell(self, trial: FrozenTrial, value: float | None) -> None:
        """End a trial by what it came to; without a value, or with one that is not finite, it has failed."""
        if value is None or not math.isfinite(value):
            self.study.tell(trial.number, state=TrialState.FAIL)
        else:
            self.study.tell(trial.number, value)

    def _sampler(self, number: int) -> BaseSampler:
        """What draws the values of the trial of this number."""
        seed = int(np.random.SeedSequence([self.how["seed"], number]).generate_state(1)[0])
        if self.how["sampler"] == "random":
            return RandomSampler(seed)
        # multivariate: rank and rate are judged together; constant_liar: no two that run side by side are the same
        return TPESampler(seed=seed, n_startup_trials=self.how["startup"], multivariate=True, constant_liar=True)

    def __enter__(self) -> "Study":
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()


def _short(value: Any, space: BaseDistribution) -> Any:
    """A number that is any between two, to so many digits: it stands in the names of folders and in commands."""
    if not isinstance(space, FloatDistribution) or space.step is not None:
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), space.low), space.high)


def _distribution(axis: Axis) -> BaseDistribution:
    if axis.values:
        return CategoricalDistribution(axis.values)
    if isinstance(axis.step, int):
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=axis.step)
    return FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
