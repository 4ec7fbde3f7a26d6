"""Rows of old tokens that stand in text as a new one does, by static vectors learned from it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bailong.initializer import similar
from bailong.initializer.base import Initializer, Parts

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context

#: vectors are learned from runs of so many tokens: gensim leaves the rest of a longer one unread
RUN = 1_000
#: buckets of n-grams for each word: fastText's 2 million are for open vocabularies, and take 800 MB
BUCKETS = 16
#: of the vectors alone: both matrices have the same weights, whatever generators they are given
SEED = 0


@dataclass
class Focus(Initializer):
    """v_t = sum_o w_o v_o over old tokens o, w = sparsemax_o cos(x_t, x_o) (Dobler & de Melo, arXiv 2305.14481).

    x are fastText vectors (CBOW, with gensim: extra `focus`) of the first `text_bytes` of text as the extended
    tokenizer cuts it, tokens as words: of `dim` numbers, in `epochs` readings, of tokens that stand there `min_count`
    times. Old tokens among these are what new rows are made of; the defaults are those of the paper's code. A new token
    without a vector has zip-tie's row, where FOCUS draws one; the run says how many those are. The same text gives the
    same vectors, for one thread learns them from one seed.
    """

    name: str = "focus"
    text_bytes: int = 10_000_000
    dim: int = 100
    epochs: int = 3
    min_count: int = 10

    def __post_init__(self) -> None:
        self.positive("text_bytes", "dim", "epochs", "min_count")

    @property
    def reads_text(self) -> bool:
        return True

    def require_installed(self) -> None:
        _fasttext()

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        return self._bags(pieces, context).rows(old).to(old.dtype)

    def parts(self, pieces: list[list[int]], context: Context) -> list[Parts]:
        return self._bags(pieces, context).parts()

    def _bags(self, pieces: list[list[int]], context: Context) -> similar.Bags:
        key = ("focus", self.text_bytes, self.dim, self.epochs, self.min_count)
        if key not in context.memory:
            space = self._space(context)
            context.notes.append(similar.told(space, pieces, f"stand {self.min_count} times in the text"))
            context.memory[key] = similar.nearest(space, pieces)
        return context.memory[key]

    def _space(self, context: Context) -> similar.Space:
        rows, first = context.encode_all(self.text_bytes), len(context.old)
        counts = Counter(i for row in rows for i in row)
        words = {i: _word(context.old[i] if i < first else context.new[i - first]) for i in counts}
        often = sorted(i for i, count in counts.items() if count >= self.min_count and words[i])
        runs = [[words[i] for i in row[at : at + RUN]] for row in rows for at in range(0, len(row), RUN)]
        vectors = self._vectors(runs, [words[i] for i in often])
        old = bisect_left(often, first)
        return similar.Space.of(often[:old], vectors[:old], [i - first for i in often[old:]], vectors[old:])

    def _vectors(self, runs: list[list[str]], words: list[str]) -> torch.Tensor:
        """Of words that stand often enough, [len(words), dim]."""
        import torch

        if not words:
            return torch.zeros(0, self.dim)
        # What is not named is as in fastText, whose other defaults gensim does not share.
        vectors = _fasttext()(
            runs,
            vector_size=self.dim,
            epochs=self.epochs,
            min_count=self.min_count,
            negative=10,
            alpha=0.05,
            sample=1e-4,
            bucket=BUCKETS * len(words),
            seed=SEED,
            workers=1,
        ).wv
        return torch.from_numpy(vectors[words])


def _word(token: bytes) -> str:
    """A token as text, each byte of a part of a character as one of Unicode's private use: no two tokens alike."""
    escaped = {0xDC00 + byte: 0xF700 + byte for byte in range(0x80, 0x100)}
    return token.decode("utf-8", "surrogateescape").translate(escaped)


def _fasttext() -> Any:
    """gensim's FastText.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        from gensim.models import FastText
    except ModuleNotFoundError:
        raise ModuleNotFoundError("initializer=focus needs the package gensim: pip install 'bailong[focus]'") from None
    return FastText
