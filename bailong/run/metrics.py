"""`metrics.jsonl`, the record of a run, and `speed.jsonl`, what the machine made of it.

They are apart so that the record holds nothing but what the settings decide: an interrupted and resumed run leaves
the very bytes that an unbroken one leaves.
"""

import math
import os
from pathlib import Path
from typing import Any

from bailong.run import journal


class MetricsWriter(journal.RowWriter):
    """Appends rows of measurements to a file."""

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        """Open for appending, after cutting off what lies past `keep_bytes`.

        A resumed run writes the rows after its checkpoint anew; the same rows again would count twice.
        Without a path nothing is written: only the first process of a run keeps its record.
        """
        super().__init__(path or Path(os.devnull))
        if self.path.is_file():
            self.stream.truncate(min(keep_bytes, self.path.stat().st_size))
            self.stream.seek(0, os.SEEK_END)  # a checkpoint before the next row must not remember the old length

    def write(self, row: dict[str, Any]) -> dict[str, Any]:
        """Append a row; returns it as written, with null for what is not finite."""
        row = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
        self.append(row)
        return row

    def size(self) -> int:
        """Bytes written so far: what a checkpoint remembers."""
        return self.stream.tell()


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a finished or running file, up to a line that is cut short."""
    return journal.read(path, damaged="stop")
