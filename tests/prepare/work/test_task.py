"""Folders that appear whole or not at all, whatever happens in between."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bailong.prepare.work import task
from bailong.prepare.work.task import Task, fingerprint, finished, read, run, sweep
from tests.conftest import ROOT

HERE = "tests.prepare.work.test_task"


def write(target, inputs, arguments):
    """The text asked for, after that of every input."""
    before = "".join((folder / "text").read_text() for folder in inputs)
    (target / "text").write_text(before + arguments["text"])
    arguments["text"] = "changed by the function"
    return {"characters": len(before), "speed": {"seconds": time.time()}}


def half(target, inputs, arguments):
    (target / "text").write_text("half")
    raise KeyboardInterrupt


def no_room(target, inputs, arguments):
    (target / "text").write_text("half")
    raise OSError(arguments["number"] or None, "1000 requested and 0 written")


def odd(target, inputs, arguments):
    """What real data brings along: half a surrogate pair, a name that is not UTF-8."""
    (target / os.fsdecode(b"caf\xe9")).write_text("x")
    (target / "deep" / "er").mkdir(parents=True)
    (target / "deep" / "manifest.json").write_text("mine")
    return {"sample": "\ud83d", "text": "龍"}


def text(name="a", words="one", inputs=(), **more):
    return Task(name, f"{HERE}:write", {"text": words}, inputs, **more)


def content(root, name="a"):
    return (root / name / "text").read_text()


def scratches(root):
    return list(root.glob(".partial/*/"))


def test_done_once_and_again_when_anything_that_decides_it_changes(tmp_path):
    made = run(text(), tmp_path)
    assert content(tmp_path) == "one" and made == read(tmp_path, "a") == finished(text(), tmp_path)
    assert made["facts"] == {"characters": 0} and set(made["speed"]) == {"seconds"}
    stamp = (tmp_path / "a" / "manifest.json").stat().st_mtime_ns
    for same in (text(), text(local={"path": "/elsewhere"})):
        assert run(same, tmp_path) == made
    assert (tmp_path / "a" / "manifest.json").stat().st_mtime_ns == stamp
    digests = {made["digest"]}
    for other in (text(version=2), text(words="two"), replace(text(), function="tests.prepare.work.test_task:odd")):
        assert finished(other, tmp_path) is None
        digests.add(run(other, tmp_path)["digest"])
    assert len(digests) == 3  # another version, the same bytes
    assert not scratches(tmp_path)


def test_a_change_upstream_reaches_everything_below(tmp_path):
    chain = [text("a"), text("b", "two", ("a",)), text("c", "three", ("b",))]
    for t in chain:
        run(t, tmp_path)
    assert content(tmp_path, "c") == "onetwothree"
    run(text("a", "ONE"), tmp_path)
    assert finished(chain[1], tmp_path) is None
    run(chain[1], tmp_path)
    assert finished(chain[2], tmp_path) is None
    run(text("a", "one"), tmp_path), run(chain[1], tmp_path)
    assert finished(chain[2], tmp_path)  # the bytes are those of before, and so is all below


def test_a_task_keeps_its_arguments_whatever_its_function_does(tmp_path):
    mine = text()
    before = fingerprint(mine, tmp_path)
    made = run(mine, tmp_path)
    assert mine.arguments == {"text": "one"} and made["fingerprint"] == before == fingerprint(mine, tmp_path)


def test_the_machine_is_not_in_the_digest(tmp_path):
    first, second = run(text(), tmp_path / "x"), run(text(), tmp_path / "y")
    assert first["digest"] == second["digest"] and first["speed"] != second["speed"]
    assert 0 < first["peak_memory_gb"] < 3


def test_peak_memory_is_the_tasks_own(tmp_path):
    big = b"x" * 400_000_000
    del big
    assert run(text(), tmp_path)["peak_memory_gb"] < task.process.peak_memory_gb("cpu") + 0.3
    code = "from bailong.run import process; b = b'x' * 400_000_000; print(process.peak_memory_gb('cpu')); del b; "
    code += (
        "process.forget_peak_memory(); print(process.peak_memory_gb('cpu')); import sys; print('torch' in sys.modules)"
    )
    before, after, torch = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(before) > 0.4 and float(after) < 0.2 and torch == "False"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"null", b'{"task": "a"}', b"\xff\xfe", b'{"fingerprint": 3, "facts": {}, "digest": ""}'],
)
def test_an_unreadable_manifest_is_no_manifest(tmp_path, garbage):
    run(text(), tmp_path)
    (tmp_path / "a" / "manifest.json").write_bytes(garbage)
    assert finished(text(), tmp_path) is None
    below = text("b", "two", ("a",))
    assert finished(below, tmp_path) is None
    if b"fingerprint" not in garbage:
        with pytest.raises(FileNotFoundError, match="^b reads a task that is not done.*/a holds"):
            run(below, tmp_path)
    run(text(), tmp_path)
    assert content(tmp_path) == "one" and finished(text(), tmp_path) and run(below, tmp_path)


def test_whatever_stands_in_its_place_gives_way(tmp_path):
    (tmp_path / "a").mkdir()
    assert run(text(), tmp_path)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_text("a file")
    assert finished(text(), tmp_path) is None and run(text(), tmp_path)
    (tmp_path / "a" / "more").write_text("of a killed run of old")
    (tmp_path / "a" / "manifest.json").unlink()
    assert run(text(), tmp_path) and not (tmp_path / "a" / "more").exists()
    assert not scratches(tmp_path)


def test_an_interrupted_or_failed_task_leaves_nothing(tmp_path):
    run(text(), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(Task("a", f"{HERE}:half"), tmp_path)
    assert content(tmp_path) == "one" and finished(text(), tmp_path)
    assert not scratches(tmp_path)
    with pytest.raises(FileNotFoundError, match="^a reads a task that is not done.*/b/"):
        run(text("a", "two", ("b",)), tmp_path)


def test_a_full_disk_is_the_users_to_mend_and_other_errors_are_not(tmp_path, monkeypatch):
    for number in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(ValueError, match="is full: make room"):
            run(Task("a", f"{HERE}:no_room", {"number": number}), tmp_path)
    for number in (errno.EIO, 0):
        with pytest.raises(OSError, match="requested"):
            run(Task("a", f"{HERE}:no_room", {"number": number}), tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(ValueError, match="is full: make room"):  # NumPy's error has no number
        run(Task("a", f"{HERE}:no_room", {"number": 0}), tmp_path)
    assert not scratches(tmp_path) and not (tmp_path / "a").exists()


def test_an_error_of_the_file_system_does_not_loop(tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        run(text(), tmp_path)
    assert not scratches(tmp_path)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours may catch it, and nothing is tidied after it."""


@pytest.mark.parametrize("fatal", range(6))
def test_killed_between_any_two_renames(tmp_path, monkeypatch, fatal):
    """An old folder gives way in several system calls; the process may end before or after each of them."""
    run(text("a", "old"), tmp_path)
    calls, rename = 0, Path.rename

    def counted(self, target):
        nonlocal calls
        calls += 1
        if calls - 1 == fatal // 2 and fatal % 2 == 0:
            raise Killed
        moved = rename(self, target)
        if calls - 1 == fatal // 2:
            raise Killed
        return moved

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted)
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        try:
            run(text("a", "new"), tmp_path)
            died = False
        except Killed:
            died = True
    assert died or fatal == 1  # its first rename fails, and so there is no "after"
    for words in ("old", "new"):
        if finished(text("a", words), tmp_path):
            assert content(tmp_path) == words
    run(text("a", "new"), tmp_path)
    assert content(tmp_path) == "new"
    task.clear(tmp_path)
    assert not scratches(tmp_path)


RACE = """
import sys, time
from pathlib import Path
from tests.prepare.work.test_task import text
from bailong.prepare.work import task
root, words = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True); sys.stdin.readline()
for i in range(60):
    task.run(text("a", f"{words} {i}"), root)
"""


def test_two_workers_at_the_same_task(tmp_path):
    """Both replace the same stale folder at the same time, over and over."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), "same"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for racer in racers:
        racer.stdout.readline()
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        said = racer.communicate(timeout=60)[1]
        assert racer.returncode == 0, said
    assert content(tmp_path) == "same 59" and finished(text("a", "same 59"), tmp_path) and not scratches(tmp_path)


def test_a_late_worker_does_not_disturb_what_is_published(tmp_path, monkeypatch):
    """A twin publishes while ours still works: its folder stays the very same one, open files and all."""
    run(text("a", "old"), tmp_path)
    digest, twins = task.digest, []

    def slowly(folder, facts):
        if not twins:
            twins.append(1)
            run(text("a", "new"), tmp_path)
            twins.append((tmp_path / "a").stat().st_ino)
        return digest(folder, facts)

    monkeypatch.setattr(task, "digest", slowly)
    run(text("a", "new"), tmp_path)
    assert (tmp_path / "a").stat().st_ino == twins[1] and not scratches(tmp_path)


def test_what_changes_under_a_running_task_does_not_pass_for_what_was_asked(tmp_path, monkeypatch):
    run(text("a", "one"), tmp_path)
    below, digest = text("b", "two", ("a",)), task.digest

    def meddle(folder, facts):
        monkeypatch.setattr(task, "digest", digest)
        run(text("a", "ONE"), tmp_path)
        return digest(folder, facts)

    monkeypatch.setattr(task, "digest", meddle)
    run(below, tmp_path)
    assert finished(below, tmp_path) is None  # it read the old input
    run(below, tmp_path)
    assert content(tmp_path, "b") == "ONEtwo"


def test_what_real_data_brings_along(tmp_path):
    made = run(Task("a", f"{HERE}:odd", {"path": os.fsdecode(b"caf\xe9")}), tmp_path)
    assert made["facts"] == {"sample": "\ud83d", "text": "龍"}
    (tmp_path / "a" / "deep" / "manifest.json").write_text("another")
    assert task.digest(tmp_path / "a", made["facts"]) != made["digest"]  # its own manifest alone stands aside


def test_names_are_names_of_folders():
    for name in ("", "/a", "a/", "a//b", "../a", ".partial/a", "a/."):
        with pytest.raises(AssertionError):
            Task(name, "m:f")
    with pytest.raises(AssertionError, match="both"):
        Task("a", "m:f", {"x": 1}, local={"x": 2})


def test_sweep_keeps_what_is_wanted_and_what_no_task_made(tmp_path):
    for name in ("a", "kept/1", "kept/2", "older/x/y", "turned"):
        run(text(name), tmp_path)
    run(text("turned/into/folders"), tmp_path)
    (tmp_path / "kept" / "1" / "inner").mkdir()
    (tmp_path / "kept" / "1" / "inner" / "manifest.json").write_text("of the task's own making")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("no task made this")
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / ".partial" / "dead").mkdir()
    (tmp_path / ".partial" / "dead" / "lock").touch()
    sweep(tmp_path, ["kept/1", "turned/into/folders"])
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and ".partial" not in p.parts}
    assert left == {
        "kept/1/text",
        "kept/1/manifest.json",
        "kept/1/inner/manifest.json",
        "turned/into/folders/text",
        "turned/into/folders/manifest.json",
        "mine/notes",
        "manifest.json",
    }
    assert not scratches(tmp_path)
    with pytest.raises(AssertionError, match="hold other tasks"):
        sweep(tmp_path, ["kept", "kept/1"])
    sweep(tmp_path / "nowhere", [])


def test_clear_leaves_those_alone_who_work(tmp_path):
    code = "from tests.prepare.work.test_task import *; root = Path(sys.argv[1])\n"
    code += "with task._scratch('a/b', root) as place: print(place, flush=True); time.sleep(60)"
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    place = Path(worker.stdout.readline().strip())
    young, old = tmp_path / ".partial" / "young", tmp_path / ".partial" / "old"
    for folder in (young, old):
        folder.mkdir()
    os.utime(old, (1, 1))
    task.clear(tmp_path)
    assert set(scratches(tmp_path)) == {place, young}
    worker.kill()
    worker.wait()
    task.clear(tmp_path)
    assert scratches(tmp_path) == [young]


def test_many_tasks_that_read_many(tmp_path):
    """Each input's manifest, which may be long, is read once a process."""
    names = [f"in/{i:05d}" for i in range(2000)]
    facts = {"samples": ["x" * 1000] * 40}
    for i, name in enumerate(names):
        (tmp_path / name).mkdir(parents=True)
        manifest = {"fingerprint": "", "facts": facts, "digest": str(i)}
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    tasks = [Task(f"out/{i}", "m:f", {"i": i}, tuple(names)) for i in range(12)]
    began = time.process_time()
    first = fingerprint(tasks[0], tmp_path)
    once = time.process_time() - began
    assert len({fingerprint(t, tmp_path) for t in tasks[1:]} | {first}) == 12
    assert time.process_time() - began - once < 11 * once / 2
    changed = tmp_path / names[7] / "manifest.json"
    changed.write_text(json.dumps({"fingerprint": "", "facts": {}, "digest": "another"}))
    assert fingerprint(tasks[0], tmp_path) != first
