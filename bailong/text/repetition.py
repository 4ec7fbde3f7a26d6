"""How much of a text repeats itself: Gopher's repetition filters (arXiv 2112.11446, table A1) for Chinese.

Gopher counts words. Chinese has no blanks between words, so here an n-gram is a number of *letters* (punctuation,
blanks and digits left out: dot leaders, tables and rules repeat by nature). Its 5 and 10 words are about 8 and 16 Han
characters, or 32 and 64 Latin letters.

A text that ends in a circle (`1 1 1 1`, the same sentence over and over) is known by its `cycle`, in which every sign
counts.
"""

import re
import sys
import unicodedata
from collections import Counter
from functools import cache
from typing import NamedTuple

import numpy as np

#: odd numbers with well mixed bits (of splitmix64 and wyhash), one or two for each doubling of the n-gram
_MIX = tuple(
    np.uint64(number)
    for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB)
)
#: a word of a script that puts spaces between words; the vowel signs of India's are no letters to `\\w`
_SPACED_WORD = re.compile(
    "(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff])[^\\W\\d_]"
    "|[\u0300-\u036f\u064b-\u0652\u0900-\u0963\u0980-\u09e3\u0a00-\u0a65\u0a80-\u0ae3\u0b00-\u0b63\u0b80-\u0be5\u0c00-\u0c63"
    "\u0c80-\u0ce3\u0d00-\u0d63\u0d80-\u0df4]){2,}"
)
_BITS = np.uint64(24)
#: Han characters and kana in UTF-16 units of one; rarer ones count as two letters
_HAN = ((0x3007, 0x3007), (0x3041, 0x30FA), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
#: signs at the end of a text in which a circle is looked for
_END = 4_000


class Cycle(NamedTuple):
    """What the end of a text goes round in, blanks left out.

    Attributes:
        unit: the shortest stretch that comes again and again; empty in a text of fewer than two signs.
        times: how often it stands there, the last time perhaps in part.
        share: of the signs looked at that only repeat it.
    """

    unit: str
    times: float
    share: float


def cycle(text: str) -> Cycle:
    """The circle in which a text ends; every text has one, mostly of few times and a small share."""
    signs = "".join(text.split())[-_END:]
    if len(signs) < 2:
        return Cycle("", 0.0, 0.0)
    again = _prefixes(signs[::-1])
    period = max(range(1, len(signs)), key=lambda period: (again[period], -period))
    return Cycle(signs[-period:], 1 + again[period] / period, again[period] / len(signs))


def repeated(text: str) -> tuple[float, float]:
    """Share of the letters that stand in an n-gram which has occurred before, for the short and the long n.

    The first time an n-gram occurs does not count: a text written twice is half repeated.
    """
    codes = letters(text)
    han = sum(int(np.count_nonzero((codes >= first) & (codes <= last))) for first, last in _HAN)
    short = 8 if han > 0.3 * len(codes) else 32
    shares = [0.0, 0.0]
    grams, n, level = codes.astype(np.uint64), 1, 0
    while n < 2 * short and len(grams) > n:
        # 64 bits for twice as many letters, from those of the two halves
        grams = (grams[:-n] * _MIX[level % 5]) ^ (grams[n:] + (grams[n:] >> np.uint64(29)))
        grams *= _MIX[(level + 1) % 5]
        n, level = 2 * n, level + 1
        if n >= short:
            shares[n // short - 1] = _covered(grams, n, len(codes))
    return shares[0], shares[1]


def top_word(text: str) -> float:
    """Share of the letters that the most frequent word covers: a pair of neighbours, or between spaces (where what
    says it for the first time does not count: in a heading of four words each has a quarter of the letters)."""
    words = Counter(_SPACED_WORD.findall(text.lower()))
    if (letters_of_words := sum(len(word) * times for word, times in words.items())) > len(text) // 2:
        return max((times - 1) * len(word) for word, times in words.items()) / letters_of_words
    codes = letters(text).astype(np.uint32)
    if len(codes) < 2:
        return 0.0
    _, counts = np.unique(codes[:-1] << np.uint32(16) | codes[1:], return_counts=True)
    return float(2 * counts.max()) / len(codes)


def _prefixes(signs: str) -> list[int]:
    """For each place, how many signs from there are those of the beginning (the Z algorithm, in linear time)."""
    found = [0] * len(signs)
    left = right = 0
    for place in range(1, len(signs)):
        length = min(right - place, found[place - left]) if place < right else 0
        while place + length < len(signs) and signs[length] == signs[place + length]:
            length += 1
        if place + length > right:
            left, right = place, place + length
        found[place] = length
    return found


def letters(text: str) -> np.ndarray:
    """[n] uint16, the UTF-16 units of the letters of `text`."""
    encoding = f"utf-16-{sys.byteorder[0]}e"
    codes = np.frombuffer(text.encode(encoding, "surrogatepass"), dtype=np.uint16)
    return codes[_is_letter()[codes]]


@cache
def _is_letter() -> np.ndarray:
    """[65536] bool; a half of a surrogate pair counts, for the rarer Han."""
    return np.array([unicodedata.category(chr(code))[0] in "LM" or 0xD800 <= code < 0xE000 for code in range(0x10000)])


def _covered(grams: np.ndarray, n: int, length: int) -> float:
    # 40 bits of the hash and 24 of the position in one number: one sort puts equal n-grams together, the first of
    # them first (four times as fast as np.unique with indices).
    grams = grams[: 1 << 24]
    order = np.sort(grams >> _BITS << _BITS | np.arange(len(grams), dtype=np.uint64))
    hashes = order >> _BITS
    again = order[1:][hashes[1:] == hashes[:-1]] & np.uint64((1 << 24) - 1)
    if not len(again):
        return 0.0
    starts = np.sort(again.astype(np.int64))
    return float(np.minimum(np.diff(starts), n).sum() + n) / length
