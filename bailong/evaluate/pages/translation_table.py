"""Scores of translations as tables: of each measure one, a row for each model, a column for each pair of languages."""

from collections.abc import Mapping
from typing import Any

from bailong.evaluate.corpus import METRIC, NAMES
from bailong.evaluate.pages.score_table import Score, Scores, ScoreTable, TableRow, probability

#: measures that are no percentages: digits that are shown of them, and what they are multiplied with in a table
DIGITS = {"comet": 4, "target_bits_per_byte": 4}
TIMES = {"comet": 100}
#: of the differences between two models
DIFFERENCES = ["difference", "95 % interval", "p", "sentences"]


def translated(scores: Scores) -> list[str]:
    """The benchmarks that are translations."""
    return [name for name, about in scores["benchmarks"].items() if about["metric"] == METRIC]


def translation_tables(scores: Scores) -> dict[str, ScoreTable]:
    """By title, with intervals, as far as somebody has the measure."""
    names = translated(scores)
    columns = [(name, _pair(scores["benchmarks"][name])) for name in names]
    tables = {}
    for measure, label in NAMES.items():
        rows = [
            TableRow(model, [_cell(of["benchmarks"][name], measure) for name in names])
            for model, of in scores["models"].items()
        ]
        if any(cell.value is not None for row in rows for cell in row.cells):
            told = f" × {TIMES[measure]}" if measure in TIMES else ""
            tables[f"translation: {label}{told}"] = ScoreTable(columns, rows)
    return tables


def _pair(about: Mapping[str, Any]) -> str:
    return f"{about['language']} to {about['answer_language']}, {about['items']:,} sentences"


def _cell(row: Mapping[str, Any], measure: str) -> Score:
    found = row["corpus"].get(measure)
    if found is None:
        return Score(open=row["pending"])
    value, low, high = (found[key] and TIMES.get(measure, 1) * found[key] for key in ("value", "low", "high"))
    return Score(value, low, high)


def translations(scores: Scores) -> list[list[str]]:
    """Every score of all sentences, a row each: the model, the benchmark, the measure, its interval, sentences."""
    return [
        [model, name, NAMES[measure], _number(measure, found["value"]), _between(measure, found), f"{found['n']:,}"]
        for model, of in scores["models"].items()
        for name in translated(scores)
        for measure, found in of["benchmarks"][name]["corpus"].items()
    ]


def differences(scores: Scores) -> list[list[str]]:
    """Differences between two models, a row for each pair, benchmark and measure."""
    rows = []
    for difference in scores["differences"]:
        pair = f"{difference['first']} − {difference['second']}"
        for name, measures in difference.get("corpus", {}).items():
            for measure, found in measures.items():
                figures = [_number(measure, found["mean"], "+"), _between(measure, found, "+"), probability(found["p"])]
                rows.append([pair, name, NAMES[measure], *figures, f"{found['n']:,}"])
    return rows


def signatures(scores: Scores) -> list[str]:
    """How each score was made, a line for each way: sacrebleu's signature, or the model of COMET."""
    ways: dict[tuple[str, str], list[str]] = {}
    for of in scores["models"].values():
        for name in translated(scores):
            for measure, found in of["benchmarks"][name]["corpus"].items():
                if "signature" in found and name not in ways.setdefault((measure, found["signature"]), []):
                    ways[measure, found["signature"]].append(name)
    return [f"{NAMES[measure]} of {', '.join(names)}: {way}" for (measure, way), names in ways.items()]


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of table.csv: each measure with the ends of its interval."""
    return {
        column: found[key]
        for measure, found in row.get("corpus", {}).items()
        for column, key in ((measure, "value"), (f"{measure}_low", "low"), (f"{measure}_high", "high"))
    }


def _number(measure: str, value: float, sign: str = "") -> str:
    return f"{value:{sign}.{DIGITS.get(measure, 2)}f}"


def _between(measure: str, found: Mapping[str, Any], sign: str = "") -> str:
    return " to ".join(_number(measure, found[key], sign) for key in ("low", "high") if found[key] is not None)
