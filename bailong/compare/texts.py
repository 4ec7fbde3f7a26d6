"""Texts that the runs evaluated beside the held-out one: what of the old language each choice forgets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bailong.compare.runs import RunRecord
from bailong.compare.statistics import Estimate, estimate


@dataclass
class TextFigures:
    """One text in the finished runs of a choice, in bits per byte.

    Attributes:
        base: of the untouched base under its own tokenizer, at step 0, and at the end.
        change: the end less the base, run by run: forgetting, where the text is in the old language.
        paired: change less that of the baseline's run of the same seed.
    """

    base: Estimate | None
    step0: Estimate | None
    final: Estimate | None
    change: Estimate | None
    paired: Estimate | None = None


def names(runs: Sequence[RunRecord]) -> dict[str, bool]:
    """The texts of the runs, and whether a text is in the old language; those come first."""
    found: dict[str, bool] = {}
    for run in runs:
        for row in run.rows[:1]:
            for key in row:
                parts = key.split("/")
                text = len(parts) == 3 and parts[0] == "eval" and parts[2] == "bpb" and not parts[1].endswith(".ends")
                if text and parts[1] != held_out(run):
                    found[parts[1]] = found.get(parts[1], False) or parts[1] == old(run)
    return dict(sorted(found.items(), key=lambda item: not item[1]))


def old(run: RunRecord) -> str | None:
    """The name of the text in the old language, by the run's result or its settings; None where there is none."""
    if run.result:
        return run.result.get("old_language")
    return run.config.get("old_language.name") or run.config.get("old_language.language")


def held_out(run: RunRecord) -> str:
    """What the longest part of the held-out text that a run scores at both ends stands under (`eval/<that>/bpb`); empty
    where it is the text of the curve."""
    least, ends = (run.config.get(f"data.evaluation_bytes{key}") for key in ("", "_at_ends"))
    return "ends" if ends not in (None, least) and run.at_start("eval/ends/bpb") is not None else ""


def base(run: RunRecord) -> dict[str, Any]:
    """What the result of a run says of the base before extension, scored on that part; empty where it says nothing."""
    found = run.result.get("base")
    if not isinstance(found, dict):
        return {}
    longer = (found.get("texts") or {}).get(held_out(run))
    return found | longer if isinstance(longer, dict) else found


def record(run: RunRecord, name: str) -> dict[str, Any]:
    """What the result of a run says of a text; empty where it says nothing."""
    texts = run.result.get("texts")
    found = texts.get(name) if isinstance(texts, dict) else None
    return found if isinstance(found, dict) else {}


def score(run: RunRecord, name: str, where: str) -> float | None:
    """Bits per byte of the longest part of a text that both ends were scored on: of the `base`, at `step0`, or `final`;
    None while it is not known."""
    part = longest(run, name)
    if where == "step0":
        return run.at_start(f"eval/{part}/bpb")
    if where == "final":
        return run.at_end(f"eval/{part}/bpb")
    return untouched(run, part)


def longest(run: RunRecord, name: str) -> str:
    """The name under which the longest part of a text stands that a run was scored on at both ends."""
    return next((n for n in (f"{name}.ends", name) if run.at_end(f"eval/{n}/bpb") is not None), name)


def change(run: RunRecord, name: str) -> float | None:
    """The end less the untouched base."""
    before, after = score(run, name, "base"), score(run, name, "final")
    return after - before if before is not None and after is not None else None


def forgetting(run: RunRecord) -> float | None:
    """What of the old language is forgotten: `change` of its text."""
    name = old(run)
    return change(run, name) if name else None


def figures(runs: Sequence[RunRecord], pairs: Sequence[tuple[RunRecord, RunRecord]], name: str) -> TextFigures:
    """Args: finished runs of a choice, and each with the baseline's run that it is paired with (none: the baseline)."""
    base, step0, final = (estimate([score(run, name, w) for run in runs]) for w in ("base", "step0", "final"))
    values = [(change(a, name), change(b, name)) for a, b in pairs]
    apart = [a - b for a, b in values if a is not None and b is not None]
    return TextFigures(base, step0, final, estimate([change(run, name) for run in runs]), estimate(apart))


def agrees(run: RunRecord) -> bool:
    """Whether the forgetting that a result states is that of its record; a run that states none agrees."""
    told, mine = run.result.get("forgetting"), forgetting(run)
    if told is None:
        return True
    return isinstance(told, int | float) and mine is not None and abs(mine - told) <= 1e-6


def untouched(run: RunRecord, name: str) -> float | None:
    """Bits per byte of a text, or of a longer part of it, under the base and its own tokenizer."""
    base = run.result.get("base")
    texts = base.get("texts") if isinstance(base, dict) else None
    told = texts.get(name) if isinstance(texts, dict) else None
    value = told.get("bpb_untouched") if isinstance(told, dict) else None
    return float(value) if isinstance(value, int | float) else None
