"""Settings of tracking: where the curves go besides `metrics.jsonl`."""

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.run.checks import one_of


@dataclass
class Tracking:
    """Where the curves go besides `metrics.jsonl`. `wandb` is `offline`, `online` or `off`."""

    name: str = MISSING
    wandb: str = "offline"
    project: str = "bailong"
    entity: str | None = None

    def __post_init__(self) -> None:
        one_of("tracking.wandb", self.wandb, ("offline", "online", "off"))
