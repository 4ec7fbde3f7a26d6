"""Jobs that are forked from one process, in which torch and the other libraries were imported once.

On the tiny model a fifth of a job's CPU time is imports. `bailong.app.parent` is that process, and says when it can
fork.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from bailong.run.process import child_environment

if TYPE_CHECKING:
    from bailong.train.settings import Train

#: what a run imports (`bailong.train.train`), and where it has a W&B run, what `wandb.init` does
MODULES, WANDB = ("bailong.train.train", "bailong.train.fit"), ("wandb", "wandb.sdk.launch")


class Parent:
    """The process that jobs are forked from.

    Args:
        jobs: the settings of those that may be, all with the same `trainer.threads`: OpenMP reads that on import.
    """

    def __init__(self, jobs: Sequence[Train]) -> None:
        writes = any(job.tracking.wandb != "off" for job in jobs)
        modules = [*MODULES, *(WANDB if writes else ())]
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        self.ready = False
        self.told = False  # that it has ended before its time
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "bailong.app.parent", str(theirs.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=self.said,
                stderr=subprocess.STDOUT,
                env=os.environ | child_environment(jobs[0].trainer.threads),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fork(self, output: IO[bytes]) -> Forked:
        """Ask for a job; it begins when everything is imported."""
        ours, theirs = os.pipe(), os.pipe()
        (stdin, settings), (told, tells) = ours, theirs
        try:
            socket.send_fds(self.control, [b"fork"], [stdin, output.fileno(), tells])
        except OSError:
            pass  # it is dead: what it would tell ends here, as it does if it dies before it reads this
        finally:
            os.close(stdin)
            os.close(tells)
        return Forked(self, settings, told)

    def fault(self) -> str | None:
        """Why it has ended; None while it lives."""
        code = self.process.poll()
        if code is None:
            return None
        if code < 0:
            return signal.Signals(-code).name
        self.said.seek(0)
        words = self.said.read().decode(errors="replace").strip().splitlines()
        return words[-1] if words else f"exit code {code}"

    def close(self) -> None:
        """End it."""
        self.control.close()
        if not self.ready:
            self.process.terminate()  # still importing
        self.process.wait()
        self.said.close()


class Forked:
    """A forked job, to be dealt with as a `subprocess.Popen`."""

    def __init__(self, parent: Parent, settings: int, told: int) -> None:
        self.parent = parent
        self.stdin = os.fdopen(settings, "wb")
        self.told = os.fdopen(told, "rb")
        self.pid: int | None = None
        self.asked: int | None = None
        self.over = False
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives, and where nobody knows it any more."""
        return self.returncode

    def wait(self) -> int | None:
        """The exit code; None where its parent ended before it; the job has ended then too."""
        if self.over:
            return self.returncode
        with self.told:
            if first := self.told.readline():
                self.pid, self.parent.ready = int(first), True
                if self.asked is not None:
                    self._kill(self.asked)
            if last := self.told.readline():
                self.returncode = int(last)
        self.over = True
        return self.returncode

    def send_signal(self, number: int) -> None:
        self.asked = number
        if self.pid is not None:
            self._kill(number)
        elif not self.parent.ready:
            self.parent.process.terminate()  # it is importing, and has forked nothing

    def _kill(self, number: int) -> None:
        if self.pid is not None and not self.over:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and its parent has yet to tell
                os.kill(self.pid, number)
