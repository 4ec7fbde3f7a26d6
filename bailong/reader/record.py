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
        reason: one word: `bad_utf8` (or another charset that was asked for), `bad_charset` (no likely reading of the
            bytes of a page), `bad_json`, `not_object`, `no_text`, `bad_csv`, `ragged` (a row with more or fewer columns
            than there are names), `empty`, `lone_surrogate`, `too_large`, `trunc_tail`, `corrupt`, `bad_xml`,
            `bad_html`, `bad_warc`, `bad_epub`, `bad_parquet`, `encrypted`, `bad_url`, `http_<status>`, `unreachable`,
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

    A name with dots in it (`data.text`) is a field of that very name where there is one, else a path into objects
    within objects. `a+b` joins the fields a and b with an empty line between them, for text that a dataset keeps in
    two columns (question and answer); fields that are absent, null or empty are then left out.
    """

    def __init__(self, text: str, url: str = "") -> None:
        self.text, self.url = text, url
        self.parts = text.split("+") if "+" in text else []
        self.deep = "." in text

    def names(self) -> list[str]:
        """Every field that is read."""
        return (self.parts or [self.text]) + ([self.url] if self.url else [])

    def columns(self, has: list[str]) -> list[str]:
        """The columns of a table that are read, of those that it has; none if it lacks the text."""

        def there(names: list[str]) -> list[str]:
            return [name for name in names if name in has or name.partition(".")[0] in has]

        text = [self.text] if self.text in has else there(self.parts or [self.text])
        return [*text, *(name for name in there([self.url]) if name not in text)] if text else []

    def text_of(self, row: dict[str, Any]) -> str | None:
        """The text of a record; None if it has none."""
        value = row.get(self.text)
        if value is None and self.parts:
            found = [value_of(row, name) for name in self.parts]
            texts = [text for text in found if isinstance(text, str) and text.strip()]
            return "\n\n".join(texts) if texts or any(name in row for name in self.parts) else None
        if value is None and self.deep:
            value = value_of(row, self.text)
        return value if isinstance(value, str) else None

    def url_of(self, row: dict[str, Any]) -> str:
        value = value_of(row, self.url) if self.url else None
        return value if isinstance(value, str) else ""


def value_of(row: dict[str, Any], name: str) -> Any:
    """The field of that name, else what the path leads to; None if neither is there."""
    if name in row:
        return row[name]
    found: Any = row
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def needs(package: str, extra: str) -> ModuleNotFoundError:
    """What to raise when a file needs a package that is not here."""
    return ModuleNotFoundError(f"this source needs {package}: pip install 'bailong[{extra}]'")
