"""An append-only file of JSON rows that survives `kill -9` and has one writer at a time."""

from __future__ import annotations

import fcntl
import json
import threading
from pathlib import Path
from typing import Any


class Journal:
    """Rows in a file, each flushed as it is written.

    A last line that a dead process left unfinished is cut off, or the next row would be glued to it. While the journal
    is open, no other process can open it.

    Raises:
        ValueError: another process writes to it, or a line is no JSON object.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = path.open("a+b")
        self.turn = threading.Lock()  # replies of an API come from several threads
        try:
            fcntl.flock(self.stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.stream.close()
            raise ValueError(f"{path} is being written by another process: wait for it, or stop it") from None
        self.stream.seek(0)
        content = self.stream.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self.stream.truncate(whole)
        self.rows = _rows(content[:whole], path)

    def append(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        with self.turn:
            self.stream.write(line)
            self.stream.flush()
            self.rows.append(row)

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a journal, also while it is being written; none if there is no such file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    return _rows(content[: content.rfind(b"\n") + 1], path)


def _rows(content: bytes, path: Path) -> list[dict[str, Any]]:
    rows = []
    # Not `splitlines`: it also splits at U+2028 and U+0085, which answers may hold and JSON does not escape
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(
                f"{path}, line {number} is no JSON object: the file is damaged; move it away to begin anew"
            )
        rows.append(row)
    return rows
