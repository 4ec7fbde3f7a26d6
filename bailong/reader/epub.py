"""Books: the chapters of an EPUB file in reading order."""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

from bailong.reader import charset
from bailong.reader.record import HEAD, Bad, Item, Record, Skipped
from bailong.reader.stream import Input

CONTAINER = "META-INF/container.xml"
ENCRYPTION = "META-INF/encryption.xml"

_BLOCKS = """address article aside blockquote body br caption dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6
header hr li main nav ol p pre section table td th tr ul"""
#: elements that begin a new line; every other one runs on within it
BLOCKS = frozenset(_BLOCKS.split())
#: elements whose content is no text of the book; `rt` and `rp` are readings beside the characters (ruby)
SILENT = frozenset(("head", "script", "style", "rt", "rp", "template"))
WRAPPED = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef])\s*\n\s*(?=[\u2e80-\u9fff\uff00-\uffef])")


def read(source: Input, unit: str, max_bytes: int) -> Iterator[Item]:
    """One document a chapter, or (`unit` = book) one a file. The row is the chapter's place in the spine."""
    whole: list[str] = []
    try:
        with zipfile.ZipFile(source.path) as book:
            sealed = _encrypted(book)
            for row, name in enumerate(spine(book), 1):
                if name not in book.NameToInfo:
                    yield Bad(row, -1, "bad_epub", f"no file {name}".encode()[:HEAD], 0)
                elif name in sealed:
                    yield Bad(row, -1, "encrypted", name.encode()[:HEAD], book.getinfo(name).file_size)
                elif (size := book.getinfo(name).file_size) > max_bytes:
                    yield Bad(row, -1, "too_large", name.encode()[:HEAD], size)
                else:
                    found = _chapter(book, name, row)
                    if isinstance(found, Record) and unit == "book":
                        whole.append(found.text)
                    else:
                        yield found
                source.consumed = source.size
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, OSError) as error:
        yield Bad(1, -1, "bad_epub", str(error).encode()[:HEAD], source.size)
    if whole:
        yield Record(1, -1, "\n\n".join(whole))


def spine(book: zipfile.ZipFile) -> list[str]:
    """Names of the chapter files in reading order.

    Raises:
        KeyError, xml.etree.ElementTree.ParseError: the archive is no EPUB.
    """
    root = ElementTree.fromstring(book.read(CONTAINER))
    package = next((e.get("full-path") for e in root.iter() if _local(e) == "rootfile"), None)
    if package is None:
        raise KeyError(f"{CONTAINER} names no rootfile")
    content = ElementTree.fromstring(book.read(package))
    folder = posixpath.dirname(package)
    files = {
        e.get("id"): posixpath.normpath(posixpath.join(folder, unquote(e.get("href", ""))))
        for e in content.iter()
        if _local(e) == "item" and "html" in e.get("media-type", "") and "nav" not in e.get("properties", "").split()
    }
    order = [e.get("idref") for e in content.iter() if _local(e) == "itemref"]
    return [files[i] for i in order if i in files]


class PageText(HTMLParser):
    """The visible text of a page, a line for each block of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in SILENT:
            self.silent += 1
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent = max(self.silent - 1, 0)
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            # a newline in the source of a page is a space, or nothing between two Chinese characters
            self.pieces.append(WRAPPED.sub("", data).replace("\n", " "))

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self.pieces).split("\n"))
        return "\n".join(line for line in lines if line)


def _chapter(book: zipfile.ZipFile, name: str, row: int) -> Item:
    try:
        data = book.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        return Bad(row, -1, "bad_epub", f"{name}: {error}".encode()[:HEAD], 0)
    page = charset.page(data)
    if page is None:
        return Bad(row, -1, "bad_charset", data[:HEAD], len(data))
    parser = PageText()
    parser.feed(page.text)
    parser.close()
    text = parser.text()
    return Record(row, -1, text) if text else Skipped("blank_page")  # a cover, a picture


def _encrypted(book: zipfile.ZipFile) -> set[str]:
    if ENCRYPTION not in book.NameToInfo:
        return set()
    root = ElementTree.fromstring(book.read(ENCRYPTION))
    return {unquote(e.get("URI", "")) for e in root.iter() if _local(e) == "CipherReference"}


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
