"""Leftovers of a wiki in any text, turned into the text that a reader of the wiki saw."""

import re

from bailong.text.wiki import brackets, evidence, template
from bailong.text.wiki.evidence import HAN
from bailong.text.wiki.variants import resolve_certain

_FILE = re.compile(
    r"\[\[ ?(?:檔案|文件|圖像|图像|File|Image|Category|分類|分类|Media) ?[:：](?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", re.I
)
_LINK = re.compile(rf"\[\[:?([A-Za-z{HAN}][^\[\]|\n\"'=]*)(?:\|([^\[\]\n]*))?\]\]")
#: nothing else writes Chinese words in two brackets
_EASTERN_LINK = re.compile(rf"\[\[:?([{HAN}][^\[\]|\n\"'=]*)(?:\|([^\[\]\n]*))?\]\]")
_REF = re.compile(r"<ref\b[^<>]*(?<!/)>.{0,4000}?</ref\s*>|<ref\b[^<>]*/>|<references\b[^<>]*/?>", re.S | re.I)
_TABLE = re.compile(r"^[ :]*\{\|.{0,20000}?^ *\|\}", re.S | re.M)
_HEADING = re.compile(r"^ *(={2,6}) *([^=\n].*?) *\1 *$", re.M)
_BOLD = re.compile(r"'''''([^'\n]+)'''''|'''([^\n]+?)'''|''([^'\n]+)''")
_MAGIC = re.compile(r"__(?:NOTOC|TOC|NOEDITSECTION|FORCETOC|NOINDEX)__")


def strip_wiki(text: str, variant: str = "zh-tw") -> str:
    """Text without edit links, numbers of notes, templates, file links, references and table marks.

    Links keep their label, tables their cells, `-{…}-` the words of `variant`; templates of prose are rendered. A mark
    goes only where the document is that of a wiki (`wiki.evidence`). What cannot be rendered leaves a hole
    (`wiki.hole`), for the caller to close.
    """
    text = resolve_certain(text, variant)
    if ("{{" in text or "[[" in text or "{|" in text or "<ref" in text) and evidence.from_source(text):
        text = _source(text)
    elif "[[" in text:
        text = _EASTERN_LINK.sub(_label, text)
    elif "\n==" in text or text.startswith("=="):
        headed = _HEADING.sub(r"\2", text)
        text = _emphasis(headed) if headed != text else text
    return brackets.strip(text)


def _source(text: str) -> str:
    text = template.resolve(_REF.sub("", text), careful=True)
    text = _LINK.sub(_label, _FILE.sub("", text))
    return _emphasis(_HEADING.sub(r"\2", _TABLE.sub(_table, text)))


def _label(link: re.Match[str]) -> str:
    return link[2] or link[1]


def _emphasis(text: str) -> str:
    return _MAGIC.sub("", _BOLD.sub(lambda match: match.group(1) or match.group(2) or match.group(3), text))


def _table(match: re.Match[str]) -> str:
    rows: list[list[str]] = [[]]
    for line in match.group().split("\n")[1:-1]:
        line = line.strip()
        if line.startswith("|-"):
            rows.append([])
        elif line.startswith("|+"):
            rows.append([line[2:].strip()])
            rows.append([])
        elif line[:1] in ("|", "!"):
            # `attributes | content`: the attributes hold an equals sign
            cells = re.split(r"\|\||!!", line[1:])
            rows[-1] += [re.sub(r"^[^|]*=[^|]*\|(?!\|)", "", cell).strip() for cell in cells]
        elif line:
            rows[-1].append(line)
    return "\n".join("\t".join(row) for row in rows if any(row))
