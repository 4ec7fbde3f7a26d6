"""Supervised fine-tuning on dialogues (paper, section 4.1, equations 8 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.train.stage.base import Stage

if TYPE_CHECKING:
    from bailong.data.chat import Laid
    from bailong.data.tokens import Encoded

#: the form of equation 8, which needs nothing of a base but its two markers
PAPER = "bailong"
#: the chat template of the base's own folder
OWN = "base"


@dataclass
class Sft(Stage):
    """Next-token loss on the outputs of dialogues, and on the `</s>` behind each.

    `batch_size` counts dialogues. `packing` is `rows` (the dialogues of a step share rows of `context` tokens, each
    attending to itself alone) or `truncate` (a row each, padded); both learn the same. Dialogues of more than `context`
    tokens are truncated (section 4.3), but never to a sample without a target: see `truncated`.
    `template` is the form of a dialogue: `bailong` (equation 8), `base` (the chat template of the base), one of a
    family by name (`chatml`, `llama3`, `mistral`), or a file of one (`.jinja`). It goes with the exported model.
    """

    name: str = "sft"
    packing: str = "rows"
    template: str = PAPER

    dialogues: ClassVar[bool] = True
    packings: ClassVar[tuple[str, ...]] = ("rows", "truncate")
    evaluation_packing: ClassVar[str] = "truncate"
    encoding: ClassVar[int] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.context > 1, "context", "above 1: a token is predicted from one before it")
        self.require(bool(self.template), "template", "bailong, base, chatml, llama3, mistral, or a file in .jinja")

    def markers(self, bos: int | None, eos: int) -> list[int]:
        """None: text that was packed for pre-training is never taken for dialogues."""
        return []

    def encode(self, tokenizer: Any, texts: list[str]) -> list[Encoded]:
        """Dialogues, as `bailong.data.turns.serialised` writes them, with the mask of equation 9."""
        import numpy as np

        from bailong.data import chat, template
        from bailong.data.turns import turns_of
        from bailong.tokenizer.folder import is_byte_level, text_bytes

        sizes = text_bytes(tokenizer)
        form = template if self.template == PAPER else chat
        markers = [] if self.template == PAPER else tokenizer.all_special_ids

        def cut(one: Laid) -> Encoded:
            each = sizes(one.encoded.ids)
            # SentencePiece's is counted as the space that has its id: one byte of three
            if "▁" in one.written and not is_byte_level(tokenizer):
                each = each + 2 * chat.typed_marks(tokenizer, one.written)
            each[np.isin(one.encoded.ids, markers)] = 0
            return truncated(one.encoded, self.context, each, one.opens, one.texts)

        laid = form.lay(tokenizer, [turns_of(text) for text in texts])
        return [one.encoded if len(one.encoded.ids) <= self.context else cut(one) for one in laid]


def truncated(
    dialogue: Encoded, most: int, sizes: Any, opens: Sequence[int] = (1,), texts: Sequence[int] = (1,)
) -> Encoded:
    """The dialogue in at most `most` tokens.

    Its beginning is kept, and an instruction at the end whose output was cut away goes too: nothing would be learned
    from it. Where the first instruction alone fills `most`, its own beginning is left out instead (a question stands
    behind its passage), so that up to half of the tokens are output. Where turns that are not trained on fill it, the
    earliest of them go.

    Args:
        sizes: [N] UTF-8 bytes of the text that each token stands for.
        opens: where turns open. texts: where the instruction of each begins.

    Raises:
        ValueError: what stands around a question leaves no room for it.
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
        head, room = opens[0], most - output - opens[0]
        # Whose turn it is follows from what stands around it: an earlier turn is kept whole or not at all.
        whole = [place for place in opens if begin - room <= place < begin]
        if whole:
            around, first = [], min(whole)
        else:
            last = max(turn for turn, place in enumerate(opens) if place < begin)
            around = list(range(opens[last], texts[last]))
            first = begin - (room - len(around))
        if first > begin:
            raise ValueError(
                f"stage.context={most} is not accepted: what the chat template writes around a question takes "
                f"{head + len(around)} tokens, and half of the context is kept for the output"
            )
        chosen = np.r_[0:head, np.asarray(around, dtype=np.int64), first : begin + output]
    left_out = trained.copy()
    left_out[chosen] = False
    return dialogue._replace(
        ids=ids[chosen], trained=trained[chosen], text_bytes=text_bytes - int(sizes[np.flatnonzero(left_out)].sum())
    )
