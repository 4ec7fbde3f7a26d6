"""Every new row near the mean of the old ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer
from bailong.initializer.multivariate import deviations

if TYPE_CHECKING:
    import torch


@dataclass
class Mean(Initializer):
    """Rows from N(mu, covariance * Sigma), mean and covariance Sigma taken over the old rows.

    A head row at the mean bounds how far the old distribution can move (Hewitt, "Initializing New Word
    Embeddings for Pretrained Language Models"). The noise only makes the rows differ. Hewitt scales Sigma
    by 1e-5, transformers (`resize_token_embeddings`) by 1e-9. We take 1e-5: at 1e-9 the noise falls below
    the resolution of bfloat16, where four entries in five round to the mean and the others are rounding noise
    (tests/initializer/test_mean.py). With 0 all rows are equal, and nothing is decomposed.
    """

    name: str = "mean"
    covariance: float = 1e-5

    def __post_init__(self) -> None:
        self.require(self.covariance >= 0, "covariance", "0 or more")

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        rows = old.float().mean(0).repeat(len(pieces), 1)
        if self.covariance > 0:
            rows += math.sqrt(self.covariance) * deviations(len(pieces), old, generator)
        return rows.to(old.dtype)
