"""Random rows with the full covariance of the old ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, standard_normal

if TYPE_CHECKING:
    import torch


@dataclass
class Multivariate(Initializer):
    """Rows from N(mu, Sigma), mean and covariance taken over the old rows.

    The baseline that Mundra et al. (arXiv 2407.05841) found on par with elaborate methods: the rows lie
    where trained rows lie, correlations included, and know nothing of their token.
    """

    name: str = "multivariate"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        return (old.float().mean(0) + deviations(len(pieces), old, generator)).to(old.dtype)


def deviations(count: int, old: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`count` draws from N(0, Sigma), with Sigma the sample covariance of the rows of `old`: [count, d], float32.

    A normal vector z times any F with FᵀF = Sigma has covariance Sigma. The triangle R of the QR decomposition
    of the centred rows is such an F (times sqrt(V - 1)). It equals the Cholesky factor of Sigma, but Sigma
    itself is never formed: the condition number is not squared, there is no jitter to choose, and a covariance
    without full rank (fewer rows than dimensions, a dead dimension) needs no special case. At Llama 2's size that
    costs 9 s where Sigma and Cholesky cost 6 s, of 16 to 24 s in all on 2 cores; weighting all centred rows directly
    (z of length V) is exact too, at 46 s and more (benchmarks/initializer_rows.py).
    """
    import torch

    centred = old.float() - old.float().mean(0)
    triangle = torch.linalg.qr(centred, mode="r").R
    # The sign of a row of R is the library's whim. Fixed as Cholesky has it, so that a seed means the same rows.
    triangle *= torch.where(triangle.diagonal() < 0, -1.0, 1.0)[:, None]
    # R is [min(V, d), d]: with fewer rows than dimensions, fewer normals are used.
    drawn = standard_normal(count, old, generator)[:, : len(triangle)]
    return drawn @ triangle / math.sqrt(len(old) - 1)
