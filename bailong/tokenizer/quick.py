"""Encoding by gigatoken, several times as fast, where it is installed (`pip install bailong[quick]`) and agrees.

It is young (0.10), and a wrong id is never noticed later. So it is believed only as far as it is watched: everything is
encoded by both until `WATCHED` bytes of the very texts agree, and once they differ it is out for good. Two things are
known of 0.10.0 and kept from it: a special token typed in a text, which we read as text and it as the token, and a
vocabulary that lacks a byte, which it refuses (SmolLM2's).
"""

import re
import weakref
from collections.abc import Callable
from typing import Any

#: bytes of texts that both must encode alike before one does it alone
WATCHED = 1_000_000
#: bytes after which it begins anew: it keeps every word that it has seen
KEPT = 1_000_000_000

Encode = Callable[[list[str]], list[list[int]]]


class Quick:
    """gigatoken for one tokenizer, watched.

    Attributes:
        agreed: bytes of texts that it encoded as `tokenizers` does. out: it will not be asked any more.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        special = [re.escape(t.content) for t in backend.get_added_tokens_decoder().values() if t.special]
        self.typed = re.compile("|".join(special) or r"(?!)")
        self.agreed = self.kept = 0
        self.out = not self._begin()

    def encode(self, texts: list[str], slowly: Encode) -> list[list[int]]:
        """Ids of texts. `slowly`: what must come out."""
        if self.out:
            return slowly(texts)
        plain = [i for i, text in enumerate(texts) if not self.typed.search(text)]
        chosen = [texts[i] for i in plain]
        size = sum(len(text.encode("utf-8")) for text in chosen)
        found = self.reader.encode_batch_list(chosen, parallel=False)
        if self.agreed < WATCHED:
            expected = slowly(texts)
            self.out = found != [expected[i] for i in plain]
            self.agreed += size
            return expected
        self.kept += size
        if self.kept > KEPT:
            self._begin()
        rest = sorted({*range(len(texts))} - {*plain})
        ids = dict(zip(plain, found, strict=True)) | dict(zip(rest, slowly([texts[i] for i in rest]), strict=True))
        return [ids[i] for i in range(len(texts))]

    def _begin(self) -> bool:
        """Make it from the tokenizer's own file; False where it is not installed, or refuses."""
        try:
            from gigatoken import Tokenizer
        except ImportError:
            return False
        try:
            self.reader = Tokenizer.from_json(self.backend.to_str())
        except Exception:  # of its own kinds, for what it does not read
            return False
        self.kept = 0
        return True


_known: "weakref.WeakKeyDictionary[Any, Quick]" = weakref.WeakKeyDictionary()


def of(tokenizer: Any) -> Quick:
    """The one of a tokenizer of transformers."""
    if tokenizer not in _known:
        _known[tokenizer] = Quick(tokenizer.backend_tokenizer)
    return _known[tokenizer]
