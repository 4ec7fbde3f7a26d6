"""The shapes in which dialogues come, each read into `Dialogue`, or `PassageQuestion` where there is no output yet.

`sharegpt`   {"conversations": [{"from": "human", "value": ".."}, {"from": "gpt", "value": ".."}, ..]}; also
             `conversation`, `messages` or `items`, and `role` with `content`
`alpaca`     {"instruction": "..", "input": "..", "output": ".."}, also shibing624/medical
`moss`       {"conversation": [{"human": "..", "assistant": ".."}]}, or the original {"chat": {"turn_1": {..}}}
`squad`      SQuAD's nesting, whole (DRCD) or a row of it, flat or nested; and FGC's DTEXT, QUESTIONS, QTEXT, ANSWER
`gsm8k`      {"question": "..", "answer": ".. <<1+1=2>> .. #### 2"}; the calculator's notes are stripped
`dialogue`   {"turns": [{"instruction": "..", "output": ".."}]}, what `bailong-prepare` writes itself

Equation 8 knows two speakers in turn and no system. So a leading system message is left out, outputs before the first
instruction are left out, and so is a last instruction that nobody answered: each is counted, the rest stays. Everything
else that does not fit costs the whole record, with one word that says why (`Unfit`).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from bailong.data.turns import Dialogue, Turn, serialised


class Unfit(ValueError):
    """A record that is no dialogue, and why, in one word: `missing_field`, `odd_role`, `odd_order`, `empty_turn`,
    `no_turns`, `tool_use`, `not_text`, `lone_surrogate`."""


@dataclass(frozen=True)
class PassageQuestion:
    """A passage and a question about it, which `instances` makes into a dialogue. `answers` are those of the data."""

    id: str
    paragraph: str
    question: str
    answers: tuple[str, ...] = ()
    category: str = ""
    language: str = ""


Piece = Dialogue | PassageQuestion


class ReadPiece(NamedTuple):
    """One piece, and what was left out of it: name -> times."""

    piece: Piece
    left_out: Counter[str]


USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
ROLES = {
    "human": USER,
    "user": USER,
    "gpt": ASSISTANT,
    "assistant": ASSISTANT,
    "chatgpt": ASSISTANT,
    "bing": ASSISTANT,
    "bard": ASSISTANT,
    "bot": ASSISTANT,
    "model": ASSISTANT,
    "system": SYSTEM,
}
#: keys under which a record keeps its name, in the order in which they are looked for
IDS = ("id", "conversation_id", "QID", "qid")
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
        for draft in READERS[shape](value):
            try:
                yield draft if isinstance(draft, Unfit) else ReadPiece(_finished(draft[0], name, language), draft[1])
            except Unfit as error:
                yield error
    except Unfit as error:
        yield error


def key(piece: Piece) -> str:
    """The content of a piece, by which duplicates are told and choices are made."""
    if isinstance(piece, Dialogue):
        return serialised(piece.turns)
    return serialised([Turn(piece.paragraph, piece.question)])


Drafts = Iterator[tuple[Piece, Counter[str]] | Unfit]


def _sharegpt(value: dict[str, Any]) -> Drafts:
    messages = next((value[k] for k in ("conversations", "conversation", "messages", "items") if k in value), None)
    pairs = []
    for message in _list(messages):
        role = _first(message, "from", "role")
        if str(role).lower() not in ROLES:
            raise Unfit("odd_role")
        pairs.append((ROLES[str(role).lower()], _first(message, "value", "content")))
    yield _dialogue(value, pairs)


def _alpaca(value: dict[str, Any]) -> Drafts:
    more = value.get("input") or ""
    instruction = _text(_first(value, "instruction"))
    instruction += f"\n{_text(more)}" if _text(more).strip() else ""
    yield _dialogue(value, [(USER, instruction), (ASSISTANT, _first(value, "output"))])


def _moss(value: dict[str, Any]) -> Drafts:
    if "chat" in value:
        yield _dialogue(value, _original_moss(value["chat"]))
        return
    pairs = []
    for turn in _list(value.get("conversation")):
        pairs += [(USER, _first(turn, "human")), (ASSISTANT, turn.get("assistant") or "")]
    yield _dialogue(value, pairs)


def _original_moss(chat: Any) -> list[tuple[str, Any]]:
    """Turns by their number; one that calls a tool is no dialogue between two."""
    if not isinstance(chat, dict):
        raise Unfit("missing_field")
    pairs = []
    for _, turn in sorted(chat.items(), key=lambda item: int(re.sub(r"\D", "", item[0]) or 0)):
        if not isinstance(turn, dict):
            raise Unfit("missing_field")
        if re.sub(r"<\|Commands\|>:|<eoc>|None|null", "", str(turn.get("Commands") or "")).strip():
            raise Unfit("tool_use")
        for role, name in ((USER, "Human"), (ASSISTANT, "MOSS")):
            pairs.append((role, _MOSS.sub("", _text(_first(turn, name)))))
    return pairs


def _gsm8k(value: dict[str, Any]) -> Drafts:
    answer = _CALCULATION.sub("", _text(_first(value, "answer")))
    yield _dialogue(value, [(USER, _first(value, "question")), (ASSISTANT, answer)])


def _plain(value: dict[str, Any]) -> Drafts:
    pairs = []
    for turn in _list(value.get("turns")):
        pairs += [(USER, _first(turn, "instruction")), (ASSISTANT, _first(turn, "output"))]
    yield _dialogue(value, pairs)


def _squad(value: Any, title: str = "") -> Drafts:
    """SQuAD at any level of its nesting: file, article, paragraph, or one question beside its paragraph."""
    if not isinstance(value, dict):
        raise Unfit("missing_field")
    title = str(value.get("title") or title)
    inner = next((value[k] for k in ("data", "paragraphs") if k in value), None)
    if isinstance(inner, dict):
        yield from _squad(inner, title)
    elif inner is not None:
        yield from _each(inner, lambda part: _squad(part, title))
    elif "DTEXT" in value:
        yield from _each(value.get("QUESTIONS"), lambda asked: _fgc(value, asked))
    elif "qas" in value:
        yield from _each(value["qas"], lambda asked: _asked(asked, value.get("context")))
    else:
        yield from _asked(value, value.get("context"))


def _each(parts: Any, read_one: Callable[[Any], Drafts]) -> Drafts:
    """All parts of a record, each with its own fate."""
    for part in _list(parts):
        try:
            yield from read_one(part)
        except Unfit as error:
            yield error


def _asked(asked: Any, paragraph: Any) -> Drafts:
    answers = _first(asked, "answers") if isinstance(asked, dict) and asked.get("answers") else []
    if isinstance(answers, dict):  # the Hub's object of lists
        answers = answers.get("text")
    texts = [a.get("text") if isinstance(a, dict) else a for a in _list(answers)]
    yield _question(_name(asked), paragraph, _first(asked, "question"), texts)


def _fgc(document: dict[str, Any], asked: Any) -> Drafts:
    answers = asked.get("ANSWER") if isinstance(asked, dict) else None
    found = answers if isinstance(answers, list) else [answers]
    texts = [a.get("ATEXT") or a.get("text") if isinstance(a, dict) else a for a in found]
    yield _question(_name(asked), document["DTEXT"], _first(asked, "QTEXT"), texts)


READERS: dict[str, Callable[[dict[str, Any]], Drafts]] = {
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "moss": _moss,
    "squad": _squad,
    "gsm8k": _gsm8k,
    "dialogue": _plain,
}


def _dialogue(value: dict[str, Any], messages: list[tuple[str, Any]]) -> tuple[Dialogue, Counter[str]]:
    """A dialogue from (role, text) in order, without what equation 8 has no place for."""
    left_out: Counter[str] = Counter()
    texts = [(role, _text(text)) for role, text in messages]
    if texts and texts[0][0] == SYSTEM:
        texts, left_out["system"] = texts[1:], 1
    while texts and texts[0][0] == ASSISTANT:
        texts = texts[1:]
        left_out["leading_output"] += 1
    if texts and texts[-1][0] == ASSISTANT and not texts[-1][1].strip():
        texts = texts[:-1]
    if texts and texts[-1][0] == USER:
        texts, left_out["unanswered"] = texts[:-1], 1
    if not texts:
        raise Unfit("no_turns")
    if [role for role, _ in texts] != [USER, ASSISTANT] * (len(texts) // 2):
        raise Unfit("odd_role" if any(role == SYSTEM for role, _ in texts) else "odd_order")
    if not all(text.strip() for _, text in texts):
        raise Unfit("empty_turn")
    turns = tuple(Turn(texts[i][1], texts[i + 1][1]) for i in range(0, len(texts), 2))
    facts = {k: str(value.get(k) or "") for k in ("category", "language", "paragraph")}
    return Dialogue(_name(value), turns, **facts), +left_out


def _question(name: str, paragraph: Any, question: Any, answers: list[Any]) -> tuple[PassageQuestion, Counter[str]]:
    if not isinstance(paragraph, str) or not isinstance(question, str):
        raise Unfit("missing_field")
    if not paragraph.strip() or not question.strip():
        raise Unfit("empty_turn")
    texts = tuple(dict.fromkeys(a for a in answers if isinstance(a, str) and a.strip()))
    return PassageQuestion(name, paragraph, question, texts), Counter()


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
    return PassageQuestion(paragraph=piece.paragraph, question=piece.question, answers=piece.answers, **facts)


def _name(value: Any) -> str:
    return str(next((value[k] for k in IDS if value.get(k) not in (None, "")), "")) if isinstance(value, dict) else ""


def _first(value: Any, *names: str) -> Any:
    """The first of these fields that is there."""
    for name in names:
        if isinstance(value, dict) and value.get(name) is not None:
            return value[name]
    raise Unfit("missing_field")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("not_text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit("missing_field")
    return value
