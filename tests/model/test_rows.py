"""Rows that are trained themselves, and one adapter for both ends of a pair, against plain autograd."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bailong.model import adapters, backbone
from bailong.model.head import model_loss
from bailong.model.merge import merge
from bailong.model.rows import composition
from bailong.model.settings import Adapter
from bailong.model.tie import ends, is_tied, untie
from tests import families

NEW = range(390, 400)
IDS = torch.tensor([[1, 5, 391, 7, 399, 390, 5], [1, 391, 391, 8, 2, 6, 398]])
KINDS = ["llama", "gemma2", "granite", "cohere"]


def model(kind: str = "llama", tied: bool = True) -> Any:
    made = families.model(kind, tie_word_embeddings=True)
    if not tied:
        untie(made)
        with torch.no_grad():
            made.get_output_embeddings().weight.add_(0.01)
    return made


#: the merge of 392 is 390 and 391, that of 393 is 392 and an old token; 394 is a piece of a character and 395 has it
HALVES = {392: (390, 391), 393: (392, 17), 395: (394, 390), 396: (393, 393)}
SURFACES = [b"\xe5" if i == 394 else b"x" for i in NEW]


def adapted(plain: Any, rows: str, linears: bool = True) -> Any:
    settings = Adapter(name="x", linears=linears, rows=rows, rank=4, alpha=8, dropout=0.0)
    parts = partial(composition, HALVES, NEW.start, SURFACES)
    made = adapters.add(copy.deepcopy(plain), settings, seed=0, new=NEW, parts=parts)
    with torch.no_grad():  # B is 0 at first, and then A has no gradient
        for name, parameter in adapters.trainable(made).items():
            if "lora_" in name:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return made


def loss(made: Any) -> torch.Tensor:
    """Ours: the decoder's last states and the fused loss."""
    states = adapters.decoder(made)(input_ids=IDS[:, :-1], use_cache=False).last_hidden_state
    return model_loss(made, states, IDS[:, 1:], chunk=3).total


def usual(made: Any) -> torch.Tensor:
    """The same from the model's own logits."""
    return F.cross_entropy(made(input_ids=IDS[:, :-1]).logits.flatten(0, 1), IDS[:, 1:].flatten(), reduction="sum")


def gradients(made: Any, total: torch.Tensor) -> dict[str, torch.Tensor]:
    trained = adapters.trainable(made)
    return dict(zip(trained, torch.autograd.grad(total, list(trained.values())), strict=True))


@pytest.mark.parametrize("linears", [True, False])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_new_rows_is_that_of_the_matrix(kind: str, tied: bool, linears: bool) -> None:
    plain = model(kind, tied)
    made = adapted(plain, "trainable_new", linears)
    found = gradients(made, loss(made))
    rows = {name: value for name, value in found.items() if "trained" in name}
    assert len(rows) == (1 if tied else 2) and all(value.shape[0] == len(NEW) for value in rows.values())
    assert (len(found) > len(rows)) == linears
    # the reference: the very weights as one plain model, every parameter free
    reference = merge(copy.deepcopy(made))
    assert is_tied(reference) == tied
    expected = torch.autograd.grad(usual(reference), [end.weight for end in ends(reference)][: len(rows)])
    for ours, theirs in zip(rows.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs[NEW.start : NEW.stop], atol=1e-5, rtol=1e-4)
        assert ours.abs().max() > 1e-3
    by_logits = gradients(made, usual(made))
    for name in found:
        torch.testing.assert_close(found[name], by_logits[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_full_is_every_row(kind: str) -> None:
    made = adapted(model(kind), "full")
    (rows,) = (value for name, value in gradients(made, loss(made)).items() if "trained" in name)
    reference = merge(copy.deepcopy(made))
    expected = torch.autograd.grad(usual(reference), ends(reference)[0].weight)[0]
    torch.testing.assert_close(rows, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_adapter_for_both_ends_is_one_parameter_set(kind: str) -> None:
    """Against W + s B A written out, with one A and one B: the gradient sums what both ends say."""
    plain = model(kind)
    made = adapted(plain, "shared", linears=False)
    assert sorted(name.rsplit(".", 3)[1] for name in adapters.trainable(made)) == ["lora_A", "lora_B"]
    found = gradients(made, loss(made))
    a, b = (next(p for n, p in adapters.trainable(made).items() if f"lora_{x}" in n) for x in "AB")
    a, b = a.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()
    weight = ends(plain)[0].weight.detach() + 8 / 4 * b @ a
    names = {name for name, parameter in plain.named_parameters() if parameter is ends(plain)[0].weight}
    (name,) = names
    logits = torch.func.functional_call(plain, {name: weight}, (), {"input_ids": IDS[:, :-1]}, tie_weights=True).logits
    total = F.cross_entropy(logits.flatten(0, 1), IDS[:, 1:].flatten(), reduction="sum")
    torch.testing.assert_close(loss(made), total, atol=1e-5, rtol=1e-6)
    expected = dict(zip("AB", torch.autograd.grad(total, [a, b]), strict=True))
    for name, value in found.items():
        torch.testing.assert_close(value, expected["A" if "lora_A" in name else "B"], atol=1e-6, rtol=1e-4)


def test_a_token_is_made_of_its_halves_half_and_half() -> None:
    parts = composition(HALVES, NEW.start, SURFACES)
    assert parts[:6] == [
        [(0, 1.0)],
        [(1, 1.0)],
        [(0, 0.5), (1, 0.5), (2, 1.0)],
        [(0, 0.25), (1, 0.25), (2, 0.5), (3, 1.0)],
        [(4, 1.0)],
        [(0, 0.5), (5, 1.0)],
    ]
    assert parts[6] == [(0, 0.25), (1, 0.25), (2, 0.5), (3, 1.0), (6, 1.0)]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_of_parts_is_learned_of_the_whole(kind: str, tied: bool) -> None:
    """Against rows that are trained alone: the same loss at first, and each part the sum of what its wholes say."""
    plain = model(kind, tied)
    composed, alone = adapted(plain, "composed"), adapted(plain, "trainable_new")
    torch.testing.assert_close(loss(composed), loss(alone), atol=0, rtol=1e-6)
    mixed = torch.zeros(len(NEW), len(NEW))
    for whole, of in enumerate(composition(HALVES, NEW.start, SURFACES)):
        for part, weight in of:
            mixed[whole, part] = weight
    found, plainly = gradients(composed, loss(composed)), gradients(alone, loss(alone))
    for name, value in found.items():
        expected = mixed.T @ plainly[name] if "trained" in name else plainly[name]
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)
    by_logits = gradients(composed, usual(composed))
    for name in found:
        torch.testing.assert_close(found[name], by_logits[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rows", ["lora", "shared", "trainable_new", "composed", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_merged_it_computes_the_same(kind: str, rows: str) -> None:
    made = adapted(model(kind), rows)
    trained = adapters.trainable(made)
    with torch.no_grad():
        for name, parameter in trained.items():
            if "trained" in name:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        made.eval()
        before = made(input_ids=IDS).logits
    plain = merge(made)
    assert is_tied(plain) == (rows != "lora") and not any("lora" in n or "trained" in n for n in plain.state_dict())
    with torch.no_grad():
        difference = (plain(input_ids=IDS).logits - before).abs().max()
    assert difference <= 1e-5 * max(1.0, float(before.abs().max()))


def test_old_rows_stay_and_the_matrix_follows_what_is_trained() -> None:
    plain = model()
    made = adapted(plain, "trainable_new")
    optimizer = torch.optim.AdamW([p for n, p in adapters.trainable(made).items() if "trained" in n], lr=0.1)
    before = loss(made)
    before.backward()
    optimizer.step()
    with torch.no_grad():
        assert loss(made) < before
    now, old = ends(made)[0].weight, ends(plain)[0].weight
    assert torch.equal(now[: NEW.start], old[: NEW.start]) and not torch.equal(now[NEW.start :], old[NEW.start :])
    assert torch.equal(now[NEW.start :], next(p for n, p in adapters.trainable(made).items() if "trained" in n))


def test_rows_are_counted_once() -> None:
    plain = model()
    total = backbone.count(plain)["true"]
    assert backbone.count(adapted(plain, "trainable_new", linears=False)) == {
        "true": total,
        "packed": total,
        "trainable": len(NEW) * ends(plain)[0].weight.shape[1],
    }


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^adapter\.rows=shared is not accepted for embedding and head that are two"):
        adapted(model(tied=False), "shared")
    with pytest.raises(ValueError, match=r"^adapter\.rows=trainable_new is not accepted .* there is no new row"):
        adapters.add(model(), Adapter(name="x", linears=False, rows="trainable_new"), seed=0)
    with pytest.raises(ValueError, match=r"^adapter\.rows=trained is not accepted: it must be one of lora, shared"):
        Adapter(name="x", rows="trained")
    with pytest.raises(ValueError, match=r"^adapter\.rows=full is not accepted: it must be lora with"):
        Adapter(name="x", rows="full", pair=False)
    made = adapters.add(model(), Adapter(name="x", rows="trainable_new"), seed=0)  # the linear layers alone
    assert all("lora" in name for name in adapters.trainable(made))
