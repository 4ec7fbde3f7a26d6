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
#: what a table may hold, beside columns of sources
COLUMNS = ("language", "size", "score", "seed", "run", *FURTHER)


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

    Labels that are no languages (`l1`, `mine`) are told apart as they are written. A label that means two of the
    languages that are there (`zh` beside `zh-Hant` and `zh-Hans`) is refused, wherever it stands: by the order of rows
    it would be the one or the other.
    """

    def __init__(self) -> None:
        #: by the label that came first, all that mean the same
        self.known: dict[str, list[str]] = {}
        self._first: dict[str, str] = {}

    def of(self, tag: str) -> str:
        """The label that stands for this one.

        Raises:
            ValueError: it parts or joins languages that others joined or parted.
        """
        if tag in self._first:
            return self._first[tag]
        near = {first: [one for one in group if alike(one, tag)] for first, group in self.known.items()}
        near = {first: mine for first, mine in near.items() if mine}
        if len(near) > 1:
            _ambiguous(tag, *[mine[0] for mine in near.values()][:2])
        for first, mine in near.items():
            apart = next((one for one in self.known[first] if one not in mine), None)
            if apart is not None:
                _ambiguous(mine[0], apart, tag)
            self.known[first].append(tag)
            self._first[tag] = first
            return first
        self.known[tag] = [tag]
        self._first[tag] = tag
        return tag

    def merged(self) -> list[str]:
        """What is said of languages that go by several labels."""
        return [f"{', '.join(group)} are one language" for group in self.known.values() if len(group) > 1]


def _ambiguous(tag: str, one: str, other: str) -> None:
    raise ValueError(
        f"language={tag} is not accepted: it may be {one} or {other}, which are two languages beside it; write which"
    )


def alike(one: str, other: str) -> bool:
    """Whether two labels mean one language."""
    if one == other:
        return True
    return bool(language.language(one) and language.language(other)) and language.same(one, other)


def read_table(path: str, score: str | None = None) -> Points:
    """The rows of a table.

    Args:
        score: the name of what its column `score` holds, as bpb or chrf: which way is better is read from it.

    Raises:
        ValueError: there is no such table, a column is missing or named twice, a row has another number of cells than
            the header, or a value is no number; with the row.
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
    columns: dict[str, None] = {}
    for number, row in _rows(text, place):
        columns |= dict.fromkeys(row)
        points.append(_point(row, f"points={path}, row {number}", labels))
    if not points:
        raise ValueError(f"points={path} holds no row")
    return Points(points, score or "score", [*_unread(list(columns)), *labels.merged(), *_doubles(points)])


def _unread(columns: list[str]) -> list[str]:
    """What is said of columns that nothing here reads."""
    free = [name for name in COLUMNS if name not in columns]
    return [
        f"the column {name or 'without a name'} is not read{did_you_mean(name, free)}"
        for name in columns
        if name not in COLUMNS and not name.startswith(SOURCE)
    ]


def _rows(text: str, place: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = SUFFIXES[place.suffix.lower()]
    if delimiter:
        yield from _cells(text, place, delimiter)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"points={place}, row {number}"
        try:
            row = json.loads(line, object_pairs_hook=list)  # a dict would keep the last of two values of one name
        except ValueError:
            row = None
        if row is None or not line.strip().startswith("{"):
            raise ValueError(f"{where} is no JSON object")
        _require_columns([str(key) for key, _ in row], where)
        yield number, dict(row)


def _cells(text: str, place: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows under a header, without those that are empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            if names is None:
                names = [name.strip() for name in cells]
                _require_columns(names, f"points={place}")
                continue
            if not cells:
                continue
            number += 1
            if len(cells) != len(names):
                raise ValueError(
                    f"points={place}, row {number} has {len(cells)} cells, and the header {len(names)}: write numbers "
                    "with a point (40.5), and quote what holds the delimiter"
                )
            yield number, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise ValueError(
            f"points={place}, line {reader.line_num} is not accepted: {error}; a quote must be closed, and one inside "
            "a quoted cell doubled"
        ) from None
    if names is None:
        _require_columns([], f"points={place}")


def _require_columns(names: list[str], where: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{where} has the column {twice or 'without a name'} twice; each must be there once")
    if SOURCE in names:
        raise ValueError(f"{where} has the column {SOURCE}, which names no source: write {SOURCE}NAME")
    sized = any(name == "size" or name.startswith(SOURCE) for name in names)
    lacking = [name for name in ("language", "score") if name not in names] + ([] if sized else ["size"])
    if lacking:
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
    try:
        tag = labels.of(tag)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return Point(tag, score, size, names["seed"], names["run"], **further, sizes=sizes)


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
