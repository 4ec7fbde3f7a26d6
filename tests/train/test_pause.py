"""A run that pauses and goes on is an unbroken one, to the bit."""

import dataclasses
import json

import pytest
import yaml

from bailong.train import checkpoint, identity, pause
from bailong.train.stage.cpt import Cpt
from bailong.train.train import train
from tests import tiny


def test_a_run_that_pauses_twice_equals_an_unbroken_one_to_the_bit(bench, tmp_path, capsys):
    stage = Cpt(context=48, batch_size=4, max_steps=6, evaluate_every_tokens=300)  # behind steps 2, 4, 5 and 6
    asked = tiny.settings(bench, tmp_path, stage=stage)
    whole, parts = tiny.run(tmp_path, "whole"), tiny.run(tmp_path, "parts")
    expected = train(asked, whole)
    for share, step in ((0.3, 2), (0.6, 4)):
        settings = dataclasses.replace(asked, pause_at=share)
        assert identity.identity(settings) == identity.identity(asked)
        assert not pause.reached(parts.folder, share)
        assert train(settings, parts) is None and pause.reached(parts.folder, share)
        content = checkpoint.read(parts.folder / "checkpoints" / "last.ckpt")
        assert content["counters"]["step"] == step == pause.curve(parts.folder)[0][-1]
        assert f"paused at step {step} of 6, saved" in (parts.folder / "train.log").read_text()
        assert not (parts.folder / "result.json").exists() and pause.total_steps(parts.folder) == 6
    assert yaml.safe_load((parts.folder / "config.yaml").read_text())["pause_at"] is None
    assert train(dataclasses.replace(asked, pause_at=0.6), parts) is None
    assert "paused before" in capsys.readouterr().out, "and nothing is loaded for it"
    found = train(asked, parts)
    assert (parts.folder / "metrics.jsonl").read_bytes() == (whole.folder / "metrics.jsonl").read_bytes()
    assert found["parameters_sha256"] == expected["parameters_sha256"] and found["steps"] == 6
    rates = [json.loads(line).get("train/lr") for line in (whole.folder / "metrics.jsonl").read_text().splitlines()]
    assert rates[-1] == pytest.approx(1e-3), "the schedule is that of the whole run"


def test_a_share_of_the_steps_is_the_step_that_ends_it():
    assert [pause.step_of(share, 30) for share in (0.001, 0.1, 0.5, 0.99)] == [1, 3, 15, 30]
    assert pause.due(0.25, 13, 50) and not pause.due(0.25, 12, 50), "12.5 steps are done with the 13th"
    assert not pause.due(None, 50, 50) and not pause.due(0.99, 50, 50), "at its end a run is finished"


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.5])
def test_what_is_no_share_is_refused(bench, tmp_path, share):
    with pytest.raises(ValueError, match=f"pause_at={share} is not accepted: it must be above 0 and below 1"):
        tiny.settings(bench, tmp_path, pause_at=share)
