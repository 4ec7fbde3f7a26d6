"""Hidden states of sentences, layer by layer: what stands for a sentence is the mean over its own tokens.

Each sentence is read alone, behind the begin marker as in training, and the marker takes no part in the mean: without
one the first word would be what all others look at, with a norm that drowns them. Sentences of a batch are padded on
the right, where a causal model never looks, and padding takes no part either.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from bailong.evaluate.generate import LocalModel, release
from bailong.evaluate.likelihood import by_length
from bailong.model.adapters import decoder
from bailong.tokenizer.folder import begin_of, encode_documents


def shape(local: LocalModel, sentences: int) -> tuple[int, int, int]:
    """(layers + 1, sentences, d): the embeddings and what each layer makes of them, the last behind the final norm."""
    config = local.model.config.get_text_config()
    return config.num_hidden_layers + 1, sentences, config.hidden_size


def fill(
    local: LocalModel,
    sentences: Sequence[str],
    states: np.ndarray,
    done: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Write the mean of every sentence in every layer; batches that are there already are left as they are.

    Args:
        states: float32 of `shape`, NaN where nothing is known. A sentence's last number is written last, so that a
            killed process leaves whole sentences.
        done: hears after each batch how many sentences of all are there.

    Returns:
        `tokens` of all sentences, and how many were `cut` since they are longer than the context.

    Raises:
        ValueError: a sentence has no tokens, does not fit into the memory alone, or overflows the precision.
    """
    marker = begin_of(local.tokenizer)
    begin = [] if marker is None else [local.tokenizer.convert_tokens_to_ids(marker)]
    rows = encode_documents(local.tokenizer, list(sentences))
    if empty := [sentence for sentence, ids in zip(sentences, rows, strict=True) if not ids]:
        raise ValueError(f"{local.path}: its tokenizer makes nothing of {empty[0]!r}: leave that pair out")
    room = local.context - len(begin)
    cut = sum(len(ids) > room for ids in rows)
    known = ~np.isnan(states[-1, :, -1])
    # longest first: what does not fit shows at once. Batches are the same whatever is known, and so is every number
    order = sorted(range(len(rows)), key=lambda place: (-len(rows[place]), place))
    at = 0
    while at < len(order):
        places = order[at : at + (1 if by_length(local.model.config) else local.batch)]
        if not known[places].all():
            found = _means(local, [begin + rows[place][:room] for place in places], len(begin), sentences[places[0]])
            if found is None:
                release(local.device)
                continue
            for row, place in enumerate(places):
                states[:, place] = found[:, row]
            done(at + len(places), len(rows))
        at += len(places)
    return {"tokens": sum(map(len, rows)), "cut": cut}


def _means(local: LocalModel, rows: list[list[int]], first: int, name: str) -> np.ndarray | None:
    """[layers + 1, rows, d] over the tokens from `first` on; None after a batch was too large, which halves it.

    Raises:
        ValueError: a row alone does not fit into the memory, or there is no number.
    """
    try:
        found = _read(local, rows, first)
    except torch.OutOfMemoryError:
        local.halve(len(rows), f"a sentence ({name[:40]}…)", f"generator.context={local.context}")
        return None
    if bad := [layer for layer, of in enumerate(found) if not np.isfinite(of).all()]:
        precision = str(local.dtype).removeprefix("torch.")
        raise ValueError(
            f"{local.path}: the states of layer {bad[0]} are no numbers in {precision}: try generator.dtype=float32"
        )
    return found


@torch.inference_mode()
def _read(local: LocalModel, rows: list[list[int]], first: int) -> np.ndarray:
    width = max(map(len, rows))
    padded = torch.tensor([row + [row[0]] * (width - len(row)) for row in rows], device=local.device)
    layers: Any = decoder(local.model)(input_ids=padded, use_cache=False, output_hidden_states=True).hidden_states
    means = [torch.stack([of[i, first : len(row)].float().mean(0) for i, row in enumerate(rows)]) for of in layers]
    return torch.stack(means).cpu().numpy()
