"""Leftovers of HTML, wiki text and BBCode are turned into plain text."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

from bailong.prepare.step.base import Result, SpokenStep
from bailong.text.language import other_than_chinese

_BLANK = re.compile(r"[ \t]+(?=\n)|(?<=\n)[ \t]+(?=\n)")
_GAPS = re.compile(r"\n{3,}")


@dataclass
class Markup(SpokenStep):
    """Which kinds are looked for. Ordinary text with < > & [ ] { } is left alone (`bailong.text.markup`).

    A page that is cut out of HTML badly still holds its words, so this step rewrites instead of dropping: what each
    document lost is seen in the ledger's samples. What a wiki shows from elsewhere cannot be rendered here: the
    sentence around it goes, and `lost_sentence` counts the documents.

    Attributes:
        variant: which words of `-{zh-hans:…;zh-tw:…}-` stay: one of `zh-tw`, `zh-hk`, `zh-hant`, `zh-cn`, `zh-hans`,
            `auto` (`zh-cn` for a source of `language: zh-Hans`, `off` for one of another language, else `zh-tw`), or
            `off`, where there are no such marks.
    """

    html: bool = True
    wiki: bool = True
    bbcode: bool = True
    variant: str = "auto"

    name: ClassVar[str] = "markup"
    version: ClassVar[int] = 3

    def __post_init__(self) -> None:
        self.one_of("variant", ("auto", "off", "zh-tw", "zh-hk", "zh-hant", "zh-cn", "zh-hans"))

    def of_language(self, language: str) -> Self:
        spoken = super().of_language(language)
        if self.variant != "auto":
            return spoken
        simplified = language.lower() in ("zh-hans", "zh-cn", "zh-sg", "zh-my")
        chinese = "zh-cn" if simplified else "zh-tw"
        return replace(spoken, variant="off" if other_than_chinese(language) else chinese)

    def open(self) -> Callable[[str], Result]:
        from bailong.text.markup import KINDS
        from bailong.text.wiki.hole import close

        kinds = [(kind, strip) for kind, strip in KINDS.items() if getattr(self, kind)]
        known = self.of_language("")
        language, variant = known.language or "", known.variant.removesuffix("off")
        kinds = [(kind, partial(strip, variant=variant) if kind == "wiki" else strip) for kind, strip in kinds]

        def apply(text: str) -> Result:
            if not ("<" in text or "&" in text or "[" in text or "{" in text or "=" in text or "［" in text):
                return Result(text)  # most documents: written out, for `any` over the signs is slower
            counts: list[str] = []
            stripped = text
            for kind, strip in kinds:
                before, stripped = stripped, strip(stripped)
                if stripped != before:
                    counts.append(kind)
            if not counts:
                return Result(text)
            stripped, lost = close(stripped, language)
            counts += ["lost_sentence"] * (lost > 0)
            stripped = _GAPS.sub("\n\n", _BLANK.sub("", stripped)).strip()
            return Result(stripped or None, "" if stripped else "only_markup", counts=tuple(counts))

        return apply
