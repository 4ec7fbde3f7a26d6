"""The language that was asked for against the one that came: a matrix per model, and how often they are one.

From what is known of every answer (bailong.evaluate.outcome): the label of its language and the ruling on it. An answer
counts once, in one row and one column; nothing is judged here. Left out, and counted, are questions that leave the
language free, those in a language that the rule does not know, answers of one letter, and questions without an answer.
An answer that holds nothing stands in a column of its own, and is not in the language asked for.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.bootstrap import CONFIDENCE, Resampling
from bailong.evaluate.outcome import Outcome
from bailong.text.language import is_chinese, language
from bailong.text.translation import english_name

#: labels of bailong.text.spoken.identify.LABELS in words
NAMES = {"traditional": "Traditional Chinese", "simplified": "Simplified Chinese", "english": "English"}
#: columns behind all languages
OTHER, UNTOLD, EMPTY = "another language", "cannot be told", "empty"
LAST = (OTHER, UNTOLD, EMPTY)
#: why a question is in no matrix
FREE, UNRULED, LETTER, SILENT = "language left free", "no rule for it", "one letter", "no answer"

#: what was asked for, what came, and whether that is right
Pair = tuple[str, str, bool]


def of_model(items: Mapping[str, Sequence[Item]], outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """Every benchmark with a matrix, all together, and how many are left out of it for which reason.

    Args:
        items, outcomes: by benchmark.
    """
    pairs, left = {}, {}
    for name, of in outcomes.items():
        sorted_ = [_pair(item, one) for item, one in _joined(items[name], of)]
        pairs[name] = [one for one in sorted_ if not isinstance(one, str)]
        left[name] = Counter(one for one in sorted_ if isinstance(one, str))
    return {
        "all": matrix([pair for of in pairs.values() for pair in of]),
        "benchmarks": {name: matrix(of) for name, of in pairs.items() if of},
        "left_out": dict(sum(left.values(), Counter())),
    }


def matrix(pairs: Sequence[Pair]) -> dict[str, Any] | None:
    """Counts, shares of their rows and Wilson intervals; `right` is the share in the language asked for."""
    if not pairs:
        return None
    asked = Counter(pair[0] for pair in pairs)
    found = Counter(pair[1] for pair in pairs)
    named = [name for name in found if name not in LAST]
    columns = [name for name in asked if name in found]  # so that what is right lies on the diagonal
    columns += sorted((name for name in named if name not in columns), key=lambda name: (-found[name], name))
    columns += [name for name in LAST if found[name]]
    cells = Counter((pair[0], pair[1]) for pair in pairs)
    return {
        "columns": columns,
        "rows": [
            {"asked": row, "n": n, "cells": [share(cells[row, column], n) for column in columns]}
            for row, n in asked.items()
        ],
        "right": share(sum(pair[2] for pair in pairs), len(pairs)) | {"n": len(pairs)},
        "untold": found[UNTOLD],
        "empty": found[EMPTY],
    }


def difference(
    items: Mapping[str, Sequence[Item]],
    found: Mapping[str, Mapping[str, Sequence[Outcome]]],
    first: str,
    second: str,
    resampling: Resampling,
) -> dict[str, Any]:
    """First minus second in the share of right languages on the questions that both answered: of all (``) and by
    benchmark."""
    pairs: dict[str, list[tuple[float, float]]] = {"": []}
    for name, of in items.items():
        mine, theirs = (
            {item.id: _pair(item, one) for item, one in _joined(of, found[m][name])} for m in (first, second)
        )
        both = [
            (float(mine[one][2]), float(theirs[one][2]))
            for one in mine
            if not isinstance(mine[one], str) and not isinstance(theirs.get(one, ""), str)
        ]
        pairs[""] += both
        pairs[name] = both
    return {
        name: resampling.difference([of], first, second, "response language", name) for name, of in pairs.items() if of
    }


def share(count: int, n: int) -> dict[str, float]:
    """A share of n with its Wilson interval (1927), which stays inside [0, 1] and is no point at its ends."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    part, among = count / n, z * z / n
    middle = (part + among / 2) / (1 + among)
    half = z * math.sqrt(part * (1 - part) / n + among / (4 * n)) / (1 + among)
    low, high = max(0.0, middle - half) if count else 0.0, min(1.0, middle + half) if count < n else 1.0
    return {"count": count, "share": part, "low": low, "high": high}


def _joined(items: Iterable[Item], outcomes: Iterable[Outcome]) -> Iterator[tuple[Item, Outcome]]:
    by_id = {item.id: item for item in items}
    return ((by_id[one.id], one) for one in outcomes)


def _pair(item: Item, one: Outcome) -> Pair | str:
    """What was asked for and what came; or why the question is in no matrix."""
    wanted = item.answer_language or item.language
    if item.choices:
        return LETTER
    if item.language_free or one.ruling == "exempt":
        return FREE
    if not is_chinese(wanted) and language(wanted) is None:
        return UNRULED
    name = english_name(wanted)
    if {"empty", "unspoken"} & {*one.flags}:
        return name, EMPTY, False
    if not one.ruling:
        return SILENT
    right = one.ruling == "ok"
    if right and not is_chinese(wanted):  # the rule may see it as one of several languages
        return name, name, True
    if one.language == "undetermined":
        return name, UNTOLD, False
    return name, OTHER if one.language == "other" else NAMES.get(one.language, one.language), right
