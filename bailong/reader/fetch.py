"""Pages of a list of addresses, fetched politely: robots.txt, one request at a time and a pause between two at each
host, back-off when a host is busy, and nothing fetched twice."""

import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from bailong.reader import charset
from bailong.reader.record import HEAD, Bad, Item, Record
from bailong.reader.stream import Input, Line, lines
from bailong.reader.web import PAGES, Extractor
from bailong.run.files import write

#: answers that may be different in a moment
BUSY = (429, 500, 502, 503, 504)
PASSING = ("unreachable", *(f"http_{code}" for code in BUSY))
#: the longest that a host may make us wait, in seconds
PATIENCE = 60.0
MAX_URL = 8192
#: characters of an address that stay as they are; others are percent-encoded
SAFE = "/:?&=%@+,;!$'()*~[]-._"


@dataclass
class Politeness:
    """How we behave towards hosts.

    Attributes:
        user_agent: who we say we are; also the name that robots.txt is asked about.
        delay: seconds between two requests to one host; a longer `Crawl-delay` of its robots.txt counts instead.
        timeout: seconds for one answer.
        retries: how often a busy or silent host is asked again, each time after twice as long.
        hosts: hosts that are visited at the same time.
    """

    user_agent: str
    delay: float
    timeout: float
    retries: int
    hosts: int


def read(source: Input, extractor: Extractor, politeness: Politeness, cache: Path, max_bytes: int) -> Iterator[Item]:
    """The pages of a list of addresses, one a line (blank lines and lines that begin with # left out), in its order.

    What was answered is kept in `cache`, so that a run that was stopped goes on where it was. What may be different
    another time (silence, a busy host) is not.
    """
    asked = [line for line in lines(source, MAX_URL) if (word := line.data.strip()) and not word.startswith(b"#")]
    urls = [_url(line) for line in asked]
    visits: dict[str, list[str]] = {}
    for url in dict.fromkeys(filter(None, urls)):
        visits.setdefault(urlsplit(url).netloc, []).append(url)
    failed: dict[str, dict[str, Any]] = {}

    def visit(host: list[str]) -> None:
        crawler = HostCrawler(politeness, max_bytes)
        for url in host:
            if not stopped.is_set() and not (cache / _name(url)).exists():
                answer = crawler.get(url)
                if answer["reason"] in PASSING:
                    failed[url] = answer
                else:
                    _keep(cache / _name(url), answer)

    stopped = threading.Event()
    with ThreadPoolExecutor(politeness.hosts) as pool:
        try:
            list(pool.map(visit, visits.values()))
        except BaseException:
            stopped.set()  # Ctrl-C: every host finishes its present page
            raise
    for line, url in zip(asked, urls, strict=True):
        if url is None:
            yield Bad(line.row, line.offset, "bad_url", line.data[:HEAD], line.size)
        elif url in failed:
            yield Bad(line.row, line.offset, failed[url]["reason"], f"{url} {failed[url]['said']}".encode()[:HEAD], 0)
        else:
            yield _page(line, url, cache / _name(url), extractor)


class HostCrawler:
    """Requests to one host, one after another."""

    def __init__(self, politeness: Politeness, max_bytes: int) -> None:
        self.politeness, self.max_bytes = politeness, max_bytes
        self.robots: dict[str, RobotFileParser] = {}
        self.dead: dict[str, str] = {}
        self.last = -float("inf")
        self.opener = urllib.request.build_opener(_Redirects(self))

    def get(self, url: str) -> dict[str, Any]:
        """The answer to one address: `url` (where redirects ended), `kind`, `body`, and a `reason` if it is no page."""
        try:
            if not self.allowed(url):
                return _answer(url, "robots")
            return self._ask(url)
        except _Refused as refused:
            return _answer(refused.url, "robots")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _answer(url, "unreachable", said=str(error))

    def allowed(self, url: str) -> bool:
        """What the host's robots.txt says; RFC 9309: none there allows all, a host that fails allows nothing."""
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host in self.dead:
            raise OSError(self.dead[host])  # asked in vain once, with all retries
        if host not in self.robots:
            rules = RobotFileParser()
            try:
                answer = self._ask(urljoin(host, "/robots.txt"))
            except (OSError, http.client.HTTPException) as error:
                self.dead[host] = str(error)
                raise
            if answer["reason"] in ("http_401", "http_403") or answer["reason"].startswith("http_5"):
                rules.parse(["User-agent: *", "Disallow: /"])
            else:
                rules.parse(answer["body"].decode("utf-8", "replace").splitlines() if not answer["reason"] else [])
            self.robots[host] = rules
        return self.robots[host].can_fetch(self.politeness.user_agent, url)

    def _ask(self, url: str) -> dict[str, Any]:
        wait = max(self.politeness.delay, 0.1)
        for left in range(self.politeness.retries, -1, -1):
            self._pause(url)
            request = urllib.request.Request(
                url, headers={"User-Agent": self.politeness.user_agent, "Accept": "text/html"}
            )
            try:
                with self.opener.open(request, timeout=self.politeness.timeout) as response:
                    body = response.read(self.max_bytes + 1)
                    reason = "too_large" if len(body) > self.max_bytes else ""
                    kind, said = response.headers.get_content_type(), response.headers.get("Content-Type", "")
                    return _answer(response.url, reason, kind, body, header=said)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in BUSY or not left:
                        return _answer(url, f"http_{error.code}")
                    asked = error.headers.get("Retry-After", "")
                time.sleep(min(max(float(asked) if asked.isdigit() else 0.0, wait), PATIENCE))
            except _Refused:
                raise
            except (OSError, http.client.HTTPException):
                if not left:
                    raise
                time.sleep(min(wait, PATIENCE))
            wait *= 2
        raise AssertionError("unreachable")

    def _pause(self, url: str) -> None:
        parts = urlsplit(url)
        rules = self.robots.get(f"{parts.scheme}://{parts.netloc}")
        asked = rules.crawl_delay(self.politeness.user_agent) if rules is not None and rules.mtime() else None
        delay = min(max(self.politeness.delay, float(asked or 0)), PATIENCE)
        time.sleep(max(self.last + delay - time.monotonic(), 0.0))
        self.last = time.monotonic()


class _Refused(Exception):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to pages that robots.txt of their host allows."""

    def __init__(self, crawler: HostCrawler) -> None:
        self.crawler = crawler

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).path != "/robots.txt" and not self.crawler.allowed(newurl):
            raise _Refused(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _page(line: Line, url: str, kept: Path, extractor: Extractor) -> Item:
    head, _, body = kept.read_bytes().partition(b"\n")
    answer = {"header": ""} | json.loads(head)  # pages kept by an earlier version lack it
    if answer["reason"]:
        return Bad(line.row, line.offset, answer["reason"], url.encode()[:HEAD], answer["bytes"])
    if answer["kind"] in PAGES:
        item = extractor.item(body, line.row, line.offset, answer["url"], answer["header"])
        return item._replace(head=url.encode()[:HEAD]) if isinstance(item, Bad) else item
    if answer["kind"] != "text/plain":
        return Bad(line.row, line.offset, "not_html", url.encode()[:HEAD], len(body))
    found = charset.plain(body, answer["header"])
    if found is None:
        return Bad(line.row, line.offset, "bad_charset", body[:HEAD], len(body))
    return Record(line.row, line.offset, found.text, answer["url"])


def _answer(
    url: str, reason: str, kind: str = "", body: bytes = b"", said: str = "", header: str = ""
) -> dict[str, Any]:
    return {"url": url, "reason": reason, "kind": kind, "body": body, "said": said, "header": header}


def _keep(path: Path, answer: dict[str, Any]) -> None:
    body = b"" if answer["reason"] else answer["body"]
    head = {name: answer[name] for name in ("url", "reason", "kind", "header")} | {"bytes": len(answer["body"])}
    write(path, json.dumps(head).encode() + b"\n" + body)


def _name(url: str) -> str:
    name = hashlib.sha256(url.encode()).hexdigest()[:40]
    return f"{name[:2]}/{name}"


def _url(line: Line) -> str | None:
    """The address of a line; None if it is none that we fetch."""
    try:
        url = line.data.decode("utf-8").strip()
        parts = urlsplit(url)
    except ValueError:
        return None
    if line.size > MAX_URL or parts.scheme not in ("http", "https") or not parts.hostname or " " in url:
        return None
    try:
        place = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    except UnicodeError:
        return None
    return f"{parts.scheme}://{place}{quote(parts.path or '/', SAFE)}" + (
        f"?{quote(parts.query, SAFE)}" if parts.query else ""
    )
