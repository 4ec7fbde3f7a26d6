"""Scores that need no judge: what is measured of an answer, and which number stands for it."""

from bailong.evaluate.benchmark import choice, extractive, number, translation
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark

#: the number of each metric that goes into tables; all are in [0, 1], higher is better
HEADLINE = {"extractive": "f1", "number": "exact_match", "choice": "accuracy", "likelihood": "accuracy"}
HEADLINE |= {"translation": "sentence_chrf"}
#: metrics to which an answer that failed is an empty one: over fewer sentences a score would be another
COUNTED = ("translation",)
#: what is measured beside the judge, by the shape of the benchmark
BESIDE = {"squad": "extractive", "fgc": "extractive", "ttqa": "extractive", "labelled": "choice", "gsm8k": "number"}


def metric_of(benchmark: Benchmark) -> str | None:
    """What is measured of its answers: its own metric, or the one beside its judge."""
    return BESIDE.get(benchmark.shape) if benchmark.metric == "judge" else benchmark.metric


def measure(metric: str, item: Item, answer: str) -> dict[str, float]:
    """The scores of one answer.

    Args:
        metric: a key of `HEADLINE`.
        item: with at least one gold answer.
    """
    assert item.golds, f"{item.benchmark}/{item.id} has no gold answer"
    if metric == "extractive":
        return extractive.score(answer, item.golds, item.answer_language)
    if metric == "number":
        return number.score(answer, item.golds, item.answer_language)
    if metric == "likelihood":
        return {"accuracy": float(answer in item.golds)}
    if metric == "translation":
        return translation.score(answer, item.golds[0])
    return choice.score(answer, item.golds)
