"""The commands as a person types them, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

#: a sweep of two short jobs on the bench
SHORT = [
    "sweeps=initializers",
    "initializer=random,zip_tie",
    "seed=0",
    "tokenizer.folder=tokenizers/extended",
    "model.path=models/tied",
    "stage.context=48",
    "stage.batch_size=4",
    "stage.max_steps=4",
    "stage.evaluate_every_tokens=400",
    "data.folder=null",  # the sample as it is
    "data.evaluation_bytes=1500",
    "evaluation_text_bytes=1500",
    "adapter.rank=4",
    "trainer.micro_batch=4",
    "tracking=local",
]
#: one whose jobs are still at work when they are stopped; few evaluations, each of which costs more than a step
LONG = [*SHORT, "stage.max_steps=60", "stage.evaluate_every_tokens=2000"]


def call(command, *arguments, cwd=None, **environment):
    """A command, whose data lie in `cwd` wherever those of the machine are."""
    code = f"import sys; sys.argv[0] = 'bailong-{command}'; from bailong import cli; cli.{command}()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "BAILONG_DATA"}
        | {"PYTHONPATH": str(Path(__file__).parents[1])}
        | environment,
        timeout=300,
    )
