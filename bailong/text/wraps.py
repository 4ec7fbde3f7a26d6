"""Lines that were broken at a fixed width are joined again, across the numbers and running heads of pages.

A typewriter, an editor or a PDF fills a line until the next word (in Chinese: the next character) does not fit. Every
such break therefore tells of the widths that it can come from: at least that of the line, and less than the line
and what begins the next one. Verse, lists and headings break elsewhere, and no single width explains them. A document
is unwrapped only if one width explains nearly all breaks within its sentences; then those breaks go, and no other.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from bailong.text.sentences import MARKS

_WIDE = re.compile("[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]")
#: wide beside Chinese characters
_EITHER = re.compile("[“”‘’…—·]")
#: has blanks between its words, unlike what else is wide
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
#: endings of Korean nouns, which no word begins with: what they begin is the end of a divided word
_ENDING = re.compile("(?:는|를|을|은|의|에|에서|에게|으로|로|와|과|까지|부터|처럼|입니다|이다)(?!\\w)")
_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
#: of scripts whose words end with a sign as often as with a letter, which `\w` leaves out
_SIGNS = "\u0900-\u0963\u0966-\u0dff\u0e00-\u0e4e\u0e80-\u0ece\u102b-\u103e\u17b4-\u17d3"
#: the end of a line of some length within a sentence
_OPEN = re.compile(rf"\n(?<=[^\n]{{15}}[\w，、,،؛\-—）)」』》%~{_SIGNS}]\n)")
#: the mark of a page by its form, below a line that does not end a sentence
_AT_PAGE = re.compile(
    r"\n(?<=[\w，、,\-—]\n)\s*(?:[-–—]+ ?\d{1,4} ?[-–—]|第 ?[\d一二三四五六七八九十]+ ?[頁页]|[Pp]age \d)"
)
#: what such a mark holds, found without looking back
_PAGE = re.compile(r"\n\s*(?:[-–—第]|[Pp]age \d)")
_CLOSING = "，。、；：！？）」』》〉】〕”’…,.;:!?)]%"
_END = re.compile(rf"[。！？!?：:；;…{MARKS}]['\"”’」』）)》]*\Z|\.['\"”’)\]]*\Z")
_LETTER = r"[^\W\d_\x00-\x7f\u2e80-\uffff]"
_INNER_END = re.compile(rf"[。！？{MARKS}]|(?:[a-z]|{_LETTER})[.?!] (?:[A-Z]|{_LETTER})")
_STOP = re.compile(rf"[，。、；！？,.;،؛{MARKS}]\s?\S")
#: what a line of its own begins with: an item, a quotation, an article, a heading
_START = re.compile(
    r"\s*(?:(?:[·‧](?!\w)|[-*+•○●◆◇■□▪►▶◎※★☆→>|#=`$%@&])"
    r"|\d{1,3}(?:[)、．]|\.(?!\d))|\(?[a-zA-Z0-9]\)|[A-Z]\. |[(（][一二三四五六七八九十\d]+[)）]"
    r"|[一二三四五六七八九十]+、|[甲乙丙丁]、|第\s*[一二三四五六七八九十百千\d]+\s*[條章節編款項回卷]|[①-⑳㈠-㈩]|https?://|\d\d?:\d\d)"
)
#: who speaks, or the field of a header
_NAMED = re.compile(r"\s*[\w .-]{1,20}[：:]")
_TABLE = re.compile(r"(?<![.?!:。\s])[ \u3000]{2,}\S|\t|-->|\|.*\|")
_NUMBER = r"(?:\d{1,4}|[ivxl]{1,6})"
_MARK = re.compile(
    rf"\s*(?:[-–—─‧·~]+\s*\d{{1,4}}\s*[-–—─‧·~]+"
    rf"|第\s*[\d一二三四五六七八九十百]+\s*[頁页](?:\s*[，,/／]?\s*[共（(]?\s*共?\s*[\d一二三四五六七八九十百]+\s*[頁页][）)]?)?"
    rf"|(?:[Pp]age|PAGE|[Pp]\.|Sayfa)\s*{_NUMBER}(?:\s*(?:of|/)\s*\d{{1,4}})?|\d{{1,4}}\s*/\s*\d{{1,4}}|\[[Pp]age\s*\d+\])\s*\Z"
)
_BARE = re.compile(rf"\s*{_NUMBER}\s*\Z")
_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_CUT_WORD = re.compile(r"([^\W\d_]{2,})-\Z")
#: first parts of compounds that keep their hyphen
_COMPOUND = re.compile(
    r"(?:well|self|half|high|low|long|short|ex|all|cross|full|non|co|anti|semi|quasi|one|"
    r"two|three|four|five|six|ten|hard|soft|old|new|open|close|free|first|second|third|"
    r"large|small|so|much|above|below|ill|ever|mid|post|pre|north|south|east|west)\Z"
)
#: behind a hyphen that stands for the end of a later word: long- and short-term
_SUSPENDED = re.compile(r"(?:and|or|to|und|oder|bis)\b")
#: last parts of compounds
_COMPOUND_END = re.compile(
    r"(?:based|term|time|like|level|year|day|way|free|wide|old|scale|made|known|being|held|"
    r"born|owned|related|specific|friendly|party|half|line|hand|world|style|sized|round|"
    r"depth|minded|class|quality|rate|hour|run|long|end|up|off)\Z"
)
#: narrower lines are verse, captions, columns (in columns of a terminal; Chinese, and with blanks)
_LEAST = {True: 36, False: 50}
_MOST = 132


class _Break(NamedTuple):
    """The break between two lines, `first` and `second`, with nothing but marks of pages between them.

    Attributes:
        width: of the first line, in columns.
        below: width of the second line.
        unit: width of what begins the second line, with the blank before it.
        open: the first line does not end a sentence.
        goes_on: the second begins within one, as far as its first letter tells.
    """

    first: int
    second: int
    width: int
    unit: int
    below: int
    chinese: bool
    open: bool
    goes_on: bool
    hyphen: bool

    def explained(self, width: int, slack: int) -> bool:
        hanging = 2 if self.chinese else 0
        return max(self.width, self.below) - hanging <= width < self.width + self.unit + slack


def unwrapped(text: str) -> str:
    """The text with the line breaks that a fixed width made joined; all other text as it is.

    Chinese is joined without a blank, words (those of Korean too) with one; a word that was divided loses its hyphen
    unless it is a compound.
    """
    if not _maybe(text):
        return text
    lines = text.split("\n")
    furniture = _furniture(lines)
    breaks = list(_breaks(lines, furniture))
    joined = {each.first: each for each in _made_by_width(lines, breaks)}
    joined |= {each.first: each for each in breaks if each.first not in joined and _across_page(lines, each)}
    if not joined:
        return text
    marks = {i for i in furniture if _MARK.match(lines[i])} if len(joined) > 1 else set()
    return _join(text, lines, joined, furniture, marks)


def _maybe(text: str) -> bool:
    """Whether there is something to look at; few texts have it, and to find that out must cost next to nothing."""
    if (ends := text.count("\n")) < 2:
        return False
    if len(text) < _MOST * (ends + 1) and len(_OPEN.findall(text)) * 3 >= max(ends, 6):
        return True
    return _PAGE.search(text) is not None and _AT_PAGE.search(text) is not None


def _width(line: str, *, chinese: bool) -> int:
    return len(line) + len(_WIDE.findall(line)) + (len(_EITHER.findall(line)) if chinese else 0)


def _furniture(lines: list[str]) -> set[int]:
    """The lines that are marks of pages, or running heads beside one."""
    marks = {i for i, line in enumerate(lines) if len(line) < 40 and (_MARK.match(line) or _BARE.match(line))}
    if not marks:
        return marks
    heads: Counter[str] = Counter()
    beside: dict[int, str] = {}
    for mark in marks:
        for near in (*_next_filled(lines, mark, -1), *_next_filled(lines, mark, 1)):
            if near not in marks and near not in beside and len(lines[near].strip()) <= 40:
                beside[near] = _DIGITS.sub("0", lines[near].strip())
                heads[beside[near]] += 1
    return marks | {i for i, head in beside.items() if heads[head] > 1}


def _next_filled(lines: list[str], i: int, step: int) -> Iterator[int]:
    """The two nearest lines with something in them."""
    found = 0
    for near in range(i + step, -1 if step < 0 else len(lines), step):
        if lines[near].strip():
            yield near
            found += 1
        if found == 2 or abs(near - i) > 6:
            return


def _breaks(lines: list[str], furniture: set[int]) -> Iterator[_Break]:
    first = -1
    fenced = False
    gap = False
    for i, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith(("```", "~~~")):
            fenced, first = not fenced, -1
        elif i in furniture:
            gap = True
        elif not bare:
            if not gap and not (i + 1 < len(lines) and _page_follows(lines, i, furniture)):
                first = -1
        elif fenced or (len(bare) > 2 * _MOST and not furniture) or _TABLE.search(bare):
            first = -1
        else:
            if first >= 0:
                found = _break(lines, first, i)
                if found is not None:
                    yield found
            first, gap = i, False


def _page_follows(lines: list[str], i: int, furniture: set[int]) -> bool:
    following = next((j for j in range(i + 1, min(len(lines), i + 4)) if lines[j].strip()), -1)
    return following in furniture


def _break(lines: list[str], first: int, second: int) -> _Break | None:
    """None where the second line begins something of its own."""
    above, below = lines[first].rstrip(), lines[second]
    head = below.lstrip()
    if _START.match(below):
        return None
    deeper = (len(below) - len(head)) - (len(above) - len(above.lstrip()))
    if deeper > 0 and not (_START.match(above) and deeper <= 4):
        return None
    is_open = _END.search(above) is None
    if not is_open and _NAMED.match(head):
        return None
    chinese = len(_HAN.findall(above)) * 4 > len(above)
    unit = _unit(head, chinese)
    if chinese:
        goes_on = head[0].isalnum() or head[0] in "「『《〈（(“" + _CLOSING
    else:
        goes_on = head[0].isalpha() and not head[0].isupper()
    hyphen = _CUT_WORD.search(above) is not None and head[0].islower() and not chinese
    return _Break(
        first,
        second,
        _width(above, chinese=chinese),
        unit,
        _width(below, chinese=chinese),
        chinese,
        is_open,
        goes_on,
        hyphen,
    )


def _unit(head: str, chinese: bool) -> int:
    """Columns that must be left in a line for what begins the next one."""
    if not chinese:
        return 1 + _width(head.split(None, 1)[0], chinese=False)
    found = re.match(rf"[「『《〈（(“]*(?:[A-Za-z0-9.,:/%'-]+|.)[{re.escape(_CLOSING)}]*", head)
    return _width(found[0], chinese=True) + (1 if head[0].isascii() else 0) if found else 2


def _made_by_width(lines: list[str], breaks: list[_Break]) -> list[_Break]:
    """The breaks that one width explains, if it explains the document."""
    from bailong.text.code_lines import is_code

    made: list[_Break] = []
    for chinese in (True, False):
        those = [each for each in breaks if each.chinese == chinese]
        least = _LEAST[chinese]
        votes: Counter[int] = Counter()
        for each in those:
            if least - 2 <= each.width <= _MOST:
                for width in range(max(each.width, each.below) - (2 if chinese else 0), each.width + each.unit):
                    votes[width] += 8 if each.open else 1
        for width, _ in votes.most_common(1):
            for slack, needed in ((0, 2), (4 if chinese else width // 7, 5)):
                if not least <= width <= _MOST:
                    break
                found = _explained(lines, those, width, slack, needed)
                if found and sum(is_code(lines, each.first) for each in found) * 5 <= len(found):
                    made += found
                    break
    return made


def _explained(lines: list[str], breaks: list[_Break], width: int, slack: int, needed: int) -> list[_Break]:
    inside = [each for each in breaks if each.open and each.width * 2 > width]
    good = [each for each in inside if each.explained(width, slack)]
    chinese = bool(good) and good[0].chinese
    wordy = [each for each in good if each.goes_on and (not chinese or lines[each.first].rstrip()[-1] not in _CLOSING)]
    score = len(wordy) + sum(each.hyphen for each in wordy)
    if score < needed or 10 * len(good) < 7 * len(inside) or 10 * len(wordy) < 5 * len(good):
        return []
    ends = {each.second for each in good} - {each.first for each in good}
    complete = sum(_END.search(lines[i].rstrip()) is not None for i in ends)
    # two breaks alone are evidence only if they agree, and all that they would make are sentences
    if len(good) == 2 and score == 2 and not (chinese and len(inside) == 2 and complete == len(ends)):
        return []
    heads = Counter(lines[each.first].lstrip()[:2] for each in good)
    if 2 * heads.most_common(1)[0][1] > len(good) > 1:
        return []
    if sum(_STOP.search(lines[each.first]) is not None for each in good) * (3 if chinese else 8) < len(good):
        return []
    # sentences end at the end of a paragraph or within a line; the rows of a list never do
    if 2 * complete < len(ends) and not any(_INNER_END.search(lines[each.first]) for each in good):
        return []
    found = []
    for each in breaks:
        if not each.explained(width, slack) or (slack and not (each.open and each.goes_on)):
            continue
        # a short line without an end below a sentence that fills its line is a heading
        if not each.open and _END.search(lines[each.second].rstrip()) is None and each.below < width - 8:
            continue
        found.append(each)
    return found


def _across_page(lines: list[str], each: _Break) -> bool:
    """Whether the mark of a page, whose form says that it is one, stands within a sentence."""
    between = lines[each.first + 1 : each.second]
    return each.open and each.goes_on and each.width >= 24 and any(_MARK.match(line) for line in between)


def _join(text: str, lines: list[str], joined: dict[int, _Break], furniture: set[int], marks: set[int]) -> str:
    words = Counter(word.casefold() for word in _WORD.findall(text))
    spaced = len(re.findall("[\u4e00-\u9fff] [A-Za-z0-9]", text)) > len(re.findall("[\u4e00-\u9fff][A-Za-z0-9]", text))
    made: list[str] = []
    forms = {_form(lines[i]) for each in joined.values() for i in range(each.first + 1, each.second)}
    pending: _Break | None = None
    i = 0
    while i < len(lines):
        line = lines[i]
        if pending is not None:
            made[-1] = _glued(made[-1].rstrip(), line.lstrip(), words, chinese=pending.chinese, spaced=spaced)
        elif i in marks or i in furniture and _form(line) in forms:
            i += 1
            while i < len(lines) and made and not made[-1].strip() and not lines[i].strip():
                i += 1
            continue
        else:
            made.append(line)
        pending = joined.get(i)
        i = pending.second if pending is not None else i + 1
    return "\n".join(made)


def _form(line: str) -> str:
    return _DIGITS.sub("0", line.strip())


def _in_korean(left: str, right: str, *, chinese: bool) -> bool:
    """Whether a break between these characters is one of Korean, and no Korean name in Chinese or Japanese."""
    beside = [_HANGUL.match(left) is not None, _HANGUL.match(right) is not None]
    return all(beside) or (any(beside) and not chinese)


def _divided(above: str, below: str, words: Counter[str]) -> bool:
    """Whether a break in Korean is within a word, or beside a mark that takes no blank."""
    if below[:1] in _CLOSING or above[-1:] in "([「『《〈（“‘/" or (above[-1:] == "-" and below[:1].isalnum()):
        return True
    first, second = re.search(r"[^\W\d_]+\Z", above), re.match(r"[^\W\d_]+", below)
    if first is None or second is None:
        return _ENDING.match(below) is not None and above[-1:].isalnum()
    whole = words[(first[0] + second[0]).casefold()]
    apart = words[first[0].casefold()] > 1 and words[second[0].casefold()] > 1
    return _ENDING.match(below) is not None or (whole > 0 and not apart)


def _glued(above: str, below: str, words: Counter[str], *, chinese: bool, spaced: bool) -> str:
    left, right = above[-1:], below[:1]
    if _in_korean(left, right, chinese=chinese):
        return above + below if _divided(above, below, words) else f"{above} {below}"
    if _WIDE.match(left) or _WIDE.match(right):
        mixed = spaced and (left.isalnum() and right.isalnum()) and not (_WIDE.match(left) and _WIDE.match(right))
        return f"{above} {below}" if mixed else above + below
    if chinese and not ((left.isalpha() or left in ",;") and right.isalnum()):
        return above + below
    cut = _CUT_WORD.search(above)
    if cut is None or not right.islower() or _SUSPENDED.match(below):
        tight = left in "-/" and not _SUSPENDED.match(below) and right.isalnum() and above[-2:-1] not in ("", " ")
        return above + below if tight else f"{above} {below}"
    first, second = cut[1].casefold(), _WORD.match(below)
    rest = second[0].casefold() if second else ""
    whole, compound = words[first + rest], words[f"{first}-{rest}"]
    parts = _COMPOUND.match(first) or _COMPOUND_END.match(rest) or (first.endswith("ed") and len(rest) > 3)
    if whole or not (compound or parts or (words[first] > 1 and words[rest] > 1)):
        return above[:-1] + below
    return above + below
