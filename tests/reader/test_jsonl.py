import json
import tracemalloc

import pytest

from bailong.reader.jsonl import read
from bailong.reader.record import Bad, Fields, Record
from bailong.reader.stream import Damaged, Input
from tests.reader.files import pack, put, row, rows

BEFORE, AFTER = row("前"), row("後")


def items(path, data, fields=None, limit=1_000_000):
    return list(read(Input(put(path / "a.jsonl", data)), fields or Fields("text"), limit))


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("bad_utf8", b'{"text": "\xe4\xb8"}'),
        ("bad_utf8", b'{"text": "\xed\xa0\x80"}'),
        ("bad_json", b'{"text": "cut'),
        ("bad_json", b"{'text': 'single quotes'}"),
        ("bad_json", b'{"text": "a"} {"text": "b"}'),
        ("bad_json", b"[" * 100_000),
        ("not_object", b'["text"]'),
        ("not_object", b"null"),
        ("not_object", b'"text"'),
        ("not_object", b"3.14"),
        ("no_text", b'{"body": "x"}'),
        ("no_text", b'{"text": null}'),
        ("no_text", b'{"text": ["x"]}'),
        ("no_text", b'{"text": 7}'),
    ],
)
def test_a_bad_line_costs_itself_alone(tmp_path, reason, line):
    before, bad, after = items(tmp_path, BEFORE + line + b"\n" + AFTER)
    assert (before.text, after.text) == ("前", "後")
    assert bad == Bad(2, len(BEFORE), reason, line[:200], len(line))
    assert after.row == 3 and after.offset == len(BEFORE) + len(line) + 1


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"text": "NaN", "score": NaN}', "NaN"),
        (b'{"text": "huge", "n": 1' + b"0" * 400 + b"}", "huge"),
        (b'{"text": "far", "n": 1e999}', "far"),
        (b'{"text": "a\tb"}', "a\tb"),
        (b'{"text": "a\x00b"}', "a\x00b"),
        (b'{"text": "a\\u0000b"}', "a\x00b"),
        (b'{"title": "\\ud83d", "text": "whole"}', "whole"),
        (b'{"text": "\\ud83d\\ude00"}', "😀"),
        (b' {"text": "spaces"} \r', "spaces"),
        (b'{"text": "one", "text": "two"}', "two"),
    ],
)
def test_what_people_write_is_read(tmp_path, line, text):
    assert [item.text for item in items(tmp_path, BEFORE + line + b"\n" + AFTER)] == ["前", text, "後"]


def test_a_half_pair_in_the_text_is_handed_on_to_be_refused(tmp_path):
    (item,) = items(tmp_path, b'{"text": "x\\ud800"}\n')
    assert item.text == "x\ud800"


def test_blank_lines_bom_crlf_and_a_last_line_without_end(tmp_path):
    data = b"\xef\xbb\xbf" + BEFORE[:-1] + b"\r\n\r\n  \n" + AFTER[:-1]
    assert [(item.row, item.text) for item in items(tmp_path, data)] == [(1, "前"), (4, "後")]


def test_a_line_of_any_length_is_passed_over(tmp_path):
    data = BEFORE + b'{"text": "' + b"x" * 3_000_000 + b'"}\n' + AFTER
    before, bad, after = items(tmp_path, data, limit=1000)
    assert (before.text, bad.reason, bad.size, after.text) == ("前", "too_large", 3_000_012, "後")


def test_fields(tmp_path):
    data = json.dumps({"q": "問", "a": "答", "u": "https://x.tw", "n": None, "e": " "}).encode()
    (both,) = items(tmp_path, data, Fields("q+n+a+e+missing", "u"))
    assert both == Record(1, 0, "問\n\n答", "https://x.tw")
    assert items(tmp_path, data, Fields("x+y"))[0].reason == "no_text"
    assert items(tmp_path, b'{"a+b": "named so"}', Fields("a+b"))[0].text == "named so"


def test_an_object_that_ends_with_the_cut_is_whole(tmp_path):
    good = rows(4)
    packed = pack(b"".join(good[:3]) + good[3][:-1], ".gz")
    path = put(tmp_path / "a.jsonl.gz", packed[:-8])  # the text is complete, its checksum is not
    found = []
    with pytest.raises(Damaged):
        for item in read(Input(path), Fields("text"), 1000):
            found.append(item)
    assert len(found) == 4


def test_the_line_of_a_long_document_is_let_go_with_it(tmp_path):
    source = Input(put(tmp_path / "a.jsonl", row("x" * 20_000_000) + row("y" * 20_000_000) + AFTER))
    tracemalloc.start()
    try:
        reader = read(source, Fields("text"), 30_000_000)
        assert len(next(reader).text) == 20_000_000
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert left < 30_000_000  # the text alone
    assert [len(item.text) for item in reader] == [20_000_000, 1]
