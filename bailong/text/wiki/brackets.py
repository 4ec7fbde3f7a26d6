"""Marks in square brackets on a wiki's page: offers to edit, requests for sources, numbers of notes."""

import re

from bailong.text.wiki import evidence
from bailong.text.wiki.evidence import EDIT, HAN, NAMING, NOTE, REQUEST

_WORD_OR_STOP = rf"[{HAN}。，、；：？！」』》）.,;:?!)\"”’%A-Za-z0-9]"
#: numbers behind a word or a stop, a blank between them where a clause ends
_CITATION = re.compile(rf"(?<={_WORD_OR_STOP})(?:{NOTE})+|(?<=[{HAN}。」』）”]) (?:{NOTE})+(?= *(?:[。，；]|$))", re.M)
#: words that a number in brackets belongs to: indices of one letter, names with a line below, calls
_NAMED = re.compile(rf"{NAMING}$|(?<![A-Za-z])[A-Za-z]$|_[A-Za-z0-9]+$|[A-Za-z0-9_]\)$")
_NAMES = re.compile(r"[號号鍵键項项條条款個个級级頁页章節节]|按鈕|按钮|[_\[(=]")
_MARK = re.compile(rf"{NOTE}|{EDIT.pattern}|{REQUEST.pattern}", re.I)
_BUTTON = re.compile(r"按鈕|按钮|鍵|键|連結|链接|鈕|功能|選|选|標籤|标签|頁面|页面|button|link|tab", re.I)
_CODE_LINE = re.compile(
    r"[={}]|;\s*$|\(\)|^\s{4,}|^\s*(?:def|for|if|return|print|import)\b|\w\[\w*\]\[|\]\s*[+*/-]", re.M
)
#: whole lines that only a wiki's frame has
_FRAME = re.compile(
    r"^(?:\^ .*|(?:(?:隱藏|隐藏)?(?:分類|分类)|Categories|Category)[：:] ?(?![ \n]).{1,200}"
    r"|(?:目錄|目录|Contents) ?[\[［](?:隱藏|隐藏|顯示|显示|hide|show)[\]］].*)\n?",
    re.M,
)


def strip(text: str) -> str:
    """Text without those marks, and without the lines of a wiki's frame, if the document is the page of a wiki.

    In any other document only numbers go that can be nothing but notes (`evidence.notes`).
    """
    if ("[" not in text and "［" not in text) or _MARK.search(text) is None:
        return text
    if not evidence.as_shown(text):
        for note in reversed(evidence.notes(text)):
            text = text[: note.start()] + _unless_named(note) + text[note.end() :]
        return text
    text = REQUEST.sub("", EDIT.sub(_unless_button, _FRAME.sub("", text)))
    return _CITATION.sub(_unless_named, text)


def _unless_button(match: re.Match[str]) -> str:
    text = match.string
    before = text[max(match.start() - 1, 0) : match.start()]
    return (
        match.group()
        if before in ("的", "按", "選", "选", "擊", "击", "「") or _BUTTON.match(text, match.end())
        else ""
    )


def _unless_named(match: re.Match[str]) -> str:
    text = match.string
    if _NAMED.search(text[max(match.start() - 12, 0) : match.start()]) or _NAMES.match(text, match.end()):
        return match.group()
    return _unless_code(match)


def _unless_code(match: re.Match[str]) -> str:
    text = match.string
    before = text[match.start() - 1]
    if before.isascii() and (before.isalnum() or before == ")"):
        head = text.rfind("\n", 0, match.start()) + 1
        tail = text.find("\n", match.end())
        if _CODE_LINE.search(text[head : len(text) if tail < 0 else tail]):
            return match.group()
    return ""
