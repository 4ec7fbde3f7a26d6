"""Words out of characters, for comparing documents of scripts that put spaces between words.

Where a token is a character, two pages of Turkish or English that say different things share most of their pairs of
characters: an alphabet has thirty of them, Chinese three thousand. A word is what is as telling as a Chinese character.
"""

import unicodedata
from functools import cache

import numpy as np

from bailong.prepare.dedup.signatures import fmix64

#: a character is nothing of a word, a part of one, or all of it
NOTHING, PART, WHOLE = 0, 1, 2
#: scripts without spaces between words: of South-East Asia, and those of Han and kana
_UNSPACED = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xA9E0, 0xA9FF)),
    *((0xAA60, 0xAADF), (0x2E80, 0xA4CF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x16FE0, 0x1B2FF), (0x20000, 0x3FFFF)),
)
#: share of such letters from which on a document is compared character by character
MOSTLY = 0.3
_BASE = np.uint64(0x100000001B3)
#: letters of a word after which the factors of its hash begin again
_LONGEST = 64


def words(ids: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Documents as hashes of their words; those that are mostly written without spaces stay as they are.

    Letters, digits and signs in a row are a word, of an unspaced script each is one; all else is nothing.

    Args:
        ids: [characters] uint32 code points of all documents.
        starts: [n + 1] int64, where each begins.

    Returns:
        [total] uint32 and [n + 1] int64.
    """
    kinds = _kinds()[ids]
    whole, part = _sums(kinds == WHOLE, starts), _sums(kinds == PART, starts)
    unspaced = whole > MOSTLY * (whole + part)
    if unspaced.all():
        return ids, starts
    begins = kinds > NOTHING
    begins[1:] &= (kinds[1:] == WHOLE) | (kinds[:-1] != PART)
    inner = starts[1:-1][starts[1:-1] < len(ids)]
    begins[inner] = kinds[inner] > NOTHING
    kept = np.repeat(unspaced, np.diff(starts))
    begins |= kept
    places = np.flatnonzero(begins)
    if not len(places):
        return ids[:0], np.zeros_like(starts)
    within = np.arange(len(ids)) - places[np.maximum(np.cumsum(begins) - 1, 0)]
    values = np.where(kinds > NOTHING, ids.astype(np.uint64) + np.uint64(1), np.uint64(0))
    values *= np.power(_BASE, np.arange(_LONGEST, dtype=np.uint64))[within % _LONGEST]
    hashes = (fmix64(np.add.reduceat(values, places)) >> np.uint64(32)).astype(np.uint32)
    return np.where(kept[places], ids[places], hashes), np.concatenate([[0], np.cumsum(begins)])[starts]


def _sums(where: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """How many are true of each document, [n] int64."""
    return np.diff(np.concatenate([[0], np.cumsum(where)])[starts])


@cache
def _kinds() -> np.ndarray:
    """[0x110000] uint8, what each character is of a word; joiners within words of Persian and Hindi are parts."""
    categories = (unicodedata.category(chr(code))[0] in "LMN" for code in range(0x110000))
    kinds = np.fromiter(categories, dtype=np.uint8, count=0x110000)
    kinds[[0x200C, 0x200D]] = PART
    for first, last in _UNSPACED:
        kinds[first : last + 1] *= WHOLE
    return kinds
