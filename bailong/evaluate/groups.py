"""Multiple choice by group of subjects (STEM, humanities, ...): accuracy, and how far two models are apart in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bailong.evaluate.benchmark.metrics import HEADLINE
from bailong.evaluate.bootstrap import Resampling
from bailong.evaluate.outcome import Outcome

ACCURACY = HEADLINE["likelihood"]


def accuracy(outcomes: Sequence[Outcome], labels: tuple[str, ...], resampling: Resampling) -> dict[str, dict[str, Any]]:
    """The accuracy of multiple choice by group of subjects."""
    groups: dict[str, list[float]] = {}
    for one in outcomes:
        if one.category and ACCURACY in one.measures:
            groups.setdefault(one.category, []).append(one.measures[ACCURACY])
    return {name: resampling.interval(groups[name], *labels, "category", name)[0].row() for name in sorted(groups)}


def difference(
    found: Mapping[str, Mapping[str, Sequence[Outcome]]], first: str, second: str, name: str, resampling: Resampling
) -> dict[str, Any]:
    """First minus second in the accuracy of multiple choice, over all shared questions (``) and by group."""
    mine, theirs = (
        {one.id: one for one in found[model][name] if ACCURACY in one.measures} for model in (first, second)
    )
    pairs: dict[str, list[tuple[float, float]]] = {"": []}
    for of in sorted(mine.keys() & theirs.keys(), key=lambda of: (mine[of].category, of)):
        pair = mine[of].measures[ACCURACY], theirs[of].measures[ACCURACY]
        pairs[""].append(pair)
        if mine[of].category:
            pairs.setdefault(mine[of].category, []).append(pair)
    return {group: resampling.difference([of], first, second, name, group) for group, of in pairs.items()}
