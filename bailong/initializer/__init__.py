"""The initializers that come with Bailong, and a user's own: `initializers/*.py` below the folder that is worked in."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

#: where a user's own are looked for
OWN = "initializers"

if os.path.isdir(OWN):
    __path__.append(os.path.abspath(OWN))  # imported as modules of this package, in the jobs of a sweep too


def own_file(initializer: Any) -> Path | None:
    """The file that a user's own initializer, or its class, stands in; None for one that comes with Bailong."""
    cls = initializer if isinstance(initializer, type) else type(initializer)
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is None or Path(__file__).resolve().parent in Path(file).resolve().parents:
        return None
    return Path(file).resolve()


def rules(initializer: Any) -> dict[str, Any]:
    """The rules that new rows are made by: `initializer`, and `initializer.embed` or `.head` where that is another."""
    sides = {f"initializer.{side}": initializer.side(side) for side in ("embed", "head")}
    return {"initializer": initializer} | {w: rule for w, rule in sides.items() if type(rule) is not type(initializer)}


def own_code(initializer: Any) -> str | None:
    """The sha256 of that file."""
    file = own_file(initializer)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else None
