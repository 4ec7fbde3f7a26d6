"""AdamW in its forms, and the learning rate as a pure function of the step."""

import math
from collections.abc import Iterable

import torch

from bailong.train.settings import Optimizer


def build(parameters: Iterable[torch.nn.Parameter], settings: Optimizer, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer that `settings.name` names; vectors (norms) are not decayed.

    Raises:
        ValueError: an 8-bit optimizer is asked for and bitsandbytes is not there.
    """
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    name = resolve(settings.name, device)
    common = {"lr": settings.lr, "betas": (settings.beta1, settings.beta2), "eps": settings.eps}
    if name == "adamw":
        return torch.optim.AdamW(groups, fused=True, **common)
    try:
        from bitsandbytes.optim.adamw import AdamW8bit, PagedAdamW8bit
    except ImportError as error:
        raise ValueError(f"optimizer.name={name} needs the package bitsandbytes: pip install bitsandbytes") from error
    kind = {"adamw_8bit": AdamW8bit, "paged_adamw_8bit": PagedAdamW8bit}[name]
    return kind(groups, **common)


def resolve(name: str, device: torch.device) -> str:
    """`optimizer.name` with `auto` resolved by device."""
    return name if name != "auto" else ("paged_adamw_8bit" if device.type == "cuda" else "adamw")


def learning_rate(settings: Optimizer, step: int, total: int) -> float:
    """The rate of step `step` (0-based) of `total`: linear warm-up, then a cosine (paper, section 3.4).

    The first step already learns (lr / warm-up steps); the last step has `final_lr_ratio` of the peak.
    """
    warmup = max(settings.warmup_steps, math.ceil(settings.warmup_ratio * total))
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    span = max(total - 1 - warmup, 1)
    progress = min((step - warmup) / span, 1.0)
    low = settings.final_lr_ratio
    return settings.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))
