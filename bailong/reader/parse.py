"""One JSON value, read as people write it."""

import json
from typing import Any

import orjson


def parse(data: bytes) -> tuple[Any, str]:
    """The value, and why it is no object: `not_object`, or what is wrong with its bytes."""
    try:
        return orjson.loads(data), "not_object"
    except orjson.JSONDecodeError:
        return parse_leniently(data)


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
