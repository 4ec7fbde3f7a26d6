"""Texts whose bits per byte are asked of a model by default: those that its run was evaluated on, or the sample's.

An exported folder says in its `export.json` (`evaluation`) where the held-out text of its run is, in which language,
and which text stood for the old language. Every text that a model tells of is scored under all models, so that their
figures compare.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from bailong.data import tokens
from bailong.data.evaluated import cut, lowest
from bailong.data.settings import Data, Source
from bailong.data.sources import documents, share
from bailong.data.turns import paragraph_digest
from bailong.evaluate.benchmark import loader
from bailong.evaluate.benchmark.item import Item, item_of
from bailong.evaluate.benchmark.settings import MODEL, Benchmark
from bailong.run.checks import require

#: where no model tells: the embedded sample's Chinese, and its English
SAMPLE, CHINESE, COLUMNS = "sample:corpus.jsonl", "zh-Hant", {"text": "zht"}
ENGLISH = {"source": {"path": SAMPLE, "text": "en", "language": "en"}, "bytes": 12_000, "held_out": 1.0}


def expanded(
    benchmarks: dict[str, Benchmark], folders: Sequence[str], say: Callable[[str], None]
) -> tuple[dict[str, Benchmark], dict[str, list[Item]]]:
    """Benchmarks with what `path: model` stands for in its place, and the items of all.

    Args:
        folders: of the models that are loaded here.
    """
    known = [told for folder in folders if (told := record(folder, say))]
    found: dict[str, Benchmark] = {}
    items: dict[str, list[Item]] = {}

    def add(benchmark: Benchmark, read: list[Item]) -> None:
        name, number = benchmark.name, 1
        while name in found:
            number += 1
            name = f"{benchmark.name}_{number}"
        found[name] = dataclasses.replace(benchmark, name=name)
        items[name] = [dataclasses.replace(item, benchmark=name) for item in read]

    for name, one in benchmarks.items():
        if one.path == MODEL:
            require(one.metric == "bits_per_byte", f"evaluation.{name}.path", MODEL, "a file where questions are asked")
            for benchmark, read in _of_models(one, known, say):
                add(benchmark, read)
        else:
            add(one, loader.load(one, say))
        if one.old_language:
            texts = _distinct(text for told in known for text in told["texts"] if text["old"]) or [ENGLISH]
            for text in texts:
                benchmark = _named(one, text["source"]["language"], text["source"]["path"])
                add(benchmark, _items(benchmark, _lowest(text)))
    for name, one in found.items():
        if one.metric == "bits_per_byte":
            spoken = one.language or f"a language that is not named (evaluation.{one.name}.language=..)"
            say(f"{name}: {len(items[name]):,} documents of {one.path} in {spoken}")
    return found, items


def record(folder: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    """What a model folder says of the texts of its run; of one that was exported before it did, nothing."""
    place = Path(folder) / "export.json"
    if not place.is_file():
        return None
    found = json.loads(place.read_text(encoding="utf-8")).get("evaluation")
    if not isinstance(found, dict):
        say(f"{place} does not say on which text its run was evaluated: export it again, or give a path")
        return None
    return found


def _of_models(
    one: Benchmark, known: list[dict[str, Any]], say: Callable[[str], None]
) -> Iterable[tuple[Benchmark, list[Item]]]:
    """The held-out texts that the models tell of; that of the sample where there is none."""
    read = 0
    for told in _distinct({"language": told["language"], "data": told["data"]} for told in known if told["data"]):
        sources = [Source(**source) for source in told["data"]["sources"]]
        data = Data(**told["data"] | {"sources": sources})
        try:
            held_out = tokens.split(data)[1]
        except (ValueError, OSError) as error:
            say(f"the held-out text of data={data.name} is not here ({error})")
            continue
        read += 1
        benchmark = _named(one, told["language"], data.folder or sources[data.evaluate_on].path)
        yield benchmark, _items(benchmark, held_out)
    if not read:
        benchmark = dataclasses.replace(one, path=SAMPLE, columns=COLUMNS | one.columns)
        yield _named(benchmark, one.language or CHINESE, SAMPLE), loader.load(benchmark, say)


def _named(one: Benchmark, language: str, path: str) -> Benchmark:
    name = f"{one.name}_{language}" if language else one.name
    return dataclasses.replace(one, name=name, language=language, path=path)


def _lowest(text: dict[str, Any]) -> list[str]:
    source = Source(**text["source"])
    below = (t for t in documents(source) if share(t, "held_out") < text["held_out"])
    return cut(lowest(below, text["bytes"]), text["bytes"])


def _items(benchmark: Benchmark, texts: list[str]) -> list[Item]:
    items = [
        item_of(benchmark, str(number), [text], paragraph=paragraph_digest(text))
        for number, text in enumerate(texts, 1)
    ]
    return loader.sample(items, benchmark.limit, benchmark.seed)


def _distinct(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
