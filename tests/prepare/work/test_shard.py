"""Shards: what is written is read back, in bounded batches; drops are found without reading them all."""

import hashlib

import numpy as np
import pytest

from bailong.prepare.work import shard
from bailong.prepare.work.shard import DROPS, Document, Shard, alive, read, write, write_drops

TEXTS = ["龍" * 5, "", "a\nb\r\n\0c", "👩‍👩‍👧 𠮷", "x" * 3]


def document(i, text):
    key = hashlib.blake2b(str(i).encode(), digest_size=16).digest()
    return Document(key, text, "file.jsonl", i + 1, "https://a.b/c", "CC0-1.0", b"\xff\x00", "convert,punctuate")


def test_documents_come_back_as_they_went(tmp_path):
    documents = [document(i, text) for i, text in enumerate(TEXTS)] + [Document(bytes(16), "bare")]
    assert write(tmp_path / "documents.arrow", iter(documents)) == 6
    back = [d for batch in read(tmp_path / "documents.arrow") for d in batch]
    assert back == documents and isinstance(back[0], Document) and isinstance(back[0].key, bytes)
    pairs = [row for batch in read(tmp_path / "documents.arrow", ("row", "text")) for row in batch]
    assert pairs == [(d.row, d.text) for d in documents]
    mine = Shard(tmp_path, 0)
    assert list(mine.texts()) == [d.text for d in documents] and list(mine.documents()) == documents


def test_a_column_that_is_not_there_is_an_error(tmp_path):
    write(tmp_path / "documents.arrow", [document(0, "a")])
    with pytest.raises(KeyError):
        list(read(tmp_path / "documents.arrow", ("txet",)))


def test_an_empty_shard(tmp_path):
    assert write(tmp_path / "documents.arrow", []) == 0
    assert list(read(tmp_path / "documents.arrow")) == []
    np.save(tmp_path / "starts.npy", np.zeros(1, np.int64))
    np.save(tmp_path / "ids.npy", np.zeros(0, np.uint16))
    np.save(tmp_path / "keys.npy", np.zeros((0, 2), np.uint64))
    mine = Shard(tmp_path, 0)
    assert len(mine) == 0 and mine.ids.shape == (0,) and mine.keys.shape == (0, 2) and list(mine.texts()) == []


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [
        ([1] * 1000, [1000]),
        ([1] * 1001, [1000, 1]),
        ([shard.BATCH_CHARACTERS] * 3, [1, 1, 1]),
        ([shard.BATCH_CHARACTERS // 2 + 1] * 5, [2, 2, 1]),
        ([3, 2 * shard.BATCH_CHARACTERS, 3], [2, 1]),
    ],
)
def test_batches_are_bounded_in_documents_and_characters(tmp_path, lengths, batches):
    documents = (document(i, "x" * n) for i, n in enumerate(lengths))
    assert write(tmp_path / "s.arrow", documents) == len(lengths)
    assert [len(batch) for batch in read(tmp_path / "s.arrow")] == batches


def test_the_same_documents_are_the_same_bytes(tmp_path):
    documents = [document(i, f"{i}" * i) for i in range(1500)]
    write(tmp_path / "a", documents), write(tmp_path / "b", iter(documents))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_half_a_surrogate_pair_is_refused_and_not_changed(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        write(tmp_path / "s.arrow", [document(0, "a\ud83d")])


def table(*rows):
    return np.array([(s, r, 0, 0, 1.0) for s, r in rows], dtype=DROPS)


def test_drops_are_sorted_whatever_the_order_they_are_found_in(tmp_path):
    rows = [(2, 5), (0, 9), (2, 1), (0, 0), (7, 3)]
    write_drops(tmp_path, table(*rows))
    saved = np.load(tmp_path / "drops.npy")
    assert saved.dtype == DROPS and list(zip(saved["shard"], saved["row"], strict=True)) == sorted(rows)
    again = tmp_path / "again"
    again.mkdir()
    write_drops(again, table(*reversed(rows)))
    assert (again / "drops.npy").read_bytes() == (tmp_path / "drops.npy").read_bytes()


def test_alive_takes_every_table_into_account(tmp_path):
    for name, rows in {"a": [(0, 1), (1, 0), (1, 2), (3, 0)], "b": [(1, 2), (1, 3)], "none": []}.items():
        (tmp_path / name).mkdir()
        write_drops(tmp_path / name, table(*rows))
    folders = [tmp_path / name for name in ("a", "b", "none")]
    assert alive(1, 5, folders).tolist() == [False, True, False, False, True]
    assert alive(0, 2, folders).tolist() == [True, False]
    assert alive(2, 3, folders).all() and alive(4, 1, folders).all() and alive(0, 3, []).all()
    assert alive(2, 0, folders).shape == (0,)
    with pytest.raises(IndexError):
        alive(1, 3, folders)  # a table of other shards


def test_alive_agrees_with_looking_at_every_row(tmp_path):
    rng = np.random.default_rng(0)
    pairs = {(int(s), int(r)) for s, r in rng.integers(0, [40, 100], size=(1500, 2))}
    write_drops(tmp_path, table(*pairs))
    for number in range(41):
        kept = alive(number, 100, [tmp_path])
        assert [(number, row) not in pairs for row in range(100)] == kept.tolist()


def test_one_document_is_dropped_once(tmp_path):
    with pytest.raises(AssertionError, match="twice"):
        write_drops(tmp_path, table((0, 1), (2, 2), (0, 1)))
