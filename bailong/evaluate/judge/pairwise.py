"""Two models' answers side by side, judged in both orders: judges prefer what they read first (Zheng et al. 2023)."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.judge.rating import is_example
from bailong.evaluate.judge.reading import PLAIN, Mark, Shown, choose, echoes, normalized
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import asked_for, pairwise_prompt, spoken_to
from bailong.evaluate.judge.verdicts import Request
from bailong.evaluate.reasoning import spoken

_BOXED = re.compile(r"\[\s*+\[\s*+(?P<choice>[abc])\s*+\]\s*+\]")
# a letter alone, or of which it is said that it is better: `verdict: a tie` and `winner: c++` name nobody
_LABELLED = re.compile(
    r"(?:結論|结论|判定|(?<![a-z])(?:verdict|winner|karar(?:ım)?|kazanan))\s*+(?:[:=]|is\b|為|是)?\s*+[\[(「『“\"']*+"
    r"(?:(?:assistant|model|answer|response|asistan|yanıt|助理|助手|模型|回答|答案)\s*+)?(?P<choice>[abc])"
    r"(?=[ \t]*+(?:[\])」』”\"'。.;!(>\n]|$|,(?!\s*[abc]\b)|(?:更|較|比較)(?![差弱不])|優於|勝|獲勝"
    r"|比[^。,\n]{1,8}[好佳優強]|(?:is|was)\b(?! not| worse| weaker)|(?:wins|won)\b))"
)
_ALONE = re.compile(r"\s*+(?P<choice>[abc])\s*+[。.]?\s*+")
OUTCOMES = ("win", "loss", "tie", "inconsistent", "failed")


class Choice(NamedTuple):
    """`first`, `second` or `tie`, with status `ok` or `repaired`; else None, and why."""

    status: str
    choice: str | None
    matched: str = ""


class WinRate(NamedTuple):
    """A model against another. `rate` is its share of wins, a tie or an inconsistent pair counting as half.

    It is None when nothing could be decided; `failed` pairs are in `counts` and not in the rate.
    """

    counts: dict[str, int]
    rate: float | None


def parse(text: str | None, finish_reason: str | None = "stop", shown: Shown = Shown()) -> Choice:  # noqa: B008
    """Read the `[[A]]`, `[[B]]` or `[[C]]` that a reply comes to, as bailong.evaluate.judge.rating reads ratings."""
    if not text and finish_reason == "content_filter":
        return Choice("refused", None)
    if finish_reason == "length":
        return Choice("truncated", None)
    said = spoken(text or "")
    plain = normalized(said)
    marks = [
        Mark(match["choice"], kind, match)
        for kind, pattern in ((0, _BOXED), (PLAIN, _LABELLED))
        for match in pattern.finditer(plain)
    ]
    if chosen := choose(plain, marks, is_example, echoes(said, plain, shown)) if marks else None:
        return _choice(chosen.match, said)
    alone = _ALONE.fullmatch(plain)
    return _choice(alone, said) if alone else Choice("parse_error", None)


def requests(
    settings: Judge, benchmark: Benchmark, answered: Iterable[tuple[Item, Sequence[str], Sequence[str]]], against: str
) -> list[Request]:
    """What the judge is asked about pairs (item, a model's answers, its opponent's): both orders of each.

    In their rows (`verdicts.collect`), `against` names the opponent; `order` 0 shows the model first, 1 its opponent;
    `choice` is the place that won.
    """
    found = []
    language = spoken_to(settings.language, benchmark.language)
    for item, mine, theirs in answered:
        asked = asked_for(benchmark, item)
        for sample in range(settings.samples):
            for order in (0, 1):
                first, second = (mine, theirs) if order == 0 else (theirs, mine)
                prompt = pairwise_prompt(benchmark.template or "", item, first, second, language, asked)
                facts = {"benchmark": benchmark.name, "id": item.id, "against": against, "order": order}
                read = partial(parse, shown=Shown(prompt.text, (*mine, *theirs)))
                found.append(Request(facts, prompt, sample, read))
    return found


def outcomes(rows: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(id, one of OUTCOMES) of every pair and sample, from the model's side.

    A win or loss is what both orders say; `tie` what both call one; orders that disagree are `inconsistent`.
    """
    pairs: dict[tuple[str, int], dict[int, str | None]] = {}
    for row in rows:
        pairs.setdefault((row["id"], row["sample"]), {})[row["order"]] = row["choice"]
    return [(name, _outcome(orders[0], orders[1])) for (name, _), orders in pairs.items()]


def win_rate(rows: Iterable[dict[str, Any]]) -> WinRate:
    """All pairs in numbers."""
    found = Counter(outcome for _, outcome in outcomes(rows))
    counts = {outcome: found[outcome] for outcome in OUTCOMES}
    decided = sum(counts.values()) - counts["failed"]
    points = counts["win"] + (counts["tie"] + counts["inconsistent"]) / 2
    return WinRate(counts, points / decided if decided else None)


def _outcome(straight: str | None, swapped: str | None) -> str:
    if straight is None or swapped is None:
        return "failed"
    mine = {"first": "win", "second": "loss", "tie": "tie"}[straight]
    again = {"first": "loss", "second": "win", "tie": "tie"}[swapped]
    return mine if mine == again else "inconsistent"


def _choice(match: re.Match[str], text: str) -> Choice:
    place = {"a": "first", "b": "second", "c": "tie"}[match["choice"]]
    usual = f"[[{match['choice'].upper()}]]" in text
    return Choice("ok" if usual else "repaired", place, match[0].strip())
