"""Traces of Simplified Chinese in an answer that is in Traditional Chinese: which characters leaked, and how many.

The paper's judge is told that no Simplified Chinese may occur at all. What counts is a character that Traditional
Chinese does not write. What both scripts write (台, 里, 后, 干, 面, 群) never counts by itself, but in a few common
words that Taiwan writes otherwise (什么, 怎么, 那么, 然后, 最后, 建筑, 采用, 并且). Never counted is:

- an old form or a name that Taiwan prints (新庄, 公厘, 拮据, 涂);
- a quotation or title all in Simplified Chinese or Japanese: 「软件」 is spoken about, not written. One that mixes both
  scripts is the answer's own;
- brackets that name another script (大陸：软件) or hold kana, and forms that Japanese shares (学, 国, 会) in a sentence
  that has kana or speaks of Japan: names of its people and places cannot be told from a leak;
- words of the question, where that is in Traditional Chinese.
"""

import re
from typing import NamedTuple

from bailong.text.script import HAN, KANA, tables
from bailong.text.spoken.prose import QUOTED

#: of Traditional text in print: each stands in Taiwan's own names and words
_PRINTED = re.compile(
    r"[庄厘涂栖熏蝎跖蚝炖晒淀怜恒彦踪刹笋]|拮据|胜肽|瀟洒|腊葉|党項|与(?=[那力謝論])|无(?=[咎妄])|(?<=[遠連])适|株式会社"
)
_BOTH = r"(?<=[什甚怎那多])么|(?<=[然最])后|(?<=建)筑|采(?=[用取])|并(?=且)|(?<=企)划"
_ABROAD = re.compile(r"\([^()\n]*(?:[簡简][體体化]|大陸|大陆|日[語文]|日本|[\u3041-\u3096\u30a1-\u30fa])[^()\n]*\)")
_JAPANESE = re.compile(r"日[本語文圓]|東京|大阪|京都|北海道|九州|沖繩")
_SENTENCE = re.compile(r"[^。！？!?；;\n]+")

_SCRIPT = r"(?:中國)?(?:大陸)?(?:的)?[簡简][體体化](?:中文|漢字|汉字|字|版)?"
_ASKED = re.compile(
    rf"(?:用|以|成|為|为|給我|提供|附上|列出|寫出|写出){_SCRIPT}|{_SCRIPT}(?:怎麼|怎么|如何|是什麼|寫法|的寫法|對應|回答|回覆|作答|書寫|版)"
    r"|\b(?:in|into|to|use|using|with) simplified\b",
    re.I,
)
_FORBIDDEN = re.compile(
    rf"(?:不要|別|勿|不可|不能|不得|避免|禁止|不准|不許|不該|不應|而非|不是)[^，。；\n]{{0,8}}{_SCRIPT}"
    r"|\b(?:not|never|don't|avoid|without)\b[^,.\n]{0,20}simplified",
    re.I,
)
_BACK = re.compile(r"(?:成|為|为|用|以)(?:臺灣|台灣)?(?:的)?(?:繁[體体]|正[體体])|\b(?:in|into|to) traditional\b", re.I)


class Trace(NamedTuple):
    """Simplified Chinese in an answer in Traditional Chinese.

    Attributes:
        words: the runs of characters that count, in order, each as often as it occurs.
        characters: how many these are; share: of the Han characters of the answer's prose.
    """

    words: tuple[str, ...] = ()
    characters: int = 0
    share: float = 0.0


def trace(text: str) -> Trace:
    """The trace in prose that has gone through `own`."""
    simplified, mainland, _ = tables()
    han = len(HAN.findall(text))
    words: list[str] = []
    for sentence in _SENTENCE.findall(_ABROAD.sub(" ", QUOTED.sub(_cited, text))):
        japanese = KANA.search(sentence) or _JAPANESE.search(sentence)
        counted = mainland.pattern if japanese else simplified.pattern
        words += re.findall(rf"(?:{counted}|{_BOTH})+", sentence)
    characters = sum(map(len, words))
    return Trace(tuple(words), characters, round(characters / han, 4) if han else 0.0)


def own(text: str, question: str = "") -> str:
    """Prose without what is right in Taiwan, and without the Simplified words of a question in Traditional Chinese.

    Such a word is known by two characters in a row.
    """
    text = _PRINTED.sub(" ", text)
    simplified, _, traditional = tables()
    if not 0 < len(simplified.findall(question)) < max(2, len(traditional.findall(question))):
        return text
    asked = {question[place : place + 2] for place in range(len(question) - 1)}

    def mask(found: re.Match[str]) -> str:
        place = found.start()
        near = (text[place : place + 2], text[place - 1 : place + 1] if place else "")
        return " " if any(len(pair) == 2 and pair in asked for pair in near) else found[0]

    return simplified.sub(mask, text)


def wants_simplified(question: str) -> bool:
    """Whether a question asks for Simplified Chinese (請用簡體字回答), and neither forbids it nor asks to undo it."""
    return _ASKED.search(_FORBIDDEN.sub(" ", question)) is not None and _BACK.search(question) is None


def _cited(quotation: re.Match[str]) -> str:
    """A quotation, unless it is in another script throughout."""
    simplified, _, traditional = tables()
    other = simplified.search(quotation[0]) or KANA.search(quotation[0])
    return " " if other and not traditional.search(quotation[0]) else quotation[0]
