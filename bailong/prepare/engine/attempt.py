"""One attempt at a task, as every engine makes it in its workers, and what the driver says of those that failed."""

import pickle
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bailong.prepare.work.task import Task, run

#: what `bailong.cli` tells the user in one line
REFUSALS = (ValueError, FileNotFoundError, PermissionError, ModuleNotFoundError)


@dataclass(frozen=True)
class Failure:
    """Why a task failed, in a form that any pipe carries.

    Attributes:
        refusal: the exception if it was meant for the user.
        said: type and message, in one line.
        trace: the worker's traceback.
    """

    task: str
    refusal: Exception | None
    said: str
    trace: str

    def error(self) -> Exception:
        """What the driver raises: a refusal unchanged, anything else as a `RuntimeError` that names the task."""
        error = self.refusal or RuntimeError(f"task {self.task} failed: {self.said}")
        error.add_note(f"task {self.task}, in its worker:\n{self.trace}")
        return error


def attempt(task: Task, root: Path) -> Failure | None:
    """Run the task; None if it is done."""
    try:
        run(task, root)
        return None
    except MemoryError:
        said = "the memory ran out: " + LESS_MEMORY
        return Failure(task.name, None, said, traceback.format_exc())
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(task.name, _refusal(error), said, traceback.format_exc())


def _refusal(error: Exception) -> Exception | None:
    for kind in REFUSALS:
        if isinstance(error, kind):
            try:
                return pickle.loads(pickle.dumps(error))
            except Exception:  # a subclass with a constructor of its own
                return kind(str(error))
    return None


LESS_MEMORY = "run fewer tasks at a time (engine.workers) or make smaller shards (collect.shard_mb)"


class Deaths:
    """How often the workers of each task died."""

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self.counts: Counter[str] = Counter()

    def add(self, task: Task, how: str) -> None:
        """Count one.

        Raises:
            RuntimeError: the task has been tried often enough.
        """
        self.counts[task.name] += 1
        if self.counts[task.name] > self.retries:
            raise RuntimeError(
                f"task {task.name} was given up: its worker died {self.counts[task.name]} times, at last {how}. "
                f"Most likely the memory ran out: {LESS_MEMORY}"
            )
