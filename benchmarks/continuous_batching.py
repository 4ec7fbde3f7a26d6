"""Answers by continuous batching, transformers' and one of our own, against our batches, which end with their last row.

    python benchmarks/continuous_batching.py --model models/smollm2 --data data/gsm8k/test.jsonl.gz --items 32 --new 128

Each arm continues the same prompts greedily (questions of GSM8K after `bailong.evaluate`'s preface, every third behind
two others, so that lengths are mixed), in turns, in one process and one thread; CPU seconds, median of the turns.
`generate_batch` is transformers': keys and values in pages, and a question begins as soon as another has ended;
`refilled` puts the next question into the row of the one that has ended, in an ordinary cache, and drops the row when
none waits. `--rows` bounds the questions under way in all of them. What our batches lose to rows that have ended is
counted beside: steps on them, of all.

  equality   answers with other ids than ours                                              none
"""

import argparse
import json
import logging
import operator
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table
from transformers import ContinuousBatchingConfig, DynamicCache

from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.prompt import Prompt
from bailong.evaluate.settings import Benchmark, Generator, Sampling

Rows = list[list[int]]


def prompts(local: LocalModel, options: argparse.Namespace) -> Rows:
    """Ids, every third question standing behind two others."""
    benchmark = Benchmark(
        name="gsm8k", path=options.data, shape="gsm8k", prompt="math_en", metric="number", limit=3 * options.items
    )
    asked = [item.prompts[0] for item in load(benchmark)]
    mixed = ["\n\n".join(asked[3 * i : 3 * i + 3]) if i % 3 == 0 else asked[3 * i] for i in range(options.items)]
    return [local.fit(Prompt([text]), options.new).ids for text in mixed]


def ours(local: LocalModel, rows: Rows, options: argparse.Namespace) -> Rows:
    """As `LocalModel.answers` does it: longest first, a batch at a time."""
    greedy = Sampling(name="greedy", max_new_tokens=options.new)
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    found: dict[int, list[int]] = {}
    for at in range(0, len(order), options.rows):
        batch = order[at : at + options.rows]
        made = local.generate([rows[i] for i in batch], greedy, [0] * len(batch), options.new)
        found |= dict(zip(batch, made, strict=True))
    return [found[i] for i in range(len(rows))]


def theirs(local: LocalModel, rows: Rows, options: argparse.Namespace) -> Rows:
    """By transformers' own, in the order in which ours goes."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    longest = max(map(len, rows)) + options.new
    blocks = options.rows * (-(-longest // options.page) + 1)
    setting = ContinuousBatchingConfig(
        page_size=options.page, num_blocks=blocks, max_batch_tokens=options.tokens, max_requests_per_batch=options.rows
    )
    made = local.model.generate_batch(
        [rows[i] for i in order],
        generation_config=local.model.generation_config,
        continuous_batching_config=setting,
        max_new_tokens=options.new,
    )
    if len(made) < len(rows) or any(one.error for one in made.values()):
        raise RuntimeError(f"generate_batch failed: {next((one.error for one in made.values() if one.error), None)}")
    found = {i: list(one.generated_tokens) for i, one in zip(order, made.values(), strict=True)}
    return [found[i] for i in range(len(rows))]


@torch.inference_mode()
def refilled(local: LocalModel, rows: Rows, options: argparse.Namespace) -> Rows:
    """With rows that are taken over. Longest first, so that the cache is always wide enough for the next prompt."""
    waiting = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    live, waiting = waiting[: options.rows], waiting[options.rows :]
    cache, mask, last = _read(local, [rows[i] for i in live])
    said: Rows = [[] for _ in rows]

    def ended(i: int) -> bool:
        return said[i][-1] in local.ends or len(said[i]) == options.new

    while True:
        for i, token in zip(live, last.tolist(), strict=True):
            said[i].append(token)
        for row in range(len(live)):
            while ended(live[row]) and waiting:
                live[row] = waiting.pop(0)
                last[row] = _take_over(local, cache, mask, row, rows[live[row]])
                said[live[row]].append(int(last[row]))
        kept = [row for row, i in enumerate(live) if not ended(i)]
        if not kept:
            return said
        if len(kept) < len(live):
            cache.batch_select_indices(torch.tensor(kept))
            live, mask, last = [live[row] for row in kept], mask[kept], last[kept]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], 1)
        place = mask.sum(1, keepdim=True) - 1
        logits = local.model(last[:, None], attention_mask=mask, position_ids=place, past_key_values=cache).logits
        last = logits[:, -1].argmax(-1)


def _read(local: LocalModel, rows: Rows) -> tuple[DynamicCache, torch.Tensor, torch.Tensor]:
    """Cache, mask [rows, width] and first tokens [rows] of prompts, padded on the left."""
    width = max(map(len, rows))
    cache = DynamicCache(config=local.model.config)
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    places = (mask.cumsum(1) - 1).clamp(min=0)
    out = local.model(ids, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1)
    return cache, mask, out.logits[:, -1].argmax(-1)


def _take_over(local: LocalModel, cache: DynamicCache, mask: torch.Tensor, row: int, prompt: list[int]) -> torch.Tensor:
    """Put a prompt at the end of a row; its first token."""
    own, _, first = _read(local, [prompt])
    for layer, new in zip(cache.layers, own.layers, strict=True):
        layer.keys[row, :, -len(prompt) :], layer.values[row, :, -len(prompt) :] = new.keys[0], new.values[0]
    mask[row] = 0
    mask[row, -len(prompt) :] = 1
    return first[0]


def idle(rows: Rows, answers: Rows, at_once: int) -> float:
    """Share of our steps that are done on rows which have ended."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    batches = [[len(answers[i]) for i in order[at : at + at_once]] for at in range(0, len(order), at_once)]
    every = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(map(sum, batches)) / every


def main() -> int:
    """Measure, print, and say with the exit code whether both arms answer alike."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/smollm2")
    parser.add_argument("--data", default="data/gsm8k/test.jsonl.gz")
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--page", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    local = LocalModel(options.model, Generator(name="bench", device=options.device, dtype="float32"))
    local.unused = []  # which generate_batch is not told of
    rows = prompts(local, options)
    arms = {"ours": ours, "generate_batch": theirs, "refilled": refilled}
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    said: dict[str, Rows] = {}
    for _ in range(options.turns):
        for arm, answer in arms.items():
            begun = time.process_time()
            said[arm] = answer(local, rows, options)
            seconds[arm].append(time.process_time() - begun)
    others = {arm: sum(map(operator.ne, said["ours"], said[arm])) for arm in arms}
    ratios = {arm: [one / other for one, other in zip(seconds["ours"], seconds[arm], strict=True)] for arm in arms}
    lost = idle(rows, said["ours"], options.rows)
    lengths, new = list(map(len, rows)), list(map(len, said["ours"]))
    title = f"{len(rows)} prompts of {min(lengths)} to {max(lengths)} tokens, {options.model}, {options.rows} at once"
    table = Table(title=title, title_justify="left")
    for head in ("arm", "CPU s", "tokens/s", "ours / it", "others"):
        table.add_column(head)
    for arm, of in seconds.items():
        took, ratio = statistics.median(of), ratios[arm]
        told = f"{statistics.median(ratio):.2f} ({min(ratio):.2f}–{max(ratio):.2f})"
        table.add_row(arm, f"{took:.1f}", f"{sum(new) / took:.1f}", told, f"{others[arm]}")
    console = Console()
    console.print(table)
    console.print(f"{100 * lost:.1f} % of our steps on rows that have ended")
    print(json.dumps({"seconds": seconds, "new": new, "idle": lost, "others": others}))
    return int(any(others.values()))


if __name__ == "__main__":
    raise SystemExit(main())
