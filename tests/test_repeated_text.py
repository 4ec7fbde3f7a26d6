"""What a text costs, character by character, and which characters stood before."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import repeated_text


def test_a_character_stands_again_where_it_and_the_one_before_stood_side_by_side():
    text = "臺灣，在臺灣。灣臺"
    assert [c for c, again in zip(text, repeated_text.repeated(text), strict=True) if again] == ["灣"]
    assert repeated_text.repeated("aaaa").tolist() == [False, False, True, True]
    assert repeated_text.repeated("").tolist() == []


def test_a_token_is_spread_over_its_characters_and_several_that_are_one_add_up():
    found = repeated_text.spread("ab字", [(0, 2), (2, 3), (2, 3)], np.array([1.0, 2.0, 4.0]))
    assert found.tolist() == [0.5, 0.5, 6.0]
    with pytest.raises(ValueError, match="stands for no character"):
        repeated_text.spread("ab", [(0, 0), (0, 2)], np.array([1.0, 1.0]))


@pytest.mark.parametrize("name", ["base", "extended"])
def test_all_characters_together_cost_what_the_tokens_cost(bench, name):
    tokenizer = AutoTokenizer.from_pretrained(bench / "tokenizers" / name)
    model = AutoModelForCausalLM.from_pretrained(bench / "models" / "tied").eval()
    model.resize_token_embeddings(len(tokenizer))
    text = "臺灣的茶，臺灣的山。Tea, and mountains 茶"
    places, nats = repeated_text.of_tokens(model, tokenizer, text)
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        whole = F.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="sum")
    assert len(nats) == ids.shape[1] - 1 and nats.sum() == pytest.approx(float(whole), rel=1e-5)
    costs = repeated_text.spread(text, places, nats)
    assert len(costs) == len(text) and (costs > 0).all() and costs.sum() == pytest.approx(float(whole), rel=1e-5)


def test_differences_are_of_all_documents_and_their_interval_of_documents_drawn_again():
    sizes = np.array([[10.0, 6.0, 4.0]] * 30)
    first = np.array([[20.0, 12.0, 8.0]] * 30)
    found = repeated_text.differences(first, first + sizes * [0.5, 0.25, 1.0], sizes)
    assert np.allclose(found, [[0.5] * 3, [0.25] * 3, [1.0] * 3])  # the same in every document
    noise = np.random.default_rng(0).normal(0, 2, (30, 3))
    apart = repeated_text.differences(first, first + noise, sizes)
    for (mean, low, high), part, size in zip(apart, noise.T, sizes.T, strict=True):
        half = 1.96 * part.std() / size[0] / 30**0.5
        assert mean == pytest.approx(part.sum() / size.sum())
        assert (mean - low, high - mean) == (pytest.approx(half, rel=0.1), pytest.approx(half, rel=0.1))
    texts, again = ["abab", "abc"], [repeated_text.repeated(text) for text in ("abab", "abc")]
    assert repeated_text.parts_of([np.arange(len(text)) for text in texts], again).tolist() == [[6, 3, 3], [3, 3, 0]]
