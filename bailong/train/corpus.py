"""The text of a run as token ids, made once and shared by jobs."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bailong.data import prepared, tokens
from bailong.data.tokens import Corpus, Encoded, TokenizedText
from bailong.run import folder
from bailong.train import dialogues, identity, texts
from bailong.train.assemble import open_tokenizer
from bailong.train.settings import Train
from bailong.train.texts import EvaluationText


def prepare(settings: Train, say: Callable[[str], None]) -> Corpus:
    """Tokenize the data of a run, or open what an earlier job tokenized."""
    if not settings.data.held_out:
        raise ValueError(
            "data.held_out=0 keeps no text to evaluate a run on: add data.held_out=0.01, which also holds for a corpus "
            "that was prepared with 0"
        )
    tokenizer, _ = open_tokenizer(settings)
    markers = settings.stage.markers(tokenizer.bos_token_id, tokenizer.eos_token_id)
    if ready := prepared.packed(settings.data, identity.tokenizer_digest(settings), markers):
        return tokens.load(ready)
    place = _place(settings, identity.data_digest(settings))
    with folder.shared(place):
        if not place.exists():
            say("tokenizing (once for this data and tokenizer)")
        encode = partial(settings.stage.encode, tokenizer)
        corpus = tokens.build(place, settings.data, len(tokenizer), encode, say)
    if not corpus.evaluation.text_bytes:
        raise ValueError(
            f"stage.context={settings.stage.context} is not accepted: it must be so large that the held-out dialogues "
            "keep a byte of their outputs"
        )
    return corpus


def replayed(settings: Train, evaluated: Sequence[EvaluationText], say: Callable[[str], None]) -> TokenizedText:
    """The text of `data.replay` as ids, encoded as the data is; without what is held out or evaluated.

    Raises:
        ValueError: nothing is left of it.
    """
    tokenizer, _ = open_tokenizer(settings)
    content, documents = texts.replayed(settings, identity.cache(settings), evaluated)
    place = _place(settings, content)
    with folder.shared(place):
        text = tokens.build_text(place, documents, len(tokenizer), partial(settings.stage.encode, tokenizer), say)
    if not text.text_bytes:
        raise ValueError(
            f"data.replay.path={settings.data.replay.path} is not accepted: it holds no document that is neither held "
            "out nor evaluated"
        )
    return text


def evaluation_text(settings: Train, tokenizer: Any, data_sha256: str) -> tuple[TokenizedText, list[str]] | None:
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
    _, documents, _ = tokens.split(settings.data)
    return tokenized(settings, tokenizer, documents), documents


def plain(settings: Train, tokenizer: Any, documents: list[str]) -> TokenizedText:
    """Documents of plain text as ids in memory, whatever the run's stage trains on."""
    return _together(settings.stage.encode_text(tokenizer, documents), documents)


def tokenized(settings: Train, tokenizer: Any, documents: list[str]) -> TokenizedText:
    """Documents as ids in memory, as the run's stage has them."""
    return _together(settings.stage.encode(tokenizer, documents), documents)


def _together(whole: list[Encoded], documents: list[str]) -> TokenizedText:
    ids = np.concatenate([np.asarray(row.ids, dtype=np.int64) for row in whole])
    starts = np.cumsum([0, *(len(row.ids) for row in whole)])
    sizes = (
        len(t.encode("utf-8")) if row.text_bytes is None else row.text_bytes
        for t, row in zip(documents, whole, strict=True)
    )
    masks = [row.trained for row in whole if row.trained is not None]
    return TokenizedText(ids, starts, sum(sizes), np.concatenate(masks) if masks else None)


def shown(text: TokenizedText, tokenizer: Any) -> str:
    """The first dialogue of several turns, a line for each stretch of tokens that is trained on or not."""
    assert text.trained is not None
    bounds = zip(text.starts[:-1], text.starts[1:], strict=True)
    changes = ((a, b, np.flatnonzero(np.diff(text.trained[a:b])) + 1) for a, b in bounds)
    begin, end, cuts = max(islice(changes, 100), key=lambda found: len(found[2]) > 2)
    lines = []
    for a, b in pairwise([0, *cuts, end - begin]):
        ids = text.ids[begin + a : begin + b]
        words = " ".join(tokenizer.decode(ids).split())
        words = words if len(words) <= 60 else f"{words[:36]} … {words[-20:]}"
        lines.append(f"  {'trained on' if text.trained[begin + a] else 'input only'}  {len(ids):5,} tokens  {words}")
    return "\n".join(lines)


def _place(settings: Train, data_sha256: str) -> Path:
    tokenizer = identity.tokenizer_digest(settings) or identity.model_digest(settings)
    stage = settings.stage
    # Dialogues are cut to the context before they are stored, text is not
    kind = f"{stage.name}-{stage.context}-{stage.encoding}" if stage.dialogues else stage.name
    if form := dialogues.digest(settings):
        kind += f"-{form}"
    if taken := settings.data.taken:
        kind += f"-{sorted(taken.items())}"
    name = hashlib.sha256(f"{data_sha256}|{tokenizer}|{kind}".encode()).hexdigest()[:24]
    return identity.cache(settings) / "tokens" / name
