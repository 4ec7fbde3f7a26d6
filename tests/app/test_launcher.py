"""The launcher's memory and its reading of what became of a job; whole sweeps run in test_cli.py."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bailong.app import launcher, sweep
from tests.commands import LONG, SHORT, call


def test_a_part_run_again_does_not_forget_the_sweep(tmp_path):
    sweep.remember(tmp_path, "all", ["a", "b", "c"])
    sweep.remember(tmp_path, "one again", ["b"])
    assert json.loads((tmp_path / "sweep.json").read_text()) == {
        "commands": {"all": ["a", "b", "c"]},
        "jobs": ["a", "b", "c"],
    }
    sweep.remember(tmp_path, "one more", ["d"])
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"] == ["a", "b", "c", "d"]
    sweep.remember(tmp_path, "everything", ["a", "b", "c", "d"])
    assert list(json.loads((tmp_path / "sweep.json").read_text())["commands"]) == ["everything"]


def test_the_reason_of_a_failure(tmp_path):
    assert "SIGKILL" in sweep.reason(tmp_path, -9)
    (tmp_path / "console.log").write_text("noise\nerror: another process writes here\n")
    assert sweep.reason(tmp_path, 2) == "another process writes here"
    (tmp_path / "error.json").write_text(json.dumps({"message": "first\nsecond", "type": "ValueError"}))
    assert sweep.reason(tmp_path, 2) == "first"


def test_gpus_are_what_the_environment_shows(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert launcher.visible_gpus() == ["2", "5"] and launcher.PoolLauncher().jobs == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert launcher.visible_gpus() == [] and launcher.PoolLauncher().jobs == 2
    with pytest.raises(ValueError, match="hydra.launcher.jobs=0"):
        launcher.PoolLauncher(jobs=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_a_sweep_and_the_same_command_finishes_it(place, number):
    arguments = [*LONG, f"seed={number}"]
    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    sweep = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=place, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert any("start" in line for line in sweep.stderr), "its jobs were started"
    time.sleep(2)
    os.kill(sweep.pid, number)
    said = sweep.communicate(timeout=120)[1]
    assert sweep.returncode == 128 + number and "2 interrupted" in said and "Traceback" not in said, said
    again = call("train", *arguments, cwd=place)
    assert again.returncode == 0 and "2 finished" in again.stderr, again.stderr


@pytest.mark.parametrize(("seed", "seconds"), [(21, 0.0), (22, 1.5), (23, 3.0)])
def test_no_job_outlives_a_killed_sweep_and_the_same_command_goes_on(place, seed, seconds):
    arguments = [*LONG, f"seed={seed}", "outputs=killed"]
    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    sweep = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=place, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert any("start" in line for line in sweep.stderr), "its jobs were started"
    jobs = _jobs_of(sweep.pid)  # "start" is said just before the process is made
    end = time.monotonic() + 30
    while not jobs and time.monotonic() < end:
        time.sleep(0.01)
        jobs = _jobs_of(sweep.pid)
    time.sleep(seconds)
    jobs |= _jobs_of(sweep.pid)
    sweep.kill()
    sweep.communicate()
    again = call("train", *arguments, cwd=place)
    # a fast machine may have finished a job before the kill: it is skipped then
    assert again.returncode == 0 and "0 failed, 0 interrupted" in again.stderr, again.stderr
    assert jobs and not any(_lives(pid) for pid in jobs)


def _jobs_of(sweep):
    """Processes that the sweep started, from whichever of its threads, and those forked from them."""
    tasks = Path(f"/proc/{sweep}/task").glob("*/children")
    started = {int(pid) for task in tasks for pid in task.read_text().split()}
    return started | {pid for child in started for pid in _jobs_of(child)}


def _lives(pid):
    place = Path(f"/proc/{pid}/cmdline")
    return place.exists() and b"bailong.app." in place.read_bytes()


AXES = [
    "adapter.rank=4,8",
    "adapter.alpha=4,8",
    "adapter.dropout=0,0.1",
    "optimizer.lr=1e-3,2e-3",
    "stage.batch_size=8,16",
    "stage.context=128,256",
    "initializer=mean,random",
]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("seed=0,x", "seed=x is not accepted"),
        ("model=tiny,tiniest", "model=tiniest is not accepted"),
        ("optimizer.warmup_steps=5,-5", "optimizer.warmup_steps=-5 is not accepted"),
    ],
)
def test_one_bad_value_of_256_jobs_is_refused_at_once_and_leaves_nothing(tmp_path, bad, said):
    began = time.monotonic()
    done = call("train", "-m", "experiments=tiny", bad, *AXES, "plan=true", cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert time.monotonic() - began < 40, "each value is tried once, not each of 256 jobs"
    assert list(tmp_path.iterdir()) == []


def test_the_checking_of_many_jobs_is_told(tmp_path):
    done = call("train", "-m", "experiments=tiny", "seed=0,1,2", *AXES[:3], "plan=true", cwd=tmp_path)
    assert done.returncode == 0 and "24 jobs: every value is accepted" in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_would_share_a_folder_are_refused(place):
    done = call("train", *SHORT, "trainer.threads=1,2", "initializer=zip_tie", cwd=place)
    assert done.returncode != 0 and "share the folder" in done.stderr and "Traceback" not in done.stderr
