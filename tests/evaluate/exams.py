"""Small files of multiple choice in the layouts that benchmarks are published in; original questions."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bailong.evaluate.settings import Benchmark, Subject

NAMES = {"question": "Question", "choices": "A+B+C+D", "answer": "Answer"}


def row(number: int, choices: int = 4) -> dict[str, Any]:
    """A sum, whose answer stands at another letter each time."""
    place = number % choices
    options = [str(2 * number + n - place) for n in range(choices)]
    return {"question": f" What is {number} and {number}? ", "choices": options, "answer": "ABCDE"[place]}


def flat(number: int) -> dict[str, str]:
    """The row as CMMLU's files have it."""
    one = row(number)
    letters = dict(zip("ABCD", one["choices"], strict=True))
    return {"": str(number), "Question": one["question"], **letters, "Answer": one["answer"]}


def csv_file(path: Path, rows: list[dict[str, str]], header: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return path


def cmmlu(folder: Path, subjects: tuple[str, ...] = ("agronomy", "anatomy"), count: int = 6) -> Path:
    """`count` questions a subject behind five examples."""
    for place, subject in enumerate(subjects):
        csv_file(folder / "test" / f"{subject}.csv", [flat(10 * (place + 1) + n) for n in range(count)])
        csv_file(folder / "dev" / f"{subject}.csv", [flat(place + n) for n in range(5)])
    return folder


def mmlu(folder: Path) -> Path:
    for split, first in (("test", 20), ("dev", 0), ("val", 50)):
        rows = [{name: value for name, value in flat(first + n).items() if name} for n in range(5)]
        csv_file(folder / split / f"abstract_algebra_{split}.csv", rows, header=False)
    return folder


def hub(folder: Path) -> Path:
    """MMLU as the Hub keeps it: answers by their place."""
    for split, first in (("test", 20), ("dev", 0)):
        rows = [row(first + n) for n in range(5)]
        rows = [one | {"answer": "ABCD".index(one["answer"])} for one in rows]
        (folder / "abstract_algebra").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / "abstract_algebra" / f"{split}-00000-of-00001.parquet")
    return folder


def tmmluplus(folder: Path) -> Path:
    for split, first in (("test", 20), ("train", 0)):
        rows = [flat(first + n) for n in range(5)]
        rows = [{name.lower() if len(name) > 1 else name: value for name, value in one.items()} for one in rows]
        csv_file(folder / f"accounting_{split}.csv", rows)
    return folder


def turkishmmlu(folder: Path) -> Path:
    for split, first in (("test", 20), ("dev", 0)):
        path = folder / "Biology" / f"{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([row(first + n, 5) for n in range(5)]), encoding="utf-8")
    return folder


def benchmark(path: Path, name: str = "cmmlu", **settings: Any) -> Benchmark:
    known = {"columns": NAMES} if name == "cmmlu" else {}
    known |= {"shape": "multiple_choice", "metric": "likelihood", "prompt": name}
    return Benchmark(name=name, path=str(path), **(known | settings))


def subject(folder: Path) -> Subject:
    return Subject(name=folder.name, path=str(folder))
