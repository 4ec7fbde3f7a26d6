"""Recipe of `bailong-compare`: run folders to a table, curves and one HTML file. Imports no torch."""

from pathlib import Path

from rich.console import Console

from bailong.compare import curves, page, runs, table
from bailong.compare.comparison import compare_runs
from bailong.compare.settings import Compare
from bailong.run.files import write


def compare(settings: Compare, console: Console | None = None) -> Path:
    """Compare the runs, print the table, and write `report.html`, `runs.csv`, `curves.svg` and `curves.png`.

    Returns:
        The path of `report.html`.

    Raises:
        ValueError: no run can be read, or the compared key is in none of them.
    """
    console = console or Console()
    comparison = compare_runs(runs.read(settings.runs), settings.by, settings.baseline)
    to = Path(settings.to or settings.runs[0])
    to.mkdir(parents=True, exist_ok=True)
    table.show(comparison, console)
    figure = curves.figure1(comparison)
    write(to / "runs.csv", table.csv_text(comparison))
    write(to / "curves.svg", curves.svg(figure))
    write(to / "curves.png", curves.png(figure))
    write(to / "report.html", page.page(comparison, settings, to))
    console.print(f"Report: {to / 'report.html'}", style="bold", soft_wrap=True, highlight=False)
    return to / "report.html"
