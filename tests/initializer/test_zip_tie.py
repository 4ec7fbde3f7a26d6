from __future__ import annotations

import pytest
import torch

from bailong.initializer.zip_tie import ZipTie

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def old_rows(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (0.02 * torch.randn(300, 48, generator=torch.Generator().manual_seed(0))).to(dtype)


def rows(old: torch.Tensor, pieces: list[list[int]]) -> torch.Tensor:
    return ZipTie().rows(old, pieces, torch.Generator().manual_seed(0))


def test_equation_3_by_hand() -> None:
    old = torch.tensor([[1.0, -2.0], [3.0, 4.0], [0.5, 0.0], [8.0, 1.0]])
    expected = torch.tensor([[2.0, 1.0], [1.5, 2.0 / 3], [8.0, 1.0], [4.5, -0.5]])
    torch.testing.assert_close(rows(old, [[0, 1], [1, 0, 2], [3], [0, 3]]), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_row_is_the_mean_of_its_pieces(dtype: torch.dtype) -> None:
    old, generator = old_rows(dtype), torch.Generator().manual_seed(1)
    pieces = [torch.randint(0, 300, (1 + i % 12,), generator=generator).tolist() for i in range(500)]
    new = rows(old, pieces)
    by_hand = torch.stack([sum((old[i].double() for i in ids), torch.zeros(48).double()) / len(ids) for ids in pieces])
    # A unit in the last place of the dtype, which for values near zero is float16's least subnormal, 6e-8.
    torch.testing.assert_close(new.double(), by_hand, rtol=torch.finfo(dtype).eps, atol=6e-8)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_piece_is_an_exact_copy(dtype: torch.dtype) -> None:
    old = old_rows(dtype)
    assert torch.equal(rows(old, [[i] for i in range(300)]), old)


def test_repeated_pieces_count_each_time() -> None:
    old = old_rows()
    torch.testing.assert_close(rows(old, [[5, 5, 9]])[0], (2 * old[5] + old[9]) / 3)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_order_of_pieces_makes_no_difference_in_any_bit(dtype: torch.dtype) -> None:
    """The blindness of uniform weights is real, not hidden behind rounding: `grow` counts it."""
    forward = [[i, (7 * i) % 300, (11 * i + 3) % 300, (13 * i + 5) % 300] for i in range(300)]
    backward = [ids[::-1] for ids in forward]
    assert torch.equal(rows(old_rows(dtype), forward), rows(old_rows(dtype), backward))


def test_only_its_own_pieces_are_read() -> None:
    old = old_rows()
    old[100:] = float("nan")
    assert rows(old, [[1, 2], [99]]).isfinite().all()


def test_nothing_is_drawn() -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    ZipTie().rows(old_rows(), [[1, 2]], generator)
    assert torch.equal(generator.get_state(), state)
