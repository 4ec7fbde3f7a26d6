from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.initializer.base import Calibration
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.model import calibrate as calibrating
from bailong.model.calibrate import calibrate
from bailong.model.grow import grow
from bailong.model.states import sequences_of
from bailong.model.tie import ends

V, D = 60, 32
PIECES = [[5], [6, 7], [7, 6], [10, 11, 12], [3, 3, 4], [20, 21]]
BEGIN = 1
#: new tokens stand in it at a known rate
GENERATOR = torch.Generator().manual_seed(5)
DOCUMENTS = [torch.randint(V - 12, V + len(PIECES), (40,), generator=GENERATOR).tolist() for _ in range(8)]


def llama(tied: bool, scale: float = 1.0) -> Any:
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=D,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=tied,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        ends(model)[1].weight.mul_(scale)
        model.model.norm.weight.add_(torch.linspace(0, 2, D))
    return model


def context(documents: list[list[int]] = DOCUMENTS) -> Context:
    texts = [str(i) for i in range(len(documents))]

    def encode(asked: list[str]) -> list[list[int]]:
        return [documents[int(text)] for text in asked]

    return Context([b"x"] * V, [b"y"] * len(PIECES), lambda: iter(texts), encode, encode, begin=BEGIN, longest=24)


def grown(model: Any, kind: str, **knobs: Any) -> tuple[Any, Any]:
    initializer = ZipTie(calibrate=kind, calibration=Calibration(**knobs))
    grow(model, PIECES, initializer, seed=0)
    return model, calibrate(model, PIECES, initializer, context(), V)


def mass(model: Any, documents: list[list[int]] = DOCUMENTS) -> float:
    """Mean probability of all new tokens, by the model's own logits, over the windows of the documents."""
    found = []
    for ids in documents:
        whole = [BEGIN, *ids]
        for row in (whole[i : i + 24] for i in range(0, len(whole) - 1, 24)):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([row])).logits[0, :-1]
            found.append(logits.softmax(1)[:, V:].sum(1))
    return float(torch.cat(found).mean())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["mass", "shrink"])
def test_new_tokens_get_the_mass_that_they_have_in_text(kind: str, tied: bool) -> None:
    model = llama(tied, scale=1.0 if kind == "mass" else 20.0)
    old = [end.weight.detach().clone() for end in ends(model)]
    plain = llama(tied, scale=1.0 if kind == "mass" else 20.0)
    grow(plain, PIECES, ZipTie(), seed=0)
    model, found = grown(model, kind)
    predicted = [i for ids in DOCUMENTS for j in (0, 1) for i in [BEGIN, *ids][24 * j :][:24][1:]]
    assert found.positions == len(predicted)
    assert found.rate == pytest.approx(sum(i >= V for i in predicted) / len(predicted))
    assert found.mass_before == pytest.approx(mass(plain), abs=1e-4)
    assert found.mass == pytest.approx(mass(model), abs=1e-4)
    assert abs(found.mass - found.rate) < 0.005 < abs(found.mass_before - found.rate)
    for before, end in zip(old, ends(model), strict=True):
        assert torch.equal(end.weight[:V], before), "old rows are bit-identical"
    if not tied:
        assert torch.equal(ends(model)[0].weight, ends(plain)[0].weight), "the embedding is not the head's business"


def test_mass_adds_one_vector_and_shrink_keeps_directions_from_the_mean() -> None:
    plain = llama(False)
    grow(plain, PIECES, ZipTie(), seed=0)
    rows = ends(plain)[1].weight[V:].detach()
    model, found = grown(llama(False), "mass")
    moved = ends(model)[1].weight[V:].detach() - rows
    torch.testing.assert_close(moved, moved[:1].expand(len(PIECES), -1), atol=1e-6, rtol=0)
    assert found.number is not None and found.spread is not None
    model, found = grown(llama(False, 20.0), "shrink")
    head = ends(model)[1].weight.detach()
    centre = head[:V].mean(0)
    torch.testing.assert_close(head[V:] - centre, found.number * (20.0 * rows - centre), atol=1e-4, rtol=1e-4)


def test_the_constant_direction() -> None:
    """E[k.h] = 1 to rounding, and no other vector of that mean has less of a second moment."""
    states = torch.randn(500, D, generator=GENERATOR) @ torch.randn(D, D, generator=GENERATOR) + torch.arange(D)
    along = calibrating._constant(states, ridge=1e-9).double()
    products = states.double() @ along
    assert products.mean().item() == pytest.approx(1, abs=1e-5)
    for _ in range(20):
        other = along + 0.1 * along.norm() * torch.randn(D, generator=GENERATOR).double()
        other = other / (states.double() @ other).mean()
        assert (states.double() @ other).square().mean() > products.square().mean()


def test_text_without_a_new_token_is_refused() -> None:
    model = llama(False)
    initializer = ZipTie(calibrate="mass")
    grow(model, PIECES, initializer, seed=0)
    with pytest.raises(ValueError, match=r"^initializer\.calibrate=mass is not accepted: no new token stands in"):
        calibrate(model, PIECES, initializer, context([[2, 3, 4]]), V)


def chain_by_hand(model: Any, before: list[int], token: int) -> tuple[torch.Tensor, float, list[float]]:
    """The state before a token, log Z of the old rows there, and log p of its pieces in turn, by the old model."""
    spelled, past, found = PIECES[token], [BEGIN, *before], []
    with torch.no_grad():
        state = model.model(input_ids=torch.tensor([past])).last_hidden_state[0, -1]
        total = float((ends(model)[1].weight[:V] @ state).logsumexp(0))
        for piece in spelled:
            logits = model(input_ids=torch.tensor([past])).logits[0, -1, :V]
            found.append(float(logits.log_softmax(0)[piece]))
            past = [*past, piece]
    return state, total, found


def test_continuation_is_the_first_piece_and_what_follows_costs() -> None:
    documents = [[8, V + 3, 9, V + 1], [4, V + 3]]
    model = llama(False)
    initializer = ZipTie(calibrate="continuation")
    grow(model, PIECES, initializer, seed=0)
    calibrate(model, PIECES, initializer, context(documents), V)
    costs = [sum(chain_by_hand(model, before, 3)[2][1:]) for before in ([8], [4])]
    spelled = [8, *PIECES[3], 9]
    pair = sum(chain_by_hand(model, spelled, 1)[2][1:])
    head = ends(model)[1].weight.detach()
    states = []
    for ids in documents:
        with torch.no_grad():
            states.append(model.model(input_ids=torch.tensor([[BEGIN, *ids]])).last_hidden_state[0, :-1])
    along = calibrating._constant(torch.cat(states), ridge=0.01)
    torch.testing.assert_close(head[V + 3], head[10] + sum(costs) / 2 * along, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(head[V + 1], head[6] + pair * along, atol=1e-4, rtol=1e-4)
    # of two pieces as that one, though the text does not hold it; and of one piece a copy
    torch.testing.assert_close(head[V + 2], head[7] + pair * along, atol=1e-4, rtol=1e-4)
    assert torch.equal(head[V], head[5])


def test_chain_ridge_gives_a_token_the_probability_of_its_pieces() -> None:
    documents = [[8, V + 3, 9], [4, V + 3], [10, 2, 2]]
    model = llama(False)
    initializer = ZipTie(calibrate="chain_ridge", calibration=Calibration(ridge=1e-6, negatives=0))
    grow(model, PIECES, initializer, seed=0)
    calibrate(model, PIECES, initializer, context(documents), V)
    for before in ([8], [4]):
        state, total, parts = chain_by_hand(model, before, 3)
        logit = float(ends(model)[1].weight[V + 3].detach() @ state)
        assert logit - total == pytest.approx(sum(parts), abs=1e-2)


def test_where_other_pieces_are_certain_a_token_is_as_likely_as_its_first() -> None:
    """p(s_i | ..) = 1 for i > 1: the token's probability among the old ones is that of s_1."""
    model = llama(False)
    with torch.no_grad():  # 11 after 10, and 12 after 11, whatever stood before
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding, head = ends(model)
        embedding.weight.copy_(torch.eye(V, D) + 0.01 * embedding.weight)
        head.weight.mul_(0.1)
        head.weight[11, 10], head.weight[12, 11] = 400.0, 400.0
    initializer = ZipTie(calibrate="chain_ridge", calibration=Calibration(ridge=1e-9))
    grow(model, PIECES, initializer, seed=0)
    calibrate(model, PIECES, initializer, context([[8, V + 3, 9], [4, V + 3], [10, 2, 2]]), V)
    state, total, parts = chain_by_hand(model, [8], 3)
    assert parts[1] == pytest.approx(0, abs=1e-4) and parts[2] == pytest.approx(0, abs=1e-4)
    assert float(ends(model)[1].weight[V + 3] @ state) - total == pytest.approx(parts[0], abs=1e-4)


def test_mass_after_continuation() -> None:
    model, found = grown(llama(False), "continuation+mass")
    assert abs(found.mass - found.rate) < 0.005 and found.mass == pytest.approx(mass(model), abs=1e-4)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_twice_the_same(scale: float) -> None:
    one, other = (grown(llama(True, scale), "mass")[0] for _ in range(2))
    assert torch.equal(ends(one)[0].weight, ends(other)[0].weight)


def loss(model: Any) -> float:
    found = []
    for ids in DOCUMENTS:
        row = torch.tensor([[BEGIN, *ids][:24]])
        with torch.no_grad():
            found.append(float(model(input_ids=row, labels=row).loss))
    return sum(found) / len(found)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["map", "alpha_loss", "ntp_rows", "token_distill"])
def test_learned_rows_lower_the_loss_and_nothing_else_moves(kind: str, tied: bool) -> None:
    plain = llama(tied, 5.0)
    grow(plain, PIECES, ZipTie(), seed=0)
    model, found = grown(llama(tied, 5.0), kind, epochs=20, step_size=1e-2)
    assert loss(model) < loss(plain) - 0.05 and found.number is None
    assert found.mass == pytest.approx(mass(model), abs=1e-4) and found.mass_before == pytest.approx(
        mass(plain), abs=1e-4
    )
    names = dict(model.named_parameters())
    assert names.keys() == dict(plain.named_parameters()).keys() and all(p.requires_grad for p in names.values())
    for name, parameter in plain.named_parameters():
        rows = slice(0, V) if len(parameter) == V + len(PIECES) else slice(None)
        assert torch.equal(names[name][rows], parameter[rows]), name
    for end, before in zip(ends(model), ends(plain), strict=True):
        assert not torch.equal(end.weight[V:], before.weight[V:])


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_fitted_weights_are_one_number_for_a_place(tied: bool) -> None:
    """Rows of two pieces, in either order, differ from their start by the same two multiples of their pieces."""
    plain = llama(tied, 5.0)
    grow(plain, PIECES, ZipTie(), seed=0)
    model, _ = grown(llama(tied, 5.0), "alpha_loss", epochs=20, step_size=1e-2)
    for end, before in zip(ends(model), ends(plain), strict=True):
        old = end.weight[:V].detach()
        moved = (end.weight[V:] - before.weight[V:]).detach()
        weights = [
            torch.linalg.lstsq(old[ids].T, row[:, None]).solution[:, 0]
            for ids, row in zip(PIECES, moved, strict=True)
            if len({*ids}) == len(ids)
        ]
        plainly = [[5], [6, 7], [7, 6], [10, 11, 12], [20, 21]]
        for ids, found, row in zip(plainly, weights, moved[[0, 1, 2, 3, 5]], strict=True):
            torch.testing.assert_close(old[ids].T @ found, row, atol=1e-4, rtol=1e-3)  # nothing but pieces
        torch.testing.assert_close(weights[1], weights[2], atol=1e-4, rtol=1e-2)
        torch.testing.assert_close(weights[1], weights[4], atol=1e-4, rtol=1e-2)
        assert weights[1].abs().max() > 1e-3 and abs(float(weights[1][0] - weights[1][1])) > 1e-4


def test_a_map_moves_rows_that_the_text_does_not_hold() -> None:
    """As it moves the others: by a matrix of low rank of what they were, weights of pieces and one vector."""
    held = [[i if i < V + 3 else 7 for i in ids] for ids in DOCUMENTS]
    initializer = ZipTie(calibrate="map", calibration=Calibration(epochs=10, step_size=1e-2))
    model, plain = llama(True, 5.0), llama(True, 5.0)
    for one in (model, plain):
        grow(one, PIECES, initializer, seed=0)
    calibrate(model, PIECES, initializer, context(held), V)
    moved = (ends(model)[0].weight - ends(plain)[0].weight)[V:]
    assert moved[3:].norm(dim=1).min() > 0.1 * moved[:3].norm(dim=1).mean()
    again = llama(True, 5.0)
    grow(again, PIECES, initializer, seed=0)
    torch.manual_seed(123)
    calibrate(again, PIECES, initializer, context(held), V)
    assert torch.equal(ends(again)[0].weight, ends(model)[0].weight)


def test_distilled_rows_bring_the_states_of_their_pieces() -> None:
    """Against the control, which reads the same text as often: the states of the old model over the pieces."""

    def apart(model: Any) -> float:
        total = 0.0
        for ids in DOCUMENTS:
            row = [BEGIN, *ids][:24]
            spelled = [PIECES[i - V] if i >= V else [i] for i in row]
            places = torch.tensor([len(split) for split in spelled]).cumsum(0) - 1
            with torch.no_grad():
                new = model.model(input_ids=torch.tensor([row])).last_hidden_state[0]
                old = model.model(input_ids=torch.tensor([[i for split in spelled for i in split]])).last_hidden_state[
                    0
                ]
            total += float((new - old[places]).square().mean())
        return total

    distilled, control = (
        grown(llama(False), kind, epochs=30, step_size=1e-2)[0] for kind in ("token_distill", "ntp_rows")
    )
    plain = llama(False)
    grow(plain, PIECES, ZipTie(), seed=0)
    assert apart(distilled) < 0.9 * apart(plain) and apart(distilled) < apart(control)


@pytest.mark.parametrize("kind", ["mass", "ntp_rows", "token_distill"])
def test_documents_of_one_token_without_a_begin_predict_nothing(kind: str) -> None:
    told = []
    for documents in ([*DOCUMENTS[:2]], [*DOCUMENTS[:2], [V], [7]]):
        text = context(documents)
        text.begin = None
        initializer = ZipTie(calibrate=kind, calibration=Calibration())
        model = llama(True)
        grow(model, PIECES, initializer, seed=0)
        found = calibrate(model, PIECES, initializer, text, V)
        told.append((ends(model)[0].weight.detach().clone(), found and found.rate))
    assert torch.equal(told[0][0], told[1][0]) and bool(told[0][0].isfinite().all()) and told[0][1] == told[1][1]


def test_a_text_of_nothing_but_such_documents_is_refused() -> None:
    text = context([[V], [V + 1]])
    text.begin = None
    initializer = ZipTie(calibrate="mass")
    model = llama(True)
    grow(model, PIECES, initializer, seed=0)
    with pytest.raises(ValueError, match=r"^initializer\.calibrate=mass is not accepted: no new token stands"):
        calibrate(model, PIECES, initializer, text, V)


def test_text_that_is_spelled_by_old_tokens_stays_within_the_positions() -> None:
    documents = [[V + 3, V + 3, 9, V + 3, V + 3, 9, 9], [7]]
    here = context(documents)
    assert sequences_of(here, here.encode_all(100)) == [[BEGIN, *documents[0]], [BEGIN, 7]]
    found = sequences_of(here, here.encode_all(100), PIECES, most=8)
    assert found == [[BEGIN, V + 3, V + 3, 9], [V + 3, V + 3, 9, 9], [BEGIN, 7]]
