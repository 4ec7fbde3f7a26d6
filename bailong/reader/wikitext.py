"""Wikitext to plain text, over mwparserfromhell. Prose stays, templates of prose too; tables, notes and pictures go."""

import re
from typing import Any, NamedTuple

from bailong.reader.record import needs
from bailong.text.language import code
from bailong.text.superscript import written
from bailong.text.wiki import template
from bailong.text.wiki.appendices import APPENDICES
from bailong.text.wiki.hole import HOLE, close
from bailong.text.wiki.variants import CONVERTED, resolve

#: what wikis call files and categories besides their own words for them
FILES = ("file", "image", "media", "檔案", "文件", "圖像", "图像", "图片", "圖片")
CATEGORIES = ("category", "分類", "分类")

_SILENT = """ref references table gallery timeline hiero score graph imagemap templatedata syntaxhighlight
source categorytree inputbox maplink mapframe section indicator noinclude style"""
#: elements whose content is no prose
SILENT = frozenset(_SILENT.split())

EDIT = re.compile(r"\[\s*(?:編輯|编辑|edit)\s*\]", re.IGNORECASE)
SWITCH = re.compile(r"__[A-Z]{3,}__")
HEADING = re.compile(r"^(={1,6})\s*(.*?)\s*\1\s*$", re.MULTILINE)
PAGE_NAME = re.compile(r"\{\{\s*(?:FULL|BASE|SUBJECT)?PAGENAME\s*\}\}")
FORMULAS = frozenset(("math", "chem", "ce"))
PLAIN_FORMULA = re.compile(r"[\w\s+\-−*/=<>.,()^!|']{1,60}")
MARK = "\x02"
#: a note within a superscript would hide its end
REFERENCE = re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*>.{0,4000}?</ref\s*>", re.DOTALL | re.IGNORECASE)
HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
EMPTY = re.compile(r"[（(]\s*[，,、；;：:\s]*[)）]|「」|《》")
BULLET = re.compile(r"^[*#:;]+\s*", re.MULTILINE)


class Wiki(NamedTuple):
    """A wiki: where its pages are, its words for the namespaces of files and categories, and its language."""

    base: str = ""
    files: str = ""
    categories: str = ""
    language: str = ""


class Cleaner:
    """Wikitext -> plain text, for one wiki and one language variant."""

    def __init__(self, wiki: Wiki, variant: str, skip_sections: bool) -> None:
        try:
            import mwparserfromhell
        except ImportError:
            raise needs("mwparserfromhell", "wiki") from None
        self._parse = mwparserfromhell.parse
        self._language = wiki.language
        self._variant = variant if not wiki.language or code(wiki.language) in CONVERTED else ""
        self._skip_sections = skip_sections
        self._hidden = {name.lower() for name in (*FILES, *CATEGORIES, wiki.files, wiki.categories) if name}

    def __call__(self, markup: str, title: str = "") -> str:
        """The text of a page; `title` is its name, for what it says of itself."""
        markup = resolve(HTML_COMMENT.sub("", markup), self._variant)
        if self._skip_sections:
            markup = _without_appendices(markup)
        markup = template.resolve(REFERENCE.sub("", PAGE_NAME.sub(lambda _: title, markup)))
        code = self._parse(written(SWITCH.sub("", markup)))
        self._prune(code)
        text = code.strip_code(normalize=True, collapse=False)
        return _tidy(text, self._language)

    def _prune(self, code: Any) -> None:
        """Remove what strip_code would turn into stray words: captions, notes, cells of tables; mark headings."""
        for node in list(code.nodes):
            kind = type(node).__name__
            if kind == "Wikilink":
                target = str(node.title).strip().lower()
                space, colon, _ = target.partition(":")
                if colon and space.strip() in self._hidden:
                    code.remove(node)
                elif node.text is not None:
                    self._prune(node.text)
            elif kind == "Tag":
                tag = str(node.tag).strip().lower()
                if tag in FORMULAS:
                    # a plain one reads as it is typed; any other leaves its sentence without its point
                    formula = str(node.contents).strip()
                    code.replace(node, formula if PLAIN_FORMULA.fullmatch(formula) else HOLE)
                elif tag in SILENT:
                    code.remove(node)
                elif tag == "br":
                    code.replace(node, "\n")
                elif node.contents is not None:
                    self._prune(node.contents)
            elif kind == "Heading":
                # strip_code keeps the words alone; the mark lets `_tidy` see headings that nothing follows
                code.replace(node, f"\n{MARK}{node.level}{node.title.strip_code().strip()}\n")
            elif kind == "ExternalLink" and (node.title is None or not node.brackets):
                code.remove(node)


def _without_appendices(markup: str) -> str:
    kept, silent, last = [], 0, 0
    for heading in HEADING.finditer(markup):
        level = len(heading[1])
        if not silent:
            kept.append(markup[last : heading.start()])
        if not silent or level <= silent:
            silent = level if heading[2].strip("'　 ").lower() in APPENDICES else 0
        last = heading.start()
    if not silent:
        kept.append(markup[last:])
    return "".join(kept)


def _tidy(text: str, language: str) -> str:
    """Lines without leftovers; a heading that no text follows goes, and at most one empty line stays between two."""
    text = EMPTY.sub("", close(EDIT.sub("", text), language)[0])
    lines: list[str] = []
    open_headings: list[tuple[int, str]] = []
    for line in BULLET.sub("", text).split("\n"):
        line = line.strip()
        if line.startswith(MARK):
            level = int(line[1])
            while open_headings and open_headings[-1][0] >= level:
                open_headings.pop()
            open_headings.append((level, line[2:]))
        elif line:
            if open_headings:
                lines += ["", *(title for _, title in open_headings)][not lines or not lines[-1] :]
                open_headings = []
            lines.append(line)
        elif lines and lines[-1]:
            lines.append("")
    return "\n".join(lines).strip()
