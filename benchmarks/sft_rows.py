"""Dialogues that share rows against one a row: padding, and time of a step, on the embedded dialogues.

    OMP_NUM_THREADS=1 python benchmarks/sft_rows.py --tokenizer tokenizers/tiny

All ways train the same batches to the same gradients (tests/train/stage/test_sft.py, tests/model/test_varlen.py); what
differs is how many places of a batch are padding, and what attention costs: dialogues of a row are kept apart by their
boundaries (bailong/model/varlen.py), or by transformers' block-diagonal mask. They take turns in one process; times are
CPU seconds. Limits: rows waste at most 5 % of their places, and take no longer than with the mask.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.data import tokens
from bailong.data.batches import Batch, MicroBatch, Sequences, Steps
from bailong.data.settings import Data, Source
from bailong.model import adapters
from bailong.model.head import head_loss
from bailong.model.varlen import within_sequences
from bailong.tokenizer.folder import byte_lengths, load_tokenizer
from bailong.train.stage.sft import Sft

SAMPLE = Source(path="sample:dialogues.jsonl", kind="dialogue")
LIMIT = 0.05


def corpus(tokenizer: object, context: int, place: Path) -> tokens.TokenizedText:
    """The dialogues as stage=sft has them."""
    data = Data(name="sft", kind="dialogue", sources=[SAMPLE], held_out=0.1)
    stage = Sft(context=context, epochs=1)
    vocabulary = len(tokenizer)  # type: ignore[arg-type]
    return tokens.build(place, data, vocabulary, lambda texts: stage.encode(tokenizer, texts)).training


def steps(text: tokens.TokenizedText, tokenizer: object, row: int | None, context: int, arguments: object) -> Steps:
    sequences = Sequences(text, context, "truncate", tokenizer.bos_token_id)  # type: ignore[attr-defined]
    return Steps(
        sequences,
        arguments.batch_size,  # type: ignore[attr-defined]
        arguments.micro_batch,  # type: ignore[attr-defined]
        seed=0,
        last=arguments.steps,  # type: ignore[attr-defined]
        byte_lengths=byte_lengths(tokenizer),  # type: ignore[arg-type]
        pad=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        row=row,
    )


def train(model: LlamaForCausalLM, step: Batch, masked: bool) -> float:
    """Forward and backward of one step; CPU seconds."""
    began = time.process_time()
    for micro in step.micro_batches:
        with places(model, micro, masked) as given:
            hidden = adapters.decoder(model)(input_ids=torch.from_numpy(micro.inputs), use_cache=False, **given)
            targets = torch.from_numpy(micro.targets).flatten()
            total = head_loss(adapters.head(model), hidden.last_hidden_state.flatten(0, 1), targets, chunk=1024).total
            (total / step.targets).backward()
    model.zero_grad()
    return time.process_time() - began


def places(model: LlamaForCausalLM, micro: MicroBatch, masked: bool) -> AbstractContextManager[dict[str, object]]:
    """What keeps the sequences of a row apart."""
    if masked:
        return nullcontext({"position_ids": torch.from_numpy(micro.positions)})
    return within_sequences(model, micro.positions, torch.device("cpu"), "32-true")


def padding(all_steps: Iterator[Batch], lengths: int) -> float:
    """Share of places that hold no token, of all steps."""
    return 1 - lengths / sum(micro.inputs.size for step in all_steps for micro in step.micro_batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=256)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    tokenizer = load_tokenizer(arguments.tokenizer)
    shape = {"hidden_size": arguments.hidden, "intermediate_size": 2 * arguments.hidden, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "max_position_embeddings": arguments.context}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape, **heads))
    with tempfile.TemporaryDirectory() as folder:
        text = corpus(tokenizer, arguments.context, Path(folder) / "tokens")
        ways = {"one a row": None, "rows, masked": arguments.context, "rows": arguments.context}
        made = {name: steps(text, tokenizer, row, arguments.context, arguments) for name, row in ways.items()}
        used = sum(len(x) for step in steps(text, tokenizer, None, arguments.context, arguments) for x in inputs(step))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in zip(*made.values(), strict=True):
            for name, step in zip(ways, turn, strict=True):
                seconds[name].append(train(model, step, masked=name == "rows, masked"))
        wasted = {name: padding(iter(way), used) for name, way in made.items()}
    for name in ways:
        print(f"{name:12} {100 * wasted[name]:5.1f} % padding  {statistics.median(seconds[name]):.2f} CPU s a step")
    ratios = {name: sorted(a / b for a, b in zip(seconds[name], seconds["rows"], strict=True)) for name in ways}
    for name in ("one a row", "rows, masked"):
        found = ratios[name]
        times = f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"
        print(f"{name} takes {times} times as long as rows")
    if statistics.median(ratios["rows, masked"]) < 1:
        sys.exit("rows take longer than with a mask")
    if wasted["rows"] > LIMIT:
        sys.exit(f"rows waste {100 * wasted['rows']:.1f} % on padding, above the limit of {100 * LIMIT:.0f} %")


def inputs(step: Batch) -> Iterator[object]:
    """The inputs of each dialogue of a step that has one a row, without padding."""
    for micro in step.micro_batches:
        for x, y in zip(micro.inputs, micro.targets, strict=True):
            yield x[: int((y != tokens.IGNORE).nonzero()[0][-1]) + 1]


if __name__ == "__main__":
    main()
