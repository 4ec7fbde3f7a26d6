"""What every rule must keep to, as functions: the contract and single rules are held to them, and planted mistakes.

Each of them was broken by code that others published (tests/initializer/test_defects.py).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bailong.initializer.base import Initializer
from bailong.initializer.context import Context


def rows(
    rule: Any, old: torch.Tensor, pieces: list[list[int]], context: Context, side: str = "embed", seed: int = 0
) -> torch.Tensor:
    return rule.new_rows(side, old, pieces, torch.Generator().manual_seed(seed), context)


def one_matrix_is_read(rule: Initializer, old: torch.Tensor, pieces: list[list[int]], context: Context) -> None:
    """What was made of one matrix, full of NaN even, is not seen in the rows of the other."""
    for side, other in (("head", "embed"), ("embed", "head")):
        alone = rows(rule, old, pieces, dataclasses.replace(context, memory={}), side)
        here = dataclasses.replace(context, memory={})
        rows(rule, torch.full_like(old, float("nan")), pieces, here, other)
        after = rows(rule, old, pieces, here, side)
        assert torch.equal(alone, after), f"rows of the {side} hold what was read of the other matrix"


def both_sides_are_alike(rule: Initializer, old: torch.Tensor, pieces: list[list[int]], context: Context) -> None:
    """One matrix as embedding and as head gives the same rows, unless the settings say that they differ."""
    same = torch.equal(*(rows(rule, old, pieces, context, side) for side in ("embed", "head")))
    assert same != rule.sided, "embedding and head are made in different ways, and nobody said so"


def rows_differ(new: torch.Tensor) -> None:
    """No two rows are the same: no generator reseeded in a loop, no collapse into one row."""
    assert len({row.float().numpy().tobytes() for row in new}) == len(new), "rows of different tokens are the same"


def one_piece_is_copied(rule: Initializer, old: torch.Tensor, context: Context) -> None:
    """A token that was one old token has its row, to the last bit. `context` is of a new token for each old one."""
    assert torch.equal(rows(rule, old, [[i] for i in range(len(old))], context), old), "no copy of the one piece"


def moments_are(new: torch.Tensor, old: torch.Tensor, share: float) -> None:
    """Many rows have the mean of the old ones, and `share` of their covariance, within what chance allows.

    An entry of a sample covariance errs by sqrt((s_ij² + s_ii s_jj) / n), at most sqrt(2 s_ii s_jj / n).
    """
    new, old, count = new.double(), old.double(), len(new)
    sigma = share * torch.cov(old.T)
    scale = sigma.diagonal().sqrt()
    assert ((new.mean(0) - old.mean(0)).abs() < 5 * scale / math.sqrt(count)).all(), "another mean"
    error = (torch.cov(new.T) - sigma).abs() / scale.outer(scale)
    assert error.max() < 5 * math.sqrt(2 / count), "another covariance"


def pieces_spell(pieces: Sequence[Sequence[int]], context: Context) -> None:
    """Pieces are old tokens, and together they are the bytes of their token: no '▁' before it, not the token itself."""
    for token, ids in zip(context.new, pieces, strict=True):
        assert all(0 <= i < len(context.old) for i in ids), f"{token!r} is made of tokens that are not old"
        assert b"".join(context.old[i] for i in ids) == token, f"the pieces of {token!r} do not spell it"


def bytes_of_a_character_weigh_one(weigh: Callable[[list[int], Context], list[float]]) -> None:
    """Weights by characters of a character in three bytes and of a word of four: 1, 1, 1 and 4 parts of 7."""
    context = Context([b"\xe9", b"\x81", b"\x8e", b"word"], [])
    found = weigh([0, 1, 2, 3], context)
    assert all(abs(a - b) < 1e-6 for a, b in zip(found, [1 / 7, 1 / 7, 1 / 7, 4 / 7], strict=True)), found


def every_occurrence_counts(rule: Initializer) -> None:
    """A token that stands three times as one segmentation, twice of them in one text, and once as another, last."""
    old = torch.eye(4)
    a, b, ab, c = range(4)
    before, after = {"0": [ab, c, ab, c, a, b, c], "1": [ab, c]}, {"0": [4, 4, 4], "1": [4]}
    context = Context(
        [b"a", b"b", b"ab", b"c"],
        [b"abc"],
        lambda: iter(before),
        lambda texts: [before[text] for text in texts],
        lambda texts: [after[text] for text in texts],
    )
    [row] = rows(rule, old, [[a, b, c]], context)
    expected = 3 / 4 * (old[ab] + old[c]) / 2 + 1 / 4 * (old[a] + old[b] + old[c]) / 3
    assert torch.allclose(row, expected), "occurrences are not counted each"
