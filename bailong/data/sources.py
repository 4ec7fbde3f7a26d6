"""Where text comes from: local files, the sample inside the package, the Hub. One document at a time."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailong.data import paths
from bailong.data.settings import SHAPES, Source
from bailong.data.turns import serialised, turns_of
from bailong.reader import delimited, jsonl, stream, table
from bailong.reader.record import Bad, Fields, Item, Record
from bailong.run.files import sha256, write

#: files that training reads as they are
FORMS = ".jsonl, .json, .csv, .tsv, .txt"
#: bytes of one document: no bound, for what is read as it is
LONGEST = sys.maxsize // 4
SAMPLE = Path(__file__).parent / "sample"


def documents(source: Source) -> Iterator[str]:
    """The documents of a source, in file order, empty ones left out; dialogues as `serialised` writes them.

    Raises:
        ValueError: no such file, an unreadable line or a missing field, with file, line and what was expected.
    """
    if source.kind == "dialogue":
        texts = (text for path in files(source) for text in _dialogues(path))
    elif source.kind in SHAPES:
        raise ValueError(
            f"data source {source.path} of kind={source.kind} is read by bailong-prepare alone: prepare it first"
        )
    elif source.path.startswith("hub:"):
        texts = _texts(table.hub(source.path, source.split, source.revision, Fields(source.text)), source.path)
    else:
        texts = (text for path in files(source) for text in _read(path, source))
    for text in texts:
        if source.fraction >= 1 or share(text, "fraction") < source.fraction:
            yield text


def files(source: Source) -> list[Path]:
    """The local files of a source, sorted, each once under whatever names and links; none for a Hub dataset.

    Raises:
        ValueError: there are none, or one cannot be read.
    """
    if source.path.startswith("hub:"):
        return []
    return paths.find(str(SAMPLE / source.path.removeprefix("sample:")) if _inside(source) else source.path)


def root(source: Source) -> Path:
    """The folder that the names of a source's files are relative to: what stands before the first wildcard."""
    return SAMPLE if _inside(source) else paths.root(source.path)


def _inside(source: Source) -> bool:
    return source.path.startswith("sample:")


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
    if paths.two_files(source.path):  # which of them is the source is told by what stands in the braces
        name = source.path[source.path.index("{") :]
    total = hashlib.sha256(f"{name}|{source.text}|{source.fraction}|{source.split}".encode())
    if source.revision is not None:
        total.update(source.revision.encode())
    for path in files(source):
        total.update(file_digest(path, cache).encode())
    return total.hexdigest()


def file_digest(path: Path, cache: Path) -> str:
    """SHA-256 of a file, remembered in `cache` by path, size and time."""
    stat = path.stat()
    name = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode()).hexdigest()[:24]
    note = cache / "digests" / name
    if note.exists():
        return note.read_text()
    value = sha256(path)
    write(note, value)
    return value


def lines(path: Path, carriages: bool = False) -> Iterator[str]:
    """The lines of a UTF-8 file (or UTF-16), plain or compressed, without their ends and without a byte-order mark.

    Args:
        carriages: a carriage return that no newline follows ends a line, too.

    Raises:
        ValueError: it is damaged or not UTF-8, with the place.
    """
    offset = 0
    source = stream.in_utf8(stream.Input(path))
    try:
        for line in stream.lines(source, sys.maxsize, carriages or stream.only_carriages(stream.head(source))):
            offset = line.offset
            yield line.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {offset + error.start} ({error.reason})") from None
    except stream.Damaged as error:
        raise ValueError(f"{path}: {error}") from None


def _read(path: Path, source: Source) -> Iterator[str]:
    suffixes = [s for s in path.suffixes if s not in stream.COMPRESSED] or [""]
    fields = Fields(source.text)
    if suffixes[-1] == ".parquet":
        yield from _texts(table.parquet(stream.Input(path), fields), str(path))
    elif suffixes[-1] in (".csv", ".tsv"):
        yield from _texts(delimited.read(stream.in_utf8(stream.Input(path)), fields, LONGEST), str(path))
    elif suffixes[-1] in (".jsonl", ".ndjson", ".json"):
        file = stream.in_utf8(stream.Input(path))
        if jsonl.apart(stream.head(file)):
            yield from _texts(jsonl.read(file, fields, LONGEST), str(path))
        else:
            yield from _jsonl(path, source.text)
    elif suffixes[-1] == ".txt":
        yield from _text(path)
    else:
        raise ValueError(f"{path}: unknown kind of file ({FORMS}, plain or compressed, or .parquet)")


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines(path), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error.msg})") from None


def _whole(text: str, path: Path, number: int) -> str:
    """The text itself, which JSON lets hold half a surrogate pair, and no tokenizer can take.

    Raises:
        ValueError: it does, with file and line.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        raise ValueError(
            f"{path}:{number}: lone surrogate {half}, half of a character that UTF-8 cannot hold: "
            "write the whole character or leave the line out"
        ) from None
    return text


def _dialogues(path: Path) -> Iterator[str]:
    for number, row in _rows(path):
        try:
            text = serialised(turns_of(row.get("turns") if isinstance(row, dict) else None))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
        yield _whole(text, path, number)


def _jsonl(path: Path, name: str) -> Iterator[str]:
    fields = Fields(name)
    for number, row in _rows(path):
        value = fields.text_of(row) if isinstance(row, dict) else None
        if value is None:
            if isinstance(row, dict) and name in row:
                held = "null" if row[name] is None else f"no text but {type(row[name]).__name__}"
                raise ValueError(f"{path}:{number}: the field {name!r} is {held}: write text, or leave the row out")
            has = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            raise ValueError(f"{path}:{number}: no text field {name!r} (it has: {has}); set text of this source")
        if text := _whole(value, path, number).strip():
            yield text


def _text(path: Path) -> Iterator[str]:
    gathered: list[str] = []
    for line in lines(path, carriages=True):
        if line.strip():
            gathered.append(line.rstrip("\r"))
        elif gathered:
            yield "\n".join(gathered).strip()
            gathered = []
    if gathered:
        yield "\n".join(gathered).strip()


def _texts(items: Iterator[Item], path: str) -> Iterator[str]:
    for item in items:
        if not isinstance(item, Record):
            assert isinstance(item, Bad)
            raise ValueError(f"{path}:{item.row}: {item.reason} ({item.head.decode('utf-8', 'backslashreplace')})")
        if text := item.text.strip():
            yield text
