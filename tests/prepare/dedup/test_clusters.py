from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bailong.prepare.dedup import clusters
from bailong.prepare.dedup.cluster_pairs import MEMBER, compare, first_kept, keep_order, parts
from bailong.prepare.dedup.star import greedy


def unit(array: np.ndarray) -> np.ndarray:
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def blobs(n: int, width: int = 16, centres: int = 8, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """Vectors around some centres, many of them near-duplicates."""
    generator = np.random.default_rng(seed)
    middle = unit(generator.standard_normal((centres, width)))
    return unit(middle[generator.integers(centres, size=n)] + noise * generator.standard_normal((n, width)))


def all_pairs(vectors: np.ndarray, floor: float) -> dict[tuple[int, int], float]:
    cosine = vectors @ vectors.T
    return {(i, j): float(cosine[j, i]) for j in range(len(vectors)) for i in range(j) if cosine[j, i] > floor}


@pytest.mark.parametrize("block", [7, 64, 4096])
def test_blocked_comparison_equals_the_whole_matrix(block: int) -> None:
    vectors = blobs(150)
    found = compare(vectors, 0.7, most=10**6, block=block)
    expected = all_pairs(vectors, np.float32(0.7))
    assert len(expected) > 500
    got = dict(zip(zip(found.earlier.tolist(), found.later.tolist(), strict=True), found.cosine.tolist(), strict=True))
    assert got.keys() == expected.keys()
    assert all(abs(got[pair] - expected[pair]) < 1e-6 for pair in expected)
    matrix = np.where(np.tri(150, k=-1, dtype=bool), vectors @ vectors.T, -np.inf)
    np.testing.assert_allclose(found.best_cosine[1:], matrix[1:].max(axis=1), atol=1e-6)
    assert found.best[0] == -1 and found.best_cosine[0] == -np.inf
    assert (found.best[1:] == matrix[1:].argmax(axis=1)).all()
    assert found.floor == 0.7


@pytest.mark.parametrize("block", [16, 4096])
def test_too_many_pairs_raise_the_floor_and_keep_all_above_it(block: int) -> None:
    vectors = blobs(200)
    found = compare(vectors, 0.5, most=400, block=block)
    assert found.floor > 0.5 and 0 < len(found.later) <= 400
    got = set(zip(found.earlier.tolist(), found.later.tolist(), strict=True))
    whole = compare(vectors, found.floor, most=10**6, block=block)
    assert got == set(zip(whole.earlier.tolist(), whole.later.tolist(), strict=True))
    assert found.floor > np.sort(list(all_pairs(vectors, 0.5).values()))[-402]


@pytest.mark.parametrize("threshold", [0.7, 0.9, 0.97])
@pytest.mark.parametrize("block", [11, 4096])
def test_the_greedy_rule_with_and_without_a_list_of_pairs(threshold: float, block: int) -> None:
    vectors = blobs(300, noise=0.06)
    found = compare(vectors, threshold, most=10**6)
    listed = greedy(np.arange(300), np.stack([found.earlier, found.later], axis=1))
    witness, cosine = first_kept(vectors, np.full(300, threshold, np.float32), block)
    assert (witness == listed.witness).all()
    assert 0 < listed.kept.sum() < 300
    gone = witness >= 0
    np.testing.assert_allclose(cosine[gone], (vectors[gone] * vectors[witness[gone]]).sum(axis=1), atol=1e-6)
    assert (cosine[gone] > np.float32(threshold)).all() and (witness[witness[gone]] == -1).all()


def test_thresholds_of_their_own() -> None:
    vectors = unit(np.array([[1, 0], [0.95, 0.3122499], [0.95, -0.3122499]]))
    witness, _ = first_kept(vectors, np.array([0.9, 0.9, 0.99], np.float32))
    assert witness.tolist() == [-1, 0, -1]


def test_number_of_clusters() -> None:
    assert [clusters.default_clusters(n) for n in (0, 1, 50, 100, 1521, 1_000_000)] == [1, 1, 1, 2, 39, 1000]


def test_nearest_centroids_in_order() -> None:
    vectors, centroids = blobs(500, seed=1), blobs(30, seed=2)
    found, cosine = clusters.nearest(vectors, centroids, probe=3)
    product = vectors @ centroids.T
    assert (found == np.argsort(-product, axis=1, kind="stable")[:, :3]).all()
    assert (cosine == product.max(axis=1)).all()
    assert clusters.nearest(vectors, centroids[:2], probe=3)[0].shape == (500, 2)


def test_kmeans_finds_the_blobs_and_no_thread_count_changes_a_bit() -> None:
    vectors = blobs(4000, width=64, centres=20, noise=0.02)
    trained = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            trained.append(clusters.kmeans(vectors, 20, 20, seed=3))
    assert np.array_equal(*trained)
    np.testing.assert_allclose(np.linalg.norm(trained[0], axis=1), 1, atol=1e-5)
    home, cosine = clusters.nearest(vectors, trained[0])
    assert np.median(cosine) > 0.97 and np.bincount(home[:, 0], minlength=20).max() < 1500


def test_a_large_cluster_is_split_into_parts_that_keep_its_order() -> None:
    vectors = blobs(1000, noise=0.05)
    split = parts(vectors, 300, seed=0)
    assert len(split) > 1 and max(map(len, split)) <= 300
    assert sorted(np.concatenate(split).tolist()) == list(range(1000))
    assert all((np.diff(part) > 0).all() for part in split)
    assert [part.tolist() for part in parts(vectors, 1000, seed=0)] == [list(range(1000))]
    duplicates = np.repeat(vectors[:1], 1000, axis=0)  # nothing that k-means could separate
    assert max(map(len, parts(duplicates, 300, seed=0))) <= 300


def test_keep_order() -> None:
    members = np.zeros(5, MEMBER)
    members["centrality"] = [0.9, 0.2, 0.5, 0.5, 0.1]
    members["high"] = [1, 2, 9, 3, 4]
    sources = np.array([0, 0, 0, 0, 1])
    assert keep_order(members, sources, "hard").tolist() == [1, 3, 2, 0, 4]
    assert keep_order(members, sources, "easy").tolist() == [0, 3, 2, 1, 4]
    assert keep_order(members, sources, "random").tolist() == [0, 1, 3, 2, 4]


def test_memory_does_not_grow_with_the_square_of_a_cluster() -> None:
    import tracemalloc

    vectors = blobs(6000, noise=1.0)
    tracemalloc.start()
    compare(vectors, 0.95, most=10**6, block=512)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6000 * 6000 * 4 / 10
