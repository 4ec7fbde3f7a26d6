"""Everything that people look at after an evaluation, from the files in its folder alone."""

from __future__ import annotations

from pathlib import Path

from bailong.report import score_files, score_page
from bailong.report.scores import read, replace


def write(to: Path) -> Path:
    """Write `table.md`, `table.csv`, `table.tex` and `report.html` beside `scores.json`.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: there are no scores in `to`.
    """
    scores = read(to)
    replace(to / "table.md", score_files.markdown(scores))
    replace(to / "table.csv", score_files.csv_text(scores))
    replace(to / "table.tex", score_files.latex(scores))
    replace(to / "report.html", score_page.page(scores, to))
    return to / "report.html"
