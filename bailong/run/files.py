"""Files that appear whole or not at all, and the lock by which one process holds a file."""

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def replaced(path: Path, alone: bool = False) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place if all goes well and is gone if not.

    Args:
        alone: nobody else writes to `path` at the time. The file beside it always has the same name then, so that what
            a killed process left is written over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = "" if alone else f".{os.getpid()}.{threading.get_ident()}"
    partial = path.with_name(f".{path.name}{writer}.tmp")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write(path: Path, content: str | bytes, errors: str = "strict") -> None:
    """Write a whole file or none of it. `errors`: what becomes of half a surrogate pair, as in `str.encode`."""
    with replaced(path) as partial:
        partial.write_bytes(content.encode("utf-8", errors) if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object that somebody else wrote.

    Raises:
        ValueError: the file holds none, with its name.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no UTF-8, or no JSON
        raise ValueError(f"{path} cannot be read: it is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} cannot be read: it holds no JSON object")
    return found


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Of each tensor in a safetensors file its `dtype`, `shape` and `bytes`: where it begins and ends in the file.

    Raises:
        ValueError: it is none, with its name.
    """
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        try:
            told = json.loads(stream.read(min(size, path.stat().st_size)))
            tensors = {name: tensor for name, tensor in told.items() if name != "__metadata__"}
            for tensor in tensors.values():
                tensor["bytes"] = [8 + size + place for place in tensor.pop("data_offsets")]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{path} cannot be read: it is no safetensors file") from None
    return tensors


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hold(file: IO[Any] | int, wait: bool = False) -> bool:
    """Take the lock of an open file; False if another has it. It ends with `release`, the file, or the process.

    Not `filelock`: it empties the file that it locks, which here holds rows, or says who holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def release(file: IO[Any] | int) -> None:
    fcntl.flock(file, fcntl.LOCK_UN)
