"""Rows by how running text was cut before there were new tokens."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, Parts, weighted

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context

#: of each new id that was seen, how often each row of old ids stood in its place
Seen = dict[int, Counter[tuple[int, ...]]]


@dataclass
class Align(Initializer):
    """v_t = sum_q f(q|t) mean_i v_qi, over the rows of old tokens q that stood where t now stands in running text.

    The Align of Yamaguchi et al. (arXiv 2406.11477). f(q|t) is the share of q among *all* occurrences of t; zip-tie's
    segmentation is that of the token alone, which may be one that text never shows. Both tokenizers read the first
    `text_bytes` of the text, and their tokens are laid side by side byte by byte. Where t begins or ends within an old
    token, q is all old tokens that cover it: what the model saw there, although it spells more than t. A token that
    does not occur has zip-tie's row, and so have all tokens if there is no text; the run says how many those are.
    """

    name: str = "align"
    text_bytes: int = 10_000_000

    def __post_init__(self) -> None:
        self.positive("text_bytes")

    @property
    def reads_text(self) -> bool:
        return True

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        return weighted(old, self.parts(pieces, context)).to(old.dtype)

    def parts(self, pieces: list[list[int]], context: Context) -> list[Parts]:
        seen, first = segmentations(context, self.text_bytes), len(context.old)
        return [_shares(seen.get(first + k) or Counter([tuple(ids)])) for k, ids in enumerate(pieces)]


def _shares(found: Counter[tuple[int, ...]]) -> Parts:
    total, weights = found.total(), dict[int, float]()
    for ids, count in found.items():
        for i in ids:
            weights[i] = weights.get(i, 0.0) + count / total / len(ids)
    return [*weights.items()]


def segmentations(context: Context, size: int) -> Seen:
    """Count, in so many bytes of text, what each new token is to the old tokenizer; kept, for the head asks too.

    A document that the two read as different bytes (added tokens can make a tokenizer invent a space) is left aside.
    """
    key = ("segmentations", size)
    if key not in context.memory:
        assert context.encode_old is not None and context.encode is not None
        texts, seen, aside = context.text(size), Seen(), 0
        for before, after in zip(context.encode_old(texts), context.encode(texts), strict=True):
            aside += not _count(before, after, context, seen)
        lacking = len(context.new) - len(seen)
        told = f"{lacking:,} of {len(context.new):,} new tokens do not occur in the text: their rows are zip-tie's"
        context.notes.append(told + (f" ({aside:,} of {len(texts):,} documents were left aside)" if aside else ""))
        context.memory[key] = seen
    return context.memory[key]


def _count(before: list[int], after: list[int], context: Context, seen: Seen) -> bool:
    """Count one document; False where its tokens do not spell the same bytes."""
    first = len(context.old)
    old = [context.old[i] for i in before]
    now = [context.old[i] if i < first else context.new[i - first] for i in after]
    if b"".join(old) != b"".join(now):
        return False
    ends = [*accumulate(map(len, old))]
    starts = [0, *ends[:-1]]
    end = 0
    for i, surface in zip(after, now, strict=True):
        begin, end = end, end + len(surface)
        if i >= first and surface:
            # the first old token that ends behind its beginning, and those that begin before its end
            covering = before[bisect_right(ends, begin) : bisect_left(starts, end)]
            seen.setdefault(i, Counter())[tuple(covering)] += 1
    return True
