"""The tables: the paper's rows stand apart, and no number stands in a column that is not its own."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from bailong.evaluate.pages import score_files, score_report
from bailong.evaluate.pages.score_table import read, score_table
from bailong.evaluate.pages.score_words import notes, warnings
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from tests.evaluate.pages.evaluations import ANSWERS, answer, evaluation, questions, verdict, write

COLUMNS = ["FGC", "IMDB-TC", "DRCD", "Xsum-TC", "TTQA", "MT-bench", "Bailong-bench"]


def table6(to: Path, columns: list[str] = COLUMNS, pending: bool = False, name: str = "mine") -> dict:
    """An evaluation with one question for each of the columns of Table 6."""
    benchmarks = {}
    for column in columns:
        of = column.lower().replace("-", "_")
        (item,) = questions(of, 1)
        benchmarks[of] = Benchmark(name=of, path="x", shape="summary", template="single", paper=column)
        write(to / "items" / f"{of}.jsonl", [item.row()])
    items = [questions(of, 1)[0] for of in benchmarks]
    write(to / name / "answers.jsonl", [answer(item, [ANSWERS["traditional"]]) for item in items])
    write(to / name / "verdicts.jsonl", [verdict(item, 7.0) for item in items[pending:]])
    return collect(to, [name], benchmarks, resamples=50)


def test_all_seven_columns_give_table_6_as_printed(tmp_path: Path) -> None:
    made = score_table(table6(tmp_path))
    assert [note or name for name, note in made.columns] == [*COLUMNS, "Avg"]
    printed = {line.name: [cell.value for cell in line.cells] for line in made.rows if line.printed}
    assert len(printed) == 7
    assert printed["Bailong-instruct-7B"] == [6.66, 5.53, 5.56, 5.22, 1.98, 2.32, 9.35, 5.23]
    assert printed["Gemma-7B-it"][-1] == 1.27
    assert [cell.value for cell in made.rows[0].cells] == [7.0] * 8
    assert not made.rows[0].printed


def test_fewer_columns_average_over_the_same_ones(tmp_path: Path) -> None:
    made = score_table(table6(tmp_path, ["TTQA", "Bailong-bench"]))
    assert made.columns[-1] == ("Avg", "of 2")
    printed = {line.name: line.cells[-1].value for line in made.rows if line.printed}
    assert printed["Bailong-instruct-7B"] == pytest.approx((1.98 + 9.35) / 2, abs=0.006)


def test_the_stand_in_never_stands_in_the_column_of_bailong_bench(tmp_path: Path) -> None:
    scores = evaluation(tmp_path)
    made = score_table(scores)
    assert made.columns[0] == ("standin_bench", "not in Table 6")
    assert [column for column in made.columns if "Bailong-bench" in column] == []
    for line in made.rows:
        if line.printed:
            assert line.cells[0].value is None and line.cells[2].value is None, "no average over a column it lacks"
            assert line.cells[3].value == line.cells[1].value
    assert any("standin_bench: no column of Table 6" in note for note in notes(scores))


def test_without_a_column_of_the_paper_there_are_no_rows_of_it(tmp_path: Path) -> None:
    scores = table6(tmp_path)
    scores["paper_columns"] = scores["printed"] = []
    assert all(not line.printed for line in score_table(scores).rows)
    assert "2404.00862" not in score_files.markdown(scores)


def test_warnings_name_every_failure(tmp_path: Path) -> None:
    told = " ".join(warnings(evaluation(tmp_path)))
    for status in ("api_error 1 (429 1)", "parse_error 1", "truncated 1", "out_of_range 1"):
        assert status in told
    assert "points from the judge" in told
    assert "1 of 7 questions are not answered or not judged" in " ".join(warnings(table6(tmp_path / "x", pending=True)))


def test_several_judges_are_never_one(tmp_path: Path) -> None:
    scores = table6(tmp_path)
    scores["models"]["mine"]["judges"].append({"model": "another", "fingerprint": None, "verdicts": 1})
    assert "several judges" in warnings(scores)[0]
    scores["models"]["theirs"] = {
        **scores["models"]["mine"],
        "judges": [{"model": "c", "fingerprint": "", "verdicts": 1}],
    }
    scores["models"]["mine"]["judges"].pop()
    assert "not judged by one judge: c, judge-2026-11-01" in warnings(scores)[0]


def test_markdown_is_a_table(tmp_path: Path) -> None:
    text = score_files.markdown(evaluation(tmp_path, models=("a|b", "*c*")))
    for block in text.split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert r"**a\|b**" in text and r"**\*c\***" in text
    assert "*Gemma-7B-it* (paper)" in text and "api_error" in text


def test_csv_holds_every_number_and_no_formula(tmp_path: Path) -> None:
    scores = evaluation(tmp_path, models=("=cmd", "b"))
    rows = list(csv.DictReader(io.StringIO(score_files.csv_text(scores))))
    found = {(row["model"], row["benchmark"]): row for row in rows}
    mine = found["'=cmd", "standin_bench"]
    assert float(mine["score"]) == scores["models"]["=cmd"]["benchmarks"]["standin_bench"]["mean"]["mean"]
    assert (mine["verdicts_api_error"], mine["pending"], mine["paper_column"]) == ("1", "0", "")
    assert found["b", "text"]["bits_per_byte"] == "2.234" and found["b", "text"]["score"] == ""
    assert found["Gemma-7B-it", "TTQA"]["origin"] == "printed" and found["Gemma-7B-it", "TTQA"]["score"] == "0.77"


def test_latex_is_escaped_and_balanced(tmp_path: Path) -> None:
    text = score_files.latex(evaluation(tmp_path, models=("100%_$#&{~^\\", "b")))
    assert r"100\%\_\$\#\&\{\textasciitilde{}\textasciicircum{}\textbackslash{}" in text
    bare = re.sub(r"\\[{}]", "", text.replace("\\\\", ""))
    assert bare.count("{") == bare.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def test_the_terminal_says_it_in_80_columns(tmp_path: Path) -> None:
    out = io.StringIO()
    score_files.show(evaluation(tmp_path), Console(file=out, width=80))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "5.81 5.28 to 6.32" in re.sub(r"5\.2\d to 6\.3\d", "5.28 to 6.32", text)
    assert "is above llama-tiny by" in text and "(paper) 0.50 to 7.23" in text


def test_traces_of_simplified_chinese_are_a_column_everywhere(tmp_path: Path) -> None:
    three = questions("drcd", 3)
    drcd = Benchmark(name="drcd", path="x", shape="squad", template="single", paper="DRCD")
    texts = ["這是臺灣的歷史，其中经历許多變遷。", "這門學問研究選擇，发展很快。", ANSWERS["traditional"]]
    write(tmp_path / "items" / "drcd.jsonl", [item.row() for item in three])
    answers = [answer(item, [text]) for item, text in zip(three, texts, strict=True)]
    write(tmp_path / "m" / "answers.jsonl", answers)
    write(tmp_path / "m" / "verdicts.jsonl", [verdict(item, 6.0) for item in three])
    for enforce, mean in (("flag", 6.0), ("strict", 2.0)):
        scores = collect(tmp_path, ["m"], {"drcd": drcd}, resamples=50, enforce=enforce)
        report = score_report.write(tmp_path).read_text(encoding="utf-8")
        assert scores["models"]["m"]["benchmarks"]["drcd"]["headline"]["mean"] == mean
        (said,) = (line for line in warnings(scores) if "trace" in line)
        assert said.startswith(
            "m: 2 of 3 answers in Traditional Chinese (66.7%) hold a trace of Simplified Chinese, 1.5 "
        )
        assert said.endswith("; they count as 0 here.") == (enforce == "strict")
    out = io.StringIO()
    score_files.show(scores, Console(file=out, width=80))
    assert re.search(r"traces", out.getvalue()) and "66.7%" in out.getvalue()
    assert "| traces |" in score_files.markdown(scores) and "traces as 0" in score_files.markdown(scores)
    (row, *_) = csv.DictReader(io.StringIO(score_files.csv_text(scores)))
    assert (row["traced"], row["traced_of"], row["trace_characters"], row["traces_as_zero"]) == ("2", "3", "3", "2.0")
    assert ">a trace</th>" in report and "a trace of Simplified Chinese: 发 (" in report


def test_scores_of_before_traces_are_read(tmp_path: Path) -> None:
    scores = evaluation(tmp_path)
    for of in scores["models"].values():
        for row in of["benchmarks"].values():
            row["language"].pop("traces")
            row.pop("traces_as_zero", None)
    (tmp_path / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    outcomes = tmp_path / "bailong-tiny" / "outcomes.jsonl"
    rows = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines()]
    write(outcomes, [{name: value for name, value in row.items() if name != "trace"} for row in rows])
    assert score_report.write(tmp_path).is_file()


def test_all_files_are_written_from_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"scores.json cannot be read"):
        score_report.write(tmp_path)
    evaluation(tmp_path)
    assert score_report.write(tmp_path) == tmp_path / "report.html"
    first = {name: (tmp_path / name).read_bytes() for name in ("table.md", "table.csv", "table.tex", "report.html")}
    score_report.write(tmp_path)
    assert all((tmp_path / name).read_bytes() == content for name, content in first.items())
    assert read(tmp_path)["version"] == 1


def test_a_difference_says_how_many_questions_it_rests_on(tmp_path: Path) -> None:
    """One model has an answer to 12 questions, the other to 7 of them: the second mean is of fewer questions."""
    items, bench = questions("b", 12), Benchmark(name="b", path="x", shape="summary", template="single")
    write(tmp_path / "items" / "b.jsonl", [item.row() for item in items])
    for name, count, score in (("x", 12, 8.0), ("y", 7, 6.0), ("z", 1, 6.0)):
        write(tmp_path / name / "answers.jsonl", [answer(item, [ANSWERS["traditional"]]) for item in items[:count]])
        write(tmp_path / name / "verdicts.jsonl", [verdict(item, score) for item in items[:count]])
    collect(tmp_path, ["x", "y", "z"], {"b": bench}, resamples=50)
    out = io.StringIO()
    score_files.show(read(tmp_path), Console(file=out, width=80))
    page = score_report.write(tmp_path).read_text(encoding="utf-8")
    assert "x is above y by 2.00 on average over 7 shared questions" in " ".join(out.getvalue().split())
    assert "on average over 7 shared questions." in page and ">n 7<" in page
    assert "cannot be told apart on 1 shared question." in page and ">n 1<" in page
