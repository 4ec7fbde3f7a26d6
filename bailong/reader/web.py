"""Web pages: HTML files and WARC archives; the main text of a page is trafilatura's (paper, section 3.2)."""

import io
import logging
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from bailong.reader import charset
from bailong.reader.record import HEAD, Bad, Item, Record, Skipped, needs
from bailong.reader.stream import Input, Unpacked
from bailong.text import superscript

GZIP = b"\x1f\x8b\x08"
PAGES = ("text/html", "application/xhtml+xml")


class Extractor:
    """trafilatura with fixed knobs: the bytes of a page -> its main text.

    Args:
        favour: `precision` (less, cleaner text), `recall` (more) or `balance`.
        tables, comments: keep them.
        fast: skip the slower second opinions (about twice as fast, and less found).
        language: keep only pages that trafilatura takes for this language (needs py3langid); None: any.
    """

    def __init__(self, favour: str, tables: bool, comments: bool, fast: bool, language: str | None) -> None:
        try:
            from trafilatura import extract
            from trafilatura.utils import handle_compressed_file
        except ImportError:
            raise needs("trafilatura", "web") from None
        logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it reports every page without main text
        self._extract: Callable[..., str | None] = extract
        self._unpack: Callable[[bytes], bytes] = handle_compressed_file
        self._knobs: dict[str, Any] = {
            "favor_precision": favour == "precision",
            "favor_recall": favour == "recall",
            "include_tables": tables,
            "include_comments": comments,
            "include_formatting": False,
            "fast": fast,
            "target_language": language,
        }

    def item(self, page: bytes, row: int, offset: int, url: str, header: str = "") -> Item:
        """A page as a record: what trafilatura finds, `no_content` where it finds nothing.

        Args:
            header: the Content-Type of the answer, which may name the charset.
        """
        if page.startswith(GZIP):  # a server that packs a page need not say so
            page = self._unpack(page)
        # trafilatura's own guess looks at the two ends of a page and takes what decodes
        found = charset.page(page, header)
        if found is None:
            return Bad(row, offset, "bad_charset", page[:HEAD], len(page))
        try:  # it drops the tags, and 10<sup>8</sup> would be 108
            text = self._extract(superscript.written(found.text), url=url or None, **self._knobs)
        except (ValueError, TypeError, AttributeError, RecursionError, AssertionError, LookupError):
            return Bad(row, offset, "bad_html", page[:HEAD], len(page))
        if not text:
            return Bad(row, offset, "empty" if not page.strip() else "no_content", page[:HEAD], len(page))
        return Record(row, offset, text, url)


def html(source: Input, extractor: Extractor, max_bytes: int) -> Iterator[Item]:
    """One page a file.

    Raises:
        Damaged: it is compressed, and not whole.
    """
    page = b""
    for block in source.blocks():
        page += block
        if len(page) > max_bytes:
            yield Bad(1, 0, "too_large", page[:HEAD], len(page))
            return
    if page:
        yield extractor.item(page, 1, 0, "")


def warc(source: Input, extractor: Extractor, max_bytes: int) -> Iterator[Item]:
    """The pages of a WARC file (successful responses that are HTML), or the texts of a WET file.

    Raises:
        Damaged: after every record before the damage.
    """
    try:
        from warcio.archiveiterator import ArchiveIterator
        from warcio.exceptions import ArchiveLoadFailed
    except ImportError:
        raise needs("warcio", "web") from None
    stream = Unpacked(source)
    archive = ArchiveIterator(io.BufferedReader(stream, 1 << 16))
    row = offset = 0
    record = item = None
    # what warcio raises besides its own word, on headers that are cut or make no sense
    unreadable = (ArchiveLoadFailed, AttributeError, ValueError, TypeError, zlib.error)
    try:
        for row, record in enumerate(archive, 1):
            offset = archive.offset  # get_record_offset() would read past the record
            try:
                item = _record(record, row, offset, extractor, max_bytes)
            except unreadable as error:
                item = Bad(row, offset, "bad_warc", str(error).encode()[:HEAD], 0)
            if not (stream.damage is not None and isinstance(item, Bad) and item.reason == "trunc_tail"):
                yield item
        cut = isinstance(item, Bad) and item.reason == "trunc_tail"
        if stream.damage is None and not cut:
            if record is not None and isinstance(item, Skipped) and record.raw_stream.limit > 0:
                yield Bad(row, offset, "trunc_tail", b"", 0)  # the file ends within what was skipped
            elif archive.offset < source.produced:  # ... or within a header, which warcio lets pass in silence
                yield Bad(row + 1, archive.offset, "trunc_tail", b"", source.produced - archive.offset)
    except unreadable as error:
        if stream.damage is None:
            yield Bad(row + 1, offset, "bad_warc", str(error).encode()[:HEAD], 0)
    if stream.damage is not None:
        stream.damage.row = row + 1
        raise stream.damage


def _record(record: Any, row: int, offset: int, extractor: Extractor, max_bytes: int) -> Item:
    headers = record.http_headers
    said = (headers or record.rec_headers).get_header("Content-Type", "")
    kind = said.partition(";")[0].strip().lower()
    url = record.rec_headers.get_header("WARC-Target-URI", "").strip("<>")
    plain = record.rec_type == "conversion" and kind == "text/plain"
    if not plain and record.rec_type != "response":
        return Skipped(record.rec_type)
    if not plain and kind not in PAGES:
        return Skipped("not_html")
    if not plain and headers.get_statuscode() != "200":
        return Skipped("not_ok")
    data = _payload(record.content_stream(), max_bytes)
    if len(data) > max_bytes:
        return Bad(row, offset, "too_large", data[:HEAD], len(data))
    if record.raw_stream.limit > 0:
        return Bad(row, offset, "trunc_tail", data[:HEAD], len(data))  # the file ends within the record
    if not plain:
        return extractor.item(data, row, offset, url, said)
    try:
        return Record(row, offset, data.decode("utf-8"), url)
    except UnicodeDecodeError:
        return Bad(row, offset, "bad_utf8", data[:HEAD], len(data))


def _payload(stream: Any, max_bytes: int) -> bytes:
    """The content of a record, or a little more than `max_bytes` of it."""
    data = b""
    while len(data) <= max_bytes and (more := stream.read(1 << 16)):
        data += more
    return data
