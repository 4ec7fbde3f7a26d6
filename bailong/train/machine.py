"""What a run chooses by the machine it is on, once: `machine.json` in its folder.

Sequences a pass, checkpointing and compilation may be left to the machine (`auto`). The plan says what should fit, and
a pass of full length says whether it does. A run that goes on takes what it began with, and so does its audit: masks
are drawn by micro-batch, so that their size belongs to what is learned.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bailong.data.batches import MicroBatch
from bailong.model import adapters, compiled
from bailong.model.body import of_config
from bailong.model.tie import is_tied
from bailong.run.files import read_object, write_json
from bailong.run.folder import shared
from bailong.train import plan
from bailong.train.assemble import Assembled
from bailong.train.budget import Budget
from bailong.train.forward import summed_loss
from bailong.train.room import TRIED, fitting, planned
from bailong.train.settings import Train, Trainer

NAME = "machine.json"
#: what may be left to the machine
KNOBS = ("micro_batch", "gradient_checkpointing", "compile")


@dataclass(frozen=True)
class Chosen:
    """How a run goes through a step.

    Attributes:
        compile: `none` or a backend of bailong.model.compiled.
        planned_gb: by the plan. tried_gb: the peak of a pass that was tried, with what the optimizer will hold beside
            it, and DDP's buckets. room_gb: what a device has, or `trainer.memory_gb`. None where nobody asked.
        said: what was tried before, and why it was not taken.
    """

    micro_batch: int
    gradient_checkpointing: bool
    compile: str
    planned_gb: float
    tried_gb: float | None = None
    room_gb: float | None = None
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        tried = f"{plan.gigabytes(self.tried_gb * 1e9)} tried, " if self.tried_gb is not None else ""
        room = f" of {plan.gigabytes(self.room_gb * 1e9)}" if self.room_gb is not None else ""
        return (
            f"a pass is {self.micro_batch} full sequences, {'with' if self.gradient_checkpointing else 'without'} "
            f"gradient checkpointing; compiled layers: {self.compile}; memory: {tried}"
            f"{plan.gigabytes(self.planned_gb * 1e9)} planned{room}"
        )


def choose(settings: Train, built: Assembled, folder: Path | None = None, keep: bool = False) -> Chosen:
    """How this run goes through a step; the model is made ready for it.

    Args:
        folder: of the run; what stands there was chosen before, and is taken (of a run that is made longer, what stands
            in that one's). keep: write down what is chosen now, if nothing was before.

    Raises:
        ValueError: nothing fits, or what is asked for cannot be compiled here.
    """
    place = None if folder is None else folder / NAME
    old = None if settings.extend_run is None else Path(settings.extend_run) / NAME
    with shared(place) if place and keep and settings.trainer.devices > 1 else nullcontext():  # one of them chooses
        known = next((path for path in (place, old) if path and path.exists()), None)
        before = read_object(known) if known else {}
        left = {key: before[key] for key in KNOBS if getattr(settings.trainer, key) == "auto" and key in before}
        chosen = find(replace(settings.trainer, **left), settings, built)
        if place and keep and known != place:
            write_json(place, asdict(chosen))
    return chosen


def find(
    trainer: Trainer,
    settings: Train,
    built: Assembled,
    attempt: Callable[[Train, Assembled, int], float | None] | None = None,
) -> Chosen:
    """The first size of a pass that fits, by the plan and by trying it.

    Args:
        trainer: what is open. attempt: in place of `try_pass`, which is called where there is something to learn.
    """
    device = built.device
    budget, room = budget_of(settings, built), room_of(trainer, device)
    backend = compiled.backend_of(trainer.compile, device, trainer.deterministic)
    if attempt is None and (backend != "none" or (_open(trainer) and device.type == "cuda")):
        attempt = try_pass
    said: list[str] = []
    for size, checkpointing in fitting(budget, trainer, room):
        memory = planned(budget, size, checkpointing).memory
        ready(built.model, checkpointing, backend)
        chosen = Chosen(size, checkpointing, backend, memory.total / 1e9, None, room and room / 1e9, said)
        if attempt is None:
            return chosen
        try:
            peak = attempt(settings, built, size)
        except torch.OutOfMemoryError:
            said.append(f"{size} sequences a pass do not fit")
            continue
        except Exception as error:
            if not compiled.refused(error):
                raise
            why = f"its layers cannot be compiled here: {' '.join(str(error).split())[:200]}"
            if trainer.compile != "auto":
                raise ValueError(f"trainer.compile={trainer.compile} is not accepted: {why}; accepted: none") from error
            found = find(replace(trainer, compile="none"), settings, built, attempt)
            return replace(found, said=[*said, why, *found.said])
        later = memory.optimizer + memory.buckets
        chosen = replace(chosen, tried_gb=None if peak is None else (peak + later) / 1e9)
        if peak is None or room is None or not _open(trainer) or peak + later <= TRIED * room:
            return chosen
        said.append(f"{size} sequences a pass took {peak / 1e9:.2f} GB, and the optimizer's state comes on top")
    raise ValueError(
        f"trainer.micro_batch={trainer.micro_batch} is not accepted on this device"
        f"{f' of {room / 1e9:.1f} GB' if room else ''}: {'; '.join(said)}; accepted: a shorter stage.context, a "
        "smaller trainer.micro_batch, trainer.gradient_checkpointing=true, or auto for both"
    )


def _open(trainer: Trainer) -> bool:
    return "auto" in (trainer.micro_batch, trainer.gradient_checkpointing)


def budget_of(settings: Train, built: Assembled) -> Budget:
    """The plan of a run whose model is there."""
    body = of_config(built.model.config.to_dict())
    return plan.budget_of(
        settings, body, built.model.config.vocab_size, tied=is_tied(built.model), cuda=built.device.type == "cuda"
    )


def room_of(trainer: Trainer, device: torch.device) -> float | None:
    """Bytes of a device that the run may take: `trainer.memory_gb`, or what is free and what the run holds already."""
    if trainer.memory_gb is not None:
        return trainer.memory_gb * 1e9
    if device.type != "cuda":
        return None
    return float(torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))


def ready(model: Any, gradient_checkpointing: bool, backend: str) -> None:
    """Switch checkpointing and compiled layers on or off."""
    if gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    elif any(getattr(module, "gradient_checkpointing", False) for module in model.modules()):
        model.gradient_checkpointing_disable()
    compiled.compile_layers(model, backend)


def try_pass(settings: Train, built: Assembled, size: int) -> float | None:
    """Forward and backward over `size` full sequences, twice: the first one compiles.

    Returns:
        Peak bytes on a GPU; None on CPU, where nobody counts them.

    Raises:
        torch.OutOfMemoryError: it does not fit.
    """
    shape, device = (size, settings.stage.context), built.device
    cuda = device.type == "cuda"
    micro = MicroBatch(np.zeros(shape, np.int64), np.zeros(shape, np.int64))
    try:
        for _ in range(2):
            if cuda:
                torch.cuda.reset_peak_memory_stats(device)
            with summed_loss(built.model, micro, device, built.precision, settings.trainer.head_chunk) as loss:
                loss.backward()
        return float(torch.cuda.max_memory_allocated(device)) if cuda else None
    finally:
        for parameter in adapters.trainable(built.model).values():
            parameter.grad = None
        if cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
