"""The process that a run lives in: its signals, its memory, its place among other processes, its noisy libraries."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: signals that ask for a stop: Ctrl-C, a scheduler's or a person's kill, a closed terminal
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def rank() -> int:
    """This process's place among those of one run (Lightning's DDP starts the same command again for each device)."""
    return int(os.environ.get("LOCAL_RANK", "0"))


class Stopping:
    """The first SIGTERM, Ctrl-C or closed terminal asks the module to save and stop; a second one is immediate."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.before = {number: signal.getsignal(number) for number in ASKING}

    def listen(self) -> None:
        """Take over from Lightning, which at SIGTERM raises in the middle of a step."""
        for number in self.before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self.module.stop_signal is not None:
            # Not an exception: Lightning would turn it into exit code 1. The checkpoint is whole at any moment.
            print("stopped at once; the same command goes on from the last checkpoint", file=sys.stderr)
            os._exit(128 + number)
        self.module.stop_signal = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A kill or a closed terminal is a `KeyboardInterrupt`, as Ctrl-C is: what is open is closed on the way out."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may ask for signals
        return
    before = {number: signal.getsignal(number) for number in ASKING}
    # what is ignored stays ignored: `nohup` means it
    before = {n: handler for n, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_memory_gb(device: str) -> float:
    """Most memory held so far, in 10^9 bytes: allocated on the GPU, else resident on the CPU."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 1e9
    with contextlib.suppress(OSError):
        # not `ru_maxrss`, which a new process inherits from the one that started it
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def forget_peak_memory() -> None:
    """Count the CPU's `peak_memory_gb` from here on, where the kernel lets us (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def quiet() -> None:
    """Silence the advertisements and load reports of libraries; their errors stay."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # on a CPU bitsandbytes reports an optional kernel package that nothing here needs
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.CRITICAL)
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*ModelSummary.*",
        ".*`isinstance\\(treespec.*",
        ".*litlogger.*",
    ):
        warnings.filterwarnings("ignore", message=message)
