"""Multiple choice after a few examples: CMMLU, MMLU, TMMLU+, TurkishMMLU, prompts as lm-evaluation-harness has them.

A benchmark is a folder of files, one for each subject and split, laid out in any of the ways they are published in:

    <split>/<subject>.csv                       CMMLU
    <split>/<subject>_<split>.csv               MMLU (without a line of names: `header: false`)
    <subject>_<split>.csv                       TMMLU+
    <subject>/<split>.json                      TurkishMMLU
    <subject>/<split>-00000-of-00001.parquet    any of them, as the Hub keeps them

How it asks, and what its subjects are called, stands in a file of `prompts` (`Frame`). The examples are the first
`shots` rows of the subject's `shots_split`. Nothing is drawn: `limit` questions are those with the lowest hashes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bailong.evaluate.benchmark import rows as files
from bailong.evaluate.benchmark.columns import Columns
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.preface import FOLDER
from bailong.evaluate.benchmark.rows import Row
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.reader.stream import COMPRESSED
from bailong.run.checks import did_you_mean, one_of, require
from bailong.text.fill import fill

#: between an example and what follows, and between a question and its answer (lm-evaluation-harness's own)
BETWEEN, BEFORE_ANSWER = "\n\n", " "


@dataclass(frozen=True)
class Frame:
    """How a benchmark asks.

    Attributes:
        letters: of the choices, in their order.
        question: the first line, with `{question}`; answer: the last, after which the answer stands.
        description: what stands before everything, with `{subject}`; may be empty.
        subjects: group -> subject (the name of its files) -> its name in the description.
    """

    letters: str
    question: str
    answer: str
    description: str
    subjects: dict[str, dict[str, str]]

    def group(self, subject: str) -> str | None:
        """The group that a subject belongs to; None for one that is not known."""
        return next((group for group, of in self.subjects.items() if subject in of), None)

    def head(self, subject: str) -> str:
        """The description of a subject."""
        named = self.subjects[self.group(subject) or ""][subject]
        return fill(self.description, {"subject": named}) if self.description else ""

    def ask(self, question: str, choices: list[str]) -> str:
        """A question with its choices, up to where the answer would stand."""
        listed = [f"{letter}. {choice}" for letter, choice in zip(self.letters, choices, strict=True)]
        return "\n".join([fill(self.question, {"question": question}), *listed, self.answer])


def frame(benchmark: Benchmark) -> Frame:
    """The file that `prompt` names: one of `prompts/*.yaml`, or a path.

    Raises:
        ValueError: there is none, or it is not a frame.
    """
    key, name = f"evaluation.{benchmark.name}.prompt={benchmark.prompt or 'null'}", benchmark.prompt or ""
    path = FOLDER / f"{name}.yaml"
    path = path if path.is_file() else Path(name)
    if not path.is_file():
        known = sorted(one.stem for one in FOLDER.glob("*.yaml"))
        raise ValueError(f"{key} is no frame: give a file, or one of {', '.join(known)}{did_you_mean(name, known)}")
    try:
        return Frame(**yaml.safe_load(path.read_text(encoding="utf-8")))
    except (TypeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{key}: {path} is not a frame ({str(error).splitlines()[0]})") from None


def questions(benchmark: Benchmark) -> Iterator[Item]:
    """Every question of every subject that is asked for, subjects in the order of their names.

    Columns: `question`, `choices` (a list, or several columns as `A+B+C+D`, which is what is taken where there is no
    column `choices`), `answer` (a letter, or a place counted from 0).

    Raises:
        ValueError: nothing is there, a subject has no examples or too few, or a row lacks something; with the file.
    """
    asks, where = frame(benchmark), f"evaluation.{benchmark.name}"
    tests, examples = (_found(benchmark, split) for split in (benchmark.split, benchmark.shots_split))
    for subject in benchmark.subjects:
        one_of(f"{where}.subjects:", subject, sorted(tests))
    for subject in benchmark.subjects or sorted(tests):
        group = asks.group(subject)
        if group is None:
            known = [name for of in asks.subjects.values() for name in of]
            raise ValueError(
                f"{where}.path={benchmark.path} holds {tests[subject][0].name}, and prompt={benchmark.prompt} knows "
                f"no subject {subject}{did_you_mean(subject, known)}; {where}.subjects=[..] leaves it out"
            )
        shown = _shots(benchmark, asks, subject, examples.get(subject, []))
        for number, (question, choices, letter) in enumerate(_rows(benchmark, asks, tests[subject]), 1):
            yield Item(
                f"{subject}/{number}",
                benchmark.name,
                [asks.ask(question, choices)],
                category=group,
                language=benchmark.language,
                context=shown,
                choices=list(asks.letters),
                golds=[letter],
                language_free=True,
                meta={"question": question, "subject": subject},
            )


def _shots(benchmark: Benchmark, asks: Frame, subject: str, paths: list[Path]) -> str:
    """The description and the examples of a subject: what all its questions stand behind."""
    head, key = asks.head(subject), f"evaluation.{benchmark.name}.shots"
    if not benchmark.shots:
        return head
    if not paths:
        raise ValueError(
            f"{key}={benchmark.shots}: {subject} has no file of split {benchmark.shots_split} below {benchmark.path} "
            f"({key}=0 asks without examples)"
        )
    there = list(_rows(benchmark, asks, paths))
    has = f"0 to {len(there)}, the rows of {paths[0].parent.name}/{paths[0].name}"
    require(benchmark.shots <= len(there), key, benchmark.shots, has)
    shown = (f"{asks.ask(q, choices)}{BEFORE_ANSWER}{a}{BETWEEN}" for q, choices, a in there[: benchmark.shots])
    return head + "".join(shown)


def _found(benchmark: Benchmark, split: str) -> dict[str, list[Path]]:
    """The files of a split by subject."""
    folder = files.local(benchmark.path)
    if not folder.is_dir():
        origin = f"; it comes from {benchmark.source}" if benchmark.source else ""
        raise ValueError(
            f"evaluation.{benchmark.name}.path={benchmark.path} is not there: it must be a folder of files, one for "
            f"each subject and split ({benchmark.split}/<subject>.csv, <subject>_{benchmark.split}.csv or "
            f"<subject>/{benchmark.split}.json){origin}"
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if (subject := _subject(path, split)) is not None:
            found.setdefault(subject, []).append(path)
    if not found and split == benchmark.split:
        raise ValueError(
            f"evaluation.{benchmark.name}.path={benchmark.path} holds no file of split {split}: expected "
            f"{split}/<subject>.csv, <subject>_{split}.csv or <subject>/{split}.json"
        )
    return found


def _subject(path: Path, split: str) -> str | None:
    """Which subject a file of the split is about; None for a file of another one."""
    bare = Path(path.stem) if path.suffix in COMPRESSED else path
    if bare.suffix not in files.KINDS:
        return None
    stem = bare.stem
    if stem == split or stem.startswith(f"{split}-"):
        return path.parent.name
    if stem.endswith(f"_{split}"):
        return stem.removesuffix(f"_{split}")
    return stem if path.parent.name == split else None


def _rows(benchmark: Benchmark, asks: Frame, paths: list[Path]) -> Iterator[tuple[str, list[str], str]]:
    """Question, choices and the letter of the answer of each row."""
    letters = asks.letters
    for path in paths:
        key = f"evaluation.{benchmark.name}.path"
        names = None if benchmark.header else ["question", *letters, "answer"]
        found = files.rows_of(path, key, names)
        # a list of choices is what is left when no columns are named for them
        listed = {} if any("choices" in row for row in found) else {"choices": "+".join(letters)}
        wanted = ("question", "choices", "answer")
        columns = Columns(benchmark, found, wanted, wanted, **listed)
        columns.where += f": {path.parent.name}/{path.name}"
        for number, row in enumerate(found, 1):
            answer = columns.needed(row, "answer", number)
            if answer.isdecimal() and int(answer) < len(letters):
                answer = letters[int(answer)]
            one_of(f"{columns.where}, row {number}: {columns.names['answer']}", answer, list(letters))
            yield columns.needed(row, "question", number), _choices(columns, row, number, len(letters)), answer


def _choices(columns: Columns, row: Row, number: int, wanted: int) -> list[str]:
    """As they are written: lm-evaluation-harness strips the question alone."""
    found: list[Any] = []
    for part in columns.names["choices"].split("+"):
        value = row.get(part)
        found += value if isinstance(value, list) else [value]
    if len(found) == wanted and all(value is not None for value in found):
        return [str(value) for value in found]
    there = sum(value is not None for value in found)
    raise ValueError(
        f"{columns.where}: row {number} has {there} of {wanted} choices in {columns.names['choices']} (columns.choices)"
    )
