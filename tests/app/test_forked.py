"""Jobs that are forked from one process: the same to the last digit as jobs that are started by themselves, each a
process of its own, whatever dies."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from bailong.app import forked, launcher
from bailong.app.forked import Parent
from bailong.run.settings import Tracking
from bailong.train.settings import Trainer
from tests import tiny
from tests.commands import LONG, SHORT, call

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="jobs are forked on Linux alone")
#: what the jobs of these tests are, in place of `bailong.app.job.main`
JOB = """\
import os, signal, sys, threading, time
from bailong.app import job
def main():
    words = sys.stdin.buffer.readline().decode()
    exec(words, globals())
job.main = main
"""


@pytest.fixture
def parent(tmp_path, monkeypatch, bench):
    """A parent whose jobs do the Python that they are sent, in `output`; a function that starts one."""
    (tmp_path / "own_job.py").write_text(JOB)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.setattr(forked, "MODULES", ("own_job",))
    started = []

    def start(threads=1, modules=("own_job",)):
        monkeypatch.setattr(forked, "MODULES", modules)
        started.append(Parent([tiny.settings(bench, tmp_path, trainer=Trainer(threads=threads))]))
        return started[-1]

    yield start
    for one in started:
        one.close()


def begun(parent, words, output):
    with output.open("ab") as log:
        job = parent.fork(log)
    with contextlib.suppress(BrokenPipeError):
        job.stdin.write(f"{words}\n".encode())
        job.stdin.flush()
    return job


def ended(parent, words, output):
    job = begun(parent, words, output)
    code = job.wait()
    with contextlib.suppress(BrokenPipeError):
        job.stdin.close()
    return code


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


def test_a_job_is_a_process_and_a_session_of_its_own_with_its_own_output_and_exit_code(parent, tmp_path):
    one, out = parent(), tmp_path / "console.log"
    assert ended(one, "print(os.getpid(), os.getsid(0)); print('to stderr', file=sys.stderr)", out) == 0
    process, session = map(int, out.read_text().splitlines()[0].split())
    assert process == session and process not in (os.getpid(), one.process.pid) and "to stderr" in out.read_text()
    assert ended(one, "sys.exit(3)", out) == 3
    assert ended(one, "os._exit(7)", out) == 7
    assert ended(one, "import ctypes; ctypes.string_at(0)", out) == -signal.SIGSEGV
    assert ended(one, "os.kill(os.getpid(), 9)", out) == -signal.SIGKILL
    assert ended(one, "1 / 0", out) == 1 and "ZeroDivisionError" in out.read_text()
    assert ended(one, "import atexit; atexit.register(print, 'swept up')", out) == 0
    assert out.read_text().endswith("swept up\n"), "it ends as a process does, not in the middle of its parent"
    usual = "[signal.getsignal(n) for n in (2, 15, 17)] == [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]"
    assert ended(one, f"print({usual})", out) == 0 and out.read_text().endswith("True\n")
    assert one.fault() is None


def test_files_of_one_job_are_not_open_in_another(parent, tmp_path):
    one, out = parent(), tmp_path / "console.log"
    long = begun(one, "time.sleep(60)", tmp_path / "long.log")
    files = [f"/proc/self/fd/{number}" for number in range(64)]
    assert ended(one, f"print([os.readlink(file) for file in {files} if os.path.lexists(file)])", out) == 0
    said = out.read_text()
    assert "long.log" not in said and said.count("pipe:") == 2, "its standard input, and where its end is told"
    long.send_signal(signal.SIGTERM)
    assert long.wait() == -signal.SIGTERM
    long.stdin.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_libraries_have_the_threads_that_they_would_have_started(parent, tmp_path, threads):
    pools = "sorted((pool['internal_api'], pool['num_threads']) for pool in threadpoolctl.threadpool_info())"
    seen = f"import threadpoolctl; print({pools})"
    one, out = parent(threads, ("own_job", "bailong.train.fit")), tmp_path / "console.log"
    assert ended(one, f"{seen}; print(os.environ.get('OPENBLAS_NUM_THREADS'))", out) == 0
    fresh = subprocess.run(
        [sys.executable, "-c", f"import bailong.train.fit, os; {seen}; print(os.environ.get('OPENBLAS_NUM_THREADS'))"],
        env=os.environ | launcher.child_environment(threads),
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.read_text() == fresh.stdout and f"('openblas', {threads})" in fresh.stdout


def test_a_parent_in_which_a_thread_runs_forks_nothing(parent, tmp_path):
    (tmp_path / "starts_one.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=[99], daemon=True).start()\n"
    )
    one = parent(modules=("own_job", "starts_one"))
    assert ended(one, "print('here')", tmp_path / "console.log") is None
    until(lambda: one.fault() is not None)
    assert "a thread was started" in one.fault() and (tmp_path / "console.log").read_text() == ""


def test_a_job_outlives_its_parent_and_its_end_is_seen(parent, tmp_path):
    one, out = parent(), tmp_path / "console.log"
    job = begun(one, "print('on', flush=True); time.sleep(2); print('done', flush=True); sys.exit(5)", out)
    until(lambda: out.exists() and "on" in out.read_text())
    one.process.kill()
    one.process.wait()
    assert one.fault() == "SIGKILL" and job.poll() is None
    assert job.wait() is None and out.read_text() == "on\ndone\n", "nobody knows its exit code, but when it was over"
    job.stdin.close()
    assert ended(one, "print('never')", out) is None and "never" not in out.read_text()


def test_a_signal_before_anything_is_imported_is_not_lost(parent, tmp_path):
    one = parent(modules=("own_job", "bailong.train.fit"))
    job = begun(one, "print('here')", tmp_path / "console.log")
    job.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert job.wait() is None and time.monotonic() - began < 3
    assert (tmp_path / "console.log").read_text() == ""
    job.stdin.close()


def test_a_dead_sweep_leaves_no_parent_behind_and_starts_no_job(parent, tmp_path):
    one = parent()
    with (tmp_path / "console.log").open("ab") as log:
        job = one.fork(log)
    one.control.shutdown(socket.SHUT_RDWR)
    one.process.wait(timeout=60)
    assert one.process.returncode == 0 and job.wait() is None and (tmp_path / "console.log").read_text() == ""
    job.stdin.close()


def test_one_job_alone_is_not_forked_and_a_gpu_forks_none(bench, tmp_path, monkeypatch):
    class Asked:
        def __init__(self, threads):
            self.settings = tiny.settings(bench, tmp_path, trainer=Trainer(threads=threads))

    monkeypatch.setattr(launcher, "Parent", lambda jobs: [job.trainer.threads for job in jobs])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    pending = [Asked(1), Asked(2), Asked(1)]
    assert launcher.PoolLauncher()._parents(pending) == {1: [1, 1]}
    assert launcher.PoolLauncher(warm=False)._parents(pending) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert launcher.PoolLauncher()._parents(pending) == {}


def test_w_and_b_is_imported_where_a_job_writes_there_and_nowhere_else(bench, tmp_path):
    for wandb, known in (("off", False), ("offline", True)):
        one = Parent([tiny.settings(bench, tmp_path, tracking=Tracking(wandb=wandb))])
        assert ("wandb" in one.process.args) == known
        one.close()


def sweep_of(place, outputs):
    return {path.parent.name: path.parent for path in (place / outputs).glob("*/*/*/result.json")}


#: what a clock or the machine's memory decides
MEASURED = ("seconds", "rows_seconds", "tokens_per_second", "peak_memory_gb")


def test_forked_jobs_equal_separate_ones_to_the_last_byte(place):
    arguments = [*SHORT, "seed=0,1", "tracking=wandb"]
    for warm in ("true", "false"):
        done = call("train", *arguments, f"hydra.launcher.warm={warm}", f"outputs=warm_{warm}", cwd=place)
        assert done.returncode == 0 and "4 finished" in done.stderr, done.stderr
    warm, cold = sweep_of(place, "warm_true"), sweep_of(place, "warm_false")
    assert len(warm) == 4 and warm.keys() == cold.keys()
    for name, folder in warm.items():
        assert (folder / "metrics.jsonl").read_bytes() == (cold[name] / "metrics.jsonl").read_bytes()
        first, second = (json.loads((one / "result.json").read_text()) for one in (folder, cold[name]))
        for key in first.keys() - set(MEASURED):
            assert first[key] == second[key], key
        assert first["parameters_sha256"] and first["rows_sha256"]
        asked, told = (json.loads((one / "provenance.json").read_text()) for one in (folder, cold[name]))
        for key in asked.keys() - {"when"}:
            assert asked[key] == told[key], key
        assert said(folder) == said(cold[name])


def said(folder: Path) -> list[str]:
    """A job's output, but for the folder of outputs and for what one job, whichever is first, does for all."""
    text = (folder / "console.log").read_text().replace("warm_true", "").replace("warm_false", "")
    return [line for line in text.splitlines() if "once for this" not in line and not line.startswith("  ")]


def test_jobs_whose_parent_is_killed_are_finished_and_it_is_said(place):
    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    arguments = [*LONG, "seed=0,1", "outputs=orphans", "hydra.launcher.jobs=2"]
    sweep = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=place, stderr=subprocess.PIPE, text=True)
    until(lambda: len(list((place / "orphans").glob("*/*/*/metrics.jsonl"))) == 2, 120)
    (asks,) = [p for p in Path("/proc").glob("[0-9]*") if _is_parent_of(p, sweep.pid)]
    os.kill(int(asks.name), signal.SIGKILL)
    said = sweep.communicate(timeout=240)[1]
    assert sweep.returncode == 0 and "4 finished, 0 skipped, 0 failed, 0 interrupted" in said, said
    assert said.count(f"jobs cannot be forked from process {asks.name} any more (SIGKILL)") == 1, said


def _is_parent_of(process, sweep):
    try:
        words, status = (process / "cmdline").read_bytes(), (process / "status").read_text()
    except OSError:
        return False
    return b"bailong.app.parent" in words and f"PPid:\t{sweep}\n" in status


def test_a_signal_to_a_job_that_has_just_ended_is_no_fault():
    """Between its end and the word of it, its process is nobody's."""
    over = subprocess.Popen([sys.executable, "-c", ""])
    over.wait()
    told, tells = os.pipe()
    os.write(tells, f"{over.pid}\n0\n".encode())
    os.close(tells)
    job = forked.Forked(SimpleNamespace(ready=False), os.open(os.devnull, os.O_WRONLY), told)  # type: ignore[arg-type]
    job.pid = over.pid
    job.send_signal(signal.SIGTERM)
    assert job.wait() == 0
    job.stdin.close()
