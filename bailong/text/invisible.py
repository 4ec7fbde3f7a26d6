"""Characters that show nothing: which of them mean something where they stand, and whether a text shows anything."""

import re
import unicodedata

from bailong.text.script import HAN

#: soft hyphen, zero-width characters, directional marks, invisible operators, fillers of Hangul, byte order mark, the
#: place of an object that is gone; joiners, selectors and tags are looked at one by one
_NEVER = re.compile(
    "[\xad\u034f\u061c\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufffc]"
    # a filler holds the place of a letter in a syllable of old Korean, and nothing elsewhere
    "|\u115f(?!\u1160?[\u1161-\u11ff\ud7b0-\ud7fb])\u1160?|(?<![\u1100-\u115f\ua960-\ua97c])\u1160"
)
#: what any of this can begin with; characters beyond the Basic plane apart, since they slow a class down tenfold
_ANY = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufffc]"
)
_ANY_ASTRAL = re.compile("[\U000e0000-\U000e0fff]")
_JOINERS = re.compile("[\u200c\u200d]+")
#: scripts whose letters join: Arabic and its neighbours, those of India and South-East Asia, Mongolian
_JOINING = re.compile(
    "[\u0600-\u109f\u1780-\u18af\u1a20-\u1aaf\u1b00-\u1bff\ua840-\ua8ff\ua980-\uaaff\uabc0-\uabff\ufb50-\ufdff"
    "\ufe70-\ufefc\U00010a00-\U00011fff\U0001e900-\U0001e95f]"
)
_EMOJI = re.compile("[\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f000-\U0001faff]")
_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_IDEOGRAPH = re.compile(rf"{HAN.pattern}|[\u2e80-\u2fd5]")
_MONGOLIAN = re.compile("[\u1820-\u18aa]")
#: tags say which region's flag is meant; language tags are not used any more
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)|[\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+")
#: what most texts hold of what is seen
_PLAIN = re.compile("[A-Za-z0-9\u4e00-\u9fff]")
_EMPTY = frozenset("\ufffc\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def stripped(text: str) -> str:
    """Without what shows nothing and means nothing.

    What stays: joiners and non-joiners beside letters that join (Persian, Hindi), joiners of emoji, one variation
    selector behind an emoji or a symbol, the tags of a flag.
    """
    if _ANY.search(text) is None and _ANY_ASTRAL.search(text) is None:
        return text
    text = _NEVER.sub("", text)
    text = _TAGS.sub(lambda match: match[1] or "", text)
    return _JOINERS.sub(_joiner, _SELECTORS.sub(_selector, text))


def shows(text: str) -> bool:
    """Whether anything is seen: not in white space, controls, fillers, private or unassigned characters."""
    return _PLAIN.search(text) is not None or any(map(_seen, text))


def _seen(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and character not in _EMPTY


def _joiner(match: re.Match[str]) -> str:
    before, after = _around(match)
    if _JOINING.match(before) or _JOINING.match(after):
        return match[0][0]
    return "\u200d" if "\u200d" in match[0] and _EMOJI.match(before) and _EMOJI.match(after) else ""


def _selector(match: re.Match[str]) -> str:
    before, first = _around(match)[0], match[0][0]
    if first >= "\U000e0100" or _IDEOGRAPH.match(before):
        return ""  # which glyph of a character: a font's matter, and four bytes to a tokenizer
    if first < "\ufe00":
        return first if _MONGOLIAN.match(before) else ""
    return first if before and _seen(before) and not (before.isascii() and before.isalpha()) else ""


def _around(match: re.Match[str]) -> tuple[str, str]:
    start, end = match.span()
    return match.string[max(0, start - 1) : start], match.string[end : end + 1]
