"""What every engine must keep to: the same bytes, whatever happens to workers."""

import itertools
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import bailong
from bailong.prepare.engine.local import Local
from bailong.prepare.engine.ray import Ray
from bailong.prepare.engine.slurm import Slurm
from bailong.prepare.work import task
from bailong.prepare.work.task import Task
from tests.conftest import ROOT
from tests.prepare.engine import graph
from tests.prepare.engine.graph import HERE


@pytest.fixture(scope="module")
def engines():
    made = {"local-1": Local(workers=1), "local-2": Local(workers=2), "ray-2": Ray(workers=2)}
    yield made
    for engine in made.values():
        engine.close()


@pytest.fixture(params=["local-1", "local-2", "ray-2"])
def engine(request, engines):
    if request.param == "ray-2":
        pytest.importorskip("ray", reason="engine=ray needs the package ray")
    return engines[request.param]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Digests of a run that nothing disturbed."""
    return graph.run(Local(workers=1), tmp_path_factory.mktemp("expected"))


def ignore(_):
    pass


@pytest.mark.parametrize("kind", [Local, Ray, Slurm])
def test_the_yaml_says_what_the_dataclass_says(kind):
    written = OmegaConf.load(ROOT / "conf" / "engine" / f"{kind.name}.yaml")
    assert written.pop("defaults") == [f"/schema/engine/{kind.name}@_here_"]
    structured = OmegaConf.structured(kind)
    assert OmegaConf.to_container(written) == OmegaConf.to_container(structured)
    structured.merge_with({"partition": "cpu"} if kind is Slurm else {})
    made = OmegaConf.to_object(OmegaConf.merge(structured, {"retries": 5}))
    assert type(made) is kind and made.retries == 5


def test_the_same_bytes_from_every_engine(engine, tmp_path, expected):
    assert graph.run(engine, tmp_path) == expected
    graph.sound(tmp_path)
    assert not list((tmp_path / ".partial").glob("*/"))


def test_what_is_done_is_not_done_again(engine, tmp_path):
    tasks = graph.phases()[0]
    engine.run(tasks[:5], tmp_path, ignore)
    before = {t.name: (tmp_path / t.name / "manifest.json").stat().st_mtime_ns for t in tasks[:5]}
    engine.run(tasks, tmp_path, ignore)
    assert before == {t.name: (tmp_path / t.name / "manifest.json").stat().st_mtime_ns for t in tasks[:5]}
    engine.run([], tmp_path, ignore)


def test_a_users_mistake_arrives_as_it_was_said(engine, tmp_path):
    tasks = [*graph.phases()[0], Task("wrong", f"{HERE}:refuse")]
    with pytest.raises(ValueError) as caught:
        engine.run(tasks, tmp_path, ignore)
    assert str(caught.value) == "convert.mode=maybe is not accepted: it must be one of off, guarded, always"
    assert type(caught.value) is ValueError
    assert "task wrong" in caught.value.__notes__[0] and "in refuse" in caught.value.__notes__[0]
    assert not (tmp_path / "wrong").exists() and not list((tmp_path / ".partial").glob("*/"))
    engine.run(tasks[:-1], tmp_path, ignore)  # the engine still works


def test_a_bug_names_its_task_and_keeps_its_traceback(engine, tmp_path):
    with pytest.raises(RuntimeError, match="^task wrong failed: KeyError: 'nothing of the kind'") as caught:
        engine.run([Task("wrong", f"{HERE}:fail")], tmp_path, ignore)
    assert "nothing of the kind" in caught.value.__notes__[0] and "graph.py" in caught.value.__notes__[0]


def test_a_full_disk_is_said_in_a_line(engine, tmp_path):
    with pytest.raises(ValueError, match="disk of .* is full: make room"):
        engine.run([Task("wrong", f"{HERE}:fill")], tmp_path, ignore)


def test_an_input_that_is_missing(engine, tmp_path):
    with pytest.raises(FileNotFoundError, match="emit/00000"):
        engine.run([Task("wrong", f"{HERE}:split", {"parts": 1}, ("emit/00000",))], tmp_path, ignore)


def test_workers_see_what_they_should(engine, tmp_path):
    arguments = {"pair": (1, 2), "names": {3: "three"}}
    engine.run([Task("look", f"{HERE}:look", arguments, local={"gpus": 0})], tmp_path, ignore)
    facts = task.read(tmp_path, "look")["facts"]
    assert Path(facts["bailong"]) == Path(bailong.__file__)
    assert facts["arguments"] == {"pair": [1, 2], "names": {"3": "three"}, "gpus": 0}
    assert facts["OMP_NUM_THREADS"] == "1" and facts["OMP_WAIT_POLICY"] == "PASSIVE"
    assert facts["torch"] is False or isinstance(engine, Local) and engine.workers == 1


@pytest.fixture(params=["local-2", "ray-2"])
def several(request, engines):
    if request.param == "ray-2":
        pytest.importorskip("ray", reason="engine=ray needs the package ray")
    return engines[request.param]


def test_a_killed_worker_costs_nothing_but_time(several, tmp_path, expected):
    victims = {"emit/00003": "a", "split/00000": "b", "gather/00002": "c"}
    local = {name: {"die_unless": str(tmp_path / marker)} for name, marker in victims.items()}
    assert graph.run(several, tmp_path / "work", local) == expected
    assert all((tmp_path / marker).exists() for marker in victims.values())
    task.clear(tmp_path / "work")
    assert not list((tmp_path / "work" / ".partial").glob("*/"))


def test_a_task_that_always_kills_its_worker_is_given_up(several, tmp_path):
    tasks = [Task("hungry", f"{HERE}:die"), *graph.phases()[0]]
    with pytest.raises(RuntimeError, match="task hungry was given up: its worker died 3 times.*memory.*engine.workers"):
        several.run(tasks, tmp_path, ignore)
    several.run(tasks[1:], tmp_path, ignore)


def test_two_tasks_at_a_time(several, tmp_path):
    tasks = [Task(f"wait/{i}", f"{HERE}:emit", {"seed": i}, local={"seconds": 0.4}) for i in range(4)]
    several.run(tasks, tmp_path, ignore)
    spans = [task.read(tmp_path, t.name)["speed"] for t in tasks]
    assert os.getpid() not in {span["pid"] for span in spans}
    together = [
        (a, b) for a, b in itertools.combinations(spans, 2) if a["began"] < b["ended"] and b["began"] < a["ended"]
    ]
    assert together and all(a["pid"] != b["pid"] for a, b in together)
    assert all(sum(s["began"] <= span["began"] < s["ended"] for s in spans) <= 2 for span in spans)
