"""Sentences with their translations: rows of two columns, or two plain files of one sentence a line (FLORES)."""

from collections.abc import Iterator

from bailong.data.sources import lines
from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import rows
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item, item_of
from bailong.evaluate.benchmark.preface import Preface
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import ANY, Benchmark
from bailong.text import translation


def sentences(benchmark: Benchmark) -> Iterator[Item]:
    """One item a sentence: what is asked is its translation, and the one that the file has is the reference.

    Columns: `source`, `target`, `id`. The request is the one of tests (bailong.text.translation), or a template with
    the slots {source_language}, {target_language} and {sentence}. `meta` holds both sides and their languages.

    Raises:
        ValueError: a side is missing, the two files do not go together, or it is not said what is translated to what.
    """
    where, source, target = f"evaluation.{benchmark.name}", benchmark.language, benchmark.answer_language
    if target in (None, ANY) or not source:
        raise ValueError(
            f"{where}: languages {source or 'unknown'} and {target or 'unknown'} are not accepted: "
            "`language` is what is translated, and `answer_language` what it is translated to"
        )
    assert target is not None
    found = rows.read(benchmark) if benchmark.other is None else list(_pairs(benchmark, benchmark.other))
    columns = Columns(benchmark, found, ("id", "source", "target"), ("source", "target"))
    asked = translation.instruction(0, source, target)
    template = None if benchmark.prompt is None else Preface(benchmark)
    names = {"source_language": translation.english_name(source), "target_language": translation.english_name(target)}
    for number, row in enumerate(found, 1):
        sentence, reference = columns.needed(row, "source", number), columns.needed(row, "target", number)
        prompt = template.fill(**names, sentence=sentence) if template else translation.request(asked, sentence)
        sides = {"source": sentence, "target": reference, "source_language": source, "target_language": target}
        name = columns.text(row, "id") or str(number)
        seen = " ".join(paragraph_digest(side) for side in (sentence, reference))
        yield item_of(benchmark, name, [prompt], references=[reference], golds=[reference], paragraph=seen, meta=sides)


def _pairs(benchmark: Benchmark, other: str) -> Iterator[Row]:
    """Rows of two files of one sentence a line each, whatever their names end in."""
    where = f"evaluation.{benchmark.name}"
    sources, targets = _lines(benchmark.path, f"{where}.path"), _lines(other, f"{where}.other")
    if len(sources) != len(targets):
        raise ValueError(
            f"{where}: {benchmark.path} has {len(sources):,} lines and {other} has {len(targets):,}: each line of the "
            "one must be the translation of that line of the other"
        )
    for source, target in zip(sources, targets, strict=True):
        yield {"source": source, "target": target}


def _lines(name: str, key: str) -> list[str]:
    path = rows.local(name)
    if not path.is_file():
        raise ValueError(f"{key}={name} is not there: it must be a file of one sentence a line, plain or .gz or .zst")
    try:
        # at line feeds: other signs that end a line somewhere may stand in a sentence
        found = list(lines(path))
    except ValueError as error:
        raise ValueError(f"{key}={name} cannot be read: {error}") from None
    if not found:
        raise ValueError(f"{key}={name} is empty: it must be a file of one sentence a line")
    return found
