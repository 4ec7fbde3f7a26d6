"""Supervised fine-tuning on dialogues (paper, section 4.1, equations 8 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.train.stage.base import Stage

if TYPE_CHECKING:
    from bailong.data.tokens import Encoded


@dataclass
class Sft(Stage):
    """Next-token loss on the outputs of dialogues, and on the `</s>` behind each.

    `batch_size` counts dialogues. `packing` is `rows` (the dialogues of a step share rows of `context` tokens, each
    attending to itself alone) or `truncate` (a row each, padded); both learn the same. Dialogues of more than `context`
    tokens are truncated (section 4.3), but never to a sample without a target: see `truncated`.
    """

    name: str = "sft"
    packing: str = "rows"

    dialogues: ClassVar[bool] = True
    packings: ClassVar[tuple[str, ...]] = ("rows", "truncate")
    evaluation_packing: ClassVar[str] = "truncate"
    encoding: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.context > 1, "context", "above 1: a token is predicted from one before it")

    def markers(self, bos: int | None, eos: int) -> list[int]:
        """None: text that was packed for pre-training is never taken for dialogues."""
        return []

    def encode(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        """Dialogues, as `bailong.data.turns.serialised` writes them, with the mask of equation 9."""
        from bailong.data import template
        from bailong.data.turns import turns_of
        from bailong.tokenizer.folder import text_bytes

        sizes = text_bytes(tokenizer)
        whole = template.encode(tokenizer, [turns_of(text) for text in texts])

        def cut(one: Encoded, text: str) -> Encoded:
            closes = [place for place, i in enumerate(one.ids) if i == tokenizer.eos_token_id]
            each = sizes(one.ids)
            if "▁" in text:  # counted as the space that has its id: one byte of three
                each = each + 2 * template.typed_marks(tokenizer, turns_of(text))
            return truncated(one, self.context, each, [1, *(place + 1 for place in closes[1::2])])

        return [one if len(one.ids) <= self.context else cut(one, text) for one, text in zip(whole, texts, strict=True)]


def truncated(dialogue: Encoded, most: int, sizes: Any, opens: Sequence[int] = ()) -> Encoded:
    """The dialogue in at most `most` tokens.

    Its beginning is kept, and an instruction at the end whose output was cut away goes too: nothing would be learned
    from it. Where the first instruction alone fills `most`, its own beginning is left out instead (a question stands
    behind its passage), so that up to half of the tokens are output. Where turns that are not trained on fill it, the
    earliest of them go.

    Args:
        sizes: [N] UTF-8 bytes of the text that each token stands for.
        opens: the places where instructions open.
    """
    import numpy as np

    ids, trained, text_bytes = np.asarray(dialogue.ids), dialogue.trained, dialogue.text_bytes
    assert trained is not None and text_bytes is not None
    if len(ids) <= most:
        return dialogue
    kept = np.flatnonzero(trained[:most])
    if len(kept):
        chosen = np.arange(kept[-1] + 1)
    else:
        begin = int(np.argmax(trained))
        length = int(np.argmin(np.append(trained[begin:], False)))
        output = min(length, most // 2)
        first = begin - (most - output - 1)
        # Whose turn it is follows from the position: an earlier turn is kept whole or not at all.
        whole = [place for place in opens if first <= place < begin]
        chosen = np.r_[0, min(whole, default=first) : begin + output]
    left_out = trained.copy()
    left_out[chosen] = False
    return dialogue._replace(
        ids=ids[chosen], trained=trained[chosen], text_bytes=text_bytes - int(sizes[np.flatnonzero(left_out)].sum())
    )
