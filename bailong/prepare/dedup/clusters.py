"""Spherical k-means over unit vectors, and every vector with its cluster: where SemDeDup looks for duplicates.

Clusters only decide who is compared with whom. faiss trains them on at most 256 vectors a cluster, chosen and ordered
by key, so that neither the number of workers nor the cut into shards matters.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

#: vectors a cluster that k-means sees; more do not better it (faiss's own limit)
POINTS = 256
#: documents a cluster that are wanted at least (faiss warns below)
FEWEST = 39
#: scalars of a tile of similarities
TILE = 1 << 24
#: comparisons of a task `pairs`: some 20 seconds
COMPARISONS = 1 << 31

#: a document within a cluster; with `probe` above 1 it is in several, and `centrality` is that in the nearest of them
MEMBER = np.dtype([("document", "<i8"), ("centrality", "<f4"), ("high", "<u8"), ("low", "<u8")])


def default_clusters(documents: int) -> int:
    """sqrt(n), which balances the cost of assignment (n k) against that of comparison (n^2 / k); none too small."""
    return int(np.clip(round(documents**0.5), 1, max(documents // FEWEST, 1)))


def kmeans(vectors: np.ndarray, clusters: int, iterations: int, seed: int) -> np.ndarray:
    """Unit centroids, [clusters, width] float32. The same bits for any number of threads."""
    import faiss

    machine = faiss.Kmeans(
        vectors.shape[1], clusters, niter=iterations, seed=seed, spherical=True,
        min_points_per_centroid=1, max_points_per_centroid=max(len(vectors), 1),
    )  # fmt: skip
    machine.train(vectors)
    return np.asarray(machine.centroids)


def nearest(vectors: np.ndarray, centroids: np.ndarray, probe: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The `probe` nearest centroids of each vector, [n, probe] int32, and the cosine with the first of them, [n]."""
    probe = min(probe, len(centroids))
    found = np.empty((len(vectors), probe), dtype=np.int32)
    cosine = np.empty(len(vectors), dtype=np.float32)
    step = max(TILE // max(len(centroids), 1), 1)
    for first in range(0, len(vectors), step):
        tile = vectors[first : first + step] @ centroids.T
        rows = np.arange(len(tile))
        for i in range(probe):
            best = tile.argmax(axis=1)
            found[first : first + step, i] = best
            if i == 0:
                cosine[first : first + step] = tile[rows, best]
            tile[rows, best] = -np.inf
    return found, cosine


def document(number: int, rows: np.ndarray) -> np.ndarray:
    """[n] int64, one number for shard and row; the cut undoes it."""
    return np.int64(number) << np.int64(32) | rows.astype(np.int64)


# --- tasks -------------------------------------------------------------------------------------------------


def fit(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `centroids.npy` [k, width], and some documents to measure with, `sample.npy` and `sample_keys.npy`.

    Args:
        inputs: the embedded blocks of a scope.
        arguments: `clusters` (null: of the number of documents), `iterations`, `seed`, `recall_sample`;
            local: `threads`.
    """
    keys = [np.load(folder / "keys.npy") for folder in inputs]
    flat = np.concatenate([np.empty((0, 2), np.uint64), *keys])
    first = np.cumsum([0, *map(len, keys)])
    clusters = min(arguments["clusters"] or default_clusters(len(flat)), len(flat))
    order = np.lexsort((flat[:, 1], flat[:, 0]))  # keys are hashes: their order is a random one

    def gather(chosen: np.ndarray) -> np.ndarray:
        width = np.load(inputs[0] / "vectors.npy", mmap_mode="r").shape[1]
        out = np.empty((len(chosen), width), dtype=np.float32)
        block = np.searchsorted(first, chosen, side="right") - 1
        for i in np.unique(block):
            mine = np.flatnonzero(block == i)
            out[mine] = np.load(inputs[i] / "vectors.npy", mmap_mode="r")[chosen[mine] - first[i]]
        return out

    with threadpool_limits(arguments["threads"]):
        centroids, sample = (
            np.empty((0, 0), np.float32),
            order[len(order) - min(arguments["recall_sample"], len(order)) :],
        )
        if clusters:
            training = gather(order[: clusters * POINTS])
            centroids = kmeans(training, clusters, arguments["iterations"], arguments["seed"])
    np.save(target / "centroids.npy", centroids)
    np.save(target / "sample.npy", gather(sample) if len(sample) else np.empty((0, centroids.shape[1]), np.float32))
    np.save(target / "sample_keys.npy", flat[sample])
    return {"documents": len(flat), "clusters": clusters}


def assign(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """Task: some blocks by cluster: `members.npy` [m] and `vectors.npy`; cluster c is bounds[c] ... bounds[c + 1] - 1.

    Also `recall.npy`, [sample, 2]: the cosine of each sampled document with the nearest of these documents, once among
    those that it will be compared with, once among all.

    Args:
        inputs: the task `fit`, then embedded blocks.
        arguments: `probe`, and `numbers`, the place of each block's shard in the run's list; local: `threads`.
    """
    centroids, sample = np.load(inputs[0] / "centroids.npy"), np.load(inputs[0] / "sample.npy")
    sampled = {key.tobytes(): i for i, key in enumerate(np.load(inputs[0] / "sample_keys.npy"))}
    recall = np.full((len(sample), 2), -1, dtype=np.float32)
    members, vectors, clusters = [np.empty(0, MEMBER)], [np.empty((0, centroids.shape[1]), np.float32)], []
    with threadpool_limits(arguments["threads"]):
        homes, _ = nearest(sample, centroids, arguments["probe"])
        for number, folder in zip(arguments["numbers"], inputs[1:], strict=True):
            found, keys = np.load(folder / "vectors.npy"), np.load(folder / "keys.npy")
            if not len(found):
                continue
            mine, centrality = nearest(found, centroids, arguments["probe"])
            rows = np.empty(len(found), MEMBER)
            rows["document"] = document(number, np.load(folder / "rows.npy"))
            rows["centrality"], rows["high"], rows["low"] = centrality, keys[:, 0], keys[:, 1]
            for column in mine.T:
                members.append(rows)
                vectors.append(found)
                clusters.append(column)
            if len(sample):
                cosine = sample @ found.T
                for column, key in enumerate(keys):
                    if (i := sampled.get(key.tobytes())) is not None:
                        cosine[i, column] = -1  # itself
                compared = (homes[:, None, :, None] == mine[None, :, None, :]).any(axis=(2, 3))
                np.maximum(recall[:, 0], np.where(compared, cosine, -1).max(axis=1), out=recall[:, 0])
                np.maximum(recall[:, 1], cosine.max(axis=1), out=recall[:, 1])
    cluster = np.concatenate([np.empty(0, np.int32), *clusters])
    order = np.argsort(cluster, kind="stable")
    np.save(target / "members.npy", np.concatenate(members)[order])
    np.save(target / "vectors.npy", np.concatenate(vectors)[order])
    np.save(target / "bounds.npy", np.searchsorted(cluster[order], np.arange(len(centroids) + 1)))
    np.save(target / "recall.npy", recall)


def plan(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `ranges` of clusters, [first, last), of about equal numbers of comparisons.

    Args:
        inputs: every task `assign` of a scope.
        arguments: `max_cluster`.
    """
    size = sizes(inputs)
    cost = size * np.minimum(size, arguments["max_cluster"])
    task = (np.cumsum(cost) - cost) // COMPARISONS
    begins = np.flatnonzero(np.diff(task, prepend=-1))
    ends = [*begins[1:].tolist(), len(size)] if len(begins) else []
    return {"ranges": [[first, last] for first, last in zip(begins.tolist(), ends, strict=True)]}


def sizes(assigned: Sequence[Path]) -> np.ndarray:
    """Members of each cluster, [k] int64."""
    return np.stack([np.diff(np.load(folder / "bounds.npy")) for folder in assigned]).sum(axis=0)
