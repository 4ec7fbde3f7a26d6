"""Checkpoints that are written behind training, as on a GPU: the same files, no later than they are needed."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from bailong.app import explain
from bailong.run import metrics
from bailong.train import checkpoint, train
from bailong.train.checkpoint import Counters, Writer
from tests import tiny

REAL = checkpoint.write


class State:
    """Two parameters under AdamW, and counters: all that a checkpoint keeps."""

    def __init__(self):
        torch.manual_seed(0)
        self.parameters = {name: torch.nn.Parameter(torch.randn(8, 4)) for name in ("a", "b")}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=0.1, fused=True)
        self.counters = Counters({"precision": "32-true"})
        self.step()

    def step(self):
        for parameter in self.parameters.values():
            parameter.grad = torch.randn(8, 4)
        self.optimizer.step()
        self.optimizer.param_groups[0]["lr"] *= 0.5
        self.counters.step += 1
        self.counters.facts["rows"] = self.counters.step

    def saved(self, writer, *paths):
        writer.save(paths, self.parameters, self.optimizer, self.counters)


@pytest.fixture
def held(monkeypatch):
    """Nothing is written before this is set."""
    event = threading.Event()

    def write(paths, content):
        assert event.wait(60)
        REAL(paths, content)

    monkeypatch.setattr(checkpoint, "write", write)
    return event


@pytest.fixture
def behind(monkeypatch):
    """Runs on this CPU write behind training."""
    monkeypatch.setattr(checkpoint, "Writer", lambda behind: Writer(True))


def test_what_is_written_later_is_what_was_at_the_save(tmp_path, held):
    state = State()
    at_once, later = tmp_path / "at_once.ckpt", tmp_path / "later.ckpt"
    held.set()
    state.saved(Writer(behind=False), at_once)
    held.clear()
    with Writer(behind=True) as writer:
        state.saved(writer, later)
        before = {name: parameter.detach().clone() for name, parameter in state.parameters.items()}
        for _ in range(3):
            state.step()
        assert all(not torch.equal(before[name], state.parameters[name]) for name in before) and not later.exists()
        held.set()
    assert later.read_bytes() == at_once.read_bytes()
    content = checkpoint.read(later)
    assert content["counters"]["step"] == content["counters"]["facts"]["rows"] == 1
    assert all(torch.equal(content["parameters"][name], before[name]) for name in before)


def test_at_once_nothing_is_copied(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(checkpoint, "write", lambda paths, content: seen.append(content))
    state = State()
    state.saved(Writer(behind=False), tmp_path / "last.ckpt")
    kept = seen[0]["parameters"]["a"], seen[0]["optimizer"]["state"][0]["exp_avg"]
    live = state.parameters["a"], state.optimizer.state[state.parameters["a"]]["exp_avg"]
    assert [tensor.data_ptr() for tensor in kept] == [tensor.data_ptr() for tensor in live]


def test_a_table_that_parameters_share_is_copied_once():
    table = torch.arange(4.0)
    found = checkpoint.copied({"a": {"table": table}, "b": [table, (1, "x")]}, {})
    assert found["a"]["table"] is found["b"][0] is not table and found["b"][1] == (1, "x")


def test_saves_are_written_one_at_a_time_and_in_order(tmp_path, monkeypatch):
    writing, most, done = [], [], []

    def write(paths, content):
        writing.append(paths)
        most.append(len(writing))
        time.sleep(0.05)
        REAL(paths, content)
        writing.remove(paths)
        done.append((content["counters"]["step"], [path.name for path in paths]))

    monkeypatch.setattr(checkpoint, "write", write)
    state, last = State(), tmp_path / "last.ckpt"
    with Writer(behind=True) as writer:
        state.saved(writer, last)
        state.step()
        state.saved(writer, last, checkpoint.stable(last))
        assert done == [(1, ["last.ckpt"])]
        state.step()
        state.saved(writer, last)
    assert done == [(1, ["last.ckpt"]), (2, ["last.ckpt", "stable.ckpt"]), (3, ["last.ckpt"])] and max(most) == 1
    assert checkpoint.read(last)["counters"]["step"] == 3
    assert checkpoint.read(checkpoint.stable(last))["counters"]["step"] == 2


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_error_is_told_by_the_next_save_or_at_the_end(tmp_path, monkeypatch):
    state, last = State(), tmp_path / "last.ckpt"
    state.saved(Writer(behind=False), last)
    before = last.read_bytes()
    state.step()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), Writer(behind=True) as writer:
        state.saved(writer, last)
    with Writer(behind=True) as writer:
        state.saved(writer, last)
        with pytest.raises(OSError, match="No space left"):
            state.saved(writer, last)
    with pytest.raises(RuntimeError, match="of training"), Writer(behind=True) as writer:
        state.saved(writer, last)
        raise RuntimeError("an error of training")
    assert last.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_kill_before_the_file_is_in_place_leaves_the_old_one_whole(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from bailong.train.checkpoint import Writer\n"
        "from tests.train.test_checkpoint import State\n"
        "state, last = State(), Path(sys.argv[1])\n"
        "state.saved(Writer(behind=False), last)\n"
        "state.step()\n"
        "os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)\n"
        "state.saved(Writer(behind=True), last)\n"
        "time.sleep(60)\n"
    )
    last = tmp_path / "last.ckpt"
    ended = subprocess.run([sys.executable, "-c", code, str(last)], timeout=120, check=False).returncode
    assert ended == -signal.SIGKILL
    assert sorted(file.name for file in tmp_path.iterdir()) == [".last.ckpt.tmp", "last.ckpt"]
    assert checkpoint.read(last)["counters"]["step"] == 1
    state = State()
    state.step()
    state.saved(Writer(behind=False), last)
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert checkpoint.read(last)["counters"]["step"] == 2


def slowly(paths, content):
    time.sleep(0.1)
    REAL(paths, content)


def kept(run):
    """Name of each checkpoint -> what it holds, but for the time that it took."""
    found = {}
    for path in (run.folder / "checkpoints").iterdir():
        content = checkpoint.read(path)
        counters = content["counters"] | {"seconds": 0, "speed_bytes": 0}
        found[path.name] = content["sha256"], checkpoint.state_digest(content | {"counters": counters})
    return found


def test_a_run_that_writes_behind_training_is_the_same_run(bench, tmp_path, monkeypatch):
    def one(name):
        run = tiny.run(tmp_path, name)
        settings = tiny.settings(bench, tmp_path)
        settings.trainer.keep_checkpoints = 2
        settings.optimizer.schedule = "wsd"
        return train.train(settings, run), run

    expected, unlike = one("at_once")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "Writer", lambda behind: Writer(True))
        patch.setattr(checkpoint, "write", slowly)
        result, run = one("behind")
    assert kept(run) == kept(unlike)
    assert sorted(kept(run)) == ["last.ckpt", "stable.ckpt", "step-000002.ckpt", "step-000004.ckpt"]
    assert (run.folder / "metrics.jsonl").read_bytes() == (unlike.folder / "metrics.jsonl").read_bytes()
    assert result is not None and expected is not None
    assert result["parameters_sha256"] == expected["parameters_sha256"]
    assert threading.active_count() == 1 or all(not t.name.startswith("checkpoint") for t in threading.enumerate())


def test_a_run_that_dies_while_a_checkpoint_is_written_goes_on_from_it(bench, tmp_path, monkeypatch, behind):
    unbroken, broken = tiny.run(tmp_path, "unbroken"), tiny.run(tmp_path, "broken")
    settings = tiny.settings(bench, tmp_path)
    train.train(settings, unbroken)
    monkeypatch.setattr(checkpoint, "write", slowly)
    with tiny.dying_after(4):
        train.train(settings, broken)
    assert checkpoint.read(broken.folder / "checkpoints" / "last.ckpt")["counters"]["step"] == 4
    train.train(settings, broken)
    for name in ("metrics.jsonl", "result.json"):
        assert (broken.folder / name).exists()
    assert (broken.folder / "metrics.jsonl").read_bytes() == (unbroken.folder / "metrics.jsonl").read_bytes()
    assert "resumed at step 4 of 6" in (broken.folder / "train.log").read_text()


def test_a_signal_ends_the_run_when_its_checkpoint_is_written(bench, tmp_path, monkeypatch, behind):
    monkeypatch.setattr(checkpoint, "write", slowly)
    run, settings = tiny.run(tmp_path), tiny.settings(bench, tmp_path)
    progress = []

    def asked(self, step, note=""):
        progress.append(step)
        if len(progress) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr("bailong.run.progress.Reporter.advance", asked)
        train.train(settings, run)
    assert stop.value.code == 143
    assert checkpoint.read(run.folder / "checkpoints" / "last.ckpt")["counters"]["step"] == 3
    rows = metrics.read(run.folder / "metrics.jsonl")
    train.train(settings, run)
    assert metrics.read(run.folder / "metrics.jsonl")[: len(rows)] == rows


@pytest.mark.parametrize("every", [2, 100])
def test_a_full_disk_is_one_line_whoever_writes(bench, tmp_path, monkeypatch, capsys, behind, every):
    run, settings = tiny.run(tmp_path), tiny.settings(bench, tmp_path)
    settings.trainer.checkpoint_every_steps = every
    syncs = []

    def second(number):
        syncs.append(number)
        if len(syncs) == 2:  # the first is of step 0
            full()

    monkeypatch.setattr(os, "fsync", second)
    with pytest.raises(SystemExit) as stop:
        explain.guarded(lambda: train.train(settings, run))
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert stop.value.code == 2 and said.startswith("error: cannot read or write: No space left on device;")
    assert not (run.folder / "result.json").exists() and (run.folder / "error.json").exists()
    assert checkpoint.read(run.folder / "checkpoints" / "last.ckpt")["counters"]["step"] == 0
    monkeypatch.undo()
    assert train.train(settings, run) is not None
