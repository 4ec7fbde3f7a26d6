"""Documents of several shards under one number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bailong.prepare.dedup.star import keep_order
from bailong.prepare.dedup.words import words
from bailong.prepare.work.shard import DROPS


class Documents:
    """Documents of several clean shards, numbered 0 ... n - 1 in the order of the shards.

    A shard's files are opened for as long as one call reads them: with thousands of shards, open maps would meet the
    limit on open files, and their pages would count as the memory of this process.

    Attributes:
        folders, sources: of the shards.
        positions: of each shard in the run's shard list, which the drops refer to.
        first: [shards + 1] int64, the number of each shard's first document.
        words: whether the characters of each shard are compared as words (`words.words`).
    """

    def __init__(
        self,
        folders: Sequence[Path],
        sources: Sequence[int],
        positions: Sequence[int],
        lengths: Sequence[int],
        words: Sequence[bool] = (),
    ) -> None:
        self.folders = list(folders)
        self.sources = np.asarray(sources, dtype=np.int64)
        self.positions = np.asarray(positions, dtype=np.int32)
        self.first = np.cumsum([0, *lengths], dtype=np.int64)
        self.words = list(words) or [False] * len(self.folders)

    @classmethod
    def of(cls, inputs: Sequence[Path], arguments: Mapping[str, Any]) -> tuple[Documents, list[Path]]:
        """The shards, which come first among a task's inputs, and its other inputs; arguments of `scope.arguments`."""
        count = len(arguments["positions"])
        sources, positions, lengths = (arguments[key] for key in ("sources", "positions", "documents"))
        documents = cls(inputs[:count], sources, positions, lengths, arguments.get("words", ()))
        return documents, list(inputs[count:])

    def locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shard (its place in `folders`) and row of each document, int64."""
        shard = np.searchsorted(self.first, numbers, side="right") - 1
        return shard, numbers.astype(np.int64) - self.first[shard]

    def numbers(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """The numbers of some rows of each shard, one after the other, int64."""
        return np.concatenate(
            [self.first[:0], *(n + r.astype(np.int64) for n, r in zip(self.first, rows, strict=False))]
        )

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """Tokens of each document, [k] int64."""
        starts = self.read(
            "starts.npy", numbers, lambda starts, rows: np.stack([starts[rows], starts[rows + 1]], axis=1)
        )
        return starts[:, 1] - starts[:, 0] if len(starts) else np.empty(0, dtype=np.int64)

    def keep_order(self, numbers: np.ndarray) -> np.ndarray:
        """The place of each of these documents in keep order (`star.keep_order`), [k] int64."""
        keys = self.read("keys.npy", numbers).reshape(-1, 2)
        return keep_order(self.sources[self.locate(numbers)[0]], self.lengths(numbers), keys)

    def ids(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of these documents (or hashes of their words), one after the other, and where each begins, [k + 1]
        int64.

        Args:
            numbers: ascending.
        """
        shard, rows = self.locate(numbers)
        bounds = np.searchsorted(shard, np.arange(len(self.folders) + 1))
        parts, lengths = [], [np.zeros(1, dtype=np.int64)]
        for i in np.flatnonzero(np.diff(bounds)).tolist():
            starts = np.load(self.folders[i] / "starts.npy", mmap_mode="r")
            chosen = rows[bounds[i] : bounds[i + 1]]
            begins, ends = np.array(starts[chosen]), np.array(starts[chosen + 1])
            read, sizes = _read_spans(self.folders[i] / "ids.npy", begins, ends), ends - begins
            if self.words[i]:
                read, bounds_of_words = words(read, np.concatenate([[0], np.cumsum(sizes)]))
                sizes = np.diff(bounds_of_words)
            parts.append(read)
            lengths.append(sizes)
        return np.concatenate(parts or [np.empty(0, dtype=np.uint32)]), np.cumsum(np.concatenate(lengths))

    def drops(self, removed: np.ndarray, witness: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """A table of removed documents, each with its witness and their similarity."""
        rows = np.zeros(len(removed), dtype=DROPS)
        for numbers, prefix in ((removed, ""), (witness, "witness_")):
            shard, row = self.locate(numbers)
            rows[f"{prefix}shard"], rows[f"{prefix}row"] = self.positions[shard], row
        rows["similarity"] = similarity
        return rows

    def read(
        self,
        name: str,
        numbers: np.ndarray,
        rows_of: Callable[[np.ndarray, np.ndarray], np.ndarray] = lambda array, rows: array[rows],
        folders: Sequence[Path] | None = None,
    ) -> np.ndarray:
        """Rows of a file of each shard, one for each document, [k, ...].

        Args:
            rows_of: takes them from the shard's array.
            folders: where the files lie, one folder for each shard; else in the shards.
        """
        shard, rows = self.locate(numbers)
        order = np.argsort(shard, kind="stable")
        bounds = np.searchsorted(shard[order], np.arange(len(self.folders) + 1))
        out = np.empty(0, dtype=np.int64)
        for i in np.flatnonzero(np.diff(bounds)).tolist():
            chosen = order[bounds[i] : bounds[i + 1]]
            found = rows_of(np.load((folders or self.folders)[i] / name, mmap_mode="r"), rows[chosen])
            if not len(out):
                out = np.empty((len(numbers), *found.shape[1:]), dtype=found.dtype)
            out[chosen] = found
        return out


def select(ids: np.ndarray, starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some documents out of many: their ids, one after the other, and where each begins, [k + 1] int64.

    Args:
        ids, starts: of all documents.
        rows: which, ascending.
    """
    begins, ends = starts[rows], starts[rows + 1]
    spans = zip(begins.tolist(), ends.tolist(), strict=True)
    chosen = np.concatenate([ids[:0], *(ids[begin:end] for begin, end in spans)])
    return chosen, np.concatenate([[0], np.cumsum(ends - begins)])


def portions(sizes: np.ndarray, most: int) -> Iterator[slice]:
    """Consecutive slices whose sizes add up to about `most`; a single larger one stands alone or ends its slice."""
    part = (np.cumsum(sizes) - sizes) // most
    bounds = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), len(sizes)]
    for start, end in pairwise(bounds):
        if start < end:
            yield slice(start, end)


def _read_spans(path: Path, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Parts of an array on disk, one after the other.

    Read, not mapped: for each page asked of a map the system maps fifteen neighbours, and a task that looks at a
    document here and there has the whole file in its memory.

    Args:
        begins, ends: ascending; spans that touch are read in one piece.
    """
    array = np.load(path, mmap_mode="r")
    first = np.flatnonzero(np.concatenate([[True], begins[1:] != ends[:-1]]))
    runs = np.stack([begins[first], np.append(ends[first[1:] - 1], ends[-1])], axis=1).tolist()
    out = np.empty(int((ends - begins).sum()), dtype=array.dtype)
    rest = out.view(np.uint8).data
    with path.open("rb", buffering=0) as file:
        for begin, end in runs:
            file.seek(array.offset + begin * array.itemsize)
            wanted = (end - begin) * array.itemsize
            while wanted:  # one call gives at most 2 GB
                wanted -= (got := file.readinto(rest[:wanted]))
                rest = rest[got:]
                assert got, f"{path} ends early"
    return out
