"""Continual pre-training (paper, section 3.3, equation 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bailong.train.stage.base import Stage

if TYPE_CHECKING:
    from bailong.data.tokens import Encoded


@dataclass
class Cpt(Stage):
    """Next-token loss on every token of every document, from a checkpoint whose vocabulary grew."""

    name: str = "cpt"

    def markers(self, bos: int, eos: int) -> list[int]:
        """`<s> document </s>`, as `encode_text` writes it."""
        return [bos, eos]

    def encode(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        return self.encode_text(tokenizer, texts)
