"""What an engine is: it runs tasks, in any order, as often as needed. Tasks record themselves what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bailong.prepare.work.task import Task
from bailong.run.checks import Knobs


@dataclass
class Engine(Knobs, group="engine"):
    """Common knobs of every engine."""

    name: str = "engine"

    #: whether tasks see the driver's files under the same paths without further ado
    one_machine: ClassVar[bool] = True

    def run(self, tasks: Sequence[Task], root: Path, done: Callable[[Task], None]) -> None:
        """Run every task (`bailong.prepare.work.task.run`) below `root`; return when all are done.

        `done` is called in the driver as each task completes. The order of tasks and the number of workers must
        not matter to their output, and a task whose worker died is run again.

        Raises:
            ValueError: what a task refused, unchanged.
            RuntimeError: a task failed or its workers kept dying; the message names the task.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of workers."""
