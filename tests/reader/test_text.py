import pytest

from bailong.reader.record import Bad
from bailong.reader.stream import Damaged, Input, in_utf8, written
from bailong.reader.text import read
from tests.reader.files import pack, put


def items(path, data, unit="paragraph", encoding="utf-8", limit=1000, name="a.txt"):
    file = in_utf8(Input(put(path / name, data)), encoding)
    return list(written(file, read(file, unit, limit)))


def test_a_blank_line_ends_a_document(tmp_path):
    found = items(tmp_path, b"\xef\xbb\xbf\n\none\r\nmore\r\n \r\n\ntwo\x00\n")
    assert [(i.row, i.offset, i.text) for i in found] == [(3, 5, "one\nmore"), (7, 20, "two\x00")]


def test_a_file_is_a_book(tmp_path):
    (book,) = items(tmp_path, "第一章\n\n第一段\n\n第二段\n".encode(), unit="file")
    assert book.text == "第一章\n\n第一段\n\n第二段"


def test_a_bad_byte_costs_its_document(tmp_path):
    one, bad, two = items(tmp_path, b"one\n\nb\xffd\nstill bad\n\ntwo")
    assert (one.text, two.text) == ("one", "two")
    assert bad == Bad(3, 5, "bad_utf8", b"b\xffd\nstill bad", 13)


def test_other_encodings(tmp_path):
    data = "功能許蓋\n成長\n\n育樂".encode("big5")  # second bytes among them that are ASCII letters and a backslash
    assert [i.text for i in items(tmp_path, data, encoding="big5")] == ["功能許蓋\n成長", "育樂"]
    assert items(tmp_path, b"\xff\xff", encoding="big5")[0].reason == "bad_big5"


@pytest.mark.parametrize("long", [b"x" * 2_000_000, b"\n".join([b"line"] * 300)])
def test_a_document_above_the_limit_is_passed_over(tmp_path, long):
    one, bad, two = items(tmp_path, b"one\n\n" + long + b"\nend\n\ntwo", limit=1000)
    assert (one.text, bad.reason, two.text) == ("one", "too_large", "two")
    assert len(bad.head) == 200 and abs(bad.size - len(long)) <= 5


def test_exactly_the_limit_is_allowed(tmp_path):
    assert items(tmp_path, b"x" * 1000 + b"\n\n", limit=1000)[0].text == "x" * 1000
    assert items(tmp_path, b"x" * 500 + b"\n" + b"y" * 499, limit=1000)[0].text.count("x") == 500


def test_a_cut_file_keeps_its_whole_lines(tmp_path):
    text = "".join(f"第{i}行 {i * 7919 % 1009}\n" for i in range(5000)).encode()
    packed = pack(text, ".gz")
    found = []
    with pytest.raises(Damaged):
        for item in read(Input(put(tmp_path / "a.txt.gz", packed[: len(packed) // 2])), "file", 10**6):
            found.append(item)
    assert len(found) == 1
    assert text.decode().startswith(found[0].text + "\n") and len(found[0].text) > 10_000
