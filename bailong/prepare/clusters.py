"""Groups of duplicates to look at: the kept witness of each and what it stands for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from bailong.prepare.work import shard
from bailong.prepare.work.shard import Shard

#: groups shown of each step, half of them the largest and half drawn by the hash of the witness
SHOWN = 20
#: members shown of a group, and characters of a text
MEMBERS = 5
SNIPPET = 600


def describe(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `clusters`, step -> groups of {size, kept, removed}, each document as {key, source, text}.

    Args:
        inputs: one folder of drops for each of `steps`, then every shard.
        arguments: `steps`, and `sources`, the source of each shard by name.
    """
    steps = arguments["steps"]
    folders = inputs[len(steps) :]
    chosen = {step: _choose(np.load(folder / "drops.npy")) for step, folder in zip(steps, inputs, strict=False)}
    wanted: dict[int, set[int]] = {}
    for groups in chosen.values():
        for (number, row), members in groups:
            wanted.setdefault(number, set()).add(row)
            for drop in members[:MEMBERS]:
                wanted.setdefault(int(drop["shard"]), set()).add(int(drop["row"]))
    texts = {number: _documents(folders[number], rows) for number, rows in wanted.items()}

    def shown(number: int, row: int) -> dict[str, Any]:
        key, text = texts[number][row]
        return {"key": key, "source": arguments["sources"][number], "text": text}

    return {
        "clusters": {
            step: [
                {
                    "size": len(members) + 1,
                    "kept": shown(number, row),
                    "removed": [
                        shown(int(d["shard"]), int(d["row"])) | {"similarity": round(float(d["similarity"]), 4)}
                        for d in members[:MEMBERS]
                    ],
                }
                for (number, row), members in groups
            ]
            for step, groups in chosen.items()
        }
    }


def _choose(drops: np.ndarray) -> list[tuple[tuple[int, int], np.ndarray]]:
    if not len(drops):
        return []
    drops = drops[np.lexsort((drops["row"], drops["shard"], drops["witness_row"], drops["witness_shard"]))]
    witness = np.stack([drops["witness_shard"], drops["witness_row"]], axis=1)
    begins = np.flatnonzero(np.r_[True, (witness[1:] != witness[:-1]).any(1)])
    sizes = np.diff(np.r_[begins, len(drops)])
    largest = np.argsort(-sizes, kind="stable")[: SHOWN // 2].tolist()
    # a fixed pseudo-random draw: a large prime times the place of the witness
    mixed = (witness[begins, 0].astype(np.uint64) << np.uint64(32)) + witness[begins, 1].astype(np.uint64)
    drawn = np.argsort(mixed * np.uint64(0x9E3779B97F4A7C15), kind="stable").tolist()
    groups = largest + [i for i in drawn if i not in set(largest)][: SHOWN - len(largest)]
    return [
        ((int(witness[begins[i], 0]), int(witness[begins[i], 1])), drops[begins[i] : begins[i] + sizes[i]])
        for i in groups
    ]


def _documents(folder: Path, rows: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Row -> (key, beginning of the text)."""
    wanted, first = sorted(rows), 0
    found: dict[int, tuple[str, str]] = {}
    for batch in shard.read(Shard(folder, 0).folder / "documents.arrow", ("key", "text")):
        for row in wanted:
            if first <= row < first + len(batch):
                key, text = batch[row - first]
                found[row] = (key.hex(), text[:SNIPPET])
        first += len(batch)
    return found
