"""The run folder: what was asked, whether it is finished, and who is writing to it.

A run is recognised by its identity (`bailong.train.identity`), a flat dict handed in by the recipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bailong.run.files import hold, write, write_json


def state(run: Run, facts: dict[str, Any], rerun: bool = False) -> str:
    """`new`, `started` (unfinished: it will be resumed) or `finished`.

    Raises:
        ValueError: the folder holds a run of other settings; the message lists the keys that differ.
    """
    asked = run.folder / "run.json"
    if rerun or not asked.exists():
        return "new"
    if differing := difference(json.loads(asked.read_text())["identity"], facts):
        raise ValueError(
            f"{run.folder} holds a run with other settings ({differing}); add rerun=true to start it over, "
            "or change a setting on the command line, which names another folder"
        )
    return "finished" if (run.folder / "result.json").exists() else "started"


def difference(before: dict[str, Any], now: dict[str, Any], most: int = 6) -> str:
    """`key: this before, that now; ...` of the keys in which two flat identities differ; empty if they are the same.
    What one of them lacks comes last: it mostly follows from something that changed.

    Args:
        before: as it was read from a file. most: keys that are named; of others their number.
    """
    now = json.loads(json.dumps(now, default=str))
    differing = [key for key in {*before, *now} if before.get(key) != now.get(key)]
    keys = sorted(differing, key=lambda key: (key not in before or key not in now, key))
    named = [f"{key}: {_short(before.get(key))} before, {_short(now.get(key))} now" for key in keys[:most]]
    return "; ".join(named) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def start(settings: Any, run: Run, facts: dict[str, Any], fingerprint: str) -> None:
    """Write what was asked: `config.yaml` and `run.json`; with `rerun`, clear what an older run left."""
    run.folder.mkdir(parents=True, exist_ok=True)
    if settings.rerun:
        for stale in (
            "result.json",
            "checkpoints/last.ckpt",
            "checkpoints/stable.ckpt",
            "checkpoints/rows.safetensors",
            "metrics.jsonl",
            "speed.jsonl",
            "starts.jsonl",
            "machine.json",
            "train.log",
            "audit.json",
            "left_out.json",
            "rows.json",
        ):
            (run.folder / stale).unlink(missing_ok=True)
        for kept in (run.folder / "checkpoints").glob("step-*.ckpt"):
            kept.unlink()
    (run.folder / "error.json").unlink(missing_ok=True)
    config = dataclasses.asdict(settings) | {"rerun": False, "pause_at": None}  # of a command, not of the run
    write(run.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    record = dataclasses.asdict(run) | {
        "folder": str(run.folder),
        "id": run.id,
        "identity": facts,
        "fingerprint": fingerprint,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(run.folder / "run.json", record)


def fail(run: Run, error: BaseException) -> None:
    """Leave the reason of a failure in the folder, for the sweep's table and the report."""
    run.folder.mkdir(parents=True, exist_ok=True)
    record = {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_json(run.folder / "error.json", record)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder: two processes never write to one run. The lock dies with its process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "run.lock").open("a+") as stream:
        if not hold(stream):
            stream.seek(0)
            raise ValueError(f"{folder} is being written by another process ({stream.read().strip()})")
        stream.truncate(0)
        stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def writer(folder: Path) -> str | None:
    """Who holds the folder, as it wrote itself down; None where nobody does."""
    place = folder / "run.lock"
    if not place.exists():
        return None
    with place.open("a+") as stream:
        if hold(stream):
            return None
        stream.seek(0)
        return stream.read().strip() or "unknown"


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Wait for the one process that makes something jobs share, so that it is made once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as stream:
        hold(stream, wait=True)
        yield


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:24] + "…"


def result(run: Run) -> dict[str, Any]:
    """What a finished run measured."""
    return json.loads((run.folder / "result.json").read_text())


@dataclass
class Run:
    """Where a run lives and what was asked for.

    `folder` is `<outputs>/<experiment>/<sweep>/<slug>`; single runs have `runs` in place of a sweep.
    """

    folder: Path
    name: str
    experiment: str | None
    sweep: str | None
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def group(self) -> str:
        """`experiment/sweep`: what W&B calls a group, and where a sweep's report stands."""
        return f"{self.experiment or 'adhoc'}/{self.sweep or 'runs'}"

    @property
    def id(self) -> str:
        """Deterministic, so that a resumed run is the same run in W&B; of this folder on this disk and no other."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]


#: settings that never change what is learned, or whose content hash stands in for them
IGNORED = (
    "tracking",
    "outputs",
    "plan",
    "rerun",
    "extend_run",
    "pause_at",
    "tokenizer",
    "model.path",
    "model.name",
    "data.name",
    "data.kind",
    "data.folder",
    "data.sources",
    "data.expected_tokens",
    "data.expected_dialogues",
    "old_language",
    "evaluation_texts",
    "evaluation_text_bytes",
    "evaluation_text_bytes_at_ends",
    "initializer.card_bytes",
    "trainer.name",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.threads",
    "trainer.gradient_checkpointing",
    "trainer.memory_gb",
    "trainer.card",
    "trainer.compile",
    "trainer.head_chunk",
    "trainer.checkpoint_every_steps",
    "trainer.keep_checkpoints",
    "trainer.deterministic",
)
