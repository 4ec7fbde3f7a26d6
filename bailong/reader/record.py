"""What a reader yields: a record that is text, one that is not, or something that is no document at all."""

from typing import Any, NamedTuple

#: bytes of a bad record that are kept to look at
HEAD = 200

#: why a record is left out although nothing is wrong with the file; every other reason counts as damage
HARMLESS = ("empty", "no_content", "not_html", "robots")


class Record(NamedTuple):
    """One document as it was found.

    Attributes:
        row: counted from 1: the line it begins on, or its position among the file's records.
        offset: bytes of the decompressed file before it; -1 where a format has no such thing.
    """

    row: int
    offset: int
    text: str
    url: str = ""


class Bad(NamedTuple):
    """A record without text, and why.

    Attributes:
        reason: one word: `bad_utf8`, `bad_charset` (no likely reading of its bytes), `bad_json`, `not_object`,
            `no_text`, `empty`, `lone_surrogate`, `too_large`, `trunc_tail`, `corrupt`, `bad_xml`, `bad_html`,
            `bad_warc`, `bad_epub`, `bad_parquet`, `encrypted`, `bad_url`, `http_<status>`, `unreachable`,
            or one of `HARMLESS`.
        head: its first bytes.
        size: all its bytes, as far as they were seen.
    """

    row: int
    offset: int
    reason: str
    head: bytes
    size: int


class Skipped(NamedTuple):
    """Something in the file that nobody meant as a document: a redirect, a talk page, an image in a WARC file."""

    reason: str


Item = Record | Bad | Skipped


class Fields:
    """Which fields of a record hold its text and its address.

    `a+b` joins the fields a and b with an empty line between them, for text that a dataset keeps in two columns
    (question and answer); fields that are absent, null or empty are then left out.
    """

    def __init__(self, text: str, url: str = "") -> None:
        self.text, self.url = text, url
        self.parts = text.split("+") if "+" in text else []

    def names(self) -> list[str]:
        """Every field that is read."""
        return (self.parts or [self.text]) + ([self.url] if self.url else [])

    def text_of(self, row: dict[str, Any]) -> str | None:
        """The text of a record; None if it has none."""
        value = row.get(self.text)
        if value is None and self.parts:
            found = [row[name] for name in self.parts if isinstance(row.get(name), str) and row[name].strip()]
            return "\n\n".join(found) if any(name in row for name in self.parts) else None
        return value if isinstance(value, str) else None

    def url_of(self, row: dict[str, Any]) -> str:
        value = row.get(self.url) if self.url else None
        return value if isinstance(value, str) else ""


def needs(package: str, extra: str) -> ModuleNotFoundError:
    """What to raise when a file needs a package that is not here."""
    return ModuleNotFoundError(f"this source needs {package}: pip install 'bailong[{extra}]'")
