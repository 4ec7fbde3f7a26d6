"""datasketch defines the permutations: our signatures are its signatures, to the bit, compiled or not."""

import sys

import numpy as np
import pytest
from datasketch import MinHash

import bailong.prepare.dedup
from bailong.prepare.dedup import signatures
from tests.prepare.dedup.shards import packed, use


@pytest.fixture(params=["numba", "numpy"])
def arithmetic(request, monkeypatch):
    use(request.param, monkeypatch)


def documents(seed=0):
    """Empty, single, repeated, just below and above the blocks of the inner loops, and large ids."""
    rng = np.random.default_rng(seed)
    sizes = [0, 1, 2, 7, 8, 9, 15, 16, 17, 150, 0, signatures.BLOCK, signatures.BLOCK + 1, 3 * signatures.BLOCK + 5]
    return [rng.integers(0, 59_241, size).astype(np.uint32) for size in sizes] + [
        np.array([5, 5, 5, 0, 0], dtype=np.uint32),
        np.array([0xFFFF, 0x10FFFF, 0, 1], dtype=np.uint32),
    ]


def oracle(values, number, seed):
    sketch = MinHash(number, seed=seed, hashfunc=int)
    sketch.update_batch([int(v) for v in values])
    return sketch.hashvalues


@pytest.mark.parametrize(("number", "seed"), [(256, 1), (112, 7), (1, 0)])
def test_permutations_are_those_of_datasketch(number, seed):
    a, b = signatures.permutations(number, seed)
    assert np.array_equal(MinHash(number, seed=seed).permutations, [a, b])
    assert (a % 2 == 1).all()


@pytest.mark.parametrize(("number", "seed"), [(256, 1), (37, 42)])
def test_signatures_of_single_tokens_equal_datasketch(arithmetic, number, seed):
    ids, starts = packed(documents())
    ours = signatures.sketch(ids, starts, 1, signatures.signer(number, seed))
    assert ours.dtype == np.uint32
    for signature, document in zip(ours, documents(), strict=True):
        assert np.array_equal(signature, oracle(document, number, seed))


@pytest.mark.parametrize("ngram", [1, 2, 5])
def test_datasketch_itself_signs_to_the_same_bits(ngram):
    ids, starts = packed(documents())
    ours, theirs = (
        signatures.sketch(ids, starts, ngram, signatures.signer(64, 3, by)) for by in ("kernels", "datasketch")
    )
    assert theirs.dtype == np.uint32 and np.array_equal(ours, theirs)
    empty = signatures.signer(64, 3, "datasketch")(np.empty(0, np.uint32), np.zeros(1, np.int64))
    assert empty.shape == (0, 64)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_the_type_of_the_ids_does_not_matter(arithmetic, dtype):
    ids = np.array([3, 1, 3, 2, 9, 9], dtype=dtype)
    ours = signatures.sketch(ids, np.array([0, 4, 6]), 1, signatures.signer(64, 1))
    assert np.array_equal(ours[0], oracle([1, 2, 3], 64, 1)) and np.array_equal(ours[1], oracle([9], 64, 1))


@pytest.mark.parametrize("ngram", [2, 5])
def test_signatures_of_longer_runs_equal_datasketch_on_the_upper_half_of_their_hashes(arithmetic, ngram):
    ids, starts = packed(documents())
    ours = signatures.sketch(ids, starts, ngram, signatures.signer(128, 1))
    for signature, document in zip(ours, documents(), strict=True):
        values, _ = signatures.shingles(*packed([document]), ngram)
        assert np.array_equal(signature, oracle(values >> np.uint64(32), 128, 1))


def test_a_document_without_values_has_the_largest_number_everywhere(arithmetic):
    ours = signatures.sketch(*packed([np.arange(4)]), 5, signatures.signer(16, 1))
    assert (ours == 0xFFFFFFFF).all() and np.array_equal(ours[0], MinHash(16).hashvalues)


def test_distinct_ids_of_each_document(arithmetic):
    found, starts = signatures.distinct(*packed(documents()))
    for i, document in enumerate(documents()):
        assert sorted(found[starts[i] : starts[i + 1]].tolist()) == sorted(set(document.tolist()))
    assert len(signatures.distinct(*packed([]))[0]) == 0


def test_shingles_stay_inside_documents_and_see_order_and_zeros():
    values, starts = signatures.shingles(*packed([np.array(d) for d in ([1, 2, 3], [4], [], [3, 1, 2])]), 2)
    assert starts.tolist() == [0, 2, 2, 2, 4]
    by_run = dict(zip([(1, 2), (2, 3), (3, 1), (1, 2)], values.tolist(), strict=True))
    assert len(by_run) == 3 and values[0] == values[3]
    runs = [[0, 0, 7], [0, 7, 0], [7, 0, 0], [0, 0, 0], [7, 7, 7]]
    assert len({int(signatures.shingles(*packed([np.array(run)]), 3)[0][0]) for run in runs}) == len(runs)


def test_shingle_hashes_do_not_collide_on_every_pair_of_a_small_vocabulary():
    pairs = np.stack(np.meshgrid(np.arange(700), np.arange(700)), axis=-1).reshape(-1, 2)
    values, _ = signatures.shingles(pairs.ravel(), np.arange(0, 2 * len(pairs) + 1, 2), 2)
    assert len(np.unique(values)) == len(pairs)
    assert len(np.unique(values >> np.uint64(32))) > len(pairs) * 0.9999  # 2^32 values: some 28 collisions


def test_without_numba_numpy_takes_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "bailong.prepare.dedup.kernels", raising=False)
    monkeypatch.delattr(bailong.prepare.dedup, "kernels", raising=False)
    assert bailong.prepare.dedup.compiled.__wrapped__() is None
