"""Zip-tie embedding (paper, section 3.1, equation 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer import alpha
from bailong.initializer.base import Initializer, Parts, weighted

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context


@dataclass
class ZipTie(Initializer):
    """v_t = sum_i alpha(v_t, v_ti) v_ti over the old tokens that t splits into.

    The paper uses alpha = 1/n, `uniform`, and leaves others to future work: `alpha` is a weight function of
    bailong.initializer.alpha, `by_character` puts characters together first and the token of those, and `shrink` = c
    moves every row towards the mean row mu of the old ones, to mu + c (v_t - mu). A token that is one old token is
    copied exactly (with c = 1). Uniform weights are blind to order: tokens made of the same old tokens in another
    order (three bytes of two Han characters, say) get one and the same row, bit for bit.
    """

    name: str = "zip_tie"
    alpha: str = "uniform"
    base: float = 2.0
    heavier: str = "last"
    sif: float = 1e-3
    text_bytes: int = 1_000_000
    by_character: bool = False
    shrink: float = 1.0

    def __post_init__(self) -> None:
        self.one_of("alpha", alpha.ALPHAS)
        self.require(1 <= self.base < float("inf"), "base", "1 or more (initializer.heavier turns it round)")
        self.one_of("heavier", ("first", "last"))
        self.positive("sif", "text_bytes")
        self.require(0 < self.shrink < float("inf"), "shrink", "above 0")

    def idle(self) -> list[str]:
        alone = {"exp": ("base", "heavier"), "sif": ("sif", "text_bytes")}
        heard = alone.get(self.alpha, ()) + ("alpha",) * (self.alpha != "uniform")
        heard += ("by_character",) * self.by_character + ("shrink",) * (self.shrink != 1)
        knobs = ("alpha", "base", "heavier", "sif", "text_bytes", "by_character", "shrink")
        return [*super().idle(), *(knob for knob in knobs if knob not in heard)]

    @property
    def reads_text(self) -> bool:
        return self.alpha == "sif"

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        """The mean of the pieces, with `alpha=uniform`."""
        return self._made(old, [[(i, 1 / len(ids)) for i in ids] for ids in pieces])

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        return self._made(old, self.parts(pieces, context))

    def weights(self, pieces: list[list[int]], context: Context) -> list[list[float]]:
        return alpha.of_tokens(self, pieces, context)

    def _made(self, old: torch.Tensor, parts: list[Parts]) -> torch.Tensor:
        rows = weighted(old, parts, equal=self.alpha == "uniform" and not self.by_character)
        if self.shrink != 1:
            centre = old.float().mean(0)
            rows = centre + self.shrink * (rows - centre)
        return rows.to(old.dtype)
