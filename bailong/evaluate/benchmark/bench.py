"""Benchmarks of conversations: Bailong-bench (paper, section 5.1), the stand-in for it, and MT-bench."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from bailong.evaluate.benchmark import rows as files
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item, item_of
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import ANY, Benchmark
from bailong.text.language import code, is_chinese, same
from bailong.text.language import language as known

#: 14 categories of 10 (section 5.1)
CATEGORIES, EACH = 14, 10
STANDIN = "sample:standin_bench.jsonl"
#: how files write a language
LANGUAGES = {
    **dict.fromkeys(("zht", "tc", "zh-tw", "zh_tw", "zh-hant", "traditional", "traditional chinese"), "zh-Hant"),
    **dict.fromkeys(("zhs", "sc", "zh-cn", "zh_cn", "zh-hans", "simplified", "simplified chinese"), "zh-Hans"),
    **dict.fromkeys(("en", "eng", "english"), "en"),
}
#: templates of the judge that show it no reference answers
UNREFERENCED = ("two_shot",)
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
TRANSLATION = re.compile(
    "translat|翻譯|翻译|çeviri|übersetz|tradu[cçz]|vertaal|перев[оі]д|переклад|अनुवाद|ترجم|μετάφρασ|dịch|terjemah|翻訳|번역",
    re.IGNORECASE,
)


def bench(benchmark: Benchmark, rows: list[Row], say: Callable[[str], None]) -> Iterator[Item]:
    """Instructions of one or more turns in categories.

    Columns: `category`, `turns` (a list, a text, or several columns as `a+b+c`), and if there are any `id`,
    `language`, `reference`, `answer_language`, `notes`. Where no language is given, an instruction
    without any Chinese character is English in a benchmark in Chinese. `evaluation.NAME.answer_language` takes the
    place of an `answer_language` that is the question's or the benchmark's own.

    Raises:
        ValueError: a column is missing; the stand-in is given for Bailong-bench; or a benchmark that claims to be a
            column of Table 6 is not 14 categories of 10.
    """
    known = ("id", "category", "turns", "language", "reference", "answer_language", "notes")
    columns = Columns(benchmark, rows, known, ("category", "turns"))
    refuse_standin(benchmark, [str(turn).strip() for row in rows for turn in columns.values(row, "turns")])
    counts = Counter(columns.needed(row, "category", number) for number, row in enumerate(rows, 1))
    if len(counts) != CATEGORIES or set(counts.values()) != {EACH}:
        found = (
            f"{columns.where}: {len(rows)} items in {len(counts)} categories ("
            + ", ".join(f"{name} {count}" for name, count in counts.items())
            + f"), where Bailong-bench has {CATEGORIES} x {EACH}"
        )
        if benchmark.paper:
            raise ValueError(f"{found}; paper={benchmark.paper} claims it: set evaluation.{benchmark.name}.paper=null")
        say(found)
    for number, row in enumerate(rows, 1):
        prompts = [turn.strip() for turn in _turns(columns, row, number)]
        category = columns.needed(row, "category", number)
        language = _language(columns.text(row, "language"), prompts, benchmark.language)
        given = _language(columns.text(row, "answer_language"), prompts, language, look=False)
        answer_language, free = _answered(benchmark, language, given)
        free = free or bool(TRANSLATION.search(category))
        yield Item(
            id=columns.text(row, "id") or f"{category}-{number}",
            benchmark=benchmark.name,
            category=category,
            language=language,
            answer_language=answer_language,
            prompts=prompts,
            references=_references(columns, row, len(prompts), number),
            language_free=free,
            meta={"notes": notes} if (notes := columns.text(row, "notes")) else {},
        )


def refuse_standin(benchmark: Benchmark, turns: list[str]) -> None:
    """Raise `ValueError` if the project's stand-in is to be called Bailong-bench, wherever its file lies."""
    called = f"{benchmark.name} {benchmark.paper or ''}".lower()
    if "bailong" not in called:
        return
    ours = {turn for row in files.rows_of(files.local(STANDIN), STANDIN) for turn in row["turns"]}
    if ours.intersection(turns):
        raise ValueError(
            f"evaluation.{benchmark.name}.path={benchmark.path} holds the project's own stand-in, which is not "
            "Bailong-bench and whose scores compare with nobody's: call it standin_bench, with paper=null"
        )


def mt_bench(benchmark: Benchmark, rows: list[Row]) -> Iterator[Item]:
    """FastChat's questions, or a translation of them, two turns each. Columns: `id`, `category`, `turns`.

    References are GPT-4's answers beside the questions (`reference_answers`), which are there for mathematics,
    reasoning and coding; the `reference` column of the questions is read by no judge of FastChat's, nor here.
    """
    names = ("id", "category", "turns")
    columns = Columns(benchmark, rows, names, names, id="question_id")
    given = {} if benchmark.template in UNREFERENCED else reference_answers(benchmark)
    for number, row in enumerate(rows, 1):
        name, prompts = columns.needed(row, "id", number), _turns(columns, row, number)
        references = given.get(name, [])
        if references and len(references) != len(prompts):
            raise ValueError(f"{columns.where}: question {name} has {len(prompts)} turns, {len(references)} references")
        category = columns.needed(row, "category", number)
        yield item_of(benchmark, name, prompts, category=category, references=references)


def reference_answers(benchmark: Benchmark) -> dict[str, list[str]]:
    """GPT-4's answers by question, from the file that lies beside the questions; none for a Hub dataset.

    Raises:
        ValueError: there is no such file.
    """
    if benchmark.path.startswith("hub:"):
        return {}
    folder = files.local(benchmark.path).parent
    places = [folder / "reference_answer_gpt-4.jsonl", folder / "reference_answer" / "gpt-4.jsonl"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ValueError(
            f"evaluation.{benchmark.name}.path={benchmark.path}: GPT-4's answers belong beside it, as "
            + " or ".join(str(place.relative_to(folder)) for place in places)
        )
    answers = files.rows_of(found, f"evaluation.{benchmark.name}.path")
    return {str(row["question_id"]): row["choices"][0]["turns"] for row in answers}


def questions_file(benchmark: Benchmark) -> Benchmark:
    """The benchmark with a folder's `question.jsonl` as its path."""
    inside = Path("") if benchmark.path.startswith("hub:") else files.local(benchmark.path) / "question.jsonl"
    return dataclasses.replace(benchmark, path=str(inside)) if inside.is_file() else benchmark


def _turns(columns: Columns, row: Row, number: int) -> list[str]:
    if turns := [str(turn) for turn in columns.values(row, "turns")]:
        return turns
    raise ValueError(f"{columns.where}: row {number} has no turn in {columns.names['turns']}")


def _language(written: str, prompts: list[str], otherwise: str, look: bool = True) -> str:
    if written:
        by_name = LANGUAGES.get(written.lower(), written)
        return code(by_name) if len(by_name) > 2 and "-" not in by_name and known(by_name) else by_name
    return "en" if look and is_chinese(otherwise) and not HAN.search(prompts[0]) else otherwise


def _answered(benchmark: Benchmark, language: str, given: str) -> tuple[str, bool]:
    """The language of a good answer, and whether no rule on it applies: the row asks for another than is usual.

    A setting takes the place of what is usual, the language of the question and that of the benchmark.
    """
    wanted = benchmark.answer_language
    if wanted is None or wanted == ANY:
        return given, wanted == ANY or not same(given, language)
    usual = any(same(given, each) for each in (language, benchmark.language, wanted))
    return (wanted, False) if usual else (given, True)


def _references(columns: Columns, row: Row, turns: int, number: int) -> list[str]:
    """One reference a turn (empty where there is none), or none at all; a single one belongs to the last turn."""
    written = row.get(columns.names["reference"])
    if isinstance(written, list) and len(written) == turns and any(written):
        return [str(value or "").strip() for value in written]
    found = [str(value).strip() for value in columns.values(row, "reference")]
    if len(found) == 1:
        return [""] * (turns - 1) + found
    if found and len(found) != turns:
        raise ValueError(f"{columns.where}: row {number} has {turns} turns and {len(found)} references")
    return found
