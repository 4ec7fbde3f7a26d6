"""How well models predict text that stood before in its document, and text that did not.

    python benchmarks/repeated_text.py --run RUN --models models/a models/b

The models are folders that `bailong-export` made, each with its tokenizer; the text is what a run holds out, the
beginning of each document. A character stands *again* where it and the one before it stood side by side before in
the document. What a token costs is spread evenly over its characters, so that any two tokenizers can be compared; where
several tokens are one character, it has the cost of all. Beside each model but the first: how far it is from that one,
and the 95 % interval of a paired bootstrap over documents.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.data import tokens
from bailong.evaluate.bootstrap import Resampling
from bailong.train.settings import load

RESAMPLING = Resampling(resamples=10_000, seed=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--run", type=Path, required=True, help="its folder")
    parser.add_argument("--bytes", type=int, default=20_000, help="of text at most")
    parser.add_argument("--characters", type=int, default=800, help="of each document")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = load(options.run).data
    data = dataclasses.replace(data, evaluation_bytes=4 * options.bytes, evaluation_bytes_at_ends=None)
    texts = first_bytes([text[: options.characters] for text in tokens.split(data)[1]], options.bytes)
    again = [repeated(text) for text in texts]
    sizes = parts_of([np.array([len(character.encode()) for character in text]) for text in texts], again)
    share = sizes[:, 2].sum() / sizes[:, 0].sum()
    print(f"{len(texts)} documents, {sizes[:, 0].sum():,.0f} bytes, {share:.1%} of them again\n")
    print("| model | bits per byte | not before | again |\n|---|---|---|---|")
    first: np.ndarray | None = None
    for folder in options.models:
        costs = parts_of(costs_of(folder, texts), again) / math.log(2)
        cells = [f"{value:.3f}" for value in costs.sum(0) / sizes.sum(0)]
        if first is None:
            first = costs
        else:
            apart = differences(first, costs, sizes)
            cells = [
                f"{a} ({mean:+.3f}" + (")" if low is None else f", {low:+.3f} to {high:+.3f})")
                for a, (mean, low, high) in zip(cells, apart, strict=True)
            ]
        print(f"| `{Path(folder).name}` | {' | '.join(cells)} |", flush=True)
    return 0


def parts_of(values: Sequence[np.ndarray], again: Sequence[np.ndarray]) -> np.ndarray:
    """Sums over the characters of each document: all, those that did not stand before, and those that did, [n, 3]."""
    pairs = zip(values, again, strict=True)
    return np.array([[one.sum(), one[~met].sum(), one[met].sum()] for one, met in pairs], dtype=float)


def differences(
    first: np.ndarray, second: np.ndarray, sizes: np.ndarray
) -> list[tuple[float, float | None, float | None]]:
    """Second minus first of each part, and its 95 % interval: documents are drawn again, with both models at once. One
    document has no interval.

    Args:
        first, second, sizes: [n, 3], bits and bytes of each document.
    """
    drawn = RESAMPLING.sums(np.hstack([second - first, sizes]), "repeated_text")
    drawn = drawn[drawn[:, 3:].min(1) > 0]  # a draw of documents that repeat nothing has no such part
    means = (second - first).sum(0) / sizes.sum(0)
    found = [RESAMPLING.apart(mean, drawn[:, i] / drawn[:, 3 + i], len(sizes)) for i, mean in enumerate(means)]
    return [(one["mean"], one["low"], one["high"]) for one in found]


def first_bytes(texts: Sequence[str], most: int) -> list[str]:
    """The first texts up to `most` bytes; at least one."""
    ends = np.cumsum([len(text.encode()) for text in texts])
    return list(texts[: max(1, int((ends <= most).sum()))])


def repeated(text: str) -> np.ndarray:
    """Of each character, whether it and the one before it stood side by side before: [len(text)]."""
    met: set[str] = set()
    found = np.zeros(len(text), dtype=bool)
    for i in range(1, len(text)):
        pair = text[i - 1 : i + 1]
        found[i] = pair in met
        met.add(pair)
    return found


def costs_of(folder: str, texts: Sequence[str]) -> list[np.ndarray]:
    """Nats of each character of each text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    return [spread(text, *of_tokens(model, tokenizer, text)) for text in texts]


@torch.no_grad()
def of_tokens(model: Any, tokenizer: Any, text: str) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The characters of each token of a text, from the first to the one before the end, and nats of each: [n]."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = torch.tensor([[tokenizer.bos_token_id, *encoded["input_ids"]]])
    log = model(ids[:, :-1]).logits[0].float().log_softmax(-1)
    return encoded["offset_mapping"], -log.gather(1, ids[0, 1:, None])[:, 0].numpy()


def spread(text: str, places: Sequence[tuple[int, int]], nats: np.ndarray) -> np.ndarray:
    """Nats of each character: [len(text)].

    Raises:
        ValueError: a token stands for no character.
    """
    found = np.zeros(len(text))
    for (begin, end), cost in zip(places, nats, strict=True):
        if end <= begin:
            raise ValueError(f"a token stands for no character of {text[:20]!r}: its cost would be lost")
        found[begin:end] += cost / (end - begin)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
