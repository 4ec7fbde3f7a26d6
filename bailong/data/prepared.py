"""A folder that `bailong-prepare` filled, from the side of those who read it."""

import json
from pathlib import Path
from typing import Any

from bailong.data import paths
from bailong.data.settings import Data, Source


def sources_of(data: Data) -> list[Source]:
    """The bodies of text to read: those of the prepared folder, or the sources of the config as they are.

    Raises:
        ValueError: nothing is prepared there, or it was made from other sources than the config names.
    """
    if data.folder is None:
        return data.sources
    there = ledger(data)["sources"]
    before, now = [s["path"] for s in there], [s.path for s in data.sources]
    if now and [_last(path) for path in before] != [_last(path) for path in now]:
        raise ValueError(
            f"data.folder={data.folder} was made from other sources ({', '.join(before)}): make it again with "
            "bailong-prepare, or set data.folder=null to read data.sources as they are"
        )
    folder = Path(data.folder)
    kind = "dialogue" if data.kind == "dialogue" else "auto"
    shares = [source.held_out for source in data.sources] or [s.get("held_out") for s in there]
    return [
        Source(
            path=f"{folder}/documents/{s['name']}-*.jsonl.zst",
            language=s["language"],
            name=s["name"],
            kind=kind,
            held_out=share,
        )
        for s, share in zip(there, shares, strict=True)
    ]


def names_of(bodies: list[Source]) -> list[str]:
    """What the sources of a run are called by, prepared or not: their names, or what their paths suggest."""
    return [body.name or paths.name_of(body.path) for body in bodies]


def kinds_of(data: Data) -> list[str]:
    """What the records of each source were: of a prepared folder what they were before it (`pairs`, `alpaca`, ..)."""
    if data.folder is None:
        return [source.kind for source in data.sources]
    return [source.get("shape") or "auto" for source in ledger(data)["sources"]]


def _last(path: str) -> str:
    """What of a path is the same on every machine: the folders above a file are not. The raw text need not be there."""
    return path if path.startswith("hub:") else path.split("/")[-1]


def ledger(data: Data) -> dict[str, Any]:
    """The ledger of a prepared folder. It is written last: without it nothing is prepared."""
    file = Path(str(data.folder)) / "ledger.json"
    if not file.is_file():
        raise ValueError(
            f"data.folder={data.folder} holds no prepared corpus: make it with bailong-prepare data={data.name}, "
            "or set data.folder=null to read data.sources as they are"
        )
    return json.loads(file.read_text(encoding="utf-8"))


def packed(data: Data, tokenizer_sha256: str | None, markers: list[int]) -> Path | None:
    """The folder of ready ids, if they are what training on `data` would make: same tokenizer, markers and split."""
    if data.folder is None or tokenizer_sha256 is None or data.take:
        return None
    made = ledger(data).get("pack")
    asked = {
        "tokenizer": tokenizer_sha256,
        "markers": markers,
        "held_out": data.held_out,
        "evaluate_on": data.evaluate_on,
        "evaluation_bytes": data.evaluation_bytes,
        "evaluation_bytes_at_ends": data.bytes_at_ends,
    }
    if not made or any(made.get(key) != value for key, value in asked.items()):
        return None
    return Path(data.folder) / "tokens"
