"""A race of the arms of a sweep: what its record says, what it refuses, and that no kill changes its end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from bailong.app.race import NAME, Race, Rules, score
from bailong.app.sweep import Job
from bailong.run.folder import Run
from tests.commands import SHORT, call

#: bits per byte of an arm at the start and at the end of its 10 steps, and what a seed adds
ENDS = {"good": (5.0, 2.0), "fair": (5.0, 2.002), "poor": (5.0, 4.0), "late": (9.0, 1.0)}


class World:
    """Runs of ten steps, evaluated at each, that are written instead of trained."""

    def __init__(self, place, arms=ENDS, seeds=(0, 1, 2)):
        self.place, self.ran = place, []
        self.jobs = [self.job(f"initializer={arm}", seed) for arm in arms for seed in seeds]

    def job(self, arm, seed):
        overrides = ["experiments=tiny", arm, f"seed={seed}"]
        settings = SimpleNamespace(seed=seed, rerun=False, pause_at=None)
        job = Job(settings, Run(self.place / f"{arm},seed={seed}", f"{arm},seed={seed}", "tiny", "x"), overrides)  # type: ignore[arg-type]
        job.__dict__["facts"] = {"arm": arm, "seed": seed}
        if (job.run.folder / "result.json").exists():
            job.status = "skipped"
        return job

    def run(self, jobs):
        for job in jobs:
            self.ran.append((job.run.name, job.settings.pause_at))
            first, last = ENDS[job.run.name.split(",")[0].removeprefix("initializer=")]
            steps = int(10 * (job.settings.pause_at or 1))
            job.run.folder.mkdir(parents=True, exist_ok=True)
            noise = (0.003, -0.004, 0.001)[job.settings.seed] * (1 if last == 2.0 else -1)
            rows = [{"step": s, "eval/bpb": first + (last - first) * s / 10 + noise} for s in range(steps + 1)]
            (job.run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            (job.run.folder / "starts.jsonl").write_text(json.dumps({"step": 0, "of": 10}) + "\n")
            if job.settings.pause_at is None:
                (job.run.folder / "result.json").write_text('{"steps": 10}')
            job.status = "finished" if job.settings.pause_at is None else "paused"

    def race(self, **rules):
        rules = {"rungs": [0.2, 0.5, 1.0], "keep": 0.25} | rules
        console = Console(file=(self.place / "said.txt").open("a"), width=160)
        return Race(self.place, self.jobs, Rules(**rules), {"initializer", "seed"}, console)

    def record(self):
        return json.loads((self.place / NAME).read_text())


def test_arms_that_are_told_to_be_behind_stop_at_their_rung_and_the_others_go_on(tmp_path):
    world = World(tmp_path)
    assert world.race(keep_always=["poor"]).run(world.run) is None
    record = world.record()
    assert [rung["share"] for rung in record["rungs"]] == [0.2, 0.5, 1.0]
    assert (
        record["dropped"].keys() == {"initializer=late"}
        and "at 1/5 of its steps: +3." in record["dropped"]["initializer=late"]
    )
    status = {job.run.name: job.status for job in world.jobs}
    assert {name for name, word in status.items() if word == "dropped"} == set(record["arms"]["initializer=late"])
    assert all(status[f"initializer={arm},seed=0"] == "finished" for arm in ("good", "fair", "poor"))
    assert (tmp_path / "initializer=late,seed=0" / "metrics.jsonl").exists(), "nothing of it is taken away"
    fates = [{row["arm"]: row["fate"] for row in rung["arms"]} for rung in record["rungs"]]
    assert fates[0]["initializer=fair"] == "goes on" and fates[0]["initializer=poor"] == "control"
    assert fates[1].keys() == {"initializer=good", "initializer=fair", "initializer=poor"}
    assert "3 seeds" in record["rungs"][0]["how"] and "2 x 2 comparisons" in record["rungs"][0]["how"]
    text = (tmp_path / NAME).read_text()
    assert str(tmp_path) not in text, "it says neither where nor when"


def test_a_race_that_is_over_runs_nothing_and_writes_nothing(tmp_path):
    world = World(tmp_path)
    world.race().run(world.run)
    before = (tmp_path / NAME).stat().st_mtime_ns
    again = World(tmp_path)
    again.race().run(again.run)
    assert again.ran == [] and (tmp_path / NAME).stat().st_mtime_ns == before
    assert {job.status for job in again.jobs} == {"skipped", "dropped"}


def test_the_record_is_that_of_the_runs_whenever_it_is_made(tmp_path):
    """After a kill at a rung, and over runs that the plain sweep has finished: the same bytes."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = World(tmp_path / "a")
    whole.race().run(whole.run)
    expected = (tmp_path / "a" / NAME).read_bytes()

    def killed(jobs):
        world.run(jobs[:2])
        raise KeyboardInterrupt

    for _ in range(3):
        world = World(tmp_path / "b")
        with pytest.raises(KeyboardInterrupt):
            world.race().run(killed)
    world = World(tmp_path / "b")
    world.race().run(world.run)
    assert (tmp_path / "b" / NAME).read_bytes() == expected
    (tmp_path / "b" / NAME).unlink()
    world.run(world.jobs)  # which lets every run end
    for job in world.jobs:
        job.until(1)
    world.run(world.jobs)
    world = World(tmp_path / "b")
    world.race().run(world.run)
    assert world.ran == [] and (tmp_path / "b" / NAME).read_bytes() == expected


def test_other_rules_are_another_race_and_the_older_record_is_kept(tmp_path):
    world = World(tmp_path)
    world.race().run(world.run)
    older = (tmp_path / NAME).read_bytes()
    world = World(tmp_path)
    world.race(keep_always=["late"]).run(world.run)
    assert "late" not in str(world.record()["dropped"]) and ("initializer=late,seed=0", None) in world.ran
    (kept,) = tmp_path.glob("racing-*.json")
    assert kept.read_bytes() == older
    assert "racing.json was of another race (keep_always: [] before" in (tmp_path / "said.txt").read_text()


def test_a_run_that_fails_stops_the_race_and_one_whose_loss_is_not_finite_drops_its_arm(tmp_path):
    world = World(tmp_path)

    def failing(kind):
        def run(jobs):
            world.run(jobs)
            if lost := [job for job in jobs if job.run.name == "initializer=fair,seed=1"]:
                (lost[0].run.folder / "error.json").write_text(json.dumps({"type": kind, "message": "no"}))
                (lost[0].run.folder / "metrics.jsonl").unlink()
                lost[0].status = "failed"

        return run

    assert world.race().run(lambda jobs: world.run(jobs) or signal.SIGTERM) == signal.SIGTERM
    assert {job.status for job in world.jobs} == {"interrupted"}, "a signal that came when all had paused is not lost"
    world = World(tmp_path / "failing")
    world.place.mkdir()
    world.race().run(failing("OSError"))
    assert not (world.place / NAME).exists() and "rung 1/5 is not judged" in (world.place / "said.txt").read_text()
    world = World(world.place)
    world.race().run(failing("Diverged"))
    lost = world.record()["dropped"]["initializer=fair"]
    assert "at 1/5 of its steps: the loss of initializer=fair,seed=1 is not finite" in lost
    assert [job.status for job in world.jobs if "fair" in job.run.name] == ["dropped"] * 3


def test_a_score_is_the_curve_at_the_rung_however_far_the_run_went(tmp_path):
    world = World(tmp_path, seeds=(0,))
    world.jobs[0].until(0.5)
    world.run(world.jobs[:1])
    folder = world.jobs[0].run.folder
    at_rung = score(folder, 0.5)
    assert at_rung == pytest.approx(3.5 + 0.003)
    world.jobs[0].until(1)
    world.run(world.jobs[:1])
    assert score(folder, 0.5) == at_rung
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows if row["step"] in (0, 4, 8, 10))
    )
    assert rows[8]["eval/bpb"] < score(folder, 0.5) < rows[4]["eval/bpb"]
    assert score(folder, 0.1) == rows[4]["eval/bpb"], "before the first evaluation there is no line"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"rungs": [0.5]}, "hydra.sweeper.rungs"),
        ({"rungs": [0.5, 0.25, 1.0]}, "hydra.sweeper.rungs"),
        ({"rungs": [0.25, 0.5]}, "hydra.sweeper.rungs"),
        ({"keep": 1.0}, "hydra.sweeper.keep=1.0"),
        ({"keep_always": ["godo"]}, "hydra.sweeper.keep_always=godo is not accepted: .* initializer=poor"),
        ({"keep_always": ["good", "fair", "initializer=poor"]}, "needs two arms at least beside those of"),
    ],
)
def test_what_is_no_race_is_refused_in_one_line(tmp_path, rules, said):
    with pytest.raises(ValueError, match=said) as caught:
        World(tmp_path).race(**rules)
    assert "\n" not in str(caught.value)


def test_a_race_lets_runs_pause_by_itself_and_pairs_them_over_seeds(tmp_path):
    for knob, value in (("rerun", True), ("pause_at", 0.5)):
        world = World(tmp_path)
        setattr(world.jobs[3].settings, knob, value)
        with pytest.raises(ValueError, match=f"{knob}={str(value).lower()} is not accepted with hydra/sweeper=racing"):
            world.race()
    world = World(tmp_path)
    world.jobs.pop()
    with pytest.raises(ValueError, match="initializer=late has 0, 1"):
        world.race()


#: two arms of one seed, of which the one that is behind at half of its steps stops there
RACE = [*SHORT, "initializer=mean,zip_tie", "hydra/sweeper=racing", "hydra.sweeper.rungs=[0.5,1]"]


def test_a_race_killed_three_times_ends_as_one_that_was_not(place):
    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    for moment in ("metrics.jsonl", NAME, "result.json"):  # in the first rung, behind it, in the last one
        race = subprocess.Popen(
            [sys.executable, "-c", code, *RACE, "outputs=killed"],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not list((place / "killed").rglob(moment)) and race.poll() is None:
            time.sleep(0.02)
        assert race.poll() is None, f"it was alive when {moment} was there"
        for pid in [race.pid, *_below(race.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        race.wait()
    for outputs in ("killed", "whole"):
        done = call("train", *RACE, f"outputs={outputs}", cwd=place)
        assert done.returncode == 0 and "1 dropped" in done.stderr, done.stderr
    killed, whole = (place / outputs / "tiny" / "initializers" for outputs in ("killed", "whole"))
    assert (killed / NAME).read_bytes() == (whole / NAME).read_bytes()
    runs = [path.parent.name for path in whole.glob("*/metrics.jsonl")]
    assert len(runs) == 2 and len(list(whole.glob("*/result.json"))) == 1
    for name in runs:
        assert (killed / name / "metrics.jsonl").read_bytes() == (whole / name / "metrics.jsonl").read_bytes()
    again = call("train", *RACE, "outputs=whole", cwd=place)
    assert again.returncode == 0 and "1 already finished, 1 dropped, 0 to run" in again.stderr, again.stderr
    compared = call("compare", f"runs={whole.relative_to(place)}", "baseline=zip_tie", cwd=place, COLUMNS="200")
    assert compared.returncode == 0 and "by the race, at 1/2 of its steps" in compared.stdout, compared.stderr


def _below(process):
    """The processes under one, however deep, and those that were forked and have a session of their own."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    started = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [*started, *(pid for child in started for pid in _below(child))]
