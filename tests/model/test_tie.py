from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model.tie import SOURCES, ends, is_tied, tie, tie_input, untie


def llama(tied: bool, seed: int = 0) -> Any:
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


IDS = torch.arange(40).view(2, 20)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("tied", [True, False])
def test_is_tied_asks_the_weights(tied: bool) -> None:
    model = llama(tied)
    model.config.tie_word_embeddings = not tied  # a config that lies
    assert is_tied(model) == tied


def test_tie_goes_through_the_input_matrix() -> None:
    model = llama(tied=False)
    embedding = model.get_input_embeddings().weight
    before = embedding.detach().clone()
    assert not is_tied(model)
    tie_input(model)
    assert is_tied(model) and model.lm_head.weight is model.model.embed_tokens.weight is embedding
    assert torch.equal(embedding, before)
    assert model.config.tie_word_embeddings is True
    assert model.all_tied_weights_keys == {"lm_head.weight": "model.embed_tokens.weight"}
    assert sum(p is embedding for p in model.parameters()) == 1


@pytest.mark.parametrize("source", SOURCES)
def test_which_matrix_serves_both(source: str) -> None:
    model = llama(tied=False)
    with torch.no_grad():
        model.lm_head.weight.mul_(7)
    one, other = (end.weight.detach().clone() for end in ends(model))
    matched = other * (one.square().mean() / other.square().mean()).sqrt()
    expected = {"input": one, "head": other, "mean": (one + other) / 2, "rms_matched_mean": (one + matched) / 2}
    tie(model, source)
    assert is_tied(model) and model.config.tie_word_embeddings is True
    torch.testing.assert_close(ends(model)[1].weight.detach(), expected[source])
    tie(model, "head")  # one already
    torch.testing.assert_close(ends(model)[0].weight.detach(), expected[source])


def test_a_tied_model_computes_with_the_input_matrix() -> None:
    model = llama(tied=False)
    with torch.no_grad():
        hidden = model.model(input_ids=IDS).last_hidden_state
    tie_input(model)
    torch.testing.assert_close(logits(model), hidden @ model.model.embed_tokens.weight.detach().T)


@pytest.mark.parametrize("start", [True, False])
def test_tie_and_untie_are_idempotent(start: bool) -> None:
    model = llama(start)
    tie_input(model)
    once = logits(model)
    tie_input(model)
    assert torch.equal(logits(model), once) and is_tied(model)
    untie(model)
    head = model.lm_head.weight
    untie(model)
    assert model.lm_head.weight is head and not is_tied(model)
    assert torch.equal(logits(model), once)


def test_untying_an_untied_model_keeps_its_head() -> None:
    model = llama(tied=False)
    before = logits(model)
    untie(model)
    assert torch.equal(logits(model), before)


def test_untied_ends_are_independent() -> None:
    model = llama(tied=True)
    untie(model)
    assert model.config.tie_word_embeddings is False and model.all_tied_weights_keys == {}
    embedding = model.model.embed_tokens.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.add_(1.0)
    assert torch.equal(model.model.embed_tokens.weight, embedding)


def test_transformers_own_tying_agrees_afterwards() -> None:
    """`tie_weights` runs inside many of its methods: it must find nothing left to do, and untied must stay untied."""
    model = llama(tied=False)
    untied_logits = logits(model)
    model.tie_weights()
    assert not is_tied(model) and torch.equal(logits(model), untied_logits)
    tie_input(model)
    tied_logits = logits(model)
    model.tie_weights()
    assert is_tied(model) and torch.equal(logits(model), tied_logits)
    untie(model)
    model.tie_weights()
    assert not is_tied(model)


@pytest.mark.parametrize("tied", [True, False], ids=["untied, then tied", "tied, then untied"])
def test_saving_and_loading_keeps_the_state(tmp_path: Path, tied: bool) -> None:
    model = llama(not tied)
    (tie_input if tied else untie)(model)
    if not tied:  # heads of their own, so that a silent tie on loading shows
        with torch.no_grad():
            model.lm_head.weight.mul_(1.5)
    before = logits(model)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is tied
    loaded: Any = LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert is_tied(loaded) == tied and loaded.config.tie_word_embeddings is tied
    assert torch.equal(logits(loaded), before)


def test_the_trap_that_this_file_exists_for(tmp_path: Path) -> None:
    """Asking transformers to tie an untied checkpoint leaves two matrices and a config that says one."""
    llama(tied=False).save_pretrained(tmp_path)
    model: Any = LlamaForCausalLM.from_pretrained(tmp_path, tie_word_embeddings=True)
    assert model.config.tie_word_embeddings and not is_tied(model)
    tie_input(model)
    assert is_tied(model)


def test_tying_before_loading_in_4_bit(tmp_path: Path) -> None:
    from transformers import BitsAndBytesConfig

    model = llama(tied=False)
    tie_input(model)
    model.save_pretrained(tmp_path)
    quantization = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    loaded: Any = LlamaForCausalLM.from_pretrained(tmp_path, quantization_config=quantization, dtype=torch.float32)
    assert is_tied(loaded)
    assert type(loaded.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert torch.equal(ends(loaded)[0].weight, ends(model)[0].weight)


def with_adapters(model: Any) -> Any:
    config = LoraConfig(r=4, lora_alpha=4, target_modules=["embed_tokens", "lm_head", "q_proj"], task_type="CAUSAL_LM")
    wrapped: Any = get_peft_model(model, config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return wrapped


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@pytest.mark.filterwarnings("ignore:Model with `tie_word_embeddings=True`")
def test_untie_under_adapters_makes_merging_right() -> None:
    """Separate adapters on a tied pair: merged as they stand, both changes land in one matrix; untied, they do not."""
    model = with_adapters(llama(tied=True))
    assert is_tied(model)
    before = logits(model)
    naive = copy.deepcopy(model).merge_and_unload()
    assert (logits(naive) - before).abs().max() > 0.1
    untie(model)
    assert not is_tied(model) and model.config.tie_word_embeddings is False
    assert torch.equal(logits(model), before)
    torch.testing.assert_close(logits(model.merge_and_unload()), before, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_tying_under_adapters_is_refused() -> None:
    model = with_adapters(llama(tied=False))
    with pytest.raises(AssertionError, match="before adding adapters"):
        tie_input(model)


def test_matrices_of_different_size_cannot_be_tied() -> None:
    model = llama(tied=False)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight[:90].detach().clone())
    with pytest.raises(ValueError, match=r"embedding is \[97, 32\], its head \[90, 32\]"):
        tie_input(model)


def test_meta_models_have_no_pointers_but_can_be_asked() -> None:
    with torch.device("meta"):
        model = llama(tied=False)
    assert not is_tied(model)
    tie_input(model)
    assert is_tied(model)
    untie(model)
    assert not is_tied(model)
