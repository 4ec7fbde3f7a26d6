"""Hydra sweeper `pool`: the jobs of a sweep are handed to the launcher as they are, and nothing is written.

Hydra's basic sweeper makes the sweep's folder first and composes every job before the launcher composes it again: of
256 jobs that takes minutes in silence, at the end of which one bad value leaves a folder behind.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bailong.app.guest import Guest

#: Hydra takes plugins only from there (see `bailong.app.launcher`)
PLUGIN_MODULE = "hydra_plugins.bailong"


@dataclass
class SweeperConfig:
    """`params` are the axes; of more than `max_batch_size` jobs (null: any number) a part is run after the other."""

    _target_: str = f"{PLUGIN_MODULE}.PoolSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="pool", node=SweeperConfig)


class PoolSweeper(Sweeper):
    """Every combination of the values of the axes."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}
        if str(config.hydra.launcher._target_).startswith(PLUGIN_MODULE):
            self.launcher = Plugins.instance().instantiate_launcher(**given)
        else:
            self.launcher = Guest()
            self.launcher.setup(**given)

    def sweep(self, arguments: list[str]) -> Any:
        # Hydra loads its own plugins once more when it looks for others: one that was imported before is another class
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        assert self.hydra_context is not None and self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        first, returns = 0, []
        for batch in BasicSweeper.split_arguments(overrides, self.max_batch_size):
            returns.append(self.launcher.launch(batch, initial_job_idx=first))
            first += len(batch)
        return returns
