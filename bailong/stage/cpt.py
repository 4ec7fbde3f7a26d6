"""Continual pre-training (paper, section 3.3, equation 7)."""

from __future__ import annotations

from dataclasses import dataclass

from bailong.stage.base import Stage


@dataclass
class Cpt(Stage):
    """Next-token loss on every token of every document, from a checkpoint whose vocabulary grew."""

    name: str = "cpt"

    def encode(self, ids: list[int], bos: int, eos: int) -> list[int]:
        """`<s> document </s>`. The paper does not say where its markers stand; this is Llama 2's way."""
        return [bos, *ids, eos]
