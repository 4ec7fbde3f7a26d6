"""The text steps over one raw shard, in one pass: raw documents in, a clean shard and its books out."""

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bailong.data.sources import share
from bailong.prepare.step import load
from bailong.prepare.step.base import Result, TextStep
from bailong.prepare.step.length import Length
from bailong.prepare.step.tokenize import Tokenize
from bailong.prepare.work import books as account
from bailong.prepare.work import shard
from bailong.prepare.work.arrays import ArrayFile
from bailong.prepare.work.books import Flow
from bailong.prepare.work.shard import Document
from bailong.text.invisible import shows

Size = tuple[int, int, int, int]


def clean_part(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: clean one part of a collected file.

    Args:
        inputs: the folder of the `collect` task.
        arguments: `part` (a file in it) and `steps`, name -> knobs of each enabled step, in their order; `facts`
            stands there for the fingerprint alone.

    Returns:
        documents, characters, bytes and tokens that are left, and `books`: step -> `Flow`.

    Raises:
        AssertionError: the books do not balance, or what was written is not what was counted.
    """
    steps = [load(name, knobs | arguments.get("paths", {}).get(name, {})) for name, knobs in arguments["steps"].items()]
    writer = CleanShard(target, steps)
    written = shard.write(target / "documents.arrow", writer.documents(shard.read(inputs[0] / arguments["part"])))
    writer.close()
    for name, flow in writer.books.items():
        flow.check(f"{name}, {arguments['part']}")
    last = list(writer.books.values())[-1].left
    assert written == last[0], f"{written} documents on disk, {last[0]} in the books"
    return {
        **dict(zip(account.MEASURES, last, strict=True)),
        "books": {name: flow.to_json() for name, flow in writer.books.items()},
        "speed": writer.seconds,
    }


class CleanShard:
    """Writes what passes the steps, batch by batch, and keeps the books of each step.

    Attributes:
        books: step -> its flow.
        seconds: step -> CPU seconds.
    """

    def __init__(self, target: Path, steps: list[Any]) -> None:
        self.text_steps = [(step.name, step.open()) for step in steps if isinstance(step, TextStep)]
        tokenize = next(step for step in steps if isinstance(step, Tokenize))
        self.encode, dtype, text_of = tokenize.open()
        self.seen = cache(lambda i: shows(text_of(i)))
        self.length = next((step for step in steps if isinstance(step, Length)), None)
        order = [name for name, _ in self.text_steps] + ["tokenize"] + (["length"] if self.length else [])
        self.books = {name: Flow() for name in order}
        self.seconds = dict.fromkeys(order, 0.0)
        self.ids = ArrayFile(target / "ids.npy", np.dtype(dtype))
        self.arrays = {
            "starts": ArrayFile(target / "starts.npy", np.dtype(np.int64)),
            "keys": ArrayFile(target / "keys.npy", np.dtype(np.uint64), width=2),
            "hashes": ArrayFile(target / "hashes.npy", np.dtype(np.uint64), width=2),
            "characters": ArrayFile(target / "characters.npy", np.dtype(np.int64)),
            "bytes": ArrayFile(target / "bytes.npy", np.dtype(np.int64)),
            "held_out": ArrayFile(target / "held_out.npy", np.dtype(np.float64)),
        }
        self.arrays["starts"].append([0])
        self.total = 0

    def documents(self, batches: Iterator[list[Any]]) -> Iterator[Document]:
        """The documents that pass every step, their arrays written on the way."""
        for batch in batches:
            sizes = [account.measure(document.text) for document in batch]
            for name, function in self.text_steps:
                began = time.thread_time()
                batch, sizes = apply(function, name, self.books[name], batch, sizes)
                self.seconds[name] += time.thread_time() - began
            yield from self._finish(batch, sizes)

    def close(self) -> None:
        """Complete the array files."""
        for array in (self.ids, *self.arrays.values()):
            array.close()

    def _finish(self, batch: list[Document], sizes: list[Size]) -> list[Document]:
        began = time.thread_time()
        encoded = self.encode([document.text for document in batch])
        flow = self.books["tokenize"]
        for i, ids in enumerate(encoded):
            flow.enter(sizes[i])
            sizes[i] = (*sizes[i][:3], len(ids))
            flow.leave(sizes[i])
        self.seconds["tokenize"] += time.thread_time() - began
        kept = [True] * len(batch)
        if self.length is not None:
            flow = self.books["length"]
            for i, (document, size) in enumerate(zip(batch, sizes, strict=True)):
                flow.enter(size)
                if reason := self.length.reason(size[3], (self.seen(int(token)) for token in encoded[i])):
                    kept[i] = False
                    flow.drop(reason, size, document.key, document.text)
                else:
                    flow.leave(size)
        rows = [i for i, keep in enumerate(kept) if keep]
        self._append([batch[i] for i in rows], [sizes[i] for i in rows], [encoded[i] for i in rows])
        return [batch[i] for i in rows]

    def _append(self, batch: list[Document], sizes: list[Size], encoded: list[np.ndarray]) -> None:
        if not batch:
            return
        self.ids.append(np.concatenate(encoded))
        lengths = np.array([size[3] for size in sizes], dtype=np.int64)
        self.arrays["starts"].append(self.total + np.cumsum(lengths))
        self.total += int(lengths.sum())
        texts = [document.text.encode("utf-8") for document in batch]
        self.arrays["keys"].append(halves([document.key for document in batch]))
        self.arrays["hashes"].append(halves([hashlib.blake2b(text, digest_size=16).digest() for text in texts]))
        self.arrays["characters"].append([size[1] for size in sizes])
        self.arrays["bytes"].append([size[2] for size in sizes])
        self.arrays["held_out"].append([share(document.text, "held_out") for document in batch])


def halves(keys: list[bytes]) -> np.ndarray:
    """16-byte keys as [n, 2] uint64 whose order is the order of the bytes."""
    return np.frombuffer(b"".join(keys), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def apply(
    function: Callable[[str], Result], name: str, flow: Flow, batch: list[Document], sizes: list[Size]
) -> tuple[list[Document], list[Size]]:
    """One text step over a batch, with its books."""
    kept: list[Document] = []
    kept_sizes: list[Size] = []
    for document, size in zip(batch, sizes, strict=True):
        flow.enter(size)
        text, reason, removed, counts = function(document.text)
        if counts:
            flow.counts.update(counts)
        if not text:
            flow.drop(reason or "empty", size, document.key, document.text)
            continue
        if text is not document.text and text != document.text:
            cut = sum(len(piece) for _, piece in removed)
            for why, piece in removed:
                flow.cut(why, piece, document.key)
            after = account.measure(text)
            flow.grown += after[1] + cut - size[1]
            flow.changed += 1
            if not removed:
                both = document.text, text
                flow.sample(
                    "changed", document.key, before=partial(around, both[0], *both), after=partial(around, text, *both)
                )
            size = after
            transforms = f"{document.transforms},{name}" if document.transforms else name
            document = document._replace(text=text, transforms=transforms)
        flow.leave(size)
        kept.append(document)
        kept_sizes.append(size)
    return kept, kept_sizes


def around(shown: str, before: str, after: str) -> str:
    """A text from shortly before the first place where two others differ."""
    most = min(len(before), len(after))
    first = next((i for i in range(most) if before[i] != after[i]), most)
    return shown[max(0, first - account.SNIPPET // 4) :]
