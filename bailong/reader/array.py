"""JSON objects that do not stand one on a line: an array of them, or one behind another over many lines each."""

import re
from collections.abc import Iterator
from typing import Any

from bailong.reader.parse import parse
from bailong.reader.record import HEAD
from bailong.reader.stream import BOM, Damaged, Input, Line

#: the beginning of a file that holds an array of objects
ARRAY = re.compile(rb"\s*\[\s*(?:\{|$)")
#: ... and of one whose object goes on in the next line
PRETTY = re.compile(rb"""\s*\{[ \t]*\r?\n\s*"(?:[^"\\]|\\.)*"\s*:""")
#: a string (which holds no newline), a bracket, or a quotation mark of a string that is not complete
_TOKEN = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[][{}]|"', re.DOTALL)
_SPACE = re.compile(rb"[\s,]*")
_PLAIN = re.compile(rb"[^\s,\]]*")
_FIRST_KEY = re.compile(rb'\{\s*("(?:[^"\\]|\\.)*+")\s*:')


class _Buffer:
    """The part of a file that is looked at."""

    def __init__(self, source: Input) -> None:
        self.blocks = source.blocks()
        self.data = bytearray()
        self.offset = 0  # of its first byte
        self.damage: Damaged | None = None
        self.more()
        if self.data.startswith(BOM):
            self.drop(len(BOM))

    def more(self) -> bool:
        """Read as much again as there is, so that a long value is not looked at too often; False at the end."""
        wanted = 2 * len(self.data)
        before = len(self.data)
        try:
            while len(self.data) <= wanted and (block := next(self.blocks, b"")):
                self.data += block
        except Damaged as damage:
            self.damage = damage
        return len(self.data) > before

    def drop(self, count: int) -> None:
        del self.data[:count]
        self.offset += count


def elements(source: Input, limit: int) -> Iterator[tuple[Line, Any, str]]:
    """The values of an array, or of a row of objects without one: bytes, value, and why it is no object.

    The row of a value is its position in the file. Where one is broken so that its end cannot be told, reading goes
    on at the next that begins with the key with which the first began.

    Raises:
        Damaged: after the last whole value, with the beginning of the cut one in it.
    """
    buffer = _Buffer(source)
    row, inside, begins = 0, False, None
    while _skip(buffer):
        if buffer.data[0] == b"[]"[inside]:
            inside = not inside
            buffer.drop(1)
            continue
        if begins is None and (first := _FIRST_KEY.match(buffer.data)):
            begins = re.compile(rb"\{\s*" + re.escape(first[1]) + rb"\s*:")
        row += 1
        end = _end(buffer, limit)
        found, reason = parse(bytes(buffer.data[:end])) if end is not None else (None, "bad_json")
        if reason == "bad_json" and (following := _following(buffer, begins, limit if end is None else end)):
            end = following
        if end is None:
            end = len(buffer.data)
            if buffer.damage is not None:
                buffer.damage.row, buffer.damage.start, buffer.damage.tail = row, buffer.offset, bytes(buffer.data)
                raise buffer.damage
            inside = False  # that the file ends here is said with this piece
            reason = "trunc_tail" if len(buffer.data) <= limit else reason
        yield Line(row, buffer.offset, bytes(buffer.data[: end if end <= limit else HEAD]), end), found, reason
        buffer.drop(end)
    if buffer.damage is not None:
        buffer.damage.row, buffer.damage.start = row + 1, buffer.offset
        raise buffer.damage
    if inside:
        yield Line(row + 1, buffer.offset, b"", 0), None, "trunc_tail"


def _following(buffer: _Buffer, begins: re.Pattern[bytes] | None, limit: int) -> int | None:
    """Where the next value begins, within the limit, behind one that is broken."""
    while begins is not None:
        if found := begins.search(buffer.data, 1, limit):
            return found.start()
        if len(buffer.data) > limit or not buffer.more():
            break
    return None


def _skip(buffer: _Buffer) -> bool:
    """Go behind white space and commas; False at the end of the file."""
    while True:
        found = _SPACE.match(buffer.data)
        assert found is not None
        buffer.drop(found.end())
        if buffer.data or not buffer.more():
            return bool(buffer.data)


def _end(buffer: _Buffer, limit: int) -> int | None:
    """The end of the value with which the buffer begins; None if it has none within the limit or the file."""
    depth = at = 0
    while True:
        if buffer.data[0] not in b'{["':
            found = _PLAIN.match(buffer.data)
            assert found is not None
            if found.end() < len(buffer.data) or not buffer.more():
                return max(found.end(), 1)
            continue
        token = _TOKEN.search(buffer.data, at)
        if token is None or token[0] == b'"':
            at = token.start() if token else len(buffer.data)
            if len(buffer.data) > limit or buffer.data.find(b"\n", at) > at or not buffer.more():
                return None
            continue
        at = token.end()
        if token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
        if depth <= 0:
            return at
