"""One piece of work with a durable record: a function, its arguments, the tasks it reads, and a folder it fills.

A task's folder appears whole or not at all. Its `manifest.json` holds a fingerprint of everything that decided its
content: function, version, arguments, and the digests of the folders it read. A folder whose fingerprint is the one
asked for is done; any other is made again. So a run can be killed at any moment and be started again with any engine
and any number of workers: it ends in the same bytes.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import importlib
import itertools
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailong.run import process

#: A task's function is part of its fingerprint: it keeps the name under which it was first recorded, so that finished
#: work stays valid when code moves. Where such modules stand today; one that is not here has not moved.
MOVED = {
    "bailong.data.clean": "bailong.prepare.clean",
    "bailong.data.clusters": "bailong.prepare.clusters",
    "bailong.data.publish": "bailong.prepare.publish",
    "bailong.dedup.cluster_cut": "bailong.prepare.dedup.cluster_cut",
    "bailong.dedup.cluster_pairs": "bailong.prepare.dedup.cluster_pairs",
    "bailong.dedup.clusters": "bailong.prepare.dedup.clusters",
    "bailong.dedup.embed": "bailong.prepare.dedup.embed",
    "bailong.step.collect": "bailong.prepare.step.collect",
    "bailong.step.exact_dedup": "bailong.prepare.step.exact_dedup",
    "bailong.step.minhash": "bailong.prepare.step.minhash",
    "bailong.step.mix": "bailong.prepare.step.mix",
    "bailong.step.pack": "bailong.prepare.step.pack",
    "bailong.step.semdedup": "bailong.prepare.step.semdedup",
    "bailong.step.templates": "bailong.prepare.step.templates",
}


@dataclass(frozen=True)
class Task:
    """A call `function(target, inputs, arguments) -> facts` that fills the folder `target`.

    Attributes:
        name: the task's folder below the root, such as `minhash/bands/00003`. No task's folder lies in another's.
        function: `module:name` of a module-level function (see `MOVED`). It writes files into the `target` folder,
            reads the folders of `inputs`, and returns JSON-able facts for the manifest. It must not depend on anything
            else: no clock, no global random state, no order of finishing. What it measured of the machine it returns
            under the key `speed`, which no digest counts.
        arguments: JSON-able; part of the fingerprint. They hold no path that may differ between machines, and reach
            the function as JSON brings them (lists for tuples), whatever the engine.
        inputs: names of the tasks whose folders are read, in order.
        version: of the function's meaning; part of the fingerprint.
        local: JSON-able settings that never change the result (paths of models, batch sizes); not in the fingerprint.
    """

    name: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    version: int = 1
    local: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = self.name.split("/")
        assert all(part and not part.startswith(".") for part in parts), f"not a name of a folder: {self.name!r}"
        assert not self.arguments.keys() & self.local.keys(), f"{self.name}: both an argument and local"


def run(task: Task, root: Path) -> dict[str, Any]:
    """Do the task unless it is done, and return its manifest.

    Safe to run twice at once: both write the same bytes, and the later rename is dropped.

    Raises:
        FileNotFoundError: a task that it reads is not done, or its folder not visible from this machine.
        ValueError: the disk is full; whatever the function refuses.
    """
    asked = fingerprint(task, root)  # now: what is read later must not pass for what was asked
    if (manifest := _made(task.name, asked, root)) is not None:
        return manifest
    module, _, function = task.function.partition(":")
    work: Callable[..., dict[str, Any] | None] = getattr(importlib.import_module(MOVED.get(module, module)), function)
    arguments = json.loads(json.dumps({**task.arguments, **task.local}))
    with _scratch(task.name, root) as scratch:
        folder = scratch / "folder"
        folder.mkdir()
        try:
            process.forget_peak_memory()
            began, cpu = time.perf_counter(), time.process_time()
            facts = work(folder, [root / name for name in task.inputs], arguments) or {}
            speed = facts.pop("speed", {})
            manifest = {
                "task": task.name,
                "fingerprint": asked,
                "facts": facts,
                "digest": digest(folder, facts),
                # of the machine and not of the result: they stand outside the digest
                "speed": speed,
                "seconds": round(time.perf_counter() - began, 3),
                "cpu_seconds": round(time.process_time() - cpu, 6),
                "peak_memory_gb": round(process.peak_memory_gb("cpu"), 3),
            }
            written = json.dumps(manifest)  # ASCII: facts about bad input may hold half a surrogate pair
            with (folder / "manifest.json").open("w", encoding="ascii") as stream:
                stream.write(written)
                stream.flush()
                os.fsync(stream.fileno())
            _publish(folder, task.name, asked, root)
        except OSError as error:
            # NumPy's "n requested and m written" has no number
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) and shutil.disk_usage(root).free > 2**20:
                raise
            raise ValueError(f"the disk of {root} is full: make room, and the same command goes on") from error
    return json.loads(written)


def finished(task: Task, root: Path) -> dict[str, Any] | None:
    """The manifest of a task that is done and still valid."""
    try:
        return _made(task.name, fingerprint(task, root), root)
    except FileNotFoundError:
        return None


def read(root: Path, name: str) -> dict[str, Any]:
    """The manifest of a task.

    Raises:
        FileNotFoundError: there is none that can be read.
    """
    try:
        manifest = json.loads((root / name / "manifest.json").read_bytes())
        if manifest.keys() >= {"fingerprint", "facts", "digest"}:
            return manifest
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, PermissionError):
            raise
    raise FileNotFoundError(f"{root / name} holds no finished task")


def facts(folder: Path) -> dict[str, Any]:
    """What the function of a task returned, by the task's folder."""
    return read(folder.parent, folder.name)["facts"]


def fingerprint(task: Task, root: Path) -> str:
    """Hash of everything that decides what a task writes.

    Raises:
        FileNotFoundError: a task that it reads is not done.
    """
    try:
        read_digests = [_input_digest(str(root), name, _stamp(f"{root}/{name}/manifest.json")) for name in task.inputs]
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = f"{task.name} reads a task that is not done, or not visible from this machine: {error}"
        raise FileNotFoundError(missing) from error
    asked = [task.function, task.version, task.arguments, read_digests]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def digest(folder: Path, facts: dict[str, Any]) -> str:
    """Hash of the files of a folder and of the facts of its task; its manifest stands aside.

    The files are on the disk when it returns: a manifest must not survive a power cut that they do not.
    """
    total = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    manifest = folder / "manifest.json"
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != manifest):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"\n{path.relative_to(folder)} {content}".encode(errors="surrogateescape"))
    return total.hexdigest()


def clear(root: Path) -> None:
    """Remove what killed processes left half done. Where a process is still at work is left alone."""
    for scratch in root.glob(".partial/*/"):
        if _abandoned(scratch):
            shutil.rmtree(scratch, ignore_errors=True)


def sweep(root: Path, names: Sequence[str]) -> None:
    """Remove what no task of the present configuration made: leftovers of a killed run, folders of an older config.

    Folders without a manifest, which no task made, stay.
    """
    clear(root)
    wanted = set(names)
    above = {str(parent) for name in wanted for parent in Path(name).parents}
    assert not wanted & above, f"tasks whose folders hold other tasks: {sorted(wanted & above)}"
    for place, folders, files in os.walk(root):
        name = str(Path(place).relative_to(root))
        if name == ".":
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
        elif name in wanted:
            folders.clear()
        elif "manifest.json" in files and name not in above:
            shutil.rmtree(place, ignore_errors=True)
            folders.clear()
        elif "manifest.json" in files:  # an older config had a task where this one has a folder of tasks
            for file in files:
                Path(place, file).unlink(missing_ok=True)


def _made(name: str, asked: str, root: Path) -> dict[str, Any] | None:
    """The manifest of a task if it was made as asked."""
    with contextlib.suppress(FileNotFoundError):
        manifest = read(root, name)
        return manifest if manifest["fingerprint"] == asked else None
    return None


def _stamp(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ino, status.st_size


@functools.lru_cache(maxsize=2**17)
def _input_digest(root: str, name: str, stamp: tuple[int, int, int]) -> str:
    """The digest in a manifest, read again only when the file is another: each of many tasks may read each of many."""
    return read(Path(root), name)["digest"]


@contextlib.contextmanager
def _scratch(name: str, root: Path) -> Iterator[Path]:
    """A hidden folder for one attempt, gone at the end. Its lock dies with the process: so `clear` knows the dead."""
    scratch = root / ".partial" / f"{name.replace('/', '.')}.{uuid.uuid4().hex[:12]}"
    scratch.mkdir(parents=True)
    try:
        with (scratch / "lock").open("w") as stream:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _abandoned(scratch: Path) -> bool:
    try:
        with (scratch / "lock").open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except FileNotFoundError:  # its process is about to make the lock, or died before
        with contextlib.suppress(FileNotFoundError):
            return time.time() - scratch.stat().st_mtime > 60
        return False
    except OSError:
        return False


def _publish(folder: Path, name: str, asked: str, root: Path) -> None:
    """Give a finished folder its name; an older one under that name gives way."""
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    for attempt in itertools.count():
        if _renamed(folder, target):
            return
        # One at a time: else the folder that another worker has just published could pass for the old one.
        with (root / ".partial" / "replace.lock").open("w") as stream:
            with contextlib.suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            if _made(name, asked, root) is not None:
                return  # another worker was faster, with the same bytes
            with contextlib.suppress(FileNotFoundError):
                target.rename(folder.with_name(f"old{attempt}"))
            if _renamed(folder, target):
                return


def _renamed(folder: Path, target: Path) -> bool:
    """Whether the folder could be moved; False if something is in its place."""
    try:
        folder.rename(target)
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
