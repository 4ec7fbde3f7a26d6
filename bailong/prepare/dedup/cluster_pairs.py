"""Pairs of documents within a cluster whose cosine is high: all that a later cut at some eps needs to know.

Memory is a cluster's vectors and one tile of similarities, never n^2.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bailong.prepare.dedup.clusters import MEMBER, POINTS, kmeans, nearest
from bailong.prepare.work.arrays import ArrayFile

#: rows and columns of a tile of similarities
BLOCK = 4096
#: iterations of the k-means that splits a large cluster
SPLIT_ITERATIONS = 10

EDGE = np.dtype([("earlier", "<i8"), ("later", "<i8"), ("cosine", "<f4")])
#: a member, its most similar predecessor in keep order (-1: none) and their cosine: `M` of the SemDeDup code
NEAREST = np.dtype([*((name, MEMBER[name]) for name in MEMBER.names or ()), ("best", "<i8"), ("cosine", "<f4")])


class Compared(NamedTuple):
    """The vectors of a cluster among each other.

    Attributes:
        earlier, later: [m] int64, pairs whose cosine ([m] float32) is above `floor`; all of them.
        floor: what was asked for, or more where there were too many pairs.
        best: [n] int64, the most similar predecessor of each vector, -1 for the first; the earliest of equal ones.
        best_cosine: [n] float32, -inf for the first.
    """

    earlier: np.ndarray
    later: np.ndarray
    cosine: np.ndarray
    floor: float
    best: np.ndarray
    best_cosine: np.ndarray


def compare(vectors: np.ndarray, floor: float, most: int, block: int = BLOCK) -> Compared:
    """Compare each vector with all before it.

    Args:
        vectors: [n, width] float32 of unit length, in keep order.
        most: pairs that are kept at most; beyond that the floor rises.
    """
    n = len(vectors)
    best, best_cosine = np.full(n, -1, dtype=np.int64), np.full(n, -np.inf, dtype=np.float32)
    pairs = [np.empty(0, EDGE)]
    count = 0
    for first in range(0, n, block):
        rows = slice(first, min(first + block, n))
        for start in range(0, rows.stop, block):
            tile = vectors[rows] @ vectors[start : min(start + block, rows.stop)].T
            if start == first:
                np.copyto(tile, -np.inf, where=~np.tri(len(tile), k=-1, dtype=bool))  # itself, and what comes later
            nearest_one = tile.argmax(axis=1)
            cosine = tile[np.arange(len(tile)), nearest_one]
            better = cosine > best_cosine[rows]
            best[rows][better], best_cosine[rows][better] = start + nearest_one[better], cosine[better]
            later, earlier = np.nonzero(tile > np.float32(floor))
            found = np.empty(len(later), EDGE)
            found["earlier"], found["later"], found["cosine"] = start + earlier, first + later, tile[later, earlier]
            pairs.append(found)
            count += len(found)
            if count > 2 * most:
                pairs, floor = _highest(pairs, most, floor)
                count = len(pairs[0])
    pairs, floor = _highest(pairs, most, floor)
    return Compared(pairs[0]["earlier"], pairs[0]["later"], pairs[0]["cosine"], floor, best, best_cosine)


def first_kept(vectors: np.ndarray, thresholds: np.ndarray, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """The greedy rule without a list of pairs: each vector stays unless its cosine with one that stays is too high.

    Costs n times the number that stays: for a cluster of near-identical documents, whose pairs are too many to keep.

    Args:
        vectors: [n, width] float32 of unit length, in keep order.
        thresholds: [n] float32; a vector goes at a cosine above its own.

    Returns:
        The witness of each vector, [n] int64 (-1: it stays), and their cosine, [n] float32.
    """
    n = len(vectors)
    witness, cosine = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.float32)
    kept = np.empty(0, dtype=np.int64)
    for first in range(0, n, block):
        rows = np.arange(first, min(first + block, n))
        for start in range(0, len(kept), block):
            rows = rows[witness[rows] < 0]
            columns = kept[start : start + block]
            tile = vectors[rows] @ vectors[columns].T
            hit = tile > thresholds[rows, None]
            gone, which = np.flatnonzero(hit.any(axis=1)), hit.argmax(axis=1)
            witness[rows[gone]], cosine[rows[gone]] = columns[which[gone]], tile[gone, which[gone]]
        rows = rows[witness[rows] < 0]
        tile = vectors[rows] @ vectors[rows].T
        for i, row in enumerate(rows):
            if witness[row] < 0:
                gone = (
                    i
                    + 1
                    + np.flatnonzero((tile[i, i + 1 :] > thresholds[rows[i + 1 :]]) & (witness[rows[i + 1 :]] < 0))
                )
                witness[rows[gone]], cosine[rows[gone]] = row, tile[i, gone]
        kept = np.concatenate([kept, rows[witness[rows] < 0]])
    return witness, cosine


def keep_order(members: np.ndarray, sources: np.ndarray, keep: str) -> np.ndarray:
    """[n] int64, the members in the order in which they are kept: a total one, the same in every cluster.

    By source, as every step keeps; then far from the centroid first (`hard`), near first (`easy`), or neither
    (`random`); then by key, which is a hash.

    Args:
        sources: [n], the position of each member's source.
    """
    by = {"hard": members["centrality"], "easy": -members["centrality"], "random": np.zeros(len(members))}[keep]
    return np.lexsort((members["low"], members["high"], by, sources))


def parts(vectors: np.ndarray, most: int, seed: int) -> list[np.ndarray]:
    """Places of the vectors of each part of a cluster, in keep order: one part, or several of at most `most`.

    A large cluster is clustered again, and loses pairs at the new borders as at any other. What k-means cannot
    separate (thousands of equal vectors) is cut in keep order: each run then keeps a document of its own.
    """
    n = len(vectors)
    if n <= most:
        return [np.arange(n)]
    clusters = -(-2 * n // most)
    training = np.ascontiguousarray(vectors[:: max(n // (clusters * POINTS), 1)])
    label = nearest(vectors, kmeans(training, clusters, SPLIT_ITERATIONS, seed))[0][:, 0]
    groups = [np.flatnonzero(label == i) for i in range(clusters)]
    return [group[first : first + most] for group in groups for first in range(0, len(group), most)]


class Clusters:
    """The clusters of a scope, gathered from its tasks `assign`.

    Attributes:
        knobs: `keep`, `max_cluster`, `seed`, and `sources`, the source of each shard by its place.
    """

    def __init__(self, folders: Sequence[Path], knobs: dict[str, Any]) -> None:
        self.knobs = knobs
        self.sources = np.asarray(knobs["sources"], dtype=np.int64)
        self.bounds = [np.load(folder / "bounds.npy") for folder in folders]
        self.members = [np.load(folder / "members.npy", mmap_mode="r") for folder in folders]
        self.vectors = [np.load(folder / "vectors.npy", mmap_mode="r") for folder in folders]

    def source(self, documents: np.ndarray) -> np.ndarray:
        """Source of each document number, [n] int64."""
        return self.sources[documents >> 32]

    def parts(self, cluster: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Members and vectors of each part of a cluster, in keep order."""
        spans = [slice(*bounds[cluster : cluster + 2]) for bounds in self.bounds]
        members = np.concatenate([array[span] for array, span in zip(self.members, spans, strict=True)])
        vectors = np.concatenate([array[span] for array, span in zip(self.vectors, spans, strict=True)])
        order = keep_order(members, self.source(members["document"]), self.knobs["keep"])
        members, vectors = members[order], vectors[order]
        for part in parts(vectors, self.knobs["max_cluster"], self.knobs["seed"]):
            yield members[part], vectors[part]


def pairs(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `edges.npy` and `nearest.npy` of some clusters, and `floors.npy`, above which a cluster's edges are all.

    Args:
        inputs: every task `assign` of a scope.
        arguments: `first` and `last` cluster, the knobs of `Clusters`, `max_eps`, `max_edges`; local: `threads`.
    """
    clusters = Clusters(inputs, arguments)
    edges, nearest_ones = ArrayFile(target / "edges.npy", EDGE), ArrayFile(target / "nearest.npy", NEAREST)
    floors = np.full(arguments["last"] - arguments["first"], 1 - arguments["max_eps"], dtype=np.float32)
    with threadpool_limits(arguments["threads"]):
        for cluster in range(arguments["first"], arguments["last"]):
            for members, vectors in clusters.parts(cluster):
                found = compare(vectors, 1 - arguments["max_eps"], arguments["max_edges"] * len(vectors))
                floors[cluster - arguments["first"]] = max(floors[cluster - arguments["first"]], found.floor)
                documents = members["document"]
                edge = np.empty(len(found.later), EDGE)
                edge["earlier"], edge["later"] = documents[found.earlier], documents[found.later]
                edge["cosine"] = found.cosine
                edges.append(edge)
                row = np.empty(len(members), NEAREST)
                for name in MEMBER.names or ():
                    row[name] = members[name]
                row["best"] = np.where(found.best < 0, -1, documents[found.best])
                row["cosine"] = found.best_cosine
                nearest_ones.append(row)
    edges.close()
    nearest_ones.close()
    np.save(target / "floors.npy", floors)
    return {"edges": edges.rows}


def _highest(pairs: list[np.ndarray], most: int, floor: float) -> tuple[list[np.ndarray], float]:
    """At most `most` pairs: all above a floor, the given one or a higher one."""
    found = np.concatenate(pairs)
    if len(found) <= most:
        return [found], floor
    floor = float(np.partition(found["cosine"], len(found) - most - 1)[len(found) - most - 1])
    return [found[found["cosine"] > np.float32(floor)]], floor
