"""Tables as text: CSV and TSV with a row of names first. A row that is broken costs itself."""

import csv
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bailong.reader.record import HEAD, Bad, Fields, Item
from bailong.reader.stream import BLOCK, Input, Line, head, lines, only_carriages
from bailong.reader.table import item, no_field

#: what may stand between two columns
DELIMITERS = ",;\t|"


class Rows:
    """The lines of a file for `csv`, with the place of the row that is being read.

    Attributes:
        first: its first line; None before it.
        size: its bytes so far.
    """

    def __init__(self, found: Iterator[Line]) -> None:
        self.found = found
        self.first: Line | None = None
        self.size = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.found:
            self.first = self.first or line
            self.size += line.size + 1
            # a byte that is no UTF-8 costs the row that it stands in
            yield line.data.decode("utf-8", "surrogateescape") + "\n"


class Row(NamedTuple):
    """A row of a table by the names of its columns, and its place: its line, and the bytes before it."""

    row: int
    offset: int
    value: dict[str, str]


def read(source: Input, fields: Fields, max_bytes: int) -> Iterator[Item]:
    """The text in the rows of a table.

    Raises:
        ValueError: there is no such column.
        Damaged: after the last whole row.
    """

    def lacks(columns: list[str]) -> ValueError | None:
        return None if fields.columns(columns) else no_field(str(source.path), fields, columns)

    for found in rows(source, max_bytes, lacks):
        if isinstance(found, Row):
            yield item(found.value, found.row, fields)._replace(offset=found.offset)
        else:
            yield found


def rows(
    source: Input,
    max_bytes: int,
    lacks: Callable[[list[str]], ValueError | None] = lambda _: None,
    named: bool = True,
) -> Iterator[Row | Bad]:
    """The rows of a table. Its first line names the columns and shows what stands between them.

    Args:
        lacks: what is wrong with these columns, if anything is.
        named: whether it does; if not, columns are called by their numbers, from 0.

    Raises:
        ValueError: that.
        Damaged: after the last whole row.
    """
    start = head(source)
    longest = 2 * max_bytes + (1 << 16)
    csv.field_size_limit(longest)
    found = lines(source, longest, carriages=only_carriages(start))
    names = next(found, None)
    if names is None:
        return
    title = names.data.decode("utf-8", "replace").rstrip("\r")
    # a sentence without a name above it has commas of its own
    delimiter = "\t" if not named and "\t" in title else delimiter_of(title, lacks)
    if title.startswith("sep=") and len(title) == 5:  # a line that spreadsheets write for themselves
        names, delimiter = next(found, names), title[4]
        title = names.data.decode("utf-8", "replace")
    quoting = csv.QUOTE_MINIMAL if delimiter != "\t" or _quoted(start) else csv.QUOTE_NONE
    columns = [name.strip() for name in next(csv.reader([title], delimiter=delimiter, quoting=quoting))]
    if not named:
        columns, found = [str(number) for number in range(len(columns))], itertools.chain([names], found)
    if wrong := lacks(columns):
        raise wrong
    read_so_far = Rows(found)
    table = csv.reader(read_so_far, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        read_so_far.first, read_so_far.size = None, 0
        reason, values = "", []
        try:
            values = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "too_large" if "limit" in str(error) else "bad_csv"
        first = read_so_far.first
        assert first is not None
        if not reason and not values:
            continue
        if read_so_far.size > longest:
            reason = "too_large"
        elif any(not value.isascii() and not _whole(value) for value in values):
            reason = "bad_utf8"
        elif not reason and len(values) != len(columns):
            reason = "ragged"
        if reason:
            yield Bad(first.row, first.offset, reason, first.data[:HEAD], read_so_far.size)
        else:
            yield Row(first.row, first.offset, dict(zip(columns, values, strict=True)))


def delimiter_of(title: str, lacks: Callable[[list[str]], ValueError | None]) -> str:
    """What stands between the columns of a table, by its row of names: what makes the wanted ones columns, else what is
    commonest."""

    def fit(delimiter: str) -> tuple[bool, int]:
        columns = [name.strip().strip('"') for name in title.split(delimiter)]
        return lacks(columns) is None, len(columns)

    return max(DELIMITERS, key=fit)


def _quoted(start: bytes) -> bool:
    """Whether quotation marks enclose columns in a table of tabs that begins so. In some they are signs like any."""
    rows = csv.reader(start.decode("utf-8", "replace").splitlines(keepends=True), delimiter="\t", strict=True)
    names, good, bad = len(next(rows, [])), 0, 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            # the beginning of a longer file ends within a row
            return bad <= good // 20 + (len(start) >= BLOCK)
        except csv.Error:
            bad += 1
        else:
            good, bad = good + (len(row) == names), bad + (len(row) not in (0, names))


def _whole(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
