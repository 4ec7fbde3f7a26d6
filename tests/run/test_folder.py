import json

import pytest

from bailong.run import folder
from tests import tiny


def test_two_processes_never_write_to_one_run(tmp_path):
    refused = pytest.raises(ValueError, match="being written by another process")
    with folder.locked(tmp_path), refused, folder.locked(tmp_path):
        pass
    with folder.locked(tmp_path):
        pass


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "a.json"
    folder.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        folder.write(path, 5)
    assert json.loads(path.read_text()) == {"a": 1} and list(tmp_path.iterdir()) == [path]


def test_state_follows_the_folder(bench, tmp_path):
    settings, run = tiny.settings(bench, tmp_path), tiny.run(tmp_path)
    facts = {"a": 1}
    assert folder.state(run, facts) == "new"
    folder.start(settings, run, facts, "f")
    assert folder.state(run, facts) == "started"
    folder.write_json(run.folder / "result.json", {})
    assert folder.state(run, facts) == "finished" and folder.state(run, facts, rerun=True) == "new"
    with pytest.raises(ValueError, match="a: 1 before, 2 now"):
        folder.state(run, {"a": 2})
