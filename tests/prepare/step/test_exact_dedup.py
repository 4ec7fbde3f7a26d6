"""Equal texts: one stays, the same one however the documents are cut into shards."""

import dataclasses

import numpy as np
import pytest

from bailong.prepare.dedup import partition
from bailong.prepare.step.exact_dedup import ExactDedup
from tests.prepare.dedup.shards import Doc, digest, removed, run_in, write

TEXTS = ["甲", "乙", "甲", "丙", "乙", "甲", "", "", "丁"]


def docs(source=0, prefix=""):
    return [Doc(f"{prefix}{i}", text, source) for i, text in enumerate(TEXTS)]


def find(root, shards, sources=(0,), drops=(), backwards=False, **knobs):
    settings = dict.fromkeys(sources, ExactDedup(**knobs))
    name = ExactDedup.find(settings, run_in(root, backwards), write(root, shards), drops)
    return removed(root, name, shards)


def first_by_key(names):
    return min(names, key=digest)


def test_one_of_each_group_is_kept_and_stands_for_the_others(tmp_path):
    found = find(tmp_path, [docs()])
    expected = {}
    for group in (["0", "2", "5"], ["1", "4"], ["6", "7"]):
        expected |= {name: (first_by_key(group), 1.0) for name in group if name != first_by_key(group)}
    assert found == expected


@pytest.mark.parametrize("parts", [1, 4])
def test_neither_shards_nor_ranges_nor_order_matter(tmp_path, monkeypatch, parts):
    monkeypatch.setattr(partition, "RECORDS", -(-len(TEXTS) // parts))
    outcomes = []
    for i, (shards, backwards) in enumerate([(1, False), (3, True), (7, False)]):
        groups = np.array_split(np.arange(len(TEXTS)), shards)
        found = find(tmp_path / str(i), [[docs()[j] for j in group] for group in groups], backwards=backwards)
        outcomes.append(found)
    assert outcomes[0] == outcomes[1] == outcomes[2] and len(outcomes[0]) == 4


def test_the_source_named_first_is_kept(tmp_path):
    shards = [docs(1, "b"), docs(0, "a")]
    found = find(tmp_path, shards, sources=(0, 1))
    assert {name for name in found if name.startswith("b")} == {f"b{i}" for i in range(9)}
    assert all(witness.startswith("a") for witness, _ in found.values())


def test_scope_source_compares_each_source_with_itself(tmp_path):
    found = find(tmp_path, [docs(0, "a"), docs(1, "b")], sources=(0, 1), scope="source")
    assert len(found) == 8 and all(name[0] == witness[0] for name, (witness, _) in found.items())


def test_a_source_that_takes_no_part_neither_loses_nor_stands_for_documents(tmp_path):
    found = find(tmp_path, [docs(0, "a"), docs(1, "b"), docs(2, "c")], sources=(0, 2))
    assert not any("b" in name + witness for name, (witness, _) in found.items())
    assert {name for name in found if name[0] == "c"} == {f"c{i}" for i in range(9)}


def test_what_was_removed_before_takes_no_part(tmp_path):
    refs = write(tmp_path, [docs()])
    first = ExactDedup.find({0: ExactDedup()}, run_in(tmp_path), refs)
    folder = tmp_path / "before"
    (tmp_path / first).rename(folder)
    again = ExactDedup.find({0: ExactDedup()}, run_in(tmp_path), refs, ("before",))
    assert removed(tmp_path, again, [docs()]) == {}


def test_an_empty_shard_and_no_duplicates(tmp_path):
    assert find(tmp_path, [[], [Doc("a", "甲")]]) == {}


def test_hashes_that_share_a_half_are_different_texts(tmp_path):
    refs = write(tmp_path, [docs()[:2]])
    hashes = np.load(tmp_path / refs[0].task / "hashes.npy")
    hashes[:, 0] = 7
    np.save(tmp_path / refs[0].task / "hashes.npy", hashes)
    name = ExactDedup.find({0: ExactDedup()}, run_in(tmp_path), refs)
    assert len(np.load(tmp_path / name / "drops.npy")) == 0


def test_knobs_that_differ_between_sources_are_refused(tmp_path):
    settings = {0: ExactDedup(), 3: dataclasses.replace(ExactDedup(), scope="source")}
    with pytest.raises(ValueError, match=r"exact_dedup.scope is global for data.sources\[0\] and source for"):
        ExactDedup.find(settings, run_in(tmp_path), [])


def test_a_wrong_scope_is_refused():
    with pytest.raises(ValueError, match="exact_dedup.scope=sorce is not accepted.*did you mean source"):
        ExactDedup(scope="sorce")
