"""Benchmarks of one prompt a row: labelled texts, summaries, plain questions, word problems, and running text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import choice
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.preface import Preface
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import Benchmark

#: how files write labels, beside the words of bailong.evaluate.benchmark.choice
CODES = {"1": choice.POSITIVE, "0": choice.NEGATIVE, "pos": choice.POSITIVE, "neg": choice.NEGATIVE}
#: GSM8K's calculator notes: 16-3-4=<<16-3-4=9>>9
NOTES = re.compile(r"<<[^<>]*>>")


def labelled(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Texts whose sentiment is asked for. Columns: `text`, `label` (0 or 1, or in words), `id`."""
    columns = Columns(benchmark.name, benchmark.columns, rows, _named("id", "text", "label"), ("text", "label"))
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        written = unicodedata.normalize("NFKC", columns.needed(row, "label", number)).lower()
        label = CODES.get(written) or choice.label(written)
        if label is None:
            accepted = ", ".join([*CODES, *choice.WORDS[choice.POSITIVE], *choice.WORDS[choice.NEGATIVE]])
            raise ValueError(f"{columns.where}: row {number} is labelled {written!r}; accepted are {accepted}")
        text = columns.needed(row, "text", number)
        yield _with_context(benchmark, columns.text(row, "id") or str(number), text, prompt, [label], label)


def summary(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Documents to be summarised. Columns: `document`, `summary`, `id`."""
    known = _named("id", "document", "summary")
    columns = Columns(benchmark.name, benchmark.columns, rows, known, ("document", "summary"))
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        gold = columns.needed(row, "summary", number)
        text = columns.needed(row, "document", number)
        yield _with_context(benchmark, columns.text(row, "id") or str(number), text, prompt, [gold], "")


def ttqa(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Free questions with short answers. Columns: `question`, `answer` (several stand between commas), `id`."""
    known = _named("id", "question", "answer")
    columns = Columns(benchmark.name, benchmark.columns, rows, known, ("question", "answer"))
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        written = columns.needed(row, "answer", number)
        question = columns.needed(row, "question", number)
        golds = [gold.strip() for gold in re.split("[,，]", written) if gold.strip()]
        yield _asked(benchmark, columns.text(row, "id") or str(number), question, prompt, [written], golds)


def gsm8k(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Word problems. Columns: `question`, `answer` (a solution that ends in `#### n`), `id`."""
    known = _named("id", "question", "answer")
    columns = Columns(benchmark.name, benchmark.columns, rows, known, ("question", "answer"))
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        solution, mark, gold = columns.needed(row, "answer", number).rpartition("####")
        if not mark or not gold.strip():
            raise ValueError(f"{columns.where}: row {number} has no answer after #### in {columns.names['answer']}")
        question = columns.needed(row, "question", number)
        reference = NOTES.sub("", solution).strip() + f"\n#### {gold.strip()}"
        yield _asked(benchmark, columns.text(row, "id") or str(number), question, prompt, [reference], [gold.strip()])


def text(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Documents that are scored, not asked: each stands whole in `prompts`. Columns: `text`, `id`."""
    columns = Columns(benchmark.name, benchmark.columns, rows, _named("id", "text"), ("text",))
    for number, row in enumerate(rows, 1):
        if document := columns.text(row, "text"):
            yield Item(
                id=columns.text(row, "id") or str(number),
                benchmark=benchmark.name,
                language=benchmark.language,
                answer_language=benchmark.language,
                prompts=[document],
                paragraph=paragraph_digest(document),
            )


def _named(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _with_context(
    benchmark: Benchmark, name: str, passage: str, prompt: Preface, golds: list[str], category: str
) -> Item:
    context = passage[: benchmark.max_context]
    return Item(
        id=name,
        benchmark=benchmark.name,
        category=category,
        language=benchmark.language,
        answer_language=benchmark.language,
        prompts=[prompt.fill(context=context)],
        context=context,
        references=golds,
        golds=golds,
        paragraph=paragraph_digest(passage),
    )


def _asked(
    benchmark: Benchmark, name: str, question: str, prompt: Preface, references: list[str], golds: list[str]
) -> Item:
    return Item(
        id=name,
        benchmark=benchmark.name,
        language=benchmark.language,
        answer_language=benchmark.language,
        prompts=[prompt.fill(question=question)],
        references=references,
        golds=golds,
        meta={"question": question},
    )
