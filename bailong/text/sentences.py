"""Sentences of text in any language, without losing a character: `"".join(split(text, language)) == text`.

The usual splitters are not lossless (pysbd, at 0.3 MB/s on Chinese) or cut where no sentence ends: sentencex 1.0 makes
five of `Kent M.Ö. 5. yüzyılda kuruldu. II. Abdülhamid öldü.` This one only looks at the characters that can end a
sentence. Those of other scripts than Latin, Greek and Cyrillic say so by themselves (Unicode's Sentence_Terminal, UAX
29); a full stop is a question of the language (`abbreviations.yaml`).
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bailong.text.language import code
from bailong.text.spans import protected

#: what a full stop does not end, by language
SOURCE = Path(__file__).with_name("abbreviations.yaml")
#: Sentence_Terminal of the Basic plane beside those of Latin and Chinese text; without the little section of Burmese,
#: which is a comma, with the strokes of Tibetan and Thai
MARKS = "։؝؞؟۔܀܁܂߹࠷࠹࠽࠾।॥๚๛།༎༏။።፧፨᙮᜵᜶។៕᠃᠉᥄᥅᪨᪩᪪᪫᭎᭏᭚᭛᭞᭟᭽᭾᭿᰻᰼᱾᱿⳹⳺⳻꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫"

_CLOSING = r"」』）)〕】》〉”’\"'\]］｣"
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_GREEK = "\u0370-\u03ff\u1f00-\u1fff"

# Where a sentence may end: after a line break (never within: a line is the largest unit), a Chinese stop or one of
# another script, or a half-width one that `_ends` looks at. Runs (?!, 。。。) and closing quotes stay with what they
# close.
_STOP = re.compile(rf"\n+|[。！？｡!?{MARKS}]+[。！？｡!?.…{MARKS}]*[{_CLOSING}]*|\.[{_CLOSING}]*(?=\s|[{_HAN}]|$|\[)")
# The same where quotes close with other signs („So.“ «Sí.»), a Greek question ends with a semicolon, an Armenian
# sentence with a colon, and one in Ethiopic script with two word dividers; the number of a verse belongs to it.
_QUOTES = rf"(?:[{_CLOSING}]|[“«»‹›](?=[\s.,;:]|\Z)|[\xa0\u202f]»)*"
_STOP_ANYWHERE = re.compile(
    rf"\n+|[。！？｡!?‼⁇⁈⁉‽{MARKS}]+(?:(?<=॥)\s?\d+\s?॥)?[。！？｡!?.…{MARKS}]*{_QUOTES}"
    rf"|፡፡|[;\u037e](?<=[{_GREEK}]{{2}}.)(?=\s|\Z)|:(?<=[\u0561-\u0587].)(?=\s|\Z)|[.…]{_QUOTES}(?=\s|[{_HAN}]|$|\[)"
)

_WORD = re.compile(r"[A-Za-z][A-Za-z.]*$")
_NEXT = re.compile(r"[\s\"'“‘(\[„«»‹›¿¡]*(.?)", re.S)
#: the word before a stop, in any script
_BEFORE = re.compile(r"[^\s()\[\]{}<>\"“”„«»‹›‘’'/|,;:!?…–—-]+\Z")
_ROMAN = re.compile(r"[IVXLC]+\Z")
#: scripts in which no sentence ends with a full stop: behind a letter it marks an abbreviation
_STOPLESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
#: letters that make words of one character
_WHOLE = re.compile(f"[{_HAN}\u3041-\u30ff\uac00-\ud7a3]")
#: lower case to Unicode, and used where other scripts have a capital
_CASELESS = re.compile("[\u10d0-\u10ff]")


class Rules(NamedTuple):
    """What a language says about full stops.

    Attributes:
        never, either: words whose stop ends no sentence, or does where a capital or a letter without case follows; one
            of both does so behind a number alone.
        ordinals: whether a stop behind a number makes it an ordinal.
        chinese: Chinese text, in which only words of English have full stops.
    """

    never: frozenset[str]
    either: frozenset[str]
    ordinals: bool
    chinese: bool


@cache
def rules(language: str) -> Rules:
    """The rules of a language; of Chinese, and where none is named, those of English words in Chinese text."""
    mine = code(language)
    if mine in ("", "zh"):
        return rules("en")._replace(chinese=True)
    listed = _listed().get(mine, {})
    base = rules(listed["as"]) if "as" in listed else Rules(frozenset(), frozenset(), False, False)
    never, either = (frozenset(listed.get(kind, "").split()) for kind in ("never", "either"))
    return Rules(base.never | never, base.either | either, listed.get("ordinals", base.ordinals), False)


@cache
def _listed() -> dict[str, dict]:
    import yaml

    return yaml.safe_load(SOURCE.read_text(encoding="utf-8"))


def split(text: str, language: str = "") -> list[str]:
    """The sentences of `text`, each with the blanks behind it; line breaks are pieces of their own.

    Nothing is cut inside a URL, an e-mail address, a number, a path or code.

    Args:
        language: its label (`tr`, `zh-Hant`, ...); of an unknown or empty one only the marks of its script are known.
    """
    known = rules(language)
    stops = list((_STOP if known.chinese else _STOP_ANYWHERE).finditer(text))
    if not stops:
        return [text] if text else []
    spans = protected(text)
    pieces: list[str] = []
    start, span, within = 0, 0, len(spans)
    for stop in stops:
        end = stop.end()
        if text[stop.start()] == "\n":
            if start < stop.start():
                pieces.append(text[start : stop.start()])
            pieces.append(stop.group())
            start = end
            continue
        while span < within and spans[span].end <= stop.start():
            span += 1
        if span < within and spans[span].start <= stop.start() and stop.start() + 1 < spans[span].end:
            continue
        if not _ends(text, stop.start(), end, known):
            continue
        while end < len(text) and text[end] in " \t\u3000\xa0":
            end += 1
        pieces.append(text[start:end])
        start = end
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def _ends(text: str, position: int, end: int, known: Rules) -> bool:
    """Whether the stop `text[position:end]` ends a sentence."""
    mark = text[position]
    if mark not in ".!?…":
        return True
    follower = _NEXT.match(text, end)
    following = follower.group(1) if follower else ""
    if following.islower() and (following.isascii() or not (known.chinese or _CASELESS.match(following))):
        # "Really?" he asked. / approx. five; but OMG!!! the kittens
        return mark in "!?" and end - position > 1 and text[end - 1] in "!?"
    if mark in "!?":
        # Yahoo!奇摩 and a stop in the middle of a word (!important) go on.
        return end == len(text) or text[end].isspace() or end - position > 1 or not text[end].isascii()
    if position == 0:
        return False
    before = text[position - 1]
    if before == "." or not known.chinese and "…" in (mark, before):
        return following.isupper() or not known.chinese and _begins(following)
    if before.isdigit() and following.isdigit():
        return False
    return (
        _in_chinese(text, position, following, known) if known.chinese else _by_word(text, position, following, known)
    )


def _in_chinese(text: str, position: int, following: str, known: Rules) -> bool:
    """Whether a full stop ends a sentence in Chinese text: of the words before it, those of English are known."""
    if not text[position - 1].isascii():
        return True
    word = _WORD.search(text, max(0, position - 12), position)
    if word is None:
        # a list number (1. first) at the head of a line is no sentence
        return not _list_number(text, position)
    name = word.group().lower()
    if name in known.either:
        return following == "" or following.isupper() or not following.isascii()
    return not (name in known.never or (len(name) == 1 and word.group().isupper()))


def _by_word(text: str, position: int, following: str, known: Rules) -> bool:
    """Whether a full stop ends a sentence, by the word before it."""
    found = _BEFORE.search(text, max(0, position - 20), position)
    word = found.group() if found else ""
    letters = [sign for sign in word if sign.isalpha()]
    if not letters:
        number = word.isdigit() and len(word) <= 2 and known.ordinals and following != ""
        return not number and not _list_number(text, position)
    if _WHOLE.match(letters[-1]):
        return True
    if _STOPLESS.match(letters[-1]) or (known.ordinals and _ROMAN.match(word)):
        return False
    name = word.lower().replace("i\u0307", "i")
    begin = position - len(word)
    if name in known.either and (name not in known.never or text[max(0, begin - 2) : begin].strip()[-1:].isdigit()):
        return _begins(following)
    if name in known.never or (len(name) == 1 and not name.islower()) or (len(name) == 1 and word.isupper()):
        return False  # an abbreviation, or the initial of a name
    # T.C., z.B., J.R.R.: short parts between stops; a longer one is a word behind a stop that lacks its blank
    return "." not in word or max(map(len, word.split("."))) > 3


def _begins(following: str) -> bool:
    """Whether a sentence may begin with a character: a capital, or a letter without case; or the text is at its end."""
    return following == "" or following.isalpha() and (not following.islower() or bool(_CASELESS.match(following)))


def _list_number(text: str, position: int) -> bool:
    head = text.rfind("\n", 0, position) + 1
    return text[head:position].strip().isdigit() and position - head <= 6
