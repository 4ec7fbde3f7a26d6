"""JSON lines: one object a line. A line that is none costs itself and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from bailong.reader.record import HEAD, Bad, Fields, Item, Record
from bailong.reader.stream import Damaged, Input, lines


def read(source: Input, fields: Fields, max_bytes: int) -> Iterator[Item]:
    """The text of every line, blank lines left out.

    A line may be twice as long as a document of `max_bytes`, since JSON may write three bytes of text in six.

    Raises:
        Damaged: after every record before the damage.
    """
    longest = 2 * max_bytes + (1 << 16)
    text_of, url_of = fields.text_of, fields.url_of
    try:
        for row, offset, data, size in lines(source, longest):
            if not data or data.isspace():
                continue
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
            yield Bad(row, offset, reason, data[:HEAD], size)
    except Damaged as damage:
        found, _ = parse_leniently(damage.tail)
        if isinstance(found, dict) and (text := text_of(found)) is not None:
            # an object says itself where it ends: cut behind its last brace, it is whole
            yield Record(damage.row, damage.start, text, url_of(found))
            damage.tail = b""
        raise


def parse_leniently(data: bytes) -> tuple[Any, str]:
    """What orjson refused, and the reason if it is beyond repair.

    Python's parser takes what the standard forbids and people write: NaN, numbers of any size, bare tabs and NULs,
    and half surrogate pairs, which only matter where they stand in the text.
    """
    try:
        return json.loads(data.decode("utf-8").removeprefix("\ufeff"), strict=False), "not_object"
    except UnicodeDecodeError:
        return None, "bad_utf8"
    except (ValueError, RecursionError):
        return None, "bad_json"
