"""A folder that appears whole or not at all."""

from pathlib import Path

import pytest

from bailong.run.replacing import replacing


def test_what_stood_there_is_replaced_and_nothing_stays_beside_it(tmp_path):
    target = tmp_path / "a" / "target"
    with replacing(target) as partial:
        assert not target.exists()
        (partial / "old").write_text("1")
    with replacing(target) as partial:
        assert [path.name for path in target.iterdir()] == ["old"]
        (partial / "new").write_text("2")
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_failure_leaves_what_stood_there(tmp_path, monkeypatch):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "old").write_text("1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(RuntimeError), replacing(Path("target")) as partial:
        (partial / "new").write_text("2")
        monkeypatch.chdir("elsewhere")
        raise RuntimeError
    assert (tmp_path / "target" / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "target"]


def test_what_a_killed_process_left_is_cleared_and_a_living_one_is_waited_for_by_nobody(tmp_path):
    left = tmp_path / ".target.partial"
    (left / "folder").mkdir(parents=True)
    (left / "file").write_text("stale")
    with replacing(tmp_path / "target") as partial:
        assert [path.name for path in partial.iterdir()] == ["run.lock"]
        with pytest.raises(ValueError, match="another process"), replacing(tmp_path / "target"):
            pass
    assert not any((tmp_path / "target").iterdir())
