"""Exact similarity against sets of Python tuples, and the estimate against datasketch."""

import numpy as np
import pytest
from datasketch import MinHash

from bailong.prepare.dedup import signatures, verify
from bailong.prepare.dedup.documents import Documents
from tests.prepare.dedup.shards import Doc, packed, use, write


@pytest.fixture(params=["numba", "numpy"])
def arithmetic(request, monkeypatch):
    use(request.param, monkeypatch)


def brute(one, other, ngram):
    a, b = ({tuple(d[i : i + ngram]) for i in range(len(d) - ngram + 1)} for d in (one.tolist(), other.tolist()))
    return len(a & b) / len(a | b) if a | b else 0.0


@pytest.fixture
def corpus(tmp_path):
    """Documents of a small vocabulary in three shards, empty and short ones among them."""
    rng = np.random.default_rng(3)
    ids = [rng.integers(0, 30, size).astype(np.uint32) for size in rng.integers(0, 60, 40)]
    ids[:4] = [np.empty(0, np.uint32), np.array([1], np.uint32), np.array([1, 2], np.uint32), ids[5].copy()]
    shards = [[Doc(str(i), "", ids=ids[i]) for i in part] for part in (range(15), range(15, 16), range(16, 40))]
    refs = write(tmp_path, shards)
    return ids, Documents([tmp_path / r.task for r in refs], [0, 0, 0], [0, 1, 2], [r.documents for r in refs])


@pytest.mark.parametrize("ngram", [1, 2, 3, 5])
def test_jaccard_is_that_of_the_sets(arithmetic, corpus, ngram, monkeypatch):
    ids, documents = corpus
    pairs = np.array([(i, j) for i in range(40) for j in range(i + 1, 40)])
    expected = [brute(ids[i], ids[j], ngram) for i, j in pairs.tolist()]
    assert verify.jaccard(documents, pairs, ngram).tolist() == expected
    monkeypatch.setattr(verify, "TOKENS", 50)
    monkeypatch.setattr(verify, "READ", 300)
    assert verify.jaccard(documents, pairs, ngram).tolist() == expected
    assert 1.0 in expected and 0.0 in expected


def test_four_of_five_is_exactly_the_default_threshold(arithmetic):
    values, starts = verify.sets(*packed([np.array([1, 2, 3, 4]), np.array([5, 4, 3, 2, 1])]), 1)
    shared = verify.common(values, starts, np.array([0]), np.array([1]))
    assert shared[0] / (4 + 5 - shared[0]) >= 0.8


def test_sets_are_sorted_and_without_repeats():
    values, starts = verify.sets(*packed([np.array([3, 1, 3]), np.array([]), np.array([2, 2]), np.array([])]), 1)
    assert values.tolist() == [1, 3, 2] and starts.tolist() == [0, 2, 2, 3, 3]


def test_long_documents_are_told_by_their_different_tokens(arithmetic, corpus):
    ids, documents = corpus
    pairs = np.array([(i, (i * 7 + 3) % 40) for i in range(40)])
    expected = [max(len(set(ids[i].tolist())), len(set(ids[j].tolist()))) > 15 for i, j in pairs.tolist()]
    assert verify.with_long(documents, pairs, 15).tolist() == expected
    assert 0 < sum(expected) < 40


def test_the_estimate_is_datasketchs(corpus, tmp_path):
    ids, documents = corpus
    sign = signatures.signer(64, 1)
    folders = [tmp_path / name for name in "abc"]
    for folder, (i, j) in zip(folders, ((0, 15), (15, 16), (16, 40)), strict=True):
        folder.mkdir()
        np.save(folder / "signatures.npy", signatures.sketch(*packed(ids[i:j]), 1, sign))
    pairs = np.array([(i, j) for i in range(40) for j in range(i + 1, 40)])

    def theirs(document):
        sketch = MinHash(64, hashfunc=int)
        sketch.update_batch(document.tolist())
        return sketch

    expected = [theirs(ids[i]).jaccard(theirs(ids[j])) for i, j in pairs.tolist()]
    assert verify.estimate(documents, pairs, folders).tolist() == expected
