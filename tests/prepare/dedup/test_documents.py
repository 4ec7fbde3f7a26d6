"""Documents of several shards under one number: found, read and ordered as if they lay in one."""

import numpy as np
import pytest

from bailong.prepare.dedup.documents import Documents, portions, select
from tests.prepare.dedup.shards import Doc, halves, packed, write

SIZES = [3, 0, 4, 7, 1, 0, 9, 2, 2, 6]


@pytest.fixture
def corpus(tmp_path):
    rng = np.random.default_rng(0)
    docs = [Doc(str(i), "", ids=rng.integers(0, 2**16, size).astype(np.uint32)) for i, size in enumerate(SIZES)]
    cut = [docs[:4], [], docs[4:5], docs[5:]]
    folders = [tmp_path / ref.task for ref in write(tmp_path, cut)]
    return docs, Documents(folders, [1, 1, 0, 1], [3, 4, 6, 9], [4, 0, 1, 5])


def test_locate_skips_empty_shards_and_numbers_is_its_inverse(corpus):
    _, documents = corpus
    shard, row = documents.locate(np.arange(10))
    assert shard.tolist() == [0] * 4 + [2] + [3] * 5 and row.tolist() == [0, 1, 2, 3, 0, 0, 1, 2, 3, 4]
    assert documents.numbers([np.array([1, 3]), np.array([]), np.array([0]), np.array([4])]).tolist() == [1, 3, 4, 9]


def test_lengths_and_rows_of_files_come_in_the_order_asked(corpus):
    docs, documents = corpus
    asked = np.array([9, 0, 4, 0, 6])
    assert documents.lengths(asked).tolist() == [SIZES[i] for i in asked]
    assert np.array_equal(documents.read("keys.npy", asked), halves([docs[i].key for i in asked]))
    assert documents.lengths(np.array([], dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("asked", [range(10), [], [1], [0, 1, 2], [2, 4, 5, 6, 9], [1, 5]])
def test_ids_are_those_of_the_documents(corpus, asked):
    docs, documents = corpus
    ids, starts = documents.ids(np.array(asked, dtype=np.int64))
    expected, begins = packed([docs[i].tokens() for i in asked])
    assert ids.tolist() == expected.tolist() and starts.tolist() == begins.tolist()
    again, begins = select(*packed([doc.tokens() for doc in docs]), np.array(asked, dtype=np.int64))
    assert again.tolist() == expected.tolist() and begins.tolist() == starts.tolist()


def test_keep_order_puts_the_source_first(corpus):
    docs, documents = corpus
    order = documents.keep_order(np.arange(10)).tolist()
    expected = sorted(range(10), key=lambda i: (i != 4, -SIZES[i], docs[i].key))
    assert [order.index(place) for place in range(10)] == expected


def test_drops_name_the_shards_of_the_run(corpus):
    _, documents = corpus
    (drop,) = documents.drops(np.array([6]), np.array([4]), np.array([0.9])).tolist()
    assert drop == (9, 1, 6, 0, pytest.approx(0.9))


def test_portions_cover_everything_once():
    sizes = np.array([3, 0, 4, 100, 1, 1, 1, 8])
    slices = list(portions(sizes, 5))
    assert np.concatenate([np.arange(8)[s] for s in slices]).tolist() == list(range(8))
    assert max(sizes[s].sum() for s in slices if not (sizes[s] == 100).any()) <= 5 + 8
    assert list(portions(np.array([], dtype=np.int64), 5)) == []
