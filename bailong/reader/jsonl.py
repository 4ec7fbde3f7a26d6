"""JSON: one object a line, or the objects of an array. One that is broken costs itself and nothing else."""

from collections.abc import Iterator
from typing import Any

import orjson

from bailong.reader.array import ARRAY, PRETTY, elements
from bailong.reader.parse import parse_leniently
from bailong.reader.record import HEAD, Bad, Fields, Item, Record
from bailong.reader.stream import BOM, Damaged, Input, head, lines, only_carriages


def read(source: Input, fields: Fields, max_bytes: int) -> Iterator[Item]:
    """The text of every object: one a line (blank lines left out), or those of an array, however it is laid out.

    An object may be twice as long as a document of `max_bytes`, since JSON may write three bytes of text in six.

    Raises:
        Damaged: after every record before the damage.
        ValueError: the file is one object without text, around others.
    """
    longest = 2 * max_bytes + (1 << 16)
    start = head(source)
    try:
        if apart(start):
            yield from _elements(source, fields, longest)
        else:
            yield from _lines(source, fields, longest, only_carriages(start))
    except Damaged as damage:
        found, _ = parse_leniently(damage.tail)
        if isinstance(found, dict) and (text := fields.text_of(found)) is not None:
            # an object says itself where it ends: cut behind its last brace, it is whole
            yield Record(damage.row, damage.start, text, fields.url_of(found))
            damage.tail = b""
        raise


def apart(start: bytes) -> bool:
    """Whether a file that begins so holds objects that do not stand one on a line."""
    start = start.removeprefix(BOM)
    return (ARRAY.match(start) or PRETTY.match(start)) is not None


def _lines(source: Input, fields: Fields, longest: int, carriages: bool) -> Iterator[Item]:
    text_of, url_of = fields.text_of, fields.url_of
    alone: tuple[Bad, dict[str, Any]] | None = None  # a first record that holds others, while it may be all there is
    for row, offset, data, size in lines(source, longest, carriages):
        if not data or data.isspace():
            continue
        if alone:
            yield alone[0]
            alone = None
        if size > longest:
            yield Bad(row, offset, "too_large", data, size)
            continue
        try:
            found, reason = orjson.loads(data), "not_object"
        except orjson.JSONDecodeError:
            found, reason = parse_leniently(data)
        if isinstance(found, dict):
            if (text := text_of(found)) is not None:
                del data  # of a long line one copy is enough while its document is written and the next one read
                yield Record(row, offset, text, url_of(found))
                continue
            reason = "no_text"
        bad = Bad(row, offset, reason, data[:HEAD], size)
        if row == 1 and reason == "no_text" and any(map(_holds_objects, found.values())):
            alone = bad, found
        else:
            yield bad
    if alone:
        raise _accepted(source, alone[1])


def _elements(source: Input, fields: Fields, longest: int) -> Iterator[Item]:
    alone: tuple[Bad, dict[str, Any]] | None = None
    number = 0
    for number, ((row, offset, data, size), found, reason) in enumerate(elements(source, longest), 1):
        if size > longest:
            yield Bad(row, offset, "too_large", data[:HEAD], size)
        elif not isinstance(found, dict):
            yield Bad(row, offset, reason, data[:HEAD], size)
        elif (text := fields.text_of(found)) is not None:
            yield Record(row, offset, text, fields.url_of(found))
        elif any(map(_holds_objects, found.values())) and number == 1:
            alone = Bad(row, offset, "no_text", data[:HEAD], size), found
        else:
            yield Bad(row, offset, "no_text", data[:HEAD], size)
        if alone and number > 1:
            yield alone[0]
            alone = None
    if alone:
        raise _accepted(source, alone[1])


def _holds_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _accepted(source: Input, found: dict[str, Any]) -> ValueError:
    has = ", ".join(list(found)[:8])
    return ValueError(
        f"{source.path}: one JSON object (it has: {has}) around the records; accepted are an object on each line "
        '(JSONL) and an array of objects: [{"text": "..."}, ...]'
    )
