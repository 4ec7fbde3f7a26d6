from __future__ import annotations

import pytest
import torch

from bailong.initializer.multivariate import Multivariate, deviations
from tests.initializer import checks


def correlated(vocabulary: int, d: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(d, d, generator=generator) * torch.logspace(-2, 0, d)
    return torch.randn(vocabulary, d, generator=generator) @ mixing + torch.linspace(-3, 3, d)


@pytest.mark.parametrize("vocabulary", [500, 17, 8], ids=["full rank", "V = d + 1", "V < d"])
def test_moments_are_those_of_the_old_rows(vocabulary: int) -> None:
    old = correlated(vocabulary, 16)
    new = Multivariate().rows(old, [[0]] * 100_000, torch.Generator().manual_seed(1))
    checks.moments_are(new, old, share=1.0)


def test_the_factor_is_exactly_the_sample_covariance() -> None:
    """Not statistically: with R drawn out by unit vectors, RᵀR is Sigma, and R is its Cholesky factor."""
    old = correlated(500, 16).double()
    centred = old - old.mean(0)
    triangle = torch.linalg.qr(centred, mode="r").R
    sigma = torch.cov(old.T)
    torch.testing.assert_close(triangle.T @ triangle / (len(old) - 1), sigma)
    generator, twin = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    drawn = torch.randn(50, 16, generator=twin)
    expected = drawn.double() @ torch.linalg.cholesky(sigma).T
    torch.testing.assert_close(deviations(50, old.float(), generator).double(), expected, rtol=1e-4, atol=1e-5)


def test_rows_stay_in_the_span_of_the_old_ones() -> None:
    """Eight rows span seven directions; nothing may appear in the other nine, as a jitter would make it."""
    old = correlated(8, 16)
    new = deviations(1_000, old, torch.Generator().manual_seed(0)).double()
    centred = (old - old.mean(0)).double()
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:7]
    outside = new - new @ basis.T @ basis
    assert outside.norm() < 1e-5 * new.norm()


def test_a_dead_dimension_stays_dead() -> None:
    old = correlated(500, 16)
    old[:, 3] = 0.25
    new = Multivariate().rows(old, [[0]] * 100, torch.Generator().manual_seed(0))
    torch.testing.assert_close(new[:, 3], torch.full((100,), 0.25), rtol=0, atol=1e-5)
