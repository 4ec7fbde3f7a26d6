"""A sweep that another launcher of Hydra's runs: submitit, on this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.commands import LONG, SHORT, call

pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra 'cluster'")
BY_SUBMITIT = ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10"]


def test_a_sweep_by_submitit_ends_as_ours_do_and_is_run_again_as_ours_are(place):
    arguments = [*SHORT, "outputs=submitit", *BY_SUBMITIT]
    # the rate of one job is beyond all bounds: it fails, and stops nobody
    first = call(
        "train", *arguments, "initializer=zip_tie", "optimizer.lr=1e-3,1e30", "optimizer.warmup_steps=0", cwd=place
    )
    assert first.returncode == 1 and "Traceback" not in first.stderr, first.stderr
    for said in ("2 jobs: 0 already finished, 2 to run, by submitit_local", "finished initializer=zip_tie", "failed "):
        assert said in first.stderr, first.stderr
    assert "1 finished, 0 skipped, 1 failed, 0 interrupted" in first.stderr and "loss is not finite" in first.stderr
    (sweep,) = (place / "submitit").glob("*/*/sweep.json")
    assert len(json.loads(sweep.read_text())["jobs"]) == 2
    assert not list((place / "submitit").rglob("%j"))

    again = call(
        "train", *arguments, "initializer=zip_tie", "optimizer.lr=1e-3,1e30", "optimizer.warmup_steps=0", cwd=place
    )
    assert again.returncode == 1 and "0 finished, 1 skipped, 1 failed" in again.stderr, again.stderr
    compared = call("compare", f"runs={sweep.parent.relative_to(place)}", cwd=place)
    assert compared.returncode == 0, compared.stderr


def test_a_launcher_that_cannot_start_is_the_reason_of_every_job(place):
    ended = call("train", *SHORT, "outputs=slurm", "hydra/launcher=submitit_slurm", cwd=place, PATH="/nowhere")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr, ended.stderr
    assert "0 finished, 0 skipped, 2 failed" in ended.stderr and 'Could not detect "srun"' in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_sweep_by_submitit_is_finished_by_the_same_command(place, number):
    arguments = [*LONG, f"outputs=submitit_{number}", *BY_SUBMITIT]
    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    sweep = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=place, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 120
    while not list((place / f"submitit_{number}").glob("*/*/*/metrics.jsonl")) and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(sweep.pid, number)
    said = sweep.communicate(timeout=120)[1]
    if number == signal.SIGTERM:
        assert sweep.returncode == 128 + number and "interrupted" in said and "Traceback" not in said, said
    again = call("train", *arguments, cwd=place)
    assert again.returncode == 0 and "0 failed, 0 interrupted" in again.stderr, again.stderr
    assert len(list((place / f"submitit_{number}").glob("*/*/*/result.json"))) == 2
