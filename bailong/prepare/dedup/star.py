"""Which documents go, once it is known which pairs are duplicates: greedy stars, or connected components."""

from typing import NamedTuple

import numpy as np

from bailong.prepare.dedup import compiled

#: edges that are walked through at a time: as Python integers they take some 70 bytes each
CHUNK = 1 << 20


class Resolution(NamedTuple):
    """What became of each document.

    Attributes:
        witness: [n] int64, the kept document that stands for a removed one; -1 for a document that is kept.
        edge: [n] int64, the edge between the two; -1 for a kept document, and where no edge joins them.
    """

    witness: np.ndarray
    edge: np.ndarray

    @property
    def kept(self) -> np.ndarray:
        """[n] bool."""
        return self.witness < 0


def keep_order(source: np.ndarray, length: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """[n] int64, the place of each document in the order in which documents are kept, the first of them first.

    The source named first, then the longest, then the smallest key ([n, 2] uint64): a total order that depends on
    the documents alone, not on how they were cut into shards.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0], -length.astype(np.int64), source))
    return _inverse(order)


def greedy(order: np.ndarray, edges: np.ndarray) -> Resolution:
    """Walk through the documents in keep order; keep each one unless it is a neighbour of one that is kept.

    Every removed document thus has a kept neighbour, its witness; with several, the first in keep order. Connected
    components, the usual rule, promise no such thing: they chain from neighbour to neighbour.

    Args:
        order: [n] place of each document in keep order, a permutation of 0 ... n - 1.
        edges: [m, 2] pairs of documents, each a number in 0 ... n - 1, in any direction and order, each pair once
            (of equal ones any may be the recorded edge).
    """
    places = order.astype(np.uint32)[edges]
    late = np.maximum(places[:, 0], places[:, 1]).astype(np.uint64)
    key = late << np.uint64(32) | np.minimum(places[:, 0], places[:, 1])
    # By the later document, then by the earlier one: when an edge is reached, the fate of its earlier end is sealed.
    by_end = np.argsort(key)
    key = key[by_end]
    early, late = (key & np.uint64(0xFFFFFFFF)).astype(np.int64), (key >> np.uint64(32)).astype(np.int64)
    walked = Resolution(np.full(len(order), -1, dtype=np.int64), np.full(len(order), -1, dtype=np.int64))
    kernels = compiled()
    (kernels.walk if kernels else _walk)(early, late, *walked)

    # from places in keep order back to documents, from sorted edges back to given ones
    by_place = _inverse(order)
    gone = np.flatnonzero(~walked.kept)
    witness, edge = np.full_like(walked.witness, -1), np.full_like(walked.edge, -1)
    witness[by_place[gone]] = by_place[walked.witness[gone]]
    edge[by_place[gone]] = by_end[walked.edge[gone]]
    return Resolution(witness, edge)


def _walk(early: np.ndarray, late: np.ndarray, witness: np.ndarray, edge: np.ndarray) -> None:
    """The loop of `greedy` in Python; its outcome is `witness` and `edge`, filled."""
    removed = bytearray(len(witness))
    for start in range(0, len(early), CHUNK):
        pairs = zip(early[start : start + CHUNK].tolist(), late[start : start + CHUNK].tolist(), strict=True)
        for i, (first, second) in enumerate(pairs, start):
            if not (removed[first] or removed[second]) and first != second:
                removed[second] = 1
                witness[second], edge[second] = first, i


def components(order: np.ndarray, edges: np.ndarray) -> Resolution:
    """Keep the first document of each connected component, as datatrove does: for comparison.

    A removed document and its witness may be joined by a chain of edges only: then `edge` is -1.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(order)
    graph = coo_array((np.ones(len(edges), dtype=bool), (edges[:, 0], edges[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    first = np.full(n, n, dtype=np.int64)  # of each component, in keep order
    np.minimum.at(first, label, order)
    place_of_witness = first[label]
    by_place = _inverse(order)
    witness = np.where(place_of_witness == order, -1, by_place[place_of_witness])
    edge = np.full(n, -1, dtype=np.int64)
    for document, other in (edges.T, edges.T[::-1]):
        direct = np.flatnonzero(witness[document] == other)
        edge[document[direct[::-1]]] = direct[::-1]  # the first of equal edges
    return Resolution(witness, edge)


def _inverse(permutation: np.ndarray) -> np.ndarray:
    inverse = np.empty(len(permutation), dtype=np.int64)
    inverse[permutation] = np.arange(len(permutation))
    return inverse
