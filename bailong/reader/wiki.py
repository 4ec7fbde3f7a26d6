"""Articles of a MediaWiki XML dump. Each page is parsed by itself, so that a broken one costs nothing but itself."""

import re
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree

from bailong.reader.record import HEAD, Bad, Item, Record, Skipped
from bailong.reader.stream import Damaged, Input
from bailong.reader.wikitext import Cleaner, Wiki

#: text is escaped in a dump: these bytes can only be tags
BEGIN, END = b"<page>", b"</page>"


def read(source: Input, variant: str, title: bool, skip_sections: bool, max_bytes: int) -> Iterator[Item]:
    """The articles (namespace 0, no redirects) as plain text.

    Args:
        variant: the language variant that is read out of `-{...}-`, such as `zh-tw`.
        title: begin each text with its title.
        skip_sections: leave out references, external links and the like.

    Raises:
        Damaged: after the last whole page.
    """
    clean: Cleaner | None = None
    wiki = Wiki()
    row = 0
    for row, (offset, page, size, before) in enumerate(pages(source, 2 * max_bytes), 1):
        if clean is None:
            wiki = site(before)
            clean = Cleaner(wiki, variant, skip_sections)
        if size > len(page):
            yield Bad(row, offset, "too_large", page, size)
            continue
        try:
            root = ElementTree.fromstring(page)
        except ElementTree.ParseError:
            reason = "bad_xml" if page.decode("utf-8", "ignore").encode() == page else "bad_utf8"
            yield Bad(row, offset, reason, page[:HEAD], size)
            continue
        name = root.findtext("title") or ""
        if root.findtext("ns", "0") != "0":
            yield Skipped("other_namespace")
        elif root.find("redirect") is not None:
            yield Skipped("redirect")
        elif (markup := root.findtext("revision/text")) is None:
            yield Bad(row, offset, "no_text", page[:HEAD], size)
        else:
            text = clean(markup, name)
            if not text:
                yield Bad(row, offset, "no_content", page[:HEAD], size)
            else:
                url = f"{wiki.base}{quote(name.replace(' ', '_'), safe='/:@!$()*,;')}" if wiki.base else ""
                yield Record(row, offset, f"{name}\n\n{text}" if title and name else text, url)
    if not row and source.produced and b"<mediawiki" not in (start := next(source.blocks()))[:HEAD]:
        yield Bad(1, 0, "bad_xml", start[:HEAD], source.produced)  # no dump at all


def site(header: bytes) -> Wiki:
    """What the head of a dump says of its wiki: where its pages are, and how it calls files and categories,
    and in what language it is."""
    begin, end = header.find(b"<siteinfo>"), header.find(b"</siteinfo>")
    try:
        root = ElementTree.fromstring(header[begin : end + len(b"</siteinfo>")]) if 0 <= begin < end else None
    except ElementTree.ParseError:
        root = None
    said = re.search(rb"<mediawiki\b[^<>]*\bxml:lang=[\"']([\w-]+)", header)
    language = said[1].decode() if said else ""
    if root is None:
        return Wiki(language=language)
    names = {e.get("key"): e.text or "" for e in root.iter("namespace")}
    base = (root.findtext("base") or "").rpartition("/")[0]
    return Wiki(f"{base}/" if base else "", names.get("6", ""), names.get("14", ""), language)


def pages(source: Input, limit: int) -> Iterator[tuple[int, bytes, int, bytes]]:
    """Pages of a dump: offset, bytes (only the first `HEAD` of a page above `limit`), size, and what stood before it.

    Raises:
        Damaged: after the last whole page; also when the file just ends within one.
    """
    buffer = bytearray()
    start, dropped, inside = 0, 0, False  # offset of the buffer, bytes of the page that were let go, is it a page
    before = head = b""
    seen = number = 0  # bytes of the buffer that hold no tag, pages so far
    stream = source.blocks()
    broken: Damaged | None = None
    while True:
        tag = END if inside else BEGIN
        found = buffer.find(tag, max(seen - len(tag), 0))
        if found >= 0 and not inside:
            before = bytes(buffer[:found])
            del buffer[:found]
            start, inside, seen, head = start + found, True, 0, b""
        elif found >= 0:
            end = found + len(tag)
            size = dropped + end
            number += 1
            page = head or bytes(buffer[: end if size <= limit else HEAD])
            yield start - dropped, page, size, before
            del buffer[:end]
            start, inside, seen, dropped = start + end, False, 0, 0
        else:
            seen = len(buffer)
            if seen > limit:  # too large: keep its beginning, and enough to find a tag cut in two
                head = head or bytes(buffer[:HEAD])
                cut = seen - len(END)
                del buffer[:cut]
                start, dropped, seen = start + cut, dropped + cut * inside, len(buffer)
            try:
                block = next(stream, b"")
            except Damaged as damage:
                broken, block = damage, b""
            if not block:
                break
            buffer += block
    if broken is None and inside:
        broken = Damaged("MediaWiki", "trunc_tail", source.produced)
    if broken is not None:
        broken.row, broken.start, broken.tail = number + 1, start - dropped, head or bytes(buffer[:HEAD])
        raise broken
