"""SemDeDup from clean shards to drops, with vectors that the texts themselves spell out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bailong.prepare.step.semdedup import Semdedup
from bailong.prepare.work import task
from tests.prepare.dedup.semantic import Place, at, plant, text

A, B, C, D = (f"{i:032x}" for i in (1, 2, 3, 4))  # keys in this order


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Place:
    plant(monkeypatch, width=2)
    return Place(tmp_path)


def test_eps_is_a_distance_not_a_similarity(place: Place) -> None:
    """cos > 1 - eps = 0.9; read by the letter (cos > 0.1) the paper's sentence would remove all but one."""
    place.add(0, [text(at(c)) for c in (1.0, 0.95, 0.5)], [A, B, C])
    place.add(1, [text(at(c)) for c in (1.0, 0.89, 0.3)], [A, B, C])
    knobs = Semdedup(keep="random")
    name = Semdedup.find({0: knobs, 1: knobs}, place.run, place.shards, ())
    assert place.drops(name) == {(0, 1): (0, 0, 0.95)}
    assert place.facts(name)["scopes"]["source/s0"]["cosine_above"] == 0.9
    assert place.drops(Semdedup.find({0: knobs}, place.run, place.shards, ())) == {(0, 1): (0, 0, 0.95)}


def test_a_chain_under_both_rules(place: Place) -> None:
    """a ~ b ~ c, but a and c are not similar: the original rule removes c through b, which is itself removed."""
    angle = np.arccos(0.95)
    chain = [text([np.cos(i * angle), np.sin(i * angle)]) for i in range(4)]
    place.add(0, chain, [A, B, C, D])
    greedy = Semdedup.find({0: Semdedup(keep="random")}, place.run, place.shards, ())
    assert place.drops(greedy) == {(0, 1): (0, 0, 0.95), (0, 3): (0, 2, 0.95)}
    place.ran.clear()
    original = Semdedup(keep="random", remove_rule="predecessor")
    name = Semdedup.find({0: original}, place.run, place.shards, ())
    assert place.drops(name) == {(0, i): (0, 0, 0.95) for i in (1, 2, 3)}
    assert place.ran == ["semdedup/source/s0/cut", "semdedup/drops"]


@pytest.mark.parametrize(("keep", "removed"), [("hard", 0), ("easy", 1), ("random", 1)])
def test_which_of_two_is_kept(place: Place, keep: str, removed: int) -> None:
    """Six documents pull the centroid to (0, 1): of the pair the one nearer to (1, 0) is the far, "hard" one."""
    pair, others = [at(0.6), at(0.8)], [[x, 1.0] for x in np.linspace(-0.05, 0.05, 6)]
    place.add(0, [text(v) for v in [*pair, *others]], [f"{i:032x}" for i in range(1, 9)])
    name = Semdedup.find({0: Semdedup(keep=keep, eps=0.05, clusters=1)}, place.run, place.shards, ())
    drops = place.drops(name)
    assert [row for _, row in drops if row < 2] == [removed]
    assert drops[0, removed][:2] == (0, 1 - removed)


def test_another_eps_cuts_again_and_does_nothing_else(place: Place) -> None:
    place.add(0, [text(at(c)) for c in (1.0, 0.95, 0.75)], [A, B, C])
    place.add(1, [text(at(c)) for c in (1.0, 0.85)], [A, B])
    knobs = Semdedup(keep="random")
    Semdedup.find({0: knobs, 1: knobs}, place.run, place.shards, ())
    before = {path: path.stat().st_mtime_ns for path in place.root.rglob("manifest.json")}
    place.ran.clear()
    wider = Semdedup(keep="random", eps=0.26)
    name = Semdedup.find({0: wider, 1: knobs}, place.run, place.shards, ())
    assert place.ran == ["semdedup/source/s0/cut", "semdedup/drops"]
    after = {path: path.stat().st_mtime_ns for path in place.root.rglob("manifest.json")}
    changed = {path.parent.relative_to(place.root).as_posix() for path in after if after[path] != before[path]}
    assert changed == set(place.ran)
    assert place.drops(name).keys() == {(0, 1), (0, 2)}


def test_a_source_more_embeds_nothing_twice(place: Place) -> None:
    place.add(1, [text(at(c)) for c in (1.0, 0.95, 0.75)])
    knobs = {i: Semdedup(block=2) for i in range(2)}
    Semdedup.find(knobs, place.run, place.shards, place.drop())
    place.ran.clear()
    place.add(0, [text(at(0.3)), text(at(0.2))])
    place.shards.reverse()  # it comes first, so that the other shard has another number
    Semdedup.find(knobs, place.run, place.shards, place.drop((1, 2)))
    assert [name for name in place.ran if "/embed/" in name] == [
        "semdedup/embed/s0/00001/00000",
        "semdedup/embed/s1/00000/00001",
    ]


def test_scopes(place: Place) -> None:
    """Across sources only where it is asked for; the source named first keeps its document."""
    for source in range(2):
        place.add(source, [text(at(1.0), str(source)), text(at(0.2), str(source))])
    apart = Semdedup.find({0: Semdedup(), 1: Semdedup()}, place.run, place.shards, ())
    assert place.drops(apart) == {}
    knobs = {0: Semdedup(scope="global"), 1: Semdedup(scope="global", eps=0.05)}
    together = Semdedup.find(knobs, place.run, place.shards, ())
    assert place.drops(together) == {(1, 0): (0, 0, 1.0), (1, 1): (0, 1, 1.0)}
    knobs[1] = Semdedup(scope="global", window="mean_of_chunks")
    place.ran.clear()
    with pytest.raises(ValueError, match="semdedup.window of source 1=mean_of_chunks is not accepted"):
        Semdedup.find(knobs, place.run, place.shards, ())
    assert place.ran == []  # before the long work, not after it


def test_what_an_earlier_step_dropped_takes_no_part(place: Place) -> None:
    place.add(0, [text(at(c)) for c in (1.0, 0.99, 0.98)], [A, B, C])
    place.add(0, [text(at(c)) for c in (0.97,)], [D])
    knobs = {0: Semdedup(keep="random", block=2)}
    name = Semdedup.find(knobs, place.run, place.shards, place.drop((0, 0), (1, 0)))
    assert place.drops(name) == {(0, 2): (0, 1, 0.998)}
    assert place.facts(name)["embedded"]["s0"]["documents"] == 2
    nothing = Semdedup.find(knobs, place.run, place.shards, place.drop((0, 0), (0, 1), (0, 2), (1, 0)))
    assert place.drops(nothing) == {}
    assert place.facts(nothing)["embedded"]["s0"]["documents"] == 0


def test_nobody_to_compare(place: Place) -> None:
    place.add(0, [])
    place.add(1, [text(at(1.0))])
    name = Semdedup.find({0: Semdedup(), 1: Semdedup()}, place.run, place.shards, ())
    assert place.drops(name) == {}
    assert place.facts(name)["removed"] == 0


def cloud(n: int, width: int, seed: int = 0) -> list[str]:
    """Documents in blobs with many near-duplicates."""
    generator = np.random.default_rng(seed)
    middle = generator.standard_normal((8, width))
    vectors = middle[generator.integers(8, size=n)] + 0.35 * generator.standard_normal((n, width))
    return [text(v, str(i)) for i, v in enumerate(vectors)]


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch) -> Place:
    """800 documents in three shards."""
    plant(monkeypatch, width=8)
    place, texts = Place(tmp_path), cloud(800, 8)
    for first, last in ((0, 250), (250, 600), (600, 800)):
        place.add(0, texts[first:last])
    return place


def vectors_of(place: Place) -> dict[tuple[int, int], np.ndarray]:
    found = {}
    for number, shard in enumerate(place.shards):
        for folder in sorted((place.root / "semdedup/embed" / shard.task.removeprefix("clean/")).iterdir()):
            rows, vectors = np.load(folder / "rows.npy"), np.load(folder / "vectors.npy")
            found |= {(number, int(row)): vector for row, vector in zip(rows, vectors, strict=True)}
    return found


def test_every_removed_document_has_a_kept_witness_above_the_threshold(crowd: Place) -> None:
    name = Semdedup.find({0: Semdedup(block=100)}, crowd.run, crowd.shards, ())
    drops, vectors = crowd.drops(name), vectors_of(crowd)
    assert 100 < len(drops) < 800 and len(vectors) == 800
    for document, (*witness, similarity) in drops.items():
        assert tuple(witness) not in drops
        cosine = float(vectors[document] @ vectors[witness[0], witness[1]])
        assert cosine > 0.9 and abs(cosine - similarity) < 1e-3
    table = np.load(crowd.root / name / "drops.npy")
    assert (np.diff(table["shard"] * 10**6 + table["row"]) > 0).all()


def test_nobody_stays_beside_a_kept_neighbour_of_its_cluster(crowd: Place) -> None:
    name = Semdedup.find({0: Semdedup(clusters=1)}, crowd.run, crowd.shards, ())
    drops, vectors = crowd.drops(name), vectors_of(crowd)
    kept = np.array([vector for document, vector in vectors.items() if document not in drops])
    cosine = kept @ kept.T
    np.fill_diagonal(cosine, -1)
    assert cosine.max() <= np.float32(0.9) + 1e-6
    assert crowd.facts(name)["scopes"]["source/s0"]["recall"]["recall"] == 1


@pytest.mark.parametrize("change", ["backwards", "threads", "blocks", "another place"])
def test_the_same_bytes_in_any_order(crowd: Place, change: str, tmp_path: Path) -> None:
    name = Semdedup.find({0: Semdedup(block=100)}, crowd.run, crowd.shards, ())
    first = task.read(crowd.root, name)["digest"]
    other = Place(tmp_path / "other")
    texts = cloud(800, 8)
    for start, end in ((0, 250), (250, 600), (600, 800)):
        other.add(0, texts[start:end])
    other.backwards = change == "backwards"
    knobs = Semdedup(block=90 if change == "blocks" else 100, threads=2 if change == "threads" else 1)
    Semdedup.find({0: knobs}, other.run, other.shards, ())
    assert task.read(other.root, name)["digest"] == first


def test_a_dense_cluster_is_compared_anew_with_the_same_result(crowd: Place) -> None:
    name = Semdedup.find({0: Semdedup()}, crowd.run, crowd.shards, ())
    plenty = crowd.drops(name)
    assert crowd.facts(name)["scopes"]["source/s0"]["compared_anew"] == 0
    name = Semdedup.find({0: Semdedup(max_edges=1)}, crowd.run, crowd.shards, ())
    assert crowd.drops(name) == plenty
    assert crowd.facts(name)["scopes"]["source/s0"]["compared_anew"] > 0


def test_probing_two_clusters_finds_what_a_border_hides(crowd: Place) -> None:
    def removed_and_recall(probe: int) -> tuple[int, float]:
        name = Semdedup.find({0: Semdedup(clusters=40, probe=probe)}, crowd.run, crowd.shards, ())
        drops, scope = crowd.drops(name), crowd.facts(name)["scopes"]["source/s0"]
        assert all((shard, row) not in drops for shard, row, _ in drops.values())
        return len(drops), scope["recall"]["recall"]

    (one, recall_one), (two, recall_two) = removed_and_recall(1), removed_and_recall(2)
    assert one < two and recall_one < recall_two <= 1
    vectors = vectors_of(crowd)
    order = list(vectors)
    cosine = np.array([vectors[d] for d in order]) @ np.array([vectors[d] for d in order]).T
    np.fill_diagonal(cosine, -1)
    name = "semdedup/drops"
    assert crowd.facts(name)["scopes"]["source/s0"]["recall"]["with_duplicate"] == (cosine.max(axis=1) > 0.9).sum()


def test_predecessors_of_several_clusters(crowd: Place) -> None:
    """With one cluster the original rule is one line of NumPy: M[j] = max over predecessors > 1 - eps."""
    name = Semdedup.find({0: Semdedup(clusters=1, remove_rule="predecessor")}, crowd.run, crowd.shards, ())
    vectors = vectors_of(crowd)
    members = np.load(crowd.root / "semdedup/source/s0/assign/00000/members.npy")
    order = np.lexsort((members["low"], members["high"], members["centrality"]))
    ordered = [(int(d) >> 32, int(d) & 0xFFFFFFFF) for d in members["document"][order]]
    matrix = np.array([vectors[d] for d in ordered])
    m = np.where(np.tri(800, k=-1, dtype=bool), matrix @ matrix.T, -1).max(axis=1)
    assert crowd.drops(name).keys() == {d for d, worst in zip(ordered, m, strict=True) if worst > np.float32(0.9)}
    assert all(witness[:2] not in crowd.drops(name) for witness in crowd.drops(name).values())


def test_a_large_cluster_is_reported(crowd: Place) -> None:
    name = Semdedup.find({0: Semdedup(clusters=2, max_cluster=150)}, crowd.run, crowd.shards, ())
    scope = crowd.facts(name)["scopes"]["source/s0"]
    assert scope["split_clusters"] >= 1 and scope["largest_cluster"] > 150 and scope["removed"] > 50


def test_the_books_warn_of_many_truncated_documents(place: Place) -> None:
    place.add(0, [text(at(1.0), "long"), text(at(0.5), "long"), text(at(0.1))])
    place.add(1, [text(at(1.0), "long"), *(text(at(c)) for c in (0.1, 0.3, 0.5))])
    facts = place.facts(Semdedup.find({0: Semdedup(), 1: Semdedup()}, place.run, place.shards, ()))
    assert facts["embedded"]["s0"]["truncated"] == 2
    assert re.match(
        r"67% of the documents are longer than the 8 tokens that are embedded", facts["embedded"]["s0"]["warning"]
    )
    assert facts["embedded"]["s1"]["truncated_share"] == 0.25 and "warning" not in facts["embedded"]["s1"]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"eps": 0.5}, r"semdedup.eps=0.5 is not accepted: it must be above 0 and at most semdedup.max_eps=0.3"),
        ({"eps": 0.0}, r"semdedup.eps=0.0"),
        ({"max_eps": 1.0}, r"semdedup.max_eps=1.0"),
        ({"window": "heads"}, r"semdedup.window=heads .*did you mean head"),
        (
            {"remove_rule": "chain"},
            r"semdedup.remove_rule=chain is not accepted: it must be one of greedy, predecessor",
        ),
        ({"clusters": 0}, r"semdedup.clusters=0"),
        ({"block": 0}, r"semdedup.block=0"),
        ({"max_cluster": 1}, r"semdedup.max_cluster=1"),
    ],
)
def test_bad_knobs(knobs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Semdedup(**knobs)


def test_without_faiss_it_says_so_before_anything_is_embedded(place: Place, monkeypatch) -> None:
    place.add(0, [text(at(1.0))])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'bailong\[semantic\]'"):
        Semdedup.find({0: Semdedup()}, place.run, place.shards, ())
    assert place.ran == []
