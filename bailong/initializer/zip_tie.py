"""Zip-tie embedding (paper, section 3.1, equation 3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer

if TYPE_CHECKING:
    import torch


@dataclass
class ZipTie(Initializer):
    """v_t = sum_i alpha(v_t, v_ti) v_ti over the old tokens that t splits into, with alpha = 1/n.

    The paper uses this uniform alpha and leaves others to future work. A token that is one old token is
    copied exactly. Uniform weights are blind to order: tokens made of the same old tokens in another order
    (three bytes of two Han characters, say) get one and the same row, bit for bit.
    """

    name: str = "zip_tie"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        import torch
        from torch.nn.functional import embedding_bag

        # Sorted, because float addition is not: else the rows of two anagrams would differ in their last bits,
        # and a count of equal rows would miss them.
        ids = torch.tensor([i for bag in pieces for i in sorted(bag)], device=old.device)
        starts = torch.tensor([0, *itertools.accumulate(map(len, pieces))][:-1], device=old.device)
        return embedding_bag(ids, old.float(), starts, mode="mean").to(old.dtype)
