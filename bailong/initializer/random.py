"""The paper's baseline: "random initialization" (section 3.1, Figure 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, standard_normal

if TYPE_CHECKING:
    import torch


@dataclass
class Random(Initializer):
    """Rows from N(0, std²), blind to the old rows.

    The paper gives no standard deviation; 0.02 is Llama 2's `initializer_range`, which is what enlarging the
    embedding drew from when the paper was written. We do not call `resize_token_embeddings` for it: today
    its default (`mean_resizing=True`) draws around the mean of the old rows, which is `mean`, not `random`.
    """

    name: str = "random"
    std: float = 0.02

    def __post_init__(self) -> None:
        self.require(self.std > 0, "std", "above 0")

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        return (self.std * standard_normal(len(pieces), old, generator)).to(old.dtype)
