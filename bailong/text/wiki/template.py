"""Templates of wiki text, rendered as far as a reader of the article would see words.

Three kinds: templates of prose are rendered from their own arguments; silent ones (notes, boxes, icons, maintenance)
vanish; any other leaves a hole (`wiki.hole`), for nobody can know which words stood there, if any did.
"""

import re

from bailong.text.wiki import rendering
from bailong.text.wiki.hole import HOLE, MAYBE
from bailong.text.wiki.rendering import TABLES, Arguments

#: in these a template is no template
_RAW = r"<(math|nowiki|pre|syntaxhighlight|source|ce|chem)\b[^<>/]*>.{0,4000}?</\1\s*>"
_TOKEN = re.compile(rf"\{{{{2,}}|\}}{{2,}}|{_RAW}", re.S | re.I)
#: the same in text that is no dump: code and formulas write braces of their own
_CAREFUL = re.compile(
    rf"{_RAW}|(?<![\\^_$])\{{{{2,3}}(?=[^\s{{}}\\.])|\}}{{2,}}|```.{{0,4000}}?```|`[^`\n]*`|\${{{{{{?[^{{}}\n]*\}}",
    re.S | re.I,
)
#: a name without arguments is a variable of another language as often
_VARIABLE = re.compile(r"[a-z][a-z0-9]*(?:[._-][a-z0-9]+)*")
_PIPE = re.compile(r"\|(?![^\[\]|]{0,300}\]\])")
_KEY = re.compile(r"\s*([\w -]{1,30}?)\s*=", re.A)
_PREFIX = re.compile(r"^(?:template|模板|msg|subst|safesubst)\s*:\s*", re.I)

_FIRST, _SECOND, _SILENT = (frozenset(TABLES[kind].split()) for kind in ("first", "second", "silent"))
_SILENT_NAME = re.compile(
    r"(?:infobox|navbox|sidebar|taxobox|chembox|drugbox|geobox|cite|citation|noteta|pp-|user|wp|wikipedia|s-|succession"
    r"|automatic_taxobox|speciesbox|medal|external_media|multiple_image|location_map)(?![a-z])"
    r"|.*(?:infobox|navbox|stub|小作品|信息框|資訊框|导航|導航|模板|icon|圖標|图标)$"
)
_FOREIGN = re.compile(r"lang[-_]?([a-z]{2,3}(?:-[a-z-]+)?)$")
_LINK = re.compile(r"(?:link-[a-z-]+|le|internal_link_helper(?:/[a-z-]+)?|ilh(?:/[a-z-]+)?|link-wikidata)$")


def resolve(text: str, careful: bool = False) -> str:
    """Wiki text with every template rendered, gone, or replaced by a hole; inner ones first.

    Args:
        careful: the text is no dump: code, formulas, `{{ blanks }}` and `{{variables}}` stay.
    """
    if "{{" not in text:
        return text
    east = rendering.EAST.search(text) is not None
    # what stands outside, then one more for every brace that is open: (how many braces, pieces)
    stack: list[tuple[int, list[str]]] = [(0, [])]
    last = 0
    for token in (_CAREFUL if careful else _TOKEN).finditer(text):
        stack[-1][1].append(text[last : token.start()])
        last = token.end()
        mark, count = token.group(), len(token.group())
        if mark[:2] == "{{" and mark[-1] == "{" and count <= 60:
            stack += [(size, []) for size in _sizes(count)]
        elif mark[:2] == "}}":
            stack[-1][1].append("}" * _closed(stack, count, east, careful))
        else:
            stack[-1][1].append(mark)
    stack[-1][1].append(text[last:])
    return "".join(piece for size, pieces in stack for piece in ("{" * size, *pieces))


def render(content: str, east: bool) -> str:
    """What `{{content}}` shows: `HOLE` where it shows words that nobody knows, `MAYBE` for an unknown name.

    Args:
        east: the document is written in Chinese: dates and units are.
    """
    name, *rest = _PIPE.split(content)
    name = _PREFIX.sub("", name.strip()).strip()
    if (shown := rendering.function(name, rest)) is not None:
        return shown
    key = re.sub(r"[\s_]+", "_", name).lower()
    if key in TABLES["fixed"]:
        return TABLES["fixed"][key]
    if key in _SILENT:
        return ""
    shown = _from_arguments(key, _arguments(rest, east))
    if shown is not None:
        return shown
    return "" if _SILENT_NAME.match(key) else MAYBE


def known(content: str) -> bool:
    """Whether `{{content}}` shows words that come from its own arguments, as only a template of a wiki does."""
    return "|" in content and render(content, True) not in ("", HOLE, MAYBE)


def _from_arguments(key: str, arguments: Arguments) -> str | None:
    """What a template of prose shows; None if it is none."""
    place = 1 if key in _FIRST or _FOREIGN.match(key) else 2 if key in _SECOND else 0
    if place:
        return arguments.get(place) or arguments.get("text") or HOLE
    if _LINK.match(key):
        return arguments.get(3) or arguments.get(1) or HOLE
    if key in rendering.BY_NAME:
        shown = rendering.BY_NAME[key](arguments)
        return HOLE if shown is None else shown
    return rendering.place(key, arguments)


def _arguments(rest: list[str], east: bool) -> Arguments:
    arguments = Arguments(east=east)
    place = 0
    for value in rest:
        if named := _KEY.match(value):
            arguments[int(named[1]) if named[1].isdigit() else named[1].lower()] = value[named.end() :].strip()
        else:
            place += 1
            arguments[place] = value.strip()
    return arguments


def _sizes(count: int) -> list[int]:
    """How a run of opening braces is shared among templates (2) and parameters (3)."""
    return [2] * (count // 2) if count % 2 == 0 else [2] * ((count - 3) // 2) + [3]


def _closed(stack: list[tuple[int, list[str]]], count: int, east: bool, careful: bool) -> int:
    """Close what `count` braces close; how many are left over."""
    while count >= 2 and len(stack) > 1:
        size, pieces = stack.pop()
        content = "".join(pieces)
        if size == 3 and count >= 3:
            _, bar, default = content.partition("|")
            shown, count = default if bar else HOLE, count - 3
        else:
            rendered = render(content, east)
            if careful and rendered in (HOLE, MAYBE) and _VARIABLE.fullmatch(content):
                rendered = f"{{{{{content}}}}}"
            shown, count = "{" * (size - 2) + rendered, count - 2
        stack[-1][1].append(shown)
    return count
