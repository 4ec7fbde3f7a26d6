import numpy as np
import pytest

from bailong.data.order import shuffled


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 4097])
def test_every_epoch_is_a_permutation_of_its_own(size):
    epochs = shuffled(np.arange(3 * size), size, seed=0).reshape(3, size)
    for epoch in epochs:
        assert sorted(epoch) == list(range(size))
    if size >= 64:
        assert (epochs[0] != epochs[1]).mean() > 0.9
        assert (epochs[0] != np.arange(size)).mean() > 0.9


def test_order_is_a_pure_function_of_seed_and_position():
    whole = shuffled(np.arange(5000), 1234, seed=7)
    parts = np.concatenate([shuffled(np.arange(a, a + 100), 1234, seed=7) for a in range(0, 5000, 100)])
    assert np.array_equal(whole, parts)
    assert not np.array_equal(whole, shuffled(np.arange(5000), 1234, seed=8))


def test_neighbours_do_not_stay_neighbours():
    order = shuffled(np.arange(10_000), 10_000, seed=1)
    assert (np.abs(np.diff(order)) == 1).mean() < 0.01
    assert abs(np.corrcoef(np.arange(10_000), order)[0, 1]) < 0.05
