"""Which shards take part in a step that compares documents with each other."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from bailong.prepare.step.base import GlobalStep, ShardRef

S = TypeVar("S", bound=GlobalStep)


class Numbered(NamedTuple):
    """A shard that takes part, and its place in the run's shard list, which drops refer to."""

    position: int
    shard: ShardRef


def taking_part(settings: Mapping[int, S], shards: Sequence[ShardRef]) -> tuple[S, list[Numbered]]:
    """The one setting of a step, and the shards of the sources that have it.

    Args:
        settings: source position -> knobs, for the sources that take part.

    Raises:
        ValueError: the knobs of two sources differ.
    """
    (first, knobs), *others = sorted(settings.items())
    for source, theirs in others:
        for field in dataclasses.fields(knobs):
            ours, other = getattr(knobs, field.name), getattr(theirs, field.name)
            if ours != other:
                raise ValueError(
                    f"{knobs.name}.{field.name} is {ours} for data.sources[{first}] and {other} for "
                    f"data.sources[{source}]: documents of all sources are compared with each other, so of its knobs "
                    f"only {knobs.name}.enabled can be set for one source"
                )
    return knobs, [Numbered(i, shard) for i, shard in enumerate(shards) if shard.source in settings]


def ranged(scope: str, taking: Sequence[Numbered], records: int = 1) -> tuple[int, list[dict[str, Any]]]:
    """Number of ranges into which the hashes are cut, and the arguments of the task that writes those of each shard.

    Args:
        scope: `source` makes the hashes of two sources differ, by the `salt` of the task; `global` does not.
        records: hashes of a document.
    """
    from bailong.prepare.dedup.partition import ranges

    parts = ranges(records * sum(shard.documents for _, shard in taking))
    salts = [shard.source + 1 if scope == "source" else 0 for _, shard in taking]
    return parts, [
        {"number": position, "salt": salt, "parts": parts} for (position, _), salt in zip(taking, salts, strict=True)
    ]


def arguments(taking: Sequence[Numbered]) -> dict[str, Any]:
    """What `documents.Documents.of` needs beside the shards' folders."""
    return {
        "sources": [shard.source for _, shard in taking],
        "positions": [position for position, _ in taking],
        "documents": [shard.documents for _, shard in taking],
    }
