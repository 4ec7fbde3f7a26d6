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

    def markers(self, bos: int | None, eos: int) -> list[int]:
        """`<s> document </s>`. The paper does not say where its markers stand; this is Llama 2's way.

        A tokenizer without a begin marker (Qwen's, SmolLM3's) has its documents begin behind the end of another.
        """
        return [eos if bos is None else bos, eos]

    def encode(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        from bailong.data.tokens import Encoded
        from bailong.tokenizer.folder import encode_documents

        bos, eos = self.markers(tokenizer.bos_token_id, tokenizer.eos_token_id)
        return [Encoded([bos, *ids, eos]) for ids in encode_documents(tokenizer, texts)]
