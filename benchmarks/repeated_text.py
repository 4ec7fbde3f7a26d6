"""How well models predict text that stood before in its document, and text that did not.

    python benchmarks/repeated_text.py --run RUN --models models/a models/b

The models are folders that `bailong-export` made, each with its tokenizer; the text is what a run holds out, the
beginning of each document. A character stands *again* where it and the one before it stood side by side before in
the document. What a token costs is spread evenly over its characters, so that any two tokenizers can be compared; where
several tokens are one character, it has the cost of all.
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
from bailong.train.settings import load


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
    again = np.concatenate([repeated(text) for text in texts])
    sizes = np.concatenate([[len(character.encode()) for character in text] for text in texts])
    print(f"{len(texts)} documents, {sizes.sum():,} bytes, {sizes[again].sum() / sizes.sum():.1%} of them again\n")
    print("| model | bits per byte | not before | again |\n|---|---:|---:|---:|")
    for folder in options.models:
        costs = costs_of(folder, texts) / math.log(2)
        parts = [costs[which].sum() / sizes[which].sum() for which in (again | ~again, ~again, again)]
        print(f"| `{Path(folder).name}` | " + " | ".join(f"{part:.3f}" for part in parts) + " |", flush=True)
    return 0


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


def costs_of(folder: str, texts: Sequence[str]) -> np.ndarray:
    """Nats of each character of all texts, in their order."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    return np.concatenate([spread(text, *of_tokens(model, tokenizer, text)) for text in texts])


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
