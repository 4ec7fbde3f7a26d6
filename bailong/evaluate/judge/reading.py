"""Which of the marks in a judge's reply is its verdict: what `rating` and `pairwise` have in common.

Judges write more marks than one: they think aloud, repeat their prompt, quote the answer, weigh, revise, and remark on
what would have been. In this order:

1. Nothing counts that is not the judge's own word: its reasoning (`bailong.evaluate.reasoning`); what it repeats of
   its prompt or of an answer (`echoes`); an example (例如, 格式, for example), also where it is the only mark; what is
   said of something else (如果, 滿分的回答, a perfect answer would, 「…」 that somebody wrote, not).
2. A final mark (最終, 總, 結論, overall, 改為, or one that takes back another: 不，; wait,) comes before any other, the
   last one of them first; a preliminary one (初步, 起初, at first) counts only where there is no other, and so does one
   of which it is said what it stands for ([[10]] 表示完美).
3. Of what is left, the kinds have their order (of ratings: double brackets behind a label, double brackets, a plain
   number), and the mark of one aspect (準確性評分) counts only where no other does.
4. A mark that opens a line or a sentence, or that the judge calls its own (我給, I rate), comes before one that stands
   in the middle of something; then one that also ends it. So a verdict stands against a remark behind it.
5. Marks that still differ, and one that is offered with another (`[[7]]或[[8]]`, `7-8`), are no verdict.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

#: a kind from which on a mark is no more than a number or a letter
PLAIN = 2
#: characters (a run of white space is one) that a reply must share with its prompt for them to be an echo
ECHO = 40

_BRACKETS = str.maketrans("【】〔〕〖〗−", "[][][]-")
_DECORATION = re.compile(r"[\\*`_\u200b-\u200f\u2060\ufeff]|</?(?:b|strong)>")
_SPACE = re.compile(r"\s+")
_QUOTED = re.compile(
    r"「([^「」]{1,400})」|『([^『』]{1,400})』|“([^“”]{1,400})”|‘([^‘’]{1,400})’|\"([^\"\n]{1,400})\""
)
_BLOCKQUOTE = re.compile(r"^[ \t]*>[> \t]*(.{1,400})$", re.M)
_BACKTICKS = re.compile(r"`+([^`\n]{1,400})`+")

# what stands before a mark, as far back as its sentence goes
_SENTENCE = re.compile(r"[。！!?;\n]|\.(?![0-9])")
_CLAUSE = re.compile(r"[,、:]")
# of something else than this answer; what would be under a condition; what somebody wrote
_IF = re.compile(r"如果|假如|假設|倘若|要是|若|\b(?:if|had it|were it|unless|with more|without)\b")
_WOULD = re.compile(r"會|会|可|能|應|应|\b(?:would|could|might|should|may)\b|'d\b")
_BEST = re.compile(
    r"(?:滿分|满分|完美|理想|更好|更佳|更完整|更詳細|最好)的?(?:回答|答案|回覆|作答)|才[能會可]"
    r"|\b(?:perfect|ideal|flawless|better|best|full|complete)(?: \w+)? (?:answer|response|reply|one|score)\b"
)
_SAID = re.compile(
    r"(?:寫了|寫著|寫道|寫有|写了|写着|聲稱|声称|自稱|自称|自評|自评|自己給|自己打|宣稱|要求給|要求"
    r"|\b(?:claim|say|said|wrote|write|written|state|ask|demand|suggest|quote|contain|include)[a-z]*\b)"
    r"[^,.。「『“\"]{0,8}[「『“‘\"'(]?\s*$"
)
_NOT = re.compile(
    r"(?:不是|並非|并非|而非|而不是|不該是|不應[為是給]|\b(?:not|instead of|rather than))"
    r"\s*(?:給|为|為|a|an|the)?\s*[「『“‘\"'(]?\s*$"
)
# it may be of something else
_ASIDE = re.compile(
    r"其他|另一|別的|通常|一般|同類|(?:備註|备注|附註|註|注|補充)\s*:|若|\b(?:would|could|might|other|another|others|typically"
    r"|usually|p\.?s|note|nb|remark)\b"
)
_FINAL = re.compile(
    r"最終|最终|最後|最后|總評|总评|總分|总分|總體|总体|綜合評|综合评|整體|整体|定為|改為|改为|改成|修正|更正|調整為"
    r"|\b(?:final|finally|overall|corrected|correction|revised|changed? (?:it |this )?to)\b"
)
# it takes back the mark before it
_REVISED = re.compile(
    r"^\s*(?:不對?|不对|等等|等一下|錯了|更正|(?:no|wait|actually|sorry|correction|on (?:second thought|reflection))\b)"
    r"[\s,:]*[「『“‘\"'(]?\s*$"
)
# it tells what a mark of the scale stands for
_DEFINES = re.compile(r"\s*分?\s*(?:表示|代表|意味|即為|(?:means|represents|stands for|indicates)\b)")
_EARLY = re.compile(
    r"初步|初評|初评|初始|起初|一開始|一开始|原本|原先|本來|本来|暫定|暂定|草稿|第一印象"
    r"|\b(?:initial|initially|preliminary|at first|first thought|first impression|tentative|draft|originally)[a-z]*\b"
)
_OWN = re.compile(
    r"(?:因此|所以|結論|结论|\b(?:therefore|thus|hence|conclusion|verdict)\b"
    r"|我(?:的|會|会|認為|认为|想)?(?:評分|评分|給|给|打|判)|本題|本回答|給予|给予|給出|故給|\bmy\b"
    r"|\bi(?:'d| would| will|'ll)?\s+(?:\w+\s+)?(?:give|rate|score|assign|award)"
    r"|\b(?:give|rate|score)[sd]? (?:it|this|the (?:answer|response))\b)"
)
_OPENS = re.compile(r"[\s#>\-\[「『“‘\"'(:{]*+(?:(?:the|my|your|i)\b\s*)?")
_ENDS = re.compile(r"[\]」』”’\"')} \t]*+(?:/\s*\d+|分|點)?[」』”’\"')} \t]*(?:[。.!?;]|\n|$)")
#: a mark offered with another one, behind it or before it
_OR_AFTER = re.compile(
    r"[\]\s」』”\"',(分]*(?:(?:或|也許|也可|還是|还是|\bor\b|\bmaybe\b|\bperhaps\b)[^0-9\[\n。.]{0,12}"
    r"|(?:到|至|~|–|—|-|/(?=\s*\[\s*\[)(?!\s*\[\s*\[\s*10\b)|to\b|and\b|與|和|、|;)\s*)"
    r"[「『“\"']?(?:\[\s*\[\s*[-+]?[0-9a-c]|[0-9]+(?![0-9]|\s*[個項點条條.、]))"
)
_OR_BEFORE = re.compile(r"[0-9\]]\s*[」』”\"'分]?\s*(?:或|到|至|~|–|—|-|\bto|\bor)\s*[「『“\"']?\s*$")


class Mark(NamedTuple):
    """A mark in a text.

    Attributes:
        value: what it says; two marks of one value do not contradict each other.
        kind: its rank, the least first.
        match: where it stands, its label included.
        aspect: it is named as the mark of a part.
    """

    value: str
    kind: int
    match: re.Match[str]
    aspect: bool = False


class Shown(NamedTuple):
    """What a judge was shown: its prompt, and the answers in it."""

    prompt: str = ""
    answers: tuple[str, ...] = ()


def normalized(text: str) -> str:
    """Text for reading marks from: one width, one kind of brackets, no Markdown, lower case."""
    text = unicodedata.normalize("NFKC", text).translate(_BRACKETS)
    return _DECORATION.sub("", text).lower()


def choose(
    plain: str, marks: Sequence[Mark], example: Callable[[str, re.Match[str]], bool], echoed: bytearray
) -> Mark | None:
    """The verdict among the marks of a text, by the order above; None where there is none.

    Args:
        example: whether a match is announced as an example.
        echoed: of each character, whether it is repeated (`echoes`).
    """
    own = [mark for mark in marks if not all(echoed[slice(*mark.match.span())]) and not example(plain, mark.match)]
    left = [(mark, before) for mark in own if not _elsewhere(before := _before(plain, mark.match))]
    if not left:
        return None
    left = _prefer(left, lambda mark, _: mark.kind < PLAIN)
    left = _prefer(left, lambda mark, before: not _ASIDE.search(_near(mark, before)))
    left = _prefer(left, lambda mark, _: not _DEFINES.match(plain, mark.match.end()))
    if final := [pair for pair in left if _FINAL.search(_near(*pair)) or _REVISED.match(pair[1])]:
        left = final[-1:]
    left = _prefer(left, lambda mark, before: not _EARLY.search(before))
    best = min(mark.kind for mark, _ in left)
    left = _prefer(left, lambda mark, _: mark.kind == best)
    left = _prefer(left, lambda mark, _: not mark.aspect)
    if _differ(left) and all(mark.aspect for mark, _ in left):
        return None
    if _differ(left):
        left = [(mark, before) for mark, before in left if _OPENS.fullmatch(before) or _OWN.search(_near(mark, before))]
        if _differ(left):
            left = _prefer(left, lambda mark, _: _ENDS.match(plain, mark.match.end()) is not None)
    if not left or _differ(left):
        return None
    chosen = left[-1][0]
    start, end = chosen.match.span()
    offered = _OR_AFTER.match(plain, end) or _OR_BEFORE.search(plain[max(0, start - 12) : start])
    return None if offered else chosen


def echoes(text: str, plain: str, shown: Shown) -> bytearray:
    """Which characters of a reply repeat what was shown: `ECHO` of them in a row, or a quotation of an answer.

    Args:
        text: the reply.
        plain: the same, `normalized`.
    """
    flags = bytearray(len(plain))
    if not shown.prompt and not shown.answers:
        return flags
    source = _squeezed(normalized(shown.prompt))[0]
    runs = {source[at : at + ECHO] for at in range(len(source) - ECHO + 1)}
    reply, places = _squeezed(plain)
    end = 0  # of what is flagged already
    for at in range(len(reply) - ECHO + 1):
        if reply[at : at + ECHO] in runs:
            first, last = places[max(at, end)], places[at + ECHO - 1] + 1
            flags[first:last] = b"\1" * (last - first)
            end = at + ECHO
    answered = [_squeezed(normalized(answer))[0] for answer in shown.answers]
    for start, stop in _quotations(text, plain):
        quoted = _squeezed(plain[start:stop])[0].strip()
        if quoted and any(quoted in answer for answer in answered):
            flags[start:stop] = b"\1" * (stop - start)
    return flags


def _quotations(text: str, plain: str) -> Iterable[tuple[int, int]]:
    """Where something is quoted: between quotation marks, behind `>`, or between backticks, which `plain` has lost."""
    for pattern in (_QUOTED, _BLOCKQUOTE):
        for match in pattern.finditer(plain):
            yield match.span(match.lastindex or 0)
    for match in _BACKTICKS.finditer(text):
        start, length = len(normalized(text[: match.start()])), len(normalized(match[1]))
        yield start, start + length


def _squeezed(plain: str) -> tuple[str, list[int]]:
    """A text in which runs of white space are one space, and where its characters stood."""
    kept, places, blank = [], [], False
    for place, sign in enumerate(plain):
        if sign.isspace():
            if blank:
                continue
            sign, blank = " ", True
        else:
            blank = False
        kept.append(sign)
        places.append(place)
    return "".join(kept), places


def _before(plain: str, match: re.Match[str]) -> str:
    """What stands before a match in its sentence."""
    window = plain[max(0, match.start() - 120) : match.start()]
    ends = [found.end() for found in _SENTENCE.finditer(window)]
    return window[ends[-1] :] if ends else window


def _near(mark: Mark, before: str) -> str:
    """The clause that leads up to a mark, and the mark."""
    return _clause(before) + mark.match[0]


def _clause(before: str) -> str:
    ends = [found.end() for found in _CLAUSE.finditer(before)]
    if ends and not before[ends[-1] :].strip(" 「『“‘\"'("):
        ends.pop()  # a colon directly before the mark
    return before[ends[-1] :] if ends else before


def _elsewhere(before: str) -> bool:
    """Whether a sentence that leads up to a mark speaks of another one than the judge's own for this answer."""
    clause = _clause(before)
    if _IF.search(before) and (_WOULD.search(clause) or _IF.search(clause)):
        return True
    return bool(_BEST.search(clause) or _SAID.search(before) or _NOT.search(before))


def _prefer(pairs: list[tuple[Mark, str]], wanted: Callable[[Mark, str], bool]) -> list[tuple[Mark, str]]:
    return [pair for pair in pairs if wanted(*pair)] or pairs


def _differ(pairs: list[tuple[Mark, str]]) -> bool:
    return len({mark.value for mark, _ in pairs}) > 1
