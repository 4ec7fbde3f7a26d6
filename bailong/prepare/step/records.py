"""From the records of a file to the documents of raw shards, with their books."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bailong.data.sources import share
from bailong.prepare.work import shard
from bailong.prepare.work.books import Flow
from bailong.prepare.work.shard import Document
from bailong.reader import delimited, epub, fetch, jsonl, table, text, web, wiki
from bailong.reader.record import HARMLESS, HEAD, Bad, Fields, Item, Record
from bailong.reader.stream import Damaged, Input, in_utf8, written

if TYPE_CHECKING:
    from bailong.data.settings import Source
    from bailong.prepare.step.collect import Collect

#: below so many records a share of bad ones says nothing
ENOUGH_RECORDS = 20
#: a file whose first so many records are all bad is not read to its end
HOPELESS = 10_000

#: what helps where much is bad for a reason
ADVICE = {
    "no_text": "set data.sources[].text to the field that holds the text",
    "not_object": 'records are objects, as {"text": "..."}',
    "bad_utf8": "set collect.text_encoding to the charset of the files",
    "ragged": "every row has as many columns as there are names",
}


class RecordReader:
    """Reads the records of a unit into documents, and keeps the books.

    Attributes:
        read: records seen, good and bad.
        bad: reason -> records.
    """

    def __init__(self, source: Source, settings: Collect, quarantine: IO[str] | None, pages: Path = Path()) -> None:
        self.source, self.settings, self.quarantine, self.pages = source, settings, quarantine, pages
        self.name = source.name
        self.fields = Fields(source.text, source.url)
        self.read = self.kept = self.characters = self.bytes = self.bytes_read = 0
        self.bad: Counter[str] = Counter()
        self.example = ""
        self.limited = False
        self.extractor: Any = None
        self._flow = Flow()  # of what is dropped; what stays is counted in plain numbers, which is faster
        self._lengths = [0] * 64

    def documents(self, kind: str, files: list[tuple[Path, str]]) -> Iterator[tuple[Document, int]]:
        """Documents and the bytes of their texts."""
        for file in [Input(path, name) for path, name in files] or [None]:
            for document, size in self._file(kind, file):
                yield document, size
                if self.kept == self.source.limit:
                    self.limited = True
                    break
            self.bytes_read += file.consumed if file is not None else 0
            if self.limited:
                return
        if not files:
            self.bytes_read = self.bytes

    def items(self, kind: str, file: Input | None) -> Iterator[Item]:
        """The records of a file, or (None) of the Hub dataset."""
        knobs, limit, fields = self.settings, self.settings.max_doc_bytes, self.fields
        if file is None:
            return table.hub(self.source.path, self.source.split, self.source.revision, fields)
        if kind in ("jsonl", "csv"):
            read = {"jsonl": jsonl.read, "csv": delimited.read}[kind]
            return written(file, read(in_utf8(file, knobs.text_encoding), fields, limit))
        if kind == "text":
            return written(file, text.read(in_utf8(file, knobs.text_encoding), knobs.text_unit, limit))
        if kind == "parquet":
            return table.parquet(file, fields)
        if kind == "wiki":
            return wiki.read(file, knobs.wiki_variant, knobs.wiki_title, knobs.wiki_skip_sections, limit)
        if kind == "epub":
            return epub.read(file, knobs.epub_unit, limit)
        if self.extractor is None:
            shape = (knobs.web_tables, knobs.web_comments, knobs.web_fast, knobs.web_language)
            self.extractor = web.Extractor(knobs.web_favour, *shape)
        if kind == "urls":
            waits = (knobs.fetch_delay, knobs.fetch_timeout, knobs.fetch_retries, knobs.fetch_hosts)
            return fetch.read(file, self.extractor, fetch.Politeness(knobs.user_agent, *waits), self.pages, limit)
        return {"html": web.html, "warc": web.warc}[kind](file, self.extractor, limit)

    def check(self) -> None:
        """Refuse a unit of which too much is bad.

        Raises:
            ValueError: with counts, an example, and how to go on.
        """
        damaged = {reason: n for reason, n in self.bad.items() if reason not in HARMLESS}
        count = sum(damaged.values())
        ratio = count / self.read if self.read else 0.0
        all_bad = count == self.read > 0 and self.settings.max_bad_ratio < 1
        if all_bad or (self.read >= ENOUGH_RECORDS and ratio > self.settings.max_bad_ratio):
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(damaged.items(), key=lambda item: -item[1]))
            advice = next((said for reason, said in ADVICE.items() if reason in damaged), "look at it")
            onward = "" if count == self.read else f", or go on without them: collect.max_bad_ratio={_above(ratio)}"
            raise ValueError(
                f"data source {self.name}: {count:,} of {self.read:,} records are bad ({reasons}), the "
                f"first at {self.example}; {advice}{onward}"
            )

    def flow(self) -> Flow:
        """The books: what came in, was dropped and stays."""
        flow = self._flow
        flow.left = [self.kept, self.characters, self.bytes, 0]
        dropped = [sum(size[i] for size in flow.drops.values()) for i in range(4)]
        flow.came = [a + b for a, b in zip(flow.left, dropped, strict=True)]
        flow.lengths = Counter({i: n for i, n in enumerate(self._lengths) if n})
        return flow

    def _file(self, kind: str, file: Input | None) -> Iterator[tuple[Document, int]]:
        name = file.name if file is not None else self.source.path
        source, limit, licence = self.source, self.settings.max_doc_bytes, self.source.licence
        start = hashlib.blake2b(f"{self.name}\0{name}\0".encode(), digest_size=16)
        blake2b = hashlib.blake2b
        try:
            for item in self.items(kind, file):
                if isinstance(item, Record):
                    row, offset, body, url = item
                    self.read += 1
                    try:
                        raw = body.encode("utf-8")
                    except UnicodeEncodeError:
                        head = body[:HEAD].encode("utf-8", "backslashreplace")[:HEAD]
                        self._drop(Bad(row, offset, "lone_surrogate", head, len(body)), name)
                        continue
                    if not raw or body.isspace():
                        self._drop(Bad(row, offset, "empty", raw[:HEAD], len(raw)), name)
                        continue
                    if len(raw) > limit:
                        self._drop(Bad(row, offset, "too_large", raw[:HEAD], len(raw)), name)
                        continue
                    key = start.copy()
                    key.update(b"%d" % row)
                    key = key.digest()
                    size, characters = len(raw), len(body)
                    if source.fraction < 1 and share(body.strip(), "fraction") >= source.fraction:
                        self._flow.drop("fraction", (1, characters, size, 0), key, body)
                        continue
                    self.kept += 1
                    self.characters += characters
                    self.bytes += size
                    self._lengths[characters.bit_length()] += 1
                    original = blake2b(raw, digest_size=16).digest()
                    del raw  # of a long text one copy is enough while it is written and the next one read
                    yield Document(key, body, name, row, url, licence, original), size
                elif isinstance(item, Bad):
                    self.read += 1
                    self._drop(item, name)
                else:
                    self._flow.counts[item.reason] += 1
        except Damaged as damage:
            if self.settings.on_truncated == "fail":
                raise ValueError(f"{name}: {damage}; collect.on_truncated=keep takes what is whole") from None
            self.read += 1
            self._drop(Bad(damage.row, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail)), name)

    def _drop(self, bad: Bad, file: str) -> None:
        self.bad[bad.reason] += 1
        key = hashlib.blake2b(f"{self.name}\0{file}\0{bad.row}\0bad".encode(), digest_size=16).digest()
        text = bad.head.decode("utf-8", "backslashreplace")
        self._flow.drop(bad.reason, (1, 0, bad.size, 0), key, text, path=file, row=bad.row, offset=bad.offset)
        if self.quarantine is not None:
            row = {
                "file": file,
                "row": bad.row,
                "offset": bad.offset,
                "bytes": bad.size,
                "reason": bad.reason,
                "text": text,
            }
            self.quarantine.write(json.dumps(row, ensure_ascii=False) + "\n")
        if not self.example and bad.reason not in HARMLESS:
            place = f" (byte {bad.offset:,})" if bad.offset >= 0 else ""
            self.example = f"{file}:{bad.row}{place}, {bad.reason}"
        if not self.kept and self.read == HOPELESS:
            self.check()


def write(target: Path, documents: Iterator[tuple[Document, int]], size: float) -> list[dict[str, int]]:
    """Write documents into parts of about `size` bytes of text."""
    parts: list[dict[str, int]] = []

    def part(first: tuple[Document, int]) -> Iterator[Document]:
        for document, length in itertools.chain([first], documents):
            count = parts[-1]
            count["documents"] += 1
            count["characters"] += len(document.text)
            count["bytes"] += length
            yield document
            if count["bytes"] >= size:
                return

    for first in documents:
        parts.append({"documents": 0, "characters": 0, "bytes": 0})
        shard.write(target / f"part-{len(parts) - 1:05d}.arrow", part(first))
    return parts


def _above(ratio: float) -> float:
    """A round number above a ratio."""
    return min(1.0, round(ratio * 1.1 + 0.01, 2))
