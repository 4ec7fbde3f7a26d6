"""Slurm, for sites where a long-lived Ray head is unwelcome: each phase is a job array.

The array is written and submitted by datatrove's `SlurmPipelineExecutor`, which takes plain callables. What datatrove
marks as completed does not count: the manifests of the tasks do.
"""

import dataclasses
import functools
import json
import os
import pickle
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from bailong.prepare.engine.attempt import LESS_MEMORY, Failure, attempt
from bailong.prepare.engine.base import Engine
from bailong.prepare.work.task import Task, clear, finished
from bailong.run.checks import require
from bailong.run.process import interruptible

#: seconds after the end of a job in which a shared file system may still show what it wrote
SETTLING = 5.0


@dataclass
class Slurm(Engine):
    """Job arrays; the knobs are sbatch's, see conf/engine/slurm.yaml.

    What is submitted stands in `.slurm/<time>/` below the root of the tasks: their list, the scripts, the logs. A
    job that an earlier, killed command left behind is cancelled first.
    """

    name: str = "slurm"
    partition: str = MISSING
    time: str = "08:00:00"
    array: int = 100
    workers: int | None = None
    cpus_per_task: int = 1
    memory_gb: int = 4
    gpus_per_task: int = 0
    qos: str | None = None
    setup: str = ""
    sbatch_args: dict[str, Any] = field(default_factory=dict)
    poll_seconds: float = 10.0
    retries: int = 2

    one_machine: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.positive("array", "cpus_per_task", "memory_gb", "poll_seconds")
        for key in ("gpus_per_task", "retries"):
            require(getattr(self, key) >= 0, f"engine.{key}", getattr(self, key), "0 or more")
        self.require(self.workers is None or self.workers > 0, "workers", "above 0, or null")

    def run(self, tasks: Sequence[Task], root: Path, done: Callable[[Task], None]) -> None:
        root = root.resolve()
        cancel(_left_behind(root))
        left = list(tasks)
        for _ in range(self.retries + 1):
            left = self._submit_and_wait(left, root, done)
            if not left:
                return
        raise RuntimeError(
            f"task {left[0].name} and {len(left) - 1} more were given up: {self.retries + 1} jobs ended without them, "
            f"see {root / '.slurm'}. Most likely engine.time is too short, or the memory ran out: {LESS_MEMORY}"
        )

    def _submit_and_wait(self, tasks: list[Task], root: Path, done: Callable[[Task], None]) -> list[Task]:
        """One job array; the tasks that it left undone."""
        folder = root / ".slurm" / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        folder.mkdir(parents=True)
        (folder / "tasks.json").write_text(json.dumps([dataclasses.asdict(task) for task in tasks]), encoding="ascii")
        left = tasks
        try:
            with interruptible():
                job = self._submit(folder, root, tasks)
                (folder / "job").write_text(job)
                ended = False
                while left and not ended:
                    ended = not alive(job)
                    time.sleep(min(SETTLING, self.poll_seconds) if ended else self.poll_seconds)
                    if failure := next((_load(path) for path in sorted(folder.glob("failed/*.pickle"))), None):
                        raise failure.error()
                    still = []
                    for task in left:
                        # a look at the manifest alone before all that decides whether it is still valid
                        if (root / task.name / "manifest.json").exists() and finished(task, root):
                            done(task)
                        else:
                            still.append(task)
                    left = still
        except BaseException:
            cancel([folder])
            clear(root)
            raise
        (folder / "job").rename(folder / "ended")
        return left

    def _submit(self, folder: Path, root: Path, tasks: list[Task]) -> str:
        """Number of the submitted job."""
        try:
            from datatrove.executor.slurm import SlurmPipelineExecutor  # type: ignore[import-not-found]
            from datatrove.utils.logging import logger  # type: ignore[import-not-found]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "engine=slurm needs the package datatrove: pip install 'bailong[slurm]'"
            ) from error
        from bailong.run.process import child_environment

        ranks = min(self.array, len(tasks))
        exports = child_environment(self.cpus_per_task) | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        }
        setup = [f"export {key}={shlex.quote(value)}" for key, value in exports.items()]
        executor = SlurmPipelineExecutor(
            pipeline=[functools.partial(run_rank, folder=str(folder), root=str(root), cwd=os.getcwd())],
            tasks=ranks,
            time=self.time,
            partition=self.partition,
            cpus_per_task=self.cpus_per_task,
            mem_per_cpu_gb=self.memory_gb,
            gpus_per_task=self.gpus_per_task if any(task.local.get("gpus") for task in tasks) else 0,
            workers=self.workers or -1,
            job_name="bailong",
            qos=self.qos,  # type: ignore[arg-type]
            env_command="; ".join([*setup, *([self.setup] if self.setup else [])]),
            sbatch_args=dict(self.sbatch_args),
            max_array_size=ranks,
            logging_dir=str(folder / "datatrove"),
            slurm_logs_folder=str(folder / "logs"),
        )
        logger.disable("datatrove")
        executor.launch_merge_stats = nothing  # a second job for statistics that a plain callable does not have
        try:
            executor.run()
        except FileNotFoundError as error:
            raise FileNotFoundError("engine=slurm needs sbatch, and this machine has none") from error
        except subprocess.CalledProcessError as error:
            raise ValueError(f"sbatch refused the job (engine.partition={self.partition}, ...): {error}") from error
        return str(executor.job_id)


def run_rank(data: Any, rank: int, world_size: int, *, folder: str, root: str, cwd: str) -> None:
    """What one rank of the array does: its share of the listed tasks. The first failure ends it."""
    os.chdir(cwd)
    listed = json.loads(Path(folder, "tasks.json").read_text(encoding="ascii"))
    for fields in listed[rank::world_size]:
        task = Task(**fields)
        if failure := attempt(task, Path(root)):
            place = Path(folder, "failed", f"{rank:05d}.pickle")
            place.parent.mkdir(exist_ok=True)
            partial = place.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(failure))
            partial.rename(place)
            raise failure.error()


def nothing() -> None:
    """In place of datatrove's job for statistics; a function with a name, since it is pickled with the executor."""


def alive(job: str) -> bool:
    """Whether Slurm still has something of the job in its queue. When it does not answer, we believe so."""
    asked = subprocess.run(["squeue", "--noheader", "--jobs", job], capture_output=True, text=True)
    if asked.returncode == 0:
        return bool(asked.stdout.strip())
    return "Invalid job id" not in asked.stderr  # what it says of a job that ended a while ago


def cancel(folders: Iterable[Path]) -> None:
    """Stop the jobs that were submitted from these folders."""
    for folder in folders:
        if (file := folder / "job").exists():
            subprocess.run(["scancel", file.read_text()], capture_output=True)
            file.rename(folder / "cancelled")


def _left_behind(root: Path) -> list[Path]:
    return [file.parent for file in root.glob(".slurm/*/job") if alive(file.read_text())]


def _load(path: Path) -> Failure:
    return pickle.loads(path.read_bytes())
