import numpy as np
import pytest

from bailong.data import packing


@pytest.fixture
def lengths():
    return np.random.default_rng(0).integers(2, 90, size=400).astype(np.int64)


@pytest.mark.parametrize("capacity", [7, 33, 128])
def test_best_fit_holds_every_token_once_and_no_sequence_overflows(lengths, capacity):
    pieces, offsets = packing.best_fit(lengths, capacity)
    covered = np.concatenate([np.arange(a, b) for a, b in pieces])
    assert np.array_equal(np.sort(covered), np.arange(lengths.sum()))
    sizes = np.add.reduceat(pieces[:, 1] - pieces[:, 0], offsets[:-1])
    assert sizes.max() <= capacity


def test_best_fit_cuts_only_documents_that_do_not_fit(lengths):
    pieces, _ = packing.best_fit(lengths, 64)
    starts = np.cumsum([0, *lengths])
    owner = np.searchsorted(starts, pieces[:, 0], side="right") - 1
    counts = np.bincount(owner, minlength=len(lengths))
    assert np.array_equal(counts, -(-lengths // 64))


def test_best_fit_is_close_to_the_bound(lengths):
    sequences = len(packing.best_fit(lengths, 128)[1]) - 1
    assert sequences <= np.ceil(lengths.sum() / 128) * 1.02 + 1


def test_best_fit_by_hand():
    # 5 and 3 share a sequence of 8; 4 gets its own; 17 = 8 + 8 + 1, of which the 1 joins the 4
    pieces, offsets = packing.best_fit(np.array([3, 17, 5, 4]), 8)
    found = [sorted(map(tuple, pieces[a:b].tolist())) for a, b in zip(offsets, offsets[1:], strict=False)]
    assert sorted(found) == [[(0, 3), (20, 25)], [(3, 11)], [(11, 19)], [(19, 20), (25, 29)]]


def test_summary_says_what_each_strategy_loses():
    lengths = np.array([3, 17, 5, 4])
    assert packing.summary(lengths, "truncate", 8) == {"sequences": 4, "tokens": 20, "lost": 9, "padding": 0.375}
    assert packing.summary(lengths, "concat", 8) == {"sequences": 3, "tokens": 25, "lost": 4, "padding": 0.0}
    assert packing.summary(lengths, "best_fit", 7) == {"sequences": 4, "tokens": 29, "lost": 0, "padding": 0.09375}
