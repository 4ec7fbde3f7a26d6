from __future__ import annotations

import copy
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from peft import PeftModel
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model import adapters, backbone
from bailong.model.agreement import Agreement, compare, first_windows, logits
from bailong.model.merge import cast, merge, to_float32
from bailong.model.settings import Adapter
from bailong.model.tie import is_tied

IDS = torch.arange(60).view(2, 30)


def llama(tied: bool, dtype: torch.dtype = torch.float32) -> Any:
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).to(dtype).eval()


def quantize(model: Any) -> Any:
    """Every linear layer of the body in NF4 with double quantization, as transformers does it on loading."""
    for name, layer in list(model.model.named_modules()):
        if isinstance(layer, torch.nn.Linear):
            packed = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, bias=False, compute_dtype=torch.float32, quant_type="nf4"
            )
            packed.load_state_dict({"weight": layer.weight.data})
            model.model.set_submodule(name, packed.to("cpu"))
    backbone.protect(model)
    return model


def adapted(model: Any, linears: bool = True, pair: bool = True) -> Any:
    """With adapters that change the model a lot, as after training."""
    model = adapters.add(model, Adapter(name="a", linears=linears, pair=pair, rank=4, alpha=16, dropout=0.1), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapters.trainable(model).values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def outputs(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("four_bit", [False, True])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("linears", "pair"), [(True, True), (True, False), (False, True)])
def test_merging_changes_no_logit(four_bit: bool, tied: bool, linears: bool, pair: bool) -> None:
    base = llama(tied, torch.bfloat16 if four_bit else torch.float32)
    model = adapted(quantize(base) if four_bit else base, linears, pair)
    to_float32(model)
    before = outputs(model)
    with model.disable_adapter():
        assert (before - outputs(model)).abs().max() > 0.1
    plain = merge(model)
    assert type(plain) is LlamaForCausalLM and plain.dtype == torch.float32
    assert (outputs(plain) - before).abs().max() <= 1e-4
    assert is_tied(plain) == (tied and not pair)
    kinds = {type(module).__module__.split(".")[0] for module in plain.modules()}
    assert kinds == {"torch", "transformers"}


def test_a_model_without_adapters_is_left_as_it_is() -> None:
    model = llama(tied=True)
    before = copy.deepcopy(model.state_dict())
    plain = merge(model)
    assert plain is model and is_tied(plain)
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())


def test_peft_merges_linear_layers_alike_and_a_tied_pair_wrongly() -> None:
    """An independent reference, and the reason why the pair is untied first."""
    model = adapted(llama(tied=True))
    before = outputs(model)
    theirs = copy.deepcopy(model)
    assert isinstance(theirs, PeftModel)
    with pytest.warns(UserWarning, match="tie"):
        peft_merged: Any = theirs.merge_and_unload()
    ours = merge(model)
    name = "model.layers.1.mlp.down_proj.weight"
    torch.testing.assert_close(ours.state_dict()[name], peft_merged.state_dict()[name])
    assert (outputs(peft_merged) - before).abs().max() > 0.1
    assert (outputs(ours) - before).abs().max() <= 1e-4


def test_a_saved_merge_loads_as_what_it_was(tmp_path: Any) -> None:
    plain = merge(adapted(quantize(llama(tied=True))))
    cast(plain, torch.bfloat16)
    plain.save_pretrained(tmp_path)
    again = LlamaForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert again.dtype == torch.bfloat16 and not is_tied(again)
    assert all(torch.equal(plain.state_dict()[name], value) for name, value in again.state_dict().items())


def test_to_float32_loses_nothing_and_keeps_the_tie() -> None:
    model = llama(tied=True, dtype=torch.bfloat16)
    before = model.model.embed_tokens.weight.detach().clone()
    to_float32(model)
    assert is_tied(model) and model.lm_head.weight.dtype == torch.float32
    assert torch.equal(model.model.embed_tokens.weight.detach(), before.float())


def test_a_weight_that_is_not_finite_is_refused() -> None:
    model = adapted(llama(tied=False))
    with torch.no_grad():
        next(iter(adapters.trainable(model).values())).view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match="not finite after merging"):
        merge(model)


def test_float16_has_an_end() -> None:
    model = llama(tied=False)
    with torch.no_grad():
        model.lm_head.weight[3, 4] = 1e5
    with pytest.raises(ValueError, match="dtype=float16 cannot hold lm_head.weight"):
        cast(model, torch.float16)


def test_a_repacked_weight_is_not_merged() -> None:
    model = adapted(quantize(llama(tied=True)))
    backbone.linear4bit(model)[0].weight.quant_state.packing_format_for_cpu = True
    with pytest.raises(AssertionError, match="re-packed"):
        merge(model)


def test_agreement_by_hand() -> None:
    model = llama(tied=False)
    windows = [(row.numpy(), torch.cat([row[1:], torch.tensor([-100])]).numpy()) for row in IDS]
    reference = list(logits(model, windows))
    same = compare(reference, model, windows)
    assert same == Agreement(0.0, same.largest_logit, 0.0, 1.0, same.loss, same.loss, 60)
    wanted = torch.nn.functional.cross_entropy(
        outputs(model)[:, :-1].flatten(0, 1).double(), IDS[:, 1:].flatten(), reduction="mean"
    )
    assert same.loss == pytest.approx(float(wanted), rel=1e-6)

    with torch.no_grad():
        model.lm_head.weight += 0.1 * torch.randn(97, 64, generator=torch.Generator().manual_seed(2))
    other = compare(reference, model, windows)
    p, q = torch.cat(reference).double().log_softmax(1), outputs(model).flatten(0, 1).double().log_softmax(1)
    by_hand = torch.nn.functional.kl_div(q, p, log_target=True, reduction="sum") / 60
    assert other.kl == pytest.approx(float(by_hand), rel=1e-6) and other.kl > 0.01
    assert other.max_logit_difference == pytest.approx(
        float((torch.cat(reference) - outputs(model).flatten(0, 1)).abs().max())
    )
    assert 0 < other.same_choice < 1 and other.loss != same.loss

    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    assert not compare(reference, model, windows).max_logit_difference <= 1e9


def test_first_windows_hold_as_many_tokens_as_asked() -> None:
    windows = [(row.numpy(), row.numpy()) for row in torch.arange(100).view(10, 10)]
    assert [len(first_windows(windows, tokens)) for tokens in (1, 10, 11, 10**6)] == [1, 1, 2, 10]
