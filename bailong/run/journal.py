"""Append-only files of JSON rows that survive `kill -9`; a journal has one writer at a time."""

import json
import threading
from pathlib import Path
from typing import Any, Self

from bailong.run import files


class RowWriter:
    """Appends rows to a file, each flushed as it is written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.stream = path, path.open("a+b")

    def append(self, row: dict[str, Any]) -> None:
        self.stream.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        self.stream.flush()

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Journal(RowWriter):
    """The rows of a file, and those that are appended.

    A last line that a dead process left unfinished is cut off, or the next row would be glued to it. While the journal
    is open, no other process can open it.

    Raises:
        ValueError: another process writes to it, or a line is no JSON object.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.turn = threading.Lock()  # replies of an API come from several threads
        if not files.hold(self.stream):
            self.stream.close()
            raise ValueError(f"{path} is being written by another process: wait for it, or stop it")
        content = path.read_bytes()
        self.stream.truncate(content.rfind(b"\n") + 1)
        self.rows = _rows(content, path)

    def append(self, row: dict[str, Any]) -> None:
        with self.turn:
            super().append(row)
            self.rows.append(row)


def read(path: Path, damaged: str = "refuse") -> list[dict[str, Any]]:
    """The rows of a journal, also while it is being written; none if there is no such file.

    `damaged`: what becomes of a file with a line that is no JSON object: `refuse`, or `stop` before that line.
    """
    return _rows(path.read_bytes(), path, damaged) if path.exists() else []


def _rows(content: bytes, path: Path, damaged: str = "refuse") -> list[dict[str, Any]]:
    rows = []
    # Not `splitlines`: it also splits at U+2028 and U+0085, which answers may hold and JSON does not escape
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line.decode("utf-8", "surrogatepass"))
        except ValueError:
            row = None
        if not isinstance(row, dict):
            if damaged == "stop":
                break
            raise ValueError(
                f"{path}, line {number} is no JSON object: the file is damaged; move it away to begin anew"
            )
        rows.append(row)
    return rows
