"""The fields of a row under the reader's names, whatever the file calls them."""

from typing import Any

from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.run.checks import one_of


class Columns:
    """Reads fields by the reader's names.

    `columns: {context: paragraph}` says that the file calls the passage `paragraph`; `a+b` is several fields, of
    which absent and empty ones are left out.
    """

    def __init__(
        self, benchmark: Benchmark, rows: list[Row], known: tuple[str, ...], needed: tuple[str, ...], **called: str
    ) -> None:
        """
        Args:
            known: the reader's names.
            needed: those that the rows must have.
            called: what files call them, where that is another word and the benchmark's `columns` say nothing.

        Raises:
            ValueError: `columns` names something the reader does not know, or no row has a needed field.
        """
        self.where = f"evaluation.{benchmark.name}"
        for name in benchmark.columns:
            one_of(f"{self.where}.columns, key", name, known)
        self.names = dict(zip(known, known, strict=True)) | called | benchmark.columns
        has = list(dict.fromkeys(key for row in rows for key in row))
        for name in needed:
            if not any(part in has for part in self.names[name].split("+")):
                raise ValueError(
                    f"{self.where}.columns.{name}={self.names[name]} is not in the data: its columns are "
                    f"{', '.join(map(str, has))}"
                )

    def values(self, row: Row, name: str) -> list[Any]:
        """What the field holds, as a list: several fields, several items, or one; nothing where there is nothing."""
        found: list[Any] = []
        for part in self.names[name].split("+"):
            value = row.get(part)
            found += value if isinstance(value, (list, tuple)) else [value]
        return [value for value in found if value is not None and str(value).strip()]

    def text(self, row: Row, name: str) -> str:
        """The field as text without white space around it; several parts stand below each other."""
        return "\n\n".join(str(value).strip() for value in self.values(row, name))

    def needed(self, row: Row, name: str, number: int) -> str:
        """`text`, which must not be empty.

        Raises:
            ValueError: it is; with the number of the row, counted from 1.
        """
        if text := self.text(row, name):
            return text
        raise ValueError(f"{self.where}: row {number} has nothing in {self.names[name]} (columns.{name})")
