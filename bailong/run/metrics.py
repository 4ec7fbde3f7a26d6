"""`metrics.jsonl`, the record of a run, and `speed.jsonl`, what the machine made of it.

They are apart so that the record holds nothing but what the settings decide: an interrupted and resumed run leaves
the very bytes that an unbroken one leaves.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any


class Lines:
    """An append-only file of JSON lines, each flushed as it is written."""

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        """Open for appending, after cutting off what lies past `keep_bytes`.

        A resumed run writes the rows after its checkpoint anew; the same rows again would count twice.
        Without a path nothing is written: only the first process of a run keeps its record.
        """
        if path is None:
            path = Path(os.devnull)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = path.open("ab")
        if path.is_file():
            self.stream.truncate(min(keep_bytes, path.stat().st_size))

    def write(self, row: dict[str, Any]) -> dict[str, Any]:
        """Append a row; returns it as written, with null for what is not finite."""
        row = {key: _finite(value) for key, value in row.items()}
        self.stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self.stream.flush()
        return row

    def size(self) -> int:
        """Bytes written so far: what a checkpoint remembers."""
        return self.stream.tell()

    def close(self) -> None:
        self.stream.close()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a finished or running file; a last line that is cut short is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
