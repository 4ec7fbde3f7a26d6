"""How far long work is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bailong.run.progress import Reporter


@contextmanager
def progress(reporter: Reporter, what: str) -> Iterator[Callable[[int, int], None]]:
    """What hears how much is done of how much; nothing is shown for work that is done already."""
    began = time.monotonic()
    first: int | None = None

    def advance(done: int, total: int) -> None:
        nonlocal first
        if first is None:
            first = done - 1
            reporter.begin(total, first, what, spoken=True)
        reporter.advance(done)

    try:
        yield advance
    finally:
        reporter.end()
    if first is not None and (took := time.monotonic() - began) >= 1:
        reporter.say(f"{what}: done in {took:.0f} s")
