from __future__ import annotations

import math

import torch

from bailong.initializer.random_matched import RandomMatched


def test_each_dimension_has_the_moments_of_the_old_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    d, count = 64, 20_000
    old = torch.linspace(-3, 3, d) + torch.logspace(-3, 1, d) * torch.randn(500, d, generator=generator)
    new = RandomMatched().rows(old, [[0]] * count, generator).double()
    mean, sd = old.double().mean(0), old.double().std(0)
    assert ((new.mean(0) - mean).abs() < 5 * sd / math.sqrt(count)).all()
    assert ((new.std(0) / sd - 1).abs() < 5 / math.sqrt(2 * count)).all()


def test_dimensions_are_independent_even_where_the_old_ones_are_not() -> None:
    generator = torch.Generator().manual_seed(0)
    old = torch.randn(500, 1, generator=generator).repeat(1, 2)
    new = RandomMatched().rows(old, [[0]] * 20_000, generator)
    assert torch.corrcoef(old.T)[0, 1] > 0.999
    assert abs(torch.corrcoef(new.T)[0, 1]) < 5 / math.sqrt(20_000)
