"""A language model as judge of single answers (paper, section 5.2; Zheng et al. 2023)."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.judge.rating import SCORED, parse
from bailong.evaluate.judge.reading import Shown
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import asked_for, prompts, scale_of, spoken_to
from bailong.evaluate.judge.verdicts import Request


class ItemScore(NamedTuple):
    """What the judge gave to an item: the mean over samples, then over turns; None and why, where a turn has none.

    `floor` is the same mean with the least of the scale for every verdict without a score; None before there are
    verdicts.
    """

    score: float | None
    status: str
    floor: float | None


def requests(settings: Judge, benchmark: Benchmark, answered: Iterable[tuple[Item, Sequence[str]]]) -> list[Request]:
    """What the judge is asked about answers (one per turn of the item): every prompt, `settings.samples` times.

    Requests of an item stand together, in the order of `answered`, then of turns and samples; `score` of their rows
    (`verdicts.collect`) is None unless `status` is `ok` or `repaired`. The prompt is in the language of the judge's
    settings, else of the benchmark: an English item of a Chinese benchmark is judged in Chinese, as in the paper,
    except by the two MT-bench templates. It asks for answers in the language of the question, or for the one of the
    benchmark's settings.

    Raises:
        ValueError: an item does not fit the benchmark's template.
    """
    language, scale = spoken_to(settings.language, benchmark.language), scale_of(benchmark.template)
    return [
        Request(
            {"benchmark": benchmark.name, "id": item.id, "turn": prompt.turn},
            prompt,
            sample,
            partial(parse, **scale._asdict(), shown=Shown(prompt.text, tuple(answers))),
        )
        for item, answers in answered
        for prompt in prompts(benchmark.template or "", item, answers, language, asked_for(benchmark, item))
        for sample in range(settings.samples)
    ]


def item_scores(rows: Iterable[dict[str, Any]], low: float = 0) -> dict[str, ItemScore]:
    """The score of each item of one benchmark, by id; `low` is the least of its scale."""
    turns: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        turns.setdefault(row["id"], {}).setdefault(row["turn"], []).append(row)
    return {name: _item_score(list(found.values()), low) for name, found in turns.items()}


def _item_score(turns: list[list[dict[str, Any]]], low: float) -> ItemScore:
    scored = [[row["score"] for row in samples if row["status"] in SCORED] for samples in turns]
    missing = [low * (len(samples) - len(scores)) for scores, samples in zip(scored, turns, strict=True)]
    sums = zip(scored, missing, turns, strict=True)
    floor = sum((sum(scores) + least) / len(samples) for scores, least, samples in sums) / len(turns)
    for scores, samples in zip(scored, turns, strict=True):
        if not scores:
            return ItemScore(None, samples[0]["status"], floor)
    repaired = any(row["status"] == "repaired" for samples in turns for row in samples)
    mean = sum(sum(scores) / len(scores) for scores in scored) / len(turns)
    return ItemScore(mean, "repaired" if repaired else "ok", floor)
