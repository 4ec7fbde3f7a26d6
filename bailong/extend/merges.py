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

#: of how tokens are learned: rises when others come of the same text; a part of the recipe, as `learning`
LEARNING = 4


class MergeListBase:
    """A tokenizer.json that new merges are appended to."""

    facts: dict[str, str] = {}

    def __init__(self, data: MergeList) -> None:
        self.list = data
        self.sha256 = data.sha256

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Ids of texts, without markers; a special token that was typed is text."""
        return folder.encode_raw(self.list.tokenizer, texts)

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
) -> tuple[Learned, dict[str, Any]]:
    """The new tokens of a recipe, at most `tokenizer.max_new` of the `tokenizer.pieces` that are learned.

    What was learned is kept in `cache`, so that another `max_new` is a cut and no training.

    Args:
        protect: text of the old language that must stay as the base cuts it; read where a new token may come to be.

    Returns:
        The tokens, and what the text was to the base and is now, with what protecting costs in bytes per token.

    Raises:
        ValueError: nothing can be learned.
    """
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or damaged
        kept = _learn(base, wanted, texts, protect, status)
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, kept)
    learned = unpacked(kept["learned"]).cut(wanted.max_new)
    free = kept["saved_unprotected"][: len(learned.tokens)]
    rate = lambda saved: kept["bytes"] / (kept["tokens"] - saved[-1])  # noqa: E731
    return learned, {
        "bytes": kept["bytes"],
        "tokens_before": kept["tokens"],
        "tokens": kept["tokens"] - learned.saved[-1],
        "protected_words": kept["protected_words"],
        "lost_to_protecting": rate(free) - rate(learned.saved) if free else None,
    }


def _learn(
    extended: SentencePieceBase | MergeListBase,
    wanted: Tokenizer,
    texts: Iterator[str],
    protect: Callable[[], Iterable[str]],
    status: Status,
) -> dict[str, Any]:
    alphabet, base = alphabet_of(wanted), extended.as_list()
    old = [line for line in continued.lines_of(protect()) if any(map(alphabet.reaches, set(line)))]
    protected = continued.words_of(base, old)
    step(status, "counting what the base makes of the text")
    counted = continued.count(
        base,
        alphabet,
        continued.lines_of(texts),
        lambda done: status.update(f"counting what the base makes of the text: {done:,} lines"),
    )
    if not counted.tokens:
        raise ValueError(
            f"tokenizer={wanted.name} has no text to learn from: the sources of data in tokenizer.language="
            f"{wanted.language} are empty, or all of their documents are held out (data.held_out)"
        )

    def learn(protected: frozenset[bytes], what: str) -> Learned:
        step(status, f"{what} {wanted.pieces:,} tokens ({wanted.method})")
        told = lambda done: status.update(f"{what} {wanted.pieces:,} tokens ({wanted.method}): {done:,}")  # noqa: E731
        given = {"method": wanted.method, "size": wanted.pieces, "protected": protected, "progress": told}
        return continued.train(base, alphabet, counted, **given)

    learned = learn(protected, "learning")
    require_learned(alphabet, counted, learned)
    return {
        "bytes": counted.size,
        "tokens": counted.tokens,
        "protected_words": len(protected),
        "learned": packed(learned),
        "saved_unprotected": learn(frozenset(), "without protecting: learning").saved if protected else [],
    }


def require_learned(alphabet: Alphabet, counted: continued.Counted, learned: Learned) -> None:
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
        "saved": learned.saved,
    }


def unpacked(facts: dict[str, Any]) -> Learned:
    """The reverse of `packed`."""
    tokens = [token.encode("latin-1") for token in facts["tokens"]]
    merges = [(left.encode("latin-1"), right.encode("latin-1")) for left, right in facts["merges"]]
    return Learned(tokens, merges, facts["known"], facts["saved"])
