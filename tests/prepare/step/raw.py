"""The messy sample, and what its notes ask for."""

import json
from pathlib import Path

from bailong.data.sources import SAMPLE

PLACES = (SAMPLE / "raw.jsonl", Path(__file__).resolve().parents[4] / "shared" / "sample" / "raw.jsonl")


def rows() -> dict[str, dict[str, str]]:
    """Id -> row, of the sample inside the package."""
    place = next(path for path in PLACES if path.is_file())
    with place.open(encoding="utf-8") as stream:
        return {row["id"]: row for row in map(json.loads, stream)}


def must_stay(row: dict[str, str]) -> list[str]:
    """Strings that no step may change."""
    if "must stay: " not in row["notes"]:
        return []
    notes = row["notes"].split("must stay: ")[1]
    for other in ("; Taiwan term", "; one-to-many", "; fake", "; full-width", "; symbol", "; one real", "; review"):
        notes = notes.split(other)[0]
    return [part.strip() for part in notes.split(" | ") if part.strip() in row["text"]]
