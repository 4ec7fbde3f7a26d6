"""Weights by least squares, against planted ones and against numpy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from bailong.initializer.alpha_ls import AlphaLs, weights_by_length
from bailong.initializer.context import Context
from bailong.initializer.zip_tie import ZipTie
from bailong.tokenizer import smaller
from tests.conftest import ROOT

V, D = 600, 24
#: what was planted, by the number of pieces
PLANTED = {2: [0.7, 0.2], 3: [0.5, -0.2, 0.4], 4: [0.1, 0.3, 0.3, 0.2]}


def planted(noise: float = 0.01) -> tuple[torch.Tensor, dict[int, list[int]]]:
    """Rows of which the last third are sums of the others by the planted weights, and how they are spelled.

    All about a mean far from zero, which the rows have exactly.
    """
    generator = torch.Generator().manual_seed(0)
    rows, known = torch.randn(V, D, generator=generator), {}
    for u in range(400, V):
        n = 2 + u % 3
        known[u] = torch.randint(0, 400, (n,), generator=generator).tolist()
        rows[u] = sum(a * rows[i] for a, i in zip(PLANTED[n], known[u], strict=True))
        rows[u] += noise * torch.randn(D, generator=generator)
    return rows, known


def context(known: dict[int, list[int]]) -> Context:
    return Context([], [], respelled=lambda share: known)


def rows(old: torch.Tensor, known: dict[int, list[int]], pieces: list[list[int]], **knobs: Any) -> torch.Tensor:
    return AlphaLs(**knobs).new_rows("embed", old, pieces, torch.Generator(), context(known))


def test_planted_weights_are_found() -> None:
    old, known = planted()
    found = weights_by_length(old, known, {2, 3, 4, 7}, prior=1e-3)
    for n, expected in PLANTED.items():
        assert found[n] == pytest.approx(expected, abs=1e-2)
    assert found[7] == [1 / 7] * 7, "no token has so many pieces"


@pytest.mark.parametrize("prior", [0.5, 30.0])
def test_the_formula_in_numpy(prior: float) -> None:
    """As one least-squares problem, the penalty as rows of its own: no normal equations."""
    old, known = planted(noise=0.5)
    found = weights_by_length(old, known, {3}, prior)[3]
    tokens = [u for u in known if len(known[u]) == 3]
    x = np.concatenate([old[known[u]].double().numpy().T for u in tokens])
    y = np.concatenate([old[u].double().numpy() for u in tokens])
    lam = prior * (x**2).sum() / 3 / len(tokens)
    x = np.concatenate([x, np.sqrt(lam) * np.eye(3)])
    y = np.concatenate([y, np.sqrt(lam) * np.full(3, 1 / 3)])
    assert found == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0].tolist(), rel=1e-6)


def test_rows_by_hand() -> None:
    old, known = planted()
    old += 5.0
    pieces = [[3, 9], [9, 3], [1, 2, 3], [7], [1, 2, 3, 4, 5]]
    mu = old.double().mean(0)
    made = rows(old, known, pieces, prior=1e-3).double()
    weights = weights_by_length(old - old.mean(0), known, {2, 3}, 1e-3)
    for k in (0, 1, 2):
        expected = mu + sum(a * (old[i] - mu) for a, i in zip(weights[len(pieces[k])], pieces[k], strict=True))
        torch.testing.assert_close(made[k], expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(made[3], old[7].double()), "one old token is copied"
    torch.testing.assert_close(made[4], old[1:6].double().mean(0), rtol=1e-5, atol=1e-5)
    assert (made[0] - made[1]).abs().max() > 0.1, "the order of pieces matters"


def test_with_all_weight_on_the_prior_it_is_zip_tie() -> None:
    old, known = planted()
    pieces = [[3, 9], [1, 2, 3], [4, 4, 5, 6]]
    torch.testing.assert_close(rows(old, known, pieces, prior=1e12), ZipTie().rows(old, pieces, torch.Generator()))


def test_examples_of_many_passes_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    old, known = planted(noise=0.5)
    whole = weights_by_length(old, known, {2, 3}, 1.0)
    monkeypatch.setattr("bailong.initializer.alpha_ls.HELD", 7 * 2 * D)
    for n, found in weights_by_length(old, known, {2, 3}, 1.0).items():
        assert found == pytest.approx(whole[n], rel=1e-9)


def test_equal_rows_have_equal_weights() -> None:
    assert weights_by_length(torch.zeros(V, D), planted()[1], {2}, 1.0) == {2: [0.5, 0.5]}


def test_each_matrix_is_fitted_by_itself_and_spelled_once() -> None:
    asked: list[float] = []
    old, known = planted()
    here = Context([], [], respelled=lambda share: (asked.append(share), known)[1])
    first = AlphaLs(share=0.25).new_rows("embed", old, [[1, 2]], torch.Generator(), here)
    other = AlphaLs(share=0.25).new_rows("head", old.flip(0), [[V - 2, V - 3]], torch.Generator(), here)
    assert asked == [0.25] and not torch.allclose(first, other, atol=0.05)


@pytest.mark.parametrize(("knob", "value"), [("share", 0.0), ("share", 1.0), ("prior", 0.0), ("prior", float("inf"))])
def test_nonsense_is_refused(knob: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^initializer\.{knob}={value} is not accepted: it must be above 0"):
        AlphaLs(**{knob: value})


def test_what_weights_explain_of_a_real_model() -> None:
    """SmolLM2 135M, the last half of its vocabulary, weights of one half of that tried on the other: R² over the mean
    row. Equal weights explain less than the mean row does (-0.72), and fitted ones next to nothing (0.012): what a
    row is, its pieces do not say, and least squares answers with rows near the mean."""
    folder = ROOT / "models" / "smollm2"
    if not folder.is_dir():
        pytest.skip("needs models/smollm2")
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        old = file.get_tensor("model.embed_tokens.weight").float()
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    known, centred = smaller.respelled(data, smaller.late(data, 0.5)), old - old.mean(0)
    fitted = dict(sorted(known.items())[::2])
    tried = {u: ids for u, ids in sorted(known.items())[1::2] if len(ids) <= 5}
    weights = weights_by_length(centred, fitted, {2, 3, 4, 5}, AlphaLs().prior)
    equal = {n: [1 / n] * n for n in weights}

    def explained(by_length: dict[int, list[float]]) -> float:
        made = torch.stack([torch.tensor(by_length[len(ids)]) @ centred[ids] for ids in tried.values()])
        true = centred[[*tried]]
        return 1 - ((true - made) ** 2).sum().item() / (true**2).sum().item()

    assert explained(equal) == pytest.approx(-0.716, abs=0.01)
    assert explained(weights) == pytest.approx(0.0116, abs=0.002)
