import json

import pytest

from bailong.reader import stream
from bailong.reader.jsonl import read
from bailong.reader.record import Bad, Fields, Record
from bailong.reader.stream import Damaged, Input
from tests.reader.files import pack, put

ROWS = [{"text": f'第{i}份：「{{[{i}]}}」"\\', "n": [i, {"a": "]"}]} for i in range(40)]
TEXTS = [row["text"] for row in ROWS]


def items(path, data, field="text", limit=100_000, name="a.json"):
    return list(read(Input(put(path / name, data)), Fields(field), limit))


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2, ensure_ascii=False),
        "\ufeff \n" + json.dumps(ROWS, ensure_ascii=False, indent="\t").replace("\n", "\r\n"),
        "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),  # no array, but no lines either
        json.dumps(ROWS[:20]) + "\n" + json.dumps(ROWS[20:]),
    ],
)
@pytest.mark.parametrize("block", [7, 100, 1 << 20])
def test_objects_of_an_array(tmp_path, monkeypatch, data, block):
    monkeypatch.setattr(stream, "BLOCK", block)
    monkeypatch.setattr("bailong.reader.jsonl.head", lambda source: data.encode()[:100])
    found = items(tmp_path, data.encode())
    assert [item.text for item in found] == TEXTS
    assert [item.row for item in found] == [*range(1, 41)]
    assert all(data.encode()[item.offset :].startswith(b"{") for item in found)


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"text": "an "open mark"}', "bad_json"),
        (b'{"text": "no end', "bad_json"),
        (b'{"text": "a" "b"}', "bad_json"),
        (b"{'text': 1}", "bad_json"),
        (b'{"text": [1, 2}', "bad_json"),
        (b'{"text": "\xff"}', "bad_utf8"),
        (b"null", "not_object"),
        (b'"text"', "not_object"),
        (b"-1.5e3", "not_object"),
        (b'["x", [1]]', "not_object"),
        (b'{"body": "x"}', "no_text"),
        (b'{"text": "' + b"x" * 300_000 + b'"}', "too_large"),
    ],
)
def test_a_bad_element_costs_itself(tmp_path, element, reason):
    before = '[{"text": "前"},\n'.encode()
    one, bad, *rest = items(tmp_path, before + element + ',\n{"text": "後"}, {"text": "末"}]'.encode())
    assert one == Record(1, 1, "前")
    assert isinstance(bad, Bad) and (bad.row, bad.offset, bad.reason) == (2, len(before), reason)
    assert [item.text for item in rest] == ["後", "末"]


def test_an_array_that_breaks_off(tmp_path):
    data = json.dumps(ROWS, ensure_ascii=False).encode()
    *good, bad = items(tmp_path, data[: len(data) // 2])
    assert [item.text for item in good] == TEXTS[: len(good)] and bad.reason == "trunc_tail"
    assert items(tmp_path, data[:-1])[-1].reason == "trunc_tail"  # only the bracket is missing
    packed, found = pack(data * 200, ".gz"), []
    with pytest.raises(Damaged) as told:
        found += read(Input(put(tmp_path / "a.json.gz", packed[: len(packed) // 2])), Fields("text"), 10**6)
    assert told.value.reason == "trunc_tail"


def test_one_object_around_the_records_is_told(tmp_path):
    for data in (json.dumps({"version": 1, "data": ROWS}), json.dumps({"version": 1, "data": ROWS}, indent=1)):
        with pytest.raises(
            ValueError, match=r"a\.json: one JSON object \(it has: version, data\).* an array of objects"
        ):
            items(tmp_path, data.encode())
    assert items(tmp_path, b'{\n  "text": "one"\n}\n')[0].text == "one"
    assert items(tmp_path, b'{"turns": [{"a": 1}]}\n{"text": "x"}\n')[0].reason == "no_text"  # lines like any other


def test_memory_does_not_grow_with_the_file(tmp_path):
    import tracemalloc

    path = put(tmp_path / "a.json", json.dumps([{"text": "x" * 1000}] * 20_000).encode())
    tracemalloc.start()
    assert sum(1 for _ in read(Input(path), Fields("text"), 10_000)) == 20_000
    assert tracemalloc.get_traced_memory()[1] < 8_000_000 < path.stat().st_size
    tracemalloc.stop()


def test_a_field_within_a_field(tmp_path):
    data = b'[{"data": {"text": "deep", "url": "u"}, "a.b": "own"}]'
    assert items(tmp_path, data, "data.text")[0].text == "deep"
    assert items(tmp_path, data, "a.b")[0].text == "own"
    assert items(tmp_path, data, "a.b+data.text+data.none")[0].text == "own\n\ndeep"
    assert list(read(Input(tmp_path / "a.json"), Fields("a.b", "data.url"), 99))[0].url == "u"
    assert items(tmp_path, data, "data.text.more")[0].reason == "no_text"
