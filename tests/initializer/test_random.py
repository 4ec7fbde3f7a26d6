from __future__ import annotations

import math

import pytest
import torch

from bailong.initializer.random import Random

COUNT, D = 4_000, 256


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_rows_are_normal_around_zero(std: float) -> None:
    old = 5 + torch.randn(10, D, generator=torch.Generator().manual_seed(9))  # which must not matter
    new = Random(std=std).rows(old, [[0]] * COUNT, torch.Generator().manual_seed(0)).double()
    n = new.numel()
    # Five standard errors each, for n = 1,024,000 independent normals.
    assert abs(new.mean().item()) < 5 * std / math.sqrt(n)
    assert abs(new.std().item() - std) < 5 * std / math.sqrt(2 * n)
    z = new / std
    assert abs((z**3).mean().item()) < 5 * math.sqrt(15 / n), "skewness of a normal is 0"
    assert abs((z**4).mean().item() - 3) < 5 * math.sqrt(96 / n), "kurtosis of a normal is 3"
    # The worst of 256 columns, and no link between neighbouring rows or columns.
    assert new.mean(0).abs().max() < 5 * std / math.sqrt(COUNT)
    assert abs((z[1:] * z[:-1]).mean().item()) < 5 / math.sqrt(n)
    assert abs((z[:, 1:] * z[:, :-1]).mean().item()) < 5 / math.sqrt(n)


def test_default_is_the_papers_baseline() -> None:
    assert Random().std == 0.02


def test_old_rows_are_not_read() -> None:
    """The rule is blind: NaN in the old rows does not reach the new ones."""
    old = torch.full((10, D), float("nan"))
    assert Random().rows(old, [[0]] * 5, torch.Generator().manual_seed(0)).isfinite().all()
