"""The new rows of a run: made once, and kept beside its checkpoints where its settings and its base alone do not say
them."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bailong.initializer.base import Initializer
from bailong.initializer.context import Context
from bailong.model.calibrate import Calibrated, calibrate
from bailong.model.grow import SIDES, GrowReport, grow, report_of
from bailong.model.tie import ends
from bailong.run import folder
from bailong.run.files import replaced
from bailong.train.settings import Train

#: in the folder of a run
KEPT = Path("checkpoints") / "rows.safetensors"


@dataclass
class Kept(Initializer):
    """Rows that were made before."""

    name: str = "kept"

    def __post_init__(self) -> None:
        self.made: dict[str, torch.Tensor] = {}

    def new_rows(self, side: str, old: torch.Tensor, *rest: Any) -> torch.Tensor:
        return self.made[side].to(old.dtype)


def stand(
    settings: Train,
    model: Any,
    pieces: list[list[int]],
    named: int,
    context: Callable[[], Context],
    place: Path | None,
    keep: bool,
) -> tuple[GrowReport, Calibrated | None]:
    """Give a model the new rows of a run.

    Args:
        pieces, named: as of `bailong.model.grow.grow`.
        place: the folder of the run; None for a model that is not of one.
        keep: whether rows that were made are written there. They are where text or a model's own words went into them:
            neither need be there when the run is exported, nor says the same on another machine.

    Raises:
        ValueError: as `grow` and `calibrate`; or the rows that were kept cannot be read.
    """
    initializer, seed = settings.initializer, settings.seed
    file = place / KEPT if place else None
    if not initializer.learns:
        return grow(model, pieces, initializer, seed, named=named, context=context()), None
    if file is None or not (keep or file.exists()):
        return _made(model, pieces, initializer, seed, named, context())
    if not file.exists():  # what is there is whole: it is read without the lock, of a folder too that is read-only
        with folder.shared(file):
            if not file.exists():
                found = _made(model, pieces, initializer, seed, named, context())
                _write(file, model, named, len(pieces), *found)
                return found
    return _read(file, model, pieces, named)


def _made(
    model: Any, pieces: list[list[int]], initializer: Initializer, seed: int, named: int, context: Context
) -> tuple[GrowReport, Calibrated | None]:
    report = grow(model, pieces, initializer, seed, named=named, context=context)
    calibrated = calibrate(model, pieces, initializer, context, named)
    if calibrated is not None:
        report = report_of(model, named, len(pieces), report.seconds + calibrated.seconds, report.notes)
    return report, calibrated


def _write(file: Path, model: Any, named: int, added: int, report: GrowReport, calibrated: Calibrated | None) -> None:
    sides = ("embed",) if report.head is None else tuple(SIDES.values())
    rows = {
        side: end.weight.detach()[named : named + added].cpu().contiguous()
        for side, end in zip(sides, ends(model), strict=False)
    }
    told = {
        "seconds": report.seconds,
        "notes": report.notes,
        "calibrated": calibrated and dataclasses.asdict(calibrated),
    }
    with replaced(file, alone=True) as partial:
        save_file(rows, partial, {"made": json.dumps(told)})


def _read(file: Path, model: Any, pieces: list[list[int]], named: int) -> tuple[GrowReport, Calibrated | None]:
    kept = Kept()
    try:
        with safe_open(file, "pt") as stream:
            told = json.loads(stream.metadata()["made"])
            kept.made = {side: stream.get_tensor(side) for side in stream.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # cut short, or another program's
        raise ValueError(f"{file} is damaged ({error}); add rerun=true to start over") from None
    report = grow(model, pieces, kept, 0, named=named)
    calibrated = Calibrated(**told["calibrated"]) if told["calibrated"] else None
    return dataclasses.replace(report, seconds=told["seconds"], notes=tuple(told["notes"])), calibrated
