"""A language model as judge of single answers (paper, section 5.2; Zheng et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bailong.api.client import Client
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.judge.asking import Question, settle
from bailong.evaluate.judge.rating import SCORED, parse
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import prompts

#: prompts of one item; every other template has one
PROMPTS = {"mt_bench": 2}


class Mark(NamedTuple):
    """What the judge gave to an item: the mean over samples, then over turns; None and why, where a turn has none."""

    score: float | None
    status: str


def questions(settings: Judge, benchmark: Benchmark, answered: Iterable[tuple[Item, Sequence[str]]]) -> list[Question]:
    """What the judge is asked about answers (one per turn of the item): every prompt, `settings.samples` times.

    `calls(settings, questions(...))` (bailong.evaluate.judge.asking) is what a plan counts.

    Raises:
        ValueError: an item does not fit the benchmark's template.
    """
    return [
        Question(
            {"benchmark": benchmark.name, "id": item.id, "turn": prompt.turn},
            prompt,
            sample,
            partial(parse, low=prompt.low, high=prompt.high),
        )
        for item, answers in answered
        for prompt in prompts(benchmark.template or "", item, answers)
        for sample in range(settings.samples)
    ]


def judge(
    client: Client,
    settings: Judge,
    benchmark: Benchmark,
    answered: Iterable[tuple[Item, Sequence[str]]],
    path: Path,
    done: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The verdicts on answers as rows (bailong.evaluate.judge.asking.settle), kept in the file `path`.

    Rows of an item stand together, in the order of `answered`, then of turns and samples; `score` is None unless
    `status` is `ok` or `repaired`. An item whose language of instruction is English is judged in Chinese, as in the
    paper, except by the two MT-bench templates.
    """
    return settle(client, settings, questions(settings, benchmark, answered), path, done)


def marks(rows: Iterable[dict[str, Any]]) -> dict[str, Mark]:
    """The mark of each item of one benchmark, by id."""
    turns: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for row in rows:
        turns.setdefault(row["id"], {}).setdefault(row["turn"], []).append(row)
    return {name: _mark(list(found.values())) for name, found in turns.items()}


def _mark(turns: list[list[dict[str, Any]]]) -> Mark:
    means = []
    statuses = set()
    for samples in turns:
        scored = [row for row in samples if row["status"] in SCORED]
        if not scored:
            return Mark(None, samples[0]["status"])
        means.append(sum(row["score"] for row in scored) / len(scored))
        statuses |= {row["status"] for row in scored}
    return Mark(sum(means) / len(means), "repaired" if "repaired" in statuses else "ok")
