"""Dialogues translated by an API (paper, section 4.2: GSM8K into Traditional Chinese), numbers checked."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.data.turns import Dialogue, Turn
from bailong.prepare.dialogue import wording
from bailong.prepare.dialogue.shapes import Piece
from bailong.prepare.dialogue.step import Context, DialogueStep, batches, dialogue
from bailong.text.fill import fill
from bailong.text.language import code, is_chinese, letters_of, other_than_chinese
from bailong.text.language import language as written
from bailong.text.script import HAN

if TYPE_CHECKING:
    from bailong.api.call import Call, Reply

#: tokens of a translation for each character of English, for a plan. Table 4 of the paper: questions and answers of
#: GSM8K have 194 characters in Chinese, 1.43 tokens each; 2,000 of its training items have 480 on average in English.
LENGTHENED = 194 * 1.43 / 480

#: the same into an alphabet: as many letters, some three to a token
LENGTHENED_IN_LETTERS = 0.4

#: what is wrong with a translation, in the words in which it is asked for again
WRONG = {
    "no_sections": "沒有依照「[題目]」「[解答]」的格式",
    "untranslated": "內容沒有翻譯成中文",
    "answer_lost": "最後一行的「#### 數字」不見了",
    "answer_changed": "最後一行「#### 」後面的數與原文不同",
    "number_lost": "原文裡有數字沒有出現在譯文中",
}
WRONG_IN = {
    "en": {
        "no_sections": "it is not in the form that was asked for",
        "untranslated": "it is not translated",
        "answer_lost": 'the last line, "#### " and a number, is missing',
        "answer_changed": 'the number behind "#### " in the last line is another one than in the original',
        "number_lost": "a number of the original does not occur in the translation",
    },
    "tr": {
        "no_sections": "istenen biçimde değil",
        "untranslated": "çevrilmemiş",
        "answer_lost": '"#### " ve sayıdan oluşan son satır yok',
        "answer_changed": 'son satırda "#### " ardındaki sayı özgün metindekinden farklı',
        "number_lost": "özgün metindeki bir sayı çeviride geçmiyor",
    },
}

#: what stands above the slots of a prompt, and above the parts of the reply
HEADINGS = ("題目", "解答")
_HEADED = re.compile(r"^\[([^\]\n]+)\]\n\{(instruction|output)\}", re.MULTILINE)
_ANSWER = re.compile(r"\s*####\s*(.*)")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


@dataclass
class Translate(DialogueStep):
    """Each turn is one call, instruction and output together, so that both use the same names.

    A turn that ends in `#### n` must end in the same n when it is translated, however it is written (１，０８０ is
    1,080); the line is then put back as it was. A reply that cannot be taken is asked for once more with what was wrong
    with it; a dialogue of which one turn fails is dropped.

    Attributes:
        prompt, again: template files; {instruction} and {output}, {reason}.
        numbers: `answer` checks the number behind ####; `all` every number of the text as well, which also refuses
            honest rewriting (1.5 million -> 150 萬).
        language: of the translation, for the label and the prompts, of which there are Chinese, English and Turkish
            ones, and one in English that names any other language; a prompt of one's own has a [heading] above each
            slot, which the reply repeats.
        temperature, max_tokens: of the API. The paper does not give them.
    """

    prompt: str = "translate.txt"
    again: str = "translate_again.txt"
    numbers: str = "answer"
    language: str = "zh-Hant"
    reask: bool = True
    temperature: float = 0.0
    max_tokens: int = 1024

    name: ClassVar[str] = "translate"

    def __post_init__(self) -> None:
        self.one_of("numbers", ("answer", "all"))
        self.require(self.temperature >= 0, "temperature", "0 or above")
        self.require(self.max_tokens > 0, "max_tokens", "above 0")

    def asks(self) -> bool:
        return True

    def facts(self) -> dict[str, Any]:
        return {"prompt": wording.digest(self._prompt()), "again": wording.digest(self._again())}

    def run(self, pieces: Iterator[Piece], context: Context) -> Iterator[Piece]:
        for batch in batches(pieces):
            dialogues = [dialogue(piece) for piece in batch]
            turns = [turn for found in dialogues for turn in found.turns]
            results = iter(self._translated(turns, context))
            for found in dialogues:
                mine = [next(results) for _ in found.turns]
                if reason := next((reason for _, reason, _ in mine if reason), ""):
                    context.flow.drop(reason, found)
                    for turn, (_, wrong, reply) in zip(found.turns, mine, strict=True):
                        if wrong and reply is not None:
                            context.fail(_failure(found, turn, wrong, reply))
                    continue
                made = dataclasses.replace(
                    found, turns=tuple(turn for turn, _, _ in mine), language=self.language or found.language
                )
                if mine[0][2] is not None:
                    context.flow.sample("translated", made, before=_shown(found.turns[0]), after=_shown(made.turns[0]))
                yield made

    def _translated(self, turns: list[Turn], context: Context) -> list[tuple[Turn, str, Reply | None]]:
        """Each turn translated, or what is wrong with it; and the last reply."""
        prompt, again = self._prompt(), self._again()
        calls = [self._call(prompt, turn) for turn in turns]
        lengthened = LENGTHENED if is_chinese(self.language or "zh") else LENGTHENED_IN_LETTERS
        expected = round(lengthened * sum(len(text) for turn in turns for text in turn) / len(turns))
        replies = context.ask(calls, expected)
        found = [self._taken(turn, reply) for turn, reply in zip(turns, replies, strict=True)]
        wrong = [i for i, (_, reason, _) in enumerate(found) if reason in WRONG]
        if self.reask and wrong:
            context.flow.counts["asked again"] += len(wrong)
            second = [_repeated(calls[i], found[i], again, self.language) for i in wrong]
            for i, reply in zip(wrong, context.ask(second, expected), strict=True):
                found[i] = self._taken(turns[i], reply)
                context.flow.counts["right at the second time"] += not found[i][1]
        return found

    def _taken(self, turn: Turn, reply: Reply | None) -> tuple[Turn, str, Reply | None]:
        if reply is None:  # a plan
            return turn, "", None
        if reply.status != "ok" or not reply.text:
            return turn, reply.status if reply.status != "ok" else "empty", reply
        made, reason = read(turn, reply.text, self.numbers, self.language, headings(self._prompt()))
        return made or turn, reason, reply

    def _call(self, prompt: str, turn: Turn) -> Call:
        from bailong.api.call import Call

        text = fill(prompt, {"instruction": turn.instruction.strip(), "output": turn.output.strip()}, self.prompt)
        return Call([{"role": "user", "content": text}], self.temperature, self.max_tokens, kind=self.name)

    def _prompt(self) -> str:
        return wording.load(self.prompt, "dialogue.translate.prompt", ("instruction", "output"), self.language)

    def _again(self) -> str:
        return wording.load(self.again, "dialogue.translate.again", ("reason",), self.language)


def headings(prompt: str) -> tuple[str, str]:
    """What a prompt writes above the instruction and the output; the Chinese ones where it writes nothing."""
    found = {slot: heading for heading, slot in _HEADED.findall(prompt)}
    return found.get("instruction", HEADINGS[0]), found.get("output", HEADINGS[1])


def read(
    turn: Turn,
    text: str,
    numbers: str = "answer",
    language: str = "zh-Hant",
    headed: tuple[str, str] = HEADINGS,
) -> tuple[Turn | None, str]:
    """The translation of a turn from the API's reply, and what is wrong with it (a key of `WRONG`, or nothing)."""
    first, second = (rf"[\[［【]\s*{re.escape(heading)}\s*[\]］】][:：]?" for heading in headed)
    sections = re.search(rf"{first}(.*?){second}(.*)", text, re.DOTALL)
    if sections is None or not sections[1].strip() or not sections[2].strip():
        return None, "no_sections"
    made = Turn(sections[1].strip(), sections[2].strip())
    if any(_untranslated(old, new, language) for old, new in zip(turn, made, strict=True) if len(new) > 40):
        return None, "untranslated"
    output, reason = with_answer(turn.output, made.output)
    if reason:
        return None, reason
    if numbers == "all" and any(values(old) - values(new) for old, new in zip(turn, made, strict=True)):
        return None, "number_lost"
    return Turn(made.instruction, output, turn.trained), ""


def _untranslated(source: str, made: str, language: str) -> bool:
    """Whether a text has nothing of the script of the language, or, in Latin letters, is the source itself."""
    if is_chinese(language):
        return HAN.search(made) is None
    known = written(language)
    if known is not None and known.script not in ("Latin", "Kana"):
        return not letters_of(made, known.script)
    return " ".join(made.split()).casefold() == " ".join(source.split()).casefold()


def with_answer(source: str, translated: str) -> tuple[str, str]:
    """A translated output whose last line is the `#### n` of the source to the letter, and what is wrong with it."""
    asked = [line for line in map(_answer, source.split("\n")) if line is not None]
    if not asked or not values(asked[-1]):
        return translated, ""
    lines = translated.split("\n")
    last = next((i for i in reversed(range(len(lines))) if _answer(lines[i]) is not None), None)
    given = "" if last is None else _answer(lines[last]) or ""
    if not values(given):
        return translated, "answer_lost"
    if values(given) != values(asked[-1]) or _negative(given) != _negative(asked[-1]):
        return translated, "answer_changed"
    return "\n".join([*lines[:last], f"#### {asked[-1]}"]).strip(), ""


def _answer(line: str) -> str | None:
    """What stands behind the four signs; None if the line has none."""
    found = _ANSWER.match(unicodedata.normalize("NFKC", line))
    return found[1].strip() if found else None


def values(text: str) -> set[Decimal]:
    """The numbers in a text by their values: thousands separators and full-width digits play no part."""
    return {Decimal(found.replace(",", "")) for found in _NUMBER.findall(unicodedata.normalize("NFKC", text))}


def _negative(text: str) -> bool:
    return bool(re.match(r"\s*[$€£]?\s*[-−–]\s*[$€£]?\s*\d", unicodedata.normalize("NFKC", text)))


def _repeated(call: Call, found: tuple[Turn, str, Reply | None], again: str, language: str) -> Call:
    """The same call with the reply that could not be taken, and why."""
    _, reason, reply = found
    assert reply is not None
    reasons = WRONG if not other_than_chinese(language) else WRONG_IN.get(code(language), WRONG_IN["en"])
    more = [
        {"role": "assistant", "content": reply.text or ""},
        {"role": "user", "content": fill(again, {"reason": reasons[reason]})},
    ]
    return dataclasses.replace(call, messages=[*call.messages, *more])


def _failure(found: Dialogue, turn: Turn, reason: str, reply: Reply) -> dict[str, Any]:
    status = reason if reply.status == "ok" else reply.status
    row = {"id": found.id, "status": status, "error": reply.error, "key": reply.key}
    return row | {"instruction": turn.instruction, "output": turn.output, "text": reply.text}


def _shown(turn: Turn) -> str:
    return f"{turn.instruction}\n\n{turn.output}"
