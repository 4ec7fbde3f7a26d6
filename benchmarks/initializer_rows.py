"""How long the new rows of Llama 2 7B take: 27,271 of them from 32,000, d = 4,096, in bfloat16.

    python benchmarks/initializer_rows.py [threads]

The old rows are synthetic (correlated normal, scaled like Llama 2's), for only their number matters here. A line each:
seconds (wall clock), norm ratio, share of rows that equal an earlier one, and whether a second run gave the same hash.
Then `grow` on a tied pair of that size, and the other ways to draw from N(mu, Sigma) which `multivariate` did not take.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bailong import initializer
from bailong.initializer.zip_tie import ZipTie
from bailong.model.grow import grow
from bailong.run.parse import choices

OLD, NEW, WIDTH = 32_000, 27_271, 4_096


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    generator = torch.Generator().manual_seed(0)
    model = tied_pair(generator)
    pieces = made_up_pieces(generator)
    print(f"{torch.get_num_threads()} threads, {OLD:,} old rows, {NEW:,} new, d = {WIDTH:,}, bfloat16")
    old = model.get_input_embeddings().weight.detach().clone()
    for name, cls in sorted(choices(initializer).items()):
        rows, seconds = timed(cls().rows, old, pieces, torch.Generator().manual_seed(1))
        again = cls().rows(old, pieces, torch.Generator().manual_seed(1))
        distinct = len({row.tobytes() for row in rows.view(torch.uint8).numpy()})
        ratio = float(rows.float().norm(dim=1).mean() / old.float().norm(dim=1).mean())
        print(
            f"{name:16} {seconds:7.2f} s   norm ratio {ratio:.3f}   equal to an earlier row {1 - distinct / NEW:.2%}"
            f"   same twice: {torch.equal(rows, again)}"
        )
    report, seconds = timed(grow, model, pieces, ZipTie(), 0)
    print(f"grow, zip_tie    {seconds:7.2f} s   {report}")
    alternatives(old.float(), generator)


def tied_pair(generator: torch.Generator) -> Any:
    """A Llama with embedding, head and no layers to speak of."""
    config = LlamaConfig(
        vocab_size=OLD,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=32,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    # Entries of Llama 2's embedding spread by about 0.017, around means of about 0.001 a dimension.
    shared = torch.randn(OLD, 64, generator=generator) @ torch.randn(64, WIDTH, generator=generator) / 8
    rows = 0.001 * torch.randn(WIDTH, generator=generator)
    rows = rows + 0.008 * shared + 0.015 * torch.randn(OLD, WIDTH, generator=generator)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    embedding.weight = torch.nn.Parameter(rows.to(torch.bfloat16))
    head.weight = embedding.weight
    return model


def made_up_pieces(generator: torch.Generator) -> list[list[int]]:
    """1 to 12 old ids a token, as Han characters of three bytes give."""
    lengths = torch.randint(1, 13, (NEW,), generator=generator).tolist()
    ids = torch.randint(0, OLD, (sum(lengths),), generator=generator).split(lengths)
    return [part.tolist() for part in ids]


def alternatives(old: torch.Tensor, generator: torch.Generator) -> None:
    """What drawing from N(0, Sigma) costs in its three exact ways, without the draw of the normals."""
    centred = old - old.mean(0)
    _, qr = timed(torch.linalg.qr, centred, "r")
    covariance, gram = timed(lambda: centred.T @ centred / (OLD - 1))
    factor, cholesky = timed(torch.linalg.cholesky, covariance)
    drawn = torch.randn(NEW, WIDTH, generator=generator)
    _, product = timed(torch.mm, drawn, factor.T)
    part = NEW // 16
    weights = torch.randn(part, OLD, generator=generator)
    _, weighting = timed(lambda: weights @ centred / math.sqrt(OLD - 1))
    print(f"N(0, Sigma) by QR of the rows        {qr:6.1f} + {product:.1f} s")
    print(f"            by Sigma and Cholesky    {gram:6.1f} + {cholesky:.1f} + {product:.1f} s")
    print(f"            by weighting all rows    {weighting * NEW / part:6.1f} s (from {part:,} rows)")


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
