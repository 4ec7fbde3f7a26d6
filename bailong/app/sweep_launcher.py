"""What launchers of sweeps have in common: the rules of `bailong.app.sweep`, whoever runs the jobs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig
from rich.console import Console

if TYPE_CHECKING:
    from bailong.app.race import Rules
    from bailong.app.sweep import Job, Sweep


class SweepLauncher(Launcher):
    """Jobs are checked before the first one starts, and those that are finished are not started."""

    rules: Rules | None = None  # of a race: see `bailong.app.sweeper.RacingSweeper`

    def __init__(self) -> None:
        self.console = Console(stderr=True, soft_wrap=True)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def sweep(self, asked: Sequence[Sequence[str]], first: int) -> Sweep:
        """The jobs of these overrides, composed and checked; `first` is the number of the first."""
        from bailong.app.sweep import Sweep

        return Sweep(self.loader, self.config, asked, first, self.console)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        sweep = self.sweep(job_overrides, initial_job_idx)
        return sweep.conduct(lambda pending: self.run(pending, initial_job_idx), self.manner(), self.rules)

    @abstractmethod
    def run(self, pending: list[Job], first: int) -> int | None:
        """Run jobs and take down how each ended; returns the signal that stopped it, if one did.

        Args:
            first: the number of the first.
        """

    @abstractmethod
    def manner(self) -> str:
        """How they are run, in words."""
