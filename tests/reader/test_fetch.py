import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("trafilatura")

from bailong.reader.fetch import Politeness, read
from bailong.reader.record import Bad
from bailong.reader.stream import Input
from bailong.reader.web import Extractor
from tests.reader.files import put
from tests.reader.test_web import MAIN, page


class Site(BaseHTTPRequestHandler):
    """A host with a robots.txt, a busy page, redirects and dead links."""

    asked: list[tuple[float, str, str]] = []
    busy = 0

    def do_GET(self):
        self.asked.append((time.monotonic(), self.path, self.headers["User-Agent"]))
        path = self.path
        if path == "/robots.txt":
            self.answer(200, b"User-agent: *\nDisallow: /private\n", "text/plain")
        elif path == "/busy" and Site.busy < 1:
            Site.busy += 1
            self.answer(503, b"later")
        elif path in ("/moved", "/trap"):
            self.send_response(302)
            self.send_header("Location", "/a" if path == "/moved" else "/private/b")
            self.end_headers()
        elif path == "/plain":
            self.answer(200, "純文字。".encode(), "text/plain; charset=utf-8")
        elif path == "/big5":
            self.answer(200, page(charset="big5").replace(b"big5", b"utf8"), "text/html; charset=big5")
        elif path == "/plain-big5":
            self.answer(200, "純文字。".encode("big5"), "text/plain; charset=big5")
        elif path == "/image":
            self.answer(200, b"\x89PNG", "image/png")
        elif path == "/down":
            self.answer(500, b"")
        elif path.startswith("/gone"):
            self.answer(404, b"")
        else:
            self.answer(200, page(), "text/html; charset=utf-8")

    def answer(self, status, body, kind="text/html"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    Site.asked, Site.busy = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(path, lines, **knobs):
    politeness = Politeness(**{"user_agent": "test/1", "delay": 0.02, "timeout": 5, "retries": 1, "hosts": 2} | knobs)
    extractor = Extractor("precision", False, False, True, None)
    source = Input(put(path / "urls.txt", "\n".join(lines).encode()))
    return list(read(source, extractor, politeness, path / "pages", 100_000))


def test_a_list_of_addresses(tmp_path, site):
    paths = ["/a?q=中文#part", "/gone", "/private/x", "/busy", "/moved", "/trap", "/plain", "/image", "/down"]
    lines = ["# a comment", *(site + p for p in paths), "", "ftp://a.tw/x", "file:///etc/hostname", "no address"]
    found = fetch(tmp_path, lines)
    said = [i.reason if isinstance(i, Bad) else i.text[:5] for i in found]
    assert said[:5] == [MAIN[:5], "http_404", "robots", MAIN[:5], MAIN[:5]] or said[0] == "換書會\n社"
    assert [i.reason if isinstance(i, Bad) else "text" for i in found] == [
        *("text", "http_404", "robots", "text", "text", "robots", "text", "not_html", "http_500"),
        *("bad_url", "bad_url", "bad_url"),
    ]
    assert found[6].text == "純文字。"
    assert found[4].url == f"{site}/a"
    asked = [path for _, path, _ in Site.asked]
    assert not any(path.startswith("/private") for path in asked)
    assert asked.count("/robots.txt") == 1 and asked.count("/busy") == 2 and "/a?q=%E4%B8%AD%E6%96%87" in asked
    assert {agent for *_, agent in Site.asked} == {"test/1"}


def test_what_was_answered_is_not_asked_again(tmp_path, site):
    lines = [f"{site}/1", f"{site}/gone", f"{site}/down"]
    first = fetch(tmp_path, lines)
    Site.asked.clear()
    assert fetch(tmp_path, [*lines, f"{site}/2"])[:3] == first
    # an error that may pass is tried anew
    assert {path for _, path, _ in Site.asked} == {"/robots.txt", "/down", "/2"}


def test_a_host_gets_its_pauses(tmp_path, site):
    fetch(tmp_path, [f"{site}/{i}" for i in range(4)], delay=0.15)
    times = [moment for moment, _, _ in Site.asked]
    assert len(times) == 5
    assert min(b - a for a, b in zip(times, times[1:], strict=False)) > 0.13


def test_a_silent_host_is_asked_once_and_for_all(tmp_path):
    began = time.monotonic()
    found = fetch(tmp_path, [f"http://127.0.0.1:9/{i}" for i in range(50)], retries=1, delay=0.01)
    assert [i.reason for i in found] == ["unreachable"] * 50
    assert time.monotonic() - began < 3
    assert not list((tmp_path).glob("pages/*/*"))


def test_what_a_host_says_of_the_charset_counts_and_is_kept(tmp_path, site):
    for _ in range(2):  # fetched, then from the pages that were kept
        html, plain = fetch(tmp_path, [f"{site}/big5", f"{site}/plain-big5"])
        assert html.text.count(MAIN) == 4 and plain.text == "純文字。"
