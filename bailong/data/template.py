"""Equation 8 of the paper: how a dialogue becomes tokens, for training, for generation and for other people's servers.

    <s> instruction_1 </s> output_1 </s> ... </s> instruction_n </s> output_n </s>

There are no role names: whose turn it is follows from the position. Training tokenizes the string that the chat
template of an exported folder writes, so that both give the same ids with any tokenizer
(tests/data/test_template.py). A system message, which the paper does not have, is put in front of the first
instruction.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bailong.data.chat import Laid
from bailong.data.tokens import Encoded
from bailong.data.turns import Turn

# A `{% generation %}` block marks the outputs for `return_assistant_tokens_mask`: other trainers then see our mask.
JINJA = """\
{{- bos_token -}}
{%- set chat = namespace(system='', messages=messages) -%}
{%- if messages and messages[0]['role'] == 'system' -%}
{%- set chat.system = messages[0]['content'] + '\\n\\n' -%}
{%- set chat.messages = messages[1:] -%}
{%- endif -%}
{%- for message in chat.messages -%}
{%- set expected = 'user' if loop.index0 % 2 == 0 else 'assistant' -%}
{%- if message['role'] != expected -%}
{{- raise_exception('messages must go user, assistant, user, ... after an optional system message') -}}
{%- endif -%}
{%- set text = ((chat.system if loop.first else '') + message['content'])
    | replace(bos_token, ' ') | replace(eos_token, ' ') -%}
{%- if expected == 'assistant' -%}
{%- generation -%}{{- text + eos_token -}}{%- endgeneration -%}
{%- else -%}
{{- text + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""


def lay(tokenizer: Any, dialogues: Sequence[Sequence[Turn]]) -> list[Laid]:
    """Whole dialogues, closed by `</s>` (equation 8).

    Trained on are the tokens of outputs and the `</s>` behind each: the targets of equation 9. Those of a turn that
    says so (`Turn.trained`) are not.

    Raises:
        ValueError: `<s>` and `</s>` are one token, so that a beginning would end a turn.
    """
    if tokenizer.bos_token == tokenizer.eos_token:
        raise ValueError(
            f"the tokenizer has one token, {tokenizer.eos_token}, as bos_token and eos_token: equation 8 needs two"
        )
    rendered = [_rendered(tokenizer, [text for turn in turns for text in turn]) for turns in dialogues]
    laid = []
    for turns, text, ids in zip(dialogues, rendered, _ids(tokenizer, rendered), strict=True):
        closes = ids == tokenizer.eos_token_id
        # The number of `</s>` before a token says whose it is: even for an instruction, odd for an output.
        before = np.cumsum(closes) - closes
        assert closes.sum() == 2 * len(turns) and closes[-1]
        trained = (before % 2 == 1) & np.asarray([turn.trained for turn in turns])[before // 2]
        size = sum(len(_clean(tokenizer, turn.output).encode("utf-8")) for turn in turns if turn.trained)
        opens = [1, *(np.flatnonzero(closes)[1:-1:2] + 1).tolist()]
        laid.append(Laid(Encoded(ids, trained, size), opens, opens, text))
    return laid


def prompt_ids(tokenizer: Any, instructions: Sequence[str], outputs: Sequence[str]) -> list[int]:
    """What the model sees before it answers the last instruction: `outputs` are its earlier answers, one fewer."""
    assert len(outputs) == len(instructions) - 1
    texts = [text for pair in zip(instructions, [*outputs, ""], strict=True) for text in pair][:-1]
    return _ids(tokenizer, [_rendered(tokenizer, texts)])[0].tolist()


def _rendered(tokenizer: Any, texts: Sequence[str]) -> str:
    return tokenizer.bos_token + "".join(_clean(tokenizer, text) + tokenizer.eos_token for text in texts)


def _clean(tokenizer: Any, text: str) -> str:
    """The text without the names of control tokens, which would end a turn in the middle of it.

    A space takes their place: without one, what stood around a name may make up another (`<</s>/s>`).
    """
    return text.replace(tokenizer.bos_token, " ").replace(tokenizer.eos_token, " ")


def _ids(tokenizer: Any, rendered: list[str]) -> list[np.ndarray]:
    backend = tokenizer.backend_tokenizer
    return [np.asarray(e.ids, dtype=np.int64) for e in backend.encode_batch_fast(rendered, add_special_tokens=False)]
