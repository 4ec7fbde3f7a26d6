"""Run folders in every state in which they are found."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bailong.compare.runs import read
from tests.compare.folders import write_run, write_sweep


def test_reads_below_a_folder_and_a_run_itself(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "deep" / "sweep", {"random": [[4, 3], [4, 3]], "zip_tie": [[3, 2]]})
    assert [run.name for run in read([tmp_path]).runs] == [
        "initializer=random,seed=0",
        "initializer=random,seed=1",
        "initializer=zip_tie,seed=0",
    ]
    one = read([sweep / "initializer=zip_tie,seed=0"])
    assert [run.name for run in one.runs] == ["initializer=zip_tie,seed=0"]
    assert one.runs[0].config["optimizer.lr"] == 3e-4
    assert not one.waiting, "the sweep's other jobs are not what was asked for"


def test_overlapping_folders_and_copies_count_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a" / "run", [4, 3])
    assert len(read([tmp_path, tmp_path / "a", run]).runs) == 1
    (run / "result.json").unlink()
    finished = write_run(tmp_path / "b" / "run", [4, 3])
    record = json.loads((finished / "run.json").read_text())
    record["fingerprint"] = f"{tmp_path / 'a'}/run"
    (finished / "run.json").write_text(json.dumps(record))
    found = read([tmp_path])
    assert [r.folder for r in found.runs] == [finished], "the finished copy is kept"
    assert "the same run as" in found.problems[0]


def test_statuses(tmp_path: Path) -> None:
    states = {}
    for name in ("finished", "running", "failed", "interrupted", "dead", "elsewhere", "again"):
        states[name] = write_run(tmp_path / name, [4, 3, 2], finished=name == "finished")
    lock = {"pid": os.getpid(), "host": socket.gethostname()}
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (states["finished"] / "run.lock").write_text("")
    (states["running"] / "run.lock").write_text(json.dumps(lock))
    (states["dead"] / "run.lock").write_text(json.dumps(lock | {"pid": child.pid}))
    (states["elsewhere"] / "run.lock").write_text(json.dumps(lock | {"host": "another"}))
    for name in ("failed", "again"):
        (states[name] / "error.json").write_text(json.dumps({"type": "RuntimeError", "message": "out of\n memory"}))
    (states["again"] / "run.lock").write_text(json.dumps(lock))
    found = {run.name: run for run in read([tmp_path]).runs}
    assert {name: run.status for name, run in found.items()} == {
        "finished": "finished",
        "running": "running",
        "failed": "failed",
        "interrupted": "interrupted",
        "dead": "interrupted",
        "elsewhere": "interrupted",
        "again": "running",
    }
    assert found["failed"].reason == "RuntimeError: out of memory"
    assert "another" in found["elsewhere"].reason
    assert "resumes" in found["dead"].reason


def test_a_run_that_a_race_dropped_says_where_and_one_that_ended_since_does_not(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", {"random": [[4, 3], [4, 3]], "zip_tie": [[3, 2]]})
    (sweep / "initializer=random,seed=0" / "result.json").unlink()
    arms = {"initializer=random": ["initializer=random,seed=0", "initializer=random,seed=1"]}
    record = {"arms": arms, "dropped": {"initializer=random": "at 1/4 of its steps: interval above 0"}}
    (sweep / "racing.json").write_text(json.dumps(record))
    found = {run.name: run for run in read([tmp_path]).runs}
    assert {run.status for run in found.values()} == {"finished", "dropped"}
    dropped = found["initializer=random,seed=0"]
    assert dropped.status == "dropped" and "by the race, at 1/4 of its steps: interval above 0" in dropped.reason
    (sweep / "racing.json").write_text("{")
    assert any("racing.json" in problem for problem in read([tmp_path]).problems)


def test_the_last_row_of_a_step_counts_and_kinds_are_merged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [4, 3, 2])
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 10, "tokens": 1000, "eval/bpb": 3.5}) + "\n")
    tokens, values = read([run]).runs[0].curve("eval/bpb")
    assert tokens.tolist() == [0, 1000, 2000]
    assert values.tolist() == [4, 3.5, 2]
    assert 1000 in read([run]).runs[0].curve("train/loss")[0], "the training row of step 10 is still there"


def test_a_cut_last_line_is_silent_and_a_broken_one_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [4, 3, 2], finished=False)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])
    found = read([run])
    assert not found.problems
    assert found.runs[0].curve("eval/bpb")[0].tolist() == [0, 1000]
    (run / "metrics.jsonl").write_text("\n".join([lines[0], "{cut", *lines[1:]]) + "\n")
    found = read([run])
    assert found.problems == [f"{run / 'metrics.jsonl'}: line 2 is not a JSON object and was left out"]
    assert found.runs[0].curve("eval/bpb")[0].tolist() == [0, 1000, 2000]


def test_a_diverged_run_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [4, 3, float("nan")])
    found = read([run])
    assert "not a number from step 20" in found.problems[0]
    assert found.runs[0].curve("eval/bpb")[1].tolist() == [4, 3]
    assert found.runs[0].at_end("eval/bpb") is None


def test_an_unfinished_run_has_a_start_and_no_end(tmp_path: Path) -> None:
    run = read([write_run(tmp_path / "run", [4, 3], finished=False)]).runs[0]
    assert run.at_start("eval/bpb") == 4
    assert run.at_end("eval/bpb") is None
    assert run.fact("steps") == 10
    assert run.fact("tokens_per_second") == 1234.5


def test_a_run_without_metrics_yet(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [4, 3], finished=False)
    for name in ("metrics.jsonl", "speed.jsonl", "provenance.json"):
        (folder / name).unlink()
    run = read([folder]).runs[0]
    assert run.rows == [] and run.fact("steps") is None and run.git_commit == ""


@pytest.mark.parametrize(("name", "text"), [("run.json", "{"), ("config.yaml", "- a\n- b: ["), ("run.json", "[]")])
def test_a_malformed_folder_is_one_line_and_stops_nothing(tmp_path: Path, name: str, text: str) -> None:
    write_run(tmp_path / "good", [4, 3])
    bad = write_run(tmp_path / "bad", [4, 3])
    (bad / name).write_text(text)
    found = read([tmp_path])
    assert [run.name for run in found.runs] == ["good"]
    assert len(found.problems) == 1 and str(bad / name) in found.problems[0] and "\n" not in found.problems[0]
    with pytest.raises(ValueError, match="holds no run that can be read"):
        read([bad])


def test_no_folder_and_no_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="runs=.*nowhere is not accepted"):
        read([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match=r"there is no run\.json"):
        read([tmp_path])


def test_jobs_that_have_not_started_or_failed_before(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, {"random": [[4, 3]]}, ["initializer=mean,seed=0", "initializer=zip_tie,seed=0"])
    (sweep / "initializer=mean,seed=0").mkdir()
    error = {"type": "ValueError", "message": "no such corpus"}
    (sweep / "initializer=mean,seed=0" / "error.json").write_text(json.dumps(error))
    found = read([sweep])
    assert [path.name for path in found.waiting] == ["initializer=zip_tie,seed=0"]
    assert "failed before it started: ValueError: no such corpus" in found.problems[0]


def test_a_run_copied_from_another_machine(tmp_path: Path) -> None:
    write_run(tmp_path / "there" / "run", [4, 3])
    shutil.move(tmp_path / "there", tmp_path / "here")
    assert read([tmp_path / "here"]).runs[0].finished
