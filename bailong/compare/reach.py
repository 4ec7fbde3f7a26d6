"""What it takes to the baseline's final loss: in tokens, in bytes, or in both bytes and seconds with what the new rows
cost."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bailong.compare.runs import RunRecord
from bailong.compare.statistics import Estimate, estimate, first_reach

#: what two runs must agree in to be set against each other
Pair = Callable[[RunRecord], tuple]
#: what a run spends until it is at a target (bits per byte); None where it stays above
Spent = Callable[[RunRecord, float], float | None]


@dataclass
class Reach:
    """Tokens to the baseline's final loss. `tokens`, `saved` (fewer than the baseline's, pair by pair) and `base` (the
    baseline's own mean over these pairs) only where every run reached it: a mean over those that did would
    flatter the choice."""

    reached: int
    of: int
    tokens: Estimate | None = None
    saved: Estimate | None = None
    base: float | None = None


def to_baseline(
    finished: Sequence[RunRecord], partners: Mapping[tuple, RunRecord], pair: Pair, is_baseline: bool, spent: Spent
) -> tuple[dict[str, float | None], Reach | None]:
    """What each finished run of a choice spends to the final loss of its partner, by folder, and all of them together.

    Args:
        partners: the baseline's finished runs by what `pair` tells of them.
        is_baseline: the choice is the baseline, so that each run is its own partner.
    """
    targets = [t for run in partners.values() if (t := run.at_end("eval/bpb")) is not None]
    if not targets:
        return {}, None
    own = {pair(run): run for run in finished}  # of several runs of one seed one is paired
    found: dict[str, float | None] = {}
    base: list[float | None] = []
    for run in finished:
        partner = run if is_baseline else partners.get(pair(run))
        # An unpaired run is set against the baseline's mean, which is the same text and so the same target.
        target = partner.at_end("eval/bpb") if partner else math.fsum(targets) / len(targets)
        if target is None:
            continue
        found[str(run.folder)] = spent(run, target)
        base.append(spent(partner, target) if partner and run is own[pair(run)] else None)
    return found, _reach(list(found.values()), base)


def along_curve(run: RunRecord, target: float) -> float | None:
    """Tokens (or bytes: `unit`) to `target`."""
    return first_reach(*run.curve("eval/bpb"), target)


def _reach(tokens: Sequence[float | None], base: Sequence[float | None]) -> Reach | None:
    """Args: the choice's tokens (None: not reached) and those of each run's partner (None: it has none)."""
    reached = [t for t in tokens if t is not None]
    if not tokens:
        return None
    if len(reached) < len(tokens):
        return Reach(len(reached), len(tokens))
    pairs = [(b, t) for b, t in zip(base, reached, strict=True) if b is not None]
    saved = estimate([b - t for b, t in pairs])
    return Reach(
        len(reached), len(tokens), estimate(reached), saved, statistics.fmean(b for b, _ in pairs) if pairs else None
    )


# --- with what the new rows cost ---------------------------------------------------------------------


def rows_seconds(run: RunRecord) -> float | None:
    """Seconds that making and calibrating the new rows took; 0 where none were made, None where it was not recorded."""
    told = run.result.get("rows_seconds")
    if isinstance(told, int | float):
        return float(told)
    return 0.0 if run.result.get("new_rows") == 0 else None


def priced(run: RunRecord) -> bool:
    """Whether a run tells everything that its cost is made of."""
    return rows_seconds(run) is not None and _rate(run) is not None and len(run.curve("eval/bpb", "bytes")[0]) > 0


def bytes_with_rows(run: RunRecord, target: float) -> float | None:
    """Bytes of text to `target`, and those that the run would have trained on while its rows were made: their seconds
    times the run's own bytes a second. None where it stays above, or does not tell what it costs."""
    rate, cost = _rate(run), rows_seconds(run)
    trained = first_reach(*run.curve("eval/bpb", "bytes"), target)
    return None if rate is None or cost is None or trained is None else trained + cost * rate


def seconds_with_rows(run: RunRecord, target: float) -> float | None:
    """Seconds to `target`: those of training at the run's own mean speed, and those that its rows took."""
    spent, rate = bytes_with_rows(run, target), _rate(run)
    return None if spent is None or rate is None else spent / rate


def _rate(run: RunRecord) -> float | None:
    """Bytes of text a second of training, over the whole run."""
    size, seconds = run.result.get("bytes"), run.result.get("seconds")
    known = isinstance(size, int | float) and isinstance(seconds, int | float) and size > 0 and seconds > 0
    return size / seconds if known else None  # type: ignore[operator]
