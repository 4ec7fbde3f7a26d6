"""From turns to the ids a local model reads: the folder's chat template, and what gives way when there are too many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

from bailong.data import template
from bailong.evaluate.model_folder import no_template

#: instructions and earlier outputs (one fewer), and `system` where there is one -> ids of the prompt
Render = Callable[..., list[int]]
#: a system prompt that a template is tried with
_TRIED = "bailong-system"


def renderer(tokenizer: Any, name: str, source: str = "folder") -> Render:
    """How prompts for this tokenizer are made.

    Args:
        name: of the model, for messages.
        source: `folder` (its own chat template) or `bailong` (equation 8, whatever the folder says).

    Raises:
        ValueError: the folder has no chat template and equation 8 was not asked for.
    """
    if source == "bailong" or tokenizer.chat_template == template.JINJA:
        return lambda asked, outputs, system="": template.prompt_ids(tokenizer, _behind(system, asked), outputs)
    if not tokenizer.chat_template:
        raise ValueError(no_template(name))

    takes_system = cache(partial(_takes_system, tokenizer))

    def render(instructions: Sequence[str], outputs: Sequence[str], system: str = "") -> list[int]:
        if system and not takes_system():
            instructions, system = _behind(system, instructions), ""
        # In one go: a rendered string that is tokenized once more would begin with two <s>
        ids = tokenizer.apply_chat_template(
            messages(instructions, outputs, system), add_generation_prompt=True, tokenize=True, return_dict=False
        )
        return list(ids)

    return render


def _behind(system: str, instructions: Sequence[str]) -> list[str]:
    """The instructions with the system prompt in front of the first, for templates that have no place of its own."""
    return [f"{system}\n\n{instructions[0]}", *instructions[1:]] if system else list(instructions)


def _takes_system(tokenizer: Any) -> bool:
    """Whether the chat template shows a system message: some refuse it (Gemma 2), others leave it out."""
    from jinja2.exceptions import TemplateError

    tried = messages(["?"], [], _TRIED)
    try:
        return _TRIED in tokenizer.apply_chat_template(tried, add_generation_prompt=True, tokenize=False)
    except TemplateError:
        return False


def messages(instructions: Sequence[str], outputs: Sequence[str], system: str = "") -> list[dict[str, str]]:
    """The same turns as the API's messages, behind a system prompt if there is one; the last instruction has no output
    yet."""
    assert len(outputs) == len(instructions) - 1
    listed = [{"role": "system", "content": system}] if system else []
    for number, instruction in enumerate(instructions):
        listed.append({"role": "user", "content": instruction})
        if number < len(outputs):
            listed.append({"role": "assistant", "content": outputs[number]})
    return listed


@dataclass(frozen=True)
class Prompt:
    """What is asked: `instructions`, and the model's own `outputs` so far (one fewer).

    Attributes:
        passage: the part of `instructions[0]` that may be shortened, or empty.
        name: for messages.
        draw: tells apart questions of the same words that want answers of their own.
        system: the system prompt, or empty. It never gives way.
    """

    instructions: Sequence[str]
    outputs: Sequence[str] = ()
    passage: str = ""
    name: str = "the question"
    draw: str = ""
    system: str = ""


class Fitted(NamedTuple):
    """A prompt that fits: its ids, how many tokens its answer may have, and whether something was left out."""

    ids: list[int]
    room: int
    truncated: bool


def fit(render: Render, prompt: Prompt, room: int, limit: int, model: str) -> Fitted:
    """The prompt within `limit` tokens less `room` for the answer; the last question always stays whole.

    What gives way, in this order, and only as far as needed: the oldest turns (the one with the passage is not yet
    among them), the end of the passage, the turn that it stood in. If the last question alone leaves less than
    `room`, the answer gets what is left.

    Args:
        model: its name, for the message.

    Raises:
        ValueError: the last question alone fills the context.
    """
    render = partial(render, system=prompt.system) if prompt.system else render
    passage = prompt.passage
    assert passage in prompt.instructions[0]
    instructions, outputs = list(prompt.instructions), list(prompt.outputs)
    ids = render(instructions, outputs)
    oldest = 1 if passage else 0
    while len(ids) + room > limit and len(instructions) > oldest + 1:
        del instructions[oldest], outputs[oldest]
        ids = render(instructions, outputs)
    if len(ids) + room <= limit:
        return Fitted(ids, room, len(instructions) < len(prompt.instructions))

    if passage:

        def with_characters(kept: int) -> list[int]:
            return render([instructions[0].replace(passage, passage[:kept], 1), *instructions[1:]], outputs)

        ids = with_characters(0)
        low, high = 0, len(passage)  # `low` characters are known to fit, once none do
        while len(ids) + room <= limit and high - low > 1:
            middle = (low + high) // 2
            tried = with_characters(middle)
            if len(tried) + room <= limit:
                low, ids = middle, tried
            else:
                high = middle
        if len(ids) + room > limit and len(instructions) > 1:
            ids = render(instructions[-1:], [])

    left = limit - len(ids)
    if left < 1:
        raise ValueError(
            f"{model}: {prompt.name} alone takes {len(ids)} of generator.context={limit} tokens, which leaves none for "
            "an answer: raise generator.context if the model can read more, or leave the question out"
        )
    # Here the passage was cut or went, if there is one; what else can be missing are earlier turns
    return Fitted(ids, min(room, left), bool(passage) or len(instructions) < len(prompt.instructions))
