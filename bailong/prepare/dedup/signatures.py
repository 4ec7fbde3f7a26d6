"""MinHash signatures, equal to the bit to those of datasketch 2.0's default scheme (`affine32`).

datasketch defines the permutations; it is the oracle of the tests, and can be asked to compute them (`signer`):

    signature[k] = min over x in the document of  a[k] fmix32(x) + b[k]  mod 2^32,   a[k] odd,

with fmix32 the finalizer of MurmurHash3 and a, b drawn from `RandomState(seed)`, whose stream NumPy has frozen. For
single tokens x is the token id itself (datasketch: `hashfunc=int`), a bijection and so free of collisions; for longer
shingles x is the upper half of a 64-bit hash (`shingles`).
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from bailong.prepare.dedup import compiled

#: odd multipliers: of the shingle hash (2^64 / golden ratio), and of MurmurHash3's two finalizers
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FMIX32 = (np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35))
FMIX64 = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))

#: largest id that a table of all ids below it is made for; hashes of words are larger
DENSE = 1 << 23
#: values that NumPy permutes at a time: 256 permutations of them take 2 MB and stay in the cache
BLOCK = 2048


#: [total] uint32 values and [n + 1] int64, where each document's begin -> [n, permutations] uint32
Signer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def signer(number: int, seed: int, library: str = "kernels") -> Signer:
    """What signs documents with `number` permutations: `kernels` (this file), or `datasketch` itself."""
    if library == "datasketch":
        from datasketch import MinHash

        empty = MinHash(number, seed=seed, hashfunc=int)  # drawing permutations takes longer than signing a short text

        def one(values: np.ndarray) -> np.ndarray:
            sketch = empty.copy()
            sketch.update_batch(values.tolist())
            return sketch.hashvalues

        return lambda values, starts: np.array(
            [one(values[start:end]) for start, end in pairwise(starts.tolist())], dtype=np.uint32
        ).reshape(-1, number)
    a, b = permutations(number, seed)
    return lambda values, starts: signatures(values, starts, a, b)


def permutations(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`a` (odd) and `b` of datasketch's MinHash(number, seed), [number] uint32 each."""
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, number, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, generator.randint(0, 1 << 32, number, dtype=np.uint32)


def fmix32(x: np.ndarray) -> np.ndarray:
    """MurmurHash3's 32-bit finalizer, a bijection."""
    x = (x ^ (x >> np.uint32(16))) * FMIX32[0]
    x = (x ^ (x >> np.uint32(13))) * FMIX32[1]
    return x ^ (x >> np.uint32(16))


def fmix64(x: np.ndarray) -> np.ndarray:
    """MurmurHash3's 64-bit finalizer, a bijection."""
    x = (x ^ (x >> np.uint64(33))) * FMIX64[0]
    x = (x ^ (x >> np.uint64(33))) * FMIX64[1]
    return x ^ (x >> np.uint64(33))


def distinct(ids: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ids of each document, in any order.

    Args:
        ids: [tokens] unsigned, of all documents.
        starts: [n + 1] int64, where each document begins.

    Returns:
        values: [total] uint32, and where each document's begin, [n + 1] int64.
    """
    n = len(starts) - 1
    if (kernels := compiled()) is not None:
        if ids.max(initial=0) > DENSE:
            known, numbers = np.unique(ids, return_inverse=True)
            values, new_starts = distinct(numbers.astype(np.uint32), starts)
            return known[values], new_starts
        values = np.empty(len(ids), dtype=np.uint32)
        new_starts = np.zeros(n + 1, dtype=np.int64)
        seen = np.full(int(ids.max(initial=0)) + 1, -1, dtype=np.int64)
        kernels.distinct(ids, starts, seen, values, new_starts[1:])
        return values[: new_starts[-1]], new_starts
    sets = [np.unique(ids[start:end]) for start, end in pairwise(starts.tolist())]
    values = np.concatenate([np.empty(0, np.uint32), *sets], dtype=np.uint32)
    return values, np.cumsum([0, *map(len, sets)], dtype=np.int64)


def shingles(ids: np.ndarray, starts: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A 64-bit number for each run of `n` ids inside a document, equal runs alike.

    Single ids stand for themselves. Longer runs are hashed: a polynomial in an odd constant mod 2^64, then fmix64.
    Different runs of two ids never collide, longer ones with a chance of 2^-64, too rare to be met.

    Returns:
        values: [total] uint64, and where each document's begin, [documents + 1] int64; documents shorter than `n`
        have none.
    """
    if n == 1:
        return ids.astype(np.uint64), starts
    counts = np.maximum(np.diff(starts) - (n - 1), 0)
    new_starts = np.concatenate([[0], np.cumsum(counts)])
    if not len(ids) or not new_starts[-1]:
        return np.empty(0, dtype=np.uint64), new_starts
    total = np.zeros(len(ids) - n + 1, dtype=np.uint64)
    for offset in range(n):
        total = total * GOLDEN + ids[offset : len(total) + offset].astype(np.uint64)
    first = np.arange(new_starts[-1]) + np.repeat(starts[:-1] - new_starts[:-1], counts)  # drops runs across an end
    return fmix64(total[first]), new_starts


def signatures(values: np.ndarray, starts: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, permutations] uint32; a document without values gets the largest number everywhere, as in datasketch.

    Args:
        values: [total] uint32, what datasketch's `hashfunc` would give for each element; repeats do no harm.
        starts: [n + 1] int64, where each document's values begin.
    """
    mixed = fmix32(values)
    out = np.empty((len(starts) - 1, len(a)), dtype=np.uint32)
    if (kernels := compiled()) is not None:
        kernels.minima(mixed, starts, a, b, out)
        return out
    out[:] = 0xFFFFFFFF
    buffer = np.empty((BLOCK, len(a)), dtype=np.uint32)
    for row, (start, end) in zip(out, pairwise(starts.tolist()), strict=True):
        for begin in range(start, end, BLOCK):
            x = mixed[begin : min(begin + BLOCK, end), None]
            permuted = buffer[: len(x)]
            np.multiply(x, a, out=permuted)
            permuted += b
            np.minimum(row, permuted.min(axis=0), out=row)
    return out


def sketch(ids: np.ndarray, starts: np.ndarray, ngram: int, sign: Signer) -> np.ndarray:
    """Signatures of documents as sets of runs of `ngram` ids, [n, permutations] uint32."""
    if ngram == 1:
        return sign(*distinct(ids, starts))
    values, starts = shingles(ids, starts, ngram)
    return sign((values >> np.uint64(32)).astype(np.uint32), starts)
