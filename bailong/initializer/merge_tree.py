"""Rows put together in pairs, as merges put tokens together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, Parts, weighted

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context


@dataclass
class MergeTree(Initializer):
    """v_lr = (v_l + v_r) / 2, down the tree of merges by which the extended tokenizer makes the token.

    Leaves are old tokens, so that a piece at depth k weighs 2^-k: `abc`, merged as `ab` and `c`, is half `c`, where
    zip-tie gives each piece the same. A new token that no merge makes (a character that was spelled in bytes, an added
    token), alone or within another, is the mean of its pieces. Where the extended tokenizer puts new merges before old
    ones, the leaves may be other old tokens than the pieces.
    """

    name: str = "merge_tree"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        """The mean of the pieces: nothing is known of merges."""
        return weighted(old, [[(i, 1 / len(ids)) for i in ids] for ids in pieces]).to(old.dtype)

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        return weighted(old, self.parts(pieces, context)).to(old.dtype)

    def parts(self, pieces: list[list[int]], context: Context) -> list[Parts]:
        halves, first = context.halves(), len(context.old)

        def tree(i: int) -> Parts:
            if i < first:
                return [(i, 1.0)]
            if i in halves:
                return [(leaf, weight / 2) for half in halves[i] for leaf, weight in tree(half)]
            ids = pieces[i - first]
            return [(piece, 1 / len(ids)) for piece in ids]

        return [tree(first + k) for k in range(len(pieces))]
