"""Documents of fewer than ten tokens are dropped (paper, section 3.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from bailong.prepare.step.base import CorpusStep


@dataclass
class Length(CorpusStep):
    """Bounds on a document's length in tokens of `tokenize`, both inclusive; null: no upper bound.

    The lower one counts tokens that show something: blanks and line breaks make no document longer.
    """

    min_tokens: int = 10
    max_tokens: int | None = None

    name: ClassVar[str] = "length"
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        self.require(self.min_tokens >= 0, "min_tokens", "0 or more")
        self.require(
            self.max_tokens is None or self.max_tokens >= self.min_tokens,
            "max_tokens",
            f"at least min_tokens={self.min_tokens}, or null",
        )

    def reason(self, tokens: int, seen: Iterable[bool] | None = None) -> str:
        """Why a document of so many tokens is dropped; empty where it stays.

        Args:
            seen: whether each token shows something, read no further than it must be; None: all do.
        """
        if tokens < self.min_tokens:
            return "too_short"
        if seen is not None and len(tuple(islice(filter(None, seen), self.min_tokens))) < self.min_tokens:
            return "too_short"
        return "too_long" if self.max_tokens is not None and tokens > self.max_tokens else ""
