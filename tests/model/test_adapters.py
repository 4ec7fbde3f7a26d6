"""Adapters stand on everything that was asked for, in every layer, or nothing is trained."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bailong.model import adapters, backbone
from bailong.model.settings import Adapter
from bailong.train import train
from tests import tiny

ALL = Adapter(name="all", rank=2, alpha=4)
LINEARS = Adapter(name="linears", pair=False, rank=2, alpha=4)
PAIR = Adapter(name="pair", linears=False, rank=2, alpha=4)
FULL = Adapter(name="full", linears=False, pair=False)
SHAPE = {
    "vocab_size": 400,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def empty(kind, **changes):
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(SHAPE | changes)))


def filled(kind):
    with torch.random.fork_rng():
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE))


@pytest.mark.parametrize("asked", [ALL, LINEARS])
def test_matrices_that_are_no_linear_layers_are_named(asked):
    kind, beside = "mixtral", "mlp.experts.down_proj, mlp.experts.gate_up_proj"
    with pytest.raises(ValueError, match=f"adapter={asked.name} .* this {kind}: its matrices {beside}.*no linear") as e:
        adapters.require_targets(empty(kind), asked)
    assert "\n" not in str(e.value)
    for other in (PAIR, FULL):
        adapters.require_targets(empty(kind), other)


@pytest.mark.parametrize("kind", ["glm", "arcee", "starcoder2", "phi3"])
def test_linear_layers_are_found_by_their_type(kind):
    """Joined ones (gate_up_proj), missing ones (no gate_proj), others (c_fc): none is left out."""
    model = filled(kind)
    linears = {n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and n.startswith("model.layers.")}
    names = {name.split(".lora_")[0] for name in adapters.trainable(adapters.add(model, LINEARS, 0))}
    assert names == {f"base_model.model.{name}" for name in linears}


def test_a_layer_of_the_name_outside_of_the_decoder_gets_no_adapter():
    model = filled("llama")
    model.reward = torch.nn.ModuleDict({"q_proj": torch.nn.Linear(64, 1)})
    assert not any("reward" in name for name in adapters.trainable(adapters.add(model, ALL, 0)))


def test_a_target_that_some_layers_lack_is_named_with_them():
    model = empty("llama")
    for i in (1, 3):
        del model.model.layers[i].self_attn.k_proj  # as where layers share keys and values
    with pytest.raises(ValueError, match=r"it has no self_attn.k_proj in layers 1, 3; accepted"):
        adapters.add(model, ALL, 0)


@pytest.mark.parametrize("end", ["embedding", "head"])
def test_a_missing_end_of_the_pair_is_named(end):
    model = empty("llama")
    if end == "head":
        model.lm_head = None
    else:
        model.model.embed_tokens = None
    with pytest.raises(ValueError, match=f"adapter=pair .* it has no {end};"):
        adapters.require_targets(model, PAIR)
    adapters.require_targets(model, LINEARS)


def test_what_would_be_covered_in_part_is_refused_before_the_text_is_read(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("bailong.train.fit.prepare", None)

    def outline(settings):
        model = empty("llama")
        del model.model.layers[2].mlp.up_proj
        return model

    monkeypatch.setattr(backbone, "outline", outline)
    with pytest.raises(ValueError, match=r"adapter=all .* this llama: it has no mlp.up_proj in layers 2"):
        train.train(tiny.settings(bench, tmp_path), tiny.run(tmp_path))
