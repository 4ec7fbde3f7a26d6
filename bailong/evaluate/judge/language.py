"""Which language an answer is in, by counting: a rule beside the judge, which gives the same word every time.

The paper's judge is told to give 0 to an answer in another language than the question's, and to any Simplified
Chinese; it obeys with its mood. This rule knows Traditional Chinese, Simplified Chinese, English, other languages, and
`undetermined`: of one-word answers (日本, 1945, iPhone) a third carry no sign of a script. Its errors are measured by
benchmarks/language_rule.py.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from bailong.evaluate.benchmark.item import Item
from bailong.text.script import HAN, KANA, tables
from bailong.text.spans import protected, replaced

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

_LATIN = r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"
_WORD = re.compile(rf"{_LATIN}+(?:'{_LATIN}+)*")
# letters of any other alphabet, in runs; bopomofo belongs to Chinese
_FOREIGN = re.compile(
    r"(?:(?![A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\u2e80-\u2fff\u3005-\u3007\u3021-\u312f\u31a0-\u31ef])[^\W\d_]"
    r"(?<![\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]))+"
)
_FUNCTION_WORD = re.compile(
    r"the|of|to|and|a|in|is|it|that|for|you|was|on|are|as|with|his|they|at|be|this|have|from|or|had|by|not|but|what|all|"
    r"were|we|when|your|can|there|an|which|their|if|will|how|about|then|them|would|so|these|her|him|has|more|could|no|"
    r"than|been|who|its|my|i|he|she|do|did|does|me|our|us|very|just|should|here's|it's|don't|i'm|yes"
)
_QUOTED = re.compile(
    r"「[^「」\n]{1,40}」|『[^『』\n]{1,40}』|《[^《》\n]{1,40}》|〈[^〈〉\n]{1,40}〉|“[^“”\n]{1,40}”|\"[^\"\n]{1,40}\""
)
_FORMULA = re.compile(r"\$\$?[^$\n]{1,200}\$?\$|\\[A-Za-z]+")
_SENTENCE = re.compile(r"[。！？!?；;\n]+")


class LanguageCounts(NamedTuple):
    """A label, and the counts it rests on: Han characters, those of one script only, Latin and foreign words."""

    label: str
    han: int = 0
    simplified: int = 0
    traditional: int = 0
    words: int = 0
    foreign: int = 0


class Ruling(NamedTuple):
    """What the rule says about an answer.

    Attributes:
        status: `ok`, `violation`, `exempt` (the item leaves the language free), or `undetermined`.
        label: of the answer, one of LABELS.
        reason: a few words with counts.
    """

    status: str
    label: str
    reason: str


def language_of(text: str) -> LanguageCounts:
    """The language of a text, without its code, URLs, formulas, and (where anything else is left) quoted names.

    A text with signs of Simplified Chinese is `simplified` when they outnumber those of Traditional Chinese in all of
    it or, two at least, in one sentence. A single one amid Traditional Chinese is a name or an old variant (庄, 厘).
    """
    prose = _prose(text)
    found = _counted(_QUOTED.sub(" ", prose))
    return found if found.label != "undetermined" else _counted(prose)


def verdict(item: Item, answers: Sequence[str]) -> Ruling:
    """Whether the answers to an item, one per turn, are in the language that it asks for.

    One turn in a wrong language is a violation; the label is then that turn's, else of the first that has one.
    """
    turns = [language_of(answer) for answer in answers]
    label = next((found.label for found in turns if found.label != "undetermined"), "undetermined")
    if item.language_free:
        return Ruling("exempt", label, "the item leaves the language free")
    language = item.answer_language or item.language
    expected = EXPECTED.get(language)
    if expected is None:
        return Ruling("undetermined", label, f"no rule for answers in {language or 'an unknown language'}")
    for number, found in enumerate(turns, 1):
        if found.label not in (expected, "undetermined"):
            return Ruling("violation", found.label, f"turn {number}: {_evidence(found)}, not {expected}")
    if label == "undetermined":
        return Ruling("undetermined", label, "too little to tell")
    return Ruling("ok", label, "")


def _prose(text: str) -> str:
    bare = replaced(text, ((span.start, span.end, " ") for span in protected(text)))
    return unicodedata.normalize("NFKC", _FORMULA.sub(" ", bare)).replace("’", "'")


def _counted(text: str) -> LanguageCounts:
    simplified, _, traditional = tables()
    words = [word.lower() for word in _WORD.findall(text) if len(word) > 1 or word in "aAI"]
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    foreign = len(_FOREIGN.findall(text))
    s, t = len(simplified.findall(text)), len(traditional.findall(text))
    counts = (han, s, t, len(words), foreign)
    if kana > max(1, _KANA * (kana + han)) or foreign > max(han, len(words)):
        return LanguageCounts("other", *counts)
    if han < len(words):
        return LanguageCounts(_latin(words), *counts)
    if s > t or any(
        2 <= len(simplified.findall(part)) > len(traditional.findall(part)) for part in _SENTENCE.split(text) if s > 1
    ):
        return LanguageCounts("simplified", *counts)
    return LanguageCounts("traditional" if t else "undetermined", *counts)


def _latin(words: list[str]) -> str:
    if len(words) < _FEWEST_WORDS:
        return "undetermined"
    function = sum(_FUNCTION_WORD.fullmatch(word) is not None for word in words) / len(words)
    accented = sum(not word.isascii() for word in words) / len(words)
    if function >= _MANY or (function >= _SOME and accented <= _ACCENTED):
        return "english"
    foreign = accented > (_ACCENTED if len(words) >= _SHORT else _MOSTLY_ACCENTED)
    return "other" if foreign or len(words) >= _PROSE else "undetermined"


def _evidence(found: LanguageCounts) -> str:
    if found.label in ("traditional", "simplified"):
        return (
            f"{found.label} ({found.simplified} Simplified, {found.traditional} Traditional of {found.han} characters)"
        )
    return f"{found.label} ({found.han} Han characters, {found.words} Latin and {found.foreign} other words)"
