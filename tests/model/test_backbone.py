import pytest
import torch

from bailong.model import backbone
from bailong.model.settings import Model


def load(bench, **changes):
    settings = Model(name="b", path=str(bench / "models" / "tied"), dtype="float32", **changes)
    return backbone.load(settings, torch.device("cpu"), torch.float32)


def test_nf4_weights_keep_their_bits_through_evaluation(bench):
    """On a CPU with AVX512-BF16 an unprotected layer is rewritten by its first evaluation."""
    model = load(bench)
    layers = backbone.linear4bit(model)
    before = [layer.weight.data.clone() for layer in layers]
    with torch.no_grad():
        model.eval()(torch.arange(3, 67)[None])
    backbone.assert_unpacked(model)
    assert len(layers) == 14
    assert all(torch.equal(a, layer.weight.data) for a, layer in zip(before, layers, strict=True))


def test_a_repacked_layer_is_noticed(bench):
    model = load(bench)
    backbone.linear4bit(model)[0].weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(AssertionError, match="re-packed"):
        backbone.assert_unpacked(model)


def test_counts_see_through_packing_and_tying(bench):
    plain, packed = backbone.count(load(bench, quantization="none")), backbone.count(load(bench))
    assert plain["true"] == plain["packed"] == packed["true"]
    linears = sum(2 * layer.weight.numel() for layer in backbone.linear4bit(load(bench)))
    assert packed["packed"] == packed["true"] - linears // 2
    assert plain["true"] == sum(p.numel() for p in load(bench, quantization="none").parameters())


@pytest.mark.parametrize("content", [None, "{}", '{"model_type": "bert"}'])
def test_what_is_not_a_llama_is_refused_in_a_sentence(tmp_path, content):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match="model.path="):
        backbone.load(Model(name="x", path=str(tmp_path), quantization="none"), torch.device("cpu"), torch.float32)
