"""The text of a run as token ids, and how well the untouched base predicts it: both made once and shared by jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bailong import identity
from bailong.assemble import open_tokenizer, precision_of
from bailong.config import Train
from bailong.data import prepared, tokens
from bailong.data.batches import Sequences
from bailong.data.tokens import Corpus, TokenizedText
from bailong.model.score import score
from bailong.tokenizer.folder import byte_lengths, encode_documents, load_tokenizer
from bailong.tracking import folder


def prepare(settings: Train, say: Callable[[str], None]) -> tuple[Corpus, Any, np.ndarray]:
    """Tokenize the data of a run, or open what an earlier job tokenized.

    Returns:
        The corpus, its tokenizer, and the UTF-8 bytes that each id stands for ([V]).
    """
    tokenizer, _ = open_tokenizer(settings)

    def encode(texts: list[str]) -> list[list[int]]:
        return _encode(settings, tokenizer, texts)

    markers = settings.stage.encode([], tokenizer.bos_token_id, tokenizer.eos_token_id)
    if ready := prepared.packed(settings.data, identity.tokenizer_digest(settings), markers):
        return tokens.load(ready), tokenizer, byte_lengths(tokenizer)
    place = _place(settings, identity.data_digest(settings))
    with folder.shared(place):
        if not place.exists():
            say("tokenizing (once for this data and tokenizer)")
        corpus = tokens.build(place, settings.data, len(tokenizer), encode, _report(say))
    return corpus, tokenizer, byte_lengths(tokenizer)


def evaluation(settings: Train, tokenizer: Any, data_sha256: str) -> tuple[TokenizedText, list[str]] | None:
    """The evaluation text of an earlier run as ids and documents: from the shared cache, or from its sources again.

    Args:
        data_sha256: what the run recorded. None is returned when sources of that hash are no longer there.
    """
    place = _place(settings, data_sha256)
    if (place / "corpus.json").exists():
        corpus = tokens.load(place)
        return corpus.evaluation, corpus.evaluation_documents
    try:
        if identity.data_digest(settings) != data_sha256:
            return None
    except (ValueError, OSError):
        return None
    _, documents = tokens.split(settings.data)
    return tokenized(settings, tokenizer, documents), documents


def tokenized(settings: Train, tokenizer: Any, documents: list[str]) -> TokenizedText:
    """Documents as ids in memory, with the markers of the run's stage."""
    whole = _encode(settings, tokenizer, documents)
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in whole])
    starts = np.cumsum([0, *map(len, whole)])
    return TokenizedText(ids, starts, sum(len(text.encode("utf-8")) for text in documents))


def _place(settings: Train, data_sha256: str) -> Path:
    tokenizer = identity.tokenizer_digest(settings) or identity.model_digest(settings)
    name = hashlib.sha256(f"{data_sha256}|{tokenizer}|{settings.stage.name}".encode()).hexdigest()[:24]
    return identity.cache(settings) / "tokens" / name


def _encode(settings: Train, tokenizer: Any, texts: list[str]) -> list[list[int]]:
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    return [settings.stage.encode(ids, bos, eos) for ids in encode_documents(tokenizer, texts)]


def base_score(settings: Train, corpus: Corpus, model: Any) -> float:
    """Bits per byte of the base under its own tokenizer, on the run's evaluation text; kept for the next job."""
    device = next(model.parameters()).device
    precision = precision_of(settings, device)
    tied = bool(model.config.tie_word_embeddings)
    facts = [
        identity.model_digest(settings),
        settings.model.quantization,
        settings.model.double_quantization,
        settings.model.dtype,
        tied,
        precision,
        device.type,
        settings.stage.context,
        identity.data_digest(settings),
    ]
    place = identity.cache(settings) / "base" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]}.json"
    with folder.shared(place):
        if not place.exists():
            value = _score_with_own_tokenizer(settings, corpus, model, precision)
            folder.write_json(place, {"bits_per_byte": value, "facts": facts})
        return json.loads(place.read_text())["bits_per_byte"]


def _score_with_own_tokenizer(settings: Train, corpus: Corpus, model: Any, precision: str) -> float:
    tokenizer: Any = load_tokenizer(str(settings.model.path))
    text = tokenized(settings, tokenizer, corpus.evaluation_documents)
    windows = Sequences(text, settings.stage.context, "concat", tokenizer.bos_token_id, keep_tail=True)
    trainer = settings.trainer
    result = score(
        model,
        windows,
        text.text_bytes,
        new_from=len(tokenizer),
        batch=trainer.micro_batch,
        chunk=trainer.head_chunk,
        precision=precision,
    )
    return result.bits_per_byte


def _report(say: Callable[[str], None]) -> Callable[[int, int], None]:
    told = 0

    def report(documents: int, count: int) -> None:
        nonlocal told
        if count - told >= 20_000_000:
            told = count
            say(f"  {documents:,} documents, {count:,} tokens")

    return report
