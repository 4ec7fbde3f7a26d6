"""Bytes of a file, decompressed, in bounded blocks and lines. Damage ends them at a known place, not before."""

import bz2
import codecs
import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bailong.reader.charset import guessed, marked, unmarked
from bailong.reader.record import HEAD, Bad, Item, Skipped

#: bytes handed on at once
BLOCK = 1 << 20
#: compressed bytes fed at once; small, because zstd may blow each of them up thousands of times
PIECE = 1 << 13
BOM = b"\xef\xbb\xbf"

#: carriage returns that end lines by themselves; a newline behind them would end one line with them all
LONE = re.compile(rb"\r+(?![\r\n])")

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}


class Damaged(Exception):
    """A compressed file that breaks off or makes no sense.

    Attributes:
        reason: `trunc_tail` or `corrupt`.
        offset: decompressed bytes before it.
        row, start, tail: the line that it cut short, where that line begins, and what there is of it.
    """

    def __init__(self, form: str, reason: str, offset: int) -> None:
        said = "it breaks off" if reason == "trunc_tail" else "its data is corrupt"
        super().__init__(f"damaged {form} file ({said} after {offset:,} bytes of text)")
        self.reason, self.offset = reason, offset
        self.row, self.start, self.tail = 1, offset, b""


class Input:
    """One file that is being read.

    Attributes:
        name: its path relative to the source's folder.
        size: bytes on disk.
        consumed, produced: bytes on disk read so far, and the decompressed bytes they gave.
        codec: its charset; of one that is not UTF-8 blocks are recoded to it (`in_utf8`).
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.path, self.name, self.size = path, name or path.name, path.stat().st_size
        self.consumed = self.produced = 0
        self.codec = "utf-8"

    def share(self, offset: int) -> float:
        """About which part of the file lies before a decompressed offset (below 0: before what was read)."""
        if not self.size:
            return 1.0
        within = offset / self.produced if self.produced and offset >= 0 else 1.0
        return min(within * self.consumed / self.size, 1.0)

    def blocks(self) -> Iterator[bytes]:
        """Decompressed bytes, about `BLOCK` at a time. Members and frames that follow each other are one stream.

        Raises:
            Damaged: after everything before the damage has been handed on.
        """
        form = COMPRESSED.get(self.path.suffix)
        with self.path.open("rb", buffering=BLOCK) as file:
            blocks = self._plain(file) if form is None else self._decompressed(file, form)
            for block in blocks if self.codec == "utf-8" else _recoded(blocks, self.codec):
                self.produced += len(block)
                yield block

    def _plain(self, file: BinaryIO) -> Iterator[bytes]:
        while block := file.read(BLOCK):
            self.consumed += len(block)
            yield block

    def _decompressed(self, file: BinaryIO, form: str) -> Iterator[bytes]:
        make, errors = _codec(form)
        machine: Any = None
        member = given = 0  # where the present member begins in the file, and what it has given
        gathered: list[bytes] = []
        held = 0
        complete = False  # whether a member has ended
        damage = ""
        while not damage and (data := file.read(PIECE)):
            here = self.consumed
            self.consumed += len(data)
            while data:
                if machine is None:
                    if complete and not (data := data.lstrip(b"\0")):  # tapes and some writers pad with zeros
                        break
                    machine, member, given = make(), self.consumed - len(data), 0
                try:
                    out = machine.decompress(data)
                except errors:
                    out, damage = _salvage(file, member, here, given, make, errors), "corrupt"
                    machine = None
                gathered.append(out)
                held += len(out)
                given += len(out)
                data = b""
                if machine is not None and machine.eof:
                    data, machine, complete = machine.unused_data, None, True
            if held >= BLOCK:
                yield b"".join(gathered)
                gathered, held = [], 0
        if held:
            yield b"".join(gathered)
        if machine is not None:
            damage = "trunc_tail"
        if damage:
            raise Damaged(form, damage, self.produced)


def in_utf8(source: Input, encoding: str = "auto") -> Input:
    """The same file, read as UTF-8 from here on: by its byte-order mark, as UTF-16 where its zero bytes show it, else
    from `encoding` (`auto`: what it seems to be in). A byte that is none of its charset comes through as one that is
    no UTF-8 either, and so costs the record it stands in."""
    first = head(source)
    source.codec = marked(first) or (guessed(first) if encoding == "auto" else encoding)
    return source


def written(source: Input, found: Iterator[Item]) -> Iterator[Item]:
    """Records of a file with what is true of the file as it was written: in one that is recoded bytes were counted in
    UTF-8, so that its records have no offset."""
    return found if source.codec == "utf-8" else _written(source, found)


def _written(source: Input, found: Iterator[Item]) -> Iterator[Item]:
    try:
        for item in found:
            if isinstance(item, Bad):
                reason = f"bad_{source.codec.replace('-', '')}" if item.reason == "bad_utf8" else item.reason
                yield item._replace(offset=-1, reason=reason)
            else:
                yield item if isinstance(item, Skipped) else item._replace(offset=-1)
    except Damaged as damage:
        damage.start = -1
        raise


def _recoded(blocks: Iterator[bytes], codec: str) -> Iterator[bytes]:
    handler = "surrogatepass" if codec.startswith("utf-") else "surrogateescape"
    machine = codecs.getincrementaldecoder(codec)(handler)
    for number, block in enumerate(blocks):
        yield machine.decode(block if number else unmarked(block, codec)).encode("utf-8", handler)
    if machine.getstate()[0]:
        yield b"\xff"  # it ends within a character


def head(source: Input) -> bytes:
    """The first bytes of a file, decompressed; nothing is counted as read."""
    glance = Input(source.path)
    glance.codec = source.codec
    try:
        return next(glance.blocks(), b"")
    except Damaged:
        return b""


def only_carriages(head: bytes) -> bool:
    """Whether the lines of a file that begins so end with carriage returns alone."""
    return b"\r" in head[:-1] and b"\n" not in head


def refuse_packed(path: Path) -> None:
    """Refuse a compressed file of a form that must be read from its end.

    Raises:
        ValueError: it is one.
    """
    if path.suffix.lower() in COMPRESSED:
        form = Path(path.stem).suffix.removeprefix(".")
        raise ValueError(
            f"{path}: a .{form} file is compressed within and is read from its end: unpack it to {path.stem}"
        )


class Line(NamedTuple):
    """A line without its end.

    Attributes:
        row: counted from 1.
        offset: bytes before it.
        data: its bytes; of a line above the limit only the first `HEAD`.
        size: its length in bytes.
    """

    row: int
    offset: int
    data: bytes
    size: int


def lines(source: Input, limit: int, carriages: bool = False) -> Iterator[Line]:
    """Lines that end with a newline (a carriage return before it stays). A line above `limit` bytes is never held.

    Args:
        carriages: a carriage return that no newline follows ends a line, too.

    Raises:
        Damaged: after the last whole line, with the beginning of the cut one in it.
    """
    row, offset, held = 1, 0, 0
    pending: list[bytes] = []  # pieces of the line that is not complete yet
    try:
        for i, block in enumerate(_with_newlines(source.blocks()) if carriages else source.blocks()):
            if i == 0 and block.startswith(BOM):
                block, offset = block[len(BOM) :], len(BOM)
            parts = block.split(b"\n")
            for part in parts[:-1]:
                held += len(part)
                if pending:
                    pending.append(part)
                    yield Line(row, offset, _taken(pending, held > limit), held)
                else:
                    yield Line(row, offset, part if held <= limit else part[:HEAD], held)
                row, offset, held = row + 1, offset + held + 1, 0
            if parts[-1]:
                held += len(parts[-1])
                pending.append(parts[-1])
                if held > limit:
                    pending = [_taken(pending, short=True)]
    except Damaged as damage:
        damage.row, damage.start, damage.tail = row, offset, b"".join(pending)
        raise
    if held:
        yield Line(row, offset, b"".join(pending), held)


def _with_newlines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks in which a newline stands for each lone carriage return, at its place."""
    held = b""  # carriage returns at the end of a block, of which the next one tells what they are
    for block in blocks:
        whole = held + block
        held = whole[len(whole.rstrip(b"\r")) :]
        whole = whole.removesuffix(held)
        yield LONE.sub(lambda found: b"\n" * len(found[0]), whole) if b"\r" in whole else whole
    if held:
        yield b"\n" * len(held)


def _taken(pieces: list[bytes], short: bool) -> bytes:
    """The pieces as one, or only its first `HEAD` bytes. None is held here while the reader is at work on them."""
    # cut before they are joined: all of a line that is too long would be there twice
    whole = b"".join(piece[:HEAD] for piece in pieces[:HEAD])[:HEAD] if short else b"".join(pieces)
    pieces.clear()
    return whole


class Unpacked(io.RawIOBase):
    """A file's decompressed bytes as a file object, for libraries that want one; it ends where the damage is.

    Attributes:
        damage: what ended it early.
    """

    def __init__(self, source: Input) -> None:
        self._blocks = source.blocks()
        self._rest = memoryview(b"")
        self.damage: Damaged | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            try:
                self._rest = memoryview(next(self._blocks, b""))
            except Damaged as damage:
                self.damage = damage
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _codec(form: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """A maker of decompressors of one member or frame, and what they raise."""
    if form == "gzip":
        return lambda: zlib.decompressobj(wbits=31), (zlib.error,)
    if form == "bzip2":
        return bz2.BZ2Decompressor, (OSError, ValueError)
    if form == "xz":
        return lzma.LZMADecompressor, (lzma.LZMAError,)
    import zstandard

    # a window above the default limit is legal (zstd --long=31), and costs memory only in files that use it
    opener = zstandard.ZstdDecompressor(max_window_size=2**31)
    return opener.decompressobj, (zstandard.ZstdError,)


def _salvage(
    file: BinaryIO, member: int, piece: int, given: int, make: Callable[[], Any], errors: tuple[type[Exception], ...]
) -> bytes:
    """What the piece that begins at `piece` still gives before its damage.

    A decompressor that fails keeps back what it made of the same piece before. So the member is read again from its
    start, without the `given` bytes that are known, and the last piece byte by byte.
    """
    file.seek(member)
    machine = make()
    made = 0
    gathered: list[bytes] = []
    try:
        while data := file.read(min(PIECE, piece - file.tell()) if file.tell() < piece else 1):
            out = machine.decompress(data)
            gathered.append(out[max(given - made, 0) :])
            made += len(out)
    except errors:
        pass
    return b"".join(gathered)
