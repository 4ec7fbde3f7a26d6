"""Token ids, once: length, MinHash, mixture and packing all read them (paper, section 3.2: Bailong's own tokens)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.prepare.step.base import CorpusStep

if TYPE_CHECKING:
    import numpy as np

#: the tokenizer that needs no file: a token is a Unicode code point
CHARACTERS = "characters"


@dataclass
class Tokenize(CorpusStep):
    """Encode every document that is left.

    `tokenizer` is a folder of `bailong-extend`, any tokenizer folder or Hub id, or `characters`: a token is then a
    Unicode code point, which needs no tokenizer (one is made *from* the corpus, after all) but leaves nothing to pack.
    """

    tokenizer: str = CHARACTERS

    name: ClassVar[str] = "tokenize"
    local: ClassVar[tuple[str, ...]] = ("tokenizer",)

    def __post_init__(self) -> None:
        self.require(self.enabled, "enabled", "true: lengths and duplicates are counted in tokens")

    @property
    def characters(self) -> bool:
        return self.tokenizer == CHARACTERS

    def facts(self) -> dict[str, Any]:
        """The tokenizer's hash and vocabulary, and how many bits an id takes."""
        if self.characters:
            return {"sha256": CHARACTERS, "vocabulary": 0x110000, "bos": None, "eos": None}
        from bailong.tokenizer.folder import load_tokenizer

        try:
            tokenizer = load_tokenizer(self.tokenizer)
        except ValueError as error:  # written for those who load a model
            raise ValueError(str(error).replace("model.path=", "tokenize.tokenizer=")) from None
        return {
            "sha256": tokenizer_sha256(self.tokenizer),
            "vocabulary": len(tokenizer),
            "bos": tokenizer.bos_token_id,
            "eos": tokenizer.eos_token_id,
        }

    def open(self) -> tuple[Callable[[list[str]], list[np.ndarray]], str, Callable[[int], str]]:
        """The function from texts to ids ([length] each, no markers), their dtype (16 bits where they fit), and the
        text of an id."""
        import numpy as np

        if self.characters:
            return (
                lambda texts: [np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32) for text in texts],
                "uint32",
                chr,
            )
        from bailong.tokenizer.folder import encode_documents, load_tokenizer

        tokenizer = load_tokenizer(self.tokenizer)
        dtype = "uint16" if len(tokenizer) <= 2**16 else "uint32"
        return (
            lambda texts: [np.asarray(ids, dtype=dtype) for ids in encode_documents(tokenizer, texts)],
            dtype,
            lambda i: str(tokenizer.decode(i)),
        )


def tokenizer_sha256(name: str) -> str:
    """What tells one tokenizer from another: the manifest's hash, the hash of `tokenizer.json`, or the Hub id."""
    from bailong.tokenizer.folder import TokenizerFolder

    folder = Path(name)
    if (folder / "manifest.json").is_file():
        return TokenizerFolder.open(folder).sha256
    for file in ("tokenizer.json", "tokenizer.model"):
        if (folder / file).is_file():
            return hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return hashlib.sha256(folder.read_bytes()).hexdigest() if folder.is_file() else name
