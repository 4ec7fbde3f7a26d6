"""Zip-tie rows, each given to another new token: the control that tells the right row from a likely one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.zip_tie import ZipTie

if TYPE_CHECKING:
    import torch


@dataclass
class ZipTieShuffled(ZipTie):
    """The rows of `zip_tie`, permuted at random among the new tokens.

    Length, direction and spread of the rows are those of zip-tie to the last bit; only which token has which is lost.
    What zip-tie gains over this is what its pieces know of a token.
    """

    name: str = "zip_tie_shuffled"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        import torch

        rows = super().rows(old, pieces, generator)
        order = torch.randperm(len(pieces), generator=generator, device=generator.device)
        return rows[order.to(rows.device)]
