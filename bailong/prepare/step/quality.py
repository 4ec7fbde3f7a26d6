"""Frames of web pages are cut, and documents that are nothing else, repeat themselves or are noise are dropped."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.prepare.step.base import Result, SpokenStep
from bailong.run.checks import require
from bailong.text.language import other_than_chinese
from bailong.text.sentences import MARKS
from bailong.text.wiki.appendices import headings

if TYPE_CHECKING:
    from bailong.text.cut import Piece

#: headings under which a Chinese wiki lists sources; without a list they say nothing
_SECTIONS = re.compile(
    r"\n\s*(?:參見|参见|另見|另见|參考資料|参考资料|參考文獻|参考文献|參考來源|参考来源|外部連結|外部链接|外部鏈接|註釋|注释|註解|注解|相關條目|相关条目|腳註|脚注"
    r"|See also|References|External links|Notes|Footnotes|Further reading|Bibliography) ?[:：]?\s*\Z"
)
_SIGNS = re.compile(
    r"[*#<>|=~^_\\＊＃＜＞｜＝～\u2190-\u21ff\u2580-\u25a0\u25a2-\u25ae\u25b0-\u25ff\u2600-\u27bf\u2b00-\u2bff\u3013\u32a3\ufffd\U0001f000-\U0001faff]"
)
_STOPS = re.compile(rf"[。！？!?；;：:，、.،؛፣፤၊{MARKS}]")
_CAPITALS = re.compile(r"[A-Z]")
_LATIN = re.compile(r"[A-Za-z]")
#: letters of alphabets and their like, four of which say about as much as a character of East Asia
_ALPHABETIC = re.compile(r"(?![\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff])[^\W\d_]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W_]")


@dataclass
class Quality(SpokenStep):
    """The defaults are set where Taiwan law (short numbered articles, phrases repeated by nature), Wikipedia, and
    transcripts of meetings lose next to nothing; the thresholds of Gopher (arXiv 2112.11446, table A1), made for
    English web pages, would drop every fourth law.

    Attributes:
        boilerplate: cut lines of the page's frame (`bailong.text.boilerplate`), each with its kind as the reason.
        min_content: characters of East Asia (or four times as many letters) that must be left, beside contact details,
            in a document of which something was cut; else it is dropped as `boilerplate`.
        max_mojibake: largest share of the characters that may stand in lines decoded by the wrong codec, which are cut,
            and in sentences with holes that a codec left; `mojibake`.
        max_repeated: largest share of letters in an n-gram of 8 Han characters (32 Latin letters) that has occurred
            before; `repetition`. (Gopher: 0.15 for 5 words. The highest law of Taiwan has 0.61.)
        max_repeated_long: the same for 16 (64). (Gopher: 0.10 for 10 words. The highest law has 0.45.)
        max_repeated_lines: largest share of characters in lines that have occurred before, `repetition` (Gopher: 0.2).
        max_pair: largest share of the letters that one pair of Han characters, or what repeats one word between spaces,
            covers in a text without a single stop, which no prose reaches and a list of search keywords does;
            `keywords` (Gopher: 0.2 for all text).
        max_signs: largest share of symbols among the characters; runs of one sign count once; `symbols`, as is a text
            without a letter or digit.
        max_capitals: largest share of capitals among Latin letters, in a text with three exclamation marks; `shouting`.
        min_letters: shorter texts are not measured: shares of a few letters say nothing.
    """

    boilerplate: bool = True
    min_content: int = 10
    max_mojibake: float = 0.3
    max_repeated: float = 0.7
    max_repeated_long: float = 0.6
    max_repeated_lines: float = 0.4
    max_pair: float = 0.2
    max_signs: float = 0.25
    max_capitals: float = 0.35
    min_letters: int = 40

    name: ClassVar[str] = "quality"
    version: ClassVar[int] = 3

    def __post_init__(self) -> None:
        for knob in (
            "max_mojibake",
            "max_repeated",
            "max_repeated_long",
            "max_repeated_lines",
            "max_pair",
            "max_signs",
            "max_capitals",
        ):
            value = getattr(self, knob)
            require(0 < value <= 1, f"quality.{knob}", value, "in (0, 1]; 1 switches the check off")
        for knob in ("min_content", "min_letters"):
            self.require(getattr(self, knob) >= 0, knob, "0 or more")

    def facts(self) -> dict[str, Any]:
        """The hash of the list of boilerplate."""
        from bailong.text.boilerplate import SOURCE

        return {"boilerplate": hashlib.sha256(SOURCE.read_bytes()).hexdigest()} if self.boilerplate else {}

    def open(self) -> Callable[[str], Result]:
        import zstandard

        from bailong.text import mojibake
        from bailong.text.boilerplate import suspicious
        from bailong.text.repetition import repeated, top_word

        sections = self._sections()
        compressed = zstandard.ZstdCompressor(level=-3).compress

        def repetitive(text: str, data: bytes) -> bool:
            # A text of which 60 % has occurred before compresses to less than half; hardly any other does, and this
            # takes a tenth of the time (230 against 18 MB/cpu-s on Wikipedia).
            if len(compressed(data)) > 0.45 * len(data):
                return False
            short, long = repeated(text)
            return (
                short > self.max_repeated
                or long > self.max_repeated_long
                or self._lines(text) > self.max_repeated_lines
            )

        def reason(text: str, data: bytes) -> str:
            if _WORD.search(text) is None:
                return "symbols"
            if len(text) < self.min_letters:
                return ""
            if len(_SIGNS.findall(text)) > self.max_signs * len(text) and self._signs(text) > self.max_signs:
                return "symbols"
            if repetitive(text, data):
                return "repetition"
            if _STOPS.search(text) is None and self._enough(text) and top_word(text) > self.max_pair:
                return "keywords"
            if text.count("!") + text.count("！") >= 3 and self._capitals(text) > self.max_capitals:
                return "shouting"
            return ""

        def apply(text: str) -> Result:
            if self.max_mojibake < 1 and mojibake.suspicious(text):
                kept, removed = self._readable(text)
                if removed:
                    if kept is None:
                        return Result(None, "mojibake")
                    rest = checked(kept)
                    return rest._replace(removed=removed + rest.removed) if rest.text is not None else rest
            return checked(text)

        def checked(text: str) -> Result:
            data = text.encode("utf-8", "surrogatepass")
            if why := reason(text, data):
                return Result(None, why)
            if not self.boilerplate or not suspicious(text, data) and sections.search(text[-200:]) is None:
                return Result(text)
            return self._cut(text, sections)

        return apply

    def _readable(self, text: str) -> tuple[str | None, tuple[tuple[str, str], ...]]:
        """The text without what was decoded wrong, and what went; None where too much did."""
        from bailong.text.cut import Piece, cut
        from bailong.text.mojibake import is_broken, is_damaged
        from bailong.text.sentences import split

        lines = text.split("\n")
        beside = any(map(is_broken, lines))
        pieces: list[Piece] = []
        start = 0
        for line in lines:
            if (broken := is_broken(line, beside=beside)) or is_damaged(line):
                parts = split(line, self.language or "")
                bad = [is_damaged(part) or is_broken(part, beside=broken) for part in parts]
                if broken and not any(bad):
                    parts, bad = [line], [True]
                for part, gone in zip(parts, bad, strict=True):
                    if gone:
                        pieces.append(Piece(start, start + len(part), "mojibake"))
                    start += len(part)
                start += 1
            else:
                start += len(line) + 1
        lost = sum(piece.end - piece.start for piece in pieces)
        if lost > self.max_mojibake * len(text.strip()):
            return None, (("mojibake", text),)
        return cut(text, pieces)

    def _cut(self, text: str, sections: re.Pattern[str]) -> Result:
        from bailong.text.boilerplate import is_detail
        from bailong.text.cut import Piece, cut

        pieces = self._frame(text)
        end = pieces[-1].start if pieces and not text[pieces[-1].end :].strip() else len(text)
        while (section := sections.search(text, max(0, end - 200), end)) is not None:
            end = section.start()
            while pieces and pieces[-1].end > end:
                pieces.pop()
            pieces.append(Piece(end, len(text), "empty_section"))
        if not pieces:
            return Result(text)
        kept, removed = cut(text, pieces)
        content = sum(self._content(line) for line in kept.split("\n") if not is_detail(line))
        if content < self.min_content:
            return Result(None, "boilerplate")
        return Result(kept, removed=removed)

    def _frame(self, text: str) -> list[Piece]:
        from bailong.text.boilerplate import boilerplate, is_message, suspicious
        from bailong.text.cut import Piece
        from bailong.text.sentences import split

        pieces: list[Piece] = []
        start = 0
        for line in text.split("\n"):
            if suspicious(line) and (kind := boilerplate(line)):
                parts = [line] if is_message(kind) else split(line, self.language or "")
                for part in parts:
                    if len(parts) == 1 or (kind := boilerplate(part)):
                        pieces.append(Piece(start, start + len(part), kind))
                    start += len(part)
                start += 1
            else:
                start += len(line) + 1
        return pieces

    def _sections(self) -> re.Pattern[str]:
        if not other_than_chinese(self.language or ""):
            return _SECTIONS
        return re.compile(rf"\n\s*(?:{'|'.join(map(re.escape, headings(self.language or '')))}) ?:?\s*\Z")

    def _content(self, line: str) -> float:
        return len(_LETTER.findall(line)) - 0.75 * len(_ALPHABETIC.findall(line))

    def _lines(self, text: str) -> float:
        lines = Counter(line for line in text.split("\n") if line)
        again = sum((times - 1) * len(line) for line, times in lines.items())
        return again / max(1, sum(times * len(line) for line, times in lines.items()))

    def _signs(self, text: str) -> float:
        text = re.sub(r"(.)\1+|\s+", r"\1", text)
        return len(_SIGNS.findall(text)) / max(1, len(text))

    def _capitals(self, text: str) -> float:
        latin = len(_LATIN.findall(text))
        return len(_CAPITALS.findall(text)) / latin if latin >= self.min_letters and 2 * latin > len(text) else 0.0

    def _enough(self, text: str) -> bool:
        return len(_LETTER.findall(text)) >= self.min_letters
