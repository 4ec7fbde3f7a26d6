import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.data.batches import Sequences
from bailong.data.tokens import TokenizedText
from bailong.model.score import score

BOS, EOS, NEW = 1, 2, 40


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=60,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            initializer_range=0.5,
        )
    )


@pytest.fixture
def text():
    generator = np.random.default_rng(0)
    rows = [[BOS, *generator.integers(3, 60, size=n), EOS] for n in (9, 4, 23)]
    return TokenizedText(np.concatenate(rows), np.cumsum([0, *map(len, rows)]), text_bytes=100)


def test_score_equals_the_sum_over_full_logits_window_by_window(model, text):
    context = 8
    windows = Sequences(text, context, "concat", BOS, keep_tail=True)
    measured = score(model, windows, 100, new_from=NEW, batch=2, chunk=5, precision="32-true")

    stream = torch.from_numpy(text.ids.astype(np.int64))
    nll, new, count, count_new = 0.0, 0.0, 0, 0
    for start in range(0, len(stream) - 1, context):
        window = stream[start : start + context + 1]
        with torch.no_grad():
            logits = model(window[None, :-1]).logits[0].double()
        for loss, target in zip(F.cross_entropy(logits, window[1:], reduction="none"), window[1:], strict=True):
            if target != BOS:
                nll, count = nll + float(loss), count + 1
                if target >= NEW:
                    new, count_new = new + float(loss), count_new + 1
    assert measured.nll == pytest.approx(nll, rel=1e-5) and measured.targets == count
    assert measured.nll_new == pytest.approx(new, rel=1e-5) and measured.targets_new == count_new
    assert measured.bits_per_byte == pytest.approx(nll / math.log(2) / 100, rel=1e-5)


def test_batches_and_padding_change_nothing(model, text):
    windows = Sequences(text, 8, "concat", BOS, keep_tail=True)
    one, many = (
        score(model, windows, 100, new_from=NEW, batch=b, chunk=64, precision="32-true").nll for b in (1, len(windows))
    )
    assert one == pytest.approx(many, rel=1e-6)


def test_scoring_leaves_mode_and_random_state_alone(model, text):
    windows = Sequences(text, 8, "concat", BOS, keep_tail=True)
    model.train()
    state = torch.get_rng_state()
    score(model, windows, 100, new_from=NEW, batch=2, chunk=8, precision="32-true")
    assert model.training and torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
