"""The scores of an evaluation as rows and columns, for the terminal and for every file that shows them.

Reads `scores.json` (bailong.evaluate.scores) and nothing that needs torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Scores = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A number with its 95 % interval, as far as they are known. `open` counts questions still to be judged."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    open: int = 0


@dataclass(frozen=True)
class Line:
    """A row of the table; `printed` ones stand in the paper: another judge, another time."""

    name: str
    cells: list[Cell]
    printed: bool = False


@dataclass(frozen=True)
class Grid:
    """Table 6: a column per judged benchmark, then the averages. `columns` are (heading, note)."""

    columns: list[tuple[str, str]]
    lines: list[Line]


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


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON lines, one at a time; a line that is none (torn, being written) is passed over."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for line in stream:
            try:
                row = json.loads(line.decode("utf-8", "surrogatepass"))
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def grid(scores: Scores) -> Grid:
    """Table 6 with the paper's rows below, where a column is one of the paper's."""
    names, shared = scores["columns"], scores["paper_columns"]
    two = bool(shared) and shared != names
    columns = [(name, scores["benchmarks"][name]["paper"] or "not in Table 6") for name in names]
    if names:
        columns.append(("Avg", f"of {len(names)}" if len(names) != 7 or two else ""))
    if two:
        columns.append(("Avg", "columns of Table 6"))
    lines = []
    for model, found in scores["models"].items():
        cells = [_cell(found["benchmarks"][name]) for name in names]
        cells += [_average(found["average"])] if names else []
        cells += [_average(found["paper_average"])] if two else []
        lines.append(Line(model, cells))
    if shared:
        printed = scores["paper"]["columns"]
        for model, row in scores["paper"]["rows"].items():
            told = dict(zip(printed, row["scores"], strict=True))
            mine = [told.get(scores["benchmarks"][name]["paper"]) for name in names]
            there = [value for value in mine if value is not None]
            # rounded as printed: 7.0671 is 7.07
            whole = row["average"] if len(there) == len(printed) else round(sum(there) / len(there) + 1e-9, 2)
            averages = [Cell(), Cell(whole)] if two else [Cell(whole)]
            lines.append(Line(model, [*map(Cell, mine), *averages], printed=True))
    return Grid(columns, lines)


def warnings(scores: Scores) -> list[str]:
    """What must be known before a number is believed, a sentence each."""
    found = []
    for model, of in scores["models"].items():
        rows = of["benchmarks"]
        if pending := sum(row["pending"] for row in rows.values()):
            told = sum(row["questions"] for row in rows.values())
            found.append(
                f"{model}: {pending:,} of {told:,} questions are not answered or not judged yet; run it again."
            )
        failed: Counter[str] = sum((Counter(row.get("verdicts", {})) for row in rows.values()), Counter())
        del failed["ok"], failed["repaired"]
        if failed:
            errors: Counter[str] = sum((Counter(row.get("errors", {})) for row in rows.values()), Counter())
            causes = f" ({', '.join(f'{cause} {count:,}' for cause, count in errors.most_common())})" if errors else ""
            told = ", ".join(f"{s} {count:,}{causes if s == 'api_error' else ''}" for s, count in failed.most_common())
            found.append(
                f"{model}: verdicts without a score: {told}. They are in no mean; as 0 they are shown beside it."
            )
        ended: Counter[str] = sum((Counter(row["finish"]) for row in rows.values()), Counter())
        del ended["stop"], ended["length"]
        if ended:
            told = ", ".join(f"{reason} {count:,}" for reason, count in ended.most_common())
            found.append(f"{model}: questions without an answer from the model: {told}. They are in no mean.")
        if len(of["judges"]) > 1:
            told = ", ".join(_judge(judge) for judge in of["judges"])
            found.append(
                f"{model}: its verdicts come from several judges: {told}. Scores of two judges do not compare."
            )
        disagreeing = sum(row["language"].get("disagreement", {}).get("rule_only", 0) for row in rows.values())
        if disagreeing and scores["enforce"] != "off":
            found.append(
                f"{model}: {disagreeing:,} answers in another language than asked for got points from the judge"
                + (
                    ", and count as 0 here."
                    if scores["enforce"] == "zero"
                    else "; judge.enforce=zero would count them 0."
                )
            )
    judges = {judge["model"] for of in scores["models"].values() for judge in of["judges"]}
    alone = all(len(of["judges"]) <= 1 for of in scores["models"].values())
    if len(judges) > 1 and alone:
        found.append(f"The models were not judged by one judge: {', '.join(sorted(map(str, judges)))}.")
    return found


def notes(scores: Scores) -> list[str]:
    """How the table is to be read."""
    told = [
        "Mean of the judge's scores (0 to 10), with the middle 95 % of the means of "
        f"{scores['resamples']:,} resamplings of the questions. Verdicts without a score are left out of the mean.",
        "Avg is the unweighted mean of the columns, as in Table 6.",
    ]
    if scores["enforce"] == "zero":
        told.append(
            "An answer in another language than asked for counts as 0 (judge.enforce=zero), whatever the judge said."
        )
    other = [name for name in scores["columns"] if name not in scores["paper_columns"]]
    if other:
        told.append(f"{', '.join(other)}: no column of Table 6; no row of the paper belongs there.")
    drawn = {n: b for n, b in scores["benchmarks"].items() if b["expected"] and b["items"] < b["expected"]}
    if drawn:
        each = ", ".join(f"{n} {b['items']:,} of {b['expected']:,}" for n, b in drawn.items())
        told.append(f"Only a part of the questions: {each}.")
    if scores["paper_columns"]:
        told.append(
            f"Rows of the paper are printed figures ({scores['paper']['source']}; judge {scores['paper']['judge']}, "
            f"{scores['paper']['year']}): another judge, another time, no interval. A difference to them is no proof."
        )
    return told


def _judge(judge: dict[str, Any]) -> str:
    fingerprint = f" ({judge['fingerprint']})" if judge["fingerprint"] else ""
    return f"{judge['model']}{fingerprint} {judge['verdicts']:,}"


def _cell(row: dict[str, Any]) -> Cell:
    found = row.get("headline")
    if not found:
        return Cell(open=row["pending"])
    return Cell(found["mean"], found["low"], found["high"], row["pending"])


def _average(found: dict[str, Any] | None) -> Cell:
    return Cell(found["mean"], found["low"], found["high"]) if found else Cell()
