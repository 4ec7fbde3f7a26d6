"""A page as a browser and as a reader see it."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "line", "circle", "input"}


class Balance(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
            self.open.pop()


def words(text: str) -> str:
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", text, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def parsed(text: str) -> Balance:
    """The page with everything closed that was opened."""
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    return parser


def check_whole(text: str) -> None:
    """It reads on light and dark and on paper, and needs nothing from elsewhere."""
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)
    assert "@import" not in text and "url(http" not in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {link for link in parsed(text).links if link.startswith("#")} <= {f"#{name}" for name in ids}
