"""What the new rows of Llama 2 7B cost with each preset: 27,271 of them from 32,000, d = 4,096, in bfloat16.

    python benchmarks/initializer_rows.py [--presets zip_tie align] [--threads 2] [--alternatives]

The old rows are synthetic (correlated normal, scaled like Llama 2's), and so are tokens, merges, a text of two million
tokens (some 10 MB of Chinese) that is cut already, and a helper model of width 768, for only their number matters here.
A row each: CPU seconds for the embedding and then for the head, seconds by the clock, peak resident memory (all of it:
old rows, text and what torch itself takes), norm ratio, and the share of rows that equal an earlier one. Presets that
a model calibrates afterwards have the rows of zip_tie; `external` reads a file.

Limits, in CPU seconds for both matrices: 10 for sums of old rows, 60 for those that shuffle, fit, draw or read text,
none for `focus`, which trains; 4 GB. `--alternatives` times the other ways to draw from N(mu, Sigma) too, which
`multivariate` did not take, and `grow` on a tied pair of that size.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fused_head import reset_peak, resident_bytes
from hydra import compose, initialize_config_dir
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.app.schema import register
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.model.grow import grow
from bailong.run.parse import parse
from bailong.tokenizer.pieces import spelled

OLD, NEW, WIDTH = 32_000, 27_271, 4_096
CONF = Path(__file__).resolve().parents[1] / "conf"
#: tokens of the text, in documents of so many
TOKENS, DOCUMENT = 2_000_000, 1_000
#: presets whose rows are not sums of old rows that pieces alone tell, and what they may take
SLOW = {"zip_tie_shuffled", "align", "alpha_ls", "mean", "multivariate", "random", "random_matched", "sif"} | {
    "clp",
    "sparsemax",
}
#: knobs that cost more than a preset of the same rule
FURTHER: dict[str, tuple[str, dict[str, Any]]] = {
    "sif": ("zip_tie", {"alpha": "sif"}),
    "by_character": ("zip_tie", {"by_character": True, "alpha": "exp"}),
    "norm=parts": ("merge_tree", {"norm": "parts"}),
    "sparsemax": ("clp", {"normalise": "sparsemax"}),
}
GIGABYTES = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", help="all without it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alternatives", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    old, pieces = old_rows(generator), made_up_pieces(generator)
    print(f"{options.threads} threads, {OLD:,} old rows, {NEW:,} new, d = {WIDTH:,}, bfloat16\n")
    print("| preset | CPU s, embedding | head | seconds | peak, GB | norm, new / old | equal to an earlier row |")
    print("|---|---|---|---|---|---|---|")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        context = context_of(pieces, generator)
        helper_of(Path(folder), context, generator)
        for name, rule in rules(Path(folder), options.presets):
            row = measured(name, rule, old, pieces, context)
            found.append(row)
            print(
                f"| `{name}` | {row['embed']:.1f} | {row['head']:.1f} | {row['seconds']:.1f} | {row['gigabytes']:.1f} "
                f"| {row['norm']:.3f} | {row['equal']:.2%} |",
                flush=True,
            )
    print(json.dumps(found))
    if options.alternatives:
        alternatives(old, pieces, generator)
    missed = [row for row in found if row["embed"] + row["head"] > row["limit"] or row["gigabytes"] > GIGABYTES]
    for row in missed:
        print(f"missed: {row}", file=sys.stderr)
    return 1 if missed else 0


def rules(folder: Path, names: list[str] | None) -> list[tuple[str, Any]]:
    """Presets that make rows of their own, and some with further knobs."""
    register()
    made = {}
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for path in sorted((CONF / "initializer").glob("*.yaml")):
            rule = parse(compose(overrides=[f"+initializer={path.stem}"]).initializer)
            if rule.extends and rule.calibrate == "none" and path.stem != "external":
                made[path.stem] = dataclasses.replace(rule, helper=str(folder)) if path.stem == "clp" else rule
    made |= {name: dataclasses.replace(made[preset], **knobs) for name, (preset, knobs) in FURTHER.items()}
    return [(name, made[name]) for name in names or made]


def measured(name: str, rule: Any, old: torch.Tensor, pieces: list[list[int]], context: Context) -> dict[str, Any]:
    """Both matrices of an untied pair in turn, as a run has them made."""
    here = dataclasses.replace(context, memory={}, shares={}, notes=[])
    reset_peak()
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    for side in ("embed", "head"):
        before = time.process_time()
        rows = rule.new_rows(side, old, pieces, torch.Generator().manual_seed(1), here)
        seconds[side] = time.process_time() - before
    clock, peak = time.perf_counter() - began, resident_bytes("VmHWM") / 1e9
    distinct = len({row.tobytes() for row in rows.view(torch.uint8).numpy()})
    ratio = float(rows.float().norm(dim=1).mean() / old.float().norm(dim=1).mean())
    limit = math.inf if name == "focus" else 60 if name in SLOW else 10
    facts = {"preset": name, "seconds": clock, "gigabytes": peak, "norm": ratio, "equal": 1 - distinct / NEW}
    return facts | seconds | {"limit": limit}


def old_rows(generator: torch.Generator) -> torch.Tensor:
    """Entries of Llama 2's embedding spread by about 0.017, around means of about 0.001 a dimension."""
    shared = torch.randn(OLD, 64, generator=generator) @ torch.randn(64, WIDTH, generator=generator) / 8
    rows = 0.001 * torch.randn(WIDTH, generator=generator)
    return (rows + 0.008 * shared + 0.015 * torch.randn(OLD, WIDTH, generator=generator)).to(torch.bfloat16)


def made_up_pieces(generator: torch.Generator) -> list[list[int]]:
    """1 to 12 old ids a token, as Han characters of three bytes give."""
    lengths = torch.randint(1, 13, (NEW,), generator=generator).tolist()
    ids = torch.randint(0, OLD, (sum(lengths),), generator=generator).split(lengths)
    return [part.tolist() for part in ids]


def context_of(pieces: list[list[int]], generator: torch.Generator) -> Context:
    """Bytes, words and Han characters as old tokens, a few frequent tokens and many rare ones in the text."""
    old = [bytes([i]) for i in range(256)] + [f"w{i}".encode() for i in range(256, OLD // 2)]
    old += [chr(0x4E00 + i).encode() for i in range(OLD - OLD // 2)]
    frequency = 1 / (10 + torch.randperm(OLD + NEW, generator=generator))
    after = torch.multinomial(frequency, TOKENS, replacement=True, generator=generator).view(-1, DOCUMENT).tolist()
    before = [[j for i in row for j in ([i] if i < OLD else pieces[i - OLD])] for row in after]

    def halves() -> dict[int, tuple[int, int]]:
        found, free = {}, OLD + NEW
        for k, ids in enumerate(pieces):
            left = ids[0]
            for step, right in enumerate(ids[1:], 2):
                joined = OLD + k if step == len(ids) else (free := free + 1)
                found[joined] = (left, right)
                left = joined
        return found

    def respelled(share: float) -> dict[int, list[int]]:
        kept = OLD - int(share * OLD)
        return {i: [(7 * i + 31 * j) % kept for j in range(2 + i % 4)] for i in range(kept, OLD)}

    return Context(
        old,
        [b"".join(old[i] for i in ids) for ids in pieces],
        lambda: iter(map(str, range(len(after)))),
        lambda texts: [before[int(text)] for text in texts],
        lambda texts: [after[int(text)] for text in texts],
        halves=halves,
        respelled=respelled,
    )


def helper_of(folder: Path, context: Context, generator: torch.Generator) -> None:
    """A model that has the new tokens and half of the old ones, with a byte-level tokenizer."""
    tokens = sorted({*context.new, *context.old[::2]})
    tokenizer = Tokenizer(BPE({spelled(token): i for i, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = (0.5 + torch.randn(len(tokens), 768, generator=generator)).bfloat16()
    save_file({"model.embed_tokens.weight": vectors}, folder / "model.safetensors")


def alternatives(old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator) -> None:
    """`grow`, and what drawing from N(0, Sigma) costs in its three exact ways, without the draw of the normals."""
    report, seconds = timed(grow, tied_pair(old), pieces, ZipTie(), 0)
    print(f"grow, zip_tie    {seconds:7.2f} s   {report}")
    centred = old.float() - old.float().mean(0)
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


def tied_pair(rows: torch.Tensor) -> Any:
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
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    embedding.weight = torch.nn.Parameter(rows)
    head.weight = embedding.weight
    return model


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
