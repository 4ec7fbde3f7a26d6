"""A race (`hydra/sweeper=racing`): the jobs of a sweep run together from rung to rung, and arms that are behind stop.

An arm is what jobs share that differ in their seed alone. A rung is a share of the steps of each run's whole budget:
its runs pause there (`pause_at`), arms are judged (`bailong.app.standing`), and those that are left go on from their
checkpoints. `racing.json` is a function of the rules and of the records of the runs, and holds neither a time nor a
place: whenever a race is killed, the same command ends with the same bytes. Dropped runs stay as they are, and the same
sweep without the race goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bailong.app.workspace import key
from bailong.run import files
from bailong.run.checks import Knobs, did_you_mean
from bailong.run.folder import difference
from bailong.train import identity, pause

if TYPE_CHECKING:
    from bailong.app.standing import Standing
    from bailong.app.sweep import Job

#: in the folder of a sweep
NAME = "racing.json"
SCORE = (
    "eval/bpb of each run at the rung's share of its steps, by a line over log-steps between the evaluations around "
    "it, or the first evaluation beyond where there is none between step 0 and the rung"
)


@dataclass
class Rules(Knobs, group="hydra.sweeper"):
    """How arms race.

    `rungs` are shares of a run's steps, the last of them 1: the end. At each of the others arms are dropped that are
    told to be behind the best; of those that race a share `keep` goes on all the same (rounded down, one at least), and
    with one seed, which has no interval, just that share. The arms in `keep_always` run to their end whatever happens,
    as controls: each is named by a value of an axis (`no_extension`), or by all of them
    (`initializer=zip_tie,adapter.rank=4`).
    """

    rungs: list[float] = field(default_factory=lambda: [0.25, 0.5, 1.0])
    keep: float = 0.5
    keep_always: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rising = all(0 < a < b for a, b in zip(self.rungs, self.rungs[1:], strict=False))
        whole = len(self.rungs) > 1 and rising and self.rungs[-1] == 1
        self.require(whole, "rungs", "shares of a run that rise to 1, two at least: [0.25,0.5,1]")
        self.require(0 < self.keep < 1, "keep", "above 0 and below 1")


class Race:
    """A race under way, or over; jobs of arms that were dropped before are so from the start.

    Args:
        place: the folder of the sweep. jobs: all of them, in order. axes: the keys that the sweep varies.

    Raises:
        ValueError: the sweep is no race: fewer than two arms, other seeds in one, an unknown arm in `keep_always`.
    """

    def __init__(self, place: Path, jobs: Sequence[Job], rules: Rules, axes: Collection[str], console: Console) -> None:
        self.place, self.jobs, self.rules, self.console = place / NAME, jobs, rules, console
        self.arms: dict[str, list[Job]] = {}
        given = {job.run.name: _given(job, axes) for job in jobs}
        for job in jobs:
            self.arms.setdefault(",".join(given[job.run.name]), []).append(job)
        named = {arm: given[group[0].run.name] for arm, group in self.arms.items()}
        self.controls = _controls(named, rules.keep_always)
        _require_race(self.arms, self.controls)
        #: arm -> where and why
        self.dropped: dict[str, str] = {}
        self.asked = {
            "rungs": rules.rungs,
            "keep": rules.keep,
            "keep_always": sorted(self.controls),
            "runs": {job.run.name: identity.fingerprint(job.facts) for job in jobs},
        }
        self.rungs = self._recorded()
        for rung in self.rungs:
            self._drop(rung)

    def run(self, run: Callable[[list[Job]], int | None]) -> int | None:
        """Run the jobs rung by rung; returns the signal that stopped it, if one did.

        Args:
            run: runs jobs and takes down how each ended (`bailong.app.sweep.Sweep.conduct`).
        """
        for number, share in enumerate(self.rules.rungs):
            judged = number < len(self.rungs)
            if judged and share < 1:
                continue
            left = self._left(share)
            if left:
                self.console.print(f"rung {part(share)}: {len(left)} jobs to run", highlight=False)
                stopped = run(left)
                lost = any(job.status in ("interrupted", "failed") and not job.diverged for job in left)
                if lost or (stopped is not None and share < 1):
                    for job in left:
                        if job.status == "paused":
                            job.status, job.reason = "interrupted", f"the race stopped at rung {part(share)}"
                    self.console.print(f"rung {part(share)} is not judged: the same command goes on", highlight=False)
                    return stopped
            if not judged:
                self._judge(share)
        return None

    def _left(self, share: float) -> list[Job]:
        """The jobs that are not at a rung yet; each is told to pause there."""
        left = []
        for job in self.jobs:
            if job.status in ("skipped", "finished", "dropped"):
                continue
            job.until(share)
            job.status = "paused" if job.paused() else "waiting"
            if job.status == "waiting":
                left.append(job)
        return left

    def _judge(self, share: float) -> None:
        """Say and write down how the arms stand, and drop those that stop here."""
        from bailong.app.standing import DROPPED, Standing, stand

        on = {arm: jobs for arm, jobs in self.arms.items() if arm not in self.dropped}
        lost = {arm: job for arm, jobs in on.items() for job in jobs if job.diverged}
        scores = {
            arm: {str(job.settings.seed): score(job.run.folder, share) for job in jobs}
            for arm, jobs in on.items()
            if arm not in lost
        }
        found = stand(scores, self.controls, self.rules.keep, len(self.rules.rungs) - 1 if share < 1 else 0)
        for arm, job in lost.items():
            why = f"the loss of {job.run.name} is not finite"
            found.append(Standing(arm, {}, None, None, DROPPED, why))
        rung = {"share": share, "how": self._how(scores), "arms": [one.row() for one in found]}
        self.rungs.append(rung)
        self._drop(rung)
        self._show(rung, found)
        record = {
            "asked": self.asked,
            "score": SCORE,
            "arms": {arm: [job.run.name for job in jobs] for arm, jobs in self.arms.items()},
            "dropped": self.dropped,
            "rungs": self.rungs,
        }
        files.write_json(self.place, record)

    def _drop(self, rung: dict[str, Any]) -> None:
        """Let the arms go that a rung dropped; a run of theirs that was finished by other means stays finished."""
        best = next((row["arm"] for row in rung["arms"] if row["fate"] == "best"), "")
        for row in rung["arms"]:
            if row["fate"] != "dropped":
                continue
            behind = f"{row['behind']:+.4f} bits per byte to {best}, " if "behind" in row else ""
            why = self.dropped[row["arm"]] = f"at {part(rung['share'])} of its steps: {behind}{row['why']}"
            for job in self.arms[row["arm"]]:
                if job.status not in ("skipped", "finished"):
                    job.status, job.reason = "dropped", why

    def _how(self, scores: dict[str, dict[str, float]]) -> str:
        """By what the arms of a rung are told apart, in words."""
        seeds = max((len(found) for found in scores.values()), default=0)
        if seeds < 2:
            return "one seed, which has no interval: by rank"
        arms, looks = len(scores.keys() - self.controls), len(self.rules.rungs) - 1
        return (
            f"95 % intervals (Student's t) of paired differences to the best over {seeds} seeds, at Bonferroni's level "
            f"for {max(arms - 1, 1)} x {looks} comparisons (arms beside the best x rungs that drop)"
        )

    def _show(self, rung: dict[str, Any], found: list[Standing]) -> None:
        table = Table(title=f"rung {part(rung['share'])}: {rung['how']}", title_justify="left")
        for column in ("arm", "bits per byte", "to the best", ""):
            table.add_column(column, justify="left" if column in ("arm", "") else "right", overflow="fold")
        colours = {"best": "green", "dropped": "magenta"}
        for one in found:
            behind, half = one.behind, one.behind and one.behind.half
            apart = "" if behind is None else f"{behind.mean:+.4f}" + ("" if half is None else f" ± {half:.4f}")
            fate = one.fate + (f": {one.why}" if one.why else "")
            colour = colours.get(one.fate, "default")
            table.add_row(one.arm, "" if one.mean is None else f"{one.mean:.4f}", apart, f"[{colour}]{fate}[/]")
        self.console.print(table)

    def _recorded(self) -> list[dict[str, Any]]:
        """The rungs that this race was judged at before; the record of another one is put beside it."""
        if not self.place.exists():
            return []
        record = files.read_object(self.place)
        if record["asked"] == self.asked:
            return record["rungs"]
        older = self.place.with_name(f"racing-{files.sha256(self.place)[:8]}.json")
        self.place.rename(older)
        self.console.print(
            f"{NAME} was of another race ({difference(record['asked'], self.asked)}) and is {older.name} now: "
            "rungs that runs have reached are judged anew, by their records",
            highlight=False,
        )
        return []


def score(folder: Path, share: float) -> float:
    """What a run scores at a rung (`SCORE`), however far it went beyond it."""
    import numpy as np

    from bailong.compare.verdict.measures import probe

    steps, values = pause.curve(folder)
    total = pause.total_steps(folder)
    assert total is not None, "it reached the rung"
    at = pause.step_of(share, total)
    found = probe(np.array(steps, float), np.array(values), at)
    if found is None:  # its first evaluation behind step 0 is beyond
        return next(value for step, value in zip(steps, values, strict=True) if step >= at)
    return found


def part(share: float) -> str:
    """`1/4`."""
    from bailong.compare.verdict.measures import share as of

    return of(share)


def _given(job: Job, axes: Collection[str]) -> list[str]:
    """What a job is given of the axes, the seed aside."""
    return sorted(o.lstrip("+~") for o in job.overrides if key(o) in axes and key(o) != "seed")


def _controls(arms: dict[str, list[str]], words: Sequence[str]) -> set[str]:
    """The arms that `keep_always` names.

    Args:
        arms: what each is given of the axes.

    Raises:
        ValueError: a word names none.
    """
    controls = set()
    for word in words:
        found = {
            arm
            for arm, given in arms.items()
            if word in (arm, *given, *(override.partition("=")[2] for override in given))
        }
        if not found:
            raise ValueError(
                f"hydra.sweeper.keep_always={word} is not accepted: it must be an arm of the sweep, by a value of an "
                f"axis or all of them: {', '.join(arms)}{did_you_mean(word, arms)}"
            )
        controls |= found
    return controls


def _require_race(arms: dict[str, list[Job]], controls: set[str]) -> None:
    """Refuse a sweep that is no race."""
    jobs = [job for group in arms.values() for job in group]
    for knob in ("rerun", "pause_at"):
        if value := next((getattr(job.settings, knob) for job in jobs if getattr(job.settings, knob)), None):
            raise ValueError(
                f"{knob}={str(value).lower()} is not accepted with hydra/sweeper=racing, which lets runs pause and go "
                f"on by itself; to race anew, remove {jobs[0].run.folder.parent}"
            )
    if len(arms.keys() - controls) < 2:
        raise ValueError(
            f"hydra/sweeper=racing needs two arms at least beside those of hydra.sweeper.keep_always, and this sweep "
            f"has {len(arms.keys() - controls)}: an arm is a value of every axis but the seed"
        )
    seeds = {arm: sorted(str(job.settings.seed) for job in group) for arm, group in arms.items()}
    first = next(iter(arms))
    if other := next((arm for arm in arms if seeds[arm] != seeds[first]), None):
        raise ValueError(
            f"hydra/sweeper=racing pairs runs over seeds, and they differ: {first} has {', '.join(seeds[first])}, "
            f"{other} has {', '.join(seeds[other])}"
        )
