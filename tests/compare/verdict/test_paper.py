"""The table for a paper as LaTeX text, and the section of the page."""

from pathlib import Path

from bailong.compare.comparison import compare_runs
from bailong.compare.runs import read
from bailong.compare.verdict import paper, shown
from bailong.compare.verdict.judge import verdicts
from tests.compare.folders import config, write_run


def judged(folder: Path):
    for tie, shift in (("input", 0.0), ("none", 1.0)):
        for name, drop in (("random", 0.0), ("my_rows", 0.5)):
            settings = config(name, model__tie=tie)
            bpb = [4 + shift - drop, 3 + shift - drop]
            (write_run(folder / f"{name}-{tie}", bpb, settings=settings) / "train.log").unlink()
    return verdicts(compare_runs(read([folder])), (0.5,))


def test_the_table_has_a_block_for_each_tie(tmp_path: Path) -> None:
    lines = paper.tex(judged(tmp_path)).splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    heads = rows[0].count("&")
    assert [row.split(" & ")[0] for row in rows if "&" in row] == [
        "initializer",
        "random",
        r"my\_rows",
        "random",
        r"my\_rows",
    ]
    assert all(row.count("&") == heads for row in rows if "&" in row)
    assert sum("multicolumn" in row for row in rows) == 2 and lines.count(r"\midrule") == 2
    assert rows[2].startswith("random & 1 & 4.000 & --") and "–" not in "".join(lines)


def test_names_are_escaped() -> None:
    assert paper.escaped(r"a_b & 5% {c} \d −1") == r"a\_b \& 5\% \{c\} \textbackslash{}d $-$1"


def test_the_page_names_the_block(tmp_path: Path) -> None:
    section = shown.on_page(judged(tmp_path)[1])
    assert "embedding and head untied" in section and "fewer than 4 choices" in section
