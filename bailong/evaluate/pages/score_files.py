"""Table 6 as `table.md`, `table.csv`, `table.tex`, and in the terminal."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bailong.evaluate.groups import ACCURACY
from bailong.evaluate.pages import alignment_figure, language_matrix, score_table, score_words, translation_table
from bailong.evaluate.pages.choice_table import choice_tables, title
from bailong.evaluate.pages.score_table import (
    DUELS,
    RULINGS,
    Score,
    Scores,
    ScoreTable,
    TableRow,
    languages_of,
    number,
    share,
)
from bailong.evaluate.pages.translation_table import DIFFERENCES, translation_tables, translations
from bailong.report.terminal import columns
from bailong.report.units import NONE

#: columns of table.csv for the means of `judged`
MEANS = {
    "mean": "judge_mean",
    "failures as 0": "failures_as_zero",
    "language as 0": "language_as_zero",
    "traces as 0": "traces_as_zero",
}
#: of differences in multiple choice
CHOICES = ["points", "95 % interval", "p", "questions"]
#: of answers that are one text
SAME = ["same answer", "of"]
PAPER_AVERAGE = "average of the columns of Table 6"
#: of a cell whose benchmark is not finished
OPEN = "*"
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


# --- table.md ----------------------------------------------------------------------------------------


def markdown(scores: Scores) -> str:
    """Findings, the table, what the judge's failures and zeros did to it, the metrics, and how to read it all."""
    made = score_table.score_table(scores)
    found = [f"- **{_md(line)}**" for line in score_words.findings(scores)]
    parts = ["\n".join(found)] if found else []
    if made.columns:
        parts += [_md_scores(scores, "model", made), _failures(scores)]
    parts += [_md_scores(scores, title(scores, name), table) for name, table in choice_tables(scores).items()]
    parts += [_md_scores(scores, named, table) for named, table in translation_tables(scores).items()]
    measures = score_table.measures(scores, groups=False)
    if measured := [[_md(model), _md(name), *figures] for model, name, *figures in measures]:
        parts.append(_md_table(["model", "benchmark", "measure", "value", "95 % interval", "questions"], measured))
    if apart := [[*map(_md, row[:3]), *row[3:]] for row in score_table.choices(scores)]:
        parts.append(_md_table(["first − second", "benchmark", "group", *CHOICES], apart))
    if apart := [[*map(_md, row[:3]), *row[3:]] for row in translation_table.differences(scores)]:
        parts.append(_md_table(["first − second", "benchmark", "measure", *DIFFERENCES], apart))
    for page, of in ((language_matrix, "answers in the language asked for"), (alignment_figure, "retrieval@1")):
        if apart := [[*map(_md, row[:2]), *row[2:]] for row in page.differences(scores)]:
            parts.append(_md_table([f"first − second, {of}", "benchmark", *page.DIFFERENCE], apart))
    if alike := [[*map(_md, row[:2]), *row[2:]] for row in score_table.sames(scores)]:
        parts.append(_md_table(["models", "benchmark", *SAME], alike))
    if parted := [list(map(_md, row)) for row in score_table.partings(scores)]:
        parts.append(_md_table(["models", "question", "the one", "the other"], parted))
    if compared := [[*map(_md, row[:3]), *row[3:]] for row in score_table.duels(scores)]:
        parts.append(_md_table(["model", "benchmark", "against", *DUELS, "rate"], compared))
    lines = [f"- {_md(line)}" for line in [*score_words.warnings(scores), *score_words.notes(scores)]]
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def _md_scores(scores: Scores, what: str, made: ScoreTable) -> str:
    """A table with a row for each model, evaluated or printed."""
    sized = score_table.sized(scores)
    head = [_md(what), *(["parameters"] if sized else [])]
    head += [f"{name} ({note})" if note and note != name else name for name, note in made.columns]
    rows = []
    for row in made.rows:
        name = f"*{_md(row.name)}* (paper)" if row.printed else f"**{_md(row.name)}**"
        size = [sized.get(row.name, NONE) if not row.printed else NONE] if sized else []
        rows.append([name, *size, *map(_md_cell, row.cells)])
    return _md_table(head, rows)


def _failures(scores: Scores) -> str:
    """Every status of every benchmark, and the means that count otherwise."""
    found = score_table.judged(scores)
    head = ["model", "benchmark", "questions", "pending", "zero rate", "traces", *scores["statuses"], "no answer"]
    rows = [
        [
            _md(one.model),
            _md(one.benchmark),
            f"{one.questions:,}",
            f"{one.pending:,}",
            share(one.zero_rate),
            share(one.trace_rate),
        ]
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
        return cell.between("{} to {}") or NONE
    return number(cell.value) + (f"\\{OPEN}" if cell.open else "") + cell.between(" [{}, {}]")


def _md(text: str) -> str:
    """Text that Markdown leaves alone."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|" else sign for sign in text.replace("\n", " "))


# --- table.csv ---------------------------------------------------------------------------------------


def csv_text(scores: Scores) -> str:
    """A row per model and benchmark, with every number there is; the paper's rows are `printed`."""
    statuses = scores["statuses"]
    head = ["model", "origin", "parameters", "benchmark", "paper_column", "metric", "scale", "questions"]
    head += ["pending", "scored"]
    head += ["score", "low", "high", *MEANS.values(), "zero_rate"]
    head += [*(f"verdicts_{status}" for status in statuses), "no_answer"]
    head += [*(f"answers_{label}" for label in languages_of(scores)), *(f"rule_{ruling}" for ruling in RULINGS)]
    head += ["traced", "traced_of", "trace_characters"]
    every = [row for of in scores["models"].values() for row in of["benchmarks"].values()]
    head += [*dict.fromkeys(measure for row in every for measure in row["measures"]), "bits_per_byte"]
    head += list(dict.fromkeys(column for row in every for column in translation_table.figures(row)))
    behind = {(one.model, one.benchmark): one for one in score_table.judged(scores)}
    out = io.StringIO()
    writer = csv.DictWriter(out, head, restval="", lineterminator="\n")
    writer.writeheader()
    for model, of in scores["models"].items():
        mine = {"model": _csv(model), "origin": "evaluated", "parameters": score_table.sizes(scores)[model]}
        for name, row in of["benchmarks"].items():
            about, labels, rulings = scores["benchmarks"][name], row["language"]["labels"], row["language"]["rulings"]
            shown: dict[str, Any] = mine | {"benchmark": _csv(name)}
            shown |= {"paper_column": about["paper"], "metric": about["metric"]}
            shown |= {"scale": _scale(about.get("scale")), "questions": row["questions"], "pending": row["pending"]}
            if one := behind.get((model, name)):
                shown |= _interval(row["headline"]) | {"zero_rate": one.zero_rate, "no_answer": one.no_answer}
                shown |= {MEANS[label]: mean for label, mean in one.means.items()}
                shown |= {f"verdicts_{status}": count for status, count in one.verdicts.items()}
            shown |= {f"answers_{label}": labels.get(label, 0) for label in languages_of(scores)}
            shown |= {f"rule_{ruling}": rulings.get(ruling, 0) for ruling in RULINGS}
            looked, traced, characters = score_table.traces([row])
            shown |= {"traced": traced, "traced_of": looked, "trace_characters": characters}
            shown |= {measure: found["mean"] for measure, found in row["measures"].items()}
            shown["bits_per_byte"] = of["measured"].get(name, {}).get("bits_per_byte", "")
            writer.writerow(shown | translation_table.figures(row))
        for label, key in (("average", "average"), (PAPER_AVERAGE, "paper_average")):
            if found := of[key]:
                writer.writerow(mine | {"benchmark": label} | _interval(found))
    for table in scores["printed"]:
        for model, row in table["rows"].items():
            mine = {"model": model, "origin": "printed"}
            writer.writerows(mine | figure for figure in _figures(table, row))
    return out.getvalue()


def _figures(table: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The figures of a printed row: of a span its ends, of multiple choice the accuracy of each group in [0, 1]."""
    for column, score in zip(table["columns"], row.get("scores", ()), strict="scores" in row):
        figure = {"low": score[0], "high": score[1]} if isinstance(score, list) else {"score": score}
        if score is not None:
            yield {"benchmark": column, "paper_column": column, "metric": "judge"} | figure
    named = table.get("groups", ()), table.get("questions", ()), row.get("groups", ())
    for group, size, value in zip(*named, strict=True):
        (column,) = table["columns"]
        shown = {"benchmark": f"{column}, {group}", "paper_column": column, "metric": "likelihood"}
        yield shown | {"questions": size, ACCURACY: round(value / 100, 6)}
    if "average" in row:
        yield {"benchmark": PAPER_AVERAGE, "score": row["average"]}


def _scale(scale: Sequence[int] | None) -> str:
    return f"{scale[0]} to {scale[1]}" if scale else ""


def _interval(found: dict[str, Any] | None) -> dict[str, Any]:
    found = found or {"n": 0}
    return {"scored": found["n"], "score": found.get("mean"), "low": found.get("low"), "high": found.get("high")}


def _csv(text: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text


# --- table.tex ---------------------------------------------------------------------------------------


def latex(scores: Scores) -> str:
    """Tables for `\\input`: of the judge's scores, of each benchmark of multiple choice, and of each measure of
    translations; they need booktabs."""
    made = score_table.score_table(scores)
    tables = {"": made} if made.columns else {}
    tables |= {f"{title(scores, name)}. ": table for name, table in choice_tables(scores).items()}
    tables |= {f"{named}. ": table for named, table in translation_tables(scores).items()}
    if not tables:
        return "% no benchmark was judged, and none is of multiple choice or of translations\n"
    lines = [*score_words.findings(scores), *score_words.notes(scores), *score_words.warnings(scores)]
    drawn = [_tex_table(scores, table, [about, *lines]) for about, table in tables.items()]
    return "% written by bailong-evaluate; needs \\usepackage{booktabs}\n" + "\n".join(drawn)


def _tex_table(scores: Scores, made: ScoreTable, lines: list[str]) -> str:
    sized = score_table.sized(scores)
    head = ["model", *(["parameters"] if sized else [])]
    head += [
        rf"\shortstack{{{tex(name)}\\{{\scriptsize {tex(note)}}}}}" if note else tex(name)
        for name, note in made.columns
    ]
    body = [_tex_row(row, sized) for row in made.evaluated]
    for source, rows in made.sources.items():
        body.append(rf"\midrule \multicolumn{{{len(head)}}}{{l}}{{\footnotesize {tex(source)}:}}\\")
        body += [_tex_row(row, dict.fromkeys([row.name], "--") if sized else {}) for row in rows]
    caption = " ".join(filter(None, map(tex, lines)))
    return (
        "\\begin{table}\n\\centering\n"
        f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}\n\\toprule\n"
        + " & ".join(head)
        + " \\\\\n\\midrule\n"
        + "\n".join(body)
        + f"\n\\bottomrule\n\\end{{tabular}}\n\\caption{{{caption}}}\n\\end{{table}}\n"
    )


def tex(text: str) -> str:
    return "".join(TEX.get(sign, sign) for sign in text.replace("\n", " "))


def _tex_row(row: TableRow, sized: Mapping[str, str]) -> str:
    size = [tex(sized[row.name])] if sized else []
    return " & ".join([tex(row.name), *size, *map(_tex_cell, row.cells)]) + r" \\"


def _tex_cell(cell: Score) -> str:
    if cell.value is None:
        return cell.between("{} to {}") or "--"
    open_ = r"\rlap{$^*$}" if cell.open else ""
    if cell.low is None:
        return number(cell.value) + open_
    return rf"\shortstack[r]{{{number(cell.value)}{open_}\\{{\scriptsize [{cell.low:.2f}, {cell.high:.2f}]}}}}"


# --- terminal ----------------------------------------------------------------------------------------


def show(scores: Scores, console: Console) -> None:
    """Findings, then a line per model and benchmark: it fits 80 columns, however many benchmarks there are."""
    for line in score_words.findings(scores):
        console.print(Text(line, "bold red"))
    if scores["columns"]:
        console.print(_by_judge(scores))
    same = [[pair, name, "", *cells] for pair, name, *cells in score_table.sames(scores)]
    pairs = [[model, name, f"against {against}", *cells] for model, name, against, *cells in score_table.duels(scores)]
    for what, numbers, rows in (
        ("measure", ["value", "95 % interval", "questions"], score_table.measures(scores)),
        ("difference in accuracy", CHOICES, score_table.choices(scores)),
        ("translations", ["score", "95 % interval", "sentences"], translations(scores)),
        ("difference of translations", DIFFERENCES, translation_table.differences(scores)),
        ("answers", SAME, same),
        ("pair", [*DUELS, "rate"], pairs),
    ):
        if rows:
            table = columns([what], numbers)
            for row in rows:
                table.add_row(Text("  ".join(row[:3])), *row[3:])
            console.print(table)
    for line in score_words.of_translations(scores):
        console.print(Text(line, "dim"))
    for line in language_matrix.lines(scores):
        console.print(Text(line))
    for line in score_words.warnings(scores):
        console.print(Text(line, "yellow"))
    for difference in scores["differences"]:
        if (found := difference["average"]) and found["clear"]:
            better, worse, points, *_ = score_table.above(difference)
            by = f"{points:.2f} on average over {score_table.shared(found)}"
            told = f"{better} is above {worse} by {by} (p {score_table.probability(found['p'])})."
            console.print(Text(told))


def _by_judge(scores: Scores) -> Table:
    table = columns(["benchmark", "model"], ["score", "95 % interval", "zeros", "traces", "no score", "pending"])
    made = score_table.score_table(scores)
    averages = made.columns[len(scores["columns"]) :]
    for place, name in enumerate([*scores["columns"], *(" · ".join(filter(None, column)) for column in averages)]):
        for line in made.evaluated:
            cell, row = line.cells[place], scores["models"][line.name]["benchmarks"].get(name)
            more = ("", "", "", "")
            if row:
                looked, traced, _ = score_table.traces([row])
                more = (share(row.get("zero_rate")), share(traced / looked if looked else None))
                more += (f"{row['failed']:,}", f"{row['pending']:,}")
            value = Text(number(cell.value), "" if row else "bold")
            table.add_row(Text(name), Text(line.name), value, cell.between("{} to {}"), *more)
        cells = [line.cells[place] for line in made.printed]
        printed = [end for cell in cells for end in (cell.value, cell.low, cell.high) if end is not None]
        if printed:
            told = f"{min(printed):.2f} to {max(printed):.2f}"
            table.add_row(Text(""), Text("(paper)"), "", told, "", "", "", "", style="dim")
    return table
