"""Half-width punctuation in Chinese becomes full-width (paper, section 3.2), and stays in numbers, code and English."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from bailong.prepare.step.base import ChineseStep, Result

_FULL_WIDTH = str.maketrans(",;:!?().", "，；：！？（）。")


@dataclass
class Punctuate(ChineseStep):
    """The paper translates sign by sign, which gives 3。14, 10：30 and https：//: `contextual` looks at the neighbours.
    A source that is labelled with another language keeps its punctuation.

    Attributes:
        mode: `contextual`; `naive` replaces every sign, as the paper; `off` none.
        quotes: `corner` writes 「」『』 for curly quotes, and for straight ones around Chinese; `curly` for curly ones
            only; `keep` leaves all as they are. English quotations keep theirs.
        ellipsis: whether dots of all kinds beside Chinese (..., 。。。, ⋯, …) become ……
    """

    name: ClassVar[str] = "punctuate"
    version: ClassVar[int] = 2
    mode: str = "contextual"
    quotes: str = "corner"
    ellipsis: bool = True

    def __post_init__(self) -> None:
        self.one_of("mode", ["contextual", "naive", "off"])
        self.one_of("quotes", ["corner", "curly", "keep"])

    def open(self) -> Callable[[str], Result]:
        if self.mode == "off":
            return Result
        if self.mode == "naive":
            return lambda text: Result(text.translate(_FULL_WIDTH))
        from bailong.text.punctuation import contextual

        quotes, ellipsis = self.quotes, self.ellipsis
        return lambda text: Result(contextual(text, quotes=quotes, ellipsis=ellipsis))
