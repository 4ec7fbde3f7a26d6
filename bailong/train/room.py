"""Which size of a forward pass fits into the memory of a device, by the plan: torch-free, so that `plan=true` says it.

Checkpointing computes every activation twice, a third more work; more tokens a pass than `ENOUGH` make products hardly
faster. So where the choice is left to the machine, a run goes without checkpointing as long as a pass of `LEAST` tokens
fits, and takes as many sequences a pass as fit, up to `ENOUGH`.
"""

from dataclasses import replace
from typing import Any

from bailong.train.budget import Budget
from bailong.train.settings import Trainer

#: tokens of a pass
LEAST, ENOUGH = 1_024, 16_384
#: of a device's memory a plan may take so much: it leaves out fragments and short-lived tensors (bailong.train.budget)
SHARE = 0.85
#: and so much what was tried: of that the fragments of later passes alone are left out
TRIED = 0.95
#: sequences a pass where nothing is known of the memory
USUAL = 4


def candidates(budget: Budget, trainer: Trainer) -> list[tuple[int, bool]]:
    """Sequences a pass and whether to checkpoint, as far as the settings leave it open: what is wanted most first."""
    share = budget.batch_size // trainer.devices
    sizes = [trainer.micro_batch]
    if trainer.micro_batch == "auto":
        sizes = [m for m in range(share, 0, -1) if share % m == 0 and m * budget.context <= max(ENOUGH, budget.context)]
    if trainer.gradient_checkpointing != "auto":
        return [(size, bool(trainer.gradient_checkpointing)) for size in sizes]
    large = [size for size in sizes if size * budget.context >= LEAST] or sizes[:1]
    return [(size, False) for size in large] + [(size, True) for size in sizes]


def fitting(budget: Budget, trainer: Trainer, room: float | None) -> list[tuple[int, bool]]:
    """Of the candidates those that the plan gives a chance, and behind them the smallest of all.

    Args:
        room: bytes of a device; None: not known, and the first that is of the usual size is taken.
    """
    every = candidates(budget, trainer)
    if room is None:
        sizes = [size for size, _ in every if trainer.micro_batch != "auto" or size <= USUAL]
        return [(max(sizes), trainer.gradient_checkpointing not in ("auto", False))]
    return [one for one in every if planned(budget, *one).memory.total <= SHARE * room] or every[-1:]


def planned(budget: Budget, micro_batch: int, gradient_checkpointing: bool) -> Budget:
    """The budget with passes of that size."""
    return replace(budget, micro_batch=micro_batch, gradient_checkpointing=gradient_checkpointing)


def remedies(budget: Budget, room: float) -> list[tuple[str, Budget]]:
    """What makes a plan smaller, as overrides: each with all before it, until one fits.

    First is what costs time alone, last what changes what is learned.

    Args:
        room: bytes of a device.
    """
    wide = budget.adapter.present and budget.quantization == "none"
    ways: list[tuple[bool, str, dict[str, Any]]] = [
        (budget.micro_batch > 1, "trainer.micro_batch=1", {"micro_batch": 1}),
        (
            not budget.gradient_checkpointing,
            "trainer.gradient_checkpointing=true",
            {"gradient_checkpointing": True},
        ),
        (budget.quantization == "nf4" and budget.storage != "nf4", "model.storage=nf4", {"storage": "nf4"}),
        (
            budget.cuda and budget.optimizer.name == "adamw",
            "optimizer=paged_adamw_8bit",
            {"optimizer": replace(budget.optimizer, name="paged_adamw_8bit")},
        ),
        (wide, "model.quantization=nf4", {"quantization": "nf4"}),
        (budget.context > 1, f"stage.context={budget.context // 2}", {"context": budget.context // 2}),
    ]
    found: list[tuple[str, Budget]] = []
    for useful, key, change in ways:
        if useful and budget.memory.total > SHARE * room:
            budget = replace(budget, **change)
            found.append((f"{found[-1][0]} {key}" if found else key, budget))
    return found
