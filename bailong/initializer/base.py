"""What an initializer is: a pure function from old rows to new rows.

Old rows, the pieces of each new token and a generator go in; new rows come out. Embedding and head are
two calls with two matrices, so that no rule can read the other matrix by mistake; on a tied model there
is one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bailong.run.checks import Knobs

if TYPE_CHECKING:
    import torch


@dataclass
class Initializer(Knobs, group="initializer"):
    """Base of every initializer; its fields are the knobs, `rows` is the rule.

    `extends` is false for the control that keeps the base's own tokenizer.
    """

    name: str = "initializer"
    extends: ClassVar[bool] = True

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        """New rows, in the order of `pieces`.

        Args:
            old: rows of the old vocabulary, [V, d], any floating dtype; never written to.
            pieces: for each new token, the ids of the *old* tokens it splits into (n >= 1 each).
            generator: the only source of randomness.

        Returns:
            [len(pieces), d] in the dtype and on the device of `old`; computed in float32, then cast.
        """
        raise NotImplementedError


def standard_normal(count: int, old: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """`count` draws from N(0, I) as wide as `old`: float32 on its device, drawn where the generator lives.

    Drawn on the generator's device and moved, so that a CPU generator gives the same rows on every machine.
    """
    import torch

    drawn = torch.randn(count, old.shape[1], generator=generator, device=generator.device, dtype=torch.float32)
    return drawn.to(old.device)
