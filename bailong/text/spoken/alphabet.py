"""Languages told by their letters: by the script, and within a script by letters that only some languages have.

A script of one language names it (Greek, Thai, Tamil). One of several (Devanagari, Cyrillic, Arabic) names the language
whose telling letters or small words occur most, else the most written one, and says which others it may as well be.
"""

import re
from collections import Counter
from functools import cache
from typing import NamedTuple

from bailong.text.language import script_of, written_in


class Named(NamedTuple):
    """A language by its English name, and those that cannot be told from it by what was seen."""

    name: str = ""
    also: tuple[str, ...] = ()


#: the most written language of a script of several
_MOST = {"Arabic": "Arabic", "Bengali": "Bengali", "Cyrillic": "Russian", "Devanagari": "Hindi", "Ethiopic": "Amharic"}
_MOST |= {"Hebrew": "Hebrew"}
#: letters that few languages of the script have, and others of it have not
_TELLING = {
    "Cyrillic": {
        "Russian": "ыэё",
        "Ukrainian": "іїєґ",
        "Belarusian": "ўі",
        "Bulgarian": "ъ",
        "Serbian": "јљњђћџ",
        "Macedonian": "јљњѓќѕџ",
        "Kazakh": "әғқңөұүһі",
        "Kyrgyz": "ңөү",
        "Mongolian": "өү",
        "Tajik": "ғӣқӯҳҷ",
        "Tatar": "әөүҗңһ",
    },
    "Arabic": {
        "Arabic": "ةىيكأإؤ",
        "Persian": "پچژگیک",
        "Urdu": "ٹڈڑںےہھیکگچپ",
        "Pashto": "ټډړږښځڅڼېۍیک",
        "Uyghur": "ېۆۈۇەڭگچپ",
    },
    "Bengali": {"Assamese": "ৰৱ"},
    "Hebrew": {"Yiddish": "ײװױ"},
}
#: small words of languages whose letters are the same
_WORDS = {
    "Devanagari": {
        "Hindi": "है हैं में और का की के को से पर यह या ही था थी नहीं",
        "Marathi": "आहे आहेत आणि मध्ये होते होता नाही किंवा झाला",
        "Nepali": "छ छन् र लाई हो थियो गर्न पनि भएको गरेको",
        "Sanskrit": "च अस्ति एव इति तु वा हि भवति",
    },
    "Ethiopic": {"Amharic": "ነው እና ላይ ውስጥ ነበር", "Tigrinya": "እዩ ኣብ ናይ ከምኡ ነቲ ድማ"},
}
#: letters that one language in Latin letters has, or has far more often than any other
_LATIN = {
    "Azerbaijani": "ə",
    "Czech": "ěřů",
    "Hungarian": "őű",
    "Icelandic": "ðþ",
    "Latvian": "āēģīķļņ",
    "Lithuanian": "ėįų",
    "Polish": "łąęśźż",
    "Portuguese": "ãõ",
    "Romanian": "ățș",
    "Slovak": "ľĺŕ",
    "Turkish": "ğı",
    "Vietnamese": "ơưăđ" + "".join(map(chr, range(0x1EA1, 0x1EFA, 2))),
}
#: words that hold such a letter: at least so many, and such a share of all
_FEWEST, _SHARE = 2, 0.12
#: what only longer texts tell from each other
ALIKE = tuple(
    frozenset(names.split())
    for names in (
        "Turkish Azerbaijani Turkmen",
        "Indonesian Malay",
        "Danish Norwegian Swedish",
        "Czech Slovak",
        "Croatian Bosnian Serbian Slovenian",
        "Spanish Galician Catalan Portuguese",
        "Dutch Afrikaans",
    )
)


def by_script(text: str) -> Named:
    """The language of a text whose letters are mostly neither Latin nor Han; no name for a script of no known one."""
    letters = Counter(text.lower())
    scripts: Counter[str] = Counter()
    for letter, times in letters.items():
        if letter.isalpha() and (script := script_of(letter)) not in ("Latin", "Han"):
            scripts[script] += times
    if not scripts:
        return Named()
    script = scripts.most_common(1)[0][0]
    known = written_in(script)
    if len(known) < 2:
        return Named(known[0] if known else "")
    hits: dict[str, int] = {}
    for language, telling in _TELLING.get(script, {}).items():
        hits[language] = sum(letters[letter] for letter in telling)
    if script in _WORDS:
        words = Counter(re.findall(r"[^\s।॥።፣,.!?()\"'“”:;-]+", text))
        for language, small in _WORDS[script].items():
            hits[language] = sum(words[word] for word in small.split())
    best = max(hits, key=lambda language: hits[language], default="")
    if not hits.get(best):
        name = _MOST.get(script, known[0])
        return Named(name, tuple(other for other in known if other != name))
    # one small word is no sign yet; nor is a letter that another language has as well
    open_ = script in _WORDS and hits[best] < _FEWEST
    return Named(best, tuple(each for each in known if each != best and (open_ or hits.get(each) == hits[best])))


def by_letters(text: str) -> Named:
    """The language of a text in Latin letters that only it is written with; names (capitals) are no sign of it."""
    words = re.findall(r"[^\W\d_]+", text)
    common = [word for word in words if not word[:1].isupper()] or ([] if len(words) > 1 else list(words))
    if not common:
        return Named()
    hits = {name: sum(not letters.isdisjoint(word) for word in common) for name, letters in _latin().items()}
    best = max(hits, key=lambda name: hits[name])
    if hits[best] < _FEWEST or hits[best] < _SHARE * len(words):
        return Named()
    return Named(best, alike(best))


def alike(name: str) -> tuple[str, ...]:
    """The languages that a short text in Latin letters may as well be in."""
    return tuple(sorted({other for group in ALIKE if name in group for other in group} - {name}))


@cache
def _latin() -> dict[str, frozenset[str]]:
    return {name: frozenset(letters) for name, letters in _LATIN.items()}
