"""Greedy stars: every removed document has a kept neighbour, and no two kept documents are neighbours."""

import numpy as np
import pytest

from bailong.prepare.dedup import star
from tests.prepare.dedup.shards import use


@pytest.fixture(params=["numba", "numpy"])
def arithmetic(request, monkeypatch):
    use(request.param, monkeypatch)


def graph(seed, n=300, m=500):
    """A graph with each edge once, directed at random, and a keep order."""
    rng = np.random.default_rng(seed)
    edges = np.unique(np.sort(rng.integers(0, n, (m, 2)), axis=1), axis=0)
    edges = rng.permutation(edges[edges[:, 0] != edges[:, 1]])
    return rng.permutation(n), np.where(rng.random((len(edges), 1)) < 0.5, edges, edges[:, ::-1])


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_the_walk_in_keep_order(arithmetic, seed):
    order, edges = graph(seed)
    neighbours = {i: set() for i in range(len(order))}
    for i, j in edges.tolist():
        neighbours[i].add(j)
        neighbours[j].add(i)
    witness = {}
    for document in np.argsort(order).tolist():
        kept = [other for other in neighbours[document] if witness.get(other) == -1]
        witness[document] = min(kept, key=lambda d: order[d]) if kept else -1
    found = star.greedy(order, edges)
    assert found.witness.tolist() == [witness[i] for i in range(len(order))]


@pytest.mark.parametrize("method", [star.greedy, star.components])
@pytest.mark.parametrize("seed", range(3))
def test_every_removed_document_points_at_a_kept_one_and_at_the_edge_between_them(arithmetic, method, seed):
    order, edges = graph(seed, m=250)
    found = method(order, edges)
    gone = np.flatnonzero(~found.kept)
    assert found.kept[found.witness[gone]].all()
    assert (order[found.witness[gone]] < order[gone]).all()
    for document in gone.tolist():
        if (edge := found.edge[document]) >= 0:
            assert set(edges[edge].tolist()) == {document, found.witness[document]}
        else:
            assert method is star.components
            assert not (np.sort(edges, axis=1) == sorted((document, found.witness[document]))).all(axis=1).any()
    assert (found.edge[found.kept] == -1).all()


def test_no_two_kept_documents_are_neighbours(arithmetic):
    order, edges = graph(1)
    kept = star.greedy(order, edges).kept
    assert not (kept[edges[:, 0]] & kept[edges[:, 1]]).any() and 0 < kept.sum() < len(kept)


def test_the_outcome_does_not_depend_on_how_the_edges_come(arithmetic):
    order, edges = graph(2)
    shuffled = np.random.default_rng(0).permutation(edges)[:, ::-1]
    assert np.array_equal(star.greedy(order, edges).witness, star.greedy(order, shuffled).witness)
    assert np.array_equal(star.components(order, edges).witness, star.components(order, shuffled).witness)


def test_a_chain_is_cut_by_stars_and_swallowed_by_components(arithmetic):
    order, chain = np.arange(5), np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    assert star.greedy(order, chain).witness.tolist() == [-1, 0, -1, 2, -1]
    swallowed = star.components(order, chain)
    assert swallowed.witness.tolist() == [-1, 0, 0, 0, 0]
    assert swallowed.edge.tolist() == [-1, 0, -1, -1, -1]


def test_no_documents_and_no_edges(arithmetic):
    none = np.empty((0, 2), dtype=np.int64)
    for method in (star.greedy, star.components):
        assert method(np.arange(0), none).kept.tolist() == []
        assert method(np.arange(3), none).kept.tolist() == [True] * 3


def test_many_edges_are_walked_in_chunks(monkeypatch):
    use("numpy", monkeypatch)
    order, edges = graph(4)
    whole = star.greedy(order, edges)
    monkeypatch.setattr(star, "CHUNK", 7)
    assert np.array_equal(star.greedy(order, edges).witness, whole.witness)


def test_keep_order_is_source_then_length_then_key():
    source, length = np.array([1, 0, 0, 0, 0]), np.array([99, 5, 7, 5, 5])
    keys = np.array([[0, 0], [2, 1], [9, 9], [1, 9], [2, 0]], dtype=np.uint64)
    assert star.keep_order(source, length, keys).tolist() == [4, 3, 0, 1, 2]
