"""The process that a run lives in: its signals, its memory, its place among other processes, its noisy libraries."""

import contextlib
import gc
import logging
import math
import os
import resource
import signal
import subprocess
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

    def __init__(self, module: Any, left: str = "the same command goes on from the last checkpoint") -> None:
        """`left`: what is said at a second one."""
        self.module, self.left = module, left

    def __enter__(self) -> None:
        self.before = {number: signal.getsignal(number) for number in ASKING}

    def listen(self) -> None:
        """Take over from Lightning, which at SIGTERM raises in the middle of a step."""
        for number in self.before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self.module.stop_signal is not None:
            # Not an exception: Lightning would turn it into exit code 1. The checkpoint is whole at any moment.
            print(f"stopped at once; {self.left}", file=sys.stderr)
            os._exit(128 + number)
        self.module.stop_signal = number

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or another signal that asks for a stop: its `number`, by which the command's exit code is known."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A kill or a closed terminal is a `KeyboardInterrupt`, as Ctrl-C is: what is open is closed on the way out."""

    def interrupt(number: int, _: object) -> None:
        raise Interrupted(number)

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


def alone() -> bool:
    """Whether this process has but one thread, those that only a library knows of included (Linux)."""
    return threading.active_count() == 1 and len(os.listdir("/proc/self/task")) == 1


def usable_cores() -> int:
    """Processors that this process may use: those it may run on, or as many as the quota of a container is worth."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, cpu_quota())))


def cpu_quota(mounted: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Processors' worth of time that the control groups of this process leave it (versions 1 and 2); inf: no bound.

    Neither `os.cpu_count` nor `os.process_cpu_count` looks there.
    """
    quota = math.inf
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():  # 0::/path in version 2, 4:cpu,cpuacct:/path in version 1
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = mounted / "cpu" if controllers else mounted
            here = Path(path.strip("/"))
            for group in (here, *here.parents):  # any of them may have one; inside a container only the last is seen
                with contextlib.suppress(OSError, ValueError):  # no such file, or `max`
                    if controllers:
                        names = "cpu.cfs_quota_us", "cpu.cfs_period_us"
                        granted, period = (float((top / group / name).read_text()) for name in names)
                    else:
                        granted, period = map(float, (top / group / "cpu.max").read_text().split())
                    if granted > 0:  # -1: none
                        quota = min(quota, granted / period)
    return quota


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


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For the first import of torch and what stands on it, or of what draws: the garbage collector rests, and leaves
    alone for good what was imported.

    It would look through every module time and again, a fifth of the CPU time of the imports, and once more at each of
    its full collections afterwards. Where torch is there already nothing is changed.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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


def child_environment(threads: int) -> dict[str, str]:
    """OpenMP settings of a job, needed before torch is imported.

    Spinning barriers make two threads on a busy 2-core machine 12 to 37 times slower than one.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it trainer.deterministic=true fails on CUDA
    }


def visible_gpus() -> list[str]:
    """The CUDA devices that jobs may be given, without importing torch."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [device for device in visible.split(",") if device]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, _ in enumerate(line for line in listing.splitlines() if line.startswith("GPU"))]
