"""The folder that `bailong-prepare` fills: where it is, whether it is done, and the name by which others find it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from bailong.prepare.settings import Prepare
from bailong.run import files, folder
from bailong.run.checks import require

#: the group to which `bailong-prepare` adds what it made here
MADE = "data"


def place_of(settings: Prepare) -> Path:
    """The folder that the corpus goes to.

    Raises:
        ValueError: there can be no such folder.
    """
    name = settings.data.name
    require(bool(name) and "/" not in name, "data.name", name, "a file name: data/<name> is where the corpus goes")
    target = Path(settings.data.folder or f"data/{settings.data.name}")
    file = next((place for place in (target, *target.parents) if os.path.lexists(place) and not place.is_dir()), None)
    require(file is None, "data.folder", str(target), f"a folder, there or to be made, and {file} is a file")
    return target


def is_made(target: Path, identity: dict[str, Any], overwrite: bool) -> bool:
    """Whether `target` already holds this very corpus.

    Raises:
        ValueError: it holds another one, and that may not be overwritten.
    """
    file = target / "ledger.json"
    if not file.is_file():
        return False
    differing = folder.difference(json.loads(file.read_text(encoding="utf-8"))["identity"], identity)
    if differing and not overwrite:
        raise ValueError(
            f"{target} holds a corpus made with other settings ({differing}): add overwrite=true to make it again "
            "(what the change does not touch is kept), or give another data.folder"
        )
    return not differing


def describe(settings: Prepare, target: Path) -> None:
    """Leave `data/<name>.yaml`, by which `data=<name>` is known to the other commands, wherever the corpus lies."""
    data = settings.data
    written = {
        "defaults": ["/schema/data@_here_"],
        "name": data.name,
        "folder": str(target),
        "held_out": data.held_out,
        "evaluate_on": data.evaluate_on,
        "evaluation_bytes": data.evaluation_bytes,
    } | ({"kind": data.kind} if data.kind != "text" else {})
    text = f"# Made by bailong-prepare: the corpus in {target}.\n" + yaml.safe_dump(written, sort_keys=False)
    files.write(Path(MADE) / f"{data.name}.yaml", text)
