"""Hydra sweepers: of `pool` the jobs of a sweep are handed to the launcher as they are, and nothing is written; of
`racing` they are handed to it with the rules of a race (`bailong.app.race`).

Hydra's basic sweeper makes the sweep's folder first and composes every job before the launcher composes it again: of
256 jobs that takes minutes in silence, at the end of which one bad value leaves a folder behind.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bailong.app.guest import Guest
from bailong.app.sweep_launcher import SweepLauncher

#: Hydra takes plugins only from there (see `bailong.app.launcher`)
PLUGIN_MODULE = "hydra_plugins.bailong"


@dataclass
class SweeperConfig:
    """`params` are the axes; of more than `max_batch_size` jobs (null: any number) a part is run after the other.

    Settings that go together are one axis: `"adapter.rank,adapter.alpha": 8:32, 16:32, 16:48`.
    """

    _target_: str = f"{PLUGIN_MODULE}.PoolSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="pool", node=SweeperConfig)


class JobSweeper(Sweeper):
    """Has a launcher under the rules of our sweeps: ours, or another of Hydra's as our guest."""

    launcher: SweepLauncher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config, self.hydra_context = config, hydra_context
        given = {"hydra_context": hydra_context, "task_function": task_function, "config": config}
        if str(config.hydra.launcher._target_).startswith(PLUGIN_MODULE):
            self.launcher = Plugins.instance().instantiate_launcher(**given)  # type: ignore[assignment]
        else:
            self.launcher = Guest()
            self.launcher.setup(**given)

    def parser(self) -> OverridesParser:
        """Reads overrides, and knows the options of groups."""
        assert self.hydra_context is not None
        return OverridesParser.create(config_loader=self.hydra_context.config_loader)


class PoolSweeper(JobSweeper):
    """Every combination of the values of the axes."""

    def __init__(self, max_batch_size: int | None = None, params: dict[str, str] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = params or {}

    def sweep(self, arguments: list[str]) -> Any:
        # Hydra loads its own plugins once more when it looks for others: one that was imported before is another class
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        parser = self.parser()
        together = {key: value for key, value in self.params.items() if "," in key}
        alone = [f"{key}={value}" for key, value in self.params.items() if key not in together]
        rows = paired(together, [override.get_key_element() for override in parser.parse_overrides(arguments)])
        every = BasicSweeper.split_arguments(parser.parse_overrides([*alone, *arguments]), None)
        jobs = [[*row, *job] for row in rows for batch in every for job in batch]
        size = self.max_batch_size or len(jobs)
        return [
            self.launcher.launch(jobs[first : first + size], initial_job_idx=first)
            for first in range(0, len(jobs), size)
        ]


@dataclass
class RacingConfig:
    """`params` as above; the others are those of `bailong.app.race.Rules`."""

    _target_: str = f"{PLUGIN_MODULE}.RacingSweeper"
    params: dict[str, str] | None = field(default_factory=dict)
    rungs: list[float] = field(default_factory=lambda: [0.25, 0.5, 1.0])
    keep: float = 0.5
    keep_always: list[str] = field(default_factory=list)


ConfigStore.instance().store(group="hydra/sweeper", name="racing", node=RacingConfig)


class RacingSweeper(PoolSweeper):
    """Every combination of the values of the axes, in a race."""

    def __init__(
        self, rungs: Sequence[float], keep: float, keep_always: Sequence[str], params: dict[str, str] | None = None
    ) -> None:
        super().__init__(params=params)
        self.given: dict[str, Any] = {"rungs": list(rungs), "keep": keep, "keep_always": list(keep_always)}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from bailong.app.race import Rules

        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        launcher: Any = self.launcher
        launcher.rules = Rules(**self.given)


def paired(axes: Mapping[str, str], typed: Sequence[str]) -> list[list[str]]:
    """Every combination of the values of axes whose settings go together, as overrides; one of none without any.

    Args:
        axes: settings with commas between them -> their values, with colons between those that go together.
        typed: keys that the command line gives.

    Raises:
        ValueError: values that are more or fewer than the settings, or one of these is typed alone.
    """
    found = []
    for names, values in axes.items():
        keys = [key.strip() for key in names.split(",")]
        if given := [key for key in keys if key in typed]:
            raise ValueError(
                f"{given[0]} is not accepted here: this sweep gives {' and '.join(keys)} together ({values}); "
                "use a sweep of your own for other values"
            )
        rows = [[value.strip() for value in row.split(":")] for row in values.split(",")]
        if wrong := [row for row in rows if len(row) != len(keys)]:
            raise ValueError(
                f"hydra.sweeper.params: {names} has the value {':'.join(wrong[0])}, which is not accepted: it must be "
                f"{len(keys)} values with colons between them"
            )
        found.append([[f"{key}={value}" for key, value in zip(keys, row, strict=True)] for row in rows])
    return [list(itertools.chain(*rows)) for rows in itertools.product(*found)]
