"""Which characters a language is written with: the rule by which a new token belongs to it and to no other."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import regex
from babel.core import get_global

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
#: scripts of which words are not parted by spaces: a token of theirs does not begin with one
UNSPACED = {"Hani", "Hira", "Kana", "Bopo", "Thai", "Laoo", "Khmr", "Mymr"}


def scripts_of(language: str) -> tuple[str, ...]:
    """The scripts that a language is written with, by CLDR's likely subtags.

    Args:
        language: a BCP 47 tag: `tr`, `zh-Hant`, `sr-Latn`, `pa-PK`.

    Returns:
        ISO 15924 names that are scripts of Unicode: `("Latn",)`, `("Hani",)`.

    Raises:
        ValueError: a language that CLDR does not know, and no script in the tag.
    """
    parts = language.replace("_", "-").split("-")
    script = next((part.title() for part in parts[1:] if len(part) == 4 and part.isalpha()), None)
    if script is None:
        likely: Any = get_global("likely_subtags")
        region = next((part.upper() for part in parts[1:] if len(part) == 2), None)
        found = likely.get(f"{parts[0].lower()}_{region}") or likely.get(parts[0].lower())
        if found is None:
            raise ValueError(
                f"tokenizer.language={language} is not accepted: its script is not known; "
                "give tokenizer.scripts=[...], names of ISO 15924 such as Latn, Arab, Deva"
            )
        script = found.split("_")[1]
    return checked(MEMBERS.get(script, (script,)))


def checked(scripts: tuple[str, ...]) -> tuple[str, ...]:
    """The same, when each is a script of Unicode.

    Raises:
        ValueError: one is not.
    """
    for script in scripts:
        try:
            regex.compile(rf"\p{{sc={script}}}")
        except regex.error:
            raise ValueError(
                f"tokenizer.scripts: {script} is not accepted: it must be a script of Unicode, by its name or its "
                "ISO 15924 code (Han or Hani, Hangul or Hang, Arabic or Arab, Devanagari or Deva, Thai, Latin or Latn)"
            ) from None
    return scripts


@dataclass(frozen=True)
class Alphabet:
    """The characters of some scripts, and what bytes may become a new token of them.

    A token holds a character of the scripts, others of them, marks, and nothing else: no digit, no other script, no
    white space but one space in front where the script parts words by spaces. It begins with a whole character, so its
    bytes stand only in text that holds such a character (or, where it ends within one, a character of its Unicode row).
    """

    scripts: tuple[str, ...]
    longest: int

    @cached_property
    def spaced(self) -> bool:
        """Whether a token may begin with a space."""
        return not UNSPACED & set(self.scripts)

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
        """Whether what a character's UTF-8 begins with leaves only characters of the scripts, and symbols."""
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
            self.has(c) or regex.match(r"[\p{sc=Zyyy}\p{sc=Zinh}]", c) and not c.isspace() for c in there
        )

    @lru_cache(maxsize=1 << 20)  # noqa: B019
    def may(self, token: bytes) -> bool:
        """Whether these bytes may be a new token."""
        text, tail = split(token)
        if text is None or (tail and not self.begins(tail)):
            return False
        body = text.removeprefix(" ") if self.spaced else text
        return (
            len(text) + bool(tail) <= self.longest
            and (any(map(self.owns, body)) or bool(tail))
            and all(self.has(c) or (i > 0 and unicodedata.category(c)[0] == "M") for i, c in enumerate(body))
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
        body = text.removeprefix(" ") if self.spaced else text
        return all(self.has(c) or unicodedata.category(c)[0] == "M" for c in body)


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
