"""Every initializer with what it needs: a context of made-up tokens and text, and for `external` a file of rows."""

from __future__ import annotations

import atexit
import dataclasses
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from bailong.initializer.base import Initializer
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie

V = 300
#: UTF-8 of the old tokens: bytes first, then words of one to five letters, Han among them
OLD = [bytes([i]) for i in range(V // 2)] + [("漢" if i % 3 else "b").encode() * (1 + i % 5) for i in range(V - V // 2)]


def known(pieces: list[list[int]], vocabulary: int = V) -> Context:
    """Tokens, merges from the left, and text in which the tokens occur whose pieces add up to an even number.

    A document is the number of a new token, twice; what any two runs see of a token depends on its pieces alone.
    """

    def before(texts: list[str]) -> list[list[int]]:
        return [[i for k in text.split() for i in pieces[int(k)]] for text in texts]

    def after(texts: list[str]) -> list[list[int]]:
        return [[vocabulary + int(k) for k in text.split()] for text in texts]

    def halves() -> dict[int, tuple[int, int]]:
        found, free = {}, vocabulary + len(pieces)
        for k, ids in enumerate(pieces):
            left = ids[0]
            for step, right in enumerate(ids[1:], 2):
                made = vocabulary + k if step == len(ids) else (free := free + 1)
                found[made] = (left, right)
                left = made
        return found

    def respelled(share: float) -> dict[int, list[int]]:
        kept = vocabulary - max(1, int(share * vocabulary))
        return {i: [(7 * i + 3 * j) % kept for j in range(1 + i % 4)] for i in range(kept, vocabulary)}

    return Context(
        OLD[:vocabulary],
        [b"".join(OLD[i] for i in ids) for ids in pieces],
        lambda: iter([f"{k} {k}" for k, ids in enumerate(pieces) if sum(ids) % 2 == 0] or ["0"]),
        before,
        after,
        halves=halves,
        respelled=respelled,
    )


def armed(rule: Initializer, pieces: list[list[int]], width: int) -> Any:
    """The rule, with a file of rows where it reads one."""
    if not hasattr(rule, "path"):
        return rule
    return dataclasses.replace(rule, path=str(_file(tuple(map(tuple, pieces)), width)))  # type: ignore[call-arg]


@cache
def _file(pieces: tuple[tuple[int, ...], ...], width: int) -> Path:
    """Rows as another tool might make them: a mean of pieces, of rows of its own; the same for both matrices."""
    own = 0.02 * torch.randn(V, width, generator=torch.Generator().manual_seed(11))
    rows = ZipTie().rows(own, [list(ids) for ids in pieces], torch.Generator())
    path = Path(_folder().name) / f"{len(list(Path(_folder().name).iterdir()))}.safetensors"
    save_file({"embedding": rows, "head": rows.clone()}, path)
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="rows-")
    atexit.register(folder.cleanup)
    return folder
