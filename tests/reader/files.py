"""Small damaged and whole files for the tests of readers."""

import gzip
import json
from pathlib import Path

import zstandard


def row(text, **more):
    """A JSON line."""
    return json.dumps({"text": text, **more}, ensure_ascii=False).encode() + b"\n"


def rows(count, start=0):
    """JSON lines of documents that differ, and that no codec makes small."""
    return [row(f"第{i}份文件：{i * i * 7919 % 1000003} {i * 31337 % 99991}") for i in range(start, start + count)]


def pack(data: bytes, suffix: str, members: int = 1) -> bytes:
    """Data as so many gzip members or zstd frames, one after another."""
    cuts = [len(data) * i // members for i in range(members + 1)]
    pieces = [data[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    if suffix == ".gz":
        return b"".join(gzip.compress(piece, mtime=0) for piece in pieces)
    return b"".join(zstandard.ZstdCompressor(level=1).compress(piece) for piece in pieces)


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
