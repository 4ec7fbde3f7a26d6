"""An installed wheel does all that a clone does: every command runs from it, in a folder far from the repository."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

SMALL = ["model.shape.hidden=32", "model.shape.layers=1", "model.shape.heads=2", "model.shape.kv_heads=2"]
FEW_STEPS = ["stage.max_steps=2", "stage.context=64", "stage.batch_size=4", "trainer.micro_batch=4", "tracking=local"]
#: every command once, in the order of the road, with words and something it says
ROAD = {
    "plan": (["train", "experiments=paper_cpt", "plan=true"], "4.60 %"),
    "prepare": (["prepare", "data=sample", "engine.workers=1"], "The books balance"),
    "extend": (["extend", "tokenizer=tiny_base", "data=sample_base", "tokenizer.pieces=400"], "tokenizers/tiny_base"),
    "train": (["train", "experiments=tiny_base", *SMALL, "model.shape.intermediate=64", *FEW_STEPS], "finished: "),
    "audit": (["audit", "run=outputs/tiny_base/runs/*"], "EQUAL: 2 of 2 steps"),
    "export": (["export", "run=outputs/tiny_base/runs/*", "to=models/tiny", "dtype=float32"], "exported: models/tiny"),
    "compare": (["compare", "runs=outputs/tiny_base", "by=seed", "baseline=0"], "report.html"),
    "law": (["law", "points=scores.csv", "budget=9000", "resamples=50"], "Report: outputs/law/scores/report.html"),
    "evaluate": (
        [
            "evaluate",
            "models=models/tiny",
            "evaluation=text",
            "evaluation.text.limit=2",
            "judge=off",
            "generator.template=bailong",
        ],
        "bits per byte",
    ),
    "chat": (["chat", "model=models/tiny", "generator.template=bailong", "sampling.max_new_tokens=2"], ""),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("bailong", "conf", "experiments", "sweeps"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "conf" / "local").mkdir(exist_ok=True)
    (source / "conf" / "local" / "default.yaml").write_text("# this machine's own settings stay on this machine\n")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(built), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip would lay it into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of scores, which the commands fill in turn."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rows = [f"{tag},{size},{100 - a * size**-0.2},{seed}" for tag, a in (("tr", 90), ("vi", 80))
            for seed in (0, 1) for size in (500, 1000, 2000, 4000)]  # fmt: skip
    (folder / "scores.csv").write_text("\n".join(["language,size,score,seed", *rows]))
    return folder


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    listing = ["git", "-C", str(ROOT), "ls-files", "bailong", "conf", "experiments", "sweeps"]
    tracked = subprocess.run(listing, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("no git here: what belongs to the package cannot be told")
    files = [name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()]
    wanted = {name if name.startswith("bailong/") else f"bailong/{name}" for name in files if not name.endswith(".md")}
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wanted <= names, sorted(wanted - names)
    assert not any("conf/local" in name for name in names)


@pytest.mark.parametrize("stretch", ROAD)
def test_every_command_of_the_wheel_runs(stretch: str, site: Path, elsewhere: Path) -> None:
    (command, *words), said = ROAD[stretch]
    # a run's folder is named after its overrides
    words = [f"{key}='{next(elsewhere.glob(path))}'" if "*" in word else word for word in words
             for key, _, path in [word.partition("=")]]  # fmt: skip
    code = f"import sys; sys.argv[0] = 'bailong-{command}'; from bailong import cli; cli.{command}(); import bailong"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(bailong.__file__)", *words],
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"},
        input="你好\n",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr
    assert str(site) in done.stdout.splitlines()[-1], "another bailong than the wheel's was run"


def test_the_road_has_every_command() -> None:
    assert {f"bailong-{words[0]}" for words, _ in ROAD.values()} == set(PROJECT["scripts"])


def test_every_import_is_declared() -> None:
    """A package that only comes along with another one may stop coming."""
    extras = PROJECT["optional-dependencies"].values()
    listed = [*PROJECT["dependencies"], *(words for extra in extras for words in extra)]
    declared = {re.split(r"[\[<>=]", words)[0].lower().replace("_", "-") for words in listed}
    names = packages_distributions()
    undeclared = {}
    for path in (ROOT / "bailong").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for top in {name.split(".")[0] for name in found} - sys.stdlib_module_names - {"bailong"}:
                if not declared & {name.lower().replace("_", "-") for name in names.get(top, [top])}:
                    undeclared[top] = path.relative_to(ROOT).as_posix()
    assert undeclared == {}
