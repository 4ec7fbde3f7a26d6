"""Everything that people look at after an evaluation, from the files in its folder alone."""

from pathlib import Path

from bailong.evaluate.pages import alignment_figure, language_matrix, score_files, score_page
from bailong.evaluate.pages.score_table import read
from bailong.report import plot
from bailong.run import files


def write(to: Path) -> Path:
    """Write `table.md`, `table.csv`, `table.tex`, `report.html` and the drawings that there are beside `scores.json`.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: there are no scores in `to`.
    """
    scores = read(to)
    # half a surrogate pair of an answer is no text
    files.write(to / "table.md", score_files.markdown(scores), "replace")
    files.write(to / "table.csv", score_files.csv_text(scores), "replace")
    files.write(to / "table.tex", score_files.latex(scores), "replace")
    for name, drawn in (
        ("representation.svg", alignment_figure.drawing(scores)),
        ("response_language.svg", language_matrix.drawing(scores)),
    ):
        if drawn:
            files.write(to / name, plot.alone(drawn), "replace")
        else:
            (to / name).unlink(missing_ok=True)
    files.write(to / "report.html", score_page.page(scores, to), "replace")
    return to / "report.html"
