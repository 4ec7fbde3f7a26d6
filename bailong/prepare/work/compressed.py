"""Compressed lines, as they are kept for good."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: zstd level of what is kept for good
LEVEL = 3


@contextmanager
def writer(path: Path) -> Iterator[io.BufferedWriter]:
    """A zstd stream: same lines, same bytes."""
    import zstandard

    with path.open("wb") as raw, zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw) as stream:
        buffered = io.BufferedWriter(stream, 1 << 20)  # type: ignore[arg-type]
        yield buffered
        buffered.flush()
        buffered.detach()
