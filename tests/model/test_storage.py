"""How NF4 weights stand while they are trained with: the same numbers in bfloat16, bounded errors in 8 bits."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn
from torch._dynamo.utils import counters

from bailong.model import adapters, agreement, backbone, merge, storage
from bailong.model.compiled import compile_layers
from bailong.model.dropout import masks_of
from bailong.model.settings import Adapter, Model
from bailong.model.storage import Dequantized, Fp8, rounded

ALL = Adapter(name="all", rank=4, dropout=0.2)
PAIR = Adapter(name="pair", rank=4, linears=False, dropout=0.2)
GENERATOR = torch.Generator().manual_seed(0)
IDS = torch.randint(3, 300, (3, 40), generator=GENERATOR)
WINDOWS: Any = [(row.numpy(), None) for row in IDS]
LAYER = "base_model.model.model.layers.1.mlp.down_proj"


def model_of(bench: Any, kept: str, adapter: Adapter = ALL, dtype: str = "bfloat16", mixed: bool = False) -> Any:
    settings = Model(name="b", path=str(bench / "models" / "tied"), dtype=dtype, storage=kept)
    loaded = backbone.load(settings, torch.device("cpu"), torch.bfloat16 if mixed else torch.float32)
    model = adapters.add(loaded, adapter, 0, kept)
    backbone.protect(model)
    return model


def learned(model: Any, mixed: bool = False) -> dict[str, torch.Tensor]:
    """Loss and gradients of a step by name, with adapters that do something."""
    generator = torch.Generator().manual_seed(2)
    for name, parameter in adapters.trainable(model).items():
        if "lora_" in name:
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    if (masks := masks_of(model)) is not None:
        masks.at(1, 2, 3, 0)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    loss.backward()
    return {name: p.grad for name, p in adapters.trainable(model).items() if p.grad is not None} | {
        "loss": loss.detach()
    }


@pytest.mark.parametrize(("adapter", "mixed"), [(ALL, False), (ALL, True), (PAIR, True)], ids=lambda v: str(v)[:18])
def test_dequantized_once_gives_the_same_loss_and_gradients_to_the_bit(bench, adapter, mixed):
    packed, once = (model_of(bench, kept, adapter, mixed=mixed) for kept in ("nf4", "bf16"))
    assert len(storage.dequantized(once)) == len(backbone.linear4bit(packed)) == 14
    assert not backbone.linear4bit(once) and once.training
    one, other = adapters.trainable(packed), adapters.trainable(once)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    one, other = learned(packed, mixed), learned(once, mixed)
    assert one.keys() == other.keys() and len(one) == (33 if adapter is ALL else 5)
    assert all(torch.equal(one[name], other[name]) for name in one)
    with torch.no_grad():
        assert torch.equal(packed.eval()(IDS).logits, once.eval()(IDS).logits)


def test_where_other_numbers_would_be_multiplied_it_is_refused(bench):
    """Without an adapter a 4-bit layer is bitsandbytes' own, which rounds nothing to bfloat16 on the way to float32."""
    with pytest.raises(ValueError, match=r"model\.storage=bf16 .*trainer\.precision=32-true.*accepted: adapter=all"):
        model_of(bench, "bf16", PAIR)


def test_a_layer_that_was_dequantized_is_a_frozen_plain_one_under_pefts_plain_lora(bench):
    model = model_of(bench, "bf16")
    layer = model.get_submodule(LAYER)
    assert isinstance(layer, Linear) and type(layer.get_base_layer()) is Dequantized
    assert layer.get_base_layer().weight.dtype == torch.bfloat16 and not layer.get_base_layer().weight.requires_grad
    before = model(input_ids=IDS).logits
    model.eval(), model.merge_adapter(), model.unmerge_adapter()  # PEFT's own ways still work
    with model.disable_adapter():
        assert model(input_ids=IDS).logits.shape == before.shape


def test_parameters_are_counted_alike(bench):
    counts = [backbone.count(model_of(bench, kept)) for kept in ("nf4", "bf16", "fp8")]
    assert counts[0] == counts[1] == counts[2] and counts[0]["packed"] < counts[0]["true"]


@pytest.mark.parametrize("adapter", [ALL, PAIR], ids=["all", "pair"])
def test_it_merges_into_what_it_computes(bench, adapter):
    model = model_of(bench, "bf16", adapter, mixed=True)
    learned(model, mixed=True)
    merge.to_float32(model)
    wanted = list(agreement.logits(model, WINDOWS))
    plain = merge.merge(model)
    assert not storage.dequantized(plain) and {p.dtype for p in plain.parameters()} == {torch.float32}
    for one, other in zip(wanted, agreement.logits(plain, WINDOWS), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


# --- 8 bits


def matrix(bench: Any) -> torch.Tensor:
    """[64, 128], of a model in NF4."""
    return storage.dequantize(model_of(bench, "nf4").get_submodule(LAYER).get_base_layer().weight).float()


@pytest.mark.parametrize("power", [0, -30, 20])
def test_rows_are_rounded_to_three_bits_at_any_size(power):
    rows = torch.randn(50, 96, generator=GENERATOR) * 2.0**power * torch.logspace(-3, 3, 50)[:, None]
    numbers, scale = rounded(rows)
    assert numbers.dtype == torch.float8_e4m3fn and float(numbers.float().abs().amax(1).min()) == 448
    error = (numbers.float() * scale - rows).abs()
    assert (error <= torch.maximum(rows.abs() * 2.0**-4, scale * 2.0**-10) * 1.001).all()


def test_a_row_of_nothing_stays_nothing_and_what_is_not_finite_is_not_hidden():
    rows = torch.zeros(3, 32)
    rows[1, 5], rows[2, 7] = torch.nan, torch.inf
    product = Fp8(torch.ones(16, 32)).product(rows)
    assert torch.equal(product[0], torch.zeros(16)) and product[1:].isnan().all()


def test_products_are_within_four_percent_forward_and_backward(bench):
    weight = matrix(bench)
    fp8, (x, g) = Fp8(weight), (torch.randn(200, n, generator=GENERATOR) for n in reversed(weight.shape))
    for found, wanted in ((fp8.product(x), x @ weight.T), (fp8.product_back(g), g @ weight)):
        error = float((found - wanted).norm() / wanted.norm())
        assert 0.02 < error < 0.04
    coarse, scale = rounded(g, torch.float8_e5m2)  # what gradients would be in the other format
    fine, own = rounded(g)
    assert float((coarse.float() * scale - g).norm()) > 1.9 * float((fine.float() * own - g).norm())


def test_the_kernel_gives_what_is_computed_in_its_place(bench):
    """On CUDA torch multiplies the same two pairs; its CPU kernel, where there is one, shows that it takes them."""
    fp8, x = Fp8(matrix(bench)), torch.randn(7, 128, generator=GENERATOR)
    try:
        found = storage.kernel(rounded(x), fp8.forth)
        back = storage.kernel(rounded(x[:, :64]), fp8.back)
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"torch has no such kernel for this CPU: {error}")
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), fp8.product(x), rtol=2**-7, atol=1e-3)
    torch.testing.assert_close(back.float(), fp8.product_back(x[:, :64]), rtol=2**-7, atol=1e-3)


@pytest.mark.parametrize("mixed", [False, True], ids=["float32", "bf16-mixed"])
def test_training_takes_its_products_in_8_bits_and_evaluation_does_not(bench, mixed):
    exact, fp8 = (model_of(bench, kept, dtype="float32", mixed=mixed) for kept in ("nf4", "fp8"))
    assert len(storage.in_fp8(fp8)) == 14 and adapters.trainable(exact).keys() == adapters.trainable(fp8).keys()
    one, other = learned(exact, mixed), learned(fp8, mixed)
    assert [t.dtype for t in one.values()] == [t.dtype for t in other.values()]
    assert 0 < abs(float(one["loss"] - other["loss"]) / float(one["loss"])) < 5e-3
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        assert torch.equal(exact.eval()(IDS).logits, fp8.eval()(IDS).logits)
        assert not torch.equal(exact(IDS).logits, fp8.train()(IDS).logits)


def test_the_layer_is_the_product_in_8_bits_and_so_is_its_gradient(bench):
    layer = model_of(bench, "fp8", Adapter(name="still", rank=4, dropout=0.0), dtype="float32").get_submodule(LAYER)
    fp8, x = layer.get_base_layer().fp8, torch.randn(9, 128, generator=GENERATOR).requires_grad_()
    g = torch.randn(9, 64, generator=GENERATOR)
    y = layer(x)  # its B is still 0
    y.backward(g)
    assert torch.equal(y, fp8.product(x.detach())) and torch.equal(x.grad, fp8.product_back(g))


@pytest.mark.parametrize("kept", ["bf16", "fp8"])
def test_a_compiled_layer_is_one_graph_with_the_same_numbers(bench, kept):
    model = model_of(bench, kept)
    exact = learned(model)
    torch._dynamo.reset()
    counters.clear()
    compile_layers(model, "aot_eager")
    fresh = model_of(bench, kept)
    with torch.no_grad():
        for parameter, wanted in zip(
            adapters.trainable(model).values(), adapters.trainable(fresh).values(), strict=True
        ):
            parameter.copy_(wanted)
            parameter.grad = None
    found = learned(model)
    assert found.keys() == exact.keys() and counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]
    assert all(torch.allclose(found[name], exact[name], rtol=1e-5, atol=1e-7) for name in exact)
    torch._dynamo.reset()


def checked(model: Any) -> dict[str, float]:
    return agreement.require_fp8("model.path=b", model, WINDOWS, chunk=64, precision="32-true")


def test_loss_and_gradients_in_8_bits_are_compared_with_the_exact_ones(bench):
    model = model_of(bench, "fp8", dtype="float32")
    before = {name: parameter.clone() for name, parameter in adapters.trainable(model).items()}
    found = checked(model)
    assert found == checked(model) and model.training and all(m.training for m in storage.in_fp8(model))
    assert 0 < found["difference"] < 5e-3 and 0.02 < found["product_difference"] < 0.05
    assert 0 < found["gradient_difference"] < 0.2
    windows = [(row.numpy(), np.roll(row.numpy(), -1)) for row in IDS]
    assert found["loss"] == pytest.approx(agreement.own_loss(model.eval(), windows), rel=1e-5)
    assert all(torch.equal(before[n], p) and p.grad is None for n, p in adapters.trainable(model).items())


@pytest.mark.parametrize("where", ["forth", "back"])
def test_a_broken_scale_of_one_layer_is_refused(bench, where):
    model = model_of(bench, "fp8", dtype="float32")
    fp8 = model.get_submodule(LAYER).get_base_layer().fp8
    numbers, scale = getattr(fp8, where)
    setattr(fp8, where, (numbers, scale * 1.1))
    with pytest.raises(ValueError, match=r"model\.storage=fp8 is not accepted for model\.path=b: .*accepted: .*nf4"):
        checked(model)
    assert model.training


def test_a_loss_that_is_another_is_refused(bench, monkeypatch):
    model = model_of(bench, "fp8", dtype="float32")
    monkeypatch.setattr(agreement, "product_difference", lambda layer: 0.0)
    for layer in storage.in_fp8(model):
        layer.fp8.forth = (layer.fp8.forth[0], layer.fp8.forth[1] * 30)
    with pytest.raises(ValueError, match=r"nats a token and .* with exact ones; apart are: difference"):
        checked(model)


# --- what is refused before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"storage": "fp16"}, r"model\.storage=fp16 is not accepted: it must be one of nf4, bf16, fp8"),
        ({"storage": "bf16", "quantization": "none"}, r"model\.storage=bf16 .*nf4 with model\.quantization=none"),
        ({"storage": "fp8", "quantization": "none"}, r"model\.storage=fp8 .*nf4 with model\.quantization=none"),
        ({"storage": "bf16", "dtype": "float32"}, r"model\.storage=bf16 .*nf4 or fp8 with model\.dtype=float32"),
    ],
)
def test_what_says_nothing_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Model(**({"name": "b", "path": "models/b"} | change))


def four_bit(rows: int, columns: int, device: str = "cpu") -> Any:
    weight = SimpleNamespace(device=torch.device(device))
    return SimpleNamespace(weight=weight, in_features=columns, out_features=rows)


def test_a_device_or_a_width_without_a_kernel_is_refused(monkeypatch):
    storage._require_kernel(four_bit(48, 32))
    with pytest.raises(ValueError, match=r"a layer of it is 48 x 40, and products in 8 bits need multiples of 16"):
        storage._require_kernel(four_bit(48, 40))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    with pytest.raises(ValueError, match=r"NVIDIA A100, of compute capability 8\.0: .* need 8\.9"):
        storage._require_kernel(four_bit(48, 32, "cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    storage._require_kernel(four_bit(48, 32, "cuda"))


def test_a_model_without_4_bit_layers_stays_as_it_is():
    model = nn.Sequential(nn.Linear(4, 4))
    storage.keep(model, "bf16"), storage.keep(model, "fp8")
    assert type(model[0]) is nn.Linear and not storage.in_fp8(model)
