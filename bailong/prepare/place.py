"""The folder that `bailong-prepare` fills: where it is, whether it is done, and the name by which others find it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bailong.run import files, folder
from bailong.run.checks import require
from bailong.run.provenance import command_line

if TYPE_CHECKING:
    from bailong.prepare.settings import Prepare

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


def made(target: Path, identity: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The ledger of this very corpus if `target` holds it already.

    Raises:
        ValueError: it holds another one, and that may not be overwritten.
    """
    file = target / "ledger.json"
    if not file.is_file():
        return None
    ledger = json.loads(file.read_text(encoding="utf-8"))
    differing = folder.difference(ledger["identity"], identity)
    if differing and not overwrite:
        raise ValueError(
            f"{target} holds a corpus made with other settings ({differing}): add overwrite=true to make it again "
            "(what the change does not touch is kept), or give another data.folder"
        )
    return None if differing else ledger


def heading(name: str, identity: dict[str, Any], **more: str) -> dict[str, Any]:
    """What every ledger begins with."""
    return {
        "name": name,
        **more,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": command_line(),
        "identity": identity,
        "fingerprint": hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest(),
    }


def fresh(target: Path, *folders: str) -> Path:
    """A folder in `target` with empty `folders`, for what `put` puts in place."""
    place = target / ".fresh"
    shutil.rmtree(place, ignore_errors=True)
    for name in folders:
        (place / name).mkdir(parents=True)
    return place


def put(fresh: Path, ledger: dict[str, Any], page: str, target: Path, *names: str) -> None:
    """Put everything in place: first the old ledger goes, last the new one comes, so nobody reads half of it.

    `names`: the files and folders beside report and ledger; of one that is not in `fresh` the old one goes.
    """
    (fresh / "report.html").write_text(page, encoding="utf-8")
    (fresh / "ledger.json").write_text(json.dumps(ledger, ensure_ascii=False, indent=1), encoding="utf-8")
    (target / "ledger.json").unlink(missing_ok=True)
    for name in (*names, "report.html", "ledger.json"):
        shutil.rmtree(target / name, ignore_errors=True)  # a file is replaced
        if (fresh / name).exists():
            (fresh / name).replace(target / name)
    fresh.rmdir()


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
    }
    if data.bytes_at_ends:
        written["evaluation_bytes_at_ends"] = data.bytes_at_ends
    if data.kind != "text":
        written["kind"] = data.kind
    text = f"# Made by bailong-prepare: the corpus in {target}.\n" + yaml.safe_dump(written, sort_keys=False)
    files.write(Path(MADE) / f"{data.name}.yaml", text)
