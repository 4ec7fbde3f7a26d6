"""Superscripts and subscripts of HTML, wiki text and BBCode as plain text that keeps their meaning.

`10<sup>8</sup>` is `10⁸`, not 108. One rule: Unicode's raised or lowered signs where every character has one (digits,
plus, minus, equals, round brackets), else `^(…)` and `_(…)`, without brackets around a single character. What is raised
for looks alone stays plain (1st, ®, words in Chinese, small print), and the number of a note goes.
"""

import html
import re

_TAG = re.compile(r"<(su[pb])\b([^<>]*)>((?:(?!</?su[pb]\b).){0,300}?)</\1\s*>", re.S | re.I)
_BB_TAG = re.compile(r"\[(su[pb])\]()((?:(?!\[/?su[pb]\]).){0,300}?)\[/\1\]", re.S | re.I)
#: marks within the raised part: tags, links of a wiki (their label stays), italics and bold
_INNER = re.compile(r"<[^<>]*>|\[/?[a-z]+(?:=[^\[\]\n]*)?\](?!\])|'{2,5}", re.I)
_LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]")
_MARKS_BEFORE = re.compile(r"(?:<[^<>]*>|\[/?[a-z]+\]|'{2,5}|\]\]|\}\})+$", re.I)

_SIGNS = "0123456789+-−–=()"
_RAISED = str.maketrans(_SIGNS, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾")
_LOWERED = str.maketrans(_SIGNS, "₀₁₂₃₄₅₆₇₈₉₊₋₋₋₌₍₎")

_NOTE_CLASS = re.compile(r"cite_ref|reference|footnote|noteref|fn-?ref", re.I)
_NOTE = re.compile(
    r"(?:[\[［【〔](?:[^\[\]［］]{1,16})[\]］】〕][,，、\s]*)+"
    r"|[(（]?(?:註|注|註釋|注釋|注释|註解|譯註|译注|note|nb|n\.|fn) ?[0-9一二三四五六七八九十]{0,3}[)）]?",
    re.I,
)
_NUMBER = re.compile(r"[0-9]{1,3}(?:[,，、–-][0-9]{1,3})*")
_ORDINAL = re.compile(r"st|nd|rd|th|er|ère|ème|eme", re.I)
_EAST = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_SPELLED = {"tm": "™", "(tm)": "™", "(r)": "®", "(c)": "©"}


def written(text: str) -> str:
    """`text` with `<sup>…</sup>` and `<sub>…</sub>` as plain text, inner ones first; other tags stay.

    Call it on a page before its tags are dropped, and on wiki text once its templates are rendered.
    """
    return _written(_TAG, text) if "<su" in text or "<SU" in text else text


def written_bbcode(text: str) -> str:
    """The same for `[sup]…[/sup]` and `[sub]…[/sub]`."""
    return _written(_BB_TAG, text)


def _written(tag: re.Pattern[str], text: str) -> str:
    for _ in range(4):
        text, found = tag.subn(_replace, text)
        if not found:
            break
    return text


def _replace(match: re.Match[str]) -> str:
    name, attributes, content = match.groups()
    whole, start, end = match.string, match.start(), match.end()
    before = _MARKS_BEFORE.sub("", whole[max(start - 80, 0) : start])[-1:]
    if _NOTE_CLASS.search(attributes) or "cite_note" in content or "cite_ref" in content:
        return ""
    content = html.unescape(_INNER.sub("", _LINK.sub(r"\1", content))).strip()
    if _NOTE.fullmatch(content):
        return ""
    return placed(content, name.lower() == "sub", before, whole[end : end + 1])


def placed(content: str, lowered: bool, before: str, after: str) -> str:
    """What stands above (or below) the line, written on the line.

    Args:
        before, after: the characters beside it (or nothing).
    """
    compact = re.sub(r"\s+", "", content)
    if not lowered:
        if before and before in "。！？；，、」』”.!?" and _NUMBER.fullmatch(compact) and not _latin(after):
            return ""  # the number of a note: nothing else stands behind a stop
        if compact.lower() in _SPELLED:
            return _SPELLED[compact.lower()]
        if before.isdigit() and compact in ("o", "O", "º"):
            return "°"
        if _ORDINAL.fullmatch(compact) and (before.isdigit() or before in ("I", "V", "X")):
            return compact
    if compact and all(sign in _SIGNS for sign in compact):
        return compact.translate(_LOWERED if lowered else _RAISED)
    if not re.search(r"\w", compact) or _EAST.search(compact) or re.search(r"\w\w\s+\w\w", content):
        return content
    if not (before.isalnum() or (before and before in ")]}）′'’")):
        return content  # nothing that it could be the index of
    if len(compact) > 1 and _EAST.match(before):
        return content
    sign = "_" if lowered else "^"
    return f"{sign}{compact}" if len(compact) == 1 else f"{sign}({content})"


def _latin(sign: str) -> bool:
    return sign.isascii() and sign.isalpha()
