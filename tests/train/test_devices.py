"""Two processes learn what one learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bailong.run import metrics
from bailong.train import checkpoint
from tests.commands import SHORT

ROOT = Path(__file__).parents[2]


TEXT = ["experiments=tiny", *SHORT[3:], "trainer.micro_batch=2"]
#: dialogues share rows, and two processes pack theirs into other rows than one
DIALOGUES = [
    "experiments=tiny_sft",
    "model.path=models/untied",
    "data.folder=null",
    "data.evaluation_bytes=1500",
    "old_language=null",
    "stage.context=256",
    "stage.batch_size=8",
    "stage.max_steps=5",
    "stage.evaluate_every_tokens=800",
    "trainer.micro_batch=2",
    "trainer.log_every_steps=1",
    "optimizer.lr=1e-2",
    "tracking=local",
]


def trained(place: Path, devices: int, name: str, knobs: list[str]) -> Path:
    """The folder of a short run without dropout."""
    script = place / "train.py"  # Lightning starts the other processes with the script that is running
    script.write_text("from bailong import cli\n\ncli.train()\n")
    still = ["adapter.dropout=0.0", "trainer.accelerator=cpu"]
    outputs = place / f"{name}_devices_{devices}"
    done = subprocess.run(
        [sys.executable, str(script), *knobs, *still, f"trainer.devices={devices}", f"outputs={outputs.name}"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = outputs.glob("*/runs/*")
    return folder


@pytest.mark.parametrize("packing", ["rows", "truncate"])
def test_two_processes_learn_dialogues_as_one_does(place, packing):
    """Loss and evaluations to 1e-5: the same dialogues a step, their gradients summed in another order."""
    knobs = [*DIALOGUES, f"stage.packing={packing}"]
    folders = [trained(place, devices, packing, knobs) for devices in (1, 2)]
    one, two = (metrics.read(folder / "metrics.jsonl") for folder in folders)
    assert len(one) == len(two) == 6 and sum("eval/loss" in row for row in one) > 2
    assert one[-1]["eval/loss"] < one[0]["eval/loss"] - 0.1, "nothing is learned that could differ"
    for mine, theirs in zip(one, two, strict=True):
        assert theirs == pytest.approx(mine, abs=1e-5)
    orders = [json.loads((folder / "result.json").read_text())["data_order"] for folder in folders]
    assert orders[0] == orders[1]


@pytest.mark.parametrize("kept", ["nf4", "fp8"])
def test_two_processes_equal_one_to_the_last_digit_without_dropout(place, kept):
    knobs = [*TEXT, *(["model.dtype=bfloat16", f"model.storage={kept}"] if kept != "nf4" else [])]
    one, two = (trained(place, devices, kept, knobs) for devices in (1, 2))
    figures = [metrics.read(folder / "metrics.jsonl") for folder in (one, two)]
    assert figures[0] == figures[1]
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, two)]
    assert results[0]["data_order"] == results[1]["data_order"]
    parameters = [checkpoint.read(folder / "checkpoints" / "last.ckpt")["parameters"] for folder in (one, two)]
    for name, tensor in parameters[0].items():
        assert tensor.equal(parameters[1][name]), name
