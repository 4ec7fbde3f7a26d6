"""What a corpus would take: a trial on a little of each source, scaled up (`bailong-prepare plan=true`)."""

import dataclasses
import math
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from bailong.data.settings import Source
from bailong.prepare import step
from bailong.prepare.pipeline import Pipeline, names_of
from bailong.prepare.settings import Prepare
from bailong.prepare.step import collect
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from bailong.run.process import usable_cores

#: the small trial has this share of the documents of the large one; the difference between them is the cost that grows
SMALL = 0.25
#: how often each is made, in turn; the quickest counts, for whatever else this machine does only adds
REPEATS = 3
#: share of the expected time that may be uncertain without a word
UNCERTAIN = 0.2


@dataclass
class StepCost:
    """What one step takes of the whole, in CPU seconds.

    Attributes:
        once: of each worker: loading tables, compiling.
        least, most: of all workers together; they differ where the trial was too small to see the cost grow. Then it
            is that of the trial for the least, and proportional to the text for the most. None where nobody can know.
        speed: bytes of text a second; at least so many where the two differ.
    """

    name: str
    once: float
    least: float | None
    most: float | None
    speed: float


@dataclass
class Estimate:
    """What the trials found and what it means for the whole.

    Attributes:
        sources: name, files, bytes of text, documents and raw shards of each source, None where nobody can know;
            documents tried, and the share of them that was kept.
        workers: processes that share the CPU seconds.
    """

    sources: list[dict[str, Any]]
    steps: list[StepCost]
    workers: int

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Expected wall-clock time, least and most."""
        if any(step.least is None for step in self.steps):
            return None
        once = sum(step.once for step in self.steps)
        least = sum(step.least or 0.0 for step in self.steps)
        most = sum(step.most or 0.0 for step in self.steps)
        return once + least / self.workers, once + most / self.workers

    def shown(self) -> RenderableType:
        """Two tables and a line."""
        tried = sum(row["tried"] for row in self.sources)
        sources = Table(title="sources", title_justify="left")
        for column in ("source", "files", "text MB", "documents", "shards", "tried", "kept of them"):
            sources.add_column(column, justify="left" if column == "source" else "right")
        for row in self.sources:
            sources.add_row(
                row["name"],
                f"{row['files']:,}",
                "unknown" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}",
                _number(row["documents"]),
                _number(row["shards"]),
                f"{row['tried']:,}",
                f"{row['kept']:.1%}",
            )
        steps = Table(title=f"steps on this machine ({self.workers} workers)", title_justify="left")
        for column in ("step", "MB/CPU s", "CPU time"):
            steps.add_column(column, justify="left" if column == "step" else "right")
        for row in self.steps:
            above, below = (">", "<") if row.least != row.most else ("", "")
            cpu = "unknown" if row.most is None else below + _time(row.most + row.once * self.workers)
            steps.add_row(row.name, f"{above}{row.speed / 1e6:,.1f}", cpu)
        return Group(sources, steps, f"expected time: {self._verdict()}; extrapolated from {tried:,} documents")

    def _verdict(self) -> str:
        if self.seconds is None:
            return "unknown: the size of a source is"
        least, most = self.seconds
        if most <= (1 + UNCERTAIN) * least:
            return f"about {_time(most)}"
        return f"{_time(least)} to {_time(most)} (a larger plan_documents says it closer)"


def estimate(settings: Prepare) -> Estimate:
    """Run every step over a little of each source, in folders that are removed again.

    The first trial pays what every process pays once, the others tell what grows with the text.
    """
    names = names_of(settings.data.sources)
    few = max(1, round(settings.plan_documents * SMALL))
    cold, _ = trial(settings, few)
    pairs = [(trial(settings, few), trial(settings, settings.plan_documents)) for _ in range(REPEATS)]
    small, (large, pipeline) = pairs[0][0][0], pairs[0][1]
    warm = [_quickest([pair[i][0]["seconds"] for pair in pairs]) for i in (0, 1)]
    units = {name: collect.units(source) for name, source in zip(names, settings.data.sources, strict=True)}
    sources = []
    for name, source, mine in zip(names, settings.data.sources, pipeline.steps, strict=True):
        met = large["sources"][name]
        size = collect.expected_bytes(source, units[name])
        share = size / met["bytes"] if size and met["bytes"] else None
        documents = None if share is None else round(met["documents"] * share)
        if source.limit is not None and documents is not None and documents > source.limit:
            size, documents = size * source.limit / documents, source.limit  # type: ignore[operator]
        shards = None if size is None else max(len(units[name]), round(size / 1e6 / mine["collect"].shard_mb))
        kept = met["kept"] / met["documents"] if met["documents"] else 0.0
        sources.append(
            {
                "name": name,
                "files": sum(len(unit.files) for unit in units[name]),
                "bytes": size,
                "documents": documents,
                "shards": shards,
                "tried": met["documents"],
                "kept": kept,
            }
        )
    whole = None if any(s["bytes"] is None for s in sources) else sum(s["bytes"] for s in sources)
    tried = sum(s["bytes"] for s in large["sources"].values())
    before = sum(s["bytes"] for s in small["sources"].values())
    workers = getattr(settings.engine, "workers", None) or usable_cores()
    sizes = before, tried, whole
    steps = [
        scaled(name, cold["seconds"].get(name, 0.0), warm[0].get(name, 0.0), seconds, sizes)
        for name, seconds in warm[1].items()
    ]
    return Estimate(sources, steps, workers)


def scaled(name: str, cold: float, small: float, large: float, sizes: tuple[int, int, float | None]) -> StepCost:
    """What a step takes for the whole, from its CPU seconds in the trials: the first of all, a small and a large one.

    Args:
        sizes: bytes of text in the small trial, in the large one, in the whole (None: unknown).
    """
    before, tried, whole = sizes
    once = max(cold - small, 0.0)
    if tried > before and large > small:
        growing = (large - small) / (tried - before)  # CPU seconds a byte
        total = None if whole is None else max(large - growing * tried, 0.0) + growing * whole
        return StepCost(name, once, total, total, 1 / growing)
    share = None if whole is None else whole / max(tried, 1)
    bounds = (None, None) if share is None else (large * min(share, 1.0), large * share)
    return StepCost(name, once, *bounds, speed=max(tried, 1) / large)


def trial(settings: Prepare, documents: int) -> tuple[dict[str, Any], Pipeline]:
    """CPU seconds of each step and what was met of each source, over the first `documents` of each."""
    sources: list[Source] = [
        dataclasses.replace(s, limit=min(s.limit or documents, documents)) for s in settings.data.sources
    ]
    little = dataclasses.replace(settings, data=dataclasses.replace(settings.data, sources=sources))
    with tempfile.TemporaryDirectory(prefix="bailong-plan-") as place:
        root = Path(place)

        def run(_: str, tasks: list[Task]) -> list[dict[str, Any]]:
            return [task.run(t, root) for t in tasks]

        pipeline = Pipeline(little, root, run)
        units = collect.tasks(sources, [mine["collect"] for mine in pipeline.steps], root / ".cache", first=1)
        pipeline.run(units)
        seconds: dict[str, float] = defaultdict(float)  # `templates` cleans, and reports later
        for phase in pipeline.phases:
            manifests = pipeline.manifests(phase)
            whole = sum(m["cpu_seconds"] for m in manifests)
            if phase == "clean":
                for name in step.PER_DOCUMENT:
                    if spent := sum(m["speed"].get(name, 0.0) for m in manifests):
                        seconds[name] += spent
                        whole -= spent
            if whole > 0:
                seconds[phase] += whole  # of `clean`, what is around its steps: opening them, books, writing
        met = {name: {"documents": 0, "bytes": 0, "kept": 0} for name in pipeline.names}
        for unit, manifest in pipeline.collected:
            mine = met[unit.name.split("/")[1]]
            mine["documents"] += manifest["facts"]["flow"]["in"]["documents"]
            mine["bytes"] += manifest["facts"]["flow"]["in"]["bytes"]
        for manifest in pipeline.manifests("publish"):
            for split in ("training", "held_out"):
                met[manifest["task"].split("/")[1]]["kept"] += manifest["facts"][split]["documents"]
    return {"seconds": seconds, "sources": met}, pipeline


def _quickest(trials: list[dict[str, float]]) -> dict[str, float]:
    return {name: min(seconds.get(name, math.inf) for seconds in trials) for name in trials[0]}


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
