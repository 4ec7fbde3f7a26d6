"""The processors of this machine (the default engine): no daemon, no other package."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from bailong.prepare.engine.attempt import Deaths, attempt
from bailong.prepare.engine.base import Engine
from bailong.prepare.work.task import Task, clear
from bailong.run.process import interruptible, usable_cores

PR_SET_PDEATHSIG = 1  # of Linux's prctl(2)


@dataclass
class Local(Engine):
    """`workers` tasks at a time, each in a process of its own that serves task after task (null: one a usable core).

    With `workers: 1` they run in this very process. A task whose worker died is tried `retries` times more. Tasks
    that ask for a GPU (`local: {gpus: 1}`) run one a visible GPU where there is any.

    The workers are plain subprocesses and not a `concurrent.futures` pool: there one worker that is killed takes all
    others along, nobody says whose task it was, and nothing public stops a running task.
    """

    name: str = "local"
    workers: int | None = None
    retries: int = 2

    def __post_init__(self) -> None:
        self.require(self.workers is None or self.workers > 0, "workers", "above 0, or null")
        self.require(self.retries >= 0, "retries", "0 or more")
        self._pool: list[Worker] = []

    def run(self, tasks: Sequence[Task], root: Path, done: Callable[[Task], None]) -> None:
        root = root.resolve()
        count = self.workers or usable_cores()
        try:
            with interruptible():
                if count > 1:
                    self._spread(tasks, root, done, count)
                else:
                    for task in tasks:
                        if failure := attempt(task, root):
                            raise failure.error()
                        done(task)
        except BaseException:
            self.close()
            clear(root)
            raise

    def _spread(self, tasks: Sequence[Task], root: Path, done: Callable[[Task], None], count: int) -> None:
        deaths = Deaths(self.retries)
        waiting = deque(tasks)
        idle = self._hire(places(tasks, count)[: len(tasks)])
        busy: dict[Any, tuple[Worker, Task]] = {}
        while waiting or busy:
            while waiting and idle:
                worker = idle.pop()
                try:
                    worker.connection.send((waiting[0], root))
                except OSError:  # it died idle
                    idle.append(self._replace(worker))
                    continue
                busy[worker.connection] = worker, waiting.popleft()
            ready: list[Any] = wait(list(busy))
            for connection in ready:
                worker, task = busy.pop(connection)
                try:
                    failure = connection.recv()
                except (EOFError, OSError):
                    how = worker.end()
                    deaths.add(task, how)
                    logging.getLogger(__name__).warning("%s is tried again: its worker %s", task.name, how)
                    waiting.append(task)  # last, when fewer others need memory
                    idle.append(self._replace(worker))
                    continue
                if failure is not None:
                    raise failure.error()
                idle.append(worker)
                done(task)

    def _hire(self, wanted: list[dict[str, str]]) -> list[Worker]:
        """Workers for these places; those of the last call stay where they are."""
        for i, place in enumerate(wanted):
            if i == len(self._pool):
                self._pool.append(Worker(place))
            elif self._pool[i].place != place:
                self._replace(self._pool[i], place)
        return self._pool[: len(wanted)]

    def _replace(self, worker: Worker, place: dict[str, str] | None = None) -> Worker:
        worker.end()
        fresh = self._pool[self._pool.index(worker)] = Worker(worker.place if place is None else place)
        return fresh

    def close(self) -> None:
        for worker in self._pool:
            worker.process.kill()
        for worker in self._pool:
            worker.end()
        self._pool = []


class Worker:
    """A process that runs the tasks it is sent, with `place` added to its environment."""

    def __init__(self, place: dict[str, str]) -> None:
        from bailong.run.process import child_environment

        self.place = place
        self.connection, theirs = Pipe()
        # -P and the driver's own path: the worker imports the very modules that the driver imports, and not
        # whatever `bailong/` lies in this folder
        path = [entry or os.getcwd() for entry in sys.path]
        serving = f"from bailong.prepare.engine.local import serve; serve({theirs.fileno()}, {os.getpid()})"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {path!r}; {serving}"],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | child_environment(threads=1) | place,
            start_new_session=True,  # Ctrl-C reaches the driver alone, which then stops everybody
        )
        theirs.close()

    def end(self) -> str:
        """Stop it, and say how it ended."""
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.2)  # one that died is still being buried when its pipe is already closed
        self.process.kill()
        code = self.process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def serve(descriptor: int, driver: int) -> None:
    """What a worker does: attempt every task that comes, until the driver is gone."""
    _die_with(driver)
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            connection.send(attempt(*connection.recv()))


def places(tasks: Sequence[Task], count: int) -> list[dict[str, str]]:
    """What each worker's environment has of its own: a GPU, if tasks ask for one and there is any."""
    from bailong.run.process import visible_gpus

    gpus = visible_gpus() if any(task.local.get("gpus") for task in tasks) else []
    return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus][:count] or [{}] * count


def _die_with(driver: int) -> None:
    """End with the driver, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != driver:
            os._exit(1)  # it ended before it could be watched
        return

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
