"""Benchmarks of one prompt a row: labelled texts, summaries, plain questions, word problems, and running text."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import choice
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item, item_of
from bailong.evaluate.benchmark.preface import Preface
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import Benchmark

#: how files write labels, beside the words of bailong.evaluate.benchmark.choice
CODES = {"1": choice.POSITIVE, "0": choice.NEGATIVE, "pos": choice.POSITIVE, "neg": choice.NEGATIVE}
#: GSM8K's calculator notes: 16-3-4=<<16-3-4=9>>9
NOTES = re.compile(r"<<[^<>]*>>")


class Gold(NamedTuple):
    """What a row says of good answers: what a judge is shown, what a metric accepts, and the row's category."""

    references: list[str]
    accepted: list[str]
    category: str = ""


def labelled(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Texts whose sentiment is asked for. Columns: `text`, `label` (0 or 1, or in words), `id`."""

    def gold(written: str, where: str) -> Gold:
        written = unicodedata.normalize("NFKC", written).lower()
        label = CODES.get(written) or choice.label(written)
        if label is None:
            accepted = ", ".join([*CODES, *choice.WORDS[choice.POSITIVE], *choice.WORDS[choice.NEGATIVE]])
            raise ValueError(f"{where} is labelled {written!r}; accepted are {accepted}")
        return Gold([label], [label], label)

    return _items(benchmark, rows, "text", "label", gold)


def summary(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Documents to be summarised. Columns: `document`, `summary`, `id`."""
    return _items(benchmark, rows, "document", "summary", lambda written, where: Gold([written], [written]))


def ttqa(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Free questions with short answers. Columns: `question`, `answer` (several stand between commas), `id`."""

    def gold(written: str, where: str) -> Gold:
        return Gold([written], [one.strip() for one in re.split("[,，]", written) if one.strip()])

    return _items(benchmark, rows, "question", "answer", gold)


def gsm8k(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """Word problems. Columns: `question`, `answer` (a solution that ends in `#### n`), `id`."""

    def gold(written: str, where: str) -> Gold:
        solution, mark, number = written.rpartition("####")
        if not mark or not number.strip():
            raise ValueError(f"{where} has no answer after #### in {benchmark.columns.get('answer', 'answer')}")
        return Gold([f"{NOTES.sub('', solution).strip()}\n#### {number.strip()}"], [number.strip()])

    return _items(benchmark, rows, "question", "answer", gold)


def text(benchmark: Benchmark, rows: list[Row], say: Callable[[str], None] = lambda line: None) -> Iterator[Item]:
    """Documents that are scored, not asked: each stands whole in `prompts`. Columns: `text`, `id`.

    Args:
        say: hears how many rows hold empty text; they are left out.

    Raises:
        ValueError: a row without text, with its number: the text would be another than the one that was meant.
    """
    columns = Columns(benchmark, rows, ("id", "text"), ("text",))
    parts, empty = columns.names["text"].split("+"), 0
    for number, row in enumerate(rows, 1):
        if not any(isinstance(row.get(part), str | list | tuple) for part in parts):
            found = ", ".join(f"{part}: {_kind(row[part])}" for part in parts if part in row)
            raise ValueError(
                f"{columns.where}: row {number} of {benchmark.path} has no text in {columns.names['text']} "
                f"({found or 'its columns are ' + ', '.join(map(str, row))}): write some, or leave the row out"
            )
        if document := columns.text(row, "text"):
            name = columns.text(row, "id") or str(number)
            yield item_of(benchmark, name, [document], paragraph=paragraph_digest(document))
        else:
            empty += 1
    if empty:
        say(f"{columns.where}: {empty:,} of {len(rows):,} rows of {benchmark.path} hold empty text, and are left out")


def _kind(value: object) -> str:
    """A value that is no text, as JSON names its kind."""
    return "null" if value is None else "a number" if isinstance(value, int | float) else "an object"


def _items(
    benchmark: Benchmark, rows: list[Row], asked: str, answered: str, gold: Callable[[str, str], Gold]
) -> Iterator[Item]:
    """An item a row: the column `asked` in the benchmark's preface, and what `gold` reads from the column `answered`.

    What is asked is a passage, which may be cut, unless the column is `question`.
    """
    columns = Columns(benchmark, rows, ("id", asked, answered), (asked, answered))
    prompt = Preface(benchmark)
    for number, row in enumerate(rows, 1):
        good = gold(columns.needed(row, answered, number), f"{columns.where}: row {number}")
        written, name = columns.needed(row, asked, number), columns.text(row, "id") or str(number)
        more = {"category": good.category, "references": good.references, "golds": good.accepted}
        if asked == "question":
            yield item_of(benchmark, name, [prompt.fill(question=written)], **more, meta={"question": written})
        else:
            context = written[: benchmark.max_context]
            digest = paragraph_digest(written)
            yield item_of(benchmark, name, [prompt.fill(context=context)], **more, context=context, paragraph=digest)
