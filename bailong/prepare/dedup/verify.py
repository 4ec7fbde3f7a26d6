"""How similar two documents really are."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from bailong.prepare.dedup import compiled
from bailong.prepare.dedup.documents import Documents, portions, select
from bailong.prepare.dedup.signatures import distinct, shingles

#: tokens that are read at a time (4 bytes each): the more, the less often thousands of shards are opened
READ = 32_000_000
#: tokens of documents whose sets are held at a time: some 50 bytes each
TOKENS = 2_000_000
#: pairs whose signatures are compared at a time: 4 KB each
SIGNED = 50_000


def sets(ids: np.ndarray, starts: np.ndarray, ngram: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents as sorted sets of shingles (`signatures.shingles`): [total] uint64, and where each set begins."""
    values, starts = shingles(ids, starts, ngram)
    new = np.empty(len(values), dtype=bool)
    for start, end in pairwise(starts.tolist()):
        values[start:end].sort()
    np.not_equal(values[1:], values[:-1], out=new[1:])
    new[starts[:-1][starts[:-1] < len(values)]] = True
    return values[new], np.concatenate([[0], np.cumsum(new)])[starts]


def common(values: np.ndarray, starts: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The size of the intersection of set left[p] and set right[p] for each p, [pairs] int64."""
    out = np.empty(len(left), dtype=np.int64)
    if (kernels := compiled()) is not None:
        kernels.common(values, starts, left, right, out)
        return out
    bounds = starts.tolist()
    for p, (i, j) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        both = np.concatenate([values[bounds[i] : bounds[i + 1]], values[bounds[j] : bounds[j + 1]]])
        both.sort()
        out[p] = np.count_nonzero(both[1:] == both[:-1])
    return out


def jaccard(documents: Documents, pairs: np.ndarray, ngram: int) -> np.ndarray:
    """Exact Jaccard similarity of pairs of documents as sets of runs of `ngram` tokens, [p] float64.

    Two documents that are too short for a single run have similarity 0.

    Args:
        pairs: [p, 2] numbers of documents; sorted, most documents are read once.
    """
    out = np.zeros(len(pairs), dtype=np.float64)
    lengths = documents.lengths(pairs.ravel()).reshape(-1, 2).sum(axis=1)
    for read in portions(lengths, READ):
        numbers, place = np.unique(pairs[read], return_inverse=True)
        place = place.reshape(-1, 2)
        ids, starts = documents.ids(numbers)
        similarity = out[read]
        for portion in portions(lengths[read], 2 * TOKENS):
            rows, place_here = np.unique(place[portion], return_inverse=True)
            left, right = np.ascontiguousarray(place_here.reshape(-1, 2).T)
            values, value_starts = sets(*select(ids, starts, rows), ngram)
            sizes = np.diff(value_starts)
            shared = common(values, value_starts, left, right)
            total = sizes[left] + sizes[right] - shared
            np.divide(shared, total, out=similarity[portion], where=total > 0)
    return out


def with_long(documents: Documents, pairs: np.ndarray, most: int) -> np.ndarray:
    """Which pairs hold a document of more than `most` different tokens, [p] bool.

    Sets of single tokens say nothing of such documents: two unrelated books share most of their vocabulary.
    """
    numbers, place = np.unique(pairs, return_inverse=True)
    long = np.zeros(len(numbers), dtype=bool)
    lengths = documents.lengths(numbers)
    suspects = np.flatnonzero(lengths > most)  # a document has no more different tokens than tokens
    for portion in portions(lengths[suspects], TOKENS):
        _, starts = distinct(*documents.ids(numbers[suspects[portion]]))
        long[suspects[portion]] = np.diff(starts) > most
    left, right = place.reshape(-1, 2).T
    return long[left] | long[right]


def estimate(documents: Documents, pairs: np.ndarray, folders: Sequence[Path]) -> np.ndarray:
    """MinHash estimate of the Jaccard similarity: the share of permutations that agree, [p] float64.

    Its standard deviation is sqrt(J (1 - J) / permutations): 0.025 at J = 0.8 and 256.

    Args:
        folders: one for each shard, with the signatures of its rows in `signatures.npy`.
    """
    out = np.empty(len(pairs), dtype=np.float64)
    for start in range(0, len(pairs), SIGNED):
        numbers, place = np.unique(pairs[start : start + SIGNED], return_inverse=True)
        left, right = place.reshape(-1, 2).T
        signatures = documents.read("signatures.npy", numbers, folders=folders)
        out[start : start + SIGNED] = (signatures[left] == signatures[right]).mean(axis=1)
    return out
