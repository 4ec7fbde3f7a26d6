"""The mirror: what W&B holds offline is what metrics.jsonl holds, before and after an interruption."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bailong.run import metrics
from bailong.run.settings import Tracking
from bailong.train import train
from tests import tiny

OWN = ("_runtime", "_step", "_timestamp")


def history(folder):
    (log,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(log)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    records = [json.loads(line) for line in lines]
    rows = [record["history"]["item"] for record in records if record["type"] == "history"]
    runs = [record["run"] for record in records if record["type"] == "run"]
    return [{key: value for key, value in row.items() if key not in OWN} for row in rows], runs[0]


def test_the_history_equals_the_record_even_after_an_interruption(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path, tracking=Tracking(name="wandb", wandb="offline"))
    run = tiny.run(tmp_path, choices={"stage": "cpt", "initializer": "zip_tie"})
    with tiny.dying_after(4):
        train.train(settings, run)
    train.train(settings, run)
    rows, facts = history(run.folder.parent)
    assert rows == metrics.read(run.folder / "metrics.jsonl")
    assert facts["run_group"] == "bench/runs" and facts["run_id"] == run.id
    assert facts["config"]["update"]["optimizer"]["lr"] == 0.01, "the resolved config, nested"


def test_online_without_a_key_fails_at_once_and_never_asks(bench, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    settings = tiny.settings(bench, tmp_path, tracking=Tracking(name="wandb_online", wandb="online"))
    with pytest.raises(ValueError, match="wandb login"):
        train.train(settings, tiny.run(tmp_path))
