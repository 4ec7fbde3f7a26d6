"""Questions about a passage: SQuAD's documents (DRCD, XQuAD, MLQA), FGC's, and tables with one question a row."""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

from bailong.data.sources import share
from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item, item_of
from bailong.evaluate.benchmark.preface import Preface
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import Benchmark

#: FGC numbers its questions inside their text: "03.維基百科…"
NUMBERED = re.compile(r"^\d{2}\s*\.\s*(?=\D)")


def questions(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """One item a question.

    A table's columns are `context`, `question`, `answers` (text, texts, or SQuAD's `{"text": [..]}`), and if it has
    them `id` and `title`; documents name their fields themselves, and `columns` plays no part.
    """
    if unfolded := [question for row in rows for question in documents(row)]:
        benchmark, rows = dataclasses.replace(benchmark, columns={}), unfolded
    needed = ("context", "question", "answers")
    rows = _of_articles(benchmark, rows)
    columns = Columns(benchmark, rows, ("id", "title", *needed), needed)
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        passage = columns.needed(row, "context", number)
        context = passage[: benchmark.max_context]
        question = columns.needed(row, "question", number)
        if benchmark.shape == "fgc":
            question = NUMBERED.sub("", question)
        golds = list(dict.fromkeys(answers(columns.values(row, "answers"))))
        if not golds:
            raise ValueError(f"{columns.where}: row {number} has no answer in {columns.names['answers']}")
        yield item_of(
            benchmark,
            columns.text(row, "id") or str(number),
            [prompt.fill(context=context, question=question)],
            context=context,
            references=golds[:1],
            golds=golds,
            paragraph=paragraph_digest(passage),
            meta={"question": question, "title": columns.text(row, "title")},
        )


def _of_articles(benchmark: Benchmark, rows: list[Row]) -> list[Row]:
    """The questions about a part of the articles, if only a part is wanted."""
    if not benchmark.articles:
        return rows
    name = benchmark.columns.get("title", "title")
    if not all(row.get(name) for row in rows):
        raise ValueError(
            f"evaluation.{benchmark.name}.articles is not accepted: {benchmark.path} has questions without a title "
            f"({name}), so it is not known which article they are about"
        )
    first, last = benchmark.articles
    return [row for row in rows if first <= share(str(row[name]), "article") < last]


def documents(row: Row) -> Iterator[Row]:
    """The questions of a row that is a document: SQuAD's `paragraphs` with `qas`, or FGC's `DTEXT` with `QUESTIONS`."""
    for paragraph in row.get("paragraphs") or []:
        for qa in paragraph["qas"]:
            yield {**qa, "context": paragraph["context"], "title": row.get("title")}
    for qa in row.get("QUESTIONS") or []:
        facts = {"id": qa.get("QID"), "title": row.get("DID"), "context": row.get("DTEXT")}
        yield facts | {"question": qa.get("QTEXT"), "answers": qa.get("ANSWER")}


def answers(found: list[Any]) -> Iterator[str]:
    """Answers that are text, or objects that hold it as `text` or, in FGC, `ATEXT`."""
    for answer in found:
        if isinstance(answer, dict):
            inner = answer.get("text", answer.get("ATEXT"))
            yield from answers(inner if isinstance(inner, list) else [inner])
        elif answer is not None and str(answer).strip():
            yield str(answer).strip()
