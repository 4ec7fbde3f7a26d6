from __future__ import annotations

import pytest
import torch

from bailong.initializer.mean import Mean
from bailong.initializer.multivariate import Multivariate
from tests.initializer import checks


def old_rows(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Spread and means as Llama 2's embedding has them: 0.017, and about 0.001 a dimension."""
    generator = torch.Generator().manual_seed(0)
    rows = 0.001 * torch.randn(64, generator=generator) + 0.017 * torch.randn(2_000, 64, generator=generator)
    return rows.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_without_noise_every_row_is_the_mean(dtype: torch.dtype) -> None:
    old = old_rows(dtype)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    new = Mean(covariance=0).rows(old, [[1], [2, 3]], generator)
    assert torch.equal(new, old.float().mean(0).to(dtype).expand(2, -1))
    assert torch.equal(generator.get_state(), state), "nothing is drawn"


def test_noise_has_the_asked_share_of_the_covariance() -> None:
    old = old_rows()
    new = Mean(covariance=1e-2).rows(old, [[0]] * 50_000, torch.Generator().manual_seed(0))
    checks.moments_are(new, old, share=1e-2)


def test_all_of_the_covariance_is_multivariate() -> None:
    one = Mean(covariance=1.0).rows(old_rows(), [[0]] * 20, torch.Generator().manual_seed(0))
    other = Multivariate().rows(old_rows(), [[0]] * 20, torch.Generator().manual_seed(0))
    torch.testing.assert_close(one, other)


def test_default_noise_survives_bfloat16_and_that_of_transformers_does_not() -> None:
    """Why the default is 1e-5 and not 1e-9: how many entries still are the rounded mean."""
    old = old_rows(torch.bfloat16)
    centre = old.float().mean(0).to(torch.bfloat16)

    def unmoved(initializer: Mean) -> float:
        new = initializer.rows(old, [[0]] * 2_000, torch.Generator().manual_seed(0))
        return (new == centre).float().mean().item()

    assert unmoved(Mean()) < 0.1
    assert unmoved(Mean(covariance=1e-9)) > 0.6
