"""The ledger of a corpus: what every step did to every source, checked, beside what came of it all."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from bailong.prepare import place as placing
from bailong.prepare import step
from bailong.prepare.pipeline import Pipeline
from bailong.prepare.step.mix import TABLE_3
from bailong.prepare.work import task
from bailong.prepare.work.books import MEASURES, Flow, check_passed_on, merged, told_drops
from bailong.run.provenance import version

PACKAGES = (
    "bailong",
    "opencc",
    "datasketch",
    "numba",
    "faiss-cpu",
    "sentence-transformers",
    "trafilatura",
    "orjson",
    "zstandard",
    "pyarrow",
    "numpy",
    "tokenizers",
    "ray",
)


def build(pipeline: Pipeline, identity: dict[str, Any]) -> dict[str, Any]:
    """The ledger of a finished pipeline.

    Raises:
        AssertionError: what one step let through is not what the next one met, or not what was published.
        ValueError: no document is left.
    """
    books = _books(pipeline)
    check(books)
    *_, last = books.values()
    if not any(flow.left[0] for flow in last.values()):
        came = sum(flow.came[0] for flow in books["collect"].values())
        dropped = told_drops((name, flow) for name, flows in books.items() for flow in flows.values())
        raise ValueError(
            f"data.sources leave no document: the {came:,} of {', '.join(pipeline.names)} were dropped by {dropped}: "
            "loosen one of them"
        )
    published = pipeline.manifests("publish")
    sums = _sums(pipeline, published)
    ledger = placing.heading(pipeline.settings.data.name, identity) | {
        "digest": hashlib.sha256(
            json.dumps([m["digest"] for m in [*published, *pipeline.manifests("pack")]]).encode()
        ).hexdigest(),
        "sources": [
            {
                "name": name,
                "path": source.path,
                "language": source.language,
                "licence": source.licence,
                "files": sum(
                    len(unit.arguments["files"]) for unit, _ in pipeline.collected if unit.name.split("/")[1] == name
                ),
                "quarantined": _quarantined(pipeline, name),
            }
            for name, source in zip(pipeline.names, pipeline.sources, strict=True)
        ],
        "steps": {
            name: {
                "settings": dataclasses.asdict(pipeline.settings.step(name)),
                "facts": _facts(pipeline, name),
                "sources": {source: flow.to_json() for source, flow in flows.items()},
                "speed": _speed(pipeline, name, flows),
            }
            for name, flows in books.items()
        },
        "mixture": mixture(pipeline, sums),
        "held_out": {key: sum(s["held_out"][key] for s in sums.values()) for key in MEASURES},
        "clusters": next((m["facts"]["clusters"] for m in pipeline.manifests("mix") if "clusters" in m["facts"]), {}),
        "templates": _templates(pipeline),
        "provenance": {"versions": {name: version(name) for name in PACKAGES}},
    }
    if "banned" in books:
        words = {name: pipeline.settings.banned.loud(flow.to_json()) for name, flow in books["banned"].items()}
        if found := {name: ids for name, ids in words.items() if ids}:  # each alone drops more than banned.warn_share
            ledger["steps"]["banned"]["facts"]["words that drop much"] = found
    if packed := pipeline.manifests("pack"):
        data = pipeline.settings.data
        ledger["pack"] = packed[0]["facts"] | {
            "tokenizer": pipeline.facts[0]["tokenize"]["sha256"],
            "markers": pipeline.markers,
            "held_out": data.held_out,
            "evaluate_on": data.evaluate_on,
            "evaluation_bytes": data.evaluation_bytes,
            "evaluation_bytes_at_ends": data.bytes_at_ends,
        }
    return ledger


def _books(pipeline: Pipeline) -> dict[str, dict[str, Flow]]:
    """Step -> source -> flow, in the order of the steps."""
    found: dict[str, dict[str, list[Flow]]] = {name: {} for name in step.ORDER}
    for phase in ("collect", "clean", "publish"):
        for manifest in pipeline.manifests(phase):
            source = manifest["task"].split("/")[1]
            books = {"collect": manifest["facts"]["flow"]} if phase == "collect" else manifest["facts"]["books"]
            for name, saved in books.items():
                found[name].setdefault(source, []).append(Flow.of(saved))
    return {
        name: {source: merged(flows) for source, flows in sources.items()} for name, sources in found.items() if sources
    }


def check(books: dict[str, dict[str, Flow]]) -> None:
    """in = out + drops in each step of each source, and out of one step = in of the next.

    Raises:
        AssertionError: the books do not balance.
    """
    met: dict[str, list[tuple[str, Flow]]] = {}
    for name, sources in books.items():
        for source, flow in sources.items():
            flow.check(f"{name}, {source}")
            met.setdefault(source, []).append((name, flow))
    for source, flows in met.items():
        check_passed_on(source, flows)


def mixture(pipeline: Pipeline, sums: dict[str, dict[str, dict[str, int]]]) -> list[dict[str, Any]]:
    """Table 3 of the paper for this corpus: training text of each source."""
    total = sum(s["training"]["tokens"] for s in sums.values()) or 1
    return [
        {
            "source": name,
            "language": source.language,
            **sums[name]["training"],
            "share": sums[name]["training"]["tokens"] / total,
            "paper_share": TABLE_3.get(name),
        }
        for name, source in zip(pipeline.names, pipeline.sources, strict=True)
    ]


def place(pipeline: Pipeline, ledger: dict[str, Any], page: str, folder: Path) -> None:
    """Put the corpus in place."""
    fresh = placing.fresh(folder, "documents", "dropped", "quarantine")
    counts = dict.fromkeys(pipeline.names, 0)
    for published in pipeline.published:
        source = published.name.split("/")[1]
        for name in ("documents", "dropped"):
            _link(
                pipeline.root / published.name / f"{name}.jsonl.zst",
                fresh / name / f"{source}-{counts[source]:05d}.jsonl.zst",
            )
        counts[source] += 1
    for source, count in counts.items():
        if count == 0:  # an empty source stays a source
            (fresh / "documents" / f"{source}-00000.jsonl.zst").touch()
    for unit, _ in pipeline.collected:
        if (bad := pipeline.root / unit.name / "quarantine.jsonl").exists() and bad.stat().st_size:
            _link(bad, fresh / "quarantine" / f"{'-'.join(unit.name.split('/')[1:])}.jsonl")
    if pipeline.packed is not None:
        shutil.copytree(
            pipeline.root / pipeline.packed.name, fresh / "tokens", copy_function=_link,
            ignore=shutil.ignore_patterns("manifest.json"),
        )  # fmt: skip
    placing.put(fresh, ledger, page, folder, "documents", "dropped", "quarantine", "tokens")


def _sums(pipeline: Pipeline, published: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    sums: dict[str, dict[str, dict[str, int]]] = {
        name: {split: dict.fromkeys(map(str, MEASURES), 0) for split in ("training", "held_out")}
        for name in pipeline.names
    }
    for manifest in published:
        mine = sums[manifest["task"].split("/")[1]]
        for split, totals in mine.items():
            for key in MEASURES:
                totals[key] += manifest["facts"][split][key]
    return sums


def _quarantined(pipeline: Pipeline, source: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for unit, manifest in pipeline.collected:
        if unit.name.split("/")[1] == source:
            for reason, count in manifest["facts"]["bad"].items():
                total[reason] = total.get(reason, 0) + count
    return total


def _facts(pipeline: Pipeline, name: str) -> dict[str, Any]:
    """What the step recorded of itself: of each source where they differ, else once."""
    mine = {
        source: facts[name] for source, facts in zip(pipeline.names, pipeline.facts, strict=True) if facts.get(name)
    }
    different = {json.dumps(facts, sort_keys=True, default=str) for facts in mine.values()}
    facts = next(iter(mine.values())) if len(different) == 1 else dict(mine)
    if name == "mix":
        return pipeline.manifests(name)[0]["facts"]
    if name in pipeline.drops:  # the task that holds the drops says what the step found
        facts |= task.read(pipeline.root, pipeline.drops[name])["facts"]
    return facts


def _speed(pipeline: Pipeline, name: str, flows: dict[str, Flow]) -> dict[str, float]:
    """CPU seconds, throughput and memory of the tasks that did the step, whenever they ran."""
    phase = "clean" if name in step.PER_DOCUMENT else name
    manifests = pipeline.manifests(phase)
    if phase == "clean":
        cpu = sum(m["speed"].get(name, 0.0) for m in manifests)
    else:
        cpu = sum(m["cpu_seconds"] for m in manifests)
    size = sum(flow.came[2] for flow in flows.values()) / 1e6
    return {
        "cpu_seconds": round(cpu, 3),
        "mb_per_cpu_second": round(size / cpu, 2) if cpu else 0.0,
        "peak_memory_gb": max((m["peak_memory_gb"] for m in manifests), default=0.0),
    }


def _templates(pipeline: Pipeline) -> list[dict[str, Any]]:
    manifests = pipeline.manifests("templates")
    return manifests[-1]["facts"].get("templates", []) if manifests else []


def _link(source: str | Path, target: str | Path) -> None:
    """A second name for a file that is never written again; a copy where the disk has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
