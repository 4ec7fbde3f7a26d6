"""LoRA as one operation: PEFT's numbers and gradients, masks by their place."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model import adapters
from bailong.model.dropout import LEVELS, Dropout, Masks, masks_of
from bailong.model.lora import fuse
from bailong.model.settings import Adapter
from benchmarks import step

IDS = torch.randint(0, 97, (3, 11), generator=torch.Generator().manual_seed(1))


def llama(**odd: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        **{
            "vocab_size": 97,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 128,
        }
        | odd
    )
    return LlamaForCausalLM(config)


def pair(dropout: float = 0.0, make: Any = llama, four_bit: bool = False, **odd: Any) -> tuple[Any, Any]:
    """The same model with PEFT's own LoRA layers and with ours; adapters that do something."""
    model = make(**odd)
    if four_bit:
        pytest.importorskip("bitsandbytes")
        step.four_bit(model)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"]
    stock = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules=targets))
    generator = torch.Generator().manual_seed(2)
    for name, parameter in stock.named_parameters():
        if "lora_" in name:
            parameter.data.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    ours = copy.deepcopy(stock)
    fuse(ours, Masks())
    return stock.train(), ours.train()


def gradients(model: Any, autocast: bool = False) -> dict[str, torch.Tensor]:
    """By name, with the loss under `loss`."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = model(input_ids=IDS, labels=IDS).loss
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found | {"loss": loss.detach()}


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference of a gradient, relative to its own largest number."""
    assert one.keys() == other.keys() and len(one) > 15
    return max(float((one[n] - other[n]).abs().max() / one[n].abs().max()) for n in one)


@pytest.mark.parametrize("four_bit", [False, True], ids=["float32", "nf4"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
def test_without_dropout_loss_and_gradients_are_those_of_peft(four_bit, bias):
    stock, ours = pair(four_bit=four_bit, attention_bias=bias, mlp_bias=bias)
    assert apart(gradients(stock), gradients(ours)) < 1e-5
    assert sum(type(layer).__name__.startswith("Fused") for layer in ours.modules()) == 15


@pytest.mark.parametrize("four_bit", [False, True], ids=["float32", "nf4"])
def test_under_autocast_it_is_within_what_bfloat16_can_tell(four_bit):
    """As far from PEFT's float32 as PEFT's own bfloat16 is, and of the same types."""
    stock, ours = pair(four_bit=four_bit)
    exact, theirs, mine = gradients(stock), gradients(stock, autocast=True), gradients(ours, autocast=True)
    for name in exact:
        assert mine[name].dtype == theirs[name].dtype, name
        error = [float((found[name].float() - exact[name]).norm() / exact[name].norm()) for found in (theirs, mine)]
        assert error[1] < 2 * error[0] + 1e-3, (name, error)
    layer = ours.base_model.model.model.layers[0].mlp.up_proj
    with torch.autocast("cpu", torch.bfloat16):
        x = torch.randn(2, 5, 64)
        assert layer(x).dtype == stock.base_model.model.model.layers[0].mlp.up_proj(x).dtype


def test_a_base_in_bfloat16_beside_float32_adapters():
    stock, ours = pair(make=lambda: llama().bfloat16())
    layers = [model.base_model.model.model.layers[0].mlp.up_proj for model in (stock, ours)]
    x = torch.randn(2, 5, 64).bfloat16()
    one, other = (layer(x) for layer in layers)
    assert one.dtype == other.dtype == torch.bfloat16
    assert torch.equal(one, other), "summed in float32 and rounded once"


class Told(nn.Module):
    """Dropout with the mask of another layer's."""

    def __init__(self, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        keep = self.dropout.keep(x)
        assert keep is not None
        return x * keep.float() / (1 - self.dropout.dropped / LEVELS)


@pytest.mark.parametrize("four_bit", [False, True], ids=["float32", "nf4"])
def test_with_the_same_masks_loss_and_gradients_are_those_of_peft(four_bit):
    stock, ours = pair(dropout=0.3, four_bit=four_bit)
    theirs, mine = ([layer for layer in m.modules() if isinstance(layer, LoraLayer)] for m in (stock, ours))
    for layer, like in zip(theirs, mine, strict=True):
        if isinstance(dropout := like.lora_dropout["default"], Dropout):
            layer.lora_dropout["default"] = Told(dropout)
    one, other = gradients(stock), gradients(ours)
    assert apart(one, other) < 1e-5
    masks = masks_of(ours)
    assert masks is not None
    masks.at(5, 1, 0, 0)
    assert apart(one, gradients(ours)) > 1e-2, "another place has other masks"


def test_a_mask_is_a_function_of_its_place_alone():
    masks, x, layers = Masks(), torch.zeros(7, 33), [torch.tensor(number) for number in (4, 5)]
    masks.at(3, 10, 2, 0)
    first = masks.keep(x, layers[0], 6554)
    torch.manual_seed(1)
    masks.keep(torch.zeros(5, 5), layers[1], 6554)
    assert torch.equal(first, masks.keep(x, layers[0], 6554))
    places = [(3, 10, 2, 0), (4, 10, 2, 0), (3, 11, 2, 0), (3, 10, 3, 0), (3, 10, 2, 1), (2**64 - 1, 10, 2, 0)]
    found = []
    for place in places:
        masks.at(*place)
        found += [masks.keep(x, layer, 20_000).flatten().tolist() for layer in layers]
    assert len({tuple(mask) for mask in found}) == 12


def test_the_masks_of_a_place_never_change():
    """What runs were trained with: the numbers of before there was a tensor for the place."""
    masks = Masks()
    masks.at(2**64 - 2, 1_000, 3, 1)
    raw = np.random.SFC64((2**64 - 2, 1_000, 3, 1, 17)).random_raw(5).view(np.uint16)
    assert masks.keep(torch.zeros(4, 5), torch.tensor(17), 20_000).flatten().tolist() == [int(n >= 20_000) for n in raw]


@pytest.mark.parametrize("draw", ["_by_numpy", "_by_torch"])
@pytest.mark.parametrize("p", [0.0001, 0.1, 0.5, 0.97])
def test_as_many_are_kept_as_asked_for(draw, p):
    from bailong.model import dropout

    count, dropped = 400_003, round(p * LEVELS)
    keep = getattr(dropout, draw)(torch.zeros(count), (1, 2, 3, 0, 4), dropped)
    assert keep.dtype == torch.uint8 and set(keep.unique().tolist()) <= {0, 1}
    share = 1 - dropped / LEVELS
    assert abs(float(keep.double().mean()) - share) < 3 * math.sqrt(share * (1 - share) / count)
    pairs = (keep[1:].double() - share) * (keep[:-1].double() - share)  # neighbours share a word of 64 bits
    assert abs(float(pairs.mean())) < 4 * share * (1 - share) / math.sqrt(count)


def test_dropout_keeps_the_mean_and_does_nothing_in_evaluation():
    layer = Dropout(0.25, Masks(), 0)
    x = torch.ones(1000, 100)
    assert float(layer(x).mean()) == pytest.approx(1, abs=0.01) and float(layer(x).max()) == pytest.approx(4 / 3)
    assert layer.eval()(x) is x
    assert Dropout(0.0, Masks(), 0)(x) is x


def test_what_peft_can_do_still_goes_its_way():
    stock, ours = pair()
    before = ours(input_ids=IDS).logits
    with stock.disable_adapter(), ours.disable_adapter():
        assert torch.equal(stock(input_ids=IDS).logits, ours(input_ids=IDS).logits)
        assert not torch.allclose(before, ours(input_ids=IDS).logits)
    stock.merge_adapter(), ours.merge_adapter()
    assert torch.equal(stock(input_ids=IDS).logits, ours(input_ids=IDS).logits)
    ours.unmerge_adapter()
    torch.testing.assert_close(ours(input_ids=IDS).logits, before, rtol=1e-4, atol=1e-5)
    assert ours.state_dict().keys() == stock.state_dict().keys()


def test_checkpointed_activations_meet_the_same_masks():
    model = llama()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    again = llama()
    found = [gradients(adapters.add(each, Adapter(name="a", rank=4, dropout=0.3), seed=0)) for each in (model, again)]
    assert apart(*found) < 1e-6


@pytest.mark.parametrize("shared", [False, True])
def test_layers_that_read_the_same_states_may_share_a_mask(shared, monkeypatch):
    model = adapters.add(llama(), Adapter(name="a", rank=4, dropout=0.3, shared_dropout=shared), seed=0)
    masks = masks_of(model)
    assert masks is not None
    drawn: list[tuple[int, ...]] = []
    keep = masks.keep
    monkeypatch.setattr(
        masks, "keep", lambda *asked: (found := keep(*asked), drawn.append(tuple(found.flatten().tolist())))[0]
    )
    gradients(model)
    # of a layer: q, k, v; o; gate, up; down. And the head
    assert len(drawn) == 15 and len(set(drawn)) == (2 * 4 + 1 if shared else 15)


@pytest.mark.parametrize("shared", [False, True])
def test_a_model_can_be_copied_and_pickled(shared):
    model = adapters.add(llama(), Adapter(name="a", rank=4, dropout=0.3, shared_dropout=shared), seed=0)
    expected = gradients(model)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert apart(expected, gradients(again)) == 0
        assert len({id(layer.masks) for layer in again.modules() if isinstance(layer, Dropout)}) == 1
