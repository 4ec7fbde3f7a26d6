"""COMET by another Python: what it is given, what is kept of it, and one line where it fails."""

import sys

import pytest

from bailong.evaluate import comet
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.settings import Comet
from bailong.run import journal

#: a package that is called as unbabel-comet, and scores by lengths; it prints, as the real one does
PACKAGE = """
import os, sys
print("comet is imported")
TOLD = []
def download_model(name):
    print("downloading", name)
    if name == "no/model":
        raise KeyError(f"Model {name!r} not supported by COMET.")
    return "/cache/" + name
def load_from_checkpoint(path):
    print("loading", path)
    return Model(path)
class Model:
    def __init__(self, path):
        self.path = path
    def predict(self, rows, batch_size, gpus):
        assert "bailong" not in sys.modules and batch_size == 3 and gpus == 0
        assert all(set(row) == {"src", "mt", "ref"} for row in rows)
        with open(os.environ["FAKE_LOG"], "a") as log:
            print(len(rows), self.path, file=log)
        scores = [len(row["src"]) + len(row["mt"]) / 100 + len(row["ref"]) / 10000 for row in rows]
        if os.environ.get("FAKE_FAULT") == "crash":
            print("CUDA error: out of luck", file=sys.stderr)
            os._exit(3)
        if os.environ.get("FAKE_FAULT") == "few":
            scores = scores[:2]
        return {"scores": scores, "system_score": sum(scores) / max(1, len(scores))}
"""
TEXTS = ["bir\u2028satır", "", "üç üç", "🙂", "beş"]


def items(count=5):
    return [Item(str(n), "t", ["?"], golds=["altın" * n], meta={"source": "kaynak" * n}) for n in range(1, count + 1)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "comet.py").write_text(PACKAGE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return tmp_path


def settings(**changes):
    return Comet(**{"python": sys.executable, "batch": 3} | changes)


def test_scores_are_kept_and_never_asked_twice(place):
    path, seen = place / comet.FILE, []
    comet.collect(settings(), items(), TEXTS, path, lambda done, total: seen.append((done, total)))
    found = comet.read(path, items(), TEXTS)
    assert found is not None and found[1] == "Unbabel/wmt22-comet-da" and seen == [(n, 5) for n in range(1, 6)]
    wanted = [6 * n + len(text) / 100 + 5 * n / 10000 for n, text in enumerate(TEXTS, 1)]
    assert found[0].tolist() == pytest.approx(wanted)
    assert (place / "log").read_text() == "5 /cache/Unbabel/wmt22-comet-da\n"
    comet.collect(settings(), items(), TEXTS, path)
    assert (place / "log").read_text().count("\n") == 1

    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]) + b'{"bench')  # kill -9
    changed = [*TEXTS[:2], "başka", *TEXTS[3:]]
    assert comet.read(path, items(), TEXTS) is None
    comet.collect(settings(), items(), changed, path)
    assert (place / "log").read_text().splitlines()[1:] == ["3 /cache/Unbabel/wmt22-comet-da"]
    again = comet.read(path, items(), changed)
    assert again is not None and again[0].tolist() == pytest.approx([*wanted[:2], 18.0515, *wanted[3:]])

    (place / "checkpoint.ckpt").touch()  # a path is loaded as it is
    comet.collect(settings(model=str(place / "checkpoint.ckpt")), items(), changed, path)
    assert (place / "log").read_text().splitlines()[2] == f"5 {place / 'checkpoint.ckpt'}"
    assert len(journal.read(path)) == 3 + 3 + 5


@pytest.mark.parametrize(
    ("changes", "fault", "told"),
    [
        ({"python": "/nowhere/python"}, "", "cannot be started: No such file or directory"),
        ({"model": "no/model"}, "", "failed after 0 of 5 translations: KeyError: .*no/model"),
        ({}, "crash", "failed after 0 of 5 translations: CUDA error: out of luck"),
        ({}, "few", "failed after 2 of 5 translations"),
    ],
)
def test_a_failure_is_one_line(place, monkeypatch, changes, fault, told):
    monkeypatch.setenv("FAKE_FAULT", fault)
    with pytest.raises(ValueError, match=told) as raised:
        comet.collect(settings(**changes), items(), TEXTS, place / comet.FILE)
    assert "\n" not in str(raised.value)
    assert len(journal.read(place / comet.FILE)) == (2 if fault == "few" else 0)


def test_an_environment_without_comet_is_told(place):
    (place / "packages" / "comet.py").unlink()
    with pytest.raises(ValueError, match="ModuleNotFoundError: No module named 'comet'"):
        comet.collect(settings(), items(), TEXTS, place / comet.FILE)
