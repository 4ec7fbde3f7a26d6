"""What a rule may know beside old rows and pieces: the bytes that tokens stand for, and text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: a function from texts to the ids of each, without markers
Encode = Callable[[list[str]], list[list[int]]]


def _none() -> Iterator[str]:
    raise ValueError("the initializer needs text, and there is none")


def _unspelled(share: float) -> dict[int, list[int]]:
    raise ValueError("the initializer needs the tokenizer of the base, and there is none")


@dataclass
class Context:
    """Tokens and text, as an initializer may read them; nothing is read before it is asked for.

    Attributes:
        side: the matrix whose rows are made, `embed` or `head`; a rule sees that one alone.
        old, new: UTF-8 of each old token, in the order of its rows, and of each new one; a special token has none.
        documents: the documents that are trained on, those held out left aside.
        encode_old, encode: text by the old tokenizer, and by the extended one, whose ids go on behind the old.
        begin: the marker that documents begin with. longest: tokens that the model is trained on at a time.
        halves: of each new id that merges make, the two ids that the last of them puts together.
        respelled: by share, the old tokens that the old vocabulary got last, and the ids that spell each without them.
        notes: what rules tell of their work, for the run to say.
        memory: what rules have worked out and will ask for again, for the head as for the embedding.
        shares: by size of text, how often each old token stands in it (bailong.initializer.alpha).
    """

    old: list[bytes]
    new: list[bytes]
    documents: Callable[[], Iterator[str]] = _none
    encode_old: Encode | None = None
    encode: Encode | None = None
    begin: int | None = None
    longest: int = 1024
    halves: Callable[[], dict[int, tuple[int, int]]] = dict
    respelled: Callable[[float], dict[int, list[int]]] = _unspelled
    side: str = "embed"
    notes: list[str] = field(default_factory=list)
    memory: dict[Any, Any] = field(default_factory=dict)
    shares: dict[int, dict[int, float]] = field(default_factory=dict)
    _texts: dict[int, list[str]] = field(default_factory=dict)

    def text(self, size: int) -> list[str]:
        """The first documents, so many that they are `size` bytes; the last one is cut there."""
        if size not in self._texts:
            kept: list[str] = []
            left = size
            for document in self.documents():
                whole = document.encode("utf-8")
                kept.append(document if len(whole) <= left else whole[:left].decode("utf-8", "ignore"))
                left -= len(whole)
                if left <= 0:
                    break
            self._texts[size] = [text for text in kept if text]
        return self._texts[size]

    def encode_all(self, size: int) -> list[list[int]]:
        """`text(size)` by the extended tokenizer."""
        assert self.encode is not None
        return self.encode(self.text(size))
