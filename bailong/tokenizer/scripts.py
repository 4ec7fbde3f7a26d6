"""Which characters a language is written with: the rule by which a new token belongs to it and to no other."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import regex
from babel.core import Locale, get_global

from bailong.text.language import code as language_code
from bailong.tokenizer.merge import is_cjk

#: ISO 15924 names that stand for several scripts, or for one by another name (Unicode has one Han)
MEMBERS = {
    "Hans": ("Hani",),
    "Hant": ("Hani",),
    "Hanb": ("Hani", "Bopo"),
    "Jpan": ("Hani", "Hira", "Kana"),
    "Hrkt": ("Hira", "Kana"),
    "Kore": ("Hang", "Hani"),
}
#: of Unicode's scripts those that are none: common, inherited and unknown characters
NO_SCRIPT = ("Zyyy", "Zinh", "Zzzz")
#: the joiners that Persian, Hindi and other languages write within a word
JOINERS = "\u200c\u200d"
#: scripts of which words are not parted by spaces: a token of theirs does not begin with one
UNSPACED = {"Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr"}


def scripts_of(language: str) -> tuple[str, ...]:
    """The scripts that a language is written with, by CLDR's likely subtags.

    Args:
        language: a BCP 47 tag: `tr`, `zh-Hant`, `sr-Latn`, `pa-PK`; with a code of three letters too (`zho`), or the
            English name of a language.

    Returns:
        ISO 15924 names that are scripts of Unicode: `("Latn",)`, `("Hani",)`.

    Raises:
        ValueError: a language that CLDR does not know, and no script in the tag.
    """
    parts = language.replace("_", "-").split("-")
    aliases: Any = get_global("language_aliases")
    first = language_code(language)
    parts[:1] = aliases.get(first, first).split("_")
    script = next((part.title() for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    if script is None:
        likely: Any = get_global("likely_subtags")
        region = next((part.upper() for part in parts[1:] if len(part) == 2), None)
        found = likely.get(f"{parts[0]}_{region}") or likely.get(parts[0])
        if found is None or parts[0] == "und":
            raise ValueError(
                f"tokenizer.language={language} is not accepted: its script is not known; "
                "give tokenizer.scripts=[...], names of ISO 15924 such as Latn, Arab, Deva"
            )
        script = found.split("_")[1]
    return checked((script,))


@lru_cache
def code_of(script: str) -> str | None:
    """The ISO 15924 code of a script by any name that Unicode has for it (`Han`, `hani`); None for no script."""
    if not re.fullmatch(r"[A-Za-z]+([ _-][A-Za-z]+)*", script):
        return None
    try:
        first = regex.search(rf"\p{{sc={script}}}", "".join(map(chr, range(0x20000))))
    except regex.error:
        return None
    if first is None:
        return None
    for code in map(str, Locale("en").scripts):
        try:
            if regex.match(rf"\p{{sc={code}}}", first[0]):
                return None if code in NO_SCRIPT else code
        except regex.error:  # a script of ISO 15924 alone
            continue
    return None


def checked(scripts: tuple[str, ...]) -> tuple[str, ...]:
    """ISO 15924 codes of scripts by name or code; of one that stands for several (`Jpan`) those.

    Raises:
        ValueError: one is no script of Unicode.
    """
    found: list[str] = []
    for script in scripts:
        codes = [code_of(each) for each in MEMBERS.get(script.title(), (script,))]
        if None in codes:
            raise ValueError(
                f"tokenizer.scripts: {script!r} is not accepted: it must be a script of Unicode, by its name or its "
                "ISO 15924 code (Han or Hani, Hangul or Hang, Arabic or Arab, Devanagari or Deva, Thai, Latin or Latn)"
            )
        found += [code for code in codes if code and code not in found]
    return tuple(found)


@dataclass(frozen=True)
class Alphabet:
    """The characters of some scripts, and what bytes may become a new token of them.

    A token holds a character of the scripts, others of them, marks, joiners, and nothing else: no digit, no other
    script, no white space but one space in front where the script parts words by spaces. It begins with a whole
    character, so its bytes stand only in text that holds such a character (or, where it ends within one, a character of
    its Unicode row).
    """

    scripts: tuple[str, ...]
    longest: int

    @cached_property
    def spaced(self) -> bool:
        """Whether a token may begin with a space: Korean has words with spaces between them, in Han too."""
        return not set(self.scripts) <= UNSPACED

    @cached_property
    def _unspaced(self) -> Any:
        within = sorted(UNSPACED & set(self.scripts)) if "Hang" not in self.scripts else []
        return regex.compile(" [" + "".join(rf"\p{{sc={script}}}" for script in within) + "]") if within else None

    def _body(self, text: str) -> str:
        """Text without the space that a token of it may begin with."""
        if not self.spaced or (self._unspaced and self._unspaced.match(text)):
            return text
        return text.removeprefix(" ")

    @cached_property
    def _pattern(self) -> Any:
        scripts = self.scripts if "Bopo" in self.scripts or "Hani" not in self.scripts else (*self.scripts, "Bopo")
        return regex.compile("[" + "".join(rf"\p{{scx={script}}}" for script in scripts) + "]")

    @cached_property
    def _own(self) -> Any:
        return regex.compile("[" + "".join(rf"\p{{sc={script}}}" for script in self.scripts) + "]")

    @cached_property
    def _han(self) -> bool:
        return bool(self._own.match("一"))

    @lru_cache(maxsize=1 << 16)  # noqa: B019
    def has(self, character: str) -> bool:
        """Whether a character is of the scripts; with Han go the full-width forms and punctuation beside it."""
        if character.isspace() or unicodedata.category(character)[0] == "N" and not character.isalpha():
            return False
        return bool(self._pattern.match(character)) or (self._han and is_cjk(character))

    @lru_cache(maxsize=1 << 16)  # noqa: B019
    def owns(self, character: str) -> bool:
        """Whether a character is of these scripts and of no other: '·' is Han too, and stands in English."""
        return self.has(character) and (bool(self._own.match(character)) or (self._han and is_cjk(character)))

    @lru_cache(maxsize=1 << 16)  # noqa: B019
    def begins(self, head: bytes) -> bool:
        """Whether what a character's UTF-8 begins with leaves only characters of the scripts, and signs of no script.

        Digits of the scripts are among them: in most Indic scripts a row of UTF-8 holds the digits and half of the
        vowel signs. So is the ideographic space, which shares its row with 、 and 。.
        """
        missing = size_of(head[0]) - len(head)
        if missing > 2:
            return False
        first, last = (head + fill * missing for fill in (b"\x80", b"\xbf"))
        try:
            points = range(ord(first.decode("utf-8")), ord(last.decode("utf-8")) + 1)
        except UnicodeDecodeError:  # E0 80, ED A0: bytes that begin nothing
            return False
        there = [chr(point) for point in points if unicodedata.category(chr(point)) not in ("Cn", "Cs", "Co")]
        return any(map(self.owns, there)) and all(
            self.has(c) or self._own.match(c) or regex.match(r"[\p{sc=Zyyy}\p{sc=Zinh}]", c) for c in there
        )

    @lru_cache(maxsize=1 << 16)  # noqa: B019
    def reaches(self, character: str) -> bool:
        """Whether a new token may stand in text for the sake of this character: one of the scripts' own, or one whose
        UTF-8 begins as theirs does (a token may end there), as digits and signs of the scripts do.
        """
        encoded = character.encode("utf-8", "surrogatepass")
        return self.owns(character) or any(self.begins(encoded[:size]) for size in range(1, len(encoded)))

    @lru_cache(maxsize=1 << 20)  # noqa: B019
    def may(self, token: bytes) -> bool:
        """Whether these bytes may be a new token."""
        text, tail = split(token)
        if text is None or (tail and not self.begins(tail)):
            return False
        body = self._body(text)
        return (
            len(text) + bool(tail) <= self.longest
            and (any(map(self.owns, body)) or bool(tail))
            and all(self.has(c) or (i > 0 and _joined(c)) for i, c in enumerate(body))
        )

    @lru_cache(maxsize=1 << 20)  # noqa: B019
    def part(self, token: bytes) -> bool:
        """Whether a token may have these bytes in it: as `may`, begun or ended anywhere."""
        start = 0
        while start < len(token) and token[start] & 0xC0 == 0x80:
            start += 1
        text, _ = split(token[start:])
        if text is None:
            return False
        body = self._body(text)
        return all(self.has(c) or _joined(c) for c in body)


def _joined(character: str) -> bool:
    """Whether a character belongs to what it follows: a mark, or a joiner."""
    return character in JOINERS or unicodedata.category(character)[0] == "M"


def size_of(lead: int) -> int:
    """Bytes of the UTF-8 character that begins with `lead`."""
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def split(token: bytes) -> tuple[str | None, bytes]:
    """Whole characters, and the beginning of one behind them; None where the bytes begin within a character."""
    end = len(token)
    for back in range(1, min(4, len(token)) + 1):
        if token[-back] & 0xC0 != 0x80:
            if size_of(token[-back]) > back:
                end = len(token) - back
            break
    try:
        return token[:end].decode("utf-8"), token[end:]
    except UnicodeDecodeError:
        return None, b""
