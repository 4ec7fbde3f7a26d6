"""Job arrays, on a Slurm of four small scripts that run the ranks here."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bailong.prepare.engine import slurm
from bailong.prepare.engine.local import Local
from bailong.prepare.engine.slurm import Slurm
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from tests.conftest import ROOT
from tests.prepare.engine import graph
from tests.prepare.engine.graph import HERE

SBATCH = f"""#!{sys.executable}
import os, pathlib, re, subprocess, sys, time
script = pathlib.Path(sys.argv[-1]).read_text()
offset = re.search("RUN_OFFSET=([0-9]+)", " ".join(sys.argv))[1]
last = re.search("#SBATCH --array=0-([0-9]+)", script)[1]
place = pathlib.Path(__file__).parent
job = str(len(list(place.glob("*.script"))) + 1)
copy = place / f"{{job}}.script"
copy.write_text(script)
ranks = f"for i in $(seq 0 {{last}}); do SLURM_ARRAY_TASK_ID=$i bash {{copy}} & done; wait"
more = dict(SLURM_JOB_ID=job, SLURM_NODELIST="here", RUN_OFFSET=offset)
log = open(place / f"{{job}}.log", "w")
started = subprocess.Popen(["bash", "-c", ranks], env=os.environ | more, stdout=log, stderr=log, start_new_session=True)
(place / f"{{job}}.pid").write_text(str(started.pid))
print("Submitted batch job", job)
"""
SQUEUE = """#!/bin/bash
pid=$(cat "$(dirname "$0")/$3.pid") || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }
ps -o stat= --sid "$pid" | grep -qv Z && echo "$3 RUNNING"; exit 0
"""
SCANCEL = """#!/bin/bash
pkill -KILL --session "$(cat "$(dirname "$0")/$1.pid")"; touch "$(dirname "$0")/$1.cancelled"
"""
SCRIPTS = {
    "sbatch": SBATCH,
    "squeue": SQUEUE,
    "scancel": SCANCEL,
    "srun": '#!/bin/bash\nwhile [[ "$1" == -* || "$1" =~ ^[0-9]+$ ]]; do shift; done; exec "$@"\n',
    "scontrol": "#!/bin/bash\necho here\n",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with the commands of Slurm."""
    pytest.importorskip("datatrove", reason="engine=slurm needs the package datatrove")
    place = tmp_path / "slurm"
    place.mkdir()
    for name, script in SCRIPTS.items():
        (place / name).write_text(script)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield place
    assert not list(folder.iterdir())  # datatrove's own logs are below the tasks too


def engine(**more):
    return Slurm(**{"partition": "cpu", "array": 3, "poll_seconds": 0.2, "qos": "normal"} | more)


@pytest.mark.parametrize("knob", ["array", "memory_gb", "poll_seconds", "workers"])
def test_nonsense_is_refused(knob):
    with pytest.raises(ValueError, match=f"engine.{knob}=0 is not accepted"):
        engine(**{knob: 0})


def test_the_same_bytes_though_a_rank_is_killed(site, tmp_path):
    expected = graph.run(Local(workers=1), tmp_path / "expected")
    local = {"split/00001": {"die_unless": str(tmp_path / "marker")}}
    root = tmp_path / "work"
    assert graph.run(engine(sbatch_args={"account": "me"}, workers=2), root, local) == expected
    assert (tmp_path / "marker").exists() and len(list(site.glob("*.script"))) == 4  # three phases, one of them twice
    script = (site / "1.script").read_text()
    for line in ("--array=0-2%2", "--partition=cpu", "--mem-per-cpu=4G", "--time=08:00:00", "--account=me"):
        assert f"#SBATCH {line}\n" in script
    task.sweep(root, list(expected))
    graph.sound(root)


def test_a_users_mistake_stops_the_job(site, tmp_path):
    slow = {"seconds": 60}
    tasks = [
        Task("wrong", f"{HERE}:refuse"),
        *(Task(f"slow/{i}", f"{HERE}:emit", {"seed": i}, local=slow) for i in "12"),
    ]
    with pytest.raises(ValueError, match="^convert.mode=maybe is not accepted") as caught:
        engine().run(tasks, tmp_path, print)
    assert "task wrong" in caught.value.__notes__[0]
    assert (site / "1.cancelled").exists() and not list(tmp_path.glob(".slurm/*/job"))
    assert not list(tmp_path.glob("slow/*"))


def test_what_keeps_dying_is_given_up(site, tmp_path):
    with pytest.raises(RuntimeError, match="task hungry and 0 more were given up: 2 jobs ended without them"):
        engine(retries=1).run([Task("hungry", f"{HERE}:die")], tmp_path, print)


def test_the_job_of_a_killed_command_is_cancelled(site, tmp_path):
    tasks = [Task("slow", f"{HERE}:emit", {"seed": 1}, local={"seconds": 60})]
    code = "import sys, pathlib; from tests.prepare.engine.test_slurm import *\n"
    code += "engine().run([Task('slow', f'{HERE}:emit', {'seed': 1}, local={'seconds': 60})], Path(sys.argv[1]), print)"
    driver = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    end = time.monotonic() + 30
    while not list(tmp_path.glob(".partial/*/")):
        assert time.monotonic() < end
        time.sleep(0.1)
    driver.kill()
    driver.wait()
    assert slurm.alive("1")
    engine().run([dataclasses.replace(tasks[0], local={})], tmp_path, lambda _: None)
    assert (site / "1.cancelled").exists() and not slurm.alive("1") and not slurm.alive("99")
    assert Path(tmp_path, "slow", "manifest.json").exists()
