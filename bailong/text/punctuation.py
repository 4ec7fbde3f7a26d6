"""Full-width punctuation where a sentence is Chinese, sign by sign after what stands beside it."""

import re
from itertools import islice
from typing import TypeAlias

from bailong.text.code_lines import is_code
from bailong.text.script import HAN
from bailong.text.spans import protected, replaced

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"{_HAN}\u3005-\u3007\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf"
#: Chinese letters and marks. Not … and —, which English writes too, and not the signs of full-width kaomoji
_WIDE = rf"{_LETTER}\u3001-\u3003\u3008-\u301f！（），：；？～"
_IS_WIDE = re.compile(f"[{_WIDE}]")
_IS_LETTER = re.compile(f"[{_LETTER}]")

#: Found in every document that has anything to convert, and rarely in another. It begins with the signs, which are
#: rare in Chinese, because what a pattern begins with decides its speed.
_CANDIDATE = re.compile(
    rf"""[,;:!?.()"“”‘’…⋯﹍。](?:
        (?<=[{_WIDE}][,;:!?.()"”’…⋯﹍]) | (?<=。。)
      | (?<=[,;:!?.()"“‘”’…⋯﹍])(?=[{_WIDE}”’])
    )""",
    re.X,
)

_RUN = re.compile(r"[!?]+|:+|[,;]")
_DOT = re.compile(r"(?<!\.)\.(?!\.)")
_DOTS = re.compile(r"\.{2,}|。{2,}|[⋯…﹍]+")
_WORD = re.compile(r"[A-Za-z]{2,}")
_BRACKET = re.compile(r"[()（）]")
_CURLY = re.compile(r"[“”‘’「」『』]")
#: a pair of straight quotes of Chinese; an inch sign and the syntax of a programming language are none
_STRAIGHT = re.compile(
    rf'(?<![0-9A-Za-z=\\{{\[(])"((?=[^"\n]*[{_HAN}])[^"\s](?:[^"\n]*[^"\s])?)"(?![0-9A-Za-z:=\\}}\]])'
)
_SYNTAX = re.compile(r'[{\[=]\s*"|"\s*:\s*["{\[0-9]')
#: :) ;-) :D of a chat; a bracket that closes an earlier one is no mouth
_EMOTICON = re.compile(r"[:;][-']?[)(DPpOo3]+(?![A-Za-z0-9])")
_LEADER = re.compile(r"[ \t]*(?:[0-9]|[A-Za-z]{0,3}\$)")

#: what stands before a dot that ends no sentence
_TOKEN = re.compile(r"[A-Za-z0-9_.+\-/%°²³]+\Z")
_ABBREVIATION = re.compile(
    r"(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|Dr|Mr|Mrs|Ms|Prof|St|No|Vol|vs|etc|Inc|Ltd|Co|Corp|Jr|Sr|Fig|pp?|ed)\Z"
)
_TO_FULL = str.maketrans(",;:!?", "，；：！？")

#: a command of LaTeX with its arguments
_COMMAND = re.compile(r"\\[A-Za-z]+\*?(?:\[[^\]\n]*\])?(?:\{[^{}\n]*\})+")

#: start -> (end, new text)
Edits: TypeAlias = dict[int, tuple[int, str]]


def contextual(text: str, *, quotes: str = "corner", ellipsis: bool = True) -> str:
    """Convert a document line by line, code aside (`bailong.text.code_lines`); a second time changes nothing.

    Args:
        quotes: `corner`, `curly` or `keep` (see `Punctuate`).
        ellipsis: whether dots of all kinds beside Chinese become ……
    """
    if not _CANDIDATE.search(text):
        return text
    # code and comments of several lines are only seen as a whole; anything else is looked for in single lines
    masked = _masked(text).split("\n") if "```" in text or "<!--" in text else None
    given = text.split("\n")
    lines = given.copy()
    for i, line in enumerate(given):
        if _CANDIDATE.search(line) and not is_code(given, i):
            lines[i] = _line(line, masked[i] if masked else _masked(line), quotes, ellipsis)
    return "\n".join(lines)


def _masked(text: str) -> str:
    """The text with low lines for what is protected: its signs are not seen, and its edges are not Chinese."""
    spans = protected(text, numbers=False)
    masked = replaced(text, ((start, end, re.sub(r"[^\n]", "_", text[start:end])) for start, end, _ in spans))
    return _COMMAND.sub(lambda match: "_" * len(match[0]), masked) if "\\" in masked else masked


def _line(line: str, masked: str, quotes: str, ellipsis: bool) -> str:
    """Each rule makes neighbours for the others, so they are applied until nothing changes."""
    while True:
        edits: Edits = {}
        english = _is_english(masked)
        if ellipsis and not english and any(dots in masked for dots in ("..", "。。", "…", "⋯", "﹍")):
            _dots(masked, edits)
        if quotes != "keep" and any(quote in masked for quote in "“”‘’"):
            _curly_quotes(masked, edits, english)
        if quotes == "corner" and '"' in masked:
            _straight_quotes(masked, edits)
        if not english and ("(" in masked or ")" in masked):
            _brackets(masked, edits)
        _marks(masked, edits, english)
        if "." in masked:
            _stops(masked, edits, english)
        if not edits:
            return line
        ordered = [(start, *edit) for start, edit in sorted(edits.items())]
        line, masked = replaced(line, ordered), replaced(masked, ordered)


def _is_english(masked: str) -> bool:
    """Whether a line has more Latin words than Han characters."""
    words = len(_WORD.findall(masked))
    return words > 0 and words > sum(1 for _ in islice(HAN.finditer(masked), words))


def _wide(masked: str, i: int) -> bool:
    """Whether position i holds a Chinese letter or mark; …… counts as one."""
    if not 0 <= i < len(masked):
        return False
    return (
        bool(_IS_WIDE.match(masked[i]))
        or masked[i] == "…"
        and (masked[i - 1 : i] == "…" or masked[i + 1 : i + 2] == "…")
    )


def _after(masked: str, i: int) -> int:
    """The first position from i on that is no space."""
    while i < len(masked) and masked[i] in " \t":
        i += 1
    return i


def _spaced(masked: str, end: int) -> int:
    """The end of a half-width sign with the one or two spaces that follow it, which a full-width sign has built in."""
    after = _after(masked, end)
    return after if after <= end + 2 and after < len(masked) else end


def _dots(masked: str, edits: Edits) -> None:
    for match in _DOTS.finditer(masked):
        start, end = match.span()
        if match[0] == "……" or not (_wide(masked, start - 1) or _wide(masked, end)):
            continue
        leader = match[0][0] == "." and end - start >= 4 and _LEADER.match(masked, end)
        if not leader:
            edits[start] = (end, "……")


def _curly_quotes(masked: str, edits: Edits, english: bool) -> None:
    open_: list[tuple[int, str]] = []
    depth = 0
    for match in _CURLY.finditer(masked):
        i, sign = match.start(), match[0]
        if sign in "「『":
            depth += 1
        elif sign in "」』":
            depth = max(0, depth - 1)
        elif sign in "“‘":
            open_.append((i, sign))
        elif open_ and open_[-1][1] == ("“" if sign == "”" else "‘"):
            first, _ = open_.pop()
            outside = _wide(masked, first - 1) or _wide(masked, i + 1)
            if HAN.search(masked, first, i) or (outside and not english):
                corner = "『』" if (depth + len(open_)) % 2 else "「」"
                edits[first], edits[i] = (first + 1, corner[0]), (i + 1, corner[1])
        elif sign == "”" and _wide(masked, i - 1):
            edits[i] = (i + 1, "」")
    for i, sign in open_:
        if sign == "“" and _wide(masked, i + 1):
            edits[i] = (i + 1, "「")


def _straight_quotes(masked: str, edits: Edits) -> None:
    if masked.count('"') % 2 == 0 and not _SYNTAX.search(masked):
        for match in _STRAIGHT.finditer(masked):
            if _IS_LETTER.match(match[1][0]) or _wide(match[1], len(match[1]) - 1):
                nested = masked.count("「", 0, match.start()) > masked.count("」", 0, match.start())
                first, last = match.start(), match.end() - 1
                corner = "『』" if nested else "「」"
                edits[first], edits[last] = (first + 1, corner[0]), (last + 1, corner[1])


def _brackets(masked: str, edits: Edits) -> None:
    open_: list[int] = []
    for match in _BRACKET.finditer(masked):
        i = match.start()
        if match[0] in "(（":
            open_.append(i)
        elif open_:
            first = open_.pop()
            if masked[first] == "（" or masked[i] == "）" or HAN.search(masked, first, i):
                for at, new in ((first, "（"), (i, "）")):
                    if masked[at] != new:
                        edits[at] = (at + 1, new)


def _marks(masked: str, edits: Edits, english: bool) -> None:
    for match in _RUN.finditer(masked):
        start, end = match.span()
        sign = match[0][0]
        if sign in ":;" and (end - start > 1 or _is_emoticon(masked, start)):
            continue
        after = _after(masked, end)
        if _wide(masked, start - 1):
            inside = not english or after == len(masked) or _wide(masked, after)
            convert = inside or (sign != ":" and _chinese_clause(masked, start))
        else:
            convert = start > 0 and masked[start - 1] not in " \t" and _wide(masked, end)
        if convert:
            edits[start] = (_spaced(masked, end), match[0].translate(_TO_FULL))


def _is_emoticon(masked: str, i: int) -> bool:
    if not (match := _EMOTICON.match(masked, i)):
        return False
    if match[0][-1] == "(":
        return ")" not in masked[match.end() :]
    return match[0][-1] != ")" or masked.count("(", 0, i) <= masked.count(")", 0, i)


def _chinese_clause(masked: str, end: int) -> bool:
    """Whether Chinese leads up to `end` in a line that is mostly English, not a single Chinese word in it."""
    return len(HAN.findall(masked, max(0, end - 8), end)) >= 5


def _stops(masked: str, edits: Edits, english: bool) -> None:
    full_width = any(mark in masked for mark in "，。；！？")
    for match in _DOT.finditer(masked):
        i = match.start()
        after = masked[i + 1 : i + 2]
        if not i or after == "。":
            continue
        if _wide(masked, i - 1):
            if _IS_LETTER.match(after or " ") and _IS_LETTER.match(masked[i - 1]):
                convert = _between(masked, i, full_width)
            else:
                convert = not after or after in " \t\"'”’)）」』]［[【" or _wide(masked, i + 1)
            convert = convert and (not english or _wide(masked, _after(masked, i + 1)) or _chinese_clause(masked, i))
        else:
            convert = not english and _ends_sentence(masked, i, after)
        if convert:
            edits[i] = (_spaced(masked, i + 1), "。")


def _between(masked: str, i: int, full_width: bool) -> bool:
    """Whether a dot between two Chinese letters is a full stop: not in 壞.詞.乙, and not in a name (尚.雷諾).

    A text that has full-width marks elsewhere writes its full stops so too, unless it has long clauses on both sides.
    """
    left = re.search(rf"[{_LETTER}]*\Z", masked[max(0, i - 8) : i])
    right = re.match(rf"[{_LETTER}]*", masked[i + 1 : i + 9])
    assert left and right
    chain = (len(left[0]) <= 2 and masked[i - len(left[0]) - 1 : i - len(left[0])] == ".") or (
        len(right[0]) <= 2 and masked[i + 1 + len(right[0]) : i + 2 + len(right[0])] == "."
    )
    return not chain and (not full_width or (len(left[0]) >= 6 and len(right[0]) >= 5))


def _ends_sentence(masked: str, i: int, after: str) -> bool:
    """Whether a dot after a digit or Latin letter ends a Chinese sentence: 8 GB.官網, but not 1.首先 or U.S.A.是."""
    token = _TOKEN.search(masked, 0, i)
    if token is None or _ABBREVIATION.match(token[0]):
        return False
    if after and not _IS_LETTER.match(after):
        return False
    mark = (
        token[0].isdigit()
        and len(token[0]) <= 3
        and not _IS_LETTER.match(masked[token.start() - 1 : token.start()] or " ")
    )
    if mark or after:
        return not mark
    clause = re.split(r"[。！？；.!?;]\s|[。！？；]", masked[:i])[-1]
    return len(HAN.findall(clause)) >= max(4, 2 * len(_WORD.findall(clause)))
