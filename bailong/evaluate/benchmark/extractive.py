"""Exact match and F1 of extracted answers, after the rules of MLQA (Lewis et al., 2020, section 5), written anew.

Lower case; no punctuation; no articles of the language (the Arabic one where a word begins with it, as
lm-evaluation-harness has it; MLQA's own script takes its two letters away inside of words too); Chinese, Japanese,
Thai, Lao, Burmese and Khmer are compared character by character where they are written without spaces, and word by word
where they are not (Latin words, numbers). Both sides are compared in one form: composed (NFC), without characters that
show nothing, in the lower case of their language, and in Chinese, Japanese and Korean with letters, digits and kana of
one width; symbols that ASCII calls punctuation (＄, ～) are punctuation in full width too. The best of all accepted
answers counts.

Two cases that MLQA leaves open: an answer that is nothing but articles and punctuation is compared as it is written,
and so is one that is accepted to be so (a gold `%`), instead of matching everything that is empty too.

Beside them stands `match`, the measure of cross-lingual instruction tuning (Zhu et al., arXiv 2308.04948): whether the
first accepted answer, in lower case, is a part of the answer in lower case. It knows nothing of words: 10 is in 1066.
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from bailong.text.language import code

#: words that carry no meaning for the match; languages that are not here have none
ARTICLES = {
    "en": "a an the",
    "de": "ein eine einen einem eines einer der die das den dem des",
    "es": "un una unos unas el la los las",
    "vi": "của là cái chiếc những",
}
#: an article that is written together with the word behind it
PREFIXES = {"ar": "ال"}
#: languages written without spaces, by characters of these blocks
CHARACTERS = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007"  # 々〆〇
    "\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U00020000-\U000323af"
    "]"
)
BY_CHARACTER = ("zh", "ja", "th", "lo", "my", "km")
#: languages that have letters of full width and kana of half width
WIDTHS = ("zh", "ja", "ko")
_OTHER_WIDTH = re.compile("[\uff00-\uffef]+")
#: languages in which i and ı are two letters, with capitals of their own
DOTLESS = ("tr", "az", "crh", "gag")
#: zero-width characters, marks of direction, soft hyphens, selectors: none of them is read
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)
#: ASCII calls some symbols punctuation ($+<=>^`|~); their twins of full width go with them
MARKS = set(string.punctuation) | {chr(ord(mark) + 0xFEE0) for mark in string.punctuation}


@lru_cache(maxsize=1 << 16)
def tokens(text: str, language: str) -> tuple[str, ...]:
    """What is compared of an answer.

    Args:
        language: BCP 47 (`zh-Hant`, `en`); only its first part matters here.
    """
    primary = code(language)
    bare = "".join(
        c
        for c in _lower(_one_form(text, primary), primary)
        if c not in MARKS and not unicodedata.category(c).startswith("P")
    )
    if primary in BY_CHARACTER:
        bare = CHARACTERS.sub(lambda character: f" {character[0]} ", bare)
    articles, prefix = ARTICLES.get(primary, "").split(), PREFIXES.get(primary, "")
    words = (word.removeprefix(prefix) for word in bare.split() if word not in articles)
    return tuple(word for word in words if word)


def _one_form(text: str, primary: str) -> str:
    """The text composed (NFC), without what shows nothing, each character in its usual width."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFC", text))
    if primary in WIDTHS:
        seen = _OTHER_WIDTH.sub(lambda run: unicodedata.normalize("NFKC", run[0]), seen)
    return unicodedata.normalize("NFC", seen)


def _lower(text: str, primary: str) -> str:
    """Lower case of a language; where İ is no letter, its dot is one of i and nothing beside it."""
    if primary in DOTLESS:
        text = text.replace("I", "ı")
    return text.replace("İ", "i").lower()


def exact_match(answer: str, gold: str, language: str) -> float:
    """1 if nothing differs that counts, else 0."""
    wanted = tokens(gold, language)
    if wanted:
        return float(tokens(answer, language) == wanted)
    primary = code(language)
    return float(_one_form(answer, primary).split() == _one_form(gold, primary).split())


def f1(answer: str, gold: str, language: str) -> float:
    """Harmonic mean of precision and recall of the tokens, each as often as it occurs; in [0, 1]."""
    given, wanted = tokens(answer, language), tokens(gold, language)
    if not wanted or not given:
        return exact_match(answer, gold, language)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))


def contains(answer: str, gold: str, language: str) -> float:
    """1 if the gold answer stands in the answer, token by token: 10 is not in 1066."""
    given, wanted = tokens(answer, language), tokens(gold, language)
    if not wanted:
        return exact_match(answer, gold, language)
    size = len(wanted)
    return float(any(given[i : i + size] == wanted for i in range(len(given) - size + 1)))


def match(answer: str, gold: str) -> float:
    """1 if the gold answer is a part of the answer, letter by letter, upper and lower case alike."""
    return float(gold.lower() in answer.lower())


def score(answer: str, golds: list[str], language: str) -> dict[str, float]:
    """`exact_match`, `f1` and `contains`, each against the accepted answer that fits it best, and `match`."""
    metrics: tuple[Callable[[str, str, str], float], ...] = (exact_match, f1, contains)
    best = {metric.__name__: max(metric(answer, gold, language) for gold in golds) for metric in metrics}
    return best | {"match": match(answer, golds[0])}
