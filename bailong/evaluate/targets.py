"""`targets.jsonl`: how likely the reference translations are to a model, each behind its question, token by token.

A row is {"benchmark", "id", "key", "nats", "bytes", "tokens"}: the negative log-likelihood of the reference's own
tokens, in nats, and the reference in bytes of UTF-8. The question and the reference are laid out as training lays out a
dialogue, in the chat template by which the model is asked. The token that closes an answer is left out: bits per byte
are of the text alone, so that they compare across templates and tokenizers. `nats` is null where both together are
longer than the context; such a sentence is in no sum, and is counted.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bailong.evaluate.benchmark.item import Item
from bailong.run import journal
from bailong.run.journal import Journal

FILE = "targets.jsonl"


def key(source: Any, item: Item) -> str:
    """SHA-256 of all that decides a likelihood.

    Args:
        source: bailong.evaluate.answers.LocalSource.
    """
    facts = [source.digest, source.precision, source.generator.context, source.generator.template]
    text = json.dumps([facts, item.benchmark, item.id, item.prompts, item.golds[0]], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def collect(source: Any, items: Sequence[Item], path: Path, done: Callable[[int, int], None] | None = None) -> None:
    """Append a row for each item that has none under these settings.

    Killed at any moment it goes on with the same numbers: batches are those of the whole, and one that is not all there
    is computed again.

    Args:
        source: bailong.evaluate.answers.LocalSource; its model is loaded only where something is missing.

    Raises:
        ValueError: the chat template tells no answer from what stands around it; another process writes to the file.
    """
    keys = [key(source, item) for item in items]
    with Journal(path) as written:
        last = {(row["benchmark"], row["id"]): row["key"] for row in written.rows}
        known = {at for at, item in enumerate(items) if last.get((item.benchmark, item.id)) == keys[at]}
        if len(known) == len(items):
            return
        from bailong.evaluate.likelihood import continuations

        local = source.local
        laid = [_laid(local, item) for item in items]

        def add(place: int, nats: float | None) -> None:
            ids, begin = laid[place]
            facts = {"benchmark": items[place].benchmark, "id": items[place].id, "key": keys[place]}
            size = len(items[place].golds[0].encode("utf-8", "surrogatepass"))
            written.append(facts | {"nats": nats, "bytes": size, "tokens": len(ids) - begin})
            known.add(place)
            if done is not None:
                done(len(known), len(items))

        fits = [place for place, (ids, _) in enumerate(laid) if len(ids) <= local.context]
        for place in sorted({*range(len(items))} - {*fits} - known):
            add(place, None)
        names = [f"{items[place].benchmark}, question {items[place].id}" for place in fits]
        skip = {at for at, place in enumerate(fits) if place in known}
        continuations(local, [laid[place] for place in fits], names, lambda at, of: add(fits[at], -of), skip)


def _laid(local: Any, item: Item) -> tuple[list[int], int]:
    """The ids of a question and its reference up to the end of that, and where it begins."""
    from bailong.data import chat, template
    from bailong.data.turns import Turn

    equation8 = local.template == "bailong" or local.tokenizer.chat_template == template.JINJA
    lay = template.lay if equation8 else chat.lay
    (found,) = lay(local.tokenizer, [[Turn(item.prompts[0], item.golds[0])]])
    trained = np.flatnonzero(np.asarray(found.encoded.trained))  # the reference, and the token that closes it
    return np.asarray(found.encoded.ids)[: trained[-1]].tolist(), int(trained[0])


def read(path: Path, items: Sequence[Item]) -> np.ndarray | None:
    """What a file says of items: [n, 2] of bits and bytes, zeros where the sentence was too long; None unless all are
    in it."""
    last = {(row["benchmark"], row["id"]): row for row in journal.read(path)}
    rows = [last.get((item.benchmark, item.id)) for item in items]
    if None in rows:
        return None
    found = [(row["nats"] / np.log(2), row["bytes"]) if row["nats"] is not None else (0, 0) for row in rows if row]
    return np.asarray(found, dtype=float)
