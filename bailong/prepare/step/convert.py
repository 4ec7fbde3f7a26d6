"""Simplified to Traditional Chinese with OpenCC, where there is Simplified Chinese (paper, section 3.2)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, ClassVar

from bailong.prepare.step.base import ChineseStep, Result

#: where a paragraph is cut to tell quoted Japanese from the Chinese around it
_STRETCH = re.compile(r"([\s,.!?;:()\"'，。！？；：、（）《》〈〉「」『』“”‘’…—]+)")


@dataclass
class Convert(ChineseStep):
    """The paper converts everything with s2twp, which changes every second document that was written in Taiwan
    (參數 -> 引數, 不是只有 -> 不是隻有). So `guarded` looks first: a paragraph is converted if characters that only
    Simplified Chinese has outnumber those that only Traditional Chinese has; one without either follows its document.

    Converting is no fixed point: apply it once. A source that carries the label of another language is not looked
    at: Japanese and Korean write some characters as Simplified Chinese does.

    Attributes:
        mode: `guarded`; `always` converts everything, as the paper; `off` nothing.
        config: `s2twp` also puts Taiwan's words for those of the mainland (软件 -> 軟體); `s2tw` only its characters.
        overlay: corrections of OpenCC's known errors (`overlay.json` and `overlaps.json` of bailong/text).
        mixed: what is done to Simplified characters in a paragraph that is Traditional: `leave` them (names,
            quotations, words talked about) or replace them one by one (`characters`).
        max_kana: share of kana among Han and kana above which a paragraph is looked at part by part, and a part of
            it is Japanese and stays.
        min_evidence: in a document that is Traditional, a paragraph is Simplified only if it holds so many characters
            that neither Traditional Chinese nor Japanese has: titles of books and names are no reason to convert.
    """

    name: ClassVar[str] = "convert"
    version: ClassVar[int] = 2
    mode: str = "guarded"
    config: str = "s2twp"
    overlay: bool = True
    mixed: str = "leave"
    max_kana: float = 0.05
    min_evidence: int = 4

    def __post_init__(self) -> None:
        self.one_of("mode", ["guarded", "always", "off"])
        self.one_of("config", ["s2twp", "s2tw"])
        self.one_of("mixed", ["leave", "characters"])
        self.require(0 <= self.max_kana <= 1, "max_kana", "a share between 0 and 1")
        self.require(self.min_evidence >= 1, "min_evidence", "1 or more characters")

    def facts(self) -> dict[str, Any]:
        from bailong.text import conversion

        return {} if self.mode == "off" else conversion.facts(self.config, overlay=self.overlay)

    def open(self) -> Callable[[str], Result]:
        if self.mode == "off":
            return Result
        from bailong.text.conversion import converter

        convert = converter(self.config, overlay=self.overlay)
        if self.mode == "always":
            return lambda text: Result(convert(text), counts=("converted",))
        return _guarded(self, convert)


def _guarded(knobs: Convert, convert: Callable[[str], str]) -> Callable[[str], Result]:
    from bailong.text.conversion import converter
    from bailong.text.script import HAN, KANA, tables

    simplified, mainland, traditional = tables()
    character = {}
    if knobs.mixed == "characters":
        plain = converter("s2tw", overlay=False)
        character = {ord(c): plain(c) for c in simplified.pattern[1:-1]}

    def outnumbered(text: str, found: int) -> bool:
        """Whether `text` has as many Traditional characters as `found` Simplified ones; stops counting there."""
        return found <= sum(1 for _ in islice(traditional.finditer(text), found))

    def japanese(text: str) -> bool:
        kana = len(KANA.findall(text))
        return kana > 0 and kana > knobs.max_kana * (kana + len(HAN.findall(text)))

    def apart(paragraph: str) -> str:
        """Convert the parts of a paragraph that are not Japanese."""
        return "".join(part if japanese(part) else convert(part) for part in _STRETCH.split(paragraph))

    def chosen(paragraph: str, mainly: bool) -> bool:
        found = len(simplified.findall(paragraph))
        if mainly:
            return found >= len(traditional.findall(paragraph))
        return len(mainland.findall(paragraph)) >= knobs.min_evidence and not outnumbered(paragraph, found)

    def apply(text: str) -> Result:
        if not simplified.search(text):
            return Result(text, counts=("already_traditional" if HAN.search(text) else "no_chinese",))
        pure = not traditional.search(text)
        if pure and not KANA.search(text):
            return Result(convert(text), counts=("converted",))
        mainly = pure or not outnumbered(text, len(simplified.findall(text)))
        if not mainly and not character and len(mainland.findall(text)) < knobs.min_evidence:
            return Result(text, counts=("mixed",))
        counts: set[str] = set()
        pieces: list[str] = []
        # neighbours of one kind go together: OpenCC is a third slower on single lines
        for (take, kana), group in groupby(text.split("\n"), lambda p: (chosen(p, mainly), japanese(p))):
            piece = "\n".join(group)
            if take and kana and not mainland.search(piece):
                counts.add("kana")
            elif take:
                counts |= {"converted", "kana"} if kana else {"converted"}
                piece = apart(piece) if kana else convert(piece)
            elif simplified.search(piece):
                counts.add("mixed")
                piece = piece.translate(character)
            pieces.append(piece)
        return Result("\n".join(pieces), counts=tuple(sorted(counts)))

    return apply
