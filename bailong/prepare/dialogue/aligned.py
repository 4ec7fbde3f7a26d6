"""Texts of two languages that say the same, in the forms in which they are published.

`TMX`         translation units in XML, each with a variant a language; the languages are told by their labels
two files     a line a sentence, line by line (Moses): `path: news.en-tr.{en,tr}`, the side that is translated first
tables, JSON  a record a pair: `columns: {source: en, target: tr}`, numbers for a table without names (`{source: 0}`);
              without `columns` the sides are the fields that carry the labels of the two languages (`en`, `zh_tw`), in
              OPUS' `translation` as well. A field may be a list of texts, line by line as two files are.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bailong.data.settings import Source
from bailong.data.sources import lines
from bailong.prepare.dialogue.rows import FoundRecord
from bailong.reader.record import HEAD, Bad
from bailong.reader.stream import Damaged, Input
from bailong.text.language import language, same

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
#: the two sides of a record as the readers of shapes take them
SOURCE, TARGET, SPOKEN = "source", "target", "source_language"


def line_by_line(first: Path, second: Path) -> Iterator[FoundRecord]:
    """The pairs of two files.

    Raises:
        ValueError: one has more lines: which of them belong together is not known then.
    """
    nothing = object()
    for number, pair in enumerate(itertools.zip_longest(lines(first), lines(second), fillvalue=nothing), 1):
        if nothing in pair:
            ended, other = (first, second) if pair[0] is nothing else (second, first)
            raise ValueError(
                f"{ended} ends after line {number - 1:,} and {other} goes on: two files of a translation need the same "
                "lines, the empty ones too"
            )
        yield FoundRecord(number, -1, {SOURCE: pair[0], TARGET: pair[1]})


def tmx(path: Path) -> Iterator[FoundRecord | Bad]:
    """The units of a TMX file: label of a language -> its text, inline markup left out."""
    number = 0
    try:
        parser = ElementTree.XMLPullParser(("start", "end"))
        within: list[ElementTree.Element] = []
        for event, element in _events(parser, path):
            if event == "start":
                within.append(element)
                continue
            within.pop()
            if _bare(element.tag) == "tu":
                number += 1
                yield FoundRecord(number, -1, dict(_variants(element)))
                if within:
                    within[-1].clear()  # of what was read: a file may be larger than the memory
    except ElementTree.ParseError as error:
        yield Bad(number + 1, -1, "bad_xml", str(error).encode()[:HEAD], path.stat().st_size)
    except Damaged as damage:
        yield Bad(number + 1, damage.start, damage.reason, damage.tail[:HEAD], len(damage.tail))


def sided(value: Any, source: Source) -> dict[str, Any]:
    """A record with its two sides under `source` and `target`; a side is left out where the record has none."""
    if not isinstance(value, dict):
        return {}
    fields = {str(name).strip(): content for name, content in value.items()}
    if isinstance(fields.get("translation"), dict):  # OPUS on the Hub
        fields |= {str(name): content for name, content in fields["translation"].items()}
    labels = {SOURCE: source.source_language, TARGET: source.language}
    # whatever else the record has, stands for itself: its id and category
    found = {name: content for name, content in fields.items() if name.lower() not in labels}
    found[SPOKEN] = source.source_language
    for side, label in labels.items():
        column = source.columns.get(side) or _column(fields, side, label)
        if column is not None and column in fields:
            found[side] = fields[column]
    return found


def _column(fields: dict[str, Any], side: str, label: str) -> str | None:
    """The field of a side: its own name, the label of its language, or another label of it."""
    if side in fields:
        return side
    if label in fields:
        return label
    alike = [name for name in fields if language(name) and same(name, label)]
    return alike[0] if len(alike) == 1 else None


def _events(parser: ElementTree.XMLPullParser, path: Path) -> Iterator[Any]:
    for block in Input(path).blocks():
        parser.feed(block)
        yield from parser.read_events()
    parser.close()
    yield from parser.read_events()


def _variants(unit: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for variant in unit:
        if _bare(variant.tag) == "tuv":
            label = variant.get(_LANG) or variant.get("lang") or ""
            text = next(("".join(_text(part)) for part in variant if _bare(part.tag) == "seg"), "")
            yield label, text


def _text(element: ElementTree.Element) -> Iterator[str]:
    """The text of a segment without what stands inside its inline elements: codes of another program."""
    yield element.text or ""
    for inline in element:
        if _bare(inline.tag) in ("hi", "sub", "mrk"):
            yield from _text(inline)
        yield inline.tail or ""


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]
