"""The benchmark of initializers on a GPU: its order, its clock, and all of it at a tiny shape on the CPU."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose

from bailong.app import launcher
from bailong.run.parse import parse
from tests.conftest import ROOT
from tests.test_presets import hydra_at_conf

SCRIPT = ROOT / "benchmarks" / "gpu_bench_init.sh"


def bench_init(*arguments, cwd, first=Path(sys.executable).parent, **environment):
    """The script, which finds its commands in `first`."""
    given = {name: value for name, value in os.environ.items() if name != "BAILONG_DATA"}
    given |= {"PATH": f"{first}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([SCRIPT, *arguments], cwd=cwd, env=given, capture_output=True, text=True, timeout=900)


def listed(cwd, *arguments):
    done = bench_init("--list", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return [shlex.split(line)[1:] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shape", [[], ["--dry-run"]])
def test_every_arm_is_a_run_and_all_of_a_seed_come_before_the_next(tmp_path, shape):
    commands = listed(tmp_path, *shape)
    launcher.register()
    with hydra_at_conf():
        runs = [parse(compose(config_name="train", overrides=words)) for words in commands]
    arms = [(run.initializer.name, run.model.tie, run.adapter.rows) for run in runs]
    one = len(arms) // 3
    assert arms == arms[:one] * 3 and len(set(arms)) == one >= 12
    assert [run.seed for run in runs] == [0] * one + [1] * one + [2] * one
    assert [arm[0] for arm in arms[:4]] == ["random_matched", "mean", "zip_tie", "zip_tie_shuffled"]
    assert len({(run.stage.max_tokens, run.stage.max_steps, run.data.held_out) for run in runs}) == 1
    assert list(tmp_path.iterdir()) == []


TRAIN = """#!/usr/bin/env bash
for word; do case $word in outputs=*) to=${word#*=} ;; initializer=*) name=${word#*=} ;; esac; done
mkdir -p "$to/tiny/runs/$name/checkpoints" && touch "$to/tiny/runs/$name/checkpoints/last.ckpt"
echo began > "$to/tiny/runs/$name/train.log"
[[ $name == "$FAILS" ]] && echo "error: out of luck" && exit 2
trap 'echo saved > "$to/tiny/runs/$name/train.log"; exit 143' TERM
[[ $name == "$LATE" ]] && { sleep 100 & wait; }
sleep 1
"""


@pytest.fixture
def stubs(tmp_path):
    """Commands that take a second and train nothing."""
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in {"bailong-train": TRAIN, "bailong-compare": '#!/usr/bin/env bash\necho "compared $1"\n'}.items():
        (place / name).write_text(text, encoding="utf-8")
        (place / name).chmod(0o755)
    return place


def test_an_arm_that_is_late_saves_itself_and_none_is_begun_behind_it(tmp_path, stubs):
    given = {"first": stubs, "cwd": tmp_path, "FAILS": "mean", "LATE": "zip_tie_shuffled"}
    done = bench_init("--dry-run", "--seconds", "45", "--to", "out", "--seeds", "0", **given)
    said = done.stdout.splitlines()
    assert done.returncode == 1 and said[0].startswith("random_matched, seed 0: ") and said[0].endswith(" s")
    assert said[1] == "mean, seed 0: failed: error: out of luck"
    assert said[2].startswith("zip_tie, seed 0: ") and said[3].startswith("zip_tie_shuffled, seed 0: interrupted after")
    assert said[4] == "zip_tie_mass, seed 0: not begun" and all(line.endswith("not begun") for line in said[4:-2])
    assert said[-2:] == ["compared runs=out/results", "out/results"]
    runs = tmp_path / "out" / "results" / "tiny" / "runs"
    assert sorted(path.name for path in runs.iterdir()) == ["mean", "random_matched", "zip_tie", "zip_tie_shuffled"]
    assert (runs / "zip_tie_shuffled" / "train.log").read_text() == "saved\n"
    assert not list(runs.rglob("*.ckpt")), "checkpoints stay where they are"


def test_an_arm_that_would_not_fit_is_not_begun(tmp_path, stubs):
    given = {"first": stubs, "cwd": tmp_path, "FAILS": "", "LATE": ""}
    done = bench_init("--dry-run", "--seconds", "36", "--to", "out", "--seeds", "0", **given)
    assert done.returncode == 0 and "interrupted" not in done.stdout, done.stdout
    begun = [line for line in done.stdout.splitlines() if line.endswith(" s")]
    assert 1 <= len(begun) <= 6 and done.stdout.count("not begun") == 12 - len(begun)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--arms", "fastest"], "no arm is called fastest: random_matched mean"),
        (["--seconds", "20"], "--seconds 20 is not accepted: a number above 30"),
        (["--to"], "--to needs a value"),
        (["--fast"], "unknown option --fast"),
        ([], "nvidia-smi sees no GPU here"),
    ],
)
def test_what_is_asked_wrongly(tmp_path, stubs, asked, said):
    (stubs / "nvidia-smi").symlink_to(shutil.which("false") or "false")
    done = bench_init(*asked, cwd=tmp_path, first=stubs)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_all_of_it_at_a_tiny_shape(place):
    bench = ["tokenizer.folder=tokenizers/extended", "model.path=models/tied", "adapter.rank=4"]
    arms = ["--arms", "zip_tie no_extension rows_themselves", "--seeds", "0", "--seconds", "800"]
    done = bench_init("--dry-run", *arms, "--to", "out", *bench, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    results = place / "out" / "results"
    assert len(list(results.glob("tiny/runs/*/result.json"))) == 3 and not list(results.rglob("*.ckpt"))
    assert (results / "report.html").is_file() and done.stdout.splitlines()[-1] == "out/results"
