"""Leftovers of HTML, wiki text and BBCode, turned into the text that a reader saw."""

import html.entities
import re
from collections.abc import Callable

from bailong.text.superscript import written, written_bbcode
from bailong.text.wiki.strip import strip_wiki

_words = re.compile(r"\S+").findall

# --- HTML --------------------------------------------------------------------------------------------

#: elements whose content no reader sees as text
_HIDDEN = ("script", "style", "noscript", "template", "svg", "iframe", "object", "head")
_BREAKS = frozenset(
    _words(
        "br p div li ul ol dl dt dd tr table tbody thead tfoot h1 h2 h3 h4 h5 h6 hr section article header footer nav "
        "aside main blockquote pre figure figcaption form fieldset address center caption details summary body html "
        "head title option select noscript"
    )
)
_CELLS = frozenset(("td", "th"))
#: elements that may stand without an end tag and without attributes; any other start tag without either (`<b>` of
#: "the <b> tag", `<link>` for a nickname in a chat) is text
_ALONE = frozenset(_words("br hr wbr p li dt dd tr td th thead tbody tfoot nobr body html references"))
_INLINE = frozenset(
    _words(
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label legend map mark marquee nobr "
        "nowiki q rp rt ruby s samp small span strike strong sub sup time tt u var wbr button input textarea canvas "
        "audio video picture source track img embed object param iframe script style template svg path g rect circle "
        "link meta base area col colgroup blink frame frameset gallery ref references includeonly noinclude onlyinclude"
    )
)
_NAMES = _BREAKS | _CELLS | _INLINE | _ALONE
_ATTRIBUTE = (
    r"\s+(?:[A-Za-z_:@][\w:.@-]*\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+)"
    r"|(?:async|defer|checked|disabled|selected|nowrap|noshade|hidden|controls|readonly|required|allowfullscreen)(?=[\s/>]))"
)
_TAG = re.compile(
    rf"<(/?)([A-Za-z][A-Za-z0-9]*)((?:{_ATTRIBUTE})*)\s*(/?)>(?! *(?:tags?\b|elements?\b|標籤|标签|元素|標記|标记))"
)
_COMMENT = re.compile(r"<!--.{0,20000}?-->|<!DOCTYPE[^>]*>|<!\[CDATA\[|\]\]>|<\?xml[^>]*\?>", re.S | re.I)
_BLOCK = re.compile(rf"<({'|'.join(_HIDDEN)})\b[^<>]*>.{{0,100000}}?</\1\s*>", re.S | re.I)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# What entities bring back after `normalize` has taken it away: blanks of other widths, signs without any, controls.
_SPACES = {
    **dict.fromkeys(map(ord, "\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"), " "),
    **dict.fromkeys((*map(ord, "\xad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"), *range(9), 11, *range(14, 32)), None),
    **dict.fromkeys(range(0x7F, 0xA0), None),
}


def strip_html(text: str) -> str:
    """Text without comments, scripts and tags of known names; entities resolved, doubly escaped ones too.

    Blocks end lines, cells are parted by tabs, superscripts keep their meaning (10⁸). What only looks like a
    tag stays: `<3`, `<nick>`, `a<b and c>d`.
    A page that holds real tags escapes what it wants to show, so there an escaped tag is text; without any real tag,
    escaped ones are leftovers like the rest.
    """
    tagged = strip_tags(text)
    if "&" not in tagged:
        return tagged
    resolved = unescape(tagged)
    return strip_tags(resolved) if tagged == text and resolved != tagged else resolved


def strip_tags(text: str) -> str:
    if "<" not in text:
        return text
    text = written(_BLOCK.sub("\n", _COMMENT.sub("", text)))
    closed = {name.lower() for name in re.findall(r"</([A-Za-z][A-Za-z0-9]*)\s*>", text)}

    def replace(match: re.Match[str]) -> str:
        end, name, attributes, alone = match.groups()
        name = name.lower()
        if name not in _NAMES or not (end or alone or attributes or name in _ALONE or name in closed):
            return match.group()
        if name in _CELLS:
            return "\t" if end else ""
        return "\n" if name in _BREAKS else ""

    return _TAG.sub(replace, text)


def unescape(text: str) -> str:
    """Entities as characters, up to three layers of escaping. Only whole ones: `?a=1&copy=2` holds none."""
    before = text
    for _ in range(3):
        resolved = _ENTITY.sub(_character, text)
        if resolved == text:
            break
        text = resolved
    return text if text == before else text.translate(_SPACES)


def _character(match: re.Match[str]) -> str:
    name = match.group()[1:]
    if name[0] != "#":
        return html.entities.html5.get(name, match.group())
    code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
    return match.group() if code == 0 or 0xD800 <= code <= 0xDFFF or code > 0x10FFFF else chr(code)


# --- BBCode ------------------------------------------------------------------------------------------

_BB = (
    "b|i|u|s|url|quote|color|size|font|center|left|right|align|list|code|hide|email|table|tr|td|indent|backcolor|spoiler"
    "|sup|sub|h[1-6]|p|free|float|postbg|index|page"
)
_BB_MEDIA = re.compile(r"\[(img|attach|attachimg|media|flash|audio|video|youtube)\b[^\[\]]*\][^\[\]\n]*\[/\1\]", re.I)
_BB_TAG = re.compile(rf"\[(/?)({_BB})(=[^\[\]\n]*)?\]", re.I)


def strip_bbcode(text: str) -> str:
    """Text without BBCode; pictures go with their address. A mark counts only beside its end mark.

    Superscripts keep their meaning, as in `strip_html`.
    """
    if "[/" not in text:
        return text
    text = written_bbcode(_BB_MEDIA.sub("", text))
    marks = {(name.lower(), bool(end)) for end, name, _ in _BB_TAG.findall(text)}
    pairs = {name for name, end in marks if end and (name, False) in marks}

    def replace(match: re.Match[str]) -> str:
        return "" if match.group(2).lower() in pairs else match.group()

    text = _BB_TAG.sub(replace, text)
    return text.replace("[*]", "") if "list" in pairs else text


#: what each kind of leftover is called in the ledger, and how it is taken away
KINDS: dict[str, Callable[..., str]] = {"wiki": strip_wiki, "html": strip_html, "bbcode": strip_bbcode}
