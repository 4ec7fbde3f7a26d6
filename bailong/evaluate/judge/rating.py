"""The rating in a judge's reply, and how surely it was read.

Judges are asked for `[[5]]` and write `[[ 5 ]]`, `［［５］］`, `【【5】】`, `[[8/10]]`, `[[5分]]`, `\\[\\[4\\]\\]`,
`評分：5`, `8 out of 10` and `{"rating": 7}`; they think aloud, repeat their prompt, quote `arr[0]`, and stop in the
middle of a word. Kinds of marks, the surest first (`reading` says which one of a reply counts):

0. double brackets behind a label (評分, Rating, Score, ...);
1. double brackets;
2. a plain or singly bracketed number behind a label, or a reply that is nothing but a number;
3. a number of the greatest possible (7/10, 8 out of 10), alone in a sentence or given by the judge in so many words;
   in Turkish wherever it stands (10 üzerinden 8), since that is said of marks alone.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bailong.evaluate.judge.reading import Mark, Shown, choose, echoes, normalized
from bailong.evaluate.reasoning import spoken

#: statuses of a verdict. With the first two it has a score; no other one is ever counted as 0.
SCORED = ("ok", "repaired")
STATUSES = (*SCORED, "parse_error", "out_of_range", "truncated", "refused", "api_error")

# not the beginning of 1.2.3 or of 1,000
_NUMBER = r"[-+]?[0-9]++(?:\.[0-9]++)?+(?!\.?[0-9]|,[0-9]{3}(?![0-9]))"
# the scale is named before the number in Turkish (5 üzerinden 4), behind it elsewhere; neither it nor the full marks
# that a judge may speak of first (5分滿分) are the rating
_NO_SCALE = r"(?!\s*+(?:üzerinden|(?:分|點)?\s*+(?:滿分|满分|制)))"
_VALUE = (
    rf"(?:(?P<over>{_NUMBER})\s*+üzerinden\s*+)?(?P<value>{_NUMBER}){_NO_SCALE}"
    rf"\s*+(?:(?:/|out of\b)\s*+(?P<of>{_NUMBER}))?\s*+(?:分|點|points?|pts|puan)?"
)
_LABEL = r"(?:評分|评分|得分|分數|分数|總分|总分|(?<![a-z])(?:rating|score|grade)(?![a-z])|(?<!\w)puan(?:ı|ım)?(?!\w))"
# between a label and its number: the ]] of [[rating]], the quotation mark of {"rating": 5}, (0-10), a colon or a verb,
# an opening quotation mark
_GAP = r"(?:\]{1,2}+|[\"'](?=\s*+:))?+\s*+(?:\([^()\n]{0,20}\))?\s*+(?:[:=]|為|为|是|is\b|of\b)?\s*+[「『“‘\"']?\s*+"
# not `df[[0]]`, a subscript
_BOXED = rf"(?<![a-z0-9_\])])\[\s*+\[\s*+{_VALUE}\s*+\]\s*+\]"

_LABELLED = re.compile(_LABEL + _GAP + _BOXED)
_BARE = re.compile(_BOXED)
# a number alone must not begin a range (7-8, 0 到 10)
_PLAIN = re.compile(rf"{_LABEL}{_GAP}\[{{0,2}}\s*+{_VALUE}(?!\s*+(?:[-~–—]|到|至|to\b)\s*+[0-9]|[,;、]\s?[0-9])")
_OF = re.compile(
    rf"(?<![0-9a-z./\-])(?P<value>{_NUMBER})\s*+(?:分|點|points?|pts)?\s*+"
    rf"(?:(?:/|\(?out of\b)\s*+|[(,]\s*+(?:滿分|满分)(?:為|是)?\s*+)"
    rf"(?P<of>{_NUMBER})(?:\s*+(?:分|points?))?(?![0-9/\-])"
)
_OVER = re.compile(
    rf"(?<![0-9a-z./\-])(?P<over>{_NUMBER})\s*+üzerinden\s*+\[{{0,2}}+(?P<value>{_NUMBER})(?![0-9/\-]|,[0-9])"
)
# the judge gives it, or it stands alone in its line or sentence
_GIVEN = re.compile(
    r"(?:給|给|予|打|得|評為|(?:rate|give|giving)(?: \w+){0,3}|(?:deserves|earns)(?: an?)?|rated(?: at)?"
    r"|score[sd]?(?: an?| at)?|rating(?: is| of)?)\s*+[:]?\s*+(?:an?|了|出)?\s*+$"
)
_STARTS = re.compile(r"(?:^|[\n。.!?;])[\s#>\-「『“‘\"'(]*+$")
_STOPS = re.compile(r"[」』”’\"')]*+\s*?(?:[\n。.!?;,]|$)")
_ALONE = re.compile(rf"\s*+{_VALUE}\s*+[。.!]?\s*+")
# 例如：“評分：[[5]]”, 格式為「[[5]]」, 「[[5]]」的格式; not 格式正確，評分：[[5]] or 按照格式評分：[[5]]
_QUOTE = "[「『“‘\"'({]"
_EXAMPLE = re.compile(
    rf"(?:(?:如|for example|e\.g\.|such as|örneğin|mesela)[\s:,]*+{_QUOTE}*+"
    rf"|(?:格式|範例|format|example|biçim[a-zçğıöşü]*|örnek)\s*+(?:(?:為|是|如|is\b|:)\s*+{_QUOTE}*+|{_QUOTE}++))(?:{_LABEL}{_GAP})?$"
)
_AS_FORMAT = re.compile(r"[」』”’\"')\s]*(?:的|之)格式")
# a label that opens a line or a sentence: the rating itself, also when the reply was cut off behind it
_FINAL = re.compile(
    r"[\n。.!?;][\s#>\-「『“‘\"']*+(?:最終|最终|總|总|綜合|综合|final|overall|my|son|nihai|genel|toplam)?\s*$"
)
_OF_KIND = 3
_CANONICAL = re.compile(r"\[\[(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\]\]")
# the denominator of a mark: [[8]]/10, [[8]] out of [[10]], 8 分（滿分 10 分）
_DENOMINATOR = re.compile(rf"[\s(,]*+(?:/|out of\b|(?:滿分|满分)(?:為|为|是)?)\s*+\[{{0,2}}+(?P<of>{_NUMBER})")
_NUMERATOR = re.compile(r"[0-9]\s*+\]{0,2}+\s*+(?:/|out of)\s*+$")
# 準確性評分 is of a part; 我的評分, 這個回答的評分 are not
_PART = re.compile(r"[\u4e00-\u9fff]{2,}$|\b[a-z]+ $")
_WHOLE = re.compile(
    r"(?:的|給|给|出|式|是|為|:|本題|我|最終|最终|總|总|综合|綜合|整體|整体|照|此|予|後|后|以|初步|初|下|行|題"
    r"|\b(?:my|the|final|overall|a|this|is|of|gets?|initial|preliminary|first|total|your|with|rating|score|grade|and|in|for"
    r"|to|son|nihai|genel|toplam|ilk|bir|bu|için|yanıta) )$"
)


class Rating(NamedTuple):
    """A score within bounds with status `ok` or `repaired` (an unusual spelling); else None, and why.

    `matched` is what was read, brackets included, or empty.
    """

    status: str
    score: float | None
    matched: str = ""


def parse(
    text: str | None,
    finish_reason: str | None = "stop",
    low: float = 0,
    high: float = 10,
    shown: Shown = Shown(),  # noqa: B008
    whole: bool = False,
) -> Rating:
    """Read the rating of a reply.

    Args:
        finish_reason: as the endpoint gave it; `length` makes a reply without a rating `truncated`, `content_filter`
            makes one without text `refused`.
        low: the least score, included; `high` the greatest. `[[x/n]]` counts only with n = `high`.
        shown: what the judge was shown; a rating that it repeats from there is not its own.
        whole: a fraction is out of range.
    """
    if not text and finish_reason == "content_filter":
        return Rating("refused", None)
    said = spoken(text or "")
    plain = normalized(said)
    marks = list(_marks(plain, high))
    chosen = choose(plain, marks, is_example, echoes(said, plain, shown)) if marks else None
    final = chosen is not None and _settles(plain, chosen)
    found = _facts(plain, chosen) if chosen is not None else None
    if finish_reason == "length" and not final:
        return Rating("truncated", None, found["matched"] if found else "")
    if found is None:
        return Rating("parse_error", None)
    matched, score = found["matched"], float(found["value"])
    outside = not low <= score <= high or (whole and score != int(score))
    if outside or (found["of"] and float(found["of"]) != high):
        return Rating("out_of_range", None, matched)
    usual = _CANONICAL.fullmatch(matched) and matched in (text or "") and finish_reason != "length"
    return Rating("ok" if usual else "repaired", score or 0.0, matched)


def is_example(plain: str, match: re.Match[str]) -> bool:
    """Whether what was matched is announced as an example, as the prompt's own `例如：“評分：[[5]]”` is."""
    before = plain[max(0, match.start() - 40) : match.start()]
    return bool(_EXAMPLE.search(before) or _AS_FORMAT.match(plain, match.end()))


def _marks(plain: str, high: float) -> Iterator[Mark]:
    """Every rating of a text, whoever says it."""
    taken: set[int] = set()
    for kind, pattern in enumerate((_LABELLED, _BARE, _PLAIN, _OF, _OVER)):
        for match in pattern.finditer(plain):
            at = match.start("value")
            before = plain[max(0, match.start() - 40) : match.start()]
            if at in taken or (
                float(match["value"]) == high and _NUMERATOR.search(plain[max(0, at - 24) : at].rstrip("[ "))
            ):
                continue
            if kind >= _OF_KIND and float(_of(match)) != high:
                continue
            if kind == _OF_KIND and not _alone_or_given(plain, match, before):
                continue
            taken.add(at)
            part = kind != 1 and _PART.search(before) is not None and not _WHOLE.search(before)
            yield Mark(str(float(match["value"])), min(kind, _OF_KIND), match, part)
    if not taken and (alone := _ALONE.fullmatch(plain)):
        yield Mark(str(float(alone["value"])), 2, alone)


def _alone_or_given(plain: str, match: re.Match[str], before: str) -> bool:
    stands = _STARTS.search(before if match.start() > len(before) else "\n" + before)
    return bool(_GIVEN.search(before)) or bool(stands and _STOPS.match(plain, match.end()))


def _of(match: re.Match[str]) -> str:
    """The greatest possible, as a mark names it, or empty."""
    named = match.groupdict()
    return named.get("of") or named.get("over") or ""


def _settles(plain: str, mark: Mark) -> bool:
    """Whether a rating opens its line or sentence behind a label: nothing that was cut off could change it."""
    start = mark.match.start()
    before = "\n" * (start < 60) + plain[max(0, start - 60) : start]
    return mark.kind == 0 and _FINAL.search(before) is not None


def _facts(plain: str, mark: Mark) -> dict[str, str]:
    """`value`, `of` (or empty), and `matched`: from the first bracket on, or from the number where there is none."""
    match = mark.match
    text, bracket = match[0], match[0].find("[")
    start = bracket if bracket >= 0 else match.start("value") - match.start()
    below = _DENOMINATOR.match(plain, match.end())
    return {
        "value": match["value"],
        "of": _of(match) or (below["of"] if below else ""),
        "matched": text[start:].strip(),
    }
