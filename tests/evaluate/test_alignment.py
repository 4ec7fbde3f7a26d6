"""What two languages share inside a model: planted states whose numbers are known by hand, and by other formulas."""

import itertools

import numpy as np
import pytest

from bailong.evaluate import alignment
from bailong.evaluate.bootstrap import Resampling

RESAMPLING = Resampling(2_000, 0)


def states(n=12, d=6, noise=0.5, seed=0, shared=None):
    random = np.random.default_rng(seed)
    meaning = random.normal(size=(n, d)) if shared is None else shared
    return tuple((meaning + noise * random.normal(size=(n, d))).astype(np.float32) for _ in range(2))


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def falling_sum(k, m):
    """Unbiased HSIC as the U-statistic that it is: over all four different sentences (Song et al., 2012)."""
    total, count = 0.0, 0
    for i, j, q, r in itertools.permutations(range(len(k)), 4):
        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
        count += 1
    return total / count


def by_hand(x, y):
    """Unbiased CKA of rows that are made one long."""
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x.astype(float), y.astype(float)))
    k, m = x @ x.T, y @ y.T
    return falling_sum(k, m) / np.sqrt(falling_sum(k, k) * falling_sum(m, m))


def test_every_number_is_what_plain_loops_say():
    x, y = states(n=9, d=5, noise=0.8)
    found = alignment.layer(x, y)
    sides = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x.astype(float), y.astype(float))]
    for kind, (a, b) in {"plain": sides, "retrieval": [side - side.mean(0) for side in sides]}.items():
        table = [[cosine(p, q) for q in b] for p in a]
        forward = [all(table[i][i] > table[i][j] for j in range(9) if j != i) for i in range(9)]
        backward = [all(table[i][i] > table[j][i] for j in range(9) if j != i) for i in range(9)]
        assert found.values[kind].tolist() == [(f + b) / 2 for f, b in zip(forward, backward, strict=True)]
    assert 0 < found.values["retrieval"].mean() < 1, "a test where all is found shows nothing"
    assert (found.forward, found.backward) == (np.mean(forward), np.mean(backward))
    assert found.pairs == pytest.approx(np.mean([table[i][i] for i in range(9)]))
    assert found.others == pytest.approx(np.mean([table[i][j] for i in range(9) for j in range(9) if i != j]))
    assert found.values["cosine"].mean() == pytest.approx(found.pairs - found.others)
    assert found.values["cka"].mean() == pytest.approx(by_hand(x, y), abs=1e-9)


def test_planted_sides_have_the_numbers_they_must():
    random = np.random.default_rng(1)
    x = random.normal(size=(40, 60))
    turned = x @ np.linalg.qr(random.normal(size=(60, 60)))[0]
    same = alignment.layer(x, x)
    assert (same.forward, same.backward, same.pairs) == (1, 1, pytest.approx(1))
    assert same.values["cka"].mean() == pytest.approx(1)
    rotated = alignment.layer(x, turned)
    assert rotated.values["cka"].mean() == pytest.approx(1, abs=1e-3), "one shape, however it lies"
    assert rotated.values["retrieval"].mean() < 0.2
    shift = alignment.layer(x + 9, x - 9)
    assert shift.values["retrieval"].mean() == 1, "one shift between the languages is taken off"
    unrelated = [alignment.layer(*random.normal(size=(2, 40, 400))) for _ in range(20)]
    assert abs(np.mean([of.values["cka"].mean() for of in unrelated])) < 0.01, "plain CKA says 0.9 here"
    assert np.mean([of.pairs - of.others for of in unrelated]) == pytest.approx(0, abs=0.01)


def test_one_sentence_of_a_huge_norm_changes_only_itself():
    x, y = states(n=60, d=30)
    huge = y.copy()
    huge[7] *= 200
    one, other = alignment.layer(x, y), alignment.layer(x, huge)
    for kind in alignment.KINDS:
        assert other.values[kind] == pytest.approx(one.values[kind], abs=1e-5)


def test_a_tie_is_no_hit_and_what_is_constant_has_no_cka():
    cosines = np.array([[0.5, 0.5, 0.1], [0.2, 0.9, 0.3], [0.0, 0.9, 0.8]])
    forward, backward = alignment.retrieved(cosines)
    assert forward.tolist() == [False, True, False] and backward.tolist() == [True, False, True]
    flat = np.ones((8, 3))
    x, _ = states(n=8, d=3)
    for pair in ((flat, x), (flat, flat), (np.zeros((8, 3)), x)):
        found = alignment.layer(*pair)
        assert found.values["cka"] is None and not found.hits.any() and np.isfinite(found.pairs)


def test_jackknife_values_leave_one_out():
    x, y = states(n=8, d=4)
    found = alignment.layer(x, y)
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x.astype(float), y.astype(float))]
    every = by_hand(x, y)
    left = [by_hand(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(8)]
    values = np.array([8 * every - 7 * one for one in left])
    assert found.values["cka"] == pytest.approx(values - values.mean() + every, abs=1e-9)
    a, b = (side - side.mean(0) for side in unit)
    table = np.array([[cosine(p, q) for q in b] for p in a])

    def apart(kept):
        inside = table[np.ix_(kept, kept)]
        others = inside[~np.eye(len(kept), dtype=bool)]
        return np.diagonal(inside).mean() - others.mean()

    whole = apart(range(8))
    for i in range(8):
        kept = [j for j in range(8) if j != i]
        assert found.values["cosine"][i] == pytest.approx(8 * whole - 7 * apart(kept))


def test_bands_are_as_wide_as_new_sentences_make_the_numbers_differ():
    """Against 200 fresh draws of 80 sentences; of CKA near 0 the band is too wide, never too narrow."""
    draws = [alignment.layer(*states(n=80, d=12, noise=1.2, seed=seed)) for seed in range(200)]
    for kind, most in {"retrieval": 1.2, "plain": 1.2, "cosine": 1.3, "cka": 1.6}.items():
        spread = np.std([of.values[kind].mean() for of in draws])
        told = np.median([of.values[kind].std() / np.sqrt(80) for of in draws[:60]])
        assert 0.85 < told / spread < most, kind


def test_the_summary_names_the_best_layer_and_the_middle_third():
    assert [list(alignment.middle(n)) for n in (1, 2, 3, 4, 30)] == [[1], [1, 2], [2], [2, 3], list(range(11, 21))]
    random = np.random.default_rng(2)
    meaning = random.normal(size=(50, 20))
    noises = (5.0, 2.0, 0.6, 0.9, 0.6)
    layers = [alignment.layer(*states(50, 20, noise, seed, meaning)) for seed, noise in enumerate(noises)]
    found = alignment.summary(layers, RESAMPLING, "x")
    rows, shares = found["layers"], [of.hits.mean() / 2 for of in layers]
    assert [row["retrieval"]["mean"] for row in rows] == pytest.approx(shares)
    assert found["best"]["layer"] == int(np.argmax(shares)), "of several the first"
    assert found["middle"]["layers"] == [2, 3]
    assert found["middle"]["retrieval"]["mean"] == pytest.approx((shares[2] + shares[3]) / 2)
    for row in (*rows, found["middle"]):
        for kind in alignment.KINDS:
            assert row[kind]["low"] <= row[kind]["mean"] <= row[kind]["high"] and row[kind]["n"] == 50
    spread = layers[1].values["cosine"].std() / np.sqrt(50)
    assert rows[1]["cosine"]["high"] - rows[1]["cosine"]["low"] == pytest.approx(3.92 * spread, rel=0.1)
    assert found == alignment.summary(layers, RESAMPLING, "x")
    assert [sum(map(int, row)) / 100 for row in found["found"]] == pytest.approx(shares)


def test_two_models_are_compared_on_the_same_sentences():
    random = np.random.default_rng(3)
    meaning = random.normal(size=(60, 20))
    facts = {"items": "same"}

    def measured(noise):
        layers = [alignment.layer(*states(60, 20, noise, seed, meaning)) for seed in range(4)]
        return layers, {"en_tr": alignment.summary(layers, RESAMPLING, "x") | {"facts": facts}, "text": {"facts": {}}}

    (mine, first), (theirs, second) = measured(0.4), measured(1.2)
    found = alignment.differences({"a": first, "b": second}, RESAMPLING)
    shares = [of[2].hits.mean() / 2 for of in (mine, theirs)]  # the middle third of three layers is the second
    assert list(found) == ["en_tr"]
    assert found["en_tr"]["mean"] == pytest.approx(shares[0] - shares[1]) and found["en_tr"]["clear"]
    second["en_tr"]["facts"] = {"items": "others"}
    assert alignment.differences({"a": first, "b": second}, RESAMPLING) == {}


def test_the_plane_holds_most_of_the_variance():
    x, y = states(n=30, d=8)
    points, shares = alignment.plane(x, y + 3)
    both = np.concatenate([x, y + 3]).astype(float)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    _, sizes, axes = np.linalg.svd(both - both.mean(0), full_matrices=False)
    assert shares == pytest.approx((sizes**2 / (sizes**2).sum())[:2])
    theirs = ((both - both.mean(0)) @ axes[:2].T).reshape(2, 30, 2)
    assert np.abs(points) == pytest.approx(np.abs(theirs))
    flat = points.reshape(60, 2)
    assert all(flat[np.abs(flat[:, i]).argmax(), i] > 0 for i in (0, 1))
