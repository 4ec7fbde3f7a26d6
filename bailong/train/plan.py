"""`plan=true`: what a run would cost, without weights, data or torch."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from bailong.model.settings import Shape
from bailong.train import budget
from bailong.train.settings import Train


def plan(settings: Train) -> tuple[budget.Budget, list[str]]:
    """The budget of a run, and a note for every figure that is not from an artefact at hand.

    Raises:
        ValueError: neither `model.shape` nor a local `config.json` tells the architecture.
    """
    notes = []
    shape = _shape(settings)
    vocabulary = _vocabulary(settings, shape, notes)
    stage, model, trainer = settings.stage, settings.model, settings.trainer
    tokens, steps = stage.max_tokens, stage.max_steps
    if stage.dialogues and steps is None and tokens is None and settings.data.expected_dialogues is not None:
        steps = stage.steps(settings.data.expected_dialogues, settings.data.expected_dialogues)
        notes.append(
            f"{settings.data.expected_dialogues:,} dialogues an epoch is data.expected_dialogues, not a count; each is "
            f"taken to fill stage.context={stage.context}, so tokens and FLOPs are upper bounds"
        )
    elif steps is None and tokens is None:
        if settings.data.expected_tokens is None:
            key = "expected_dialogues" if stage.dialogues else "expected_tokens"
            notes.append(f"data={settings.data.name} says nothing of its size: set data.{key} for steps and FLOPs")
        else:
            tokens = round((stage.epochs or 1) * settings.data.expected_tokens)
            notes.append(f"{settings.data.expected_tokens:,} tokens an epoch is data.expected_tokens, not a count")
    cuda = trainer.accelerator != "cpu"
    result = budget.estimate(
        shape,
        settings.adapter,
        settings.optimizer,
        vocabulary=vocabulary,
        base_vocabulary=vocabulary if stage.from_scratch else shape.vocabulary,
        tied=shape.tied or (model.tie == "input" and not stage.from_scratch),
        context=stage.context,
        batch_size=stage.batch_size,
        micro_batch=trainer.micro_batch,
        steps=steps,
        tokens=tokens,
        quantization=model.quantization,
        double_quantization=model.double_quantization,
        dtype=model.dtype,
        gradient_checkpointing=trainer.gradient_checkpointing,
        head_chunk=trainer.head_chunk,
        bf16=trainer.precision == "bf16-mixed" or (trainer.precision == "auto" and cuda),
        cuda=cuda,
    )
    return result, notes


def show(settings: Train) -> None:
    """Print the plan."""
    result, notes = plan(settings)
    console = Console()
    console.print(budget.plan_table(result))
    for note in notes:
        console.print(f"note: {note}", highlight=False)


def _shape(settings: Train) -> Shape:
    model = settings.model
    local = Path(str(model.path)) / "config.json"
    if not settings.stage.from_scratch and local.exists():
        return budget.shape_of(json.loads(local.read_text()))
    if model.shape is None:
        raise ValueError(f"plan=true needs model.shape, or a config.json in model.path={model.path}")
    return model.shape


def _vocabulary(settings: Train, shape: Shape, notes: list[str]) -> int:
    tokenizer = settings.tokenizer
    if tokenizer.folder is None:
        return shape.vocabulary
    manifest = Path(tokenizer.folder) / "manifest.json"
    if manifest.exists():
        return json.loads(manifest.read_text())["vocabulary"]
    if tokenizer.expected_vocabulary is None:
        raise ValueError(
            f"plan=true needs the tokenizer in {tokenizer.folder} (make it with bailong-extend "
            f"tokenizer={tokenizer.name}) or tokenizer.expected_vocabulary"
        )
    notes.append(
        f"{tokenizer.expected_vocabulary:,} rows is tokenizer.expected_vocabulary: "
        f"{tokenizer.folder} is not built yet, and the real number is what the merge gives"
    )
    return tokenizer.expected_vocabulary
