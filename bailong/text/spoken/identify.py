"""Which language a text is in, by counting, and whether it is the one that was expected.

It knows Traditional Chinese, Simplified Chinese, English, other languages, and `undetermined`: of one-word texts
(日本, 1945, iPhone, Ya) a third carry no sign of a script or a language. What is no prose is left out first (prose.py).
Another language has a name where its script, its letters (alphabet.py) or its small words (latin.py) tell it, so that
a text can be expected in any of them. Its errors are measured by benchmarks/language_rule.py.
"""

import re
from typing import NamedTuple

from bailong.text.language import Language, letters_of
from bailong.text.script import HAN, KANA, tables
from bailong.text.spoken.alphabet import Named, alike, by_letters, by_script
from bailong.text.spoken.latin import ENGLISH, LATIN, foreign_name, speaks_english, titled
from bailong.text.spoken.prose import QUOTED, framed, prose, unread
from bailong.text.spoken.trace import own

LABELS = ("traditional", "simplified", "english", "other", "undetermined")
#: those that a text in Chinese is expected to have, by its script; without a script, either will do
EXPECTED = {"zh-Hant": ("traditional",), "zh-Hans": ("simplified",), "zh": ("traditional", "simplified")}

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
#: share of kana that makes Japanese of what is expected to be, and Han characters of a name or a heading in it
_FEW_KANA, _NAME = 0.05, 12
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

    `name` is that of a language which is `other`, where it is known, and `also` what it may as well be.
    """

    label: str
    han: int = 0
    simplified: int = 0
    traditional: int = 0
    words: int = 0
    foreign: int = 0
    name: str = ""
    also: tuple[str, ...] = ()


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


def is_in(found: LanguageCounts, expected: Language, answer: str) -> bool | None:
    """Whether what was found is the language asked for; None where that cannot be told."""
    if found.label == "undetermined":
        return None
    if expected.code == "en":
        return found.label == "english"
    if found.label != "other":
        # a Japanese name or heading has no kana, and a sentence in a formal style few
        japanese = expected.code == "ja" and found.label != "english"
        kana = len(KANA.findall(answer)) if japanese else 0
        if kana > _FEW_KANA * found.han or 0 < found.han + found.words <= letters_of(answer, expected.script):
            return True
        return None if japanese and found.han <= _NAME else False
    if expected.name == found.name and not (expected.script != "Latin" and found.words > found.foreign + found.han):
        return True
    if expected.script != "Latin" and expected.name in found.also:
        return True  # its script is all that there is to see
    unknown = not found.name and expected.script == "Latin" and found.words > found.foreign
    return None if unknown or expected.name == found.name or expected.name in found.also else False


def _counted(text: str) -> LanguageCounts:
    simplified, _, traditional = tables()
    words = _words(text)
    han, kana = len(HAN.findall(text)), len(KANA.findall(text))
    foreign = len(_FOREIGN.findall(text))
    s, t = len(simplified.findall(text)), len(traditional.findall(text))
    counts = (han, s, t, len(words), foreign)
    if kana > max(1, _KANA * (kana + han)) or foreign > max(han, len(words)):
        told = Named("Japanese") if kana > _KANA * (kana + han) else by_script(text)
        return LanguageCounts("other", *counts, *told)
    if han < len(words):
        bare = framed(text) if han else None
        if bare is None or len(_words(bare)) > len(HAN.findall(bare)):
            label, told = _latin(words, text)
            return LanguageCounts(label, *counts, *told)
    if s > t or any(
        2 <= len(simplified.findall(part)) > len(traditional.findall(part))
        for part in _SENTENCE.split(text)
        if s > 1 and len(HAN.findall(part)) > _WORD_SIGNS
    ):
        return LanguageCounts("simplified", *counts)
    return LanguageCounts("traditional" if t else "undetermined", *counts)


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if len(word) > 1 or word in "aAI"]


def _latin(written: list[str], text: str) -> tuple[str, Named]:
    """The label of a text in Latin letters, and the name of a language other than English."""
    words = [word.lower() for word in written]
    if len(words) < _FEWEST_WORDS or _titles(text):
        return "undetermined", Named()
    if (told := by_letters(text)).name:
        return "other", told
    if name := foreign_name(written):
        return "other", Named(name, alike(name))
    function = sum(ENGLISH.fullmatch(word) is not None for word in words) / len(words)
    accented = sum(not word.isascii() for word in words) / len(words)
    if function >= _MANY or (function >= _SOME and accented <= _ACCENTED):
        return ("english" if speaks_english(written) else "undetermined"), Named()
    foreign = accented > (_ACCENTED if len(words) >= _SHORT else _MOSTLY_ACCENTED)
    return ("other" if foreign or len(words) >= _PROSE else "undetermined"), Named()


def _titles(text: str) -> bool:
    """Whether a text is nothing but a title, or a list of them."""
    if text.rstrip().endswith((".", "!", "?", ":")):
        return False
    return all(titled(words) for part in _LISTED.split(text) if (words := _words(part)))
