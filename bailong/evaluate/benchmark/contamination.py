"""Whether test questions were trained on: passages and prompts of benchmarks against prepared dialogues.

Passages are compared, not articles: DRCD's own splits share articles (development and test 255 of them) and no
passage. Shared articles are counted and are no fault.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bailong.data.turns import paragraph_digest, turns_of
from bailong.evaluate.benchmark.item import Item
from bailong.reader.stream import Input, lines

#: bytes of a dialogue; none is as long
LONGEST = 1 << 30


@dataclass
class TrainingData:
    """What a folder of prepared dialogues holds, as digests (`paragraph_digest`) of passages and instructions."""

    folder: str
    dialogues: int = 0
    paragraphs: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    articles: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Overlap:
    """Items of one benchmark whose passage or whose very prompt was trained on, by id.

    `articles_shared` counts the articles that both draw on; None where the training data does not say what its are.
    """

    benchmark: str
    items: int
    paragraphs: tuple[str, ...]
    prompts: tuple[str, ...]
    articles_shared: int | None

    @property
    def ids(self) -> tuple[str, ...]:
        """The items that are not clean, each once."""
        return tuple(dict.fromkeys(self.paragraphs + self.prompts))

    def row(self) -> dict[str, Any]:
        """The findings as a JSON object."""
        return asdict(self)


def training_data(folder: Path) -> TrainingData:
    """Everything that `documents/*.jsonl.zst` of a folder made by `bailong-prepare` was trained on.

    Rows are dialogues: their `turns` (or `text`, the same serialised), and where known the `paragraph` that they ask
    about (one digest, or several after concatenation) and its `article`.

    Raises:
        ValueError: there is no such folder, or a row is no dialogue.
    """
    shards = sorted((folder / "documents").glob("*.jsonl.zst"))
    if not shards:
        raise ValueError(f"sft={folder} holds no documents/*.jsonl.zst: give a folder that bailong-prepare wrote")
    found = TrainingData(str(folder))
    for shard in shards:
        for number, _, line, _ in lines(Input(shard), LONGEST):
            row = json.loads(line)
            try:
                turns = turns_of(row.get("turns") or row.get("text"))
            except ValueError as error:
                raise ValueError(f"sft={folder}: {shard.name}, row {number}: {error}") from None
            found.dialogues += 1
            found.paragraphs.update(_several(row.get("paragraph")))
            found.articles.update(_several(row.get("article")))
            found.prompts.update(paragraph_digest(turn.instruction) for turn in turns)
    return found


def compare(items: list[Item], against: TrainingData) -> Overlap:
    """What the items of one benchmark share with the training data."""
    assert items
    titles = {str(item.meta["title"]) for item in items if item.meta.get("title")}
    return Overlap(
        items[0].benchmark,
        len(items),
        tuple(item.id for item in items if against.paragraphs.intersection(item.paragraph.split())),
        tuple(item.id for item in items if any(paragraph_digest(text) in against.prompts for text in _asked(item))),
        len(titles & against.articles) if against.articles else None,
    )


def require_clean(overlaps: list[Overlap], against: TrainingData) -> None:
    """Raise `ValueError` if any item was trained on, naming the first few."""
    if found := [overlap for overlap in overlaps if overlap.ids]:
        named = "; ".join(
            f"{overlap.benchmark} {len(overlap.ids)} of {overlap.items} ({', '.join(overlap.ids[:5])}"
            f"{', ...' if len(overlap.ids) > 5 else ''})"
            for overlap in found
        )
        raise ValueError(f"sft={against.folder} trained on test questions: {named}")


def _asked(item: Item) -> list[str]:
    """What may have been trained on as an instruction: the prompts, and of multiple choice the bare question.

    The bare question about a passage (who? when?) is asked of other passages too, and proves nothing.
    """
    return [*item.prompts, *([str(item.meta["question"])] if item.choices else [])]


def _several(value: Any) -> list[str]:
    """One value or several as a list; text may hold several between spaces."""
    return [str(one) for one in value] if isinstance(value, list) else str(value or "").split()
