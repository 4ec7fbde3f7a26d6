"""`starts.jsonl`: under what each start of a run computed, a line each.

`config.yaml` and `provenance.json` hold the last start only. What a run was resumed under may be other code, another
machine, or other settings of those that decide nothing that is learned, yet round otherwise.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from bailong.run import journal

NAME = "starts.jsonl"
#: settings outside the identity that may change the last bit of a sum
ROUNDING = ("accelerator", "threads", "gradient_checkpointing", "compile", "head_chunk", "deterministic")
#: what a start meant that was written down before there was such a setting
WITHOUT = {"compile": "none"}


@dataclasses.dataclass(frozen=True)
class Part:
    """The steps behind `first` up to `last`, made otherwise than under the last start: `told` says in what."""

    first: int
    last: int
    told: list[str]

    def __str__(self) -> str:
        return f"steps {self.first:,} to {self.last:,}: {'; '.join(self.told)}"


def append(folder: Path, trainer: dict[str, Any], origin: dict[str, Any], diff: str, step: int, total: int) -> None:
    """Write down a start behind `step`, of a run of `total` steps.

    Args:
        trainer: settings, with what the machine chose. origin, diff: as `bailong.run.provenance.collect` gives them.
    """
    row = {key: origin.get(key) for key in ("when", "git", "python", "packages", "hardware", "host")}
    row |= {"step": step, "of": total, "trainer": {key: trainer[key] for key in ROUNDING}}
    with journal.Journal(folder / NAME) as rows:  # which cuts off what a killed start left of a line
        rows.append(row | {"diff_sha256": digest(diff)})


def parts(folder: Path, last: int) -> list[Part]:
    """What of a run up to step `last` was made under other code, packages, machine or settings than its last start.

    A start of which no step is left, since a later one began at the same step, made nothing. A run that was made before
    there was such a file has none.
    """
    made: list[dict[str, Any]] = []
    for row in journal.read(folder / NAME, damaged="stop"):
        if isinstance(row.get("step"), int):
            made = [*(earlier for earlier in made if earlier["step"] < row["step"]), row]
    if not made:
        return []
    ends = [row["step"] for row in made[1:]] + [last]
    found = [Part(row["step"], end, _differing(row, made[-1])) for row, end in zip(made, ends, strict=True)]
    return [part for part in found if part.told]


def elsewhere(made: dict[str, Any], now: dict[str, Any], today: str = "now") -> list[str]:
    """In what code, packages and machine differ between two starts; each with the hash of its uncommitted changes.

    Args:
        today: what the second one is called.
    """
    before, here = part_of(made, "git").get("commit"), part_of(now, "git").get("commit")
    told = []
    if before != here:
        told.append(f"code: commit {str(before)[:12]} then, {str(here)[:12]} {today}")
    elif made.get("diff_sha256", "") != now.get("diff_sha256", ""):
        told.append(f"code: commit {str(here)[:12]} with other uncommitted changes")
    pairs = [("python", made.get("python"), now.get("python"))]
    packages, hardware = part_of(made, "packages"), part_of(made, "hardware")
    pairs += [(name, packages.get(name), version) for name, version in part_of(now, "packages").items()]
    pairs += [(name, hardware.get(name), part_of(now, "hardware").get(name)) for name in ("cpu", "gpu", "cuda")]
    return told + [f"{name}: {then} then, {value} {today}" for name, then, value in pairs if then != value]


def part_of(origin: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of what a run wrote down; without rows where somebody put something else there."""
    value = origin.get(key)
    return value if isinstance(value, dict) else {}


def digest(diff: str) -> str:
    """Of uncommitted changes; empty where there are none."""
    return hashlib.sha256(diff.strip().encode()).hexdigest() if diff.strip() else ""


def _differing(made: dict[str, Any], last: dict[str, Any]) -> list[str]:
    before, after = part_of(made, "trainer"), part_of(last, "trainer")
    keys = [key for key in ROUNDING if before.get(key, WITHOUT.get(key)) != after.get(key, WITHOUT.get(key))]
    settings = [f"trainer.{key}: {before.get(key)} then, {after.get(key)} at the last start" for key in keys]
    return settings + elsewhere(made, last, "at the last start")
