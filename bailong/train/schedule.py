"""The learning rate as a pure function of the step, and how much of a run does not depend on its end. No torch."""

import math

from bailong.train.settings import Optimizer


def learning_rate(settings: Optimizer, step: int, total: int) -> float:
    """The rate of step `step` (0-based) of `total`: linear warm-up, then what `settings.schedule` says.

    The first step already learns (lr / warm-up steps). Under `cosine` (paper, section 3.4) and `wsd` the last step has
    `final_lr_ratio` of the peak.
    """
    warmup = warmup_steps(settings, total)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    low = settings.final_lr_ratio
    if settings.schedule == "cosine":
        progress = min((step - warmup) / max(total - 1 - warmup, 1), 1.0)
        return settings.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))
    stable = stable_steps(settings, total)
    return settings.lr * (1 - (1 - low) * max(step + 1 - stable, 0) / max(total - stable, 1))


def warmup_steps(settings: Optimizer, total: int) -> int:
    """Steps of a run of `total` in which the rate rises."""
    return max(settings.warmup_steps, math.ceil(settings.warmup_ratio * total))


def stable_steps(settings: Optimizer, total: int) -> int:
    """Steps of a run of `total` that do not depend on where it ends: its state behind them is that of any longer one.

    Under `constant` they are all of them, under `wsd` those before the decay, under `cosine` none.
    """
    if settings.schedule == "cosine":
        return 0
    decay = math.ceil(settings.decay_ratio * total) if settings.schedule == "wsd" else 0
    return max(total - decay, min(warmup_steps(settings, total), total))
