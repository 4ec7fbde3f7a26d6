"""Where text comes from: local files, the sample inside the package, the Hub. One document at a time."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bailong.config import Source

SAMPLE = Path(__file__).parent / "sample"


def documents(source: Source) -> Iterator[str]:
    """The documents of a source, in file order, empty ones left out.

    Raises:
        ValueError: no such file, an unreadable line or a missing field, with file, line and what was expected.
    """
    if source.path.startswith("hub:"):
        texts = _hub(source)
    else:
        texts = (text for path in files(source) for text in _read(path, source))
    for text in texts:
        if source.fraction >= 1 or share(text, "fraction") < source.fraction:
            yield text


def files(source: Source) -> list[Path]:
    """The local files of a source, sorted; none for a Hub dataset."""
    if source.path.startswith("hub:"):
        return []
    inside = source.path.startswith("sample:")
    pattern = str(SAMPLE / source.path.removeprefix("sample:")) if inside else source.path
    found = sorted(Path(p) for p in glob.glob(pattern, recursive=True))
    if not found:
        raise ValueError(
            f"data source not found: {source.path} (a JSONL, TXT or Parquet file or glob, sample:<file>, or hub:<id>)"
        )
    return found


def share(text: str, purpose: str) -> float:
    """A number in [0, 1) that depends on the text and the purpose alone; it decides held-out and fraction."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") / 2**64


def digest(source: Source, cache: Path) -> str:
    """Hash of what a source says and of the bytes of its files.

    File hashes are remembered in `cache` by path, size and time, so that a finished sweep is recognised
    without reading a large corpus again.
    """
    name = source.path if source.path.startswith("hub:") else source.path.split("/")[-1]
    total = hashlib.sha256(f"{name}|{source.text}|{source.fraction}|{source.split}".encode())
    for path in files(source):
        total.update(_file_digest(path, cache).encode())
    return total.hexdigest()


def _file_digest(path: Path, cache: Path) -> str:
    stat = path.stat()
    name = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:24]
    note = cache / "digests" / name
    if note.exists():
        return note.read_text()
    with path.open("rb") as stream:
        value = hashlib.file_digest(stream, "sha256").hexdigest()
    note.parent.mkdir(parents=True, exist_ok=True)
    partial = note.with_name(f"{name}.{id(stat)}.tmp")
    partial.write_text(value)
    partial.rename(note)
    return value


def _read(path: Path, source: Source) -> Iterator[str]:
    suffix = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    if suffix == ".parquet":
        yield from _parquet(path, source)
        return
    if suffix not in (".jsonl", ".json", ".txt"):
        raise ValueError(f"{path}: unknown kind of file (.jsonl, .txt, either with .gz, or .parquet)")
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="\n") as stream:  # type: ignore[operator]
            yield from (_text(stream) if suffix == ".txt" else _jsonl(stream, path, source.text))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start} ({error.reason})") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{path}: damaged gzip file ({error})") from None


def _jsonl(stream: IO[str], path: Path, name: str) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error.msg})") from None
        if not isinstance(row, dict) or not isinstance(row.get(name), str):
            has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            raise ValueError(f"{path}:{number}: no text field {name!r} (it has: {has}); set data.sources[].text")
        if text := row[name].strip():
            yield text


def _text(stream: IO[str]) -> Iterator[str]:
    lines: list[str] = []
    for line in stream:
        if line.strip():
            lines.append(line.rstrip("\r\n"))
        elif lines:
            yield "\n".join(lines).strip()
            lines = []
    if lines:
        yield "\n".join(lines).strip()


def _parquet(path: Path, source: Source) -> Iterator[str]:
    from datasets import load_dataset

    yield from _column(load_dataset("parquet", data_files=str(path), split="train", streaming=True), source)


def _hub(source: Source) -> Iterator[str]:
    from datasets import load_dataset

    name, _, config = source.path.removeprefix("hub:").partition("#")
    yield from _column(load_dataset(name, config or None, split=source.split, streaming=True), source)


def _column(rows, source: Source) -> Iterator[str]:  # noqa: ANN001 (an IterableDataset)
    for row in rows:
        if not isinstance(row.get(source.text), str):
            raise ValueError(
                f"{source.path}: no text field {source.text!r} (it has: {', '.join(row)}); set data.sources[].text"
            )
        if text := row[source.text].strip():
            yield text
