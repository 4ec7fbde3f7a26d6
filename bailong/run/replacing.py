"""A folder that appears whole or not at all."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bailong.run.folder import locked


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target` that takes its place at the end, or vanishes with all it holds.

    Nothing is built in place: a stale file beside new ones would be taken for one of them.

    Raises:
        ValueError: another process is at it.
    """
    target = target.absolute()  # a later change of directory cannot lead the clean-up astray
    partial, old = (target.with_name(f".{target.name}.{word}") for word in ("partial", "old"))
    with locked(partial):
        try:
            for left in partial.iterdir():  # by a process that was killed
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name != "run.lock":
                    left.unlink()
            yield partial
            (partial / "run.lock").unlink()
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            partial.rename(target)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            if old.exists() and not target.exists():
                old.rename(target)
            shutil.rmtree(partial, ignore_errors=True)
