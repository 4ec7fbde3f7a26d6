"""The words and cells that the terminal and the page share, and the CSV."""

import csv
import io
import json
from pathlib import Path

from rich.console import Console

from bailong.compare import table
from bailong.compare.comparison import Comparison, compare_runs
from bailong.compare.runs import read
from tests.compare.folders import write_run, write_sweep

CURVES = {
    "random": [[4.00, 3.0, 2.0], [4.02, 3.0, 2.1]],
    "zip_tie": [[3.50, 2.0, 1.9], [3.51, 2.15, 2.2]],
    "mean": [[6.0, 4.0, 3.0], [6.0, 4.0, 3.0]],
}


def compared(folder: Path) -> Comparison:
    return compare_runs(read([folder]))


def test_csv_has_a_row_a_run(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    folder = sweep / "initializer=mean,seed=1"
    (folder / "result.json").unlink()
    (folder / "error.json").write_text(json.dumps({"type": "RuntimeError", "message": "no memory, sorry"}))
    rows = {row["run"]: row for row in csv.DictReader(io.StringIO(table.csv_text(compared(sweep))))}
    assert len(rows) == 6
    assert {key.replace("tokens_to_", "to_") for key in next(iter(rows.values()))} == set(table.CSV_COLUMNS)
    row = rows["initializer=zip_tie,seed=0"]
    assert (row["initializer"], row["seed"], row["experiment"], row["sweep"]) == (
        "zip_tie",
        "0",
        "tiny",
        "initializers",
    )
    assert (float(row["bpb_step0"]), float(row["bpb_final"])) == (3.5, 1.9)
    assert float(row["auc"]) == (3.5 + 2 * 2.0 + 1.9) / 4
    assert float(row["tokens_to_baseline"]) == 1000
    assert (row["tokens"], row["steps"], row["seconds"]) == ("2000", "20", "63.0")
    assert (row["trainable_share_packed"], row["trainable_share_true"]) == ("0.083", "0.05")
    assert (row["peak_memory_gb"], row["tokens_per_second"]) == ("0.75", "1234.5")
    assert rows["initializer=mean,seed=0"]["tokens_to_baseline"] == "not reached"
    failed = rows["initializer=mean,seed=1"]
    assert (failed["status"], failed["reason"]) == ("failed", "RuntimeError: no memory, sorry")
    assert (failed["bpb_step0"], failed["bpb_final"], failed["tokens_to_baseline"]) == ("6.0", "", "")


def test_terminal_fits_eighty_columns_and_warns(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES, ["initializer=zip_tie,seed=2"])
    write_run(sweep / "initializer=zip_tie,seed=1", CURVES["zip_tie"][1], "zip_tie", 1, result={"data_order": "x"})
    out = io.StringIO()
    table.show(compared(sweep), Console(file=out, width=80))
    text = out.getvalue()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert "Does the initializer matter?" in text
    assert "6 runs: 6 finished; 1 more not started" in text
    assert "not reached" in text
    assert "warning: same data order?" in text


def test_commands_are_the_sweeps_own(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", CURVES)
    write_run(tmp_path / "alone" / "default", [4, 3], "zip_tie", 7, sweep=None)
    assert table.commands(compared(tmp_path)) == [
        "bailong-train sweeps=initializers experiments=tiny",
        "bailong-train experiments=tiny initializer=zip_tie seed=7",
    ]
