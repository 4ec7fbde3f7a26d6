"""From settings to the model of a run: load, tie, grow, adapt, keep. Training and export build it the same way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from bailong.initializer.base import Parts
from bailong.initializer.context import Context
from bailong.model import adapters, backbone
from bailong.model.architecture import positions
from bailong.model.calibrate import Calibrated
from bailong.model.grow import GrowReport, require_one_rule
from bailong.model.rows import composition
from bailong.model.tie import is_tied, tie, untie
from bailong.run.process import rank
from bailong.tokenizer.folder import TokenizerFolder, load_tokenizer
from bailong.train import dialogues, rows
from bailong.train.belonging import require_extension, require_rows
from bailong.train.context import context_of
from bailong.train.settings import Train


@dataclass
class Assembled:
    """A model ready to be trained, and what is known about it.

    Attributes:
        model: with adapters, in training mode, on `device`.
        tokenizer: the one it is trained with. new_from: ids from here on are new tokens.
        grown: what the initializer wrote; None without an extension. calibrated: how it was set right by a text.
        pieces: of each new token, its old ones. context: what initializers may know; made once, when it is asked for.
        base: bits per byte of the base on the held-out text before anything was changed and after tying
            (`bpb_untouched`, `bpb_tied`; None when not measured), whether the checkpoint came tied, and under `texts`
            by name the same two figures of each further evaluation text, the longer part of the held-out one included.
        counts: parameters `true`, `packed`, `trainable` (bailong.model.backbone.count).
    """

    model: Any
    tokenizer: Any
    new_from: int
    grown: GrowReport | None
    base: dict[str, Any]
    counts: dict[str, int]
    device: torch.device
    precision: str
    calibrated: Calibrated | None = None
    pieces: list[list[int]] = field(default_factory=list)
    context: Callable[[], Context] | None = None


def device_of(settings: Train) -> torch.device:
    """The device that `trainer.accelerator` asks for; `auto` takes CUDA where there is one."""
    wanted = settings.trainer.accelerator
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.accelerator=cuda is not accepted: torch sees no CUDA device here; use cpu or auto")
    return torch.device("cpu") if wanted == "cpu" or not torch.cuda.is_available() else torch.device("cuda", rank())


def precision_of(settings: Train, device: torch.device) -> str:
    """`trainer.precision`, with `auto` resolved by device."""
    wanted = settings.trainer.precision
    return wanted if wanted != "auto" else ("bf16-mixed" if device.type == "cuda" else "32-true")


def open_tokenizer(settings: Train) -> tuple[Any, TokenizerFolder | None]:
    """The tokenizer of the run, with its folder when it is one that bailong-extend made.

    Raises:
        ValueError: there is none, or it lacks a marker that stands around every document: the end, and of dialogues
            the begin too (bailong.tokenizer.folder.begin_of: what it is where a tokenizer names none).
    """
    if settings.tokenizer.folder is None:
        own = load_tokenizer(str(settings.model.path))
        for marker in ("bos_token", "eos_token") if settings.stage.dialogues else ("eos_token",):
            if getattr(own, marker) is None:
                raise ValueError(f"model.path={settings.model.path} is not accepted: its tokenizer has no {marker}")
        folder = None
    else:
        folder = TokenizerFolder.open(Path(settings.tokenizer.folder))
        own = folder.tokenizer()
    return dialogues.give(settings, own), folder


def assemble(
    settings: Train,
    measure: Callable[[Any], dict[str, float]] | None = None,
    place: Path | None = None,
    keep: bool = False,
    probe: Callable[[Any, Context], None] | None = None,
) -> Assembled:
    """Build the model of a run.

    Args:
        place, keep: as of `bailong.train.rows.stand`.
        probe: called before new rows are made.
        measure: bits per byte of the base under its own tokenizer, by evaluation text (that of the held-out text under
            the empty name); called before tying and, when tying changes
            the model, after it, so that the damage of tying is never credited to an initializer.

    Raises:
        ValueError: tokenizer and checkpoint do not belong together; model.storage is not for this device or model; or
            the initializer is not for a tied pair, or needs a tokenizer of the base where there is none.
    """
    device = device_of(settings)
    precision = precision_of(settings, device)
    compute = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    tokenizer, folder = open_tokenizer(settings)
    base: dict[str, Any] = {"bpb_untouched": None, "bpb_tied": None, "tied_checkpoint": None}
    grown = calibrated = context = None
    pieces: list[list[int]] = []
    if settings.stage.from_scratch:
        model: Any = backbone.scratch(settings.model, tokenizer, settings.seed).to(device)
        new_from = len(tokenizer)
    else:
        model = backbone.load(settings.model, device, compute)
        new_from = folder.base_vocabulary if folder is not None else model.config.vocab_size
        if folder is None:
            require_rows(settings, tokenizer, model.config.vocab_size)
        else:
            require_extension(settings, folder, tokenizer, model.config.vocab_size)
        base["tied_checkpoint"] = is_tied(model)
        if folder is not None and settings.model.ties(base["tied_checkpoint"]):
            require_one_rule(settings.initializer)
        untouched = measure(model) if measure else {}
        if settings.model.tie == "none":
            untie(model)
        elif settings.model.tie != "keep":
            tie(model, settings.model.tie)
        tying_changed_it = is_tied(model) and not base["tied_checkpoint"]
        tied = measure(model) if measure and tying_changed_it else untouched
        if untouched:
            scores = {name: {"bpb_untouched": untouched[name], "bpb_tied": tied[name]} for name in untouched}
            base |= scores.pop("") | ({"texts": scores} if scores else {})
        if folder is not None and (pieces := folder.pieces()):
            context = cache(partial(context_of, settings, folder, tokenizer))
            if probe:
                probe(model, context())
            grown, calibrated = rows.stand(settings, model, pieces, new_from, context, place, keep)
    known, key = positions(model.config)
    if settings.stage.context > known:
        raise ValueError(
            f"stage.context={settings.stage.context} is not accepted: the model knows at most {known} positions "
            f"({key} in its config.json)"
        )
    new = range(new_from, new_from + (grown.added if grown else 0))

    def parts() -> list[Parts]:
        known = context() if context else Context([], [])
        return composition(known.halves(), new_from, known.new)

    model = adapters.add(model, settings.adapter, settings.seed, settings.model.storage, new, parts)
    backbone.protect(model)
    counts = backbone.count(model)
    return Assembled(model, tokenizer, new_from, grown, base, counts, device, precision, calibrated, pieces, context)
