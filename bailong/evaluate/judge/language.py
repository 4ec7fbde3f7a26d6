"""Which language an answer is in, by counting: a rule beside the judge, which gives the same word every time.

The paper's judge is told to give 0 to an answer in another language than the question's, and to any Simplified
Chinese; it obeys with its mood. This rule knows Traditional Chinese, Simplified Chinese, English, other languages, and
`undetermined`: of one-word answers (日本, 1945, iPhone, Ya) a third carry no sign of a script or a language. What is no
prose is left out first (prose.py); Simplified words in an answer that is in Traditional Chinese are a trace (trace.py).
Its errors are measured by benchmarks/language_rule.py.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.latin import ENGLISH, LATIN, foreign_name, titled
from bailong.evaluate.judge.prose import QUOTED, framed, prose, unread
from bailong.evaluate.judge.trace import Trace, own, trace, wants_simplified
from bailong.text.script import HAN, KANA, tables

LABELS = ("traditional", "simplified", "english", "other", "undetermined")
#: what an item's `answer_language` asks for
EXPECTED = {"zh-Hant": "traditional", "zh-Hans": "simplified", "en": "english"}

#: fewer Latin words are no language yet (New York)
_FEWEST_WORDS = 3
#: shares of function words: English prose has a third; below the second, it is another language or a list of names
_MANY, _SOME = 0.2, 0.08
#: words with diacritics: English has names (2 %), French 15 %, Turkish 50 %, Vietnamese 70 %
_ACCENTED, _MOSTLY_ACCENTED = 0.1, 0.3
#: in a text of fewer words than the first, one name with a diacritic is no sign; one of fewer than the second without
#: function words may still be English (a list, a sum in words)
_SHORT, _PROSE = 10, 40
#: kana beyond this share of kana and Han characters: Japanese (half), not Chinese with a Japanese name in it
_KANA = 0.35
#: Han characters of a word: a heading of one (优点) is a trace, and no sentence in Simplified Chinese
_WORD_SIGNS = 4

_WORD = re.compile(rf"{LATIN}+(?:'{LATIN}+)*")
# letters of any other alphabet, in runs; bopomofo and its tones belong to Chinese, phonetic signs to no language
_FOREIGN = re.compile(
    r"(?:(?![A-Za-z\u00aa\u00ba\u00c0-\u02ff\u1d00-\u1dbf\u1e00-\u1eff\u2e80-\u2fff\u3005-\u3007\u3021-\u312f\u31a0-\u31ef])"
    r"[^\W\d_](?<![\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]))+"
)
# between titles that are listed; a full stop makes a sentence
_LISTED = re.compile(r"[\n,;、]")
_SENTENCE = re.compile(r"[。！？!?；;\n]+")


class LanguageCounts(NamedTuple):
    """A label, and the counts it rests on: Han characters, those of one script only, Latin and foreign words.

    `name` is that of a language in Latin letters which is `other`, where it is known.
    """

    label: str
    han: int = 0
    simplified: int = 0
    traditional: int = 0
    words: int = 0
    foreign: int = 0
    name: str = ""


class Ruling(NamedTuple):
    """What the rule says about an answer.

    Attributes:
        status: `ok`, `violation`, `exempt` (the item leaves the language free, or asks for Simplified Chinese), or
            `undetermined`.
        label: of the answer, one of LABELS.
        reason: a few words with counts.
        trace: of Simplified Chinese, in an answer that is to be, and otherwise is, in Traditional Chinese; else None.
    """

    status: str
    label: str
    reason: str
    trace: Trace | None = None


def language_of(text: str, question: str = "") -> LanguageCounts:
    """The language of a text, without what is no prose, and (where anything else is left) quoted names.

    A text with signs of Simplified Chinese is `simplified` when they outnumber those of Traditional Chinese in all of
    it or, two at least, in one sentence of more than a word. Fewer are a trace. Japanese that a Chinese sentence only
    quotes is no sign.

    Args:
        question: Simplified words that a question in Traditional Chinese holds are no sign in the answer.
    """
    said = unread(own(prose(text), question))
    outside = QUOTED.sub(" ", said)
    found = _counted(outside)
    if found.label != "undetermined":
        return found
    cited = framed(outside) is not None and not KANA.search(outside)
    return _counted(KANA.sub(" ", said) if cited else said)


def verdict(item: Item, answers: Sequence[str]) -> Ruling:
    """Whether the answers to an item, one per turn, are in the language that it asks for.

    One turn in a wrong language is a violation; the label is then that turn's, else of the first that has one.
    """
    questions = ["\n".join(item.prompts[: number + 1]) for number in range(len(answers))]
    turns = [language_of(answer, question) for answer, question in zip(answers, questions, strict=True)]
    label = next((found.label for found in turns if found.label != "undetermined"), "undetermined")
    if item.language_free:
        return Ruling("exempt", label, "the item leaves the language free")
    language = item.answer_language or item.language
    expected = EXPECTED.get(language)
    if expected is None:
        return Ruling("undetermined", label, f"no rule for answers in {language or 'an unknown language'}")
    asked = [expected == "traditional" and wants_simplified(question) for question in questions]
    for number, found in enumerate(turns, 1):
        accepted = {expected, "undetermined"} | ({"simplified"} if asked[number - 1] else set())
        if found.label not in accepted:
            return Ruling("violation", found.label, f"turn {number}: {_evidence(found)}, not {expected}")
    if any(asked):
        return Ruling("exempt", label, "a question asks for Simplified Chinese")
    if expected != "traditional":
        return Ruling(*(("undetermined", label, _TOO_LITTLE) if label == "undetermined" else ("ok", label, "")))
    leaked = trace("\n".join(own(prose(answer), of) for answer, of in zip(answers, questions, strict=True)))
    told = _told(leaked) if leaked.words else ""
    if label == "undetermined":
        return Ruling("undetermined", label, told or _TOO_LITTLE, leaked)
    return Ruling("ok", label, told, leaked)


def _counted(text: str) -> LanguageCounts:
    simplified, _, traditional = tables()
    words = _words(text)
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    foreign = len(_FOREIGN.findall(text))
    s, t = len(simplified.findall(text)), len(traditional.findall(text))
    counts = (han, s, t, len(words), foreign)
    if kana > max(1, _KANA * (kana + han)) or foreign > max(han, len(words)):
        return LanguageCounts("other", *counts)
    if han < len(words):
        bare = framed(text) if han else None
        if bare is None or len(_words(bare)) > len(HAN.findall(bare)):
            label, name = _latin(words, text)
            return LanguageCounts(label, *counts, name)
    if s > t or any(
        2 <= len(simplified.findall(part)) > len(traditional.findall(part))
        for part in _SENTENCE.split(text)
        if s > 1 and len(HAN.findall(part)) > _WORD_SIGNS
    ):
        return LanguageCounts("simplified", *counts)
    return LanguageCounts("traditional" if t else "undetermined", *counts)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) > 1 or word in "aAI"]


def _latin(written: list[str], text: str) -> tuple[str, str]:
    """The label of a text in Latin letters, and the name of a language other than English."""
    words = [word.lower() for word in written]
    if len(words) < _FEWEST_WORDS or _titles(text):
        return "undetermined", ""
    if name := foreign_name(written):
        return "other", name
    function = sum(ENGLISH.fullmatch(word) is not None for word in words) / len(words)
    accented = sum(not word.isascii() for word in words) / len(words)
    if function >= _MANY or (function >= _SOME and accented <= _ACCENTED):
        return "english", ""
    foreign = accented > (_ACCENTED if len(words) >= _SHORT else _MOSTLY_ACCENTED)
    return ("other" if foreign or len(words) >= _PROSE else "undetermined"), ""


_TOO_LITTLE = "too little to tell"


def _titles(text: str) -> bool:
    """Whether a text is nothing but a title, or a list of them."""
    if text.rstrip().endswith((".", "!", "?", ":")):
        return False
    return all(titled(words) for part in _LISTED.split(text) if (words := _words(part)))


def _told(leaked: Trace) -> str:
    shown = ", ".join(list(dict.fromkeys(leaked.words))[:5])
    return f"a trace of Simplified Chinese: {shown} ({leaked.characters} Han characters, {100 * leaked.share:.1f} %)"


def _evidence(found: LanguageCounts) -> str:
    if found.label in ("traditional", "simplified"):
        return (
            f"{found.label} ({found.simplified} Simplified, {found.traditional} Traditional of {found.han} characters)"
        )
    label = f"{found.label}, {found.name}" if found.name else found.label
    return f"{label} ({found.han} Han characters, {found.words} Latin and {found.foreign} other words)"
