"""How well a model predicts the evaluation text of a run, and how well the untouched base does."""

import hashlib
import json
from typing import Any

from bailong.data.batches import Sequences
from bailong.data.tokens import Corpus, TokenizedText
from bailong.model.score import Score, score
from bailong.run import files, folder
from bailong.tokenizer.folder import load_tokenizer
from bailong.train import identity
from bailong.train.assemble import precision_of
from bailong.train.corpus import tokenized
from bailong.train.settings import Train


def windows(settings: Train, text: TokenizedText, bos: int) -> Sequences:
    """The evaluation text as the run scores it: all of it, in the order of its documents."""
    return Sequences(text, settings.stage.context, settings.stage.evaluation_packing, bos, keep_tail=True)


def evaluate(settings: Train, model: Any, text: TokenizedText, bos: int, new_from: int, precision: str) -> Score:
    """Score a text as the run does; ids from `new_from` on count as new tokens."""
    return score(
        model,
        windows(settings, text, bos),
        text.text_bytes,
        new_from=new_from,
        batch=settings.trainer.micro_batch,
        chunk=settings.trainer.head_chunk,
        precision=precision,
    )


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
        *([settings.stage.encoding] if settings.stage.dialogues else []),
    ]
    place = identity.cache(settings) / "base" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]}.json"
    with folder.shared(place):
        if not place.exists():
            tokenizer: Any = load_tokenizer(str(settings.model.path))
            text = tokenized(settings, tokenizer, corpus.evaluation_documents)
            found = evaluate(settings, model, text, tokenizer.bos_token_id, len(tokenizer), precision)
            files.write_json(place, {"bits_per_byte": found.bits_per_byte, "facts": facts})
        return json.loads(place.read_text())["bits_per_byte"]
