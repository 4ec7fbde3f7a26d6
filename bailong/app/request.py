"""What a command line asks of `bailong-train`: the settings of a run, and where it lives."""

from collections.abc import Collection

from omegaconf import DictConfig, open_dict

from bailong.app import workspace
from bailong.run.folder import Run
from bailong.run.parse import parse
from bailong.train.extension import extended
from bailong.train.settings import Train


def request(composed: DictConfig, axes: Collection[str] = ()) -> tuple[Train, Run]:
    """Settings and run of a composed config with its `hydra` node, which is taken out of it.

    Args:
        axes: the keys that a sweep varies.

    Raises:
        ValueError: a setting is not accepted.
    """
    run = workspace.run_of(composed, axes)
    with open_dict(composed):
        del composed["hydra"]
    settings = parse(composed)
    if settings.extend_run is None:
        return settings, run
    settings, before = extended(settings, [workspace.key(override) for override in run.overrides])
    return settings, workspace.longer(run, before, settings.outputs, axes)
