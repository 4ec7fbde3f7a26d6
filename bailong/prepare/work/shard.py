"""A shard: some thousand documents of one source in a folder, as Arrow batches and flat arrays.

Two kinds. A *raw* shard is what `collect` reads: texts and where they come from. A *clean* shard has passed the text
steps and adds token ids, hashes and lengths, which every later step reads without touching the text again.
"""

import bisect
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

#: documents of an Arrow batch: bounds the memory of a worker whatever the size of the shard
BATCH = 1000
BATCH_CHARACTERS = 4_000_000

#: a removed document and the kept one that stands for it; shards are numbered in the order of the run's shard list
DROPS = np.dtype(
    [("shard", "<i4"), ("row", "<i4"), ("witness_shard", "<i4"), ("witness_row", "<i4"), ("similarity", "<f4")]
)


class Document(NamedTuple):
    """One document and where it comes from.

    Attributes:
        key: 16 bytes, a hash of source, file and row: the document's name in every later record.
        path, row: the file (relative to the source) and the row (counted from 1) or offset in it.
        transforms: names of the steps that changed the text.
    """

    key: bytes
    text: str
    path: str = ""
    row: int = 0
    url: str = ""
    licence: str = ""
    original: bytes = b""
    transforms: str = ""


def write(path: Path, documents: Iterable[Document]) -> int:
    """Write documents as an Arrow file of bounded batches; the number of documents is returned."""
    import pyarrow as pa

    schema = pa.schema(
        [
            ("key", pa.binary(16)),
            ("text", pa.large_string()),
            ("path", pa.string()),
            ("row", pa.int64()),
            ("url", pa.string()),
            ("licence", pa.string()),
            ("original", pa.binary()),
            ("transforms", pa.string()),
        ]
    )
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1), use_threads=False)
    total = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        for batch in _bounded(documents):
            columns = zip(*batch, strict=True)
            # the arrays have no name here, which would keep them until the next batch is there
            writer.write_batch(
                pa.record_batch([pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
            )
            total += len(batch)
    pa.default_memory_pool().release_unused()  # Arrow would keep the room of its largest batch
    return total


def read(path: Path, columns: tuple[str, ...] | None = None) -> Iterator[list[Any]]:
    """Batches of an Arrow file: lists of `Document`, or of plain tuples of the named columns."""
    import pyarrow as pa

    names = columns or Document._fields
    with pa.OSFile(str(path), "rb") as source:  # mapped pages would count as memory of the worker
        reader = pa.ipc.open_file(source)
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            yield [Document(*row) for row in rows] if columns is None else list(rows)


@dataclass
class Shard:
    """A clean shard, read side: arrays are memory-mapped and read when asked for.

    Attributes:
        folder: of the task that wrote it.
        source: position of its source in `data.sources`: the lower, the rather its documents are kept.
    """

    folder: Path
    source: int

    @cached_property
    def starts(self) -> np.ndarray:
        """[n + 1] int64, where each document's ids begin."""
        return np.load(self.folder / "starts.npy", mmap_mode="r")

    @cached_property
    def ids(self) -> np.ndarray:
        """[tokens] uint16 or uint32, token ids of all documents, no markers."""
        return np.load(self.folder / "ids.npy", mmap_mode="r")

    @cached_property
    def keys(self) -> np.ndarray:
        """[n, 2] uint64, big-endian halves of the documents' keys: a total order that no run can change."""
        return np.load(self.folder / "keys.npy", mmap_mode="r")

    @cached_property
    def hashes(self) -> np.ndarray:
        """[n, 2] uint64, 128 bits of BLAKE2b of the text."""
        return np.load(self.folder / "hashes.npy", mmap_mode="r")

    @cached_property
    def characters(self) -> np.ndarray:
        """[n] int64, length of each text."""
        return np.load(self.folder / "characters.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def texts(self) -> Iterator[str]:
        """The texts, in order."""
        for batch in read(self.folder / "documents.arrow", ("text",)):
            for (text,) in batch:
                yield text

    def documents(self) -> Iterator[Document]:
        """The documents, in order."""
        for batch in read(self.folder / "documents.arrow"):
            yield from batch


def alive(number: int, length: int, drops: Iterable[Path]) -> np.ndarray:
    """[length] bool: which rows of shard `number` no earlier step removed. `drops` are folders with a `drops.npy`."""
    kept = np.ones(length, dtype=bool)
    for folder in drops:
        table = np.load(folder / "drops.npy", mmap_mode="r")
        # not searchsorted, which would first copy the column out of the whole file
        first = bisect.bisect_left(table, number, key=operator.itemgetter("shard"))
        last = bisect.bisect_left(table, number + 1, first, key=operator.itemgetter("shard"))
        kept[table["row"][first:last]] = False
    return kept


def write_drops(folder: Path, rows: np.ndarray) -> None:
    """Write a table of `DROPS`, in the order of shard and row."""
    rows = np.ascontiguousarray(rows, dtype=DROPS)
    rows = rows[np.lexsort((rows["row"], rows["shard"]))]
    again = (rows["shard"][1:] == rows["shard"][:-1]) & (rows["row"][1:] == rows["row"][:-1])
    assert not again.any(), f"a document is dropped twice: {rows[1:][again][0]}"
    np.save(folder / "drops.npy", rows)


def _bounded(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if len(batch) >= BATCH or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
