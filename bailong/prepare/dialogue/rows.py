"""Objects of a source of dialogues: a JSON array, JSON lines, one large object, CSV, TSV, Parquet, or the Hub.

Broken input costs itself and nothing else: it comes back as `Bad`, with its place, and reading goes on.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bailong.reader import delimited
from bailong.reader.parse import parse
from bailong.reader.record import HEAD, Bad
from bailong.reader.stream import BOM, Damaged, Input, in_utf8, lines, refuse_packed

#: bytes of a row of a table; no dialogue is as long
LONGEST = 1 << 26

_BETWEEN = re.compile(r"[\s,]*")
_FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")\s*:')


class FoundRecord(NamedTuple):
    """An object as it was found.

    Attributes:
        row: counted from 1: the line it begins on, or its position in the array or table.
        offset: bytes of the decompressed file before it; -1 where a format has no such thing.
    """

    row: int
    offset: int
    value: dict[str, Any]


def local(path: Path, named: bool = True) -> Iterator[FoundRecord | Bad]:
    """The objects of a file, plain or compressed (`.gz`, `.zst`, ...).

    Args:
        named: whether a table begins with the names of its columns.
    """
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if ".parquet" in suffixes:
        refuse_packed(path)
        yield from _parquet(path)
    elif {".csv", ".tsv"} & suffixes:
        yield from _table(path, named)
    elif _first(path) == b"[":
        yield from _array(path)
    else:
        yield from _lines(path)


def hub(path: str, split: str, revision: str | None) -> Iterator[FoundRecord]:
    """The rows of a Hub dataset, streamed.

    Raises:
        ValueError: the Hub does not give it.
    """
    from bailong.reader.table import hub_rows

    for number, value in enumerate(hub_rows(path, split, revision), 1):
        yield FoundRecord(number, -1, value)


def _parquet(path: Path) -> Iterator[FoundRecord | Bad]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, use_threads=False):
                for value in batch.to_pylist():
                    number += 1
                    yield FoundRecord(number, -1, value)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        yield Bad(number + 1, -1, "bad_parquet", str(error).encode()[:HEAD], path.stat().st_size)


def _table(path: Path, named: bool) -> Iterator[FoundRecord | Bad]:
    """The rows of a table as text, by its columns."""
    try:
        for found in delimited.rows(in_utf8(Input(path)), LONGEST, named=named):
            yield FoundRecord(*found) if isinstance(found, delimited.Row) else found
    except Damaged as damage:
        yield Bad(damage.row, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail))


def _lines(path: Path) -> Iterator[FoundRecord | Bad]:
    """JSON lines, or one object over many lines."""
    begun = False
    try:
        for row, offset, data, size in lines(in_utf8(Input(path)), sys.maxsize):
            if not data or data.isspace():
                continue
            found, reason = parse(data)
            if not begun and reason == "bad_json" and (whole := _object(path)) is not None:
                yield FoundRecord(row, offset, whole)
                return
            begun = True
            found = _bare(found)
            yield (
                FoundRecord(row, offset, found)
                if isinstance(found, dict)
                else Bad(row, offset, reason, data[:HEAD], size)
            )
    except Damaged as damage:
        yield Bad(damage.row, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail))


def _array(path: Path) -> Iterator[FoundRecord | Bad]:
    """The elements of a JSON array. The file is held whole, its elements one at a time.

    Behind an element that is broken reading goes on where the next one begins: at the key with which the first began.
    Where messages stand in an array without an object around them, that array is the element: a dialogue on each line,
    or an array of dialogues. What stands behind the array is read as well.
    """
    data, damage = _whole(path)
    offset = len(BOM) if data.startswith(BOM) else 0
    text = data[offset:].decode("utf-8", "surrogateescape")  # a byte that is no UTF-8 costs its element alone
    del data
    read = json.JSONDecoder(strict=False).raw_decode
    begin = text.index("[") + 1
    first = _FIRST_KEY.search(text, begin)
    opening = re.compile(r"\{\s*" + re.escape(first[1]) + r"\s*:") if first else None
    row = before = 0
    closed = _opens_messages(text, begin)
    if closed:
        opening = re.compile(r"(?<=\n)\[")
    at = _skip(text, begin - closed)
    bad = None
    while at < len(text):
        if text[at] == "]":
            at, closed = _skip(text, at + 1), True
            if text[at : at + 1] == "[" and not _opens_messages(text, at + 1):
                at, closed = _skip(text, at + 1), False
            continue
        row += 1
        offset += len(_encoded(text[before:at]))
        before, bad, value = at, None, None
        try:
            value, end = read(text, at)
            value = _bare(value)
            raw = _encoded(text[at:end])
            if not isinstance(value, dict):
                bad = Bad(row, offset, "not_object", raw[:HEAD], len(raw))
            elif not _is_utf8(raw):
                bad = Bad(row, offset, "bad_utf8", raw[:HEAD], len(raw))
        except (ValueError, RecursionError):
            following = opening.search(text, at + 1) if opening else None
            end = following.start() if following else len(text)
            reason = damage.reason if damage and not following else "bad_json"
            raw = _encoded(text[at:end])
            bad = Bad(row, offset, reason, raw[:HEAD], len(raw))
        yield bad or FoundRecord(row, offset, value)  # type: ignore[arg-type]
        at = _skip(text, end)
    if not closed and (bad is None or bad.reason == "not_object"):  # it broke off between two elements
        offset += len(_encoded(text[before:]))
        yield Bad(row + 1, offset, damage.reason if damage else "trunc_tail", b"", 0)


def _bare(value: Any) -> Any:
    """Messages without an object around them as a record; everything else as it is."""
    return {"messages": value} if isinstance(value, list) and value and all(map(_is_message, value)) else value


def _is_message(value: Any) -> bool:
    keys = {str(key).lower() for key in value} if isinstance(value, dict) else set()
    return bool(keys & {"role", "from"}) and bool(keys & {"content", "value"})


def _opens_messages(text: str, at: int) -> bool:
    """Whether the first element of an array, behind its bracket, is a message."""
    try:
        return _is_message(json.JSONDecoder(strict=False).raw_decode(text, _skip(text, at))[0])
    except (ValueError, RecursionError):
        return False


def _object(path: Path) -> dict[str, Any] | None:
    """The whole file as one object, if it is one."""
    data, _ = _whole(path)
    found, _ = parse(data.removeprefix(BOM))
    return found if isinstance(found, dict) else None


def _whole(path: Path) -> tuple[bytes, Damaged | None]:
    blocks: list[bytes] = []
    try:
        for block in in_utf8(Input(path)).blocks():
            blocks.append(block)
    except Damaged as damage:
        return b"".join(blocks), damage
    return b"".join(blocks), None


def _first(path: Path) -> bytes:
    """The first byte that is no white space."""
    try:
        for block in in_utf8(Input(path)).blocks():
            if bare := block.removeprefix(BOM).lstrip():
                return bare[:1]
    except Damaged:
        pass
    return b""


def _skip(text: str, at: int) -> int:
    """Behind white space and commas."""
    found = _BETWEEN.match(text, at)
    assert found is not None
    return found.end()


def _encoded(text: str) -> bytes:
    """The bytes from which `text` was decoded."""
    return text.encode("utf-8", "surrogateescape")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
