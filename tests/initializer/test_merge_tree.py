"""Weights of 2^-depth, by hand and on a real folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bailong.initializer.context import Context
from bailong.initializer.merge_tree import MergeTree
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer.folder import TokenizerFolder
from bailong.train.context import context_of
from tests import tiny

OLD = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
#: a, b, c and a space are old; ab is 4, abc 5, 'abc abc' 7 with 6 'abc ' within, 8 a character of three bytes
PIECES = [[0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 0, 1, 2], [1, 2, 2], [3, 1, 2, 2]]
HALVES = {4: (0, 1), 5: (4, 2), 6: (5, 3), 7: (6, 5), 9: (3, 8)}


def made(rule: MergeTree | ZipTie, pieces: list[list[int]], halves: dict[int, tuple[int, int]] | None) -> torch.Tensor:
    context = Context([b"a", b"b", b"c", b" "], [b"x"] * len(pieces))
    if halves is not None:
        context.halves = lambda: halves
    return rule.new_rows("embed", OLD, pieces, torch.Generator(), context)


def test_by_hand() -> None:
    a, b, c, space = OLD
    expected = [
        a / 2 + b / 2,
        a / 4 + b / 4 + c / 2,
        a / 8 + b / 8 + c / 4 + space / 2,
        (a / 8 + b / 8 + c / 4 + space / 2) / 2 + (a / 4 + b / 4 + c / 2) / 2,
        (b + c + c) / 3,  # no merge makes it: its pieces
        space / 2 + (b + c + c) / 6,  # and the same within another
    ]
    torch.testing.assert_close(made(MergeTree(), PIECES, HALVES), torch.stack(expected))


def test_without_merges_it_is_zip_tie() -> None:
    torch.testing.assert_close(made(MergeTree(), PIECES, None), made(ZipTie(), PIECES, None))
    torch.testing.assert_close(
        MergeTree().rows(OLD, PIECES, torch.Generator()), ZipTie().rows(OLD, PIECES, torch.Generator())
    )


def test_leaves_are_those_of_the_tree_even_where_the_old_tokenizer_cuts_otherwise() -> None:
    """Two old tokens, bc (1) and c (2), of which the old tokenizer would take the longer."""
    [row] = made(MergeTree(), [[0, 1]], {4: (3, 2)})
    torch.testing.assert_close(row, (OLD[3] + OLD[2]) / 2)


def test_norm_of_parts_has_the_weights_of_the_tree() -> None:
    lengths = OLD.norm(dim=1)
    rows = made(MergeTree(norm="parts"), PIECES, HALVES)
    assert rows[1].norm().item() == pytest.approx((lengths[0] / 4 + lengths[1] / 4 + lengths[2] / 2).item())
    assert rows[5].norm().item() == pytest.approx((lengths[3] / 2 + lengths[1] / 6 + lengths[2] / 3).item())


def test_leaves_of_a_real_folder_spell_their_token(bench: Path) -> None:
    settings = tiny.settings(bench, bench)
    folder = TokenizerFolder.open(bench / "tokenizers" / "extended")
    context, pieces = context_of(settings, folder, folder.tokenizer()), folder.pieces()
    parts = MergeTree().parts(pieces, context)
    deep = 0
    for token, bag in zip(context.new, parts, strict=True):
        assert b"".join(context.old[i] for i, _ in bag) == token
        assert sum(weight for _, weight in bag) == pytest.approx(1)
        deep += len({weight for _, weight in bag}) > 1
    assert len(parts) == len(pieces) > 1_000 and deep > 20
