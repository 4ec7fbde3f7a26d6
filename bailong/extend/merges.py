"""A base that is a list of merges, opened for extension; and the road of continued BPE for every base."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.status import Status

from bailong.extend import continued
from bailong.extend.pairs import Learned
from bailong.extend.progress import step
from bailong.extend.spm import SentencePieceBase
from bailong.run.files import write_json
from bailong.tokenizer import folder
from bailong.tokenizer.merge_list import MergeList
from bailong.tokenizer.scripts import Alphabet, checked, scripts_of
from bailong.tokenizer.settings import Tokenizer


class MergeListBase:
    """A tokenizer.json that new merges are appended to."""

    facts: dict[str, str] = {}

    def __init__(self, data: MergeList) -> None:
        self.list = data
        self.sha256 = data.sha256

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts, without markers; a special token that was typed is text."""
        reader = self.list.tokenizer
        reader.encode_special_tokens = True
        return [encoding.ids for encoding in reader.encode_batch(texts, add_special_tokens=False)]

    def as_list(self) -> MergeList:
        """Itself."""
        return self.list

    def converted(self) -> folder.Made:
        """The base alone."""
        return folder.of_merges(self.list, self.list.data, [])

    def appended(self, learned: Learned, method: str) -> folder.Made:
        """The base with new tokens, and their merges behind all of its own."""
        if method == "add_tokens":
            return folder.of_merges(self.list, self.list.with_added(learned.tokens), learned.tokens)
        return folder.of_merges(self.list, self.list.extended(learned.tokens, learned.merges), learned.tokens)


def alphabet_of(wanted: Tokenizer) -> Alphabet:
    """The characters that new tokens are made of: `tokenizer.scripts`, or those of `tokenizer.language`.

    Raises:
        ValueError: neither is given, or one is not known.
    """
    if wanted.scripts:
        return Alphabet(checked(tuple(wanted.scripts)), wanted.max_piece_length)
    if wanted.language is None:
        raise ValueError(
            f"tokenizer.method={wanted.method} needs to know which characters new tokens are made of: "
            "set tokenizer.language (zh-Hant, tr, ...) or tokenizer.scripts=[Han]"
        )
    return Alphabet(scripts_of(wanted.language), wanted.max_piece_length)


def learned_for(
    base: SentencePieceBase | MergeListBase,
    wanted: Tokenizer,
    texts: Iterator[str],
    protect: Callable[[], Iterable[str]],
    cache: Path,
    status: Status,
) -> Learned:
    """The new tokens of a recipe, at most `tokenizer.max_new` of the `tokenizer.pieces` that are learned.

    What was learned is kept in `cache`, so that another `max_new` is a cut and no training.

    Args:
        protect: text of the old language that must stay as the base cuts it; read where it has letters of the new one.

    Raises:
        ValueError: nothing can be learned.
    """
    alphabet, tokens = alphabet_of(wanted), base.as_list()
    if not cache.exists():
        old = [line for line in continued.lines_of(protect()) if any(map(alphabet.has, line))]
        forbidden = continued.base_pairs(tokens, old)
        step(status, "counting what the base makes of the text")
        told = lambda done: status.update(f"counting what the base makes of the text: {done:,} lines")  # noqa: E731
        counted = continued.count(tokens, alphabet, continued.lines_of(texts), told)
        if not counted.tokens:
            raise ValueError("the text to train the tokenizer on is empty")
        step(status, f"learning {wanted.pieces:,} tokens ({wanted.method})")
        learned = continued.train(
            tokens,
            alphabet,
            counted,
            method=wanted.method,
            size=wanted.pieces,
            forbidden=forbidden,
            progress=lambda done: status.update(f"learning {wanted.pieces:,} tokens ({wanted.method}): {done:,}"),
        )
        require_learned(wanted, alphabet, counted, learned)
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, packed(learned))
    return unpacked(json.loads(cache.read_text(encoding="utf-8"))).cut(wanted.max_new)


def require_learned(wanted: Tokenizer, alphabet: Alphabet, counted: continued.Counted, learned: Learned) -> None:
    """Refuse an extension that adds nothing.

    Raises:
        ValueError: with the scripts that new tokens may be of.
    """
    if not learned.tokens:
        raise ValueError(
            f"tokenizer.scripts={list(alphabet.scripts)} leaves no new token of this text: its {counted.size:,} bytes "
            f"hold no two tokens of the base side by side that are of these scripts and stand there twice; "
            "give tokenizer.scripts or tokenizer.language of the text, or pieces=0 to convert the base alone"
        )


def cache_of(target: Path, recipe: dict[str, Any], corpus: dict[str, Any]) -> Path:
    """Where the tokens that were learned for a recipe are kept, whatever their number."""
    facts = {key: value for key, value in recipe.items() if key != "max_new"}
    name = hashlib.sha256(json.dumps([facts, corpus], sort_keys=True).encode()).hexdigest()[:24]
    return target.parent / ".cache" / f"learned-{name}.json"


def packed(learned: Learned) -> dict[str, Any]:
    """As JSON: bytes as Latin-1."""
    return {
        "tokens": [token.decode("latin-1") for token in learned.tokens],
        "merges": [[part.decode("latin-1") for part in merge] for merge in learned.merges],
        "known": learned.known,
    }


def unpacked(facts: dict[str, Any]) -> Learned:
    """The reverse of `packed`."""
    tokens = [token.encode("latin-1") for token in facts["tokens"]]
    merges = [(left.encode("latin-1"), right.encode("latin-1")) for left, right in facts["merges"]]
    return Learned(tokens, merges, facts["known"])
