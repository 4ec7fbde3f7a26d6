"""Settings of tracking: where the curves go besides `metrics.jsonl`."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.run.checks import Knobs


@dataclass
class Tracking(Knobs, group="tracking"):
    """Where the curves go besides `metrics.jsonl`. `wandb` is `offline`, `online` or `off`."""

    name: str = MISSING
    wandb: str = "offline"
    project: str = "bailong"
    entity: str | None = None

    def __post_init__(self) -> None:
        self.one_of("wandb", ("offline", "online", "off"))
