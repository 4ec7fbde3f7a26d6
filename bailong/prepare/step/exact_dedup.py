"""One of each group of documents with the same text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from bailong.prepare.step import scope
from bailong.prepare.step.base import GlobalStep, RunTasks, ShardRef


@dataclass
class ExactDedup(GlobalStep):
    """Keep one of the documents with equal texts, told by 128 bits of BLAKE2b of the cleaned text.

    Kept is the one of the source named first in `data.sources`, then the one with the smallest key.
    `scope`: `global` compares all sources with each other, `source` each with itself alone.
    """

    scope: str = "global"

    name: ClassVar[str] = "exact_dedup"

    def __post_init__(self) -> None:
        self.one_of("scope", ("global", "source"))

    @classmethod
    def find(
        cls, settings: Mapping[int, Self], run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str] = ()
    ) -> str:
        knobs, taking = scope.taking_part(settings, shards)
        parts, writing = scope.ranged(knobs.scope, taking)

        hashes = [
            knobs.task(f"hashes/{i:05d}", "hashes", mine, [shard.task], drops)
            for (i, shard), mine in zip(taking, writing, strict=True)
        ]
        run(hashes)
        inputs = [shard.task for _, shard in taking] + [task.name for task in hashes]
        equal = [
            knobs.task(f"equal/{part:05d}", "equal", {"part": part, **scope.arguments(taking)}, inputs)
            for part in range(parts)
        ]
        run(equal)
        table = knobs.task("drops", "table", {}, [task.name for task in equal])
        run([table])
        return table.name


def hashes(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """The hashes of a shard's living documents, by range."""
    import numpy as np

    from bailong.prepare.dedup import partition
    from bailong.prepare.dedup.signatures import fmix64
    from bailong.prepare.work.shard import Shard, alive

    shard = Shard(inputs[0], 0)
    rows = np.flatnonzero(alive(arguments["number"], len(shard), inputs[1:])).astype(np.uint32)
    texts = np.asarray(shard.hashes)[rows]
    texts[:, 0] ^= fmix64(np.array([arguments["salt"]], dtype=np.uint64))  # of other sources: other hashes
    partition.write(target, texts[:, 0], {"hashes": texts, "rows": rows}, arguments["parts"])


def equal(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Documents of one range whose hashes an earlier one in keep order has."""
    import numpy as np

    from bailong.prepare.dedup import partition
    from bailong.prepare.dedup.documents import Documents
    from bailong.prepare.work.shard import write_drops

    documents, folders = Documents.of(inputs, arguments)
    records = partition.read(folders, ("hashes", "rows"), arguments["part"])
    texts = np.concatenate([np.empty((0, 2), np.uint64), *(columns[0] for columns in records)])
    numbers = documents.numbers([rows for _, rows in records])

    # Only the few documents whose first half is shared need their place in keep order, which is read from the shards.
    _, group, sizes = np.unique(texts[:, 0], return_inverse=True, return_counts=True)
    shared = sizes[group] > 1
    texts, numbers = texts[shared], numbers[shared]
    order = np.lexsort((documents.keep_order(numbers), texts[:, 1], texts[:, 0]))
    texts, numbers = texts[order], numbers[order]
    begins = np.ones(len(texts), dtype=bool)
    begins[1:] = (texts[1:] != texts[:-1]).any(axis=1)
    witness = numbers[begins][np.cumsum(begins) - 1]
    drops = documents.drops(numbers[~begins], witness[~begins], np.ones(int((~begins).sum())))
    write_drops(target, drops)
    return {"documents": int(shared.size), "removed": len(drops)}


def table(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """All ranges as one table."""
    import numpy as np

    from bailong.prepare.work.shard import write_drops

    drops = np.concatenate([np.load(folder / "drops.npy") for folder in inputs])
    write_drops(target, drops)
    return {"removed": len(drops)}
