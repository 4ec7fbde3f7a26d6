"""Dialogues through a chat template of anybody's: a base that has one is taught in the form in which it is asked.

A template is a program that writes a string. Where a turn opens, where its output begins and with which token it ends
is found by rendering a dialogue again up to each turn; a template that writes the beginning of a dialogue otherwise
once it goes on (those that drop earlier reasoning) has no such places, and is refused.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bailong.data.tokens import Encoded
from bailong.data.turns import Turn, messages
from bailong.run.checks import did_you_mean

#: templates of families whose bases carry none, by name
NAMED = Path(__file__).parent / "templates"
#: what takes the place of transformers' clock: the day that Llama 3.1's own template says where it is told none
DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
#: of Unicode's private use: in front of an instruction one that it does not begin with shows where that is
MARKS = ("\ue000", "\ue001")


class Laid(NamedTuple):
    """A dialogue as tokens, and where its turns stand.

    Attributes:
        opens: where the words around each instruction open, in tokens; the first behind what opens the dialogue.
        texts: where its instruction itself begins.
        written: the string whose tokens they are.
    """

    encoded: Encoded
    opens: list[int]
    texts: list[int]
    written: str


def named(template: str) -> str:
    """The Jinja source of a template: one of ours, or a file.

    Raises:
        ValueError: neither.
    """
    known = sorted(file.stem for file in NAMED.glob("*.jinja"))
    path = NAMED / f"{template}.jinja" if template in known else Path(template)
    if path.suffix != ".jinja" or not path.is_file():
        accepted = ["bailong", "base", *known]
        raise ValueError(
            f"stage.template={template} is not accepted{did_you_mean(template, accepted)}: it must be one of "
            f"{', '.join(accepted)}, or a file of that name in .jinja"
        )
    return path.read_text(encoding="utf-8")


def lay(tokenizer: Any, dialogues: Sequence[Sequence[Turn]]) -> list[Laid]:
    """Whole dialogues, as `tokenizer.chat_template` writes them.

    Trained on is each output with the special token that closes it, unless its turn says otherwise (`Turn.trained`).
    Their bytes are those of the string between the question and that token.

    Raises:
        ValueError: the template tells no output from what stands around it.
    """
    special = [i for i, token in tokenizer.added_tokens_decoder.items() if token.special]
    spoken = cleaned(tokenizer, dialogues)
    found = [_places(tokenizer, turns) for turns in spoken]
    encodings = tokenizer.backend_tokenizer.encode_batch([text for text, _ in found], add_special_tokens=False)
    return [
        _laid(turns, text, places, encoding, special)
        for turns, (text, places), encoding in zip(spoken, found, encodings, strict=True)
    ]


def written(tokenizer: Any, talk: list[dict[str, str]], **knobs: Any) -> Any:
    """What the chat template makes of messages, on one and the same day: some tell the model the date of today, and
    would make other data of a dialogue tomorrow."""
    source = tokenizer.get_chat_template()
    return tokenizer.apply_chat_template(talk, chat_template=DAY * ("strftime_now" in source) + source, **knobs)


def cleaned(tokenizer: Any, dialogues: Sequence[Sequence[Turn]]) -> list[list[Turn]]:
    """Dialogues without names of control tokens, which would end turns in their middle; a space takes their place."""
    names = sorted({t.content for t in tokenizer.added_tokens_decoder.values() if t.special}, key=len, reverse=True)
    if not names:
        return [list(turns) for turns in dialogues]
    name = re.compile("|".join(map(re.escape, names)))
    return [
        [Turn(name.sub(" ", turn.instruction), name.sub(" ", turn.output), turn.trained) for turn in turns]
        for turns in dialogues
    ]


class _Place(NamedTuple):
    """Of a turn, in characters: where it opens, where its instruction, its output and what is behind it begin."""

    opens: int
    text: int
    output: int
    end: int


def _places(tokenizer: Any, turns: Sequence[Turn]) -> tuple[str, list[_Place]]:
    """A dialogue as the template writes it, and where its turns stand in that."""

    def render(number: int, asks: bool, marks: Sequence[str] = ()) -> str:
        text = talk[number - 1]["content"]
        mark = next((each for each in marks if not text.startswith(each)), "")
        given = [*talk[: number - 1], talk[number - 1] | {"content": mark + text}]
        return written(tokenizer, given, tokenize=False, add_generation_prompt=asks)

    talk = messages(turns)
    try:
        whole = render(len(talk), False)
        asked = [render(2 * n + 1, True) for n in range(len(turns))]
        marked = [render(2 * n + 1, True, MARKS) for n in range(len(turns))]
        # as far as it goes on as it began: some close every dialogue with one more token
        ends = [len(os.path.commonprefix([whole, render(2 * n + 2, False)])) for n in range(len(turns) - 1)]
        ends.append(len(whole))
    except Exception as error:  # a template is a program of its own and fails in its own ways
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"the chat template cannot write a dialogue: {why}") from error
    places, before = [], 0
    for turn, prompt, probe, end in zip(turns, asked, marked, ends, strict=True):
        text = len(os.path.commonprefix([whole, probe]))  # up to the mark, whatever else says the same words
        said = whole[text : len(prompt)].lstrip().startswith(turn.instruction.strip())
        if not (said and whole.startswith(prompt) and before <= text < len(prompt) < end):
            raise ValueError(
                "the chat template writes a dialogue otherwise than its beginning, so that no output can be told from "
                "what stands around it: stage.template takes another one (chatml, llama3, mistral, or a file)"
            )
        if not whole[len(prompt) : end].lstrip().startswith(turn.output.strip()):
            raise ValueError(
                "the chat template, asked for an answer (add_generation_prompt), does not write all that stands in "
                "front of one, so that more than the output would be learned, or less: stage.template takes another "
                "one (chatml, llama3, mistral, or a file)"
            )
        places.append(_Place(before, text, len(prompt), end))
        before = end
    return whole, _opened(whole, places)


def _opened(whole: str, places: list[_Place]) -> list[_Place]:
    """The first turn opens behind what opens the dialogue, a system message; where that stands inside of the turn,
    turns open with their instructions, so that either can follow it."""
    if len(places) == 1:
        return [places[0]._replace(opens=places[0].text)]
    frame = whole[places[1].opens : places[1].text]
    first = places[0].text - len(frame)
    if first >= 0 and whole[first : places[0].text] == frame:
        return [places[0]._replace(opens=first), *places[1:]]
    return [place._replace(opens=place.text) for place in places]


def _laid(turns: Sequence[Turn], text: str, places: Sequence[_Place], encoding: Any, special: Sequence[int]) -> Laid:
    ids, (starts, ends) = np.asarray(encoding.ids, dtype=np.int64), zip(*encoding.offsets, strict=True)
    closing = np.isin(ids, special)
    trained = np.zeros(len(ids), dtype=bool)
    size = 0
    for turn, place in zip(turns, places, strict=True):
        # a token may hold the output's first word and the space in front of it
        begin, end = int(np.searchsorted(ends, place.output, side="right")), int(np.searchsorted(starts, place.end))
        # or a marker the white space behind it
        begin += bool(closing[begin : begin + 1].any() and starts[begin] < place.output)
        closes = begin + np.flatnonzero(closing[begin:end])
        if not len(closes):
            raise ValueError(
                "the chat template closes an output with no special token of this tokenizer, so that an answer would "
                "never end: stage.template takes another one (chatml, llama3, mistral, or a file)"
            )
        if turn.trained:
            trained[begin : closes[0] + 1] = True
            first = max(place.output, ends[begin - 1])
            size += len(text[first : starts[closes[0]]].encode("utf-8"))
    # the token in which a place lies: SentencePiece's hold the space in front of a word
    opens, texts = ([int(np.searchsorted(ends, place[at], side="right")) for place in places] for at in (0, 1))
    return Laid(Encoded(ids, trained, size), opens, texts, text)


def typed_marks(tokenizer: Any, written: str) -> np.ndarray:
    """How often each token of a string stands for a `▁` that was typed, [N].

    SentencePiece writes a space as `▁`, so that the ids of the two are the same; only the text tells them apart.
    """
    counts, seen = [], 0  # the one that is invented before a text stands on the first character as well
    for start, end in tokenizer.backend_tokenizer.encode(written, add_special_tokens=False).offsets:
        counts.append(written[max(start, seen) : end].count("▁"))
        seen = max(seen, end)
    return np.asarray(counts, dtype=np.int64)
