"""Proofs that a tokenizer can be trusted: the same ids everywhere, text that comes back, an untouched old language."""

from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizerFast

from bailong.tokenizer.folder import encode_documents
from bailong.tokenizer.merge import is_cjk


def same_ids(encoder: SentencePieceProcessor, tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> list[bool]:
    """Line by line: do SentencePiece and the transformers tokenizer give the same ids?"""
    return [a == b for a, b in zip(encoder.encode(lines), encode_documents(tokenizer, lines), strict=True)]


def round_trip(tokenizer: PreTrainedTokenizerFast, lines: list[str]) -> list[bool]:
    """Line by line: does decoding the ids give the line back, character for character?

    A '▁' (U+2581) typed in a text comes back as a space, in SentencePiece as here.
    """
    decoded = tokenizer.backend_tokenizer.decode_batch(encode_documents(tokenizer, lines), skip_special_tokens=False)
    return [a == b for a, b in zip(lines, decoded, strict=True)]


def unchanged(base: SentencePieceProcessor, extended: SentencePieceProcessor, lines: list[str]) -> list[bool]:
    """For each line without a CJK character: does the extended tokenizer give the base's ids?"""
    lines = [line for line in lines if not any(map(is_cjk, line))]
    return [a == b for a, b in zip(base.encode(lines), extended.encode(lines), strict=True)]
