import csv
import io

import pytest

from bailong.reader.delimited import read
from bailong.reader.record import Bad, Fields
from bailong.reader.stream import Input
from tests.reader.files import put

ROWS = [("1", '第一份，有「,」與"引號"。', "https://a.tw/1"), ("2", "兩行\n的文件；", ""), ("3", "=x|y\t", "u")]


def table(delimiter=",", end="\n", rows=ROWS, **more):
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, lineterminator=end, **more).writerows([("id", "text", "url"), *rows])
    return sink.getvalue()


def items(path, data, field="text", limit=1000, name="a.csv"):
    return list(read(Input(put(path / name, data)), Fields(field, "url"), limit))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_rows_of_a_table(tmp_path, delimiter, end, mark):
    for more in ({}, {"quoting": csv.QUOTE_ALL}):
        data = (mark + table(delimiter, end, **more)).encode()
        found = items(tmp_path, data)
        assert [(i.text, i.url) for i in found] == [(text, url) for _, text, url in ROWS]
        assert [i.row for i in found] == [2, 3, 5]
        assert all(data[i.offset :].lstrip(b'"').startswith(str(n).encode()) for n, i in enumerate(found, 1))


def test_a_bad_row_costs_itself(tmp_path):
    good = b"7,x,u\n"
    for row, reason in (
        (b"1,2\n", "ragged"),
        (b"1,2,3,4\n", "ragged"),
        (b'1,"a" b,3\n', "bad_csv"),
        (b"1,\xff,3\n", "bad_utf8"),
        (b"1," + b"x" * 80_000 + b",3\n", "too_large"),
    ):
        one, bad, two = items(tmp_path, b"id,text,url\n" + good + row + b"\n" + good)
        assert (one.text, two.text) == ("x", "x")
        assert isinstance(bad, Bad) and (bad.row, bad.offset, bad.reason) == (3, 18, reason)
    assert items(tmp_path, b'id,text,url\n1,"no end\n2,x,u\n')[-1].reason == "bad_csv"


def test_quotation_marks_in_a_table_of_tabs(tmp_path):
    bare = 'id\ttext\turl\n1\t"Yes" he said\tu\n2\t"No end\tu\n'
    assert [i.text for i in items(tmp_path, bare.encode(), name="a.tsv")] == ['"Yes" he said', '"No end']
    quoted = 'id\ttext\turl\n1\t"a ""b"" c"\tu\n'
    assert [i.text for i in items(tmp_path, quoted.encode(), name="a.tsv")] == ['a "b" c']


def test_a_missing_column_names_the_others(tmp_path):
    with pytest.raises(ValueError, match=r"a\.csv: no text field 'body' \(it has: id, text, url\); set text of"):
        items(tmp_path, table(";").encode(), "body")
    assert items(tmp_path, b"") == [] and items(tmp_path, b"text\n") == []
    assert items(tmp_path, b"sep=;\na;text\n1;x\n")[0].text == "x"
    assert items(tmp_path, "標題;內文, 全部\n一;二\n".encode(), "內文, 全部")[0].text == "二"
    assert items(tmp_path, b"q,a\nx,y\n", "q+a")[0].text == "x\n\ny"
    assert [i.text for i in items(tmp_path, b"id,text\r1,x\r2,y\r")] == ["x", "y"]
