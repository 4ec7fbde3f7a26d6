"""Texts of two languages that say the same, in the forms in which they are published.

`TMX`         translation units in XML, each with a variant a language; the languages are told by their labels
two files     a line a sentence, line by line (Moses): `path: news.en-tr.{en,tr}`, the side that is translated first
tables, JSON  a record a pair: `columns: {source: en, target: tr}`, numbers for a table without names (`{source: 0}`);
              without `columns` the sides are the fields that carry the labels of the two languages (`en`, `zh_tw`), in
              OPUS' `translation` as well, else those named `source` and `target`. A field may be a list of texts, side
              by side as two files are.
"""

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bailong.data.settings import PAIR_SIDES, Source
from bailong.prepare.dialogue import rows
from bailong.prepare.dialogue.rows import FoundRecord
from bailong.reader.charset import marked
from bailong.reader.record import HEAD, Bad
from bailong.reader.stream import Damaged, Input, Line, head, in_utf8
from bailong.reader.stream import lines as lines_of
from bailong.text.language import language, own_code, said_script, same, written

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
SOURCE, TARGET = PAIR_SIDES
#: what a record is told to be translated from
SPOKEN = "source_language"
#: inline elements of TMX that hold text; what is in others are codes of another program
_INLINE = ("hi", "sub", "mrk")
#: the byte-order mark of a text
BEFORE = "\ufeff"
#: bytes that the end of one document, the beginning of the next, and what stands between them may take
LONGEST_JOINT = 4096


def records(path: Path, named: bool = True) -> Iterator[FoundRecord | Bad]:
    """The records of one file: units of TMX, else as of any source of dialogues (`rows.local`)."""
    return tmx(path) if ".tmx" in path.name.lower() else rows.local(path, named)


def line_by_line(first: Path, second: Path) -> Iterator[FoundRecord | Bad]:
    """The pairs of two files. A line that is no UTF-8 costs its pair; where a file breaks off, so do the pairs.

    Raises:
        ValueError: one has more lines: which of them belong together is not known then.
    """
    number = 0
    try:
        sides = (lines_of(in_utf8(Input(path)), sys.maxsize) for path in (first, second))
        for number, pair in enumerate(itertools.zip_longest(*sides), 1):
            one, other = pair
            if one is None or other is None:
                ended, longer = (first, second) if one is None else (second, first)
                raise ValueError(
                    f"{ended} ends after line {number - 1:,} and {longer} goes on: two files of a translation need the "
                    "same lines, the empty ones too"
                )
            yield _couple(number, one, other)
    except Damaged as damage:
        yield Bad(number + 1, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail))


def _couple(number: int, one: Line, other: Line) -> FoundRecord | Bad:
    try:
        texts = [side.data.decode("utf-8") for side in (one, other)]
    except UnicodeDecodeError:
        return Bad(number, one.offset, "bad_utf8", one.data[:HEAD], one.size + other.size)
    return FoundRecord(number, -1, dict(zip(PAIR_SIDES, texts, strict=True)))


def tmx(path: Path) -> Iterator[FoundRecord | Bad]:
    """The units of a TMX file: label of a language -> its first text, inline markup left out.

    Files that were joined end to end are read one after the other. What is no XML in one of them (a bare `&`) is mended
    by the parser and counted as one bad record, with its place.
    """
    number = 0
    try:
        for document, blocks in itertools.groupby(_documents(path), lambda part: part[0]):
            for found in _units(block for _, block in blocks):
                if isinstance(found, dict):
                    number += 1
                    yield FoundRecord(number, -1, found)
                else:
                    told = f"document {document}, {found}" if document > 1 else found
                    yield Bad(number + 1, -1, "bad_xml", told.encode()[:HEAD], path.stat().st_size)
    except Damaged as damage:
        yield Bad(number + 1, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail))


def sided(value: Any, source: Source) -> dict[str, Any]:
    """A record with its two sides under `source` and `target`; a side is left out where the record has none.

    A side whose column was given is None where the record has no such column: then that is its fault.
    """
    if not isinstance(value, dict):
        return {}
    fields = {str(name).strip(): content for name, content in value.items()}
    if isinstance(fields.get("translation"), dict):  # OPUS on the Hub
        fields |= {str(name): content for name, content in fields["translation"].items()}
    labels = {SOURCE: source.source_language, TARGET: source.language}
    # whatever else the record has, stands for itself: its id and category
    found = {name: content for name, content in fields.items() if name.lower() not in labels}
    found[SPOKEN] = source.source_language
    folded = {name.lower(): name for name in reversed(fields)}
    for side, label in labels.items():
        if given := source.columns.get(side):
            found[side] = fields.get(folded.get(given.strip().lower(), given))
        elif (column := _column(fields, label) or folded.get(side)) is not None:
            found[side] = fields[column]
    return found


def _column(fields: dict[str, Any], label: str) -> str | None:
    """The field of a language: the one whose label is nearest, of equally near ones the first."""

    def nearness(name: str) -> tuple[bool, bool, bool]:
        alike = said_script(name) is not None and said_script(name) == said_script(label)
        return written(name) == written(label), own_code(name) == own_code(label), alike

    if label in fields:
        return label
    alike = [name for name in fields if language(name) and same(name, label)]
    return max(alike, key=nearness, default=None)


def _documents(path: Path) -> Iterator[tuple[int, bytes]]:
    """The bytes of a file of XML, each with the number of the document that it is of, from 1."""
    source = Input(path)
    codec = marked(head(source)) or "utf-8"  # of other charsets too: the signs of XML are ASCII in them
    joint, mark = _joint(codec), b"" if codec == "utf-8" else BEFORE.encode(codec)
    document, held, lead = 1, b"", b""
    for block in source.blocks():
        held, begin = held + block, 0
        for joined in joint.finditer(held):
            yield document, lead + held[begin : joined.end(1)]
            # without its mark a second document in UTF-16 would be taken for one in UTF-8
            document, begin, lead = document + 1, joined.end(), mark
        kept = len(held) - LONGEST_JOINT
        if kept > begin + 4:  # a parser tells the charset by the first four bytes
            yield document, lead + held[begin:kept]
            begin, lead = kept, b""
        held = held[begin:]
    yield document, lead + held


def _joint(codec: str) -> re.Pattern[bytes]:
    """Where one document ends (group 1) and another follows."""

    def plain(*words: str) -> bytes:
        return b"(?:" + b"|".join(re.escape(word.encode(codec)) for word in words) + b")"

    between = plain(BEFORE, " ", "\t", "\r", "\n") + b"*"
    end = b"(" + plain("</tmx") + between + plain(">") + b")"
    return re.compile(end + between + b"(?=" + plain("<?xml", "<!DOCTYPE", "<tmx") + b")")


def _units(blocks: Iterator[bytes]) -> Iterator[dict[str, str] | str]:
    """The units of one document; last, as a text, what is wrong with it.

    Raises:
        Damaged: the file breaks off in it.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    parser = etree.XMLPullParser(
        events=("end",), recover=True, resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True
    )
    damage = None
    try:
        for element in _ended(parser, blocks):
            if _bare(element) == "tu":
                yield _variants(element)
                element.clear()  # a file may be larger than the memory
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except Damaged as error:
        damage = error
    except (etree.XMLSyntaxError, LookupError, ValueError) as error:
        yield str(error)
        return
    if wrong := [each for each in parser.feed_error_log if each.level_name != "WARNING"]:
        yield f"line {wrong[0].line}: {wrong[0].message}"
    if damage is not None:
        raise damage


def _ended(parser: Any, blocks: Iterator[bytes]) -> Iterator[Any]:
    for block in blocks:
        parser.feed(block)
        yield from (element for _, element in parser.read_events())
    parser.close()
    yield from (element for _, element in parser.read_events())


def _variants(unit: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for variant in unit:
        if _bare(variant) == "tuv":
            label = variant.get(_LANG) or variant.get("lang") or ""
            text = next(("".join(_text(part)) for part in variant if _bare(part) == "seg"), "")
            found.setdefault(label, " ".join(text.split()))
    return found


def _text(element: Any) -> Iterator[str]:
    """The text of a segment, what stands inside the codes of other programs left out."""
    yield element.text or ""
    for inline in element:
        if _bare(inline) in _INLINE:
            yield from _text(inline)
        yield inline.tail or ""


def _bare(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
