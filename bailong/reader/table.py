"""Tables: Parquet files, and datasets of the Hub row by row."""

from collections.abc import Iterator
from typing import Any

from bailong.reader.record import HEAD, Bad, Fields, Item, Record
from bailong.reader.stream import Input, refuse_packed
from bailong.run.hub import asked

#: rows of a Parquet file decoded at once
BATCH = 256
#: what `datasets` calls the reader of a kind of file; everything else is JSON lines
BUILDERS = {".parquet": "parquet", ".txt": "text"}


def parquet(source: Input, fields: Fields) -> Iterator[Item]:
    """The rows of a Parquet file; only the columns that are asked for are read, one batch at a time.

    Raises:
        ValueError: the file has no such column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_packed(source.path)
    row = 0
    try:
        with pq.ParquetFile(source.path) as file:
            has = file.schema_arrow.names
            columns = fields.columns(has)
            if not columns:
                raise no_field(str(source.path), fields, has)
            total = max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(batch_size=BATCH, columns=columns, use_threads=False):
                for found in batch.to_pylist():
                    row += 1
                    source.consumed = source.size * row // total
                    yield item(found, row, fields)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        yield Bad(row + 1, -1, "bad_parquet", str(error).encode()[:HEAD], source.size - source.consumed)
    except UnicodeDecodeError as error:
        yield Bad(row + 1, -1, "bad_utf8", error.object[:HEAD], source.size - source.consumed)


def hub(path: str, split: str, revision: str | None, fields: Fields) -> Iterator[Item]:
    """The rows of a Hub dataset, streamed: nothing is stored.

    Args:
        path: `hub:<id>`, `hub:<id>#<config>` or `hub:<id>#<glob of files>` (with a slash or an asterisk in it).

    Raises:
        ValueError: no such dataset, or no such column.
    """
    for row, found in enumerate(hub_rows(path, split, revision), 1):
        if row == 1 and not fields.columns(list(found)):
            raise no_field(path, fields, list(found))
        yield item(found, row, fields)


def hub_rows(path: str, split: str, revision: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Hub dataset as they are.

    Raises:
        ValueError: the Hub does not give it, with the Hub's own reason.
    """
    from datasets import load_dataset

    name, _, part = path.removeprefix("hub:").partition("#")
    try:
        with asked():
            if "*" in part or "/" in part:  # files by name: some repositories hold a script, which is never run
                builder = next((b for suffix, b in BUILDERS.items() if suffix in part), "json")
                files = f"hf://datasets/{name}@{revision or 'main'}/{part}"
                yield from load_dataset(builder, data_files=files, split="train", streaming=True)
            else:
                yield from load_dataset(name, part or None, split=split, revision=revision, streaming=True)
    except Exception as error:  # the Hub client raises a dozen kinds: not found, gated, offline, no such config, ...
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ValueError(
            f"{path} (split {split}, revision {revision or 'main'}) cannot be read from the Hub: "
            f"{type(error).__name__}: {reason}"
        ) from error


def item(found: dict[str, Any], row: int, fields: Fields) -> Record | Bad:
    """A row of a table as a record."""
    text = fields.text_of(found)
    if text is None:
        return Bad(row, -1, "no_text", str(found)[:HEAD].encode("utf-8", "backslashreplace"), 0)
    return Record(row, -1, text, fields.url_of(found))


def no_field(path: str, fields: Fields, has: list[str]) -> ValueError:
    return ValueError(f"{path}: no text field {fields.text!r} (it has: {', '.join(has)}); set text of this source")
