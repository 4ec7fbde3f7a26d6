import gzip
import io

import pytest

pytest.importorskip("trafilatura")
pytest.importorskip("warcio")

from bailong.reader.record import Bad, Record
from bailong.reader.stream import Damaged, Input
from bailong.reader.web import Extractor, html, warc
from tests.reader.files import put

MAIN = "社區圖書室在週六辦了換書會，三十多位鄰居抱著紙箱來，最搶手的是一套舊漫畫。館員說，剩下的書會送到山區的小學。"
NAV = "首頁 最新消息 會員登入"


def page(text=MAIN, paragraphs=4, charset="utf-8"):
    body = "".join(f"<p>{text}（{i}）</p>" for i in range(paragraphs))
    return f"""<html><head><meta charset="{charset}"><title>換書會</title></head><body>
      <nav><ul><li><a href="/">{NAV}</a></li></ul></nav><article><h1>換書會</h1>{body}</article>
      <footer>版權所有 2021</footer></body></html>""".encode(charset)


@pytest.fixture(scope="module")
def extractor():
    return Extractor("precision", False, False, False, None)


def test_the_main_text_of_a_page(tmp_path, extractor):
    for charset in ("utf-8", "big5"):
        (found,) = html(Input(put(tmp_path / "a.html", page(charset=charset))), extractor, 100_000)
        assert found.text.count(MAIN) == 4
        assert NAV not in found.text and "版權所有" not in found.text


SIMPLE = "社区图书室在周六办了换书会，三十多位邻居抱着纸箱来，最抢手的是一套旧漫画。馆员说，剩下的书会送到山区的小学。"


def simple(head="", before=""):
    body = "".join(f"<p>{SIMPLE}（{i}）</p>" for i in range(4))
    return f"{before}<html><head>{head}<title>x</title></head><body><article><h1>x</h1>{body}</article></body></html>"


def test_a_page_says_its_charset_behind_a_long_script(tmp_path, extractor):
    script = "<script>" + "var a = 1;" * 4000 + "</script>"
    data = simple(script + '<meta charset="gb2312">').encode("gb2312")
    (found,) = html(Input(put(tmp_path / "a.html", data)), extractor, 100_000)
    assert found.text.count(SIMPLE) == 4


def test_a_page_says_its_charset_in_an_xml_declaration(tmp_path, extractor):
    data = simple(before='<?xml version="1.0" encoding="gb2312"?>\n').encode("gb2312")
    (found,) = html(Input(put(tmp_path / "a.xhtml", data)), extractor, 100_000)
    assert found.text.count(SIMPLE) == 4


def test_an_answer_of_an_archive_says_its_charset_in_its_header(tmp_path, extractor):
    kinds = ("text/html; charset=gb2312", "text/html;charset=iso-8859-1", "text/html")
    data, _ = archive([(f"http://a.tw/{i}", 200, kind, simple().encode("gb2312")) for i, kind in enumerate(kinds)])
    found = [i for i in warc(Input(put(tmp_path / "a.warc.gz", data)), extractor, 100_000) if isinstance(i, Record)]
    assert [i.text.count(SIMPLE) for i in found] == [4, 4, 4]


def test_a_page_that_cannot_be_read_is_bad(tmp_path, extractor):
    data = b'<html><head><meta charset="gb2312"></head><body>' + bytes(range(128, 256)) * 9 + b"</body></html>"
    (bad,) = html(Input(put(tmp_path / "a.html", data)), extractor, 100_000)
    assert isinstance(bad, Bad) and bad.reason == "bad_charset"


def test_what_is_raised_in_a_page_is_written(tmp_path, extractor):
    text = "光在真空中每秒走3×10<sup>8</sup>公尺，一杯H<sub>2</sub>O約重0.25公斤，這些都是館員在講座上說的。"
    (tmp_path / "page.html").write_bytes(page(text + MAIN))
    (found,) = html(Input(tmp_path / "page.html"), extractor, 1_000_000)
    assert "3×10⁸公尺" in found.text and "H₂O" in found.text


def test_pages_without_text(tmp_path, extractor):
    for data, reason in (
        (b"<html><body></body></html>", "no_content"),
        (b"\x00\x01\x02" * 50, None),
        (page(), "too_large"),
    ):
        (bad,) = html(Input(put(tmp_path / "a.html", data)), extractor, 100_000 if reason != "too_large" else 100)
        assert reason is None or bad.reason == reason
    assert list(html(Input(put(tmp_path / "a.html", b"")), extractor, 100)) == []


def archive(responses, packed=True):
    """A WARC file: (url, status, content type, body) each, between records of other kinds."""
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    sink = io.BytesIO()
    writer = WARCWriter(sink, gzip=packed)
    writer.write_record(writer.create_warcinfo_record("a.warc.gz", {"software": "test"}))
    starts = []
    for url, status, kind, body in responses:
        headers = [("Content-Type", kind), ("Content-Encoding", "gzip")]
        http = StatusAndHeaders(f"{status} said", headers, protocol="HTTP/1.1")
        starts.append(sink.tell())
        record = writer.create_warc_record(url, "response", payload=io.BytesIO(gzip.compress(body)), http_headers=http)
        writer.write_record(record)
        writer.write_record(writer.create_warc_record(url, "metadata", payload=io.BytesIO(b"fetchTimeMs: 1")))
    return sink.getvalue(), starts


RESPONSES = [
    ("https://a.tw/1", 200, "text/html; charset=utf-8", page()),
    ("https://a.tw/2", 404, "text/html", page()),
    ("https://a.tw/3", 200, "image/png", b"\x89PNG"),
    (
        "https://a.tw/4",
        200,
        "application/xhtml+xml",
        page("第四頁說的是另一件事，山區的小學收到了三箱書，孩子們很高興，老師也很高興。"),
    ),
]


@pytest.mark.parametrize("packed", [True, False])
def test_responses_of_a_warc_file(tmp_path, extractor, packed):
    data, _ = archive(RESPONSES, packed)
    name = "a.warc.gz" if packed else "a.warc"
    found = list(warc(Input(put(tmp_path / name, data)), extractor, 100_000))
    good = [i for i in found if hasattr(i, "text")]
    assert [i.url for i in good] == ["https://a.tw/1", "https://a.tw/4"]
    assert MAIN in good[0].text and "三箱書" in good[1].text
    assert sorted(i.reason for i in found if not hasattr(i, "text")) == sorted(
        ["warcinfo", *["metadata"] * 4, "not_ok", "not_html"]
    )


@pytest.mark.parametrize("cut", [100, 300, 400, 500, 640])
@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_warc_file_keeps_its_whole_records(tmp_path, extractor, packed, cut):
    data, starts = archive(RESPONSES, packed)
    path = put(tmp_path / ("a.warc.gz" if packed else "a.warc"), data[: starts[3] + cut])
    found = []
    try:
        for item in warc(Input(path), extractor, 100_000):
            found.append(item)
        damage = None
    except Damaged as error:
        damage = error.reason
    assert [i.url for i in found if hasattr(i, "text")] == ["https://a.tw/1"]
    bad = [i.reason for i in found if isinstance(i, Bad)] + [damage] * bool(damage)
    assert len(bad) == 1 and bad[0] in ("trunc_tail", "bad_warc")


def test_what_is_no_archive(tmp_path, extractor):
    (bad,) = warc(Input(put(tmp_path / "a.warc", b"no archive\n" * 30)), extractor, 1000)
    assert bad.reason == "bad_warc"
    assert list(warc(Input(put(tmp_path / "b.warc", b"")), extractor, 1000)) == []


def test_texts_of_a_wet_file(tmp_path, extractor):
    from warcio.warcwriter import WARCWriter

    sink = io.BytesIO()
    writer = WARCWriter(sink, gzip=True)
    for text in ("純文字。".encode(), b"\xff\xfe"):
        payload = io.BytesIO(text)
        record = writer.create_warc_record(
            "https://a.tw", "conversion", payload=payload, warc_content_type="text/plain"
        )
        writer.write_record(record)
    one, bad = warc(Input(put(tmp_path / "a.warc.wet.gz", sink.getvalue())), extractor, 1000)
    assert (one.text, one.url, bad.reason) == ("純文字。", "https://a.tw", "bad_utf8")
