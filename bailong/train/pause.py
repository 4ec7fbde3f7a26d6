"""`pause_at=SHARE`: a run saves itself and stops at its first evaluation from a share of its steps on.

Every step is that of the whole run, its learning rate too, so where a run pauses is no part of what it is: the same
command without it goes on to the same end, to the bit. It pauses at an evaluation that it makes anyway, for another one
would be a row of its record that an unbroken run has not. Import-light: a sweep asks without torch.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from bailong.run import files, journal, metrics
from bailong.run.progress import Reporter
from bailong.train import starts
from bailong.train.settings import Train

if TYPE_CHECKING:
    from bailong.train.module import Training


def step_of(share: float, total: int) -> int:
    """The step with which a share of `total` steps is done."""
    return max(1, math.ceil(round(share * total, 6)))  # 0.1 x 30 is a little above 3


def due(share: float | None, step: int, total: int) -> bool:
    """Whether a run of `total` steps that was just evaluated at `step` pauses there."""
    return share is not None and step_of(share, total) <= step < total


def reached(folder: Path, share: float) -> bool:
    """Whether the record of a run has an evaluation at or behind a share of its steps."""
    total, (steps, _) = total_steps(folder), curve(folder)
    return total is not None and bool(steps) and steps[-1] >= step_of(share, total)


def total_steps(folder: Path) -> int | None:
    """Optimizer steps of the whole run, as its result or its last start told; None where neither did yet."""
    if (folder / "result.json").exists():
        return files.read_object(folder / "result.json")["steps"]
    rows = journal.read(folder / starts.NAME, damaged="stop")
    return rows[-1].get("of") if rows else None


def curve(folder: Path) -> tuple[list[int], list[float]]:
    """The steps at which a run was evaluated, ascending, and its bits per byte of the held-out text there."""
    rows = [row for row in metrics.read(folder / "metrics.jsonl") if row.get("eval/bpb") is not None]
    return [row["step"] for row in rows], [row["eval/bpb"] for row in rows]


def leave(settings: Train, module: Training, reporter: Reporter) -> None:
    """Say where a run stops before its end.

    Raises:
        SystemExit: with the code of the signal that asked for it; not at a pause.
    """
    where = f"at step {module.counters.step} of {module.total_steps}, saved"
    if module.stop_signal is None:
        assert module.pausing, "training ended early without being asked to"
        reporter.say(f"paused {where}; the same command without pause_at goes on from there")
        return
    module.observer.close(128 + module.stop_signal)
    same = "the same command without rerun=true" if settings.rerun else "the same command"
    reporter.say(f"stopped {where}; {same} goes on from there")
    raise SystemExit(128 + module.stop_signal)
