"""The inner loops of deduplication, compiled by numba (pip install 'bailong[fast]').

Each has a NumPy twin in the file that calls it, with the same results to the bit: all of it is integer arithmetic.
The compiled code is kept on disk, so that one process per machine pays for compiling (under 1 s), not every worker;
numba keeps it apart by CPU and by version of this file, which is why no kernel here calls into another file.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder that we may write to
        return numba.njit(nogil=True)(function)


@kernel
def minima(values: np.ndarray, starts: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """`signatures.signatures`: out[d, k] = min over the values x of document d of a[k] x + b[k] mod 2^32.

    Eight values at a time: then `out` is read and written an eighth as often, which makes it three times as fast.
    """
    for d in range(len(out)):
        row = out[d]
        row[:] = np.uint32(0xFFFFFFFF)
        j, end = starts[d], starts[d + 1]
        while j + 8 <= end:
            x0, x1, x2, x3 = values[j], values[j + 1], values[j + 2], values[j + 3]
            x4, x5, x6, x7 = values[j + 4], values[j + 5], values[j + 6], values[j + 7]
            for k in range(len(a)):
                p, q = a[k], b[k]
                low0 = min(np.uint32(p * x0 + q), np.uint32(p * x1 + q))
                low1 = min(np.uint32(p * x2 + q), np.uint32(p * x3 + q))
                low2 = min(np.uint32(p * x4 + q), np.uint32(p * x5 + q))
                low3 = min(np.uint32(p * x6 + q), np.uint32(p * x7 + q))
                row[k] = min(row[k], min(min(low0, low1), min(low2, low3)))
            j += 8
        while j < end:
            x = values[j]
            for k in range(len(a)):
                row[k] = min(row[k], np.uint32(a[k] * x + b[k]))
            j += 1


@kernel
def distinct(ids: np.ndarray, starts: np.ndarray, seen: np.ndarray, values: np.ndarray, ends: np.ndarray) -> None:
    """`signatures.distinct`: the ids of each document once, in order of first appearance.

    Args:
        seen: [largest id + 1] int64, below 0: the last document in which an id appeared.
        values, ends: filled; ends[d] is where document d's ids end.
    """
    filled = 0
    for d in range(len(ends)):
        for j in range(starts[d], starts[d + 1]):
            x = ids[j]
            if seen[x] != d:
                seen[x] = d
                values[filled] = x
                filled += 1
        ends[d] = filled


@kernel
def common(values: np.ndarray, starts: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """`verify.common`: the size of the intersection of two sorted sets, for each pair of sets."""
    for p in range(len(left)):
        i, i_end = starts[left[p]], starts[left[p] + 1]
        j, j_end = starts[right[p]], starts[right[p] + 1]
        found = 0
        while i < i_end and j < j_end:
            x, y = values[i], values[j]
            # without branches: which of the two sets comes next is a coin toss that no CPU predicts
            found += x == y
            i += x <= y
            j += y <= x
        out[p] = found


@kernel
def walk(early: np.ndarray, late: np.ndarray, witness: np.ndarray, edge: np.ndarray) -> None:
    """`star.greedy`: edges in order of the later end, then of the earlier one."""
    for i in range(len(early)):
        first, second = early[i], late[i]
        if witness[first] < 0 and witness[second] < 0 and first != second:
            witness[second] = first
            edge[second] = i
