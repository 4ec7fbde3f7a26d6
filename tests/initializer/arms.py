"""Every initializer with what it needs: a context of made-up tokens and text, for `external` a file of rows, and for
`clp` a helper model."""

from __future__ import annotations

import atexit
import dataclasses
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as Bytes
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from bailong.initializer.base import Initializer
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.pieces import spelled

V = 300
#: UTF-8 of the old tokens, no two alike: bytes first, then words of one to five letters, Han and Latin ones
OLD = [bytes([i]) for i in range(V // 2)] + [
    chr((0x6F22 if i % 3 else 0x100) + i).encode() * (1 + i % 5) for i in range(V - V // 2)
]


def known(pieces: list[list[int]], vocabulary: int = V) -> Context:
    """Tokens, merges from the left, and text in which the tokens occur whose pieces add up to an even number.

    A document has a new token, by its number, and some old ones (`=9`), a dozen times; what any two runs see of a token
    depends on its pieces alone, and so does the order of documents.
    """

    def before(texts: list[str]) -> list[list[int]]:
        return [
            [i for word in text.split() for i in ([int(word[1:])] if word[0] == "=" else pieces[int(word)])]
            for text in texts
        ]

    def after(texts: list[str]) -> list[list[int]]:
        return [
            [int(word[1:]) if word[0] == "=" else vocabulary + int(word) for word in text.split()] for text in texts
        ]

    def documents() -> Iterator[str]:
        for ids, k in sorted((ids, k) for k, ids in enumerate(pieces)):
            if sum(ids) % 2 == 0:
                yield " ".join([str(k), *(f"={(i + step) % vocabulary}" for i in ids for step in range(3))] * 12)

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
        documents,
        before,
        after,
        halves=halves,
        respelled=respelled,
    )


def armed(rule: Initializer, pieces: list[list[int]], width: int) -> Any:
    """The rule, with a file of rows or a helper model where it reads one."""
    if hasattr(rule, "path"):
        return dataclasses.replace(rule, path=str(_file(tuple(map(tuple, pieces)), width)))  # type: ignore[call-arg]
    if hasattr(rule, "helper"):
        return dataclasses.replace(rule, helper=str(_helper(tuple(map(tuple, pieces)))))  # type: ignore[call-arg]
    return rule


@cache
def _file(pieces: tuple[tuple[int, ...], ...], width: int) -> Path:
    """Rows as another tool might make them: a mean of pieces, of rows of its own; the same for both matrices."""
    own = 0.02 * torch.randn(V, width, generator=torch.Generator().manual_seed(11))
    rows = ZipTie().rows(own, [list(ids) for ids in pieces], torch.Generator())
    path = _place() / "rows.safetensors"
    save_file({"embedding": rows, "head": rows.clone()}, path)
    return path


@cache
def _helper(pieces: tuple[tuple[int, ...], ...]) -> Path:
    """A model that has four of five tokens, old and new, where their bytes put them."""
    tokens = {*OLD, *(b"".join(OLD[i] for i in ids) for ids in pieces)}
    return helper(_place(), [token for token in sorted(tokens) if crc32(token) % 5])


def helper(folder: Path, tokens: list[bytes], vectors: torch.Tensor | None = None) -> Path:
    """A folder with a byte-level tokenizer of these tokens, and an embedding beside a matrix that nobody should read.

    Args:
        vectors: [len(tokens), s]; None for some that the bytes of a token decide.
    """
    tokenizer = Tokenizer(BPE({spelled(token): i for i, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), Bytes()
    tokenizer.save(str(folder / "tokenizer.json"))
    if vectors is None:
        drawn = [torch.randn(12, generator=torch.Generator().manual_seed(crc32(token))) for token in tokens]
        vectors = 1 + torch.stack(drawn)
    head = torch.full_like(vectors, float("nan"))
    save_file({"lm_head.weight": head, "model.embed_tokens.weight": vectors}, folder / "model.safetensors")
    return folder


def _place() -> Path:
    """A new folder."""
    return Path(tempfile.mkdtemp(dir=_folder().name))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="rows-")
    atexit.register(folder.cleanup)
    return folder
