"""Weights and config.json must describe one model: what transformers draws, drops or leaves out is a wrong number."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from bailong.model import backbone
from bailong.model.settings import Model
from bailong.model.tie import is_tied
from tests.model.test_architecture import random_model

DOWN = "model.layers.1.mlp.down_proj.weight"


def stored(place, change=lambda weights: None, kind="llama", **config):
    """An untied model with changed weights and configuration."""
    random_model(kind, tie_word_embeddings=False).save_pretrained(place)
    weights = load_file(place / "model.safetensors")
    change(weights)
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    file = place / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return place


def load(place, quantization="none"):
    settings = Model(name="x", path=str(place), quantization=quantization, dtype="float32")
    return backbone.load(settings, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize(
    ("change", "config", "named"),
    [
        (lambda w: w.pop("lm_head.weight"), {}, "it lacks lm_head.weight"),
        (lambda w: w.pop(DOWN), {}, f"it lacks {DOWN}"),
        (lambda w: None, {"num_hidden_layers": 3}, "it lacks model.layers.2.input_layernorm.weight"),
        (lambda w: w.update({DOWN: torch.ones(64, 64)}), {}, f"of another shape are {DOWN}"),
        (lambda w: w.update({"lm_head.bias": torch.ones(400)}), {}, "without a place in that model are lm_head.bias"),
        (lambda w: w.update({DOWN.replace("weight", "bias"): torch.ones(64)}), {}, "model.layers.1.mlp.down_proj.bias"),
        (lambda w: None, {"num_hidden_layers": 1}, "without a place in that model are model.layers.1.input_layernorm"),
    ],
)
def test_weights_that_are_not_those_of_the_configuration_are_refused(tmp_path, change, config, named, quantization):
    place = stored(tmp_path / "model", change, **config)
    with pytest.raises(ValueError, match="are not those of the LlamaForCausalLM") as refusal:
        load(place, quantization)
    assert named in str(refusal.value) and str(place) in str(refusal.value)


def test_a_folder_that_holds_an_adapter_too_is_refused(tmp_path):
    from peft import LoraConfig, get_peft_model

    place = stored(tmp_path / "model")
    adapted = get_peft_model(load(place), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapted.save_pretrained(place)
    with pytest.raises(ValueError, match="it holds an adapter beside the model"):
        load(place)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "modeling_x.XForCausalLM"}}, "brings code of its own, XForCausalLM"),
        ({"scale_embeddings": True}, "scale_embeddings=True"),
        ({"dim_model_base": 256}, "dim_model_base=256"),
        ({"mup_base_width": 64}, "mup_base_width=64"),
        ({"logit_temperature": 2.0}, "logit_temperature=2.0"),
        ({"normalize_embedding": True}, "normalize_embedding=True"),
    ],
)
def test_what_its_own_code_would_do_beside_the_architecture_is_refused(tmp_path, config, named):
    with pytest.raises(ValueError, match="is not accepted") as refusal:
        load(stored(tmp_path / "model", **config))
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "config"),
    [
        (lambda w: None, {}),
        (lambda w: w.update({"v_head.summary.weight": torch.ones(1, 64)}), {}),
        (lambda w: w.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(16)}), {}),
        (lambda w: None, {"temperature": 0.7, "mup_enabled": False, "scale_embeddings": False}),
        (lambda w: None, {"auto_map": {"AutoModelForCausalLM": "modeling_llama.LlamaForCausalLM"}}),
        (lambda w: None, {"architectures": ["LLaMAForCausalLM"]}),
    ],
)
def test_what_changes_no_logit_is_accepted(tmp_path, change, config):
    model = load(stored(tmp_path / "model", change, **config))
    assert torch.equal(model.lm_head.weight, random_model("llama", tie_word_embeddings=False).lm_head.weight)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_two_matrices_under_a_config_that_says_tied_are_two(tmp_path, quantization):
    model = load(stored(tmp_path / "model", tie_word_embeddings=True), quantization)
    assert not is_tied(model) and not model.config.tie_word_embeddings
    assert torch.equal(model.lm_head.weight, random_model("llama", tie_word_embeddings=False).lm_head.weight)


def test_a_tied_model_without_a_head_in_its_file_stays_tied(tmp_path):
    random_model("llama", tie_word_embeddings=True).save_pretrained(tmp_path / "model")
    assert "lm_head.weight" not in load_file(tmp_path / "model/model.safetensors")
    model = load(tmp_path / "model")
    assert is_tied(model) and model.config.tie_word_embeddings


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"hidden_size": "x"}, "'hidden_size' expected int, got str"),
        ({"num_attention_heads": 5}, "hidden size (64) is not a multiple of the number of attention heads (5)"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "Missing required keys in `rope_parameters`"),
    ],
)
def test_a_configuration_that_transformers_does_not_take_is_one_line(tmp_path, config, named):
    """It raises neither ValueError nor OSError for these, and puts the reason on the second line."""
    with pytest.raises(ValueError, match="cannot be loaded: ") as refusal:
        load(stored(tmp_path / "model", **config))
    assert named in str(refusal.value) and "\n" not in str(refusal.value)
