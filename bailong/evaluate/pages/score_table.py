"""The scores of an evaluation as rows and columns, for the terminal and for every file that shows them.

Reads `scores.json` (bailong.evaluate.scores) and nothing that needs torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bailong.evaluate.pages import measured
from bailong.report.units import NONE, plural, short

Scores = dict[str, Any]
#: of the answers
LANGUAGES = ("traditional", "simplified", "english", "other", "undetermined")

#: the judge's usual scale
TEN = (0, 10)
#: of the language rule
RULINGS = ("ok", "violation", "exempt", "undetermined")
#: in the order of `counts` (bailong.evaluate.judge.pairwise.OUTCOMES)
DUELS = ("wins", "losses", "ties", "inconsistent", "failed")


def languages_of(scores: Scores) -> list[str]:
    """The labels of LANGUAGES, and before `other` the names of other languages that answers are in."""
    rows = [row for of in scores["models"].values() for row in of["benchmarks"].values()]
    names = {label for row in rows for label in row["language"]["labels"]} - {*LANGUAGES, ""}
    return [*LANGUAGES[:3], *sorted(names), *LANGUAGES[3:]]


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval, as far as they are known. `open` counts questions still to be judged."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    open: int = 0

    @classmethod
    def of(cls, found: Mapping[str, Any] | None, pending: int = 0) -> Score:
        """`found` is an interval of `scores.json`."""
        return cls(found["mean"], found["low"], found["high"], pending) if found else cls(open=pending)

    def between(self, shape: str, digits: int = 2) -> str:
        """The interval in words, as `shape` puts its ends; nothing without one."""
        return shape.format(f"{self.low:.{digits}f}", f"{self.high:.{digits}f}") if self.low is not None else ""


@dataclass(frozen=True)
class TableRow:
    """A row of the table; with a `source` it is printed there: another judge, another time."""

    name: str
    cells: list[Score]
    source: str = ""

    @property
    def printed(self) -> bool:
        return bool(self.source)


@dataclass(frozen=True)
class ScoreTable:
    """Table 6: a column per judged benchmark, then the averages. `columns` are (heading, note)."""

    columns: list[tuple[str, str]]
    rows: list[TableRow]

    @property
    def evaluated(self) -> list[TableRow]:
        return [row for row in self.rows if not row.printed]

    @property
    def printed(self) -> list[TableRow]:
        return [row for row in self.rows if row.printed]

    @property
    def sources(self) -> dict[str, list[TableRow]]:
        """The printed rows, by the table that they stand in."""
        return {source: [row for row in self.printed if row.source == source] for source in self._sources}

    @property
    def _sources(self) -> list[str]:
        return list(dict.fromkeys(row.source for row in self.printed))


@dataclass(frozen=True)
class Judged:
    """What the judge's failures did to one benchmark. `means` are the mean, and those that count otherwise.

    `trace_rate` is the share of answers with a trace of Simplified Chinese; None where none is to be in Traditional.
    """

    model: str
    benchmark: str
    questions: int
    pending: int
    zero_rate: float | None
    trace_rate: float | None
    verdicts: dict[str, int]
    no_answer: int
    means: dict[str, float | None]


def read(to: Path) -> Scores:
    """
    Raises:
        ValueError: there are no scores, or they cannot be read.
    """
    path = to / "scores.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def score_table(scores: Scores) -> ScoreTable:
    """Table 6, and below it the rows of those printed tables of which a column is one of its own."""
    names, shared = scores["columns"], scores["paper_columns"]
    two = bool(shared) and shared != names
    scales = scales_of(scores)
    one = bool(names) and len(set(scales.values())) == 1
    columns = [(name, _note(scores["benchmarks"][name]["paper"], scales[name])) for name in names]
    if one:
        columns.append(("Avg", f"of {len(names)}" if len(names) != 7 or two else ""))
    if two:
        columns.append(("Avg", "columns of Table 6"))
    rows = []
    for model, found in scores["models"].items():
        of = [found["benchmarks"][name] for name in names]
        cells = [Score.of(row.get("headline"), row["pending"]) for row in of]
        cells += [Score.of(found["average"])] if one else []
        cells += [Score.of(found["paper_average"])] if two else []
        rows.append(TableRow(model, cells))
    for table in scores["printed"]:
        for model, row in table["rows"].items() if "judge" in table else ():
            theirs = dict(zip(table["columns"], row["scores"], strict=True))
            mine = [theirs.get(scores["benchmarks"][name]["paper"]) for name in names]
            there = [value for value in mine if value is not None]
            if not there:
                continue
            averages = [Score()] * (one + two)
            if "average" in row:
                # rounded as printed: 7.0671 is 7.07
                whole = row["average"] if len(there) == len(theirs) else round(sum(there) / len(there) + 1e-9, 2)
                averages[-1] = Score(whole)
            rows.append(TableRow(model, [*map(_printed, mine), *averages], told_of(table)))
    return ScoreTable(columns, rows)


def sizes(scores: Scores) -> dict[str, int | None]:
    """The parameters of each model, where they are known."""
    known = {subject["name"]: subject.get("parameters") for subject in scores["facts"].get("models", ())}
    return {model: known.get(model) for model in scores["models"]}


def sized(scores: Scores) -> dict[str, str]:
    """Parameters as a column of the tables; none where there are not two sizes."""
    known = sizes(scores)
    several = len({*known.values()} - {None}) > 1
    return {model: short(size) if size else NONE for model, size in known.items()} if several else {}


def scales_of(scores: Scores) -> dict[str, tuple[int, int]]:
    """The least and the greatest score of each judged benchmark."""
    return {name: tuple(scores["benchmarks"][name]["scale"]) for name in scores["columns"]}


def told_of(table: Mapping[str, Any]) -> str:
    """Where a table is printed, by whose judge, and when."""
    judged = f", judged by {table['judge']}" if "judge" in table else ""
    return f"({table['source']}){judged}, {table['year']}"


def _note(paper: str | None, scale: tuple[int, int]) -> str:
    """What stands below the name of a column."""
    return (paper or "not in Table 6") + (f", of {scale[1]}" if scale[1] != TEN[1] else "")


def _printed(value: float | list[float] | None) -> Score:
    """A printed figure; a pair is the span of several."""
    return Score(None, value[0], value[1]) if isinstance(value, list) else Score(value)


# --- what is behind it -------------------------------------------------------------------------------


def judged(scores: Scores) -> list[Judged]:
    """A row for each model and judged benchmark."""
    rows = []
    for model, of in scores["models"].items():
        for name in scores["columns"]:
            row = of["benchmarks"][name]
            means = {"mean": row["mean"], "failures as 0": {"mean": row["failures_as_zero"]}}
            if scores["enforce"] != "off":
                means |= {"language as 0": row["language_as_zero"], "traces as 0": row.get("traces_as_zero")}
            verdicts = {status: row["verdicts"].get(status, 0) for status in scores["statuses"]}
            shown = {label: (mean or {}).get("mean") for label, mean in means.items()}
            looked, traced, _ = traces([row])
            rates = row.get("zero_rate"), traced / looked if looked else None
            counts = row["questions"], row["pending"], *rates, verdicts
            rows.append(Judged(model, name, *counts, row["statuses"].get("no_answer", 0), shown))
    return rows


def traces(rows: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Of benchmarks: answers looked at for Simplified Chinese, those with a trace, its characters in all of them."""
    found = summed(row["language"].get("traces", {}) for row in rows)
    return found["answers"], found["traced"], found["characters"]


def measures(scores: Scores, groups: bool = True) -> list[list[str]]:
    """Metrics without a judge, a row each; in percent, except for bits per byte. Multiple choice also by group."""
    rows = []
    for model, of in scores["models"].items():
        for name, row in of["benchmarks"].items():
            about = scores["benchmarks"][name]
            chosen = about["metric"] == "likelihood"
            told = f", {about['shots']}-shot (chance {100 / about['choices']:.0f} %)" if chosen else ""
            for measure, found in row["measures"].items():
                rows.append([model, name, measure.replace("_", " ") + told, *_percent(found)])
            for group, found in row["categories"].items() if chosen and groups else ():
                rows.append([model, name, f"{about['measure']}, {group}", *_percent(found)])
            rows += [[model, name, *figures] for figures in measured.rows(name, about, of["measured"].get(name))]
    return rows


def _percent(found: Mapping[str, Any]) -> list[str]:
    """Mean, interval and number of a measure in [0, 1]."""
    between = "" if found["low"] is None else f"{100 * found['low']:.1f} to {100 * found['high']:.1f}"
    return [f"{100 * found['mean']:.1f} %", between, f"{found['n']:,}"]


def choices(scores: Scores) -> list[list[str]]:
    """Differences in multiple choice, a row for each pair of models, benchmark and group; in percentage points."""
    rows = []
    for difference in scores["differences"]:
        pair = f"{difference['first']} − {difference['second']}"
        for name, groups in difference.get("choices", {}).items():
            for group, found in groups.items():
                if found is not None:
                    ends = [f"{100 * found[key]:+.1f}" for key in ("low", "high") if found[key] is not None]
                    figures = [f"{100 * found['mean']:+.1f}", " to ".join(ends), probability(found["p"])]
                    rows.append([pair, name, group or "all", *figures, f"{found['n']:,}"])
    return rows


def sames(scores: Scores) -> list[list[str]]:
    """How many answers are the same text, a row for each pair of models and benchmark."""
    return [
        [f"{difference['first']} = {difference['second']}", name, f"{found['same']:,}", f"{found['of']:,}"]
        for difference in scores["differences"]
        for name, found in difference.get("answers", {}).items()
    ]


def partings(scores: Scores) -> list[list[str]]:
    """Where answers part that are mostly the same, a row each: the models, the question, both texts from there on."""
    return [
        [
            f"{difference['first']} = {difference['second']}",
            f"{name} {one['id']}" + (f", turn {one['turn']}" if one["turn"] > 1 else ""),
            *(f"{'…' if one['before'] else ''}{one['before']}｜{behind}" for behind in one["behind"]),
        ]
        for difference in scores["differences"]
        for name, found in difference.get("answers", {}).items()
        for one in found["parted"]
    ]


def duels(scores: Scores) -> list[list[str]]:
    """Comparisons in both orders, a row for each model, benchmark and opponent."""
    return [
        [model, found["benchmark"], found["against"], *(f"{count:,}" for count in found["counts"].values())]
        + [share(found["rate"])]
        for model, of in scores["models"].items()
        for found in of["duels"]
    ]


def above(difference: Mapping[str, Any]) -> tuple[str, str, float, float, float]:
    """The better and the worse model of a clear difference on average, by how much, and the interval of that."""
    found, models = difference["average"], (difference["first"], difference["second"])
    better, worse = models if found["mean"] >= 0 else models[::-1]
    low, high = sorted(abs(found[key]) for key in ("low", "high"))
    return better, worse, abs(found["mean"]), low, high


def shared(found: Mapping[str, Any]) -> str:
    """How many questions a difference rests on: those that both models have a score of."""
    return plural(found["n"], "shared question")


# --- numbers -----------------------------------------------------------------------------------------


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}%"


def probability(p: float | None) -> str:
    return NONE if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum(map(Counter, counts), Counter())
