"""The run folder: what was asked, whether it is finished, and who is writing to it.

A run is recognised by its identity (`bailong.train.identity`), a flat dict handed in by the recipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
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


def state(run: Run, facts: dict[str, Any], rerun: bool = False) -> str:
    """`new`, `started` (unfinished: it will be resumed) or `finished`.

    Raises:
        ValueError: the folder holds a run of other settings; the message lists the keys that differ.
    """
    asked = run.folder / "run.json"
    if rerun or not asked.exists():
        return "new"
    before, now = json.loads(asked.read_text())["identity"], json.loads(json.dumps(facts))
    differing = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if differing:
        shown = "; ".join(
            f"{key}: {_short(before.get(key))} before, {_short(now.get(key))} now" for key in differing[:6]
        )
        raise ValueError(
            f"{run.folder} holds a run with other settings ({shown}); add rerun=true to start it over, "
            "or change a setting on the command line, which names another folder"
        )
    return "finished" if (run.folder / "result.json").exists() else "started"


def start(settings: Any, run: Run, facts: dict[str, Any], fingerprint: str) -> None:
    """Write what was asked: `config.yaml` and `run.json`; with `rerun`, clear what an older run left."""
    run.folder.mkdir(parents=True, exist_ok=True)
    if settings.rerun:
        for stale in ("result.json", "checkpoints/last.ckpt", "metrics.jsonl", "speed.jsonl", "train.log"):
            (run.folder / stale).unlink(missing_ok=True)
    (run.folder / "error.json").unlink(missing_ok=True)
    config = dataclasses.asdict(settings) | {"rerun": False}
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
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise ValueError(f"{folder} is being written by another process ({stream.read().strip()})") from None
        stream.truncate(0)
        stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Wait for the one process that makes something jobs share, so that it is made once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def write(path: Path, text: str, errors: str = "strict") -> None:
    """Write a whole file or none of it. `errors`: what becomes of half a surrogate pair, as in `str.encode`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_text(text, encoding="utf-8", errors=errors)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "…"


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
    "tokenizer",
    "model.path",
    "model.name",
    "data.name",
    "data.kind",
    "data.folder",
    "data.sources",
    "data.expected_tokens",
    "data.expected_dialogues",
    "trainer.name",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.threads",
    "trainer.gradient_checkpointing",
    "trainer.head_chunk",
    "trainer.checkpoint_every_steps",
    "trainer.deterministic",
)
