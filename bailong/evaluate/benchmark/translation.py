"""Translations held against a reference by sacrebleu (Post, 2018): chrF++ of a sentence.

A sentence is a line there. So line breaks in an answer end nothing: its lines are stripped and joined by a space.
"""

from functools import cache
from typing import Any


def line(text: str) -> str:
    """A translation as the one line that sacrebleu reads."""
    return " ".join(filter(None, map(str.strip, text.splitlines())))


@cache
def chrf() -> Any:
    """chrF++: n-grams of up to six characters and two words."""
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=2)


def score(answer: str, reference: str) -> dict[str, float]:
    """`sentence_chrf`: chrF++ of one translation, in [0, 1]."""
    return {"sentence_chrf": chrf().sentence_score(line(answer), [line(reference)]).score / 100}
