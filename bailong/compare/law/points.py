"""Scores and the sizes that they belong to: a table of the user's own, or what folders told (gathered.py).

A table is CSV, TSV or JSON Lines with `language`, `size`, `score` and, where they are known, `seed` (a seed's rows are
one curve, drawn together), `run`, `loss` (bits per byte beside a score), `sim` (a similarity to English), `base` (bits
per byte of the base over those of English); for regmix one column a source, `size.<source>`.
"""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bailong.run.checks import did_you_mean
from bailong.text import language

SUFFIXES = {".csv": ",", ".tsv": "\t", ".jsonl": ""}
#: what a column of a source begins with
SOURCE = "size."
#: numbers of a row beside its size and score
FURTHER = ("loss", "sim", "base")


@dataclass(frozen=True)
class Point:
    """One score of one model in one language. `size` is None where only `sizes`, by source, say what it was trained
    on; 0 is the base without any tuning."""

    language: str
    score: float
    size: float | None = None
    seed: str = ""
    run: str = ""
    loss: float | None = None
    sim: float | None = None
    base: float | None = None
    sizes: dict[str, float] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What the bootstrap draws together: a seed's whole curve, else a run."""
        return self.seed or self.run


@dataclass
class Points:
    """What was read: points, the name of the score, what is to be said of them, and by language the sources that its
    data came from with the most dialogues that a run took of each (empty of a table)."""

    points: list[Point]
    score: str
    notes: list[str] = field(default_factory=list)
    sources: dict[str, dict[str, float]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    @property
    def languages(self) -> list[str]:
        """In the order in which they first appear."""
        return list(dict.fromkeys(point.language for point in self.points))

    def of(self, name: str) -> list[Point]:
        return [point for point in self.points if point.language == name]


class Labels:
    """One label for each language: `zh-TW` and `zh-Hant` are one, and go by the one that came first.

    Labels that are no languages (`l1`, `mine`) are told apart as they are written.
    """

    def __init__(self) -> None:
        self.known: list[str] = []

    def of(self, tag: str) -> str:
        found = next((known for known in self.known if alike(known, tag)), None)
        if found is None:
            self.known.append(tag)
        return found or tag


def alike(one: str, other: str) -> bool:
    """Whether two labels mean one language."""
    if one == other:
        return True
    return bool(language.language(one) and language.language(other)) and language.same(one, other)


def read_table(path: str) -> Points:
    """The rows of a table.

    Raises:
        ValueError: there is no such table, a column is missing, or a value is no number; with the row.
    """
    place = Path(path)
    if place.suffix.lower() not in SUFFIXES:
        raise ValueError(f"points={path} is not accepted: it must be a table that ends in {', '.join(SUFFIXES)}")
    if not place.is_file():
        raise ValueError(f"points={path} is not there: give a table with columns language, size, score, seed")
    try:
        text = place.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"points={path} cannot be read: it is no UTF-8") from None
    labels, points = Labels(), []
    for number, row in _rows(text, place):
        points.append(_point(row, f"points={path}, row {number}", labels))
    if not points:
        raise ValueError(f"points={path} holds no row")
    return Points(points, "score", _doubles(points))


def _rows(text: str, place: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = SUFFIXES[place.suffix.lower()]
    if delimiter:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        names = [name.strip() for name in reader.fieldnames or []]
        _require_columns(names, place)
        try:
            for number, row in enumerate(reader, start=1):
                yield number, {str(key).strip(): value for key, value in row.items() if key is not None}
        except csv.Error as error:
            raise ValueError(f"points={place} cannot be read after row {reader.line_num - 1}: {error}") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"points={place}, row {number} is no JSON object")
        _require_columns([str(key) for key in row], place, number)
        yield number, row


def _require_columns(names: list[str], place: Path, row: int | None = None) -> None:
    sized = any(name == "size" or name.startswith(SOURCE) for name in names)
    lacking = [name for name in ("language", "score") if name not in names] + ([] if sized else ["size"])
    if lacking:
        where = f"points={place}" + (f", row {row}" if row else "")
        near = did_you_mean(lacking[0], [name for name in names if name])
        raise ValueError(f"{where} has no column {lacking[0]}{near}; it has {', '.join(names) or 'none'}")


def _point(row: dict[str, Any], where: str, labels: Labels) -> Point:
    tag = str(row.get("language") or "").strip()
    if not tag:
        raise ValueError(f"{where}: language is empty; give a label such as zh-Hant")
    score = number(row.get("score"), f"{where}: score")
    if score is None:
        raise ValueError(f"{where}: score is empty; give a number, or leave the row out")
    sizes = {
        key[len(SOURCE) :]: _size(value, f"{where}: {key}") or 0.0
        for key, value in row.items()
        if key.startswith(SOURCE)
    }
    further = {key: number(row.get(key), f"{where}: {key}") for key in FURTHER}
    size = _size(row.get("size"), f"{where}: size")
    if size is None and not sizes:
        raise ValueError(f"{where}: size is empty; give a number (0: the base without any tuning)")
    names = {key: "" if row.get(key) is None else str(row[key]).strip() for key in ("seed", "run")}
    return Point(labels.of(tag), score, size, names["seed"], names["run"], **further, sizes=sizes)


def number(value: Any, what: str) -> float | None:
    """A finite number; None where nothing is given.

    Raises:
        ValueError: it is something else.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{what}={value} is not accepted: it must be a number")
    return found


def _size(value: Any, what: str) -> float | None:
    found = number(value, what)
    if found is not None and found < 0:
        raise ValueError(f"{what}={value} is not accepted: it must be a number at or above 0")
    return found


def _doubles(points: list[Point]) -> list[str]:
    """What is said of rows that name one language, size and unit twice."""
    seen: dict[tuple[Any, ...], int] = {}
    for point in points:
        key = point.language, point.size, tuple(sorted(point.sizes.items())), point.seed, point.run
        seen[key] = seen.get(key, 0) + (1 if point.unit else 0)
    doubled = [key for key, times in seen.items() if times > 1]
    if not doubled:
        return []
    first = doubled[0]
    return [f"{len(doubled)} times the same language, size and seed ({first[0]}, {first[1]}): each row is a point"]


def csv_text(points: Points) -> str:
    """The points as such a table."""
    named = sorted({source for point in points.points for source in point.sizes})
    columns = ["language", "size", "score", "seed", "run", *FURTHER, *(SOURCE + name for name in named)]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for point in points.points:
        row: dict[str, Any] = {key: getattr(point, key) for key in columns if not key.startswith(SOURCE)}
        row |= {SOURCE + name: size for name, size in point.sizes.items()}
        writer.writerow({key: repr(v).removesuffix(".0") if isinstance(v, float) else v for key, v in row.items()})
    return out.getvalue()
