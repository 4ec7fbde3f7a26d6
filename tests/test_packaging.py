"""An installed wheel finds its config, its experiments and its sample without the repository."""

import os
import shutil
import subprocess
import sys
import zipfile

from tests.conftest import ROOT


def test_a_wheel_plans_the_papers_run_from_an_empty_folder(tmp_path):
    source, empty = tmp_path / "source", tmp_path / "empty"
    empty.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("bailong", "conf", "experiments", "sweeps"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    (source / "conf" / "local").mkdir(exist_ok=True)
    (source / "conf" / "local" / "default.yaml").write_text("# this machine's own settings stay on this machine\n")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), str(source)]
    built = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert not any("conf/local" in name for name in names)
    assert {"bailong/data/sample/corpus.jsonl", "bailong/report/page.css", "bailong/report/page.js"} <= set(names)

    words = ["bailong-train", "experiments=paper_cpt", "plan=true"]
    code = f"import sys; sys.argv = {words}; from bailong import cli; cli.train()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "4.60 %" in done.stdout, done.stderr
