"""Every number of the card against the model's own logits, or a planted matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.model import adapters, row_card, states
from bailong.model.grow import grow
from bailong.model.row_card import RowCard
from bailong.model.settings import Adapter
from bailong.model.tie import ends
from tests import families

V = families.SHAPE["vocab_size"]
#: the second and the third are one row under zip_tie
PIECES = [[5], [6, 7], [7, 6], [10, 11, 12], [3, 3, 4, 8, 9], [20, 21]]
N, BEGIN = len(PIECES), 1
#: counts of new tokens: 3, 1, 2, 6, 0, 1
DOCUMENTS = [
    [8, V + 3, 9, V + 1, 30, V + 3, 31, V, 32, V + 3],
    [V + 2, 40, V + 3, 41, V, 42, V + 2, V + 3, V + 5, V, V + 3],
    [50, 51, 52],
]
ENGLISH = [[60, 61, 62, 63, V + 1, 64], [65, 66, 67]]


def context() -> Context:
    texts = {f"text {i}": ids for i, ids in enumerate(DOCUMENTS)} | {f"old {i}": ids for i, ids in enumerate(ENGLISH)}

    def encode(asked: list[str]) -> list[list[int]]:
        return [texts[text] for text in asked]

    old = [f"o{i}".encode() for i in range(V)]
    new = [f"n{i}".encode() for i in range(N)]
    documents = [text for text in texts if text.startswith("text")]
    return Context(old, new, lambda: iter(documents), encode, encode, begin=BEGIN, longest=9)


def grown(kind: str = "llama", **changes: Any) -> tuple[Any, Any]:
    """A model before and after it was given new rows."""
    model, old = families.model(kind, **changes), families.model(kind, **changes)
    grow(model, PIECES, ZipTie(), seed=0)
    return model, old


def card(model: Any, english: bool = True) -> RowCard:
    old = ("en", [f"old {i}" for i in range(len(ENGLISH))]) if english else None
    return row_card.row_card(model, PIECES, V, context(), 1000, old)


def windows(documents: list[list[int]]) -> list[list[int]]:
    """Of nine ids behind the begin marker."""
    found = []
    for ids in documents:
        whole = [BEGIN, *ids]
        found += [whole[i : i + 9] for i in range(0, len(whole) - 1, 9)]
    return [ids for ids in found if len(ids) > 1]


def probabilities(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0].double().softmax(1)


def by_hand(model: Any, old: Any) -> list[dict[str, Any]]:
    """What is said of every position, by softmaxes of the models' own logits."""
    found = []
    for ids in windows(DOCUMENTS):
        spelled = [piece for i in ids for piece in (PIECES[i - V] if i >= V else [i])]
        new, chain = probabilities(model, ids), probabilities(old, spelled)
        at = len(PIECES[ids[0] - V]) if ids[0] >= V else 1
        for place, target in enumerate(ids[1:]):
            p = new[place]
            row = {
                "target": target,
                "mass": p[V : V + N].sum(),
                "top": bool(p[V:].max() > p[:V].max() * (1 + 1e-4)),
                "by_token": p[V:],
            }
            row["log_p"] = math.log(p[target])
            above, same = int((p > p[target] * (1 + 1e-4)).sum()), int(((p / p[target] - 1).abs() <= 1e-4).sum())
            row["rank"] = 1 + above + (same - 1) / 2
            size = len(PIECES[target - V]) if target >= V else 1
            row["pieces"] = sum(math.log(chain[at + k - 1, spelled[at + k]]) for k in range(size))
            at += size
            found.append(row)
    return found


@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite", "cohere"])
def test_what_is_predicted(kind: str) -> None:
    """With the logits of an architecture: capped, divided, scaled, tied or not."""
    model, old = grown(kind)
    found, rows = card(model).predicted, by_hand(model, old)
    assert found is not None and found.positions == len(rows)
    assert found.likeliest_new == pytest.approx(sum(row["top"] for row in rows) / len(rows))

    def check(group: row_card.Group, tokens: set[int]) -> None:
        there = [row for row in rows if row["target"] - V in tokens]
        assert (group.tokens, group.occurrences) == (len(tokens), len(there))
        assert group.rate == pytest.approx(len(there) / len(rows))
        mass = sum(float(row["by_token"][sorted(tokens)].sum()) for row in rows) / len(rows)
        assert group.mass == pytest.approx(mass, rel=1e-4)
        if not there:
            assert group.log_p is group.rank_mean is group.likeliest_new is group.log_p_pieces is None
            return
        assert group.likeliest_new == pytest.approx(sum(row["top"] for row in there) / len(there))
        assert group.rank_mean == pytest.approx(np.mean([row["rank"] for row in there]))
        assert group.rank_median == pytest.approx(np.median([row["rank"] for row in there]))
        assert group.log_p == pytest.approx(np.mean([row["log_p"] for row in there]), abs=1e-4)
        assert group.log_p_pieces == pytest.approx(np.mean([row["pieces"] for row in there]), abs=1e-4)

    check(found.all, set(range(N)))
    assert list(found.by_pieces) == ["1", "2", "3", "4+"]
    for name, tokens in {"1": {0}, "2": {1, 2, 5}, "3": {3}, "4+": {4}}.items():
        check(found.by_pieces[name], tokens)
    # of 13 occurrences the most frequent has the first six; the middles of the others' are at 7.5, 10, 11.5, 12.5
    for name, tokens in {"frequent": {3}, "middle": {0}, "rare": {1, 2, 5}, "unseen": {4}}.items():
        check(found.by_frequency[name], tokens)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "qwen3"])
def test_old_text_loses_what_new_rows_take(kind: str) -> None:
    """KL(old || new) over all tokens, by two softmaxes, up to the first new token of a window."""
    model, old = grown(kind)
    found = card(model).old_text
    assert found is not None and (found.of, found.positions) == ("en", 7)
    divergences = []
    for ids in windows([[60, 61, 62, 63], [65, 66, 67]]):
        p, q = probabilities(old, ids)[:-1], probabilities(model, ids)[:-1]
        divergences += (p * (p.log() - q[:, :V].log())).sum(1).tolist()
    assert found.kl == pytest.approx(np.mean(divergences), rel=1e-4) and found.kl > 0


def test_without_an_old_language_old_text_is_what_is_old_in_the_text() -> None:
    model, old = grown()
    rows = [row for row in by_hand(model, old) if row["target"] < V]
    found = card(model, english=False).old_text
    assert found is not None and (found.of, found.positions) == ("old tokens of the text", len(rows))
    assert found.kl == pytest.approx(np.mean([-math.log(1 - row["mass"]) for row in rows]), rel=1e-4)


def test_rows_that_are_equal_cost_what_telling_them_apart_takes() -> None:
    model, _ = grown()
    found = card(model)
    # tokens 1 and 2 are one row, and stand there once and twice among 13
    expected = (math.log(3) + 2 * math.log(3 / 2)) / 13
    assert found.seen == 5 and found.rows == N and found.head is not None
    for matrix in (found.embedding, found.head):
        assert matrix.equal == 2 and matrix.floor == pytest.approx(expected)
    with torch.no_grad():
        ends(model)[1].weight[V + 2] += 1e-3
    other = card(model)
    assert other.head is not None and (other.head.equal, other.head.floor) == (0, 0.0)
    assert other.embedding.equal == 2, "each matrix is looked at by itself"


def test_a_tied_pair_is_told_once() -> None:
    assert card(grown("qwen3")[0]).head is None


def test_effective_rank_and_cosine_of_planted_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_card, "ROWS", 7)  # in several blocks
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(32, 5, generator=generator))[0].T
    assert row_card.effective_rank(basis) == pytest.approx(5, rel=1e-5)
    assert row_card.effective_rank(basis.repeat(9, 1) * 3) == pytest.approx(5, rel=1e-5)
    assert row_card.effective_rank(basis[:1].repeat(20, 1)) == pytest.approx(1, rel=1e-5)
    assert row_card.effective_rank(torch.zeros(3, 4)) == 0
    rows = torch.randn(40, 32, generator=generator) + 0.5
    squares = np.linalg.svd(rows.double().numpy(), compute_uv=False) ** 2
    shares = squares / squares.sum()
    assert row_card.effective_rank(rows) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
    units = rows.double().numpy() / np.linalg.norm(rows.double().numpy(), axis=1, keepdims=True)
    cosines = units @ units.T
    expected = cosines[~np.eye(40, dtype=bool)].mean()
    assert row_card.mean_cosine(rows) == pytest.approx(expected, abs=1e-6)
    assert row_card.mean_cosine(basis) == pytest.approx(0, abs=1e-6)
    assert row_card.mean_cosine(rows[:1]) is None


def test_lengths_and_neighbours() -> None:
    model, _ = grown()
    head = ends(model)[1].weight
    with torch.no_grad():
        head[V + 3] = 3 * head[17] + 0.01 * head[18]
    found = card(model).head
    assert found is not None
    lengths = head.detach().norm(dim=1).double().numpy()
    assert found.norm_new.median == pytest.approx(np.median(lengths[V:]), rel=1e-5)
    assert found.norm_old.low == pytest.approx(np.quantile(lengths[:V], 0.05), rel=1e-5)
    assert found.norm_old.high == pytest.approx(np.quantile(lengths[:V], 0.95), rel=1e-5)
    assert [near.count for near in found.nearest] == [6, 3, 2, 1, 1]
    first = found.nearest[0]
    cosines = torch.cosine_similarity(head[V + 3][None], head[:V]).detach()
    assert first.token == "n3" and [name for name, _ in first.old] == [f"o{i}" for i in cosines.topk(3).indices]
    assert first.old[0] == ("o17", pytest.approx(float(cosines[17]), abs=1e-5))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows and few positions at a time give the same card."""
    model, _ = grown()
    whole = card(model)
    monkeypatch.setattr(states, "ROWS", 37)
    monkeypatch.setattr(states, "CHUNK", 3)
    parts = card(model)
    assert whole.predicted is not None and parts.predicted is not None
    assert parts.predicted.all.mass == pytest.approx(whole.predicted.all.mass, rel=1e-5)
    assert parts.predicted.all.rank_mean == pytest.approx(whole.predicted.all.rank_mean)
    assert parts.predicted.all.log_p == pytest.approx(whole.predicted.all.log_p, abs=1e-5)


def test_nothing_is_disturbed() -> None:
    """Adapters that change nothing yet change no figure; the mode, the weights and the generator stay as they are."""
    plain, _ = grown()
    expected = card(plain)
    model = adapters.add(grown()[0], Adapter(name="all", rank=4, alpha=8, dropout=0.5), seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    found = card(model)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert found.predicted == expected.predicted and found.old_text == expected.old_text
    plain.eval()
    card(plain)
    assert not plain.training


def test_text_without_new_tokens() -> None:
    model, _ = grown()
    bare = Context([b"o"] * V, [b"n"] * N, lambda: iter(["a"]), None, lambda _: [[2, 3, 4]], begin=None, longest=9)
    found = row_card.row_card(model, PIECES, V, bare, 100)
    assert found.seen == 0 and found.embedding.nearest == [] and found.embedding.floor == 0
    assert (
        found.predicted is not None and found.predicted.all.occurrences == 0 and found.predicted.all.rank_mean is None
    )
    assert list(found.predicted.by_frequency) == ["unseen"] and found.predicted.positions == 2
