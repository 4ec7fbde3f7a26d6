"""Whether a document is wiki text: no mark of a wiki is cut where the document shows no other.

Each rule of `wiki.strip` and `wiki.brackets` asks here. A wiki leaves traces of two kinds, and each kind of mark needs
two traces of its own (a trace that nothing else leaves counts twice):

- its source: templates, `[[links]]`, `<ref>`, bold marks and headings between equals signs;
- its page as shown: `[編輯]` behind a heading, a table of contents, `^` before a source, `[來源請求]`, the number of a
  note behind a full stop, or numbers in running order at the ends of clauses, some together ([3][4]) or far apart.
  Elsewhere a number in brackets is a word of its sentence: a key, an index, an annex.
"""

import re

from bailong.text.wiki import template

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
#: a note's number: [1], [註 2]
NOTE = r"[\[［](?:[1-9][0-9]{0,2}|(?:註|注|注釋|註釋|note|nb|N) ?[0-9]{1,3})[\]］]"

# --- the source ---

_CODE = re.compile(r"```.{0,4000}?```|`[^`\n]*`|<(code|pre|nowiki)\b[^<>]*>.{0,4000}?</\1>", re.S)
#: what only the source of a wiki holds
_SOURCE = re.compile(
    r"\[\[ ?(?:檔案|文件|圖像|图像|File|Image|Category|分類|分类|Media) ?[:：]"
    r"|<ref\b[^<>\n]*>|<references\b|^[ :]*\{\|[^\n]*\n.{0,20000}?^ *\|\}"
    r"|__(?:NOTOC|TOC|NOEDITSECTION|FORCETOC)__"
    r"|\{\{(?:(?:cvt|convert)\||formatnum: ?[0-9]|#(?:if|ifeq|expr|switch|tag|invoke):|note ?ta\b|reflist\b|infobox "
    r"|cite [a-z]+ ?\||lang(?:-[a-z-]+)?\||nowrap\||nobr\||link-[a-z]+\||tsl\||ilh?\||internal link helper/"
    r"|(?:start|birth|death)[ _]date|sfn\||efn\||refn\||bd\|)",
    re.S | re.I | re.M,
)
_PIECE = re.compile(
    rf"\[\[:?[A-Z{HAN}][^\[\]\n\"'=]*\]\]|'''[^'\n]+'''|^ *(={{2,6}}) *[^=\n]+ *\1 *$"
    r"|(?<![\\$])\{\{(?P<template>[^{}\n]+)\}\}",
    re.M,
)


def from_source(text: str) -> bool:
    """Whether `text` holds wiki text as it is typed; what stands in code does not count."""
    if "`" in text or "<" in text:
        text = _CODE.sub("", text)
    if _SOURCE.search(text):
        return True
    found = 0
    for piece in _PIECE.finditer(text):
        inside = piece["template"]
        found += inside is None or template.known(inside)
        if found >= 2:
            return True
    return False


# --- the page ---

_REQUESTS = (
    r"來源請求|来源请求|查證請求|查证请求|需要解釋|需要解释|失效連結|失效链接|永久失效連結"
    r"|(?:原創研究|原创研究|何時|何时|誰|谁|哪裡)[？?]|citation needed|clarification needed|(?:permanent )?dead link"
    r"|(?:who|when|where|according to whom|original research)\?|better source needed|need quotation to verify"
)
#: asks for a source, in the middle of the text
REQUEST = re.compile(rf"[\[［](?:{_REQUESTS})[\]］]", re.I)
#: offers to edit or fold, behind a heading
EDIT = re.compile(
    r"[\[［](?:編輯|编辑|隱藏|隐藏|顯示|显示|編輯原始碼|编辑源代码|edit|hide|show|update)"
    r"(?: *[|｜] *(?:編輯|编辑)?(?:原始碼|源代码|edit source)? *)?[\]］]",
    re.I,
)
#: before the offer on its line: a heading is short, no list, and no sentence that asks to press something
_TITLE = re.compile(
    r"(?![0-9]+[.、)）]|[-*•‧·])[^\[\]［］\n。！？，,]{1,50}(?<![\s的按點点選选擊击下用鍵键：:至到「])"
    r"(?<!click)(?<!press)(?<!select)(?<!choose)(?<!tap)(?<!the) ?",
    re.I,
)
#: what a heading stands over: sentences
_PROSE_FOLLOWS = re.compile(r"[ \t\u3000]*\n\s*[^\n]{0,300}?(?:[。！？，：]|[a-z][.,:] ?)", re.I)
_CONTENTS = r"(?:目錄|目录|Contents) ?[\[［](?:隱藏|隐藏|顯示|显示|hide|show)[\]］]"
_SAYS_SO = re.compile(r"維基百科，自由的百科全書|维基百科，自由的百科全书|From Wikipedia, the free encyclopedia")
_BACK = re.compile(r"^\^ ", re.M)
_FOLDS = re.compile(rf"^{_CONTENTS}", re.M)
#: blogs have these too
_ENDS = re.compile(
    r"^(?:(?:隱藏|隐藏)?(?:分類|分类)[：:] ?(?![ \n])|Categor(?:y|ies): ?(?![ \n])"
    r"|(?:參考資料|参考资料|參考文獻|参考文献|外部連結|外部链接|註釋|注释|References|External links)[：:]? *$)",
    re.M,
)
#: what a number in brackets is the name of: a key, an annex, an answer, a row
NAMING = (
    r"(?:[第按鍵键表圖图式選选擇择入填打撥拨題题見见是為为的之與与和及或至到、]|附件|附錄|附录|陣列|数组|欄位|參考|参考|文獻|文献"
    r"|編號|编号|步驟|步骤|數字|数字|答案|項目|项目|開關|开关|按鈕|按钮)"
)
_RUN = re.compile(rf"(?:{NOTE})+")
_STOPS, _WIDE_STOPS = "。！？!?」』”.", "。！？」』”"
_LINE_ENDS = re.compile(r"[ \t\u3000]*(?:\n|$)")
_TEXT_FOLLOWS = re.compile(rf"[ \u3000]?[{HAN}A-Z「『《“\"(（]")
_WORD = re.compile(rf"[{HAN}]")
_NUMBER = re.compile(NOTE)
#: says what a number stands for, or numbers a list
_DEFINED = re.compile(rf"^[ \t]*{NOTE}", re.M)


def as_shown(text: str) -> bool:
    """Whether `text` was copied from the page of a wiki."""
    if _SAYS_SO.search(text):
        return True
    found = sum(_is_behind_title(offer) for offer in EDIT.finditer(text))
    if found < 2:
        found = found + sum(frame.search(text) is not None for frame in (_BACK, _FOLDS, _ENDS))
    if found < 2:
        found += REQUEST.search(text) is not None
    if found >= 2 or _DEFINED.search(text):
        return found >= 2
    runs = list(_RUN.finditer(text))
    behind = {run.group() for run in _behind_stops(runs)}
    return found + len(behind) + 2 * _running([run for run in runs if _ends_clause(run)]) >= 2


def notes(text: str) -> list[re.Match[str]]:
    """Numbers that can be nothing but notes, wherever they stand, in the order of the text.

    Behind a full stop: at the end of its line, or before more text that they cannot number. Elsewhere at the end of a
    clause, alone in a document without [1] or in running order: what is numbered in a text of its own begins with [1].
    """
    runs = list(_RUN.finditer(text))
    if not runs or _DEFINED.search(text):
        return []
    found = _behind_stops(runs)
    if min(map(_value, _NUMBER.findall(text))) > 1:
        clauses = [run for run in runs if _ends_clause(run)]
        if len(clauses) == len(runs) and (_running(clauses) if len(clauses) > 1 else _is_far_in(clauses)):
            found += clauses
    return sorted(found, key=re.Match.start)


def _is_behind_title(offer: re.Match[str]) -> bool:
    text = offer.string
    head = text.rfind("\n", 0, offer.start()) + 1
    if offer.start() - head > 52 or not _PROSE_FOLLOWS.match(text, offer.end()):
        return False
    return _TITLE.fullmatch(text, head, offer.start()) is not None


def _behind_stops(runs: list[re.Match[str]]) -> list[re.Match[str]]:
    """Numbers behind full stops that belong to the sentence before: text that they number would begin with [1]."""
    last, middle = [], []
    for run in runs:
        text, start = run.string, run.start()
        ends = _LINE_ENDS.match(text, run.end()) is not None
        before = text[max(start - 2, 0) : start]
        behind = before[-1:] and before[-1] in _STOPS and before != ".."
        if ends and (behind or (before[-1:] == " " and before[0] in _WIDE_STOPS)):
            last.append(run)
        elif behind and _TEXT_FOLLOWS.match(text, run.end()):
            middle.append(run)
    numbers = [_value(number) for run in runs for number in _NUMBER.findall(run.group())] if middle else []
    if middle and not last and min(numbers) == 1:
        apart = len(numbers) == 1 and middle[0].string[middle[0].end()] in " \u3000"
        return middle if apart else []
    return last + middle


def _ends_clause(run: re.Match[str]) -> bool:
    before, after = run.string[max(run.start() - 1, 0) : run.start()], run.string[run.end() : run.end() + 1]
    if before in ("，", "；"):
        return _WORD.match(after) is not None
    return (before in ("）", "”") or _WORD.match(before) is not None) and after in ("", "，", "。", "；", "\n")


def _running(clauses: list[re.Match[str]]) -> bool:
    """Whether numbers at the ends of clauses are those of notes: three and more in running order, some of them together
    or all far apart, where callouts, keys, figures and answers stand close."""
    series = [number for clause in clauses for number in _NUMBER.findall(clause.group())]
    if len(series) < 3 or series != sorted(set(series), key=_value):
        return False
    return len(clauses) < len(series) or clauses[-1].start() - clauses[0].start() > 60 * (len(clauses) - 1)


def _is_far_in(clauses: list[re.Match[str]]) -> bool:
    """Whether a lone number stands at some distance from the beginning of its line, as a figure in a table does not."""
    return len(clauses) == 1 and clauses[0].start() - clauses[0].string.rfind("\n", 0, clauses[0].start()) > 20


def _value(note: str) -> int:
    return int(re.sub(r"[^0-9]", "", note))
