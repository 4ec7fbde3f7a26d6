"""Plain text: a blank line ends a document, or the file does."""

from collections.abc import Iterator

from bailong.reader.record import HEAD, Bad, Item, Record
from bailong.reader.stream import Damaged, Input, lines


def read(source: Input, unit: str, max_bytes: int) -> Iterator[Item]:
    """The documents of a text file: a `unit` is a `paragraph` or the `file`. Lines end with a
    newline, a carriage return or both.

    Raises:
        Damaged: after the last document, which then ends with the last whole line.
    """
    gathered: list[bytes] = []
    first = (0, 0)  # row and offset of the document's first line
    size = 0

    def complete() -> Item:
        row, offset = first
        data = b"\n".join(gathered)
        if size > max_bytes:
            return Bad(row, offset, "too_large", data[:HEAD], size)
        try:
            return Record(row, offset, data.decode("utf-8"))
        except UnicodeDecodeError:
            return Bad(row, offset, "bad_utf8", data[:HEAD], size)

    damaged = None
    stream = lines(source, max_bytes, carriages=True)
    while True:
        try:
            line = next(stream, None)
        except Damaged as damage:
            damaged, line = damage, None
        if line is None:
            break
        blank = not line.data or line.data.isspace()
        if blank and (unit == "paragraph" or not gathered):
            if gathered:
                yield complete()
                gathered, size = [], 0
            continue
        if not gathered:
            first = (line.row, line.offset)
        size += line.size + bool(gathered)
        if size <= max_bytes:
            gathered.append(line.data.rstrip(b"\r"))
        else:
            gathered = [b"\n".join([*gathered, line.data])[:HEAD]]  # too large: only the beginning is of use
    if gathered:
        yield complete()
    if damaged:
        raise damaged
