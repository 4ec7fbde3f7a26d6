"""Records with a 64-bit key, cut into ranges of keys: how one task per shard hands over to one task per range."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from bailong.data.arrays import ArrayFile

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
    part = np.empty(len(keys), dtype=np.uint16)
    for i in range(0, len(keys), BLOCK):  # block by block: whole copies would double the memory of the task
        part[i : i + BLOCK] = (keys[i : i + BLOCK] >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32)
    order = np.argsort(part, kind="stable")
    for name, column in columns.items():
        file = ArrayFile(folder / f"{name}.npy", column.dtype, column.shape[1] if column.ndim == 2 else None)
        for i in range(0, len(order), BLOCK):
            file.append(column[order[i : i + BLOCK]])
        file.close()
    np.save(folder / "bounds.npy", np.concatenate([[0], np.cumsum(np.bincount(part, minlength=parts))]))


def read(folders: Iterable[Path], names: tuple[str, ...], part: int) -> list[list[np.ndarray]]:
    """The records of one range: for each folder its columns."""
    records = []
    for folder in folders:
        first, last = np.load(folder / "bounds.npy", mmap_mode="r")[part : part + 2]
        # copies: a view would keep its file open, and there may be thousands
        records.append([np.array(np.load(folder / f"{name}.npy", mmap_mode="r")[first:last]) for name in names])
    return records
