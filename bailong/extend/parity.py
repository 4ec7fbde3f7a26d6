"""Proofs that a tokenizer can be trusted: the same ids everywhere, text that comes back, an untouched old language."""

from collections.abc import Callable

from transformers import PreTrainedTokenizerFast

from bailong.tokenizer.folder import encode_documents

Encode = Callable[[list[str]], list[list[int]]]


def same_ids(one: Encode, other: Encode, lines: list[str]) -> list[bool]:
    """Line by line: do two tokenizers (SentencePiece's side and transformers', the base and its extension) agree?"""
    return [a == b for a, b in zip(one(lines), other(lines), strict=True)]


def round_trip(tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> list[bool]:
    """Line by line: does decoding the ids give the line back, character for character?

    A '▁' (U+2581) typed in a text comes back as a space, in SentencePiece as here.
    """
    decoded = tokenizer.backend_tokenizer.decode_batch(encode_documents(tokenizer, lines), skip_special_tokens=False)
    return [a == b for a, b in zip(lines, decoded, strict=True)]


def longer(base: Encode, extended: Encode, lines: list[str]) -> int:
    """How many lines have more tokens than before."""
    return sum(len(b) > len(a) for a, b in zip(base(lines), extended(lines), strict=True))
