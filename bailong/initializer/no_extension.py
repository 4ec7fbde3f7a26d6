"""No new tokens: the control that an extension must beat at equal bytes of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bailong.initializer.base import Initializer

if TYPE_CHECKING:
    import torch


@dataclass
class NoExtension(Initializer):
    """The base with its own tokenizer, whatever `tokenizer` says: an arm beside the initializers of a sweep.

    It sees the text in more tokens; compare by bytes (`stage.epochs` gives every arm the same text).
    """

    name: str = "no_extension"
    extends: ClassVar[bool] = False

    def rows(self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> torch.Tensor:
        """Never called."""
        raise AssertionError("there is no new token")
