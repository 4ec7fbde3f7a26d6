"""alpha(v_t, v_ti) of equation 3: how much each old token counts in the row of a new one.

"We leave the exploration of advanced weight functions to future study" (paper, section 3.1). Each function here gives
the pieces of a token weights that sum to 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bailong.initializer.context import Context
    from bailong.initializer.zip_tie import ZipTie

Weights = Callable[["ZipTie", list[int], "Context"], list[float]]


def _uniform(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    return [1.0] * len(ids)


def _first(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    return [1.0] + [0.0] * (len(ids) - 1)


def _last(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    return [0.0] * (len(ids) - 1) + [1.0]


def _exponential(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    """base^i from the lighter end to the heavier: AdaptiVocab has the last of the embedding heavier, and the first of
    the head (arXiv 2503.19693)."""
    highest = len(ids) - 1
    # relative to the heaviest, so that no power overflows
    powers = [rule.base ** (i - highest if rule.base > 1 else i) for i in range(len(ids))]
    return powers if rule.heavier == "last" else powers[::-1]


def _bytes(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    return [float(max(1, len(context.old[i]))) for i in ids]


def _characters(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    """Characters that begin in a piece, at least 1: a piece that holds a part of one would count nothing."""
    return [float(max(1, sum(byte & 0xC0 != 0x80 for byte in context.old[i]))) for i in ids]


def _inverse_frequency(rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    """a / (a + p): the smooth inverse frequency of sentence embeddings (Arora et al., ICLR 2017)."""
    share = shares(context, rule.text_bytes)
    return [rule.sif / (rule.sif + share.get(i, 0.0)) for i in ids]


ALPHAS: dict[str, Weights] = {
    "uniform": _uniform,
    "exp": _exponential,
    "first": _first,
    "last": _last,
    "byte_len": _bytes,
    "char_len": _characters,
    "sif": _inverse_frequency,
}


def shares(context: Context, size: int) -> dict[int, float]:
    """How often each old token stands in the text, of all tokens; kept, for every new token asks."""
    if size not in context.shares:
        assert context.encode_old is not None
        counts = Counter(i for ids in context.encode_old(context.text(size)) for i in ids)
        total = counts.total()
        context.shares[size] = {i: count / total for i, count in counts.items()}
    return context.shares[size]


def of_tokens(rule: ZipTie, pieces: list[list[int]], context: Context) -> list[list[float]]:
    """The weights of every token; with `by_character` those of pieces in a character times those of characters."""
    weigh = ALPHAS[rule.alpha]
    if not rule.by_character:
        return [_normalised(weigh(rule, ids, context)) for ids in pieces]
    return [_of_characters(weigh, rule, ids, context) for ids in pieces]


def _of_characters(weigh: Weights, rule: ZipTie, ids: list[int], context: Context) -> list[float]:
    """Within each run of pieces that spells whole characters the weights of its pieces, and between runs those of their
    first pieces: the three bytes of a character count as much together as a character that is one piece."""
    runs: list[list[int]] = []
    missing = 0
    for i in ids:
        if not runs or missing == 0:
            runs.append([])
        runs[-1].append(i)
        missing = _missing(b"".join(context.old[each] for each in runs[-1]))
    between = _normalised(weigh(rule, [run[0] for run in runs], context))
    return [
        outer * inner
        for outer, run in zip(between, runs, strict=True)
        for inner in _normalised(weigh(rule, run, context))
    ]


def _missing(data: bytes) -> int:
    """How many bytes the last character of `data` still lacks."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            size = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return max(0, size - back)
    return 0


def _normalised(weights: list[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
