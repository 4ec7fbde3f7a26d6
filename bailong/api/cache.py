"""Replies on disk, one JSON object a line, found by the content of the call.

Lines are only ever appended, each whole and under a lock, so that several processes may share a file and a process
killed at any moment leaves at most one torn line, which the next writer closes off and every reader passes over.
"""

import contextlib
import json
import os
import weakref
from pathlib import Path
from typing import Any

from bailong.run import files

#: bytes looked at in one go, and the longest line
BLOCK = 1 << 24


class Cache:
    """A file of rows with a `key`. Rows of the same key: the last one that may be replayed counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None  # until there is something to read or write
        self._places: dict[str, tuple[int, int]] = {}  # key -> where its line begins, and its length, in bytes
        self._read = 0

    def get(self, key: str) -> dict[str, Any] | None:
        """The row to replay, also when another process has written it since."""
        if self._file is None and not self.path.exists():
            return None
        file = self._open()
        self._read_on(file)
        place = self._places.get(key)
        return None if place is None else json.loads(os.pread(file, place[1], place[0]))

    def put(self, row: dict[str, Any], replay: bool) -> None:
        """Append a row. One that is not for `replay` is kept for the record alone."""
        line = json.dumps({**row, "replay": replay}, ensure_ascii=False).encode("utf-8") + b"\n"
        file = self._open()
        files.hold(file, wait=True)
        try:
            end = os.fstat(file).st_size
            if end and os.pread(file, 1, end - 1) != b"\n":
                line = b"\n" + line  # a writer was killed in the middle of its line
            while line:  # once, unless the disk is full, which the second time raises
                line = line[os.write(file, line) :]
        finally:
            files.release(file)

    def _open(self) -> int:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            weakref.finalize(self, os.close, self._file)
        return self._file

    def _read_on(self, file: int) -> None:
        """Learn the whole lines that were added since the last look."""
        end = os.fstat(file).st_size
        while self._read < end:
            block = os.pread(file, min(end - self._read, BLOCK), self._read)
            whole = block.rfind(b"\n") + 1
            if not whole and len(block) == BLOCK:
                raise ValueError(f"{self.path} has a line of more than {BLOCK:,} bytes: it holds no cached replies")
            if not whole:
                return  # the line that is being written, or a torn one
            start = self._read
            for line in block[:whole].splitlines(keepends=True):
                with contextlib.suppress(ValueError, KeyError, TypeError):  # torn
                    row = json.loads(line)
                    if row["replay"]:
                        self._places[row["key"]] = (start, len(line))
                start += len(line)
            self._read += whole
