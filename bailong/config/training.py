"""Settings of training: the optimizer, the machine, and where the curves go."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from bailong.checks import one_of, require

OPTIMIZERS = ("auto", "adamw", "adamw_8bit", "paged_adamw_8bit")


@dataclass
class Optimizer:
    """AdamW in one of its forms, and its cosine schedule (paper, section 3.4).

    `auto` is `paged_adamw_8bit` on CUDA and torch's fused `adamw` on CPU. The learning rate rises
    linearly over `warmup_steps` (or `warmup_ratio` of all steps, if that is more), then follows a cosine
    to `final_lr_ratio` of its peak at the last step.
    """

    name: str = "auto"
    lr: float = 3e-4
    final_lr_ratio: float = 0.1
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    clip: float = 1.0

    def __post_init__(self) -> None:
        one_of("optimizer.name", self.name, OPTIMIZERS)
        require(0 < self.lr < float("inf"), "optimizer.lr", self.lr, "above 0 and finite")
        require(0 <= self.final_lr_ratio <= 1, "optimizer.final_lr_ratio", self.final_lr_ratio, "in [0, 1]")
        require(self.warmup_steps >= 0, "optimizer.warmup_steps", self.warmup_steps, "0 or more")
        require(0 <= self.warmup_ratio < 1, "optimizer.warmup_ratio", self.warmup_ratio, "in [0, 1)")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.beta1 < 1, "optimizer.beta1", self.beta1, "in [0, 1)")
        require(0 <= self.beta2 < 1, "optimizer.beta2", self.beta2, "in [0, 1)")
        require(self.eps > 0, "optimizer.eps", self.eps, "above 0")
        require(self.clip > 0, "optimizer.clip", self.clip, "above 0")


@dataclass
class Trainer:
    """The machine's side of a run; nothing here may change what is learned, only how fast.

    `micro_batch` is sequences a forward pass; gradients are summed over the whole optimizer step and
    divided by its target tokens. `precision` is Lightning's (`auto`: bf16-mixed on CUDA, 32-true on
    CPU). `threads` is CPU threads: with several jobs on a machine more than one each is far slower.
    """

    name: str = MISSING
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "auto"
    threads: int = 1
    micro_batch: int = 4
    gradient_checkpointing: bool = False
    head_chunk: int = 1024
    checkpoint_every_steps: int = 200
    log_every_steps: int = 10
    deterministic: bool = False

    def __post_init__(self) -> None:
        one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "cuda"))
        one_of("trainer.precision", self.precision, ("auto", "32-true", "bf16-mixed"))
        for key in ("devices", "threads", "micro_batch", "head_chunk"):
            require(getattr(self, key) > 0, f"trainer.{key}", getattr(self, key), "above 0")
        for key in ("checkpoint_every_steps", "log_every_steps"):
            require(getattr(self, key) > 0, f"trainer.{key}", getattr(self, key), "above 0")


@dataclass
class Tracking:
    """Where the curves go besides `metrics.jsonl`. `wandb` is `offline`, `online` or `off`."""

    name: str = MISSING
    wandb: str = "offline"
    project: str = "bailong"
    entity: str | None = None

    def __post_init__(self) -> None:
        one_of("tracking.wandb", self.wandb, ("offline", "online", "off"))
