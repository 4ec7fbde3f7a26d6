"""Rows of old tokens that are near in the embedding of a helper model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer import similar
from bailong.initializer.base import Initializer, Parts
from bailong.initializer.helper import Helper

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context


@dataclass
class Clp(Initializer):
    """v_t = sum_o w_o v_o over old tokens o that a helper model has too, w_o = cos(x_t, x_o) / sum_o' cos(x_t, x_o').

    CLP-Transfer (Ostendorff & Rehm, arXiv 2301.09626, equation 3); x is the input embedding of `helper`, a folder with
    a small model of the new language whose tokenizer has new tokens as one token each. `normalise=sparsemax` takes the
    nearest alone (CLP+ of Yamaguchi et al., arXiv 2402.10712). Tokens are found by their UTF-8, so that tokenizers of
    any kind meet. A new token that the helper lacks, or whose cosines have no sum above 0, has zip-tie's row; the run
    says how many those are. The SHA-256 of what is read of the helper, not its path, belongs to what a run is.
    """

    name: str = "clp"
    helper: str | None = None
    normalise: str = "sum"

    def __post_init__(self) -> None:
        self.one_of("normalise", ("sum", "sparsemax"))
        self.require(
            self.norm != "parts" or self.normalise != "sum",
            "norm",
            "none, global or script: with normalise=sum every row has all old tokens as parts",
        )

    @property
    def reads_text(self) -> bool:
        return True

    def idle(self) -> list[str]:
        return [*super().idle(), "helper"]

    def digest(self) -> str:
        return self._helper().digest()

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        """The rows.

        Raises:
            ValueError: `helper` is no folder with a model and a tokenizer, or it has none of the old tokens.
        """
        made = self._made(pieces, context)
        rows = made.rows(old) if isinstance(made, similar.Bags) else similar.summed(made, pieces, old)
        return rows.to(old.dtype)

    def parts(self, pieces: list[list[int]], context: Context) -> list[Parts]:
        made = self._made(pieces, context)
        assert isinstance(made, similar.Bags), "with normalise=sum norm=parts is refused"
        return made.parts()

    def _made(self, pieces: list[list[int]], context: Context) -> similar.Bags | similar.Space:
        """The weights; with `sum` where tokens lie, which says the same in less."""
        key = ("clp", self.helper, self.normalise)
        if key not in context.memory:
            space = self._space(context)
            if self.normalise == "sum":
                space = space.of_positive_sum()
            context.notes.append(similar.told(space, pieces, "the helper has too"))
            context.memory[key] = space if self.normalise == "sum" else similar.nearest(space, pieces)
        return context.memory[key]

    def _space(self, context: Context) -> similar.Space:
        helper = self._helper()
        ids, vectors = helper.ids(), helper.vectors()
        # Where several tokens are the same bytes the last is the one that text has: bytes come first (Llama).
        old = sorted({token: i for i, token in enumerate(context.old) if token in ids}.values())
        new = [k for k, token in enumerate(context.new) if token in ids]
        if not old:
            raise ValueError(f"{self._said()} is not accepted: its tokenizer has none of the base's tokens")
        theirs = [ids[context.old[i]] for i in old], [ids[context.new[k]] for k in new]
        return similar.Space.of(old, vectors[theirs[0]], new, vectors[theirs[1]])

    def _said(self) -> str:
        return f"{self.key_of('helper')}={self.helper}"

    def _helper(self) -> Helper:
        return Helper.open(self.helper, self._said())
