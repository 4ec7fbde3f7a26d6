"""Words of a list in text: exact, with ASCII boundaries, and spelt apart to get past filters (壞.詞.乙, b-a-d)."""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import ahocorasick_rs

#: what is put between letters to hide a word
NOISE = "-._*~+·・‧•● \u3000"
#: signs without width, which hide a word from programs and not from readers
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
# `str.encode` looks the codec up by name for every text, at a quarter of its time for one of 300 characters.
_utf_16 = codecs.getencoder("utf-16-be")

# Measured on zh-TW Wikipedia: the DFA scans for 2,000 words at 240 MB/cpu-s against 142 of the NFA. At 20,000 words
# both come to 110, and the DFA's tables (1 KB a state) to three times the memory.
_DFA_LETTERS = 20_000


class Word(NamedTuple):
    """An entry of a list; several spellings may share an id."""

    id: str
    text: str


class WordFinder:
    """Finds the words of a list.

    Automata run over UTF-16, big end first: two bytes a Han character instead of three, and the first byte has few
    values, so that the hot states stay in the cache (30 % faster than UTF-8, twice as fast at 20,000 words). Folding
    the case of those bytes also hits bytes of Han characters, so that a match is a candidate until it is compared
    with the text; so is a match at an odd byte. Text in ASCII only meets the words in ASCII only.
    """

    def __init__(self, words: Iterable[Word], obfuscated: bool) -> None:
        self.words = [Word(word.id, word.text.lower()) for word in words]
        self.cased = any(word.text != word.text.upper() for word in self.words)
        plain = [word for word in self.words if word.text.isascii()]
        wide = [self._wide(word.text) for word in self.words]
        self.wide = _automaton(wide)
        self.longest = max(map(len, wide), default=0)
        self.ascii = _automaton([word.text.encode() for word in plain])
        self.plain = plain
        # A word spelt apart is looked for from its first gap: first letter, noise, second letter, no letter.
        self.apart: dict[str, list[Word]] = {}
        for word in self.words if obfuscated else []:
            if word.text.isalnum() and len(word.text) >= (3 if word.text.isascii() else 2):
                self.apart.setdefault(word.text[:2], []).append(word)
        noise, hidden = re.escape(NOISE), re.escape(INVISIBLE)
        first, second = (_class(pair[i] for pair in self.apart) for i in (0, 1))
        # One set in front, so that the scan runs at the speed of a table; what follows is tried at its hits alone.
        self.suspicious = (
            re.compile(
                rf"[{noise}{hidden}](?:(?<=[{hidden}])|(?<=[{first}].)[{noise}]{{0,2}}[{second}](?!\w))", re.S
            ).search
            if self.apart
            else None
        )
        self.gap = (
            re.compile(rf"[{noise}](?<=[{first}].)[{noise}]{{0,2}}[{second}](?!\w)", re.S) if self.apart else None
        )

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """(start, end, id) of every hit, leftmost and longest first, without overlap.

        Positions count in the text without its invisible signs, where it has any.
        """
        if self.suspicious is None or self.suspicious(text) is None:
            hits = self._exact(text)
        else:
            text = _INVISIBLE.sub("", text)
            hits = [*self._exact(text), *self._apart(text)]
        if len(hits) < 2:
            return hits
        kept: list[tuple[int, int, str]] = []
        for hit in sorted(hits, key=lambda hit: (hit[0], -hit[1], hit[2])):
            if not kept or hit[0] >= kept[-1][1]:
                kept.append(hit)
        return kept

    def _wide(self, text: str) -> bytes:
        data, _ = _utf_16(text, "surrogatepass")
        return data.lower() if self.cased else data  # 8 % faster for a list of Han characters alone

    def _exact(self, text: str) -> list[tuple[int, int, str]]:
        if text.isascii():
            automaton, words, data = self.ascii, self.plain, text.encode().lower()
        else:
            automaton, words, data = self.wide, self.words, self._wide(text)
        if automaton is None or not (found := automaton.find_matches_as_indexes(data)):
            return []
        width = 1 if automaton is self.ascii else 2
        hits = []
        # Only now with overlaps: a hit that fails at its boundary must not hide a longer one.
        for begin, stop in _around(found, self.longest):
            for index, offset, _ in automaton.find_matches_as_indexes(data[begin:stop], overlapping=True):
                offset += begin
                if offset % width:
                    continue
                word = words[index]
                # Characters beyond the BMP take four bytes.
                alike = len(data) == width * len(text)
                start = offset // width if alike else len(data[:offset].decode("utf-16-be", "replace"))
                end = start + len(word.text)
                if text[start:end].lower() == word.text and _bounded(text, start, end):
                    hits.append((start, end, word.id))
        return hits

    def _apart(self, text: str) -> Iterator[tuple[int, int, str]]:
        assert self.gap is not None
        for match in self.gap.finditer(text):
            start = match.start() - 1
            for word in self.apart.get((text[start] + match.group()[-1]).lower(), ()):
                end = _spelt(text, start, word.text)
                if end is None or not _bounded(text, start, end):
                    continue
                # Two Han characters around a sign (台中-出發) are ordinary text unless they stand alone.
                if len(word.text) == 2 and (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
                    continue
                yield start, end, word.id


def _automaton(patterns: list[bytes]) -> ahocorasick_rs.BytesAhoCorasick | None:
    if not patterns:
        return None
    small = sum(map(len, patterns)) <= _DFA_LETTERS
    kind = ahocorasick_rs.Implementation
    return ahocorasick_rs.BytesAhoCorasick(patterns, implementation=kind.DFA if small else kind.ContiguousNFA)


def _around(found: list[tuple[int, int, int]], longest: int) -> Iterator[tuple[int, int]]:
    """Stretches, apart from each other, that hold every match: each match has the end of one of those found inside."""
    begin, stop = found[0][2] - longest, found[0][2]
    for _, _, end in found:
        if end - longest > stop + 128:  # starting another scan costs about as much as so many bytes
            yield max(0, begin), stop
            begin = end - longest
        stop = end + longest
    yield max(0, begin), stop


def _class(letters: Iterable[str]) -> str:
    return "".join(sorted({re.escape(form) for letter in letters for form in (letter, letter.upper())}))


def _spelt(text: str, start: int, word: str) -> int | None:
    """Where `word`, begun at `start` and with one to three signs in every gap, ends."""
    position = start + 1
    for letter in word[1:]:
        gap = position
        while gap < len(text) and gap - position < 3 and text[gap] in NOISE:
            gap += 1
        if gap == position or text[gap : gap + 1].lower() != letter:
            return None
        position = gap + 1
    return position


def _bounded(text: str, start: int, end: int) -> bool:
    """An ASCII end of a word must be the end of a word; Chinese has no such boundary."""
    return not (
        (_ascii(text[start]) and start > 0 and _ascii(text[start - 1]))
        or (_ascii(text[end - 1]) and end < len(text) and _ascii(text[end]))
    )


def _ascii(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")
