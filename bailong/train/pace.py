"""How fast a run should be on cards that are not here (`plan=true trainer.card="RTX 3090"`): torch-free arithmetic."""

import re
from dataclasses import dataclass

from bailong.run.checks import did_you_mean
from bailong.train.budget import PEAK_FLOPS, Budget, peak_flops

#: Part of a card's peak that is assumed to be reached, recomputation counted as work: no step of ours was timed on a
#: GPU. Others' QLoRA of Llama 2 7B with checkpointing reached 0.7 of it on two RTX 3090 and 0.6 on two RTX 4090 (1,024
#: full sequences of 2,048 tokens in 875 and 450 s: AnswerDotAI/fsdp_qlora, benchmarks_03_2024.md; FLOPs as we count).
REACHED = 0.5


@dataclass(frozen=True)
class Pace:
    """Tokens a second by all devices of a run, and where the figure comes from.

    Attributes:
        peak: FLOP/s of one card by its datasheet, in the precision of the run. flops: a token, as the device does them.
    """

    card: str
    dtype: str
    peak: float
    devices: int
    flops: float

    @property
    def tokens_per_second(self) -> float:
        return self.devices * self.peak * REACHED / self.flops

    def __str__(self) -> str:
        """The formula with its figures."""
        times = f"{self.devices} x " if self.devices > 1 else ""
        return (
            f"{times}{self.peak / 1e12:g} TFLOP/s ({self.card}, {self.dtype}) x {REACHED:g} assumed / "
            f"{self.flops / 1e9:.4g} GFLOP a token"
        )


def pace(budget: Budget, card: str) -> Pace:
    """The pace of a run on so many of these cards.

    Raises:
        ValueError: no peak of that card is known.
    """
    dtype = "bfloat16" if budget.bf16 else "float32"
    peak = peak_flops(card, dtype)
    if peak is None:
        known = cards(dtype)
        raise ValueError(
            f"trainer.card={card} is not accepted: its peak in {dtype} is not known; accepted: {', '.join(known)}, or "
            f"null{did_you_mean(card, known)}"
        )
    return Pace(card, dtype, peak, budget.devices, budget.flops.hardware)


def cards(dtype: str) -> list[str]:
    """Names of cards that have a peak in a dtype, as the drivers' names have them in."""
    patterns = [pattern for pattern, rates in PEAK_FLOPS if dtype in rates]
    return [name for pattern in patterns for name in re.sub(r"\\b|\(\?!.*\)|[()]", "", pattern).split("|")]
