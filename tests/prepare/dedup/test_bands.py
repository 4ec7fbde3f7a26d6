"""Buckets: equal bands meet, all pairs of a bucket come out once, crowded buckets stay linear."""

import itertools

import numpy as np
import pytest

from bailong.prepare.dedup import bands

FIRST = lambda numbers: np.argsort(np.argsort(numbers))  # noqa: E731  the smaller the number, the rather it is kept


def pairs_of(keys, numbers, most=10**9, order=FIRST):
    packed, large = bands.candidates(np.array(keys, np.uint64), np.array(numbers, np.uint64), order, most)
    assert (np.diff(packed.astype(np.float64)) > 0).all()
    return {tuple(pair) for pair in bands.unpacked(packed).tolist()}, large


def test_equal_bands_have_equal_keys_and_nothing_else_has():
    signatures = np.random.default_rng(0).integers(0, 2**32, (50, 20), dtype=np.uint32)
    signatures[1, :5], signatures[2, 5:10] = signatures[0, :5], signatures[0, :5]  # second: the same in another band
    keys = bands.band_keys(signatures, 4, 5, 0)
    assert keys.shape == (50, 4) and keys[0, 0] == keys[1, 0]
    assert len(np.unique(keys)) == 50 * 4 - 1
    assert not np.intersect1d(keys, bands.band_keys(signatures, 4, 5, 1)).size
    assert np.array_equal(keys, bands.band_keys(np.pad(signatures, ((0, 0), (0, 3))), 4, 5, 0))  # the rest is unused


def test_one_number_of_a_band_changes_its_key():
    signature = np.random.default_rng(0).integers(0, 2**32, (1, 10), dtype=np.uint32)
    changed = np.repeat(signature, 10, axis=0)
    changed[np.arange(10), np.arange(10)] ^= np.uint32(1)
    assert len(np.unique(bands.band_keys(np.concatenate([signature, changed]), 1, 10, 0))) == 11


@pytest.mark.parametrize("seed", range(5))
def test_candidates_are_the_pairs_that_share_a_bucket(seed):
    rng = np.random.default_rng(seed)
    keys, numbers = rng.integers(0, 60, 400), rng.integers(0, 90, 400)
    expected = set()
    for key in range(60):
        expected |= set(itertools.combinations(sorted(set(numbers[keys == key].tolist())), 2))
    assert pairs_of(keys, numbers) == (expected, 0)


def test_pairs_are_cut_into_portions_without_loss(monkeypatch):
    keys, numbers = np.repeat(np.arange(40), 6), np.arange(240)
    whole = pairs_of(keys, numbers)
    monkeypatch.setattr(bands, "PENDING", 20)
    assert pairs_of(keys, numbers) == whole and len(whole[0]) == 40 * 15


def test_no_records_no_pairs():
    assert pairs_of([], []) == (set(), 0)
    assert pairs_of([1, 2, 3], [4, 5, 6]) == (set(), 0)


def test_a_crowded_bucket_stays_linear_and_follows_keep_order():
    numbers = np.random.default_rng(0).permutation(10_000)
    last_first = lambda some: np.argsort(np.argsort(-some.astype(np.int64)))  # noqa: E731
    found, large = pairs_of(np.zeros(10_000), numbers, 1000, last_first)
    leaders = set(range(10_000 - bands.LEADERS, 10_000))
    assert large == 1
    assert found == {tuple(sorted((i, j))) for i in leaders for j in range(10_000) if i != j}


def test_the_cap_is_on_pairs():
    assert len(pairs_of(np.zeros(45), np.arange(45), 990)[0]) == 990
    found, large = pairs_of(np.zeros(46), np.arange(46), 990)
    assert large == 1 and 46 * 15 < len(found) <= 990  # as many leaders as the cap allows
