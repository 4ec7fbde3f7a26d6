"""Ray: one machine, or a cluster of them (KubeRay, `ray symmetric-run` on Slurm, `ray up`).

Ray only schedules. Tasks read and write folders on a file system that every machine sees under the same path, and
their manifests are the record of what is done: a lost head costs nothing that was finished.
"""

import dataclasses
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bailong.prepare.engine.attempt import Deaths
from bailong.prepare.engine.base import Engine
from bailong.prepare.work.task import Task, clear
from bailong.run.process import interruptible, usable_cores

#: tasks submitted for each processor of the cluster: enough to keep it busy, few enough for any head
AHEAD = 4
#: bytes of Ray's object store (its least is 75 MB): results travel through files
OBJECT_STORE = 80 * 2**20
#: seconds in which the head of a cluster must answer; Ray itself would wait for minutes
ANSWER = 5.0


@dataclass
class Ray(Engine):
    """Ray Core tasks. `address: null` starts Ray on this machine; `auto` or an address joins a cluster.

    `workers` is the number of processors of a Ray that we start (null: the usable cores), and bounds the tasks at a
    time on a cluster that we join (null: no bound). Each task takes `cpus_per_task`, and one that asks for n GPUs
    (`local: {gpus: n}`) n times `gpus_per_task`: 0.5 lets two share one. A task whose worker died is tried `retries`
    times more.
    """

    name: str = "ray"
    address: str | None = None
    workers: int | None = None
    cpus_per_task: float = 1.0
    gpus_per_task: float = 1.0
    retries: int = 2

    one_machine: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.require(self.workers is None or self.workers > 0, "workers", "above 0, or null")
        self.require(self.cpus_per_task > 0, "cpus_per_task", "above 0")
        self.require(self.gpus_per_task >= 0, "gpus_per_task", "0 or more")
        self.require(self.retries >= 0, "retries", "0 or more")
        self._started = self._warned = False

    def run(self, tasks: Sequence[Task], root: Path, done: Callable[[Task], None]) -> None:
        with interruptible():
            ray = self._connect()  # sets a handler of SIGTERM, which goes with this block
        errors = ray.exceptions
        root, deaths, waiting = root.resolve(), Deaths(self.retries), deque(tasks)
        there = ray.remote(_attempt_there())
        flying: dict[Any, Task] = {}
        try:
            with interruptible():
                ahead, asked = self._ahead(ray), time.monotonic()
                while waiting or flying:
                    if time.monotonic() - asked > 10:  # a cluster may have grown
                        ahead, asked = self._ahead(ray), time.monotonic()
                    while waiting and len(flying) < ahead:
                        task = waiting.popleft()
                        remote = there.options(name=task.name, **self._needs(ray, task))
                        flying[remote.remote(dataclasses.asdict(task), str(root))] = task
                    ready, _ = ray.wait(list(flying), num_returns=len(flying), timeout=0.1)
                    for reference in ready:
                        task = flying.pop(reference)
                        try:
                            failure = ray.get(reference)
                        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError) as error:
                            how = str(error).splitlines()[0]
                            deaths.add(task, f"({how})")
                            logging.getLogger(__name__).warning("%s is tried again: %s", task.name, how)
                            waiting.append(task)
                            continue
                        except errors.RayTaskError as error:
                            raise RuntimeError(
                                f"a machine of the cluster cannot run {task.name}: {error.cause!r} (bailong must be "
                                f"installed and {os.getcwd()} be mounted on each of them)"
                            ) from error
                        if failure is not None:
                            raise failure.error()
                        done(task)
        except BaseException:
            for reference in flying:
                ray.cancel(reference, force=True)
            if flying:
                ray.wait(list(flying), num_returns=len(flying), timeout=5)
            clear(root)
            raise

    def close(self) -> None:
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def _connect(self) -> Any:
        """The `ray` module, connected.

        Raises:
            ModuleNotFoundError: it is not installed.
            ValueError: no cluster answers, or the home folder cannot be written.
        """
        try:
            import ray
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("engine=ray needs the package ray: pip install 'bailong[ray]'") from error
        if ray.is_initialized():
            return ray
        from bailong.run.process import child_environment

        for key, value in ({"RAY_USAGE_STATS_ENABLED": "0"} | child_environment(threads=1)).items():
            os.environ.setdefault(key, value)  # a Ray that we start inherits them
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self.address is not None:
                self._knock(self.address)
                ray.init(address=self.address, **quiet)
            else:
                count = self.workers or usable_cores()
                ray.init("local", num_cpus=count, include_dashboard=False, object_store_memory=OBJECT_STORE, **quiet)
        except ConnectionError as error:
            raise ValueError(
                f"engine.address={self.address}: no Ray cluster answers there, "
                "or it wants a token (RAY_AUTH_MODE=token)"
            ) from error
        except OSError as error:
            raise ValueError(f"Ray cannot start: it writes a key to {Path.home() / '.ray'} ({error})") from error
        self._started = True
        return ray

    def _knock(self, address: str) -> None:
        """Whether anything listens at a `host:port`, of the engine or (`auto`) of Ray's own environment variable.

        Raises:
            ValueError: nothing does.
        """
        address = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if not host or not port.isdigit():
            return
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"engine.address={self.address}: no Ray cluster answers at {address} ({error}): it must be the "
                "host:port that `ray start --head` shows, auto on a machine of the cluster, or null to start Ray here"
            ) from error

    def _ahead(self, ray: Any) -> int:
        if self.address is not None and self.workers is not None:
            return self.workers
        return max(AHEAD, int(AHEAD * ray.cluster_resources().get("CPU", 1) / self.cpus_per_task))

    def _needs(self, ray: Any, task: Task) -> dict[str, Any]:
        gpus = task.local.get("gpus", 0) * self.gpus_per_task
        if gpus and not ray.cluster_resources().get("GPU"):
            if self.address is None:
                gpus = 0  # this machine has none and never will; a cluster may add some when they are asked for
            elif not self._warned:
                self._warned = True
                logging.getLogger(__name__).warning(
                    "%s waits for a GPU, and the cluster has none now; engine.gpus_per_task=0 does without", task.name
                )
        # Ray would retry a task that runs out of memory for ever: `Deaths` counts
        return {"num_cpus": self.cpus_per_task, "num_gpus": gpus, "max_retries": 0}


def _attempt_there() -> Callable[[dict[str, Any], str], Any]:
    """What a worker of Ray does.

    A closure, so that it travels by value: Ray puts the driver's folder first into the path of its workers, and a
    `bailong/` that lies there would be imported instead of ours. They get the driver's own path before they import.
    """
    from bailong.run.process import child_environment

    path = [entry or os.getcwd() for entry in sys.path]
    folder, environment = os.getcwd(), child_environment(threads=1)

    def attempt_there(task: dict[str, Any], root: str) -> Any:
        import os
        import sys
        from pathlib import Path

        os.chdir(folder)
        os.environ.update(environment)
        sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
        from bailong.prepare.engine.attempt import attempt
        from bailong.prepare.work.task import Task

        return attempt(Task(**task), Path(root))

    return attempt_there
