"""Table 6 as `table.md`, `table.csv`, `table.tex`, and in the terminal."""

from __future__ import annotations

import csv
import io
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailong.evaluate.pages.score_table import (
    DUELS,
    LANGUAGES,
    RULINGS,
    Score,
    Scores,
    TableRow,
    above,
    duels,
    judged,
    measures,
    notes,
    number,
    probability,
    score_table,
    share,
    warnings,
)
from bailong.report.terminal import columns
from bailong.report.units import NONE

#: of a cell whose benchmark is not finished
OPEN = "*"
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


# --- table.md ----------------------------------------------------------------------------------------


def markdown(scores: Scores) -> str:
    """The table, what the judge's failures and zeros did to it, the metrics, and how to read it all."""
    made = score_table(scores)
    parts = []
    if made.columns:
        head = [f"{name} ({note})" if note and note != name else name for name, note in made.columns]
        rows = [
            [f"*{_md(row.name)}* (paper)" if row.printed else f"**{_md(row.name)}**", *map(_md_cell, row.cells)]
            for row in made.rows
        ]
        parts += [_md_table(["model", *head], rows), _failures(scores)]
    if measured := [[_md(model), _md(name), *figures] for model, name, *figures in measures(scores)]:
        parts.append(_md_table(["model", "benchmark", "measure", "value", "95 % interval", "questions"], measured))
    if compared := [[*map(_md, row[:3]), *row[3:]] for row in duels(scores)]:
        parts.append(_md_table(["model", "benchmark", "against", *DUELS, "rate"], compared))
    lines = [f"- {_md(line)}" for line in [*warnings(scores), *notes(scores)]]
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def _failures(scores: Scores) -> str:
    """Every status of every benchmark, and the means that count otherwise."""
    found = judged(scores)
    head = ["model", "benchmark", "questions", "pending", "zero rate", *scores["statuses"], "no answer"]
    rows = [
        [_md(one.model), _md(one.benchmark), f"{one.questions:,}", f"{one.pending:,}", share(one.zero_rate)]
        + [f"{count:,}" for count in (*one.verdicts.values(), one.no_answer)]
        + [number(mean) for mean in one.means.values()]
        for one in found
    ]
    return _md_table([*head, *found[0].means], rows)


def _md_table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def _md_cell(cell: Score) -> str:
    if cell.value is None:
        return NONE
    return number(cell.value) + (f"\\{OPEN}" if cell.open else "") + cell.between(" [{}, {}]")


def _md(text: str) -> str:
    """Text that Markdown leaves alone."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in text.replace("\n", " "))


# --- table.csv ---------------------------------------------------------------------------------------


def csv_text(scores: Scores) -> str:
    """A row per model and benchmark, with every number there is; the paper's rows are `printed`."""
    statuses = scores["statuses"]
    head = ["model", "origin", "benchmark", "paper_column", "metric", "questions", "pending", "scored"]
    head += ["score", "low", "high", "judge_mean", "failures_as_zero", "language_as_zero", "zero_rate"]
    head += [*(f"verdicts_{status}" for status in statuses), "no_answer"]
    head += [*(f"answers_{label}" for label in LANGUAGES), *(f"rule_{ruling}" for ruling in RULINGS)]
    every = [row for of in scores["models"].values() for row in of["benchmarks"].values()]
    head += [*dict.fromkeys(measure for row in every for measure in row["measures"]), "bits_per_byte"]
    out = io.StringIO()
    writer = csv.DictWriter(out, head, restval="", lineterminator="\n")
    writer.writeheader()
    for model, of in scores["models"].items():
        for name, row in of["benchmarks"].items():
            about = scores["benchmarks"][name]
            shown: dict[str, Any] = {"model": _csv(model), "origin": "evaluated", "benchmark": _csv(name)}
            shown |= {"paper_column": about["paper"], "metric": about["metric"]}
            shown |= {"questions": row["questions"], "pending": row["pending"]}
            if name in scores["columns"]:
                shown |= _judged(row, statuses)
            shown |= {f"answers_{label}": row["language"]["labels"].get(label, 0) for label in LANGUAGES}
            shown |= {f"rule_{ruling}": row["language"]["rulings"].get(ruling, 0) for ruling in RULINGS}
            shown |= {measure: found["mean"] for measure, found in row["measures"].items()}
            shown["bits_per_byte"] = of["measured"].get(name, {}).get("bits_per_byte", "")
            writer.writerow(shown)
        for label, key in (("average", "average"), ("average of the columns of Table 6", "paper_average")):
            if found := of[key]:
                shown = {"model": _csv(model), "origin": "evaluated", "benchmark": label, "scored": found["n"]}
                writer.writerow(shown | {"score": found["mean"], "low": found["low"], "high": found["high"]})
    if scores["paper_columns"]:
        for model, row in scores["paper"]["rows"].items():
            for column, score in zip(scores["paper"]["columns"], row["scores"], strict=True):
                shown = {"model": model, "origin": "printed", "benchmark": column, "paper_column": column}
                writer.writerow(shown | {"metric": "judge", "score": score})
            label = "average of the columns of Table 6"
            writer.writerow({"model": model, "origin": "printed", "benchmark": label, "score": row["average"]})
    return out.getvalue()


def _judged(row: dict[str, Any], statuses: list[str]) -> dict[str, Any]:
    headline, mean, zeroed = row["headline"] or {}, row["mean"] or {}, row["language_as_zero"] or {}
    return {
        "scored": headline.get("n", 0),
        "score": headline.get("mean"),
        "low": headline.get("low"),
        "high": headline.get("high"),
        "judge_mean": mean.get("mean"),
        "failures_as_zero": row["failures_as_zero"],
        "language_as_zero": zeroed.get("mean"),
        "zero_rate": row.get("zero_rate"),
        **{f"verdicts_{status}": row["verdicts"].get(status, 0) for status in statuses},
        "no_answer": row["statuses"].get("no_answer", 0),
    }


def _csv(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text


# --- table.tex ---------------------------------------------------------------------------------------


def latex(scores: Scores) -> str:
    """A table for `\\input`; it needs booktabs."""
    made = score_table(scores)
    if not made.columns:
        return "% no benchmark was judged\n"
    head = [
        rf"\shortstack{{{tex(name)}\\{{\scriptsize {tex(note)}}}}}" if note else tex(name)
        for name, note in made.columns
    ]
    body = [_tex_row(row) for row in made.evaluated]
    if made.printed:
        source = rf"\footnotesize {tex(scores['paper']['source'])}:"
        body.append(rf"\midrule \multicolumn{{{len(head) + 1}}}{{l}}{{{source}}}\\")
        body += [_tex_row(row) for row in made.printed]
    caption = " ".join(tex(line) for line in [*notes(scores), *warnings(scores)])
    return (
        "% written by bailong-evaluate; needs \\usepackage{booktabs}\n"
        "\\begin{table}\n\\centering\n"
        f"\\begin{{tabular}}{{l{'r' * len(head)}}}\n\\toprule\n"
        + " & ".join(["model", *head])
        + " \\\\\n\\midrule\n"
        + "\n".join(body)
        + f"\n\\bottomrule\n\\end{{tabular}}\n\\caption{{{caption}}}\n\\end{{table}}\n"
    )


def tex(text: str) -> str:
    return "".join(TEX.get(sign, sign) for sign in text.replace("\n", " "))


def _tex_row(row: TableRow) -> str:
    return " & ".join([tex(row.name), *map(_tex_cell, row.cells)]) + r" \\"


def _tex_cell(cell: Score) -> str:
    if cell.value is None:
        return "--"
    open_ = r"\rlap{$^*$}" if cell.open else ""
    if cell.low is None:
        return number(cell.value) + open_
    return rf"\shortstack[r]{{{number(cell.value)}{open_}\\{{\scriptsize [{cell.low:.2f}, {cell.high:.2f}]}}}}"


# --- terminal ----------------------------------------------------------------------------------------


def show(scores: Scores, console: Console) -> None:
    """A line per model and benchmark: it fits 80 columns, however many benchmarks there are."""
    if scores["columns"]:
        console.print(_by_judge(scores))
    if rows := measures(scores):
        table = columns(["measure"], ["value", "95 % interval", "questions"])
        for model, name, measure, *cells in rows:
            table.add_row(Text(f"{model}  {name}  {measure}"), *cells)
        console.print(table)
    if compared := duels(scores):
        table = columns(["pair"], [*DUELS, "rate"])
        for model, name, against, *cells in compared:
            table.add_row(Text(f"{model}  {name}  against {against}"), *cells)
        console.print(table)
    for line in warnings(scores):
        console.print(Text(line, "yellow"))
    for difference in scores["differences"]:
        if (found := difference["average"]) and found["clear"]:
            better, worse, points, *_ = above(difference)
            told = f"{better} is above {worse} by {points:.2f} on average (p {probability(found['p'])})."
            console.print(Text(told))


def _by_judge(scores: Scores) -> Table:
    table = columns(["benchmark", "model"], ["score", "95 % interval", "zeros", "no score", "pending"])
    made = score_table(scores)
    averages = made.columns[len(scores["columns"]) :]
    for place, name in enumerate([*scores["columns"], *(" · ".join(filter(None, column)) for column in averages)]):
        for line in made.evaluated:
            cell, row = line.cells[place], scores["models"][line.name]["benchmarks"].get(name)
            more = (share(row.get("zero_rate")), f"{row['failed']:,}", f"{row['pending']:,}") if row else ("", "", "")
            value = Text(number(cell.value), "" if row else "bold")
            table.add_row(Text(name), Text(line.name), value, cell.between("{} to {}"), *more)
        printed = [value for line in made.printed if (value := line.cells[place].value) is not None]
        if printed:
            told = f"{min(printed):.2f} to {max(printed):.2f}"
            table.add_row(Text(""), Text("(paper)"), "", told, "", "", "", style="dim")
    return table
