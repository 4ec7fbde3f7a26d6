"""What a corpus would take: a trial on a little of each source, scaled up (`bailong-prepare plan=true`)."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from bailong import step
from bailong.config import Prepare, Source
from bailong.data import task
from bailong.data.pipeline import Pipeline, names_of
from bailong.data.task import Task
from bailong.step import collect

#: the small trial has this share of the documents of the large one; the difference between them is the cost that grows
SMALL = 0.25


@dataclass
class Estimate:
    """What the trial found and what it means for the whole.

    Attributes:
        sources: name, files, bytes of text, documents and raw shards of each source; None where nobody can know.
        steps: step, MB a CPU second in the trial, CPU seconds of the whole.
        workers: processes that share the CPU seconds.
    """

    sources: list[dict[str, Any]]
    steps: list[tuple[str, float, float | None]]
    workers: int

    @property
    def seconds(self) -> float | None:
        """Expected wall-clock time."""
        known = [cpu for _, _, cpu in self.steps if cpu is not None]
        return sum(known) / self.workers if len(known) == len(self.steps) else None

    def shown(self) -> RenderableType:
        """Two tables and a line."""
        sources = Table(title="sources (extrapolated from the trial)", title_justify="left")
        for column in ("source", "files", "text MB", "documents", "shards", "kept in the trial"):
            sources.add_column(column, justify="left" if column == "source" else "right")
        for row in self.sources:
            sources.add_row(
                row["name"],
                f"{row['files']:,}",
                _number(row["bytes"] and row["bytes"] / 1e6),
                _number(row["documents"]),
                _number(row["shards"]),
                f"{row['kept']:.1%}",
            )
        steps = Table(title=f"steps on this machine ({self.workers} workers)", title_justify="left")
        for column in ("step", "MB/CPU s", "CPU time"):
            steps.add_column(column, justify="left" if column == "step" else "right")
        for name, speed, cpu in self.steps:
            steps.add_row(name, f"{speed:,.1f}", _time(cpu))
        seconds = self.seconds
        whole = "unknown: the size of a source is" if seconds is None else f"about {_time(seconds)}"
        return Group(sources, steps, f"expected time: {whole}")


def estimate(settings: Prepare) -> Estimate:
    """Run every step over a little of each source, twice, in a folder that is removed again."""
    names = names_of(settings.data.sources)
    small, _ = trial(settings, max(1, round(settings.plan_documents * SMALL)))
    large, pipeline = trial(settings, settings.plan_documents)
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
                "kept": kept,
            }
        )
    whole = None if any(s["bytes"] is None for s in sources) else sum(s["bytes"] for s in sources)
    tried = sum(s["bytes"] for s in large["sources"].values())
    before = sum(s["bytes"] for s in small["sources"].values())
    steps = []
    for name, cpu in large["seconds"].items():
        growing = max(cpu - small["seconds"].get(name, 0.0), 0.0) / max(tried - before, 1)  # CPU seconds a byte
        fixed = max(cpu - growing * tried, 0.0)
        speed = 1e-6 / growing if growing else float("inf")
        steps.append((name, speed, None if whole is None else fixed + growing * whole))
    return Estimate(sources, steps, getattr(settings.engine, "workers", None) or len(os.sched_getaffinity(0)))


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
        seconds = {}
        for phase in pipeline.phases:
            manifests = pipeline.manifests(phase)
            if phase == "clean":
                for name in step.PER_DOCUMENT:
                    if any(name in m["speed"] for m in manifests):
                        seconds[name] = sum(m["speed"].get(name, 0.0) for m in manifests)
            else:
                seconds[phase] = sum(m["cpu_seconds"] for m in manifests)
        met = {name: {"documents": 0, "bytes": 0, "kept": 0} for name in pipeline.names}
        for unit, manifest in pipeline.collected:
            mine = met[unit.name.split("/")[1]]
            mine["documents"] += manifest["facts"]["flow"]["in"]["documents"]
            mine["bytes"] += manifest["facts"]["flow"]["in"]["bytes"]
        for manifest in pipeline.manifests("publish"):
            for split in ("training", "held_out"):
                met[manifest["task"].split("/")[1]]["kept"] += manifest["facts"][split]["documents"]
    return {"seconds": seconds, "sources": met}, pipeline


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
