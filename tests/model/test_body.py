"""The sizes that a configuration describes are those of the model that is built from it."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from bailong.model import adapters
from bailong.model.architecture import FAMILIES
from bailong.model.body import Body, of_config
from bailong.model.head import model_loss
from bailong.model.settings import Adapter
from bailong.train.budget import activation_bytes, count_parameters, flops_per_token
from tests import families

ALL, LINEARS = Adapter(name="all", rank=4), Adapter(name="linears", pair=False, rank=4)
PAIR, FULL = Adapter(name="pair", linears=False, rank=4), Adapter(name="full", linears=False, pair=False)
KINDS = pytest.mark.parametrize("kind", sorted(FAMILIES))
SETTINGS = pytest.mark.parametrize("adapter", [ALL, LINEARS, PAIR, FULL], ids=lambda a: a.name)


@KINDS
def test_what_a_configuration_leaves_out_is_what_transformers_takes(kind):
    sizes = {"hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size"}
    whole = AutoConfig.for_model(kind).to_dict()
    least = {key: value for key, value in whole.items() if key in sizes | {"model_type", "max_position_embeddings"}}
    assert least.keys() >= sizes
    # an older config.json has no num_key_value_heads where there are as many as heads
    if kind not in ("mistral", "gemma2", "gemma3_text", "smollm3", "qwen2", "qwen3"):
        assert whole["num_key_value_heads"] == whole["num_attention_heads"]
    else:
        least["num_key_value_heads"] = whole["num_key_value_heads"]
    assert of_config(least) == of_config(whole)


@pytest.mark.parametrize("biased", [False, True])
@SETTINGS
@KINDS
def test_parameters_equal_the_model(kind, adapter, biased):
    config = families.config(kind, attention_bias=biased, mlp_bias=biased)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    tied = config.tie_word_embeddings
    body = of_config(config.to_dict())
    model = adapters.add(model, adapter, seed=0)
    counted = count_parameters(body, body.vocabulary, tied, adapter, "none")
    assert body.tied == tied
    assert counted.true == sum(parameter.numel() for parameter in model.parameters())
    assert counted.trainable == sum(parameter.numel() for parameter in adapters.trainable(model).values())


@KINDS
def test_windows_equal_those_of_the_layers(kind):
    config = families.config(kind)
    model = AutoModelForCausalLM.from_config(config)
    found = [getattr(layer.self_attn, "sliding_window", None) for layer in model.base_model.layers]
    if kind in ("mistral", "phi3"):  # one for all layers, read from the configuration in each forward pass
        found = [config.sliding_window] * 2
    assert of_config(config.to_dict()).windows == tuple(found)


def test_tokens_seen_are_counted_one_by_one():
    config = families.config("mistral").to_dict() | {"sliding_window": 10, "num_hidden_layers": 1}
    counted = sum(min(i + 1, 10) for i in range(400)) / 400
    assert of_config(config).seen(400) == pytest.approx(counted, rel=0.06)
    assert of_config(config | {"sliding_window": None}).seen(400) == of_config(config).seen(10) * 40 == 200


@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
@SETTINGS
@pytest.mark.parametrize("kind", ["cohere", "gemma2", "phi3"])
def test_flops_equal_the_counted_ones(kind, adapter, checkpointing):
    """Forward and backward of the fused loss; eager attention multiplies the masked half too, and under windows."""
    model = families.model(kind, attn_implementation="eager", num_hidden_layers=3, layer_types=None)
    body = dataclasses.replace(of_config(model.config.to_dict()), windows=(None,) * 3)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model = adapters.add(model, adapter, seed=0)
    ids = torch.randint(0, 400, (2, 64), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        hidden = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
        model_loss(model, hidden, ids, chunk=48).total.backward()
    flops = flops_per_token(body, 400, adapter, 64, checkpointing)
    expected = flops.model + 3 * flops.attention
    if checkpointing:
        expected += flops.recompute + flops.attention / 2
    assert counter.get_total_flops() / ids.numel() == pytest.approx(expected, rel=0.03)


def saved_bytes(kind: str, layers: int, adapter: Adapter, tokens: int) -> tuple[int, Body]:
    """Bytes that the decoder saves for its backward pass, each storage once, parameters left out."""
    model = families.model(kind, num_hidden_layers=layers, layer_types=None)
    body = of_config(model.config.to_dict())
    model = adapters.add(model, adapter, seed=0)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor):
        if (place := tensor.untyped_storage().data_ptr()) not in parameters:
            kept[place] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        adapters.decoder(model)(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()), body


@pytest.mark.parametrize("adapter", [ALL, FULL], ids=lambda a: a.name)
@KINDS
def test_activations_are_about_the_saved_tensors(kind, adapter):
    """What two more layers save for the tokens of a context."""
    (few, _), (more, body) = saved_bytes(kind, 2, adapter, 128), saved_bytes(kind, 4, adapter, 128)
    expected = activation_bytes(body, adapter, compute=4, context=128)
    assert (more - few) / 2 / 128 == pytest.approx(expected, rel=0.2)
