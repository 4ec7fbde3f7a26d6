"""Records with a 64-bit key, cut into ranges of keys: how one task per shard hands over to one task per range."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bailong.prepare.work.arrays import ArrayFile

#: records of a range: some 200 MB while they are sorted
RECORDS = 4_000_000
#: ranges at most: their numbers are sorted as 16-bit integers, in linear time
MOST = 1 << 16
#: records handled at a time
BLOCK = 1 << 20


def ranges(records: int) -> int:
    """How many ranges so many records make; of the data alone, never of the number of workers."""
    return min(max(-(-records // RECORDS), 1), MOST)


def write(folder: Path, keys: np.ndarray, columns: dict[str, np.ndarray], parts: int) -> None:
    """Write records by range: `<column>.npy` for each column, and `bounds.npy`, where each range begins.

    Args:
        keys: [m] uint64, evenly spread. It is not written unless it is a column too.
    """
    writer = Writer(parts)
    for i in range(0, max(len(keys), 1), BLOCK):
        writer.add(keys[i : i + BLOCK], {name: column[i : i + BLOCK] for name, column in columns.items()})
    writer.save(folder)


class Writer:
    """Records that come bit by bit, put in order of their ranges block by block.

    A block is sorted when it is full, and the blocks are interleaved while they are written: the memory is that of the
    records and of one block, where sorting all at once would need several times as much.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.waiting: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
        self.blocks: list[tuple[dict[str, np.ndarray], np.ndarray]] = []

    def add(self, keys: np.ndarray, columns: dict[str, np.ndarray]) -> None:
        """Add records; always the same columns, at least once even if there are none."""
        self.waiting.append((keys, columns))
        if sum(len(keys) for keys, _ in self.waiting) >= BLOCK:
            self._sort()

    def save(self, folder: Path) -> None:
        """Write every range in turn, its records in the order in which they came."""
        self._sort()
        for name, first in self.blocks[0][0].items():
            file = ArrayFile(folder / f"{name}.npy", first.dtype, first.shape[1] if first.ndim == 2 else None)
            for part in range(self.parts):
                for columns, bounds in self.blocks:
                    file.append(columns[name][bounds[part] : bounds[part + 1]])
            file.close()
        np.save(folder / "bounds.npy", np.sum([bounds for _, bounds in self.blocks], axis=0))

    def _sort(self) -> None:
        if not self.waiting:
            return
        keys = np.concatenate([keys for keys, _ in self.waiting])
        columns = {name: np.concatenate([c[name] for _, c in self.waiting]) for name in self.waiting[0][1]}
        self.waiting.clear()
        part = ((keys >> np.uint64(32)) * np.uint64(self.parts) >> np.uint64(32)).astype(np.uint16)
        order = np.argsort(part, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(part, minlength=self.parts))])
        self.blocks.append(({name: column[order] for name, column in columns.items()}, bounds))


def read(folders: Iterable[Path], names: tuple[str, ...], part: int) -> list[list[np.ndarray]]:
    """The records of one range: for each folder its columns."""
    records = []
    for folder in folders:
        first, last = np.load(folder / "bounds.npy", mmap_mode="r")[part : part + 2]
        # copies: a view would keep its file open, and there may be thousands
        records.append([np.array(np.load(folder / f"{name}.npy", mmap_mode="r")[first:last]) for name in names])
    return records
