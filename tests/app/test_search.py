"""A search: its space as Hydra writes it, its study after any end of its process, and its trials as jobs of a sweep."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bailong.app import space
from bailong.app.space import Axis
from tests.commands import SHORT, call
from tests.conftest import ROOT

PARAMS = {
    "optimizer.lr": "tag(log, interval(1e-4, 1e-2))",
    "adapter.rank": "4, 16",
    "stage.batch_size": "range(2, 9, 3)",
    "adapter.alpha": "int(interval(1, 64))",
    "seed": "3",
    "a.b, a.c": "1:2, 3:4",
}


def read(params, *typed):
    return space.read(params, typed, OverridesParser.create())


def test_a_space_is_what_the_grammar_says():
    found = read(PARAMS, "initializer=mean", "adapter.rank=8")
    assert {axis.key: axis for axis in found.axes} == {
        "a.b,a.c": Axis("a.b,a.c", ("1:2", "3:4")),
        "optimizer.lr": Axis("optimizer.lr", (), 1e-4, 1e-2, None, True),
        "stage.batch_size": Axis("stage.batch_size", (), 2, 8, 3),
        "adapter.alpha": Axis("adapter.alpha", (), 1, 64, 1),
    }
    assert found.fixed == ["adapter.rank=8", "seed=3", "initializer=mean"], "what is typed is not searched"
    params = {"a.b,a.c": "3:4", "optimizer.lr": 0.001234, "stage.batch_size": 5, "adapter.alpha": 7}
    wanted = [*found.fixed, "a.b=3", "a.c=4", "optimizer.lr=0.001234", "stage.batch_size=5", "adapter.alpha=7"]
    assert found.overrides(params) == wanted
    assert read(PARAMS).axes[2] == Axis("adapter.rank", ("4", "16"))


def test_every_value_of_a_choice_and_both_ends_are_tried_before_anything_starts():
    jobs = read({"initializer": "mean, random, zip_tie", "optimizer.lr": "interval(0.1, 0.2)"}).probes()
    assert jobs == [
        ["initializer=mean", "optimizer.lr=0.1"],
        ["initializer=random", "optimizer.lr=0.2"],
        ["initializer=zip_tie", "optimizer.lr=0.2"],
    ]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"seed": "1"}, "hydra/sweeper=optuna has nothing to search"),
        (
            {"a": "interval(2, 1)"},
            r"a=interval\(2, 1\) is not accepted: it must be an interval from a number",
        ),
        ({"a": "tag(log, interval(0, 1))"}, "must be above 0 where it is tagged `log`"),
        ({"a": "tag(log, range(1, 9, 2))"}, "in steps of 1 where"),
        ({"a": "range(5, 1, -1)"}, "a range from a number up"),
        ({"a": "tag(log, choice(1, 2))"}, "only where it is an interval or a range"),
        ({"a": "tag(fine, range(1, 5))"}, "tagged `log`, or not at all"),
        ({"a": "shuffle(range(1, 5))"}, "in an order of its own"),
        ({"a,b": "1:2, 3"}, "it must be 2 values"),
    ],
)
def test_what_is_no_space_is_refused_in_a_line(params, said):
    with pytest.raises(ValueError, match=said) as caught:
        read(params)
    assert "\n" not in str(caught.value)


AXES = [Axis("x", (), 1e-3, 10.0, None, True), Axis("n", (), 1, 9, 2), Axis("c", ("a", "b"))]
HOW = {"sampler": "tpe", "startup": 3, "seed": 5}


@pytest.fixture
def study():
    return pytest.importorskip("bailong.app.study", reason="needs the extra 'optuna'", exc_type=ImportError)


def loss(params):
    """Smallest near x=1, n=5, c=b; nothing comes of n=9."""
    return None if params["n"] == 9 else abs(params["x"] - 1) + abs(params["n"] - 5) + (params["c"] == "a")


def trials(found):
    return [(t.number, t.state.name, t.params, t.values) for t in found.trials]


def advance(study, path, steps, how=HOW, **given):
    """Open a study, ask and tell so many times, and close it."""
    with study.Study(path, AXES, how, {"how": how}, **given) as found:
        for _ in range(steps):
            if not (open_ := found.under_way()):
                found.begin(found.proposed(), run="r")
                continue
            found.tell(open_[0], loss(open_[0].params))
        return trials(found)


def test_a_study_that_is_broken_off_at_any_line_goes_on_as_an_unbroken_one(study, tmp_path):
    whole = advance(study, tmp_path / "whole.jsonl", 24)
    broken = tmp_path / "broken.jsonl"
    for _ in range(24):
        now = advance(study, broken, 1)
        with broken.open("ab") as file:
            file.write(b'{"op_code": 6, "worker')  # power was cut in the middle of a line
    assert now == whole and [row[1] for row in whole].count("FAIL") < 12
    assert len({row[2]["x"] for row in whole}) == 12, "each trial draws its own"
    assert all(float(f"{row[2]['x']:.4g}") == row[2]["x"] for row in whole), "digits that a folder's name can have"
    other = advance(study, tmp_path / "other.jsonl", 24, HOW | {"seed": 6})
    assert [row[2] for row in other] != [row[2] for row in whole]


def test_optuna_reads_the_file_that_ours_writes(study, tmp_path):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    ours = advance(study, tmp_path / "study.jsonl", 10)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.jsonl")))
    (name,) = optuna.get_all_study_names(storage)
    assert trials(optuna.load_study(study_name=name, storage=storage)) == ours


def test_what_has_no_finite_value_has_failed_and_the_best_comes_first(study, tmp_path):
    with study.Study(tmp_path / "s.jsonl", AXES, HOW, {}) as found:
        for value in (3.0, float("nan"), None, 1.0, float("inf"), 1.0):
            found.begin(found.proposed(), run=str(value))
            found.tell(found.under_way()[0], value)
        found.begin(found.proposed(), refused="a rule")
        assert [t.number for t in found.finished()] == [3, 5, 0]
        assert [t.number for t in found.failed()] == [1, 2, 4, 6]
        assert found.failed()[-1].user_attrs == {"refused": "a rule"}
        assert found.runs() == ["3.0", "nan", "None", "1.0", "inf"] and found.under_way() == []


def test_another_search_is_another_study_in_the_same_file(study, tmp_path):
    path = tmp_path / "s.jsonl"
    first = advance(study, path, 6)
    with study.Study(path, AXES, HOW, {"how": HOW | {"seed": 6}}) as other:
        assert other.trials == [] and other.beside.startswith("how: ")
        with pytest.raises(ValueError, match="is being written by another process"):
            study.Study(path, AXES, HOW, {})
    assert advance(study, path, 0) == first
    assert advance(study, path, 0, anew=True) == []


def test_without_the_package_a_line_says_how_to_get_it(tmp_path):
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError('No module named optuna', name='optuna')\n")
    done = call("train", "sweeps=search", cwd=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    wanted = "error: hydra/sweeper=optuna needs the package optuna: pip install 'bailong[optuna]'\n"
    assert (done.returncode, done.stderr) == (2, wanted)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["optuna.py"]


SEARCH = [
    *(word for word in SHORT[3:] if not word.startswith("adapter.rank")),
    "sweeps=search",
    "optimizer.lr=1e-2,1e30",  # the second diverges
    "optimizer.rows_lr_ratio=1",
    "adapter.rank=range(2,5)",
    "stage.max_steps=16",
    "stage.evaluate_every_tokens=100_000",
    "trainer.checkpoint_every_steps=2",
    "hydra.sweeper.n_trials=3",
    "hydra.sweeper.n_jobs=2",
    "hydra.sweeper.sampler=random",
    "hydra.sweeper.seed=1",
]


def recorded(study, place, outputs):
    from optuna.storages import JournalStorage

    with study.Journal(place / outputs / "tiny" / "search" / "study.jsonl") as journal:
        storage = JournalStorage(study._Log(journal))
        (found,) = storage.get_all_studies()
        return [(t.number, t.state.name, t.params, t.values) for t in storage.get_all_trials(found._study_id)]


#: bailong-train whose runs end at once, with figures that their settings decide; one of them kills the whole search
QUICK = """
import os, signal, sys
from bailong import cli
from bailong.app import launcher
from bailong.run import folder
from bailong.run.files import write_json
from bailong.train.identity import identity

def run(self, pending, first):
    for job in pending:
        print("trained", job.run.name)
        folder.start(job.settings, job.run, identity(job.settings), "")
        if str(first) == os.environ.get("KILLED_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        lr = job.settings.optimizer.lr
        if lr < 1:
            write_json(job.run.folder / "result.json", {"bpb_final": lr + job.settings.adapter.rank})
        job.status = "finished" if lr < 1 else "failed"

launcher.PoolLauncher.run = run
sys.argv[0] = "bailong-train"
cli.train()
"""


def quick(cwd, outputs, *arguments, **environment):
    """A search whose runs take no time: exit code, what it said, and the runs that were trained."""
    words = [word for word in SEARCH if not word.startswith("hydra.")]
    done = subprocess.run(
        [sys.executable, "-c", QUICK, *words, f"outputs={outputs}", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )  # fmt: skip
    return done.returncode, done.stderr, done.stdout.splitlines()


def test_a_search_goes_on_where_it_was_killed_and_trains_nothing_twice(study, place):
    asked = ["hydra.sweeper.n_trials=7", "hydra.sweeper.startup=2", "hydra.sweeper.seed=4"]
    code, said, trained = quick(place, "quick", *asked)
    assert code == 0, said
    wanted = recorded(study, place, "quick")
    assert len(wanted) == 7 and {row[1] for row in wanted} == {"COMPLETE", "FAIL"}
    assert len(set(trained)) == len(trained) <= 7, "a trial of the same values is no other run"
    best = said.splitlines()[-2]
    assert best.startswith("best: bailong-train experiments=tiny ") and "optimizer.lr=0.01 adapter.rank=2" in best

    assert quick(place, "quick_killed", *asked, KILLED_AT="4")[0] == -signal.SIGKILL
    begun = recorded(study, place, "quick_killed")
    assert begun[:4] == wanted[:4] and begun[4][:3] == (4, "RUNNING", wanted[4][2]) and len(begun) == 5
    code, said, again = quick(place, "quick_killed", *asked)
    assert code == 0 and "4 of 7 trials ended, 1 to resume" in said and f"trained {_run(place, 4)}" == again[0]
    assert recorded(study, place, "quick_killed") == wanted
    assert quick(place, "quick_killed", *asked)[2] == []


def _run(place, number):
    """The name of a trial's run."""
    lines = (place / "quick_killed" / "tiny" / "search" / "study.jsonl").read_text(encoding="utf-8").splitlines()
    begun = [row for row in map(json.loads, lines) if row["op_code"] == 4]
    return begun[number]["user_attrs"]["run"]


def test_a_search_that_is_killed_ends_as_an_unbroken_one_and_fails_in_what_diverges(study, place):
    whole = call("train", *SEARCH, "outputs=whole", cwd=place)
    assert whole.returncode == 0, whole.stderr
    wanted = recorded(study, place, "whole")
    states = [row[1] for row in wanted]
    assert set(states) == {"COMPLETE", "FAIL"} and len(states) == 3
    assert {row[1] for row in wanted if row[2]["optimizer.lr"] == "1e+30"} == {"FAIL"}
    assert "failed: " in whole.stderr and "\nbest: bailong-train experiments=tiny" in whole.stderr

    code = "import sys; sys.argv[0] = 'bailong-train'; from bailong import cli; cli.train()"
    killed = subprocess.Popen(
        [sys.executable, "-c", code, *SEARCH, "outputs=killed"],
        cwd=place, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 240
    while not (saved := list((place / "killed").glob("tiny/search/*/checkpoints/last.ckpt"))):
        assert time.monotonic() < end and killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    begun = [row[:3] for row in recorded(study, place, "killed")]
    assert begun[0][1] == "RUNNING" and len(begun) == 2
    again = call("train", *SEARCH, "outputs=killed", cwd=place)
    assert again.returncode == 0 and "0 of 3 trials ended, 2 to resume" in again.stderr, again.stderr
    assert recorded(study, place, "killed") == wanted
    assert "resumed at step" in (saved[0].parents[1] / "train.log").read_text(encoding="utf-8")

    more = call("train", *SEARCH, "outputs=whole", cwd=place)
    assert more.returncode == 0 and "start " not in more.stderr, "finished trials are not trained again"
