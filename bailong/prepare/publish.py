"""The last pass over a clean shard: kept documents as JSONL, dropped ones with their witnesses, ids for training."""

from pathlib import Path
from typing import Any

import numpy as np

from bailong.prepare.work.arrays import ArrayFile
from bailong.prepare.work.books import Flow
from bailong.prepare.work.compressed import writer
from bailong.prepare.work.shard import Document, Shard


def witnesses(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """Task: the keys of the witnesses of every drop, `<step>.npy` [drops, 2] uint64, in the order of its `drops.npy`.

    Without it every publishing task would have to open every shard.
    """
    steps = arguments["steps"]
    shards = [Shard(folder, 0) for folder in inputs[len(steps) :]]
    for step, folder in zip(steps, inputs, strict=False):
        drops = np.load(folder / "drops.npy", mmap_mode="r")
        keys = np.zeros((len(drops), 2), dtype=np.uint64)
        for number in np.unique(drops["witness_shard"]):
            rows = np.flatnonzero(drops["witness_shard"] == number)
            keys[rows] = shards[number].keys[drops["witness_row"][rows]]
        np.save(target / f"{step}.npy", keys)


def publish(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: what becomes of one clean shard.

    Args:
        inputs: the shard, the mixture, the witnesses, then one folder of drops for each of `steps`.
        arguments: `number` of the shard, its `source` by name, `steps`, `held_out`, `markers` (begin and end of a
            document as ids) or null for no ids, `evaluated` (whether evaluation text is taken from this source).

    Writes `documents.jsonl.zst`, `dropped.jsonl.zst`, with markers `training.ids` and `training.npy` (lengths), and
    `evaluation.jsonl.zst` (held-out texts) if evaluated.
    """
    import orjson

    part = Shard(inputs[0], 0)
    copies, offsets = np.load(inputs[1] / "copies.npy", mmap_mode="r"), np.load(inputs[1] / "offsets.npy")
    number, steps = arguments["number"], arguments["steps"]
    fate = _fates(part, number, steps, inputs[3:], inputs[2])
    taken = np.array(copies[offsets[number] : offsets[number + 1]])
    sizes = np.stack([np.ones(len(part), np.int64), part.characters, np.load(part.folder / "bytes.npy"), _tokens(part)])
    books = _books(fate, taken, sizes, [*steps, "mix"])
    held = np.load(part.folder / "held_out.npy") < arguments["held_out"]
    ids = _Ids(target, part, arguments["markers"]) if arguments["markers"] else None
    with (
        writer(target / "documents.jsonl.zst") as kept,
        writer(target / "dropped.jsonl.zst") as dropped,
        writer(target / "evaluation.jsonl.zst") as evaluation,
    ):
        for row, document in enumerate(part.documents()):
            size = tuple(sizes[:, row].tolist())
            if row in fate:
                step, witness, similarity = fate[row]
                more = {"witness": witness, "similarity": similarity}
                reason = {"exact_dedup": "exact_dup", "minhash": "near_dup", "semdedup": "sem_dup"}[step]
                books[step].drop(reason, size, document.key, document.text, **more)
                dropped.write(_line(document, arguments["source"], step=step, reason=reason, **more))
            elif not taken[row]:
                books["mix"].drop("sampled_out", size, document.key, document.text)
                dropped.write(_line(document, arguments["source"], step="mix", reason="sampled_out"))
            else:
                split = "held_out" if held[row] else "training"
                line = _line(document, arguments["source"], split=split, tokens=int(sizes[3, row]))
                for _ in range(int(taken[row])):
                    kept.write(line)
                    if ids is not None and not held[row]:
                        ids.add(row)
                if held[row] and arguments["evaluated"]:
                    evaluation.write(orjson.dumps(document.text) + b"\n")
    if ids is not None:
        ids.close()
    for step, flow in books.items():
        flow.check(f"{step}, shard {number}")
    weights = taken.astype(np.int64)
    weights[list(fate)] = 0
    split_sums = {
        name: dict(
            zip(
                ("documents", "characters", "bytes", "tokens"),
                (sizes * (weights * chosen)).sum(1).tolist(),
                strict=True,
            )
        )
        for name, chosen in (("training", ~held), ("held_out", held))
    }
    return {"books": {step: flow.to_json() for step, flow in books.items()}, **split_sums}


def _tokens(part: Shard) -> np.ndarray:
    return np.diff(part.starts)


def _fates(
    part: Shard, number: int, steps: list[str], folders: list[Path], witness_folder: Path
) -> dict[int, tuple[str, str, float]]:
    """Row -> the step that removed it, the key of the kept document that stands for it, their similarity."""
    fate: dict[int, tuple[str, str, float]] = {}
    for step, folder in zip(steps, folders, strict=True):
        drops = np.load(folder / "drops.npy", mmap_mode="r")
        keys = np.load(witness_folder / f"{step}.npy", mmap_mode="r")
        first, last = np.searchsorted(drops["shard"], [number, number + 1])
        for i in range(first, last):
            key = keys[i].astype(">u8").tobytes().hex()
            fate[int(drops["row"][i])] = (step, key, round(float(drops["similarity"][i]), 4))
    return fate


def _books(
    fate: dict[int, tuple[str, str, float]], taken: np.ndarray, sizes: np.ndarray, steps: list[str]
) -> dict[str, Flow]:
    """The flows of the global steps: what came in is what the step before let through."""
    books = {step: Flow() for step in steps}
    position = {step: i for i, step in enumerate(steps)}
    left_at = np.full(sizes.shape[1], len(steps))
    for row, (step, _, _) in fate.items():
        left_at[row] = position[step]
    left_at[(left_at == len(steps)) & (taken == 0)] = position["mix"]
    for step, flow in books.items():
        i = position[step]
        flow.came = sizes[:, left_at >= i].sum(1).tolist()
        flow.left = sizes[:, left_at > i].sum(1).tolist()
        lengths = np.frexp(sizes[3, left_at > i].astype(np.float64))[1]  # bit_length of each
        values, counts = np.unique(lengths, return_counts=True)
        flow.lengths.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    return books


def _line(document: Document, source: str, **more: Any) -> bytes:
    import orjson

    row = {
        "text": document.text,
        "id": document.key.hex(),
        "source": source,
        "path": document.path,
        "row": document.row,
        "url": document.url,
        "licence": document.licence,
        "original": document.original.hex(),
        "transforms": document.transforms,
    }
    return orjson.dumps({k: v for k, v in row.items() if v != ""} | more) + b"\n"


class _Ids:
    """Training documents with their markers, back to back, and their lengths."""

    def __init__(self, target: Path, part: Shard, markers: list[int]) -> None:
        self.part = part
        self.stream = (target / "training.ids").open("wb")
        self.lengths = ArrayFile(target / "training.npy", np.dtype(np.int64))
        self.first, self.last = (np.array([i], dtype=part.ids.dtype).tobytes() for i in markers)

    def add(self, row: int) -> None:
        ids = self.part.ids[self.part.starts[row] : self.part.starts[row + 1]]
        self.stream.write(self.first + ids.tobytes() + self.last)
        self.lengths.append([len(ids) + 2])

    def close(self) -> None:
        self.stream.close()
        self.lengths.close()
