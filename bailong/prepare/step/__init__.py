"""Steps of corpus preparation: one file, one dataclass, one YAML each (paper, section 3.2)."""

import importlib
from typing import Any

#: in the order in which a document meets them
TEXT = ("normalize", "markup", "convert", "punctuate", "banned", "sentence_filter", "templates", "quality")
PER_DOCUMENT = (*TEXT, "tokenize", "length")
GLOBAL = ("exact_dedup", "minhash", "semdedup")
ORDER = ("collect", *PER_DOCUMENT, *GLOBAL, "mix", "pack")


def step_class(name: str) -> Any:
    """The dataclass of a step: the one in its module whose `name` is the module's."""
    contents = vars(importlib.import_module(f"bailong.prepare.step.{name}"))
    return next(cls for cls in contents.values() if isinstance(cls, type) and getattr(cls, "name", None) == name)


def load(name: str, knobs: dict[str, Any]) -> Any:
    """A step with these knobs."""
    return step_class(name)(**knobs)
