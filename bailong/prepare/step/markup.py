"""Leftovers of HTML, wiki text and BBCode are turned into plain text."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from bailong.prepare.step.base import Result, TextStep

_BLANK = re.compile(r"[ \t]+(?=\n)|(?<=\n)[ \t]+(?=\n)")
_GAPS = re.compile(r"\n{3,}")


@dataclass
class Markup(TextStep):
    """Which kinds are looked for. Ordinary text with < > & [ ] { } is left alone (`bailong.text.markup`).

    A page that is cut out of HTML badly still holds its words, so this step rewrites instead of dropping: what each
    document lost is seen in the ledger's samples.
    """

    html: bool = True
    wiki: bool = True
    bbcode: bool = True

    name: ClassVar[str] = "markup"
    version: ClassVar[int] = 2

    def open(self) -> Callable[[str], Result]:
        from bailong.text.markup import KINDS

        kinds = [(kind, strip) for kind, strip in KINDS.items() if getattr(self, kind)]

        def apply(text: str) -> Result:
            if not any(sign in text for sign in "<&[［{=^"):
                return Result(text)
            counts, stripped = [], text
            for kind, strip in kinds:
                before, stripped = stripped, strip(stripped)
                if stripped != before:
                    counts.append(kind)
            if not counts:
                return Result(text)
            stripped = _GAPS.sub("\n\n", _BLANK.sub("", stripped)).strip()
            return Result(stripped or None, "" if stripped else "only_markup", counts=tuple(counts))

        return apply
