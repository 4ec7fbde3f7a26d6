"""The file of replies by itself: torn lines, several writers, rows that are no answers."""

import json

import pytest

from bailong.api import cache as module
from bailong.api.cache import Cache


def test_rows_come_back_and_the_last_one_counts(tmp_path):
    first = Cache(tmp_path / "a" / "m.jsonl")
    assert first.get("k") is None and not first.path.parent.exists()  # looking makes nothing
    first.put({"key": "k", "text": "龍\u2028\r\n"}, replay=True)
    first.put({"key": "k", "text": "failed"}, replay=False)
    assert first.get("k")["text"] == "龍\u2028\r\n"
    first.put({"key": "k", "text": "new"}, replay=True)
    assert first.get("k")["text"] == Cache(first.path).get("k")["text"] == "new"
    assert first.get("other") is None


def test_what_another_process_writes_is_seen(tmp_path):
    mine, theirs = Cache(tmp_path / "m.jsonl"), Cache(tmp_path / "m.jsonl")
    mine.put({"key": "a"}, replay=True)
    theirs.put({"key": "b"}, replay=True)
    assert mine.get("b") and theirs.get("a")


def test_a_file_torn_at_every_byte(tmp_path):
    path = tmp_path / "m.jsonl"
    whole = Cache(path)
    for name in "abc":
        whole.put({"key": name, "text": "龍" * 5}, replay=True)
    content = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(content) if byte == 10]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        cache = Cache(path)
        kept = "abc"[: sum(end <= length for end in ends)]
        assert [name for name in "abc" if cache.get(name)] == list(kept)
        cache.put({"key": "d", "text": "after"}, replay=True)
        again = Cache(path)
        found = [name for name in "abcd" if again.get(name)]
        # the line that lacked nothing but its end is whole again
        assert found in ([*kept, "d"], [*kept, "abc"[len(kept) : len(kept) + 1], "d"])
        assert cache.get("d") and again.get("d")["text"] == "after"


def test_a_line_on_the_border_of_two_looks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 100)
    cache = Cache(tmp_path / "m.jsonl")
    for n in range(30):
        cache.put({"key": str(n), "text": "x" * n}, replay=True)
    again = Cache(cache.path)
    assert [again.get(str(n))["text"] for n in range(30)] == ["x" * n for n in range(30)]


def test_a_file_of_something_else(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 100)
    path = tmp_path / "m.jsonl"
    path.write_text("null\n[1]\n{}\n" + json.dumps({"key": [], "replay": True}) + "\n", encoding="utf-8")
    assert Cache(path).get("k") is None
    path.write_bytes(b"x" * 200)
    with pytest.raises(ValueError, match="m.jsonl has a line of more than 100 bytes"):
        Cache(path).get("k")
