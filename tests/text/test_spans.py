"""What is found is exactly the address, the path, the number: not the punctuation of the sentence around it."""

import time

import pytest

from bailong.text.spans import EMAIL, URL, protected


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("見 https://a.tw/b?x=1,2:3,然後", "https://a.tw/b?x=1,2:3"),
        ("(見 https://en.wikipedia.org/wiki/A_(b)),好", "https://en.wikipedia.org/wiki/A_(b)"),
        ("[img]http://img.example.com/sig/0001.gif[/img]", "http://img.example.com/sig/0001.gif"),
        ("Download 下載: https://dl.example.org/app-1.4.2.zip", "https://dl.example.org/app-1.4.2.zip"),
        ("請看www.example.com.tw。", "www.example.com.tw"),
        ("到 example.com:80/a?b=c!", "example.com:80/a?b=c"),
        ("見https：//www．example．com／a？x=1，然後", "https：//www．example．com／a？x=1"),
        ("https：／／a。tw／b，好", "https：／／a。tw／b"),
        ("HTTPS://A.TW.", "HTTPS://A.TW"),
    ],
)
def test_urls(text, url):
    assert [match[0] for match in URL.finditer(text)] == [url]


def test_two_urls_with_a_comma_between():
    assert [m[0] for m in URL.finditer("https://a.tw/b,https://b.tw/c。")] == ["https://a.tw/b", "https://b.tw/c"]


@pytest.mark.parametrize("text", ["用 ASP.NET 寫", "e.g. this", "3.14", "file.txt", "a.b@c.com", "C++: 好"])
def test_no_urls(text):
    assert not URL.search(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("來信a.b@c.tw,電話", "a.b@c.tw"),
        ("文件请发print@example.com", "print@example.com"),
        ("help＠example．com。", "help＠example．com"),
        ("help@example。com。tw，", "help@example。com。tw"),
    ],
)
def test_addresses(text, address):
    assert [match[0] for match in EMAIL.finditer(text)] == [address]


def kinds(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for start, end, kind in protected(text)]


def test_kinds():
    assert kinds('`a, b: c` 與 print("你好", x) 與 <b>') == [
        ("code", "`a, b: c`"),
        ("code", 'print("你好", x)'),
        ("code", "<b>"),
    ]
    assert kinds("檔案:C:\\使用者\\a.txt,在 /usr/local/bin/x,好") == [
        ("path", "C:\\使用者\\a.txt"),
        ("path", "/usr/local/bin/x"),
    ]
    assert [span for _, span in kinds("v1.2.3 10:30 1,234.50元 2019-03-02 14:00~16:00 22/7 第1章")] == [
        "v1.2.3",
        "10:30",
        "1,234.50",
        "2019-03-02",
        "14:00~16:00",
        "22/7",
    ]
    assert kinds("60元/天、S / M / L、and/or、[貼圖]") == []


def test_spans_do_not_overlap():
    text = '<a href="https://a.tw/b">`x@y.tw`</a> https://a.tw/?q=x@y.tw 3.14'
    spans = protected(text)
    assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
    assert [text[s:e] for s, e, kind in spans if kind == "url"] == ["https://a.tw/?q=x@y.tw"]
    assert protected(text, numbers=False) == [span for span in spans if span.kind != "number"]


@pytest.mark.parametrize("unit", ["a", "a.", "a@", "1.", "http://", "(", "f(", "/a", "<a ", "&a", "［", "[a="])
def test_patterns_are_linear(unit):
    start = time.process_time()
    protected(unit * 20_000)
    assert time.process_time() - start < 2
