"""The order of samples as a pure function of (seed, epoch, position): nothing to store, nothing to restore."""

import numpy as np


def shuffled(positions: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The sample at each position of an endless stream of epochs over `size` samples.

    Each epoch is a permutation of its own, computed place by place by a four-round Feistel network with cycle
    walking, so a corpus of a billion samples needs no table and a resumed run no state.

    Args:
        positions: [n] int64, positions from the start of training.
        size: samples in the corpus, at least 1.
        seed: names the order.

    Returns:
        [n] int64 sample indices in [0, size).
    """
    assert size >= 1
    positions = np.asarray(positions, dtype=np.uint64)
    epoch, place = positions // np.uint64(size), positions % np.uint64(size)
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    out = place.copy()
    todo = np.ones(out.shape, dtype=bool)
    while todo.any():
        left, right = out[todo] >> half, out[todo] & mask
        for turn in range(4):
            salt = np.uint64((seed * 4 + turn) * int(_ODD) % 2**64)
            key = _mix(right + (epoch[todo] << np.uint64(20)) + salt)
            left, right = right, (left ^ key) & mask
        out[todo] = (left << half) | right
        todo &= out >= np.uint64(size)
    return out.astype(np.int64)


_ODD = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): a well-mixed 64-bit hash."""
    x = (x + _ODD).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
