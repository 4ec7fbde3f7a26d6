"""Writes run folders in the format that `bailong-train` leaves, with curves that are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

BYTES_PER_TOKEN = 4.0
LN2 = 0.6931471805599453


def config(initializer: str = "random", seed: int = 0, **more: Any) -> dict[str, Any]:
    knobs = {"random": {"std": 0.02}, "mean": {"noise": 0.0}, "zip_tie": {}}.get(initializer, {})
    tree: dict[str, Any] = {
        "initializer": {"name": initializer, **knobs},
        "stage": {"name": "cpt", "steps": 100},
        "adapter": {"name": "everywhere", "rank": 16},
        "optimizer": {"name": "auto", "lr": 3e-4},
        "data": {"name": "sample", "folder": "data/sample", "sources": [{"path": "sample:corpus.jsonl"}]},
        "tokenizer": {
            "name": "tiny",
            "folder": "tokenizers/tiny",
            "base": "tokenizers/tiny_base",
            "language": "zh-Hant",
        },
        "model": {"name": "tiny", "path": "models/tiny", "quantization": "nf4"},
        "tracking": {"name": "local", "wandb": "off"},
        "seed": seed,
        "outputs": "outputs",
    }
    for key, value in more.items():
        group, _, name = key.partition("__")
        tree[group] = {**tree[group], name: value} if name else value
    return tree


def write_run(
    folder: Path,
    bpb: Sequence[float],
    initializer: str = "random",
    seed: int = 0,
    tokens_per_evaluation: int = 1000,
    finished: bool = True,
    result: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    git: dict[str, Any] | None = None,
    sweep: str | None = "initializers",
    train_every: int = 5,
    hardware: dict[str, Any] | None = None,
    english: Sequence[float] | None = None,
    identity: dict[str, Any] | None = None,
) -> Path:
    """A run whose evaluations, every ten steps, are `bpb` (bits per byte), and `english` of the old language: the base
    has 1.0 of it, and at both ends a longer part is scored, which has 0.5 more throughout."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = settings or config(initializer, seed)
    (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    record = {
        "id": f"{initializer}-{seed}",
        "name": folder.name,
        "experiment": "tiny",
        "sweep": sweep,
        "overrides": [f"initializer={initializer}", f"seed={seed}"],
        "choices": {"initializer": initializer},
        "command": f"bailong-train experiments=tiny initializer={initializer} seed={seed}",
        "fingerprint": f"{folder.parent}/{folder.name}",
        "started": "2026-01-02T03:04:05+0000",
    }
    if identity is not None:
        record["identity"] = identity
    (folder / "run.json").write_text(json.dumps(record))
    last = 10 * (len(bpb) - 1)
    rows: list[dict[str, Any]] = []
    for i, value in enumerate(bpb):
        step, tokens = 10 * i, tokens_per_evaluation * i
        place = {"step": step, "tokens": tokens, "bytes": int(tokens * BYTES_PER_TOKEN)}
        loss = value * BYTES_PER_TOKEN * LN2
        rows.append(
            place
            | {"eval/loss": loss, "eval/bpb": value, "eval/loss_new": loss + 1, "eval/loss_old": loss - 1}
            | {"eval/share_new": 0.25}
        )
        if english:
            rows[-1] |= {"eval/en/bpb": english[i], "eval/en/bytes": 12_000, "eval/en/tokens": 3000}
        if english and 10 * i in (0, last):
            rows[-1] |= {"eval/en.ends/bpb": english[i] + 0.5}
        for k in range(train_every, 11, train_every):
            if step < last:
                there = {"step": step + k, "tokens": tokens + tokens_per_evaluation * k // 10}
                rows.append(there | {"train/loss": loss * 0.98, "train/bpb": value * 0.98, "train/lr": 3e-4})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    speed = {"step": last, "tokens": tokens_per_evaluation * (len(bpb) - 1), "seconds": 63.0}
    speed |= {"tokens_per_second": 1234.5, "peak_memory_gb": 0.75, "flops_per_token": 1e6, "mfu": None}
    (folder / "speed.jsonl").write_text(json.dumps(speed) + "\n")
    provenance = {"git": git or {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False}, "packages": {}}
    provenance |= {"python": "3.11.7", "hardware": hardware or {"cpu": "AMD EPYC", "cores": 2}}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    (folder / "train.log").write_text(
        f"22:40:31 run tiny/{folder.name}\n22:40:32 initializer {initializer}: 4,000 new rows (tied), norm ratio "
        f"{1 + seed / 100:.3f}, {166 if initializer == 'zip_tie' else 0} duplicates, sha256 {initializer}{seed}\n"
    )
    if finished:
        facts = {
            "fingerprint": record["fingerprint"],
            "bpb_step0": bpb[0],
            "bpb_final": bpb[-1],
            "loss_step0": bpb[0] * BYTES_PER_TOKEN * LN2,
            "loss_final": bpb[-1] * BYTES_PER_TOKEN * LN2,
            "steps": last,
            "tokens": speed["tokens"],
            "bytes": int(speed["tokens"] * BYTES_PER_TOKEN),
            "seconds": 63.0,
            "tokens_per_second": 1234.5,
            "peak_memory_gb": 0.75,
            "new_rows": 4000,
            "evaluation_bytes": 31381,
            "trainable": 1000,
            "parameters_true": 20000,
            "parameters_packed": 12000,
            "trainable_share_true": 0.05,
            "trainable_share_packed": 0.083,
            "data_order": f"order-of-seed-{seed}",
            "rows_sha256": f"rows-{initializer}-{seed}",
            "tokenizer_sha256": "t" * 64,
            "data_sha256": "d" * 64,
            "base": {"bpb_untouched": 2.5, "bpb_tied": 2.75, "tied_checkpoint": False},
        }
        if english:
            facts |= {"old_language": "en", "forgetting": english[-1] - 1.0, "language": "zh-Hant"}
            facts["texts"] = {"en": {"old": True, "bytes": 12_000, "source": "sample:corpus.jsonl", "sha256": "e" * 64}}
            base = {"en": {"bpb_untouched": 1.0}, "en.ends": {"bpb_untouched": 1.5}}
            facts["base"] = {**facts["base"], "texts": base}  # type: ignore[dict-item]
        (folder / "result.json").write_text(json.dumps(facts | (result or {})))
    return folder


def write_sweep(folder: Path, curves: dict[str, Sequence[Sequence[float]]], extra_jobs: Sequence[str] = ()) -> Path:
    """`curves[initializer][seed]` as finished runs under `folder`, with their sweep.json."""
    jobs = []
    for initializer, seeds in curves.items():
        for seed, bpb in enumerate(seeds):
            jobs.append(f"initializer={initializer},seed={seed}")
            write_run(folder / jobs[-1], bpb, initializer, seed)
    names = [*jobs, *extra_jobs]
    sweep = {"commands": {"bailong-train sweeps=initializers experiments=tiny": names}, "jobs": names}
    (folder / "sweep.json").write_text(json.dumps(sweep))
    return folder
