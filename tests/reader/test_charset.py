import pytest

from bailong.reader.charset import codec_of, marked, page

TEXT = "社區圖書室在週六辦了換書會，三十多位鄰居抱著紙箱來，最搶手的是一套舊漫畫。館員說，剩下的書會送到山區的小學。"
SIMPLE = "社区图书室在周六办了换书会，三十多位邻居抱着纸箱来，最抢手的是一套旧漫画。馆员说，剩下的书会送到山区的小学。"
KANA = "東京都は日本の首都であり、人口が最も多い都市である。毎年たくさんの観光客が訪れ、寺や神社を見て歩く。"
HANGUL = "서울은 대한민국의 수도이며 인구가 가장 많은 도시이다. 해마다 많은 관광객이 찾아와 궁궐과 시장을 둘러본다."
LATIN = "Le café était fermé, créée en été; déjà vu à Noël. Größe, Straße, Übermaß, naïve façade."
LONG = "<script>" + "var a = '<meta charset=koi8-r>';" * 1300 + "</script><!-- <meta charset=big5> -->"


def meta(label):
    return f'<meta charset="{label}">'


def html(text, head=""):
    return f"<html><head>{head}<title>x</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize(
    ("text", "codec", "head", "header"),
    [
        (SIMPLE, "gb2312", LONG + meta("gb2312"), ""),  # behind a script of 40 kB
        (SIMPLE, "gb2312", LONG + '<META HTTP-EQUIV=Content-Type CONTENT="text/html; charset=GBK">', ""),
        (SIMPLE, "gb2312", "", "text/html; charset=gb2312"),  # said by the server alone
        (TEXT, "big5", "", 'text/html;charset="Big5"'),
        (TEXT, "gb18030", meta("gb2312"), ""),  # more characters than the name has
        (TEXT + "喺嗰啲嘅", "big5hkscs", meta("big5"), ""),
        (TEXT + "恒裏碁銹", "cp950", meta("big5"), ""),
        (TEXT, "utf-8", meta("gb2312"), "text/html; charset=gb2312"),  # what is said is not true
        (SIMPLE, "gbk", meta("utf-8"), "text/html; charset=utf-8"),
        (SIMPLE, "gbk", meta("big5"), ""),
        (TEXT, "big5", meta("gb2312"), ""),
        (SIMPLE, "gbk", meta("gbk"), "text/html; charset=ISO-8859-1"),
        (SIMPLE, "gbk", "", "text/html; charset=iso-8859-1"),
        (SIMPLE, "gbk", meta("no-such-set"), ""),
        (SIMPLE, "gbk", "", ""),  # nothing is said
        (TEXT, "big5", "", ""),
        (TEXT, "utf-16", meta("utf-16"), ""),
        (TEXT, "utf-16-le", "", ""),
        (TEXT, "utf-16-be", "", ""),
        (TEXT, "utf-8-sig", meta("big5"), "text/html; charset=big5"),
        (SIMPLE, "hz", meta("hz-gb-2312"), ""),
        (KANA, "cp932", meta("x-sjis"), ""),
        (KANA, "cp932", "", ""),
        (KANA, "euc_jp", meta("utf-8"), ""),
        (KANA, "iso2022_jp", "", ""),
        (HANGUL, "cp949", meta("ks_c_5601-1987"), ""),
        (HANGUL, "euc_kr", "", ""),
        (LATIN, "cp1252", meta("iso-8859-1"), ""),
        (LATIN, "cp1252", "", ""),
        (LATIN, "utf-8", meta("gb2312"), ""),
        ("“quoted” – €5", "cp1252", meta("latin1"), ""),
        ("Größe", "cp1252", meta("iso-8859-1"), ""),
        ("Москва является столицей России", "cp1251", meta("windows-1251"), ""),
        ("Москва является столицей России", "koi8_r", "", "text/html; charset=koi8-r"),
    ],
)
def test_a_page_is_read_as_it_was_written(text, codec, head, header):
    whole = html(text, head)
    found = page(whole.encode(codec), header)
    assert found is not None and found.text == whole


@pytest.mark.parametrize("label", ["gb2312", "utf-8", "big5"])
def test_an_xml_declaration_is_read_and_left_out(label):
    text = SIMPLE if label == "gb2312" else TEXT
    whole = f'\n<?xml version="1.0" encoding="{label}"?>\n{html(text)}'
    found = page(whole.encode(label))
    assert found is not None and found.text.strip() == html(text)


def test_few_broken_bytes_do_not_lose_a_page():
    for text, codec in ((TEXT, "utf-8"), (TEXT, "big5"), (SIMPLE, "gb2312"), (KANA, "euc_jp")):
        paragraphs = [f"<p>{text}</p>"] * 20
        data = html("".join(paragraphs), meta(codec)).encode(codec)
        middle = data.index("漫".encode(codec) if codec != "euc_jp" else "寺".encode(codec))
        for broken in (
            data[: len(data) // 2],
            data[:middle] + data[middle + 1 :],
            data[:middle] + b"\xff" + data[middle:],
        ):
            found = page(broken)
            assert found is not None
            assert found.text.count(text) >= 9
    whole = html(SIMPLE * 8, meta("gbk")).encode("gbk")
    skewed = page(whole.replace("抱".encode("gbk"), b"\xb1", 1))
    assert skewed is not None
    # what is read askew behind the missing byte is not published, but for a character at either end
    assert "\ufffd" in skewed.text
    assert len(set(skewed.text) - set(html(SIMPLE, meta("gbk"))) - {"\ufffd"}) <= 2


def test_what_cannot_be_read_is_none():
    for data in (
        bytes(range(128, 256)) * 9,
        b"<p>\xff\xfa</p>",
        html(SIMPLE).encode("gbk")[::-1],
        ("Москва является столицей России, самым большим городом страны. " * 2).encode("koi8_r"),
    ):
        assert page(data) is None


def test_labels():
    for label, codec in (
        ("GB2312", "gb18030"),
        (" big5-hkscs ", "big5hkscs"),
        ("latin1", "cp1252"),
        ("x-sjis", "cp932"),
    ):
        assert codec_of(label) == codec
    for label in ("", "rot13", "unicode_escape", "utf-7", "base64"):
        assert codec_of(label) is None
    assert marked("一二三".encode()) is None
    assert marked(b"\x00\x01\x02" * 50) is None
    assert marked('{"text": "一"}\n'.encode("utf-16-be")) == "utf-16-be"
