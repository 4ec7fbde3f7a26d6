"""Processes of this machine: signals, orphans, surroundings. The rest stands in test_contract.py."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bailong.prepare.engine import local
from bailong.prepare.engine.local import Local
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from tests.conftest import ROOT
from tests.prepare.engine import graph
from tests.prepare.engine.graph import HERE

COMMAND = [sys.executable, "-m", "tests.prepare.engine.graph"]


def workers_of(driver: int) -> list[int]:
    """Processes that serve a driver."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"serve(" in (words := place.read_bytes()) and f", {driver})".encode() in words:
                found.append(int(place.parent.name))
        except OSError:
            pass
    return found


def gone(driver: int) -> bool:
    end = time.monotonic() + 3
    while workers_of(driver) and time.monotonic() < end:
        time.sleep(0.05)
    return not workers_of(driver)


def waiting_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("knob", ["workers=0", "workers=-2", "retries=-1"])
def test_nonsense_is_refused(knob):
    key, value = knob.split("=")
    with pytest.raises(ValueError, match=f"engine.{knob} is not accepted"):
        Local(**{key: int(value)})


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_kill_9_of_the_driver_at_ten_moments(tmp_path):
    expected = graph.run(Local(workers=1), tmp_path / "expected")
    moment, root, unfinished = random.Random(5), tmp_path / "work", 0
    for _ in range(10):
        driver = subprocess.Popen([*COMMAND, str(root), "0.6"], cwd=ROOT)
        time.sleep(moment.uniform(0.3, 1.1))
        assert driver.poll() is None
        driver.kill()
        driver.wait()
        assert gone(driver.pid)
        graph.sound(root)
        unfinished += bool(list(root.glob(".partial/*/")))
    assert unfinished  # at least one of the kills left something half done
    engine = Local(workers=2)
    assert graph.run(engine, root) == expected
    engine.close()
    task.sweep(root, list(expected))
    assert not list(root.glob(".partial/*/")) and gone(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_stop_with_their_driver_in_the_middle_of_a_task(tmp_path, number):
    driver = subprocess.Popen(
        [*COMMAND, str(tmp_path), "60"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None,
    )  # a test run in the background ignores Ctrl-C, and so would the driver
    waiting_for(lambda: len(list(tmp_path.glob(".partial/*/"))) == 2)
    assert len(workers_of(driver.pid)) == 2
    driver.send_signal(number)
    said = driver.communicate(timeout=10)[1]
    assert gone(driver.pid) and not list(tmp_path.glob("emit/*"))
    if number != signal.SIGKILL:
        assert said.strip().endswith(f"Interrupted: {number.name}") and not list(tmp_path.glob(".partial/*/")), said


def test_one_process_is_interrupted_too(tmp_path):
    tasks = [Task("slow", f"{HERE}:emit", {"seed": 1}, local={"seconds": 5})]
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        Local(workers=1).run(tasks, tmp_path, print)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "slow").exists() and not list(tmp_path.glob(".partial/*/"))


def test_what_nohup_ignores_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        tasks = [Task("hup", f"{HERE}:emit", {"seed": 1}, local={"seconds": 0.4})]
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGHUP))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        Local(workers=1).run(tasks, tmp_path, lambda _: None)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_workers_stay_for_the_next_phase_and_an_idle_one_may_die(tmp_path):
    engine = Local(workers=2)
    looks = [[Task(f"look/{phase}{i}", f"{HERE}:look") for i in range(2)] for phase in range(3)]
    pids = []
    for tasks in looks:
        engine.run(tasks, tmp_path, lambda _: None)
        pids.append({task.read(tmp_path, t.name)["facts"]["pid"] for t in tasks})
        if len(pids) == 2:
            for pid in pids[0]:
                os.kill(pid, signal.SIGKILL)
    assert pids[0] >= pids[1] and not pids[0] & pids[2]
    engine.close()
    engine.close()


def test_each_gpu_serves_one_task(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,7")
    engine = Local(workers=4)
    slow = {"seconds": 0.2}
    engine.run([Task(f"cpu/{i}", f"{HERE}:look") for i in range(4)], tmp_path, lambda _: None)
    assert len(local.places([Task("a", "b:c", local={"gpus": 1})], 1)) == 1
    tasks = [Task(f"gpu/{i}", f"{HERE}:look", {"i": i}, local={"gpus": 1} | slow) for i in range(6)]
    engine.run(tasks, tmp_path, lambda _: None)
    seen = {task.read(tmp_path, t.name)["facts"]["CUDA_VISIBLE_DEVICES"] for t in tasks}
    assert seen <= {"3", "7"} and len({task.read(tmp_path, t.name)["facts"]["pid"] for t in tasks}) <= 2
    engine.close()


def test_another_bailong_in_this_folder_is_left_alone(tmp_path):
    (tmp_path / "bailong").mkdir()
    (tmp_path / "bailong" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.prepare.engine import graph; "
    code += "from pathlib import Path; graph.run(graph.Local(workers=2), Path('work'))"
    ran = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "work" / "gather" / "00002" / "manifest.json").exists()
