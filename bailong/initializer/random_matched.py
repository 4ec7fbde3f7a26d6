"""Random rows with the location and scale of the old ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, standard_normal

if TYPE_CHECKING:
    import torch


@dataclass
class RandomMatched(Initializer):
    """Rows from N(mu, diag(sd²)), with mu and sd of each dimension taken over the old rows.

    It separates two things that `random` mixes: not knowing the token, and being on another scale than the
    trained rows. FOCUS and WECHSEL fall back on it for tokens that they cannot place.
    """

    name: str = "random_matched"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        trained = old.float()
        drawn = standard_normal(len(pieces), old, generator)
        return (trained.mean(0) + trained.std(0) * drawn).to(old.dtype)
