"""Ranges of keys: every record in exactly one, equal keys together, none of it up to the number of workers."""

import numpy as np
import pytest

from bailong.prepare.dedup import partition


def test_the_number_of_ranges_follows_the_records():
    assert [partition.ranges(n) for n in (0, 1, partition.RECORDS, partition.RECORDS + 1)] == [1, 1, 1, 2]
    assert partition.ranges(10**15) == partition.MOST


@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_every_record_lies_in_one_range_and_equal_keys_in_the_same(tmp_path, parts):
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, 500, dtype=np.uint64)
    keys[:3] = [0, 2**64 - 1, 2**63]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, mine in zip(folders, (keys, keys[100:200]), strict=True):
        folder.mkdir()
        partition.write(folder, mine, {"keys": mine, "rows": np.arange(len(mine))}, parts)
    seen, edges = [], []
    for part in range(parts):
        (first, rows), (second, _) = partition.read(folders, ("keys", "rows"), part)
        assert np.array_equal(keys[rows], first) and set(second) <= set(first)
        seen += first.tolist()
        edges += [first.min(), first.max()] if len(first) else []
    assert sorted(seen) == sorted(keys.tolist()) and edges == sorted(edges)
