"""What was measured of a model itself, as rows of the tables: bits per byte, and how two languages lie in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from bailong.report.units import plural
from bailong.text.translation import english_name


def rows(name: str, about: Mapping[str, Any], found: Mapping[str, Any] | None) -> Iterator[list[str]]:
    """Measure, value, 95 % interval, and on how much text it rests; nothing where nothing was measured.

    Args:
        about: of the benchmark, as `scores.json` tells it.
    """
    if not found:
        return
    if about["metric"] == "representation":
        yield from _alignment(found)
        return
    language = about.get("language")
    named = not language or name.endswith(language)  # as those of `path: model` are
    what = "bits per byte" if named else f"bits per byte ({language})"
    yield [what, f"{found['bits_per_byte']:.4f}", "", plural(found["documents"], "document")]


def sides(found: Mapping[str, Any]) -> list[str]:
    """What both languages are called."""
    return [english_name(label) for label in found["languages"]]


def percent(band: Mapping[str, Any]) -> list[str]:
    """A share and its interval."""
    between = "" if band["low"] is None else f"{100 * band['low']:.1f} to {100 * band['high']:.1f}"
    return [f"{100 * band['mean']:.1f} %", between]


def _alignment(found: Mapping[str, Any]) -> Iterator[list[str]]:
    pairs = plural(found["sentences"], "pair")
    first, last = found["middle"]["layers"]
    inner = f"layer {first}" if first == last else f"layers {first} to {last}"
    yield [f"retrieval@1, middle ({inner})", *percent(found["middle"]["retrieval"]), pairs]
    yield [f"retrieval@1, best (layer {found['best']['layer']})", *percent(found["best"]["retrieval"]), pairs]
