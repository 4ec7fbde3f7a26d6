"""Locality-sensitive hashing: which pairs of documents are worth comparing.

A signature is cut into bands of some rows; documents that agree in all rows of a band meet in a bucket. Two documents
of Jaccard similarity J meet in at least one of b bands of r rows with probability 1 - (1 - J^r)^b.
"""

from collections.abc import Callable

import numpy as np

from bailong.prepare.dedup.signatures import GOLDEN, fmix64

#: pairs that are collected before repeats are taken out
PENDING = 4_000_000
#: with how many of its first members every member of a large bucket is compared
LEADERS = 8


def band_keys(signatures: np.ndarray, bands: int, rows: int, salt: int) -> np.ndarray:
    """A 64-bit number for each band of each signature, [n, bands] uint64; equal bands alike.

    Args:
        salt: documents with different salts never meet.
    """
    powers = np.cumprod(np.full(rows, GOLDEN, dtype=np.uint64))
    used = signatures[:, : bands * rows].astype(np.uint64).reshape(-1, rows)
    place = fmix64(np.arange(1, bands + 1, dtype=np.uint64) + (np.uint64(salt) << np.uint64(32)))
    return fmix64((used @ powers).reshape(-1, bands) ^ place)


def candidates(
    keys: np.ndarray, numbers: np.ndarray, keep_order: Callable[[np.ndarray], np.ndarray], max_pairs: int
) -> tuple[np.ndarray, int]:
    """Pairs of documents that share a bucket, each once.

    A bucket with more than `max_pairs` pairs is not taken apart into all of them, which would cost the square of its
    size: its members are compared with its first few in keep order alone (as many as the cap allows, `LEADERS` at
    least). Those are the ones that will be kept if anything in the bucket is, and similar documents share other,
    smaller buckets as well.

    Args:
        keys, numbers: [m] uint64, band key and document of each record.
        keep_order: gives the place in keep order of each of some documents (asked once: it reads from the shards).

    Returns:
        [p] uint64, smaller number << 32 | larger number, sorted; and how many buckets were too large.
    """
    order = np.argsort(keys)  # unstable, but the order within a bucket does not matter
    ordered, members = keys[order], numbers[order].astype(np.uint64)
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    sizes = np.diff(np.append(begins, len(ordered)))
    found = _Pairs()
    crowded = sizes * (sizes - 1) // 2 > max_pairs
    for size in np.unique(sizes[(sizes > 1) & ~crowded]).tolist():
        buckets = begins[sizes == size]
        left, right = np.triu_indices(size, 1)
        together = max(PENDING // len(left), 1)
        for start in range(0, len(buckets), together):
            block = members[buckets[start : start + together, None] + np.arange(size)]
            found.add(block[:, left].ravel(), block[:, right].ravel())

    spans = list(zip(begins[crowded].tolist(), sizes[crowded].tolist(), strict=True))
    known = union([members[begin : begin + size] for begin, size in spans])
    places = keep_order(known)
    for begin, size in spans:
        bucket = members[begin : begin + size]
        bucket = bucket[np.argsort(places[np.searchsorted(known, bucket)])]
        for i in range(min(max(max_pairs // size, LEADERS), size)):
            found.add(np.broadcast_to(bucket[i], size - i - 1), bucket[i + 1 :])
    return found.all(), len(spans)


class _Pairs:
    """A growing set of pairs."""

    def __init__(self) -> None:
        self.known = np.empty(0, dtype=np.uint64)
        self.pending: list[np.ndarray] = []
        self.size = 0

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        packed = np.minimum(one, other) << np.uint64(32) | np.maximum(one, other)
        self.pending.append(packed[one != other])
        self.size += len(packed)
        if self.size > max(PENDING, len(self.known)):
            self.all()

    def all(self) -> np.ndarray:
        self.known = union([self.known, *self.pending])
        self.pending, self.size = [], 0
        return self.known


def union(parts: list[np.ndarray]) -> np.ndarray:
    """All numbers of some arrays, sorted, each once."""
    merged = np.concatenate([np.empty(0, dtype=np.uint64), *parts])
    merged.sort()
    return merged[np.concatenate([[True], merged[1:] != merged[:-1]])[: len(merged)]]


def unpacked(pairs: np.ndarray) -> np.ndarray:
    """[p, 2] int64, the documents of packed pairs."""
    return np.stack([pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)
