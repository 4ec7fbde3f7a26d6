"""What others printed (`printed.yaml`): Table 6 of the paper, and the tables of a sister system, beside our own scores.

A table has a `source`, a `year`, the `judge` where there was one, `columns` (of judged benchmarks, or one of multiple
choice with its `groups`), and `rows`: a figure a column, a pair where only the span of several is known, or null.
"""

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PRINTED = Path(__file__).with_name("printed.yaml")


@cache
def tables() -> tuple[dict[str, Any], ...]:
    """The tables as printed, in the order of the file: Table 6 first."""
    return tuple(yaml.safe_load(PRINTED.read_text(encoding="utf-8")))


def table6() -> dict[str, Any]:
    """The one with an average over its columns."""
    return tables()[0]


def beside(columns: Collection[str | None]) -> list[dict[str, Any]]:
    """The tables that have one of these columns."""
    return [table for table in tables() if not {*table["columns"]}.isdisjoint(columns)]
