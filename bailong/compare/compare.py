"""Recipe of `bailong-compare`: run folders to a table, curves and one HTML file. Imports no torch."""

from pathlib import Path

from rich.console import Console

from bailong.compare import curves, page, runs, table
from bailong.compare.comparison import compare_runs
from bailong.compare.settings import Compare
from bailong.compare.verdict import judge, paper, shown
from bailong.run.files import write


def compare(settings: Compare, console: Console | None = None) -> Path:
    """Compare the runs, print the table, and write `report.html`, `runs.csv`, `curves.svg`, `curves.png`, and for a
    paper `verdict.tex`, `verdict.svg` and `verdict.pdf`.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: no run can be read, or the compared key is in none of them.
    """
    console = console or Console()
    comparison = compare_runs(runs.read(settings.runs), settings.by, settings.baseline)
    to = Path(settings.to or settings.runs[0])
    to.mkdir(parents=True, exist_ok=True)
    found = judge.verdicts(comparison, settings.probes)
    table.show(comparison, console)
    if settings.show_probes:
        shown.show(found, console)
    figure = curves.figure1(comparison)
    write(
        to / "runs.csv",
        table.csv_text(comparison, {name: row for verdict in found for name, row in verdict.values.items()}),
    )
    write(to / "curves.svg", curves.svg(figure))
    write(to / "curves.png", curves.png(figure))
    drawing = paper.figure(found)
    write(to / "verdict.tex", paper.tex(found))
    write(to / "verdict.svg", curves.svg(drawing))
    write(to / "verdict.pdf", curves.pdf(drawing))
    write(to / "report.html", page.page(comparison, settings, to, [shown.on_page(verdict) for verdict in found]))
    console.print(f"Report: {to / 'report.html'}", style="bold", soft_wrap=True, highlight=False)
    return to / "report.html"
