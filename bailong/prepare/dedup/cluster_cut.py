"""Which documents go at a given eps, and which kept one stands for each: the only part that depends on eps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bailong.prepare.dedup.cluster_pairs import EDGE, NEAREST, Clusters, first_kept, keep_order
from bailong.prepare.dedup.clusters import sizes
from bailong.prepare.dedup.star import greedy
from bailong.prepare.work.shard import DROPS, write_drops


def cut(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `drops.npy` of a scope.

    Args:
        inputs: the tasks `pairs` of a scope, then its tasks `assign`.
        arguments: `eps` of each source by its position, `remove_rule`, `pairs` (their number), `max_eps`, the knobs of
            `Clusters`; local: `threads`.

    Returns:
        `removed`, clusters and their sizes, and `recall`: of the sampled documents with a duplicate anywhere in the
        scope the share that has one among those it was compared with.
    """
    paired, assigned = inputs[: arguments["pairs"]], inputs[arguments["pairs"] :]
    clusters = Clusters(assigned, arguments)
    thresholds = np.full(len(clusters.sources), np.inf, dtype=np.float32)
    for source, eps in arguments["eps"].items():
        thresholds[clusters.sources == int(source)] = 1 - eps
    lowest = np.float32(1 - max(arguments["eps"].values()))
    anew = 0
    with threadpool_limits(arguments["threads"]):
        if arguments["remove_rule"] == "greedy":
            edges, anew = _edges(paired, clusters, thresholds, lowest)
            removed, witness, cosine = _greedy(edges, paired, clusters)
        else:
            removed, witness, cosine = _predecessor(paired, thresholds)
    drops = np.empty(len(removed), DROPS)
    for numbers, prefix in ((removed, ""), (witness, "witness_")):
        drops[f"{prefix}shard"], drops[f"{prefix}row"] = numbers >> 32, numbers & 0xFFFFFFFF
    drops["similarity"] = cosine
    write_drops(target, drops)
    size = sizes(assigned)
    return {
        "cosine_above": round(float(lowest), 6),
        "removed": len(removed),
        "clusters": len(size),
        "largest_cluster": int(size.max(initial=0)),
        "mean_cluster": round(float(size.mean()), 1) if len(size) else 0.0,
        "split_clusters": int((size > arguments["max_cluster"]).sum()),
        "compared_anew": anew,
        "recall": _recall(assigned, lowest),
    }


def _edges(
    paired: Sequence[Path], clusters: Clusters, thresholds: np.ndarray, lowest: np.float32
) -> tuple[np.ndarray, int]:
    """All pairs that the greedy rule needs, and the number of clusters that had to be compared anew.

    A cluster whose stored pairs do not reach down to the threshold gives a pair for each document that goes instead.
    """
    found, anew, cluster = [np.empty(0, EDGE)], 0, 0
    for folder in paired:
        edges = np.load(folder / "edges.npy", mmap_mode="r")
        found.append(np.array(edges[edges["cosine"] > thresholds[edges["later"] >> 32]]))
        for floor in np.load(folder / "floors.npy"):
            if floor > lowest:
                anew += 1
                for members, vectors in clusters.parts(cluster):
                    documents = members["document"]
                    witness, cosine = first_kept(vectors, thresholds[documents >> 32])
                    gone = np.flatnonzero(witness >= 0)
                    star = np.empty(len(gone), EDGE)
                    star["earlier"], star["later"] = documents[witness[gone]], documents[gone]
                    star["cosine"] = cosine[gone]
                    found.append(star)
            cluster += 1
    return np.concatenate(found), anew


def _greedy(edges: np.ndarray, paired: Sequence[Path], clusters: Clusters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Removed documents, the kept witness of each, and their cosine. Every witness is above the threshold."""
    ends = np.stack([edges["earlier"], edges["later"]], axis=1)
    numbers, place = np.unique(ends, return_inverse=True)
    known = np.empty(len(numbers), NEAREST)
    for folder in paired:
        rows = np.load(folder / "nearest.npy", mmap_mode="r")
        some = np.array(rows[np.isin(rows["document"], numbers)])
        known[np.searchsorted(numbers, some["document"])] = some
    order = np.empty(len(numbers), dtype=np.int64)
    order[keep_order(known, clusters.source(numbers), clusters.knobs["keep"])] = np.arange(len(numbers))
    resolution = greedy(order, place.reshape(-1, 2))
    gone = np.flatnonzero(~resolution.kept)
    return numbers[gone], numbers[resolution.witness[gone]], edges["cosine"][resolution.edge[gone]]


def _predecessor(paired: Sequence[Path], thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The original rule: a document goes if any predecessor is too similar, whether that one stays or not.

    The witness is the kept document at the end of the chain of nearest predecessors; the cosine is that with the first
    of the chain, the predecessor that removed the document. With the witness it may be lower than the threshold.
    """
    found = [np.empty(0, NEAREST)]
    for folder in paired:
        rows = np.load(folder / "nearest.npy", mmap_mode="r")
        found.append(np.array(rows[rows["cosine"] > thresholds[rows["document"] >> 32]]))
    gone = np.concatenate(found)
    gone = gone[np.lexsort((gone["best"], -gone["cosine"], gone["document"]))]  # in several clusters: the nearest one
    gone = gone[np.flatnonzero(np.diff(gone["document"], prepend=-1))]
    removed, witness = gone["document"], gone["best"].copy()
    while len(removed):
        place = np.minimum(np.searchsorted(removed, witness), len(removed) - 1)
        chained = removed[place] == witness
        if not chained.any():
            break
        witness[chained] = gone["best"][place[chained]]
    return removed, witness, gone["cosine"]


def _recall(assigned: Sequence[Path], threshold: np.float32) -> dict[str, Any]:
    """What the borders between clusters cost: over the sampled documents, each compared with the whole scope."""
    tables = [np.load(folder / "recall.npy") for folder in assigned]
    if not tables or not len(tables[0]):
        return {"sampled": 0}
    compared, anywhere = (np.max(tables, axis=0) > threshold).sum(axis=0).tolist()
    share = {"recall": round(compared / anywhere, 4)} if anywhere else {}
    return {"sampled": len(tables[0]), "with_duplicate": anywhere, "found": compared} | share
