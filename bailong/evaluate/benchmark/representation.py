"""Whether two languages are one inside a model: the hidden states of sentences beside those of their translations."""

import glob
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bailong.evaluate import alignment
from bailong.evaluate.benchmark import hidden, loader
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.bootstrap import Resampling
from bailong.run import files
from bailong.run.checks import require

#: pairs that a figure shows of a layer
SHOWN = 150


def representation(
    local: Any,
    benchmark: Benchmark,
    items: list[Item],
    resampling: Resampling,
    at: Path,
    facts: Mapping[str, Any],
    done: Callable[[int, int], None],
) -> dict[str, Any]:
    """The numbers of every layer (bailong.evaluate.alignment) with their bands, and one layer as a plane.

    Means of sentences go to a file in `at` as they are made, float32 [layers + 1, sentences, d], so that a killed
    process goes on from there; it is gone when all is done.

    Args:
        local: a `bailong.evaluate.generate.LocalModel`.
        items: with both sides in `meta`, as the shape `parallel` reads them.
        facts: all that the states depend on; states of other facts are thrown away.
        done: hears how many sentences of all have been read.

    Raises:
        ValueError: too few pairs, no such layer, or a sentence that cannot be read.
    """
    pairs = distinct(items)
    count, where = len(pairs), f"evaluation.{benchmark.name}"
    if count < alignment.FEWEST:
        raise ValueError(f"{where}: {count} different pairs of sentences are too few: give {alignment.FEWEST} or more")
    shape = hidden.shape(local, 2 * count)
    drawn = round((shape[0] - 1) / 2) if benchmark.layer is None else benchmark.layer
    require(drawn < shape[0], f"{where}.layer", drawn, f"0 (embeddings) to {shape[0] - 1} of {local.path}")
    path = at / f"states.{benchmark.name}.{_digest(facts)}.npy"
    for other in at.glob(f"states.{glob.escape(benchmark.name)}.*.npy"):
        if other != path:
            other.unlink()
    states = _opened(path, shape)
    read = hidden.fill(local, [item.meta[side] for side in ("source", "target") for item in pairs], states, done)
    layers = [alignment.layer(of[:count], of[count:]) for of in states]
    points, shares = alignment.plane(states[drawn, :count], states[drawn, count:])
    names = {item.id for item in loader.sample(pairs, SHOWN, benchmark.seed)}
    shown = [place for place, item in enumerate(pairs) if item.id in names]
    found = {
        "sentences": count,
        "left_out": len(items) - count,
        **read,
        "languages": [pairs[0].meta[f"{side}_language"] for side in ("source", "target")],
        **alignment.summary(layers, resampling, benchmark.name),
        "plane": {"layer": drawn, "shares": shares, "points": np.round(points[:, shown], 4).tolist()},
    }
    path.unlink()
    return found


def distinct(items: Iterable[Item]) -> list[Item]:
    """Pairs of which neither sentence came before, nor is the other one: such a sentence would be its own rival."""
    seen: dict[str, set[str]] = {"source": set(), "target": set()}
    kept = []
    for item in items:
        texts = {side: " ".join(unicodedata.normalize("NFKC", item.meta[side]).split()) for side in seen}
        if texts["source"] != texts["target"] and not any(texts[side] in seen[side] for side in seen):
            kept.append(item)
            for side, text in texts.items():
                seen[side].add(text)
    return kept


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _opened(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The states so far; NaN where there are none yet."""
    if not path.is_file():
        with files.replaced(path, alone=True) as partial:
            np.lib.format.open_memmap(partial, "w+", np.float32, shape)[:] = np.nan
    return np.lib.format.open_memmap(path, "r+")
