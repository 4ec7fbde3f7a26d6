"""How well a model predicts the evaluation texts of a run, and how well the untouched base does."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from bailong.data.batches import Sequences
from bailong.data.tokens import Corpus, TokenizedText
from bailong.model.score import Score, score
from bailong.run import files, folder
from bailong.tokenizer.folder import load_tokenizer
from bailong.train import dialogues, identity
from bailong.train.assemble import precision_of
from bailong.train.corpus import plain, tokenized
from bailong.train.room import USUAL
from bailong.train.settings import ENDS, Train
from bailong.train.texts import EvaluationText

#: the held-out text of `data` among the evaluation texts, whose own names are never empty; and its longer part
HELD_OUT, HELD_OUT_AT_ENDS = "", ENDS


def windows(settings: Train, text: TokenizedText, bos: int, packing: str | None = None) -> Sequences:
    """A text as the run scores it: all of it, in the order of its documents; cut as the stage has it, or `packing`."""
    return Sequences(text, settings.stage.context, packing or settings.stage.evaluation_packing, bos, keep_tail=True)


def evaluate(
    settings: Train,
    model: Any,
    text: TokenizedText,
    bos: int,
    new_from: int,
    precision: str,
    packing: str | None = None,
) -> Score:
    """Score a text as the run does; ids from `new_from` on count as new tokens."""
    return score(
        model,
        windows(settings, text, bos, packing),
        text.text_bytes,
        new_from=new_from,
        batch=USUAL if settings.trainer.micro_batch == "auto" else settings.trainer.micro_batch,
        chunk=settings.trainer.head_chunk,
        precision=precision,
    )


class Evaluated:
    """The evaluation texts of a run as ids: the held-out text of `data`, and under their names the others.

    Args:
        texts: the others, as ids of the run's tokenizer; plain text whatever the stage trains on, or dialogues as it
            has them.
    """

    def __init__(self, settings: Train, tokenizer: Any, corpus: Corpus, texts: Sequence[EvaluationText]):
        self.settings, self.bos, self.corpus, self.texts = settings, tokenizer.bos_token_id, corpus, texts
        self.ids = {
            name: (tokenized if text.dialogues else plain)(settings, tokenizer, documents)
            for text in texts
            for name, documents in text.parts(ends=True).items()
        }

    def scores(self, model: Any, new_from: int, precision: str, ends: bool) -> dict[str, Score]:
        """By name, the held-out text first (`HELD_OUT`). `ends`: step 0 or the last step, with the longer parts."""
        held_out = {HELD_OUT: self.corpus.evaluation}
        if ends and self.corpus.ends:
            held_out[HELD_OUT_AT_ENDS] = self.corpus.ends
        found = {
            name: evaluate(self.settings, model, text, self.bos, new_from, precision) for name, text in held_out.items()
        }
        for text in self.texts:
            packing = None if text.dialogues else "concat"
            for name in text.parts(ends):
                found[name] = evaluate(self.settings, model, self.ids[name], self.bos, new_from, precision, packing)
        return found


def row(scores: dict[str, Score]) -> dict[str, float | int | None]:
    """The measurements as the metrics record names them: `eval/bpb` of the held-out text, `eval/ends/bpb` of its longer
    part, `eval/<name>/bpb` of others; their tokens are targets."""
    found: dict[str, float | int | None] = dict(scores[HELD_OUT].row())
    for name, one in scores.items():
        if name != HELD_OUT:
            found |= {
                f"eval/{name}/bpb": one.bits_per_byte,
                f"eval/{name}/loss": one.loss,
                f"eval/{name}/bytes": one.text_bytes,
                f"eval/{name}/tokens": one.targets,
            }
    return found


def base_scores(settings: Train, corpus: Corpus, texts: Sequence[EvaluationText], model: Any) -> dict[str, float]:
    """Bits per byte of the base under its own tokenizer, on each evaluation text of the run; kept for the next job."""
    device = next(model.parameters()).device
    precision = precision_of(settings, device)
    tied: bool | str = bool(model.config.tie_word_embeddings)
    if tied and settings.model.tie not in ("keep", "input"):
        tied = settings.model.tie
    facts = [
        identity.model_digest(settings),
        settings.model.quantization,
        settings.model.double_quantization,
        settings.model.dtype,
        tied,
        precision,
        device.type,
        settings.stage.context,
    ]
    own = [identity.data_digest(settings), *([settings.stage.encoding] if settings.stage.dialogues else [])]
    own += [form for form in [dialogues.digest(settings)] if form]
    tokenizer: Any = None

    def kept(documents: list[str], what: list[Any], as_learned: bool = True) -> float:
        nonlocal tokenizer
        known = hashlib.sha256(json.dumps([*facts, *what]).encode()).hexdigest()[:24]
        place = identity.cache(settings) / "base" / f"{known}.json"
        with folder.shared(place):
            if not place.exists():
                tokenizer = tokenizer or dialogues.give(settings, load_tokenizer(str(settings.model.path)))
                text = (tokenized if as_learned else plain)(settings, tokenizer, documents)
                packing = None if as_learned else "concat"
                bos, size = tokenizer.bos_token_id, len(tokenizer)
                found = evaluate(settings, model, text, bos, size, precision, packing)
                files.write_json(place, {"bits_per_byte": found.bits_per_byte, "facts": [*facts, *what]})
            return json.loads(place.read_text())["bits_per_byte"]

    scores = {HELD_OUT: kept(corpus.evaluation_documents, own)}
    if corpus.ends:
        scores[HELD_OUT_AT_ENDS] = kept(corpus.ends_documents, [*own, "at the ends"])
    for text in texts:
        for name, documents in text.parts().items():
            content = hashlib.sha256(json.dumps(documents).encode()).hexdigest()
            if text.dialogues:
                scores[name] = kept(documents, [*own, content])
            else:
                scores[name] = kept(documents, ["plain text", content], as_learned=False)
    return scores
