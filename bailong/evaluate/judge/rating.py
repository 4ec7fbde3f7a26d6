"""The rating in a judge's reply, and how surely it was read.

Judges are asked for `[[5]]` and write `[[ 5 ]]`, `［［５］］`, `【【5】】`, `[[8/10]]`, `[[5分]]`, `\\[\\[4\\]\\]`, and
`評分：5`; they repeat the example of their prompt before they rate, quote `arr[0]`, and stop in the middle of a word. A
rating is looked for in this order, the last one of the first kind that is there:

1. double brackets behind a label (評分, Rating, Score, ...);
2. double brackets;
3. a plain or singly bracketed number behind a label, or a reply that is nothing but a number;
4. any of these that is announced as an example (例如, 格式, for example).
"""

import re
import unicodedata
from typing import NamedTuple

#: statuses of a verdict. With the first two it has a score; no other one is ever counted as 0.
SCORED = ("ok", "repaired")
STATUSES = (*SCORED, "parse_error", "out_of_range", "truncated", "refused", "api_error")

# not the beginning of 1.2.3 or of 1,000
_NUMBER = r"[-+]?[0-9]++(?:\.[0-9]++)?+(?!\.?[0-9]|,[0-9]{3}(?![0-9]))"
_VALUE = rf"(?P<value>{_NUMBER})\s*+(?:/\s*+(?P<of>{_NUMBER}))?\s*+(?:分|點|points?|pts)?"
_LABEL = r"(?:評分|评分|得分|分數|分数|總分|总分|(?<![a-z])(?:rating|score|grade)(?![a-z]))"
# between a label and its number: the ]] of [[rating]], (0-10), a colon or a verb, an opening quotation mark
_GAP = r"\]{0,2}+\s*+(?:\([^()\n]{0,20}\))?\s*+(?:[:=]|為|为|是|is\b|of\b)?\s*+[「『“‘\"']?\s*+"
# not `df[[0]]`, a subscript
_BOXED = rf"(?<![a-z0-9_\])])\[\s*+\[\s*+{_VALUE}\s*+\]\s*+\]"

_LABELLED = re.compile(_LABEL + _GAP + _BOXED)
_BARE = re.compile(_BOXED)
# a number alone must not begin a range (7-8, 0 到 10)
_PLAIN = re.compile(rf"{_LABEL}{_GAP}\[{{0,2}}\s*+{_VALUE}(?!\s*+(?:[-~–—]|到|至|to\b)\s*+[0-9])")
_ALONE = re.compile(rf"\s*+{_VALUE}\s*+[。.!]?\s*+")
# 例如：“評分：[[5]]”, 格式為「[[5]]」, 「[[5]]」的格式; not 格式正確，評分：[[5]] or 按照格式評分：[[5]]
_QUOTE = "[「『“‘\"'(]"
_EXAMPLE = re.compile(
    rf"(?:(?:如|for example|e\.g\.|such as)[\s:,]*+{_QUOTE}*+"
    rf"|(?:格式|範例|format|example)\s*+(?:(?:為|是|如|is\b|:)\s*+{_QUOTE}*+|{_QUOTE}++))(?:{_LABEL}{_GAP})?$"
)
_AS_FORMAT = re.compile(r"[」』”’\"')\s]*(?:的|之)格式")
# a label that opens a line or a sentence: the rating itself, also when the reply was cut off behind it
_FINAL = re.compile(r"[\n。.!?;][\s#>\-「『“‘\"']*+(?:最終|最终|總|总|綜合|综合|final|overall|my)?\s*$")
_CANONICAL = re.compile(r"\[\[(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\]\]")
_BRACKETS = str.maketrans("【】〔〕〖〗−", "[][][]-")
_DECORATION = re.compile(r"[\\*`_\u200b-\u200f\u2060\ufeff]|</?(?:b|strong)>")


class Rating(NamedTuple):
    """A score within bounds with status `ok` or `repaired` (an unusual spelling); else None, and why.

    `matched` is what was read, brackets included, or empty.
    """

    status: str
    score: float | None
    matched: str = ""


def parse(text: str | None, finish_reason: str | None = "stop", low: float = 0, high: float = 10) -> Rating:
    """Read the rating of a reply.

    Args:
        finish_reason: as the endpoint gave it; `length` makes a reply without a rating `truncated`, `content_filter`
            makes one without text `refused`.
        low: the least score, included; `high` the greatest. `[[x/n]]` counts only with n = `high`.
    """
    if not text and finish_reason == "content_filter":
        return Rating("refused", None)
    plain = normalized(text or "")
    found, final = _last(plain)
    if finish_reason == "length" and not final:
        return Rating("truncated", None, found["matched"] if found else "")
    if found is None:
        return Rating("parse_error", None)
    matched, score = found["matched"], float(found["value"])
    if not low <= score <= high or (found["of"] and float(found["of"]) != high):
        return Rating("out_of_range", None, matched)
    usual = _CANONICAL.fullmatch(matched) and matched in (text or "") and finish_reason != "length"
    return Rating("ok" if usual else "repaired", score or 0.0, matched)


def normalized(text: str) -> str:
    """Text for reading marks from: one width, one kind of brackets, no Markdown, lower case."""
    text = unicodedata.normalize("NFKC", text).translate(_BRACKETS)
    return _DECORATION.sub("", text).lower()


def is_example(plain: str, match: re.Match[str]) -> bool:
    """Whether what was matched is announced as an example, as the prompt's own `例如：“評分：[[5]]”` is."""
    before = plain[max(0, match.start() - 40) : match.start()]
    return bool(_EXAMPLE.search(before) or _AS_FORMAT.match(plain, match.end()))


def _last(plain: str) -> tuple[dict[str, str] | None, bool]:
    """The rating by the order above, and whether it opens a line or sentence: nothing cut off could change it."""
    examples: list[re.Match[str]] = []
    for pattern in (_LABELLED, _BARE, _PLAIN):
        real = []
        for match in pattern.finditer(plain):
            (examples if is_example(plain, match) else real).append(match)
        if real:
            before = "\n" * (real[-1].start() < 60) + plain[max(0, real[-1].start() - 60) : real[-1].start()]
            return _facts(real[-1]), pattern is _LABELLED and _FINAL.search(before) is not None
    if alone := _ALONE.fullmatch(plain):
        return _facts(alone), False
    return (_facts(max(examples, key=lambda match: match.start("value"))) if examples else None), False


def _facts(match: re.Match[str]) -> dict[str, str]:
    """`value`, `of` (or empty), and `matched`: from the first bracket on, or from the number where there is none."""
    text, bracket = match[0], match[0].find("[")
    start = bracket if bracket >= 0 else match.start("value") - match.start()
    return {"value": match["value"], "of": match["of"] or "", "matched": text[start:].strip()}
