"""Which answers of two models are the same text, and where the others part: a served model beside its own folder."""

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from bailong.evaluate.outcome import GIVEN

#: answers shown of those that part, where most do not: two models that have nothing to do with each other part in all
SHOWN = 20
#: characters shown before the parting and behind it
BEFORE, BEHIND = 24, 60

Row = Mapping[str, Any]
#: of one model, by benchmark and id
Answers = Mapping[tuple[str, str], Row]


def same(first: Answers, second: Answers) -> dict[str, dict[str, Any]]:
    """By benchmark, of the questions that both have answered (`of`) those with the same text in every turn (`same`).

    `parted` shows others, where half or more are the same: the `id`, the `turn` from 1, the end of what both say
    (`before`), and how each goes on (`behind`, in their order; empty where it ends).
    """
    found: dict[str, dict[str, Any]] = {}
    for key in first.keys() & second.keys():
        turns = first[key]["turns"], second[key]["turns"]
        if all(turn["finish_reason"] in GIVEN for turn in (*turns[0], *turns[1])):
            of = found.setdefault(key[0], {"of": 0, "same": 0, "parted": []})
            parted = _parting(*turns)
            of["of"] += 1
            of["same"] += parted is None
            of["parted"] += [{"id": key[1]} | parted] if parted else []
    for of in found.values():
        shown = sorted(of["parted"], key=lambda one: one["id"])[:SHOWN]
        of["parted"] = shown if 2 * of["same"] >= of["of"] else []
    return dict(sorted(found.items()))


def _parting(first: list[Row], second: list[Row]) -> dict[str, Any] | None:
    for turn, (one, other) in enumerate(zip(first, second, strict=True), 1):
        texts = str(one["answer"]), str(other["answer"])
        if texts[0] != texts[1]:
            at = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))))
            return {
                "turn": turn,
                "before": texts[0][max(0, at - BEFORE) : at],
                "behind": [text[at : at + BEHIND] for text in texts],
            }
    return None
