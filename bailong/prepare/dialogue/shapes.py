"""The shapes in which dialogues come, each read into `Dialogue`, or `PassageQuestion` where there is no output yet.

`sharegpt`   {"conversations": [{"from": "human", "value": ".."}, {"from": "gpt", "value": ".."}, ..]}; also
             `conversation`, `messages` or `items`, and `role` with `content`; or a list of texts, the user's first
`alpaca`     {"instruction": "..", "input": "..", "output": ".."}, also shibing624/medical
`moss`       {"conversation": [{"human": "..", "assistant": ".."}]}, or the original {"chat": {"turn_1": {..}}}
`squad`      SQuAD's nesting, whole (DRCD) or a row of it, flat or nested; and FGC's DTEXT, QUESTIONS, QTEXT, ANSWER
`gsm8k`      {"question": "..", "answer": ".. <<1+1=2>> .. #### 2"}; the calculator's notes are stripped
`pairs`      two texts that say the same in two languages (bailong/prepare/dialogue/aligned.py), or two lists of them
`dialogue`   {"turns": [{"instruction": "..", "output": ".."}]}, what `bailong-prepare` writes itself

What stands beside the texts, and what becomes of it, is said in bailong/prepare/dialogue/messages.py. Keys are read in
any case.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bailong.data.turns import Dialogue, Turn, serialised
from bailong.prepare.dialogue.messages import (
    ASSISTANT,
    USER,
    Message,
    Unfit,
    as_list,
    as_text,
    dialogue,
    filled,
    first,
    folded,
    name_of,
    of_chat,
    said,
)


@dataclass(frozen=True)
class PassageQuestion:
    """A passage and a question about it, which `instances` makes into a dialogue. `answers` are those of the data, and
    `article` is the title of what the passage is from."""

    id: str
    paragraph: str
    question: str
    answers: tuple[str, ...] = ()
    category: str = ""
    language: str = ""
    article: str = ""


@dataclass(frozen=True)
class SentencePair:
    """The same in two languages, which `instruct` makes into a dialogue. `language` is that of the target."""

    id: str
    source: str
    target: str
    category: str = ""
    language: str = ""
    source_language: str = ""


Piece = Dialogue | PassageQuestion | SentencePair


class ReadPiece(NamedTuple):
    """One piece, and what was left out of it: name -> times."""

    piece: Piece
    left_out: Counter[str]


PAIR = (USER, ASSISTANT)
#: of pairs that have not both sides, which is no fault of the file: a record without one of the languages, and one with
#: an empty text there, as tables and lines have it
ABSENT, EMPTY = "not_in_both", "empty_side"
#: labels of other conventions as BCP 47
LANGUAGES = {"zht": "zh-Hant", "zh-tw": "zh-Hant", "zhs": "zh-Hans", "zh-cn": "zh-Hans"}

_CALCULATION = re.compile(r"<<[^<>]*>>")
#: what MOSS writes around the texts of its original files
_MOSS = re.compile(r"^\s*<\|(?:Human|MOSS)\|>:\s*|\s*<eo[hm]>\s*$")


def read(shape: str, value: dict[str, Any], name: str, language: str) -> Iterator[ReadPiece | Unfit]:
    """Everything that is in one record; where it holds several questions, what is wrong with one is its own loss.

    Args:
        name, language: of a piece that has none of its own.
    """
    try:
        for draft in READERS[shape](folded(value)):
            try:
                yield draft if isinstance(draft, Unfit) else ReadPiece(_finished(draft[0], name, language), draft[1])
            except Unfit as error:
                yield error
    except Unfit as error:
        yield error


def renamed(value: Any, columns: dict[str, str]) -> Any:
    """A record whose fields have the names of its shape (`data.sources[].columns`): `{instruction: inputs}`."""
    if not columns or not isinstance(value, dict):
        return value
    given = {str(name).strip().lower(): content for name, content in value.items()}
    taken = {wanted: given.pop(name.strip().lower(), None) for wanted, name in columns.items()}
    return given | {wanted: content for wanted, content in taken.items() if content is not None}


def key(piece: Piece) -> str:
    """The content of a piece, by which duplicates are told and choices are made."""
    if isinstance(piece, Dialogue):
        return serialised(piece.turns)
    if isinstance(piece, SentencePair):
        return serialised([Turn(piece.source, piece.target)])
    return serialised([Turn(piece.paragraph, piece.question)])


Drafts = Iterator[tuple[Piece, Counter[str]] | Unfit]


#: keys under which a record keeps its messages, in the order in which they are looked for
_WRAPPERS = ("conversations", "conversation", "messages", "items")

#: texts that other shapes have, which a record of messages may hold as well
_BESIDE = ("instruction", "input", "output", "question", "answer", "query", "prompt", "response")


def _sharegpt(value: dict[str, Any]) -> Drafts:
    there = [value[k] for k in _WRAPPERS if k in value]
    found = next((each for each in there if each), there[0] if there else None)  # tables fill the others with nothing
    bare = {k: v for k, v in value.items() if k not in _WRAPPERS}
    if isinstance(found, dict):  # wrapped twice
        yield from _sharegpt(bare | folded(found) if _wrapped(found) else {})
        return
    several = [part for part in as_list(found) if isinstance(part, list) or _wrapped(part)]
    if several and len(several) == len(as_list(found)):
        parts = [bare | ({"messages": part} if isinstance(part, list) else folded(part)) for part in several]
        yield from _each(parts, _sharegpt)
        return
    if found and all(isinstance(message, str) for message in as_list(found)):  # LIMA's: texts alone, the user's first
        messages = [said({}, PAIR[place % 2], text) for place, text in enumerate(found)]
    else:
        messages = [of_chat(message) for message in as_list(found)]
    made, left_out = dialogue(value, messages)
    others = [value.get(key) for key in _BESIDE] + [each for each in there if each is not found]
    texts = {message.text.strip() for message in messages}
    left_out["other_text"] += sum(
        filled(other) and not (isinstance(other, str) and other.strip() in texts) for other in others
    )
    yield made, +left_out


def _wrapped(value: Any) -> bool:
    return isinstance(value, dict) and any(str(key).lower() in _WRAPPERS for key in value)


def _alpaca(value: dict[str, Any]) -> Drafts:
    messages = [
        *_history(value.get("history")),
        said({}, USER, _with_input(value, "instruction")),
        said({}, ASSISTANT, _parts(first(value, "output"))),
    ]
    yield dialogue(value, messages, consumed="history")


def _with_input(value: dict[str, Any], *names: str) -> list[Any]:
    """The first of these fields that is there, and below it what it is about."""
    more = value.get("input")
    asked = first(value, *names) if not more else next((value[n] for n in names if value.get(n) is not None), "")
    parts = [each for given in (asked, more or "") for each in (_parts(given) if given else [""])]
    return [each for each in parts if not isinstance(each, str) or each.strip()]


def _parts(value: Any) -> list[Any]:
    """A text, or the parts of one; not several texts, of which one would be enough."""
    parts = value if isinstance(value, list) else [as_text(value)]
    if isinstance(value, list) and not all(isinstance(part, dict) for part in parts):
        raise Unfit("not_text")
    return parts


def _history(history: Any) -> list[Message]:
    """Turns that came before: pairs of instruction and output, as a list or an object each, or messages."""
    messages = []
    for turn in as_list(history or []):
        if isinstance(turn, list):
            if len(turn) != 2:
                raise Unfit("missing_field")
            messages += [said({}, role, "" if text is None else text) for role, text in zip(PAIR, turn, strict=True)]
            continue
        fields = folded(turn)
        if any(key in fields for key in ("role", "from")):
            messages.append(of_chat(turn))
            continue
        asked = _with_input(fields, "instruction", "user", "human", "question", "prompt", "query")
        messages.append(said({}, USER, asked))
        messages.append(said(fields, ASSISTANT, first(fields, "output", "assistant", "gpt", "answer", "response")))
    return messages


def _moss(value: dict[str, Any]) -> Drafts:
    if "chat" in value:
        yield dialogue(value, _original_moss(value["chat"]))
        return
    messages = []
    for turn in as_list(value.get("conversation")):
        fields = folded(turn)
        messages.append(said({}, USER, first(fields, "human")))
        messages.append(said(fields, ASSISTANT, fields.get("assistant") or ""))
    yield dialogue(value, messages)


def _original_moss(chat: Any) -> list[Message]:
    """Turns by their number; one that calls a tool is no dialogue between two."""
    if not isinstance(chat, dict):
        raise Unfit("missing_field")
    messages = []
    for _, turn in sorted(chat.items(), key=lambda item: int(re.sub(r"\D", "", item[0]) or 0)):
        fields = folded(turn)
        if re.sub(r"<\|Commands\|>:|<eoc>|None|null", "", str(fields.get("commands") or "")).strip():
            raise Unfit("tool_use")
        thought = re.sub(r"<\|Inner Thoughts\|>:|<eot>|None|null", "", str(fields.get("inner thoughts") or "")).strip()
        fields = fields | {"thought": thought}
        for role, name in ((USER, "human"), (ASSISTANT, "moss")):
            text = _MOSS.sub("", as_text(first(fields, name)))
            messages.append(said(fields if role == ASSISTANT else {}, role, text))
    return messages


def _gsm8k(value: dict[str, Any]) -> Drafts:
    answer = _CALCULATION.sub("", as_text(first(value, "answer")))
    yield dialogue(value, [said({}, USER, as_text(first(value, "question"))), said({}, ASSISTANT, answer)])


def _plain(value: dict[str, Any]) -> Drafts:
    messages = []
    for turn in as_list(value.get("turns")):
        fields = folded(turn)
        messages.append(said({}, USER, _with_input(fields, "instruction")))
        messages.append(said(fields, ASSISTANT, first(fields, "output")))
    yield dialogue(value, messages)


def _squad(value: Any, title: str = "") -> Drafts:
    """SQuAD at any level of its nesting: file, article, paragraph, or one question beside its paragraph."""
    value = folded(value)
    title = title or str(value.get("title") or "")  # of the article, whatever its paragraphs are called
    inner = next((value[k] for k in ("data", "paragraphs") if k in value), None)
    if isinstance(inner, dict):
        yield from _squad(inner, title)
    elif inner is not None:
        yield from _each(inner, lambda part: _squad(part, title))
    elif "dtext" in value:
        yield from _each(value.get("questions"), lambda asked: _fgc(value, asked))
    elif "qas" in value:
        yield from _each(value["qas"], lambda asked: _asked(asked, value.get("context"), title))
    else:
        yield from _asked(value, value.get("context"), title)


def _pairs(value: dict[str, Any]) -> Drafts:
    """One pair, or as many as two lists have, each with its own fate."""
    if "source" not in value or "target" not in value:
        raise Unfit(ABSENT)
    source, target = value["source"], value["target"]
    if not isinstance(source, list) and not isinstance(target, list):
        source, target = [source], [target]
    if not (isinstance(source, list) and isinstance(target, list)) or len(source) != len(target):
        raise Unfit("not_aligned")
    name, spoken = name_of(value), str(value.get("source_language") or "")
    for number, (one, other) in enumerate(zip(source, target, strict=True), 1):
        own = f"{name}-{number}" if name and len(source) > 1 else name
        if not isinstance(one, str) or not isinstance(other, str):
            yield Unfit("missing_field" if one is None or other is None else "not_text")
        elif not one.strip() or not other.strip():
            yield Unfit(EMPTY)
        else:
            yield SentencePair(own, one.strip(), other.strip(), source_language=spoken), Counter()


def _each(parts: Any, read_one: Callable[[Any], Drafts]) -> Drafts:
    """All parts of a record, each with its own fate."""
    for part in as_list(parts):
        try:
            yield from read_one(part)
        except Unfit as error:
            yield error


def _asked(asked: Any, paragraph: Any, title: str) -> Drafts:
    asked = folded(asked)
    answers = asked.get("answers") or []
    if isinstance(answers, dict):  # the Hub's object of lists
        answers = answers.get("text")
    texts = [a.get("text") if isinstance(a, dict) else a for a in as_list(answers)]
    yield _question(name_of(asked), paragraph, first(asked, "question"), texts, title)


def _fgc(document: dict[str, Any], asked: Any) -> Drafts:
    asked = folded(asked)
    answers = asked.get("answer")
    found = answers if isinstance(answers, list) else [answers]
    texts = [folded(a).get("atext") or folded(a).get("text") if isinstance(a, dict) else a for a in found]
    title = str(document.get("did") or "")
    yield _question(name_of(asked), document["dtext"], first(asked, "qtext"), texts, title)


READERS: dict[str, Callable[[dict[str, Any]], Drafts]] = {
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "moss": _moss,
    "squad": _squad,
    "gsm8k": _gsm8k,
    "pairs": _pairs,
    "dialogue": _plain,
}


def _question(
    name: str, paragraph: Any, question: Any, answers: list[Any], article: str
) -> tuple[PassageQuestion, Counter[str]]:
    if not isinstance(paragraph, str) or not isinstance(question, str):
        raise Unfit("missing_field")
    if not paragraph.strip() or not question.strip():
        raise Unfit("empty_turn")
    texts = tuple(dict.fromkeys(a for a in answers if isinstance(a, str) and a.strip()))
    return PassageQuestion(name, paragraph, question, texts, article=article), Counter()


def _finished(piece: Piece, name: str, language: str) -> Piece:
    """With the name and language of its source where it has none."""
    try:
        written = piece.row() if isinstance(piece, Dialogue) else vars(piece)
        json.dumps(written, ensure_ascii=False).encode("utf-8")  # its labels too: all of it is written
    except UnicodeEncodeError:
        raise Unfit("lone_surrogate") from None
    own = LANGUAGES.get(piece.language.lower(), piece.language) or language
    facts = {"id": piece.id or name, "category": piece.category, "language": own}
    if isinstance(piece, Dialogue):
        return Dialogue(turns=piece.turns, paragraph=piece.paragraph, **facts)
    return replace(piece, **facts)
