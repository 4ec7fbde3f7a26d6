"""One spelling for each character: NFC, no invisible characters, half-width Latin (the paper is silent on it)."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from bailong.prepare.step.base import Result, TextStep
from bailong.text import mojibake
from bailong.text.forms import plain
from bailong.text.invisible import shows, stripped
from bailong.text.wraps import unwrapped

# NFKC is never used: it undoes full-width punctuation and turns ① into 1, ㎏ into kg, ½ into 1⁄2, 𝐓 into T.
_NEWLINE = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufff0-\ufffb\ufffe\uffff]")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_SPACE = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
#: a cell without dots, beside no cell with dots
_NO_CELL = re.compile("(?<![\u2800-\u28ff])\u2800+(?![\u2800-\u28ff])")
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
#: layout between Chinese characters (not Korean), where no space is written (an ideographic space is: 第三章　渡口)
_NO_BREAK = re.compile(rf"(?<=[{_WIDE}])\xa0+(?=[{_WIDE}]|\Z)|^\xa0+(?=[{_WIDE}])", re.M)
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_LIGATURE = re.compile("[\ufb00-\ufb06]")

_FULL = "０-９Ａ-Ｚａ-ｚ"
#: full-width signs that are punctuation in Chinese, but belong to the number or word when full-width ones stand around
_INNER = re.compile(
    rf"(?<=[０-９])，(?=[０-９]{{3}}(?![０-９]))|(?<=[０-９])[：～](?=[０-９])"
    rf"|(?<=[{_FULL}0-9A-Za-z])．(?=[{_FULL}0-9A-Za-z])|(?<=[{_FULL}])[／－](?=[{_FULL}])"
)
_FOLD = {ord(c): chr(ord(c) - 0xFEE0) for c in "＃＄％＆＋＝＠＼＾＿"} | {
    i: chr(i - 0xFEE0) for first, last in ("０９", "ＡＺ", "ａｚ") for i in range(ord(first), ord(last) + 1)
}
_FOLDED = re.compile(f"[{''.join(map(chr, _FOLD))}]")
_HALF = {i: chr(i - 0xFEE0) for i in range(0xFF01, 0xFF5F)} | {ord("。"): "."}

#: anything at all to do, beside NFC; characters beyond the Basic plane apart, since they slow a class down tenfold
_DIRTY = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u2e81-\u2fd5\u3000\u3164\ud800-\uf8ff\ufb00-\ufb06\ufdd0-\ufdef\ufe00-\ufe19\ufe30-\ufe48\ufe50-"
    "\ufe6b\ufeff\uff03-\uff06\uff0b\uff10-\uff19\uff1d\uff20-\uff3a\uff3c\uff3e\uff3f\uff41-\uff5a\uffa0\ufff0-\ufffc\ufffe\uffff]"
)
_DIRTY_ASTRAL = re.compile("[\U000e0000-\U0010ffff]")


@dataclass
class Normalize(TextStep):
    """What is written the same way looks the same to every later step, to the tokenizer and to the hashes.

    Attributes:
        mojibake: repair text that was decoded by the wrong codec: UTF-8 read as Windows-1252 (`cafÃ©`) where ftfy is
            sure, codecs of East Asia read as Windows-1252, and UTF-8 read as one of them, where the frequent characters
            of Chinese, Japanese or Korean come out (`bailong.text.mojibake`). What lost bytes goes in `quality`.
        fullwidth_ascii: full-width letters, digits and signs (`ＮＴ＄４５０`) become half-width; full-width punctuation
            stays, unless it is part of a number or address (`１０：００`). Half-width katakana are left alone.
        spaces: no-break, ideographic and typographic spaces become a space, or nothing between Chinese characters if
            they are no-break.
        wraps: join lines that were broken at a fixed width, across the numbers and running heads of pages, and words
            that were divided at them (`bailong.text.wraps`). Verse, lists, tables and code keep their lines.
        max_pua, spare_pua: private-use characters have no meaning outside one font, and are stripped. A document is
            dropped if there are more than the share `max_pua` of its characters and `spare_pua` on top (bullets and
            ornaments; in a short document a fifth of it).
    """

    name: ClassVar[str] = "normalize"
    version: ClassVar[int] = 4
    mojibake: bool = True
    fullwidth_ascii: bool = True
    spaces: bool = True
    wraps: bool = True
    max_pua: float = 0.01
    spare_pua: int = 20

    def __post_init__(self) -> None:
        self.require(0 <= self.max_pua <= 1, "max_pua", "a share between 0 and 1")
        self.require(self.spare_pua >= 0, "spare_pua", "0 or more characters")

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        repair = {"ftfy": version("ftfy")} if self.mojibake else {}
        return {"unicode": unicodedata.unidata_version} | repair

    def open(self) -> Callable[[str], Result]:
        return self._apply

    def _apply(self, text: str) -> Result:
        counts = []
        if text and not shows(text):
            return Result(None, reason="empty")
        if self.mojibake and not text.isascii():
            text = _counted("mojibake", text, mojibake.repaired(text), counts)
        if _DIRTY.search(text) or (_beyond_the_plane(text) and _DIRTY_ASTRAL.search(text)):
            text = _counted("newlines", text, _NEWLINE.sub("\n", text), counts)
            text = _counted("controls", text, _CONTROL.sub("", text), counts)
            text = _counted("invisible", text, stripped(text), counts)
            length = len(text)
            bare = _PRIVATE.sub("", text)
            if length - len(bare) > self.max_pua * length + min(self.spare_pua, length / 5):
                return Result(None, reason="private_use", counts=tuple(counts))
            text = _counted("private_use", text, bare, counts)
            if _LIGATURE.search(text):
                text = _counted("ligatures", text, text.translate(_LIGATURES), counts)
            text = _counted("forms", text, plain(text), counts)
            if self.fullwidth_ascii:
                text = _counted("fullwidth", text, _half_width(text), counts)
            if self.spaces:
                text = _counted("spaces", text, _spaced(text), counts)
        if not unicodedata.is_normalized("NFC", text):
            text = _counted("nfc", text, unicodedata.normalize("NFC", text), counts)
        if self.wraps:
            text = _counted("wraps", text, unwrapped(text), counts)
        return Result(text, counts=tuple(counts))


def _beyond_the_plane(text: str) -> bool:
    """Whether a character lies beyond the Basic plane, which takes two units of UTF-16: quicker than to look for it."""
    return len(text.encode("utf-16-le", "surrogatepass")) > 2 * len(text)


def _counted(name: str, before: str, after: str, counts: list[str]) -> str:
    if after != before:
        counts.append(name)
    return after


def _spaced(text: str) -> str:
    text = _SPACE.sub(" ", _NO_BREAK.sub("", text))
    return _NO_CELL.sub(" ", text) if "\u2800" in text else text


def _half_width(text: str) -> str:
    from bailong.text.spans import protected

    if not _FOLDED.search(text):
        return text
    text = _INNER.sub(lambda match: match[0].translate(_HALF), text).translate(_FOLD)
    pieces, last = [], 0
    for start, end, kind in protected(text, numbers=False):
        if kind in ("url", "email"):
            pieces += [text[last:start], text[start:end].translate(_HALF)]
            last = end
    return "".join((*pieces, text[last:]))
