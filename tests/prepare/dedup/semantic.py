"""Clean shards of chosen texts, a runner that says what it ran, and an encoder that reads its vectors in the text."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bailong.prepare.dedup import embed
from bailong.prepare.step.base import ShardRef
from bailong.prepare.work import shard, task
from bailong.prepare.work.shard import Document
from bailong.prepare.work.task import Task


def clean(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """Task: a clean shard with what the semantic step reads; keys are given, or hashes of the texts."""
    texts = arguments["texts"]
    given = arguments.get("keys") or [hashlib.blake2b(t.encode(), digest_size=16).hexdigest() for t in texts]
    keys = [bytes.fromhex(key) for key in given]
    shard.write(target / "documents.arrow", [Document(key, text) for key, text in zip(keys, texts, strict=True)])
    np.save(target / "starts.npy", np.cumsum([0, *map(len, texts)]))
    np.save(target / "keys.npy", np.frombuffer(b"".join(keys), ">u8").reshape(-1, 2).astype(np.uint64))


def dropped(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """Task: what an earlier step removed, `pairs` of (shard, row)."""
    rows = np.zeros(len(arguments["pairs"]), shard.DROPS)
    for i, (number, row) in enumerate(arguments["pairs"]):
        rows[i]["shard"], rows[i]["row"] = number, row
    shard.write_drops(target, rows)


class Place:
    """A work folder, its clean shards, and the names of the tasks that were really run."""

    def __init__(self, root: Path) -> None:
        self.root, self.ran, self.backwards = root, [], False
        self.shards: list[ShardRef] = []

    def add(self, source: int, texts: Sequence[str], keys: Sequence[str] = ()) -> None:
        """One more shard, of source `s<source>`."""
        name = f"clean/s{source}/{len(self.shards):05d}"
        arguments = {"texts": list(texts), "keys": list(keys)}
        task.run(Task(name, "tests.prepare.dedup.semantic:clean", arguments), self.root)
        self.shards.append(ShardRef(name, source, len(texts), sum(map(len, texts))))

    def drop(self, *pairs: tuple[int, int]) -> tuple[str]:
        """An earlier step's drops."""
        task.run(Task("earlier", "tests.prepare.dedup.semantic:dropped", {"pairs": pairs}), self.root)
        return ("earlier",)

    def run(self, tasks: list[Task]) -> list[dict[str, Any]]:
        for one in reversed(tasks) if self.backwards else tasks:
            if task.finished(one, self.root) is None:
                self.ran.append(one.name)
                task.run(one, self.root)
        return [task.read(self.root, one.name) for one in tasks]

    def drops(self, name: str) -> dict[tuple[int, int], tuple[int, int, float]]:
        """(shard, row) -> (witness's shard and row, similarity)."""
        table = np.load(self.root / name / "drops.npy").tolist()
        return {(s, r): (ws, wr, round(similarity, 3)) for s, r, ws, wr, similarity in table}

    def facts(self, name: str) -> dict[str, Any]:
        return task.read(self.root, name)["facts"]


class Planted:
    """An encoder that reads the vector from the text: numbers, and after a `|` whatever else."""

    room = 8

    def __init__(self, width: int) -> None:
        self.width = width

    def windows(self, text: str, most: int) -> tuple[list[str], list[int], bool]:
        return [text], [1], "long" in text

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[float(x) for x in text.partition("|")[0].split()] for text in texts], dtype=np.float32)


def plant(monkeypatch, width: int) -> None:
    """Put the planted encoder in the place of the real one."""
    monkeypatch.setattr(embed, "locate", lambda model, revision=None: Path(model))
    monkeypatch.setattr(embed, "identity", lambda folder: f"hash of {folder}")
    monkeypatch.setattr(embed, "load", lambda *_: Planted(width))


def text(vector: Sequence[float] | np.ndarray, more: str = "") -> str:
    """A document with that vector."""
    return " ".join(f"{x:.9g}" for x in vector) + f"|{more}"


def at(cosine: float) -> list[float]:
    """A unit vector of the plane with that cosine to (1, 0)."""
    return [cosine, float(np.sqrt(1 - cosine**2))]
