"""From the settings of a benchmark to its items."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from bailong.evaluate.benchmark import bench, multiple_choice, parallel, passages, rows, shapes
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.preface import system
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.run.checks import one_of

SHAPES = {
    "squad": passages.questions,
    "fgc": passages.questions,
    "labelled": shapes.labelled,
    "summary": shapes.summary,
    "ttqa": shapes.ttqa,
    "gsm8k": shapes.gsm8k,
    "text": shapes.text,
    "mt_bench": bench.mt_bench,
    "bench": bench.bench,
    "multiple_choice": multiple_choice.questions,
    "parallel": parallel.sentences,
}
#: those that find their files themselves: a folder of them, or two
OWN_FILES = ("multiple_choice", "parallel")


def load(benchmark: Benchmark, say: Callable[[str], None] = lambda line: None) -> list[Item]:
    """The items of a benchmark, `limit` of them if it says so, in the file's order.

    Args:
        say: hears of what is odd and no error: fewer items than expected, other categories.

    Raises:
        ValueError: for whatever keeps it from being read, with evaluation.<name>.<key>.
    """
    where = f"evaluation.{benchmark.name}"
    one_of(f"{where}.shape", benchmark.shape, SHAPES)
    if benchmark.shape == "mt_bench":
        benchmark = bench.questions_file(benchmark)
    read: Callable[..., Iterator[Item]] = SHAPES[benchmark.shape]
    if benchmark.shape in ("bench", "text"):
        read = partial(read, say=say)
    alone = benchmark.shape in OWN_FILES
    items = list(read(benchmark) if alone else read(benchmark, rows.read(benchmark)))
    twice = [name for name, count in Counter(item.id for item in items).items() if count > 1]
    if twice:
        raise ValueError(f"{where}: {len(twice)} ids stand for several items ({', '.join(twice[:3])}): columns.id?")
    if not items:
        raise ValueError(f"{where}.path={benchmark.path} holds no items")
    if benchmark.expected is not None and len(items) != benchmark.expected and not benchmark.subjects:
        say(f"{where}: {len(items):,} items where {benchmark.expected:,} are expected (evaluation of another split?)")
    return [_asked(item, benchmark.turns, system(benchmark)) for item in sample(items, benchmark.limit, benchmark.seed)]


def _asked(item: Item, turns: int | None, system: str) -> Item:
    """The item as far as it is asked, behind its system prompt."""
    first = {name: getattr(item, name)[:turns] for name in ("prompts", "references")}
    return replace(item, **first, system=system)


def sample(items: list[Item], limit: int | None, seed: int) -> list[Item]:
    """`limit` items by the hash of seed and id, in their order: a larger limit draws the same ones and more."""
    if limit is None or limit >= len(items):
        return items

    def place(item: Item) -> bytes:
        return hashlib.sha256(f"{seed}|{item.id}".encode()).digest()

    border = sorted(map(place, items))[limit - 1]
    return [item for item in items if place(item) <= border]


def digest(items: Iterable[Item]) -> str:
    """SHA-256 of everything that the items say."""
    total = hashlib.sha256()
    for item in items:
        total.update(json.dumps(item.row(), ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
        total.update(b"\n")
    return total.hexdigest()
