"""`plan=true`: what a run would cost, without weights, data or torch."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bailong.data import prepared
from bailong.data.settings import OTHERS
from bailong.model.body import Body, of_config, of_shape
from bailong.report.units import duration, plural
from bailong.run.files import read_object
from bailong.train.budget import Budget
from bailong.train.pace import REACHED, pace
from bailong.train.room import SHARE, fitting, planned, remedies
from bailong.train.settings import Train, Trainer

#: the linear layers of a base in NF4, by model.storage
KEPT = {
    "nf4": "4-bit linear layers",
    "bf16": "4-bit linear layers, dequantized once",
    "fp8": "4-bit linear layers, and two copies of each in 8 bits",
}


def plan(settings: Train) -> tuple[Budget, list[str]]:
    """The budget of a run, and a note for every figure that is not from an artefact at hand.

    Raises:
        ValueError: neither `model.shape` nor a local `config.json` tells the architecture.
    """
    notes = []
    body = _body(settings)
    vocabulary = _vocabulary(settings, body, notes)
    if not settings.stage.from_scratch:  # new tokens take the padding of the matrices first
        vocabulary = max(vocabulary, body.vocabulary)
    stage = settings.stage
    tokens, steps = stage.max_tokens, stage.max_steps
    dialogues, told = _dialogues(settings) if stage.dialogues else (None, "")
    if steps is None and tokens is None and dialogues is not None:
        steps = stage.steps(dialogues, dialogues)
        notes.append(
            f"{dialogues:,} dialogues an epoch {told}; each is taken to fill stage.context={stage.context}, so tokens "
            "and FLOPs are upper bounds"
        )
    elif steps is None and tokens is None:
        if settings.data.expected_tokens is None:
            key = "expected_dialogues" if stage.dialogues else "expected_tokens"
            notes.append(f"data={settings.data.name} says nothing of its size: set data.{key} for steps and FLOPs")
        else:
            tokens = round((stage.epochs or 1) * settings.data.expected_tokens)
            notes.append(f"{settings.data.expected_tokens:,} tokens an epoch is data.expected_tokens, not a count")
    if share := settings.data.replay.share:
        notes.append(
            f"data.replay.share={share} comes on top: {1 / (1 - share):.3g} times the tokens, FLOPs and activations of "
            "a step, which the figures above leave out"
        )
    tied = body.tied if settings.stage.from_scratch else settings.model.ties(body.tied)
    result = budget_of(settings, body, vocabulary, tied, settings.trainer.accelerator != "cpu", steps, tokens)
    room = None if settings.trainer.memory_gb is None else settings.trainer.memory_gb * 1e9
    result = planned(result, *fitting(result, settings.trainer, room)[0])
    if "auto" in (settings.trainer.micro_batch, settings.trainer.gradient_checkpointing):
        notes.append(_left_to_the_machine(settings, result))
    if room is not None and result.memory.total > SHARE * room:
        notes.append(_smaller(result, room))
    if settings.trainer.card is not None and result.cuda:
        notes.append(
            f"{REACHED:g} of the peak is assumed, not measured: others' QLoRA of Llama 2 7B reached 0.7 of it on two "
            "RTX 3090 and 0.6 on two RTX 4090 (bailong/train/pace.py)"
        )
    elif settings.trainer.devices > 1 and result.cuda:
        notes.append(
            "trainer.card names the devices, as in 'trainer.card=\"RTX 3090\"': tokens/s and hours by its peak"
        )
    return result, notes


def budget_of(
    settings: Train,
    body: Body,
    vocabulary: int,
    tied: bool,
    cuda: bool,
    steps: int | None = None,
    tokens: int | None = None,
) -> Budget:
    """The budget of a run with passes of a single sequence: of how many is for bailong.train.room to say.

    Args:
        vocabulary: rows after extension.
    """
    stage, model, trainer = settings.stage, settings.model, settings.trainer
    return Budget(
        body,
        settings.adapter,
        settings.optimizer,
        vocabulary=vocabulary,
        base_vocabulary=vocabulary if stage.from_scratch else body.vocabulary,
        tied=tied,
        context=stage.context,
        batch_size=stage.batch_size,
        micro_batch=1,
        steps=steps,
        tokens=tokens,
        quantization=model.quantization,
        double_quantization=model.double_quantization,
        storage=model.storage,
        dtype=model.dtype,
        head_chunk=trainer.head_chunk,
        bf16=trainer.precision == "bf16-mixed" or (trainer.precision == "auto" and cuda),
        cuda=cuda,
        checkpoints=1 + trainer.keep_checkpoints + (settings.optimizer.schedule == "wsd"),
        devices=trainer.devices,
    )


def _left_to_the_machine(settings: Train, result: Budget) -> str:
    trainer = settings.trainer
    keys = ("micro_batch", "gradient_checkpointing")
    left = " and ".join(f"trainer.{key}=auto" for key in keys if getattr(trainer, key) == "auto")
    how = "with" if result.gradient_checkpointing else "without"
    taken = f"{plural(result.micro_batch, 'sequence')} a pass, {how} checkpointing"
    if trainer.memory_gb is None:
        return f"{left}: a run takes what fits into its device (trainer.memory_gb=24: of 24 GB); here {taken}"
    fits = result.memory.total <= SHARE * trainer.memory_gb * 1e9
    word = "fit into" if fits else "are the least there is, and more than fits into"
    return f"{left}: {taken} {word} trainer.memory_gb={trainer.memory_gb:g}"


def _smaller(result: Budget, room: float) -> str:
    """What would fit, or come nearest to it."""
    ways = remedies(result, room)
    less = ", ".join(f"{gigabytes(smaller.memory.total)} with {keys}" for keys, smaller in ways)
    enough = bool(ways) and ways[-1][1].memory.total <= SHARE * room
    return f"does not fit: {less or 'nothing makes it smaller'}" + ("" if enough else "; that is still too much")


def show(settings: Train) -> None:
    """Print the plan."""
    result, notes = plan(settings)
    console = Console()
    console.print(plan_table(result, settings.trainer))
    for note in notes:
        console.print(f"note: {note}", highlight=False)


def rows(budget: Budget, trainer: Trainer | None = None) -> list[tuple[str, str, str]]:
    """(what, figure, how it is counted) in reading order; an empty figure starts a section.

    Args:
        trainer: says what a device has, and its name; None: neither is known.

    Raises:
        ValueError: no peak of `trainer.card` is known.
    """
    return [*_parameters(budget), *_work(budget, trainer), *_memory(budget, trainer), *_disk(budget)]


def _parameters(budget: Budget) -> list[tuple[str, str, str]]:
    p, new = budget.parameters, budget.new
    return [
        ("Parameters", "", ""),
        ("vocabulary", f"{budget.vocabulary:,}", f"{budget.base_vocabulary:,} and {new:,} new"),
        ("in all", f"{p.true:,}", "embedding and head " + ("tied, counted once" if budget.tied else "untied")),
        ("in all, packed", f"{p.packed:,}", "4-bit weights two per byte, as the paper counts"),
        ("trainable", f"{p.trainable:,}", budget.adapter.told),
        ("trainable share, packed", _percent(p.share_packed), "as the paper counts"),
        ("trainable share, true", _percent(p.share_true), ""),
    ]


def _work(budget: Budget, trainer: Trainer | None) -> list[tuple[str, str, str]]:
    f, devices = budget.flops, budget.devices
    every = [
        ("Work", "", ""),
        ("tokens a step", f"{budget.tokens_per_step:,}", f"{budget.tokens_per_step // budget.context} sequences"),
    ]
    if devices > 1:
        share = budget.batch_size // devices
        passes = share // budget.micro_batch
        how = f"{passes:,} pass{'es' if passes > 1 else ''} of {budget.micro_batch}, gradients exchanged at the last"
        every.append((f"sequences for each of {devices} devices", f"{share:,}", how))
    every += [
        ("steps", "unknown" if budget.steps is None else f"{budget.steps:,}", ""),
        ("tokens", "unknown" if budget.tokens is None else f"{budget.tokens:,}", ""),
        ("FLOPs a token", f"{f.model / 1e9:,.4g} G", f"{f.forward / 1e9:.4g} forward, {f.backward / 1e9:.4g} back"),
        (
            "FLOPs a token, device",
            f"{f.hardware / 1e9:,.4g} G",
            "with full recomputation" if budget.gradient_checkpointing else "with the flash backward's recomputation",
        ),
        ("FLOPs of the run", "unknown" if budget.total_flops is None else f"{budget.total_flops:.3g}", ""),
    ]
    if trainer is not None and trainer.card is not None and budget.cuda:
        expected = pace(budget, trainer.card)
        every.append(("tokens/s expected", f"{expected.tokens_per_second:,.0f}", str(expected)))
        if budget.tokens is not None:
            seconds = budget.tokens / expected.tokens_per_second
            every.append(("time of the run", duration(seconds), "tokens / tokens/s, without evaluations"))
    return every


def _memory(budget: Budget, trainer: Trainer | None) -> list[tuple[str, str, str]]:
    m, devices = budget.memory, budget.devices
    checkpointing = ", gradient checkpointing" if budget.gradient_checkpointing else ""
    every = [
        (f"Memory of each of {devices} devices" if devices > 1 else "Memory of one device", "", ""),
        ("base weights", gigabytes(m.base), KEPT[budget.storage] if budget.parameters.quantized else ""),
        ("adapters", gigabytes(m.adapters), "float32"),
        ("gradients", gigabytes(m.gradients), ""),
        ("gradients, DDP's buckets", gigabytes(m.buckets), "a second copy, to exchange them"),
        ("optimizer", gigabytes(m.optimizer), ""),
        ("casts of trained weights", gigabytes(m.casts), "bf16 autocast"),
        ("activations", gigabytes(m.activations), f"{budget.micro_batch} x {budget.context:,} tokens{checkpointing}"),
        ("head", gigabytes(m.head), "one chunk of logits"),
        ("total", gigabytes(m.total), "an estimate: plan for 10 to 20 % more"),
    ]
    here = {"adapters": budget.adapter.present, "gradients, DDP's buckets": devices > 1}
    if trainer is not None and trainer.memory_gb is not None:
        most = SHARE * trainer.memory_gb * 1e9
        left = most - m.total
        over = f"{gigabytes(abs(left))} {'left' if left >= 0 else 'too much'}"
        how = f"{SHARE * 100:.0f} % of it, {gigabytes(most)}, may be planned: {over}"
        every.append((f"fits into {trainer.memory_gb:g} GB", "yes" if left >= 0 else "no", how))
    return [row for row in every if here.get(row[0], True)]


def _disk(budget: Budget) -> list[tuple[str, str, str]]:
    checkpoints = f"{budget.checkpoints} of {gigabytes(budget.checkpoint)}" + (
        ": the newest one, and what trainer.keep_checkpoints and wsd keep" if budget.checkpoints > 1 else ""
    )
    return [("Disk", "", ""), ("checkpoints", gigabytes(budget.checkpoints * budget.checkpoint), checkpoints)]


def plan_table(budget: Budget, trainer: Trainer | None = None) -> Table:
    """The budget as a table for the terminal."""
    body = budget.body
    table = Table(
        "",
        "figure",
        "how it is counted",
        title=f"Plan: {body.layers} layers, hidden {body.hidden:,}, context {budget.context:,}",
    )
    table.columns[1].justify = "right"
    for what, figure, how in rows(budget, trainer):
        if not figure:
            table.add_section()
            table.add_row(f"[bold]{what}[/bold]")
        else:
            table.add_row(what, figure, how)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def gigabytes(size: float) -> str:
    """Bytes in words."""
    return f"{size / 1e9:,.2f} GB" if size >= 1e7 else f"{size / 1e6:,.2f} MB"


def _dialogues(settings: Train) -> tuple[int | None, str]:
    """How many a run takes of its data in an epoch, and who says so; None where nobody does."""
    data = settings.data
    taken = data.taken
    every = OTHERS in taken or (data.sources and {*prepared.names_of(data.sources)} <= {*taken})
    if taken and every and None not in taken.values():
        return sum(count for count in taken.values() if count), "are those that data.take takes"
    return data.expected_dialogues, "is data.expected_dialogues, not a count"


def _body(settings: Train) -> Body:
    model = settings.model
    local = Path(str(model.path)) / "config.json"
    if not settings.stage.from_scratch and local.exists():
        return of_config(read_object(local))
    if model.shape is None:
        raise ValueError(f"plan=true needs model.shape, or a config.json in model.path={model.path}")
    return of_shape(model.shape)


def _vocabulary(settings: Train, body: Body, notes: list[str]) -> int:
    tokenizer = settings.tokenizer
    if tokenizer.folder is None:
        return body.vocabulary
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
