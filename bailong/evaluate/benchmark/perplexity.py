"""Bits per byte of any text under a model: the one score that needs no answer, and compares across tokenizers."""

from typing import Any


def bits_per_byte(
    model: Any, tokenizer: Any, documents: list[str], context: int, batch: int, chunk: int = 1024
) -> dict[str, Any]:
    """How well a model predicts documents, each between its begin and end markers as in training.

    The documents are one stream, cut into blocks of `context` targets; every token but the very first is a target
    exactly once, begin markers excepted. The numbers are those of `eval/bpb` in a run's record.

    Args:
        model: a causal model in Llama's form, with adapters or without.
        tokenizer: its tokenizer, with an end marker.
        context: targets a block; batch: blocks a forward pass; chunk: tokens a chunk of the head.

    Returns:
        `bits_per_byte`, `loss` (nats per target), `targets`, `text_bytes`, `documents`.

    Raises:
        ValueError: there is no text, or the tokenizer has no end marker.
    """
    import numpy as np

    from bailong.data.batches import Sequences
    from bailong.data.tokens import TokenizedText
    from bailong.model.score import score
    from bailong.tokenizer.folder import begin_of, encode_documents

    eos = tokenizer.eos_token_id
    if eos is None:
        raise ValueError("bits per byte need a tokenizer with an end marker (eos_token)")
    if not any(documents):
        raise ValueError("bits per byte need text: there is none")
    begin = tokenizer.convert_tokens_to_ids(begin_of(tokenizer))  # as in training
    rows = [[begin, *ids, eos] for ids in encode_documents(tokenizer, documents)]
    text = TokenizedText(
        np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]),
        np.cumsum([0, *map(len, rows)]),
        sum(len(document.encode("utf-8")) for document in documents),
    )
    windows = Sequences(text, context, "concat", begin, keep_tail=True)
    found = score(
        model, windows, text.text_bytes, new_from=len(tokenizer), batch=batch, chunk=chunk, precision="32-true"
    )
    return {
        "bits_per_byte": found.bits_per_byte,
        "loss": found.loss,
        "targets": found.targets,
        "text_bytes": text.text_bytes,
        "documents": len(documents),
    }
