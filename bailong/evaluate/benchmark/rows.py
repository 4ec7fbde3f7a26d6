"""The rows of a benchmark as they are in its file, on the Hub, or in the sample inside the package."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bailong.data.settings import Source
from bailong.data.sources import SAMPLE, documents
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.reader.stream import COMPRESSED, Damaged, Input
from bailong.run import hub
from bailong.run.checks import one_of

KINDS = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt")
Row = dict[str, Any]


def read(benchmark: Benchmark) -> list[Row]:
    """Every row, in the file's order.

    Raises:
        ValueError: nothing is there, or it cannot be read; with the knob to turn.
    """
    where = f"evaluation.{benchmark.name}"
    if benchmark.path.startswith("hub:"):
        return _hub(benchmark)
    path = local(benchmark.path)
    if not path.is_file():
        raise ValueError(
            f"{where}.path={benchmark.path} is not there: it must be a file ({', '.join(KINDS)}, plain or .gz or .zst),"
            f" sample:<file> or hub:<id>[#config]{_source(benchmark)}"
        )
    return rows_of(path, f"{where}.path")


def local(path: str) -> Path:
    """Where a path points: into the package (`sample:`), or to a file, or to what it is called compressed."""
    if path.startswith("sample:"):
        return SAMPLE / path.removeprefix("sample:")
    there = Path(path).expanduser()
    packed = (there.with_name(there.name + end) for end in COMPRESSED)
    return there if there.exists() or not there.name else next((one for one in packed if one.is_file()), there)


def rows_of(path: Path, key: str, names: Sequence[str] | None = None) -> list[Row]:
    """The rows of a local file.

    Args:
        key: the setting that named the file, for messages.
        names: of the columns of a .csv or .tsv that does not begin with them.

    Raises:
        ValueError: it is of no known kind, damaged, or holds no rows.
    """
    kind = Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix
    one_of(f"{key}: kind of file {path.name}:", kind, KINDS)
    if kind == ".parquet":
        import pyarrow.parquet as pq

        return table(pq.read_table(path).to_pylist(), f"{key}={path}")
    if kind == ".txt":
        found = [{"text": document} for document in documents(Source(path=str(path)))]
        if not found:
            raise ValueError(f"{key}={path} holds no text")
        return found
    try:
        text = b"".join(Input(path).blocks()).decode("utf-8-sig")  # DRCD's files begin with a byte-order mark
        if kind == ".jsonl":
            found: Any = list(_lines(text))
        elif kind == ".json":
            found = json.loads(text)
        else:
            found = list(csv.DictReader(io.StringIO(text), names, delimiter="\t" if kind == ".tsv" else ","))
    except (Damaged, ValueError, csv.Error) as error:
        raise ValueError(f"{key}={path} cannot be read: {error}") from None
    return table(found, f"{key}={path}")


def _lines(text: str) -> Iterator[Any]:
    """The values of JSON Lines; one that is none is told with its line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON ({error.msg} at column {error.colno})") from None


def table(found: Any, what: str) -> list[Row]:
    """Rows from any JSON that has some: a list of objects, `{"data": [..]}`, or objects by id or lists by category.

    A key that carries meaning becomes `id` or `category` of its rows; text in place of an object becomes `turns`.

    Raises:
        ValueError: there are none in it.
    """
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    elif isinstance(found, dict) and found and all(isinstance(value, dict) for value in found.values()):
        found = [{"id": key, **value} for key, value in found.items()]
    elif isinstance(found, dict) and found and all(isinstance(value, list) for value in found.values()):
        found = [
            {"category": key, **(row if isinstance(row, dict) else {"turns": row})}
            for key, rows in found.items()
            for row in rows
        ]
    if not isinstance(found, list) or not found or not all(isinstance(row, dict) for row in found):
        raise ValueError(f"{what} holds no rows: expected a list of objects")
    return found


def _hub(benchmark: Benchmark) -> list[Row]:
    from datasets import load_dataset

    name, _, config = benchmark.path.removeprefix("hub:").partition("#")
    try:
        with hub.asked():
            found = load_dataset(
                name,
                config or None,
                split=benchmark.split,
                data_files=benchmark.data_files,
                revision=benchmark.revision,
            )
        rows = [dict(row) for row in found]  # type: ignore[call-overload]
    except Exception as error:  # a dozen kinds: not found, gated, offline, no such config or split, columns that vary
        reason = next(iter(str(error).strip().splitlines()), "no reason given")
        raise ValueError(
            f"evaluation.{benchmark.name}.path={benchmark.path} (split {benchmark.split}, files "
            f"{benchmark.data_files or 'all'}, revision {benchmark.revision or 'main'}) cannot be read from the Hub: "
            f"{type(error).__name__}: {reason}; a copy on disk is read with evaluation.{benchmark.name}.path=<file>"
        ) from error
    return table(rows, f"evaluation.{benchmark.name}.path={benchmark.path} (split {benchmark.split})")


def _source(benchmark: Benchmark) -> str:
    return f"; it comes from {benchmark.source}" if benchmark.source else ""
