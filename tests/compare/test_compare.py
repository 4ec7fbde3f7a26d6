"""`bailong-compare` end to end, its settings, and the notebook that shows the same."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from bailong.app import schema
from bailong.compare.compare import compare
from bailong.compare.settings import Compare
from bailong.run.parse import parse
from tests.compare.folders import write_run, write_sweep
from tests.conftest import ROOT

CURVES = {
    "random": [[4.00, 3.0, 2.0], [4.02, 3.0, 2.1]],
    "zip_tie": [[3.50, 2.0, 1.9], [3.51, 2.1, 2.0]],
}


def composed(*overrides: str) -> Compare:
    schema.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return parse(compose("compare", overrides=list(overrides)))


def test_writes_everything_beside_the_runs(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    out = io.StringIO()
    report = compare(Compare(runs=str(sweep)), Console(file=out, width=100))
    assert report == sweep / "report.html"
    assert {path.name for path in sweep.iterdir() if path.is_file()} == {
        "sweep.json",
        "report.html",
        "runs.csv",
        "curves.svg",
        "curves.png",
        "verdict.tex",
        "verdict.svg",
        "verdict.pdf",
    }
    assert (sweep / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert f"Report: {report}" in out.getvalue()
    before = {path: path.read_bytes() for path in sweep.iterdir() if path.is_file()}
    compare(Compare(runs=str(sweep)), Console(file=io.StringIO()))
    assert before == {path: path.read_bytes() for path in sweep.iterdir() if path.is_file()}


def test_to_another_folder(tmp_path: Path) -> None:
    write_sweep(tmp_path / "runs", CURVES)
    settings = Compare(runs=[str(tmp_path / "runs")], to=str(tmp_path / "new" / "report"))
    assert compare(settings, Console(file=io.StringIO())).parent == tmp_path / "new" / "report"
    assert not (tmp_path / "runs" / "report.html").exists()


def test_settings_take_a_folder_or_a_list() -> None:
    assert composed("runs=outputs/tiny/initializers").runs == ["outputs/tiny/initializers"]
    assert composed("runs=[a,b]").runs == ["a", "b"]
    assert composed("runs='a/initializer=mean,seed=0'").runs == ["a/initializer=mean,seed=0"]
    assert composed("runs=a", "by=adapter.rank", "baseline=64").baseline == "64"
    for bad in ("runs=[]", "runs=3", "runs=null"):
        with pytest.raises(ValueError, match="must be a folder or a list of folders"):
            composed(bad)
    with pytest.raises(ValueError, match="runs has no value"):
        composed()


def test_imports_no_torch(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    program = (
        "import sys\n"
        "from bailong.compare.compare import compare\n"
        "from bailong.compare.settings import Compare\n"
        f"compare(Compare(runs={str(sweep)!r}))\n"
        "heavy = {'torch', 'transformers', 'lightning', 'pandas', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = "from bailong.cli import compare; compare()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, env=environment
    )


def test_the_command(tmp_path: Path) -> None:
    write_sweep(tmp_path / "outputs" / "tiny" / "initializers", CURVES)
    done = command("runs=outputs/tiny/initializers", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Report: outputs/tiny/initializers/report.html" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"], "Hydra leaves nothing behind"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["runs=nowhere"], "error: runs=nowhere is not accepted"),
        (["runs=empty"], "error: runs=empty holds no run that can be read"),
        (["runs=good", "by=initialiser.name"], "did you mean initializer.name?"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "good", [4, 3])
    done = command(*words, folder=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_notebook_draws_figure_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    path = ROOT / "notebooks" / "figure1.ipynb"
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code), "outputs are stripped"
    monkeypatch.setenv("BAILONG_RUNS", str(write_sweep(tmp_path / "runs", CURVES)))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    # The kernel of this environment, whatever is installed for the user.
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "test", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    compare(Compare(runs=str(tmp_path / "runs")), Console(file=io.StringIO()))
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [output.data for cell in code for output in cell.outputs if "data" in output]
    assert any("Evaluation loss" in data.get("image/svg+xml", "") for data in shown)
    table = next(html for data in shown if "Difference to random" in (html := data.get("text/html", "")))
    there = (tmp_path / "runs" / "report.html").read_text()
    told = re.sub(
        r"<section[^>]*>(?:(?!</section>).)*Verdict: .*?</section>", "", there, flags=re.S
    )  # is the page's alone
    marked = [re.findall(r"<td[^>]*>(?:<b>.*?</b>)</td><td[^>]*>.*?</td>", text) for text in (table, told)]
    assert marked[0] and marked[0] == marked[1], "the same numbers are bold, with the same intervals"
    assert table.count("<circle") == there.count("<circle"), "the same intervals are drawn"
    used, given = (set(re.findall(p, table)) for p in (r"var\((--\w+)", r"(--\w+):"))
    assert used <= given, "every colour is there"
    assert used - {"--grid"} <= set(re.findall(r"var\((--\w+), #", table)), "also where the notebook keeps no style"
    selectors = re.findall(r"^\s*([^@\n{}]*\S)\s*\{", table.split("<style>")[1].split("</style>")[0], re.M)
    assert all(".bailong" in part for rule in selectors for part in rule.split(",")), "nothing outside is touched"


def test_keys_and_baselines_as_they_are_typed() -> None:
    assert composed("runs=a", "by=[initializer,seed]", "baseline=[random,0]").by == ["initializer", "seed"]
    assert composed("runs=a", "by=[adapter.rank]", "baseline=64").by == "adapter.rank"
    assert composed("runs=a", "by=adapter.rank", "baseline=64").baseline == "64"
    for wrong in ("by=[]", "by=[seed,seed]", "by={a: 1}", "by=null"):
        with pytest.raises(ValueError, match="^by=.* is not accepted"):
            composed("runs=a", wrong)


def test_the_page_tells_the_command_of_several_keys(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, CURVES)
    report = compare(Compare(runs=str(sweep), by=["initializer", "seed"]), Console(file=io.StringIO(), width=100))
    assert "by=[initializer,seed]" in report.read_text() and "random, 0" in report.read_text()
