import zipfile

from bailong.reader.epub import read
from bailong.reader.record import Bad
from bailong.reader.stream import Input
from tests.reader.files import put

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def book(path, chapters, order=None, more=()):
    """An EPUB whose manifest is sorted by name and whose spine is in `order`."""
    items = "".join(f'<item id="i{n}" href="text/{n}" media-type="application/xhtml+xml"/>' for n in sorted(chapters))
    spine = "".join(f'<itemref idref="i{n}"/>' for n in order or chapters)
    opf = f"""<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}
      <item id="css" href="a.css" media-type="text/css"/>
      <item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/></manifest>
      <spine><itemref idref="nav"/>{spine}</spine></package>"""
    with zipfile.ZipFile(path / "b.epub", "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", CONTAINER)
        archive.writestr("OEBPS/book.opf", opf)
        for name, content in chapters.items():
            archive.writestr(f"OEBPS/text/{name}", content)
        for name, content in more:
            archive.writestr(name, content)
    return Input(path / "b.epub")


def page(body):
    return f"<html><head><title>頁名</title><style>p {{}}</style></head><body>{body}</body></html>".encode()


def test_chapters_in_reading_order(tmp_path):
    chapters = {
        "b.xhtml": page(
            "<h1>第一章</h1>\n<p>他說：<br/>「好。」\n  然後\n  走了。</p><p>two\nwords &amp; <i>more</i></p>"
        ),
        "a.xhtml": page("<h1>第二章</h1><p><ruby>白<rt>ㄅㄞˊ</rt></ruby>龍</p><script>x()</script>"),
        "c.xhtml": page("<img src='x.jpg'/>"),
    }
    one, two, cover = read(book(tmp_path, chapters), "chapter", 10_000)
    assert one.text == "第一章\n他說：\n「好。」然後走了。\ntwo words & more"
    assert two.text == "第二章\n白龍"
    assert cover.reason == "blank_page"
    *_, whole = read(book(tmp_path, chapters, order=["a.xhtml", "b.xhtml"]), "book", 10_000)
    assert whole.text == f"{two.text}\n\n{one.text}"


def test_a_bad_chapter_costs_itself(tmp_path):
    chapters = {"a": page("一"), "b": b"<p>\xff\xfa</p>", "c": page("x" * 20_000), "d": page("二"), "e": page("密")}
    sealed = """<encryption><EncryptedData><CipherData><CipherReference URI="OEBPS/text/e"/></CipherData>
      </EncryptedData></encryption>"""
    source = book(tmp_path, chapters, order="abcde", more=[("META-INF/encryption.xml", sealed)])
    found = [i.reason if isinstance(i, Bad) else i.text for i in read(source, "chapter", 10_000)]
    assert found == ["一", "bad_charset", "too_large", "二", "encrypted"]


def test_a_chapter_may_say_its_charset(tmp_path):
    old = '<?xml version="1.0" encoding="gb2312"?><html><body><p>他说好，然后走了。</p></body></html>'.encode("gb2312")
    chapters = {"a": old, "b": page("他說好，然後走了。").decode().encode("utf-16")}
    assert [i.text for i in read(book(tmp_path, chapters), "chapter", 9999)] == [
        "他说好，然后走了。",
        "他說好，然後走了。",
    ]


def test_what_is_no_book(tmp_path):
    whole = book(tmp_path, {"a": page("一" * 1000)}).path.read_bytes()
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("readme", "x")
    for data in (b"", b"no zip", (tmp_path / "zip").read_bytes(), whole[: len(whole) // 2]):
        (bad,) = read(Input(put(tmp_path / "x.epub", data)), "chapter", 10_000)
        assert bad.reason == "bad_epub"
