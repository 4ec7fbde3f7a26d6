"""The smallest real judge: a two-layer Llama that has learned to end its turn with one rating, whatever it reads.

It gets the judge's own templates, is served by `transformers serve` and answers through HTTP like any other, so that
the whole road from a prompt to a table can be walked in seconds and without a mock.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.data import template
from bailong.data.sources import SAMPLE
from bailong.data.turns import Turn, dialogue_of
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.template import prompts
from bailong.tokenizer.folder import load_tokenizer

VERDICT = "有用、正確。評分：[[6]]"


def build(folder: Path, tokenizer: Path, steps: int = 120) -> Path:
    """Train it and store it in `folder`; a few seconds on one core.

    Args:
        tokenizer: a folder that bailong-extend wrote.
    """
    words = load_tokenizer(tokenizer)
    words.chat_template = template.JINJA
    rows = (SAMPLE / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [text for row in rows for turn in dialogue_of(json.loads(row)).turns for text in turn]
    generator = random.Random(0)
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), max_position_embeddings=4096, **shape, **ids))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        (laid,) = template.lay(words, [(_example(generator, texts),)])
        inputs = torch.tensor(laid.encoded.ids)[None]
        labels = inputs.masked_fill(~torch.tensor(laid.encoded.trained)[None], -100)
        loss = model(input_ids=inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def _example(generator: random.Random, texts: list[str]) -> Turn:
    """One to three turns of all lengths; long prompts must be judged as surely as short ones."""
    turns = generator.choice((1, 1, 1, 3))
    longest = generator.choice((20, 80, 300, 900))
    parts = ["".join(generator.choices(texts, k=5))[: generator.randrange(longest)] for _ in range(2 * turns)]
    (prompt,) = prompts("by_turns", Item("x", "x", prompts=parts[:turns]), parts[turns:])
    return Turn(prompt.text, VERDICT)
