"""Adapters stand on everything that was asked for, in every layer, or nothing is trained."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from bailong.model import adapters, backbone
from bailong.model.architecture import PLAIN
from bailong.model.settings import Adapter, Model
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


@pytest.mark.parametrize("asked", [ALL, LINEARS])
@pytest.mark.parametrize(
    ("kind", "missing", "has"),
    [
        ("phi3", "q_proj, k_proj, v_proj, gate_proj, up_proj", "gate_up_proj, o_proj, qkv_proj"),
        ("glm", "gate_proj, up_proj", "gate_up_proj"),
        ("arcee", "gate_proj", "up_proj"),
        ("mixtral", "gate_proj, up_proj, down_proj", "k_proj, o_proj, q_proj, v_proj"),
        ("starcoder2", "gate_proj, up_proj, down_proj", "c_fc, c_proj"),
    ],
)
def test_a_missing_target_is_named_with_what_is_there(kind, missing, has, asked):
    with pytest.raises(ValueError, match=f"adapter={asked.name} .* this {kind}: it has no {missing};.*{has}") as caught:
        adapters.require_targets(empty(kind), asked)
    assert "\n" not in str(caught.value)
    for other in (PAIR, FULL):
        adapters.require_targets(empty(kind), other)


@pytest.mark.parametrize("kind", sorted({*PLAIN} - {"phi3"}))
def test_every_target_of_the_accepted_architectures_gets_an_adapter(kind):
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE))
    adapted = adapters.add(model, ALL, 0)
    assert len(adapters.trainable(adapted)) == 2 * (7 * 4 + 2)
    assert adapters.uncovered(adapted, ALL) == []


def test_a_target_that_some_layers_lack_is_named_with_them():
    model = empty("llama")
    for i in (1, 3):
        del model.model.layers[i].self_attn.k_proj  # as where layers share keys and values
    with pytest.raises(ValueError, match=r"it has no k_proj \(in layers 1, 3\); its linear layers are"):
        adapters.add(model, ALL, 0)


@pytest.mark.parametrize("end", ["embed_tokens", "lm_head"])
def test_a_missing_end_of_the_pair_is_named(end):
    model = empty("llama")
    delattr(model if end == "lm_head" else model.model, end)
    with pytest.raises(ValueError, match=f"adapter=pair .* it has no {end};"):
        adapters.require_targets(model, PAIR)
    adapters.require_targets(model, LINEARS)


def test_linear_layers_without_an_adapter_are_named():
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SHAPE))
    model.model.layers[2].mlp.router = torch.nn.Linear(64, 2)
    assert adapters.uncovered(adapters.add(model, LINEARS, 0), LINEARS) == ["router"]
    assert adapters.uncovered(model, PAIR) == []


@pytest.fixture
def joined(bench, tmp_path):
    import shutil

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("phi3", **SHAPE))
    model.save_pretrained(tmp_path / "phi3")
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        shutil.copy(bench / "models" / "tied" / name, tmp_path / "phi3" / name)
    shape = {"vocab_size": backbone.configuration(Model(name="b", path=str(bench / "models" / "tied"))).vocab_size}
    assert shape["vocab_size"] == SHAPE["vocab_size"]
    return Model(name="p", path=str(tmp_path / "phi3"), dtype="float32", quantization="none", tie="keep")


def test_joined_layers_are_refused_before_the_text_is_read(bench, tmp_path, joined, monkeypatch):
    monkeypatch.setattr("bailong.train.fit.prepare", None)
    with pytest.raises(ValueError, match=r"adapter=all .* this phi3: it has no q_proj"):
        train.train(tiny.settings(bench, tmp_path, model=joined), tiny.run(tmp_path))


def test_joined_layers_train_with_adapters_on_the_pair(bench, tmp_path, joined):
    result = train.train(tiny.settings(bench, tmp_path, model=joined, adapter=PAIR), tiny.run(tmp_path))
    assert result is not None and result["bpb_final"] < result["bpb_step0"]
