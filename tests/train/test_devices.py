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


def trained(place: Path, devices: int, kept: str) -> Path:
    """The folder of a run of four steps without dropout."""
    script = place / "train.py"  # Lightning starts the other processes with the script that is running
    script.write_text("from bailong import cli\n\ncli.train()\n")
    knobs = ["experiments=tiny", *SHORT[3:], "trainer.micro_batch=2", "adapter.dropout=0.0", "trainer.accelerator=cpu"]
    knobs += ["model.dtype=bfloat16", f"model.storage={kept}"] if kept != "nf4" else []
    outputs = place / f"{kept}_devices_{devices}"
    done = subprocess.run(
        [sys.executable, str(script), *knobs, f"trainer.devices={devices}", f"outputs={outputs.name}"],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (outputs / "tiny" / "runs").iterdir()
    return folder


@pytest.mark.parametrize("kept", ["nf4", "fp8"])
def test_two_processes_equal_one_to_the_last_digit_without_dropout(place, kept):
    one, two = (trained(place, devices, kept) for devices in (1, 2))
    figures = [metrics.read(folder / "metrics.jsonl") for folder in (one, two)]
    assert figures[0] == figures[1]
    results = [json.loads((folder / "result.json").read_text()) for folder in (one, two)]
    assert results[0]["data_order"] == results[1]["data_order"]
    parameters = [checkpoint.read(folder / "checkpoints" / "last.ckpt")["parameters"] for folder in (one, two)]
    for name, tensor in parameters[0].items():
        assert tensor.equal(parameters[1][name]), name
