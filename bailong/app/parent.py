"""The process that jobs of a sweep are forked from: it imports what they need once (`bailong.app.forked` starts it).

    python -m bailong.app.parent SOCKET [MODULE ...]

A fork takes over the thread that calls it and no other, and half of whatever the others were doing. So this process
does nothing but import, wait and fork: no thread runs in it, no OpenMP pool was ever used, CUDA was never asked for. A
job is then what it is when it is started by itself: a process and a session of its own, settings on its standard input,
output to its `console.log`. Only the imports are paid once.

Not `multiprocessing`'s fork server: that stands in the sweep's process group, where Ctrl-C and a closed terminal reach
it, imports the sweep's own main module into each job, and tells its own death as exit code 255 of jobs that go on.
"""

import contextlib
import importlib
import os
import select
import signal
import socket
import sys

import threadpoolctl

from bailong.app import job
from bailong.run.process import alone, importing, quiet

#: OpenBLAS starts its threads when numpy is imported, as many as OMP_NUM_THREADS where this does not say otherwise
BLAS = "OPENBLAS_NUM_THREADS"


def main(control: socket.socket, modules: list[str]) -> None:
    """Import, then fork on request until the sweep closes its end or dies; in a job, be the job."""
    asked = os.environ.get(BLAS)
    os.environ[BLAS] = "1"
    with importing():  # no job's collector looks through what was imported, and its pages stay shared
        importlib.import_module("bailong.app.explain")
        quiet()
        for name in modules:
            importlib.import_module(name)
    if why := _unfit():
        raise SystemExit(why)
    if _Parent(control).serve():
        _blas(asked)
        sys.argv[:] = [job.__file__]
        job.main()


def _unfit() -> str | None:
    """Why nothing can be forked here; None where it can."""
    import torch

    if not alone():
        return "a thread was started by what jobs import"
    return "torch sees a GPU, which a forked job could not use" if torch.cuda.is_available() else None


def _blas(asked: str | None) -> None:
    """Give OpenBLAS the threads that it would have started on its import."""
    del os.environ[BLAS]
    if asked is not None:
        os.environ[BLAS] = asked
    threads = next(int(words) for words in (asked or "", os.environ["OMP_NUM_THREADS"]) if words.isdigit())
    if threads > 1:
        threadpoolctl.ThreadpoolController().select(internal_api="openblas").limit(limits=threads)


class _Parent:
    """The jobs that were forked and have not ended.

    Args:
        control: where requests come in, each with three files: a job's standard input, its output, and where its
            process and its end are told.
    """

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.jobs: dict[int, int] = {}  # process -> where its end is told
        self.wake, self.waker = os.pipe()
        for end in (self.wake, self.waker):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored by default, and then nobody is woken
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)

    def serve(self) -> bool:
        """Fork on request; True in a forked process, False when the sweep has closed its end, or is dead."""
        events = select.poll()
        events.register(self.control, select.POLLIN)
        events.register(self.wake, select.POLLIN)
        while True:
            came = dict(events.poll())
            if came.get(self.control.fileno(), 0) & select.POLLHUP:
                return False  # whatever it asked for before
            if self.wake in came:
                os.read(self.wake, 4096)
                self._tell_ended()
            if self.control.fileno() in came:
                _, files, _, _ = socket.recv_fds(self.control, 16, 3)
                for file in files:
                    os.set_inheritable(file, False)  # what a job starts must not look like the job
                if self._fork(*files):
                    return True

    def _fork(self, stdin: int, output: int, told: int) -> bool:
        """True in the job. It keeps `told` open: who reads there sees when it ends, whatever became of its parent."""
        process = os.fork()
        if process:
            os.close(stdin)
            os.close(output)
            self.jobs[process] = told
            _tell(told, process)
            return False
        os.setsid()  # Ctrl-C reaches the sweep alone, which then asks each job to save and stop
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for here, there in ((stdin, 0), (output, 1), (output, 2)):
            os.dup2(here, there)
        for end in (stdin, output, self.wake, self.waker, *self.jobs.values()):
            os.close(end)
        self.control.close()
        return True

    def _tell_ended(self) -> None:
        for process, told in list(self.jobs.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                _tell(told, os.waitstatus_to_exitcode(status))
                os.close(told)
                del self.jobs[process]


def _tell(where: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody reads it: the sweep is dead, or has lost interest
        os.write(where, f"{number}\n".encode())


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
