"""Continued BPE on tokenizers of real models: what an extension buys, and what must not change.

    python benchmarks/extend.py --data $BAILONG_DATA

Each base is extended in a process of its own by Traditional Chinese (Taiwanese Wikipedia) and by Turkish (tldr, XQuAD
and PUD, as far as they are there), once at the largest size; smaller ones are cut from it. One document of ten is held
out. Seconds are CPU seconds of counting and learning, and memory is the peak until then.
Under Turkish, English is protected (transcripts, pages of tldr, one half of WikiText-2's articles; the other half is
measured), unless `--unprotected` is given.
`--methods FAMILY` compares the four methods on one base; `--again` learns twice and compares the bytes.
Limits (exit code 1): of continued BPE no English line is changed by Chinese and at most 0.1 % by Turkish,
no line is longer, every text comes back, and 95 % of the new Chinese tokens stand in running text (the training text,
read without `ignore_merges`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bailong.data.sources import share
from bailong.extend import continued, parity
from bailong.extend.card import by_merges, reader
from bailong.extend.extend import Base, open_base
from bailong.extend.pairs import Learned
from bailong.tokenizer import folder
from bailong.tokenizer.scripts import Alphabet, scripts_of
from bailong.tokenizer.settings import METHODS, Tokenizer

FAMILIES = {
    "llama2": "llama2_tokenizer/tokenizer.model",
    "mistral": "tokenizers/mistral/tokenizer.model",
    "smollm2": "tokenizers/smollm2/tokenizer_from_gguf.json.gz",
    "llama3_1": "tokenizers/llama3_1/tokenizer.json.gz",
    "qwen3": "tokenizers/qwen3/tokenizer.json.gz",
    "gemma3": "tokenizers/gemma3/tokenizer.json.gz",
    "tekken": "tokenizers/mistral/tekken_240911.json.gz",
}
SIZES = {"zh-Hant": [4_000, 20_000], "tr": [500, 2_000]}
HELD_OUT = 0.1
#: characters of a new token
LONGEST = {"zh-Hant": 6, "tr": 16}
USED, UNCHANGED = 0.95, 0.999


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSONL file, plain or .gz; none where it is not there."""
    for place in (path, path.with_name(f"{path.name}.gz")):
        if place.is_file():
            with (gzip.open if place.suffix == ".gz" else open)(place, "rt", encoding="utf-8") as stream:
                yield from map(json.loads, stream)
            return


def documents(data: Path, language: str) -> Iterator[str]:
    """Text of a language, by document."""
    if language == "zh-Hant":
        yield from (row["text"] for row in rows(data / "zhwiki" / "zh_tw.jsonl"))
    elif language == "en":
        yield from (row["text"] for row in rows(data / "wikitext2" / "docs.jsonl"))
    else:
        for row in rows(data / "tldr" / "parallel_en_ar_el_hi_tr_zhcn_zhtw.jsonl"):
            if language in row:
                yield "\n".join(row[language])
        yield from (row[language] for row in rows(data / "ud_pud" / "parallel_en_ar_hi_tr_zhtw.jsonl"))
        for file in (data / "xquad").glob(f"xquad.{language}.json*"):
            with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as stream:
                for article in json.load(stream)["data"]:
                    yield from (paragraph["context"] for paragraph in article["paragraphs"])


def protected(data: Path) -> Iterator[str]:
    """English that new tokens of its own script must leave alone."""
    yield from (row["text"] for row in rows(data / "archive_tw" / "en.jsonl"))
    for row in rows(data / "tldr" / "parallel_en_ar_el_hi_tr_zhcn_zhtw.jsonl"):
        yield "\n".join(row["en"])
    yield from (text for text in documents(data, "en") if share(text, "protect") < 0.5)


def cut(texts: Iterator[str], characters: int) -> list[str]:
    """Whole documents up to so many characters."""
    found, size = [], 0
    for text in texts:
        if size >= characters:
            break
        found.append(text)
        size += len(text)
    return found


def opened(data: Path, family: str, place: Path) -> Base:
    """A base as a user would give it; a compressed one is unpacked into `place`."""
    file = data / FAMILIES[family]
    if file.suffix == ".gz":
        name = "tekken.json" if "tekken" in file.name else "tokenizer.json"
        (place / name).write_bytes(gzip.decompress(file.read_bytes()))
        config = file.parent / "tokenizer_config.json.gz"
        if config.is_file():
            (place / config.stem).write_bytes(gzip.decompress(config.read_bytes()))
        file = place
    base = open_base(Tokenizer(name=family, base=str(file), method="continued"))
    assert base is not None
    return base


def learned_of(
    base: Base, language: str, texts: list[str], method: str, size: int, old: Iterator[str] | None = None
) -> Learned:
    """What `bailong-extend` learns of texts; with another script there is nothing to protect."""
    tokens, alphabet = base.as_list(), Alphabet(scripts_of(language), LONGEST[language])
    protected = continued.words_of(tokens, continued.lines_of(old or iter(())))
    counted = continued.count(tokens, alphabet, continued.lines_of(texts))
    return continued.train(tokens, alphabet, counted, method=method, size=size, protected=protected)


def measured(base: Base, learned: Learned, method: str, texts: dict[str, list[str]], place: Path) -> dict[str, Any]:
    """An extension written as a folder, and what the tokenizer of that folder does."""
    place.mkdir()
    made = folder.write(
        place, base.appended(learned, method), name=place.name, base_sha256=base.sha256, recipe={}, corpus={}
    )
    tokenizer = made.tokenizer()
    encode = reader(tokenizer)
    kept = {name: list(continued.lines_of(each)) for name, each in texts.items()}
    size = sum(len(line.encode()) for line in kept["held out"])
    used = {i for ids in by_merges(tokenizer, encode)(kept["training"]) for i in ids if i >= made.base_vocabulary}
    same = parity.same_ids(encode, base.encode, kept["English"])
    back = parity.round_trip(tokenizer, kept["held out"])
    return {
        "new": made.vocabulary - made.base_vocabulary,
        "before": size / sum(map(len, base.encode(kept["held out"]))),
        "after": size / sum(map(len, encode(kept["held out"]))),
        "used": len(used) / max(1, made.vocabulary - made.base_vocabulary),
        "English": sum(same) / len(same),
        "longer": parity.longer(base.encode, encode, kept["held out"] + kept["English"]),
        "round trip": sum(back) / len(back),
        "sha256": made.sha256,
    }


def work(options: argparse.Namespace, job: dict[str, Any]) -> list[dict[str, Any]]:
    """One process: a base, a language, a method; all sizes."""
    language, sizes = job["language"], job["sizes"]
    texts = cut(documents(options.data, language), options.characters)
    kinds = {
        "training": [text for text in texts if share(text, "held_out") >= HELD_OUT],
        "held out": [text for text in texts if share(text, "held_out") < HELD_OUT],
        "English": [text for text in documents(options.data, "en") if share(text, "protect") >= 0.5],
    }
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "base"
        place.mkdir()
        base = opened(options.data, job["family"], place)
        began = time.perf_counter(), time.process_time()
        old = protected(options.data) if language == "tr" and not options.unprotected else None
        learned = learned_of(base, language, kinds["training"], job["method"], max(sizes), old)
        seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
        figures = {"seconds": seconds, "cpu": cpu, "peak": peak}
        if options.again:
            anew = opened(options.data, job["family"], place)
            again = learned_of(anew, language, kinds["training"], job["method"], max(sizes))
            same = base.appended(learned, job["method"]).json == anew.appended(again, job["method"]).json
            return [job | figures | {"again": same, "new": len(learned.tokens)}]
        for size in sizes:
            seen = measured(base, learned.cut(size), job["method"], kinds, Path(scratch) / str(size))
            found.append(job | figures | {"size": size} | seen)
    return found


def table(found: list[dict[str, Any]]) -> Table:
    shown = Table("base", "language", "method", "new", "bytes/token", "used", "English", "longer", "back", "s", "GB")
    for row in found:
        shown.add_row(
            row["family"],
            row["language"],
            row["method"],
            f"{row['new']:,}",
            f"{row['before']:.3f} → {row['after']:.3f} ({row['after'] / row['before'] - 1:+.1%})",
            f"{row['used']:.1%}",
            f"{row['English']:.2%}",
            f"{row['longer']:,}",
            f"{row['round trip']:.2%}",
            f"{row['cpu']:.0f}",
            f"{row['peak']:.1f}",
        )
    return shown


def holds(row: dict[str, Any]) -> bool:
    """The limits, for continued BPE."""
    if "again" in row:
        return row["again"]
    new_script = row["language"] == "zh-Hant"
    return row["method"] != "continued" or (
        row["English"] >= (1 if new_script else UNCHANGED)
        and row["longer"] == 0
        and row["round trip"] == 1
        and (row["used"] >= USED or not new_script)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--languages", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--sizes", nargs="+", type=int, help="new tokens (4,000 and 20,000; Turkish 500 and 2,000)")
    parser.add_argument("--characters", type=int, default=2_000_000, help="of text that is read of a language")
    parser.add_argument("--methods", choices=FAMILIES, help="compare the methods on this base")
    parser.add_argument("--unprotected", action="store_true", help="protect no English under Turkish")
    parser.add_argument("--again", action="store_true", help="learn twice and compare the bytes")
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmarks"), help="where the figures go")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(work(options, json.loads(options.job))))
        return 0
    families = [options.methods] if options.methods else options.families
    methods = METHODS if options.methods else ("continued",)
    found: list[dict[str, Any]] = []
    for family in families:
        for language in options.languages:
            for method in methods:
                job = {"family": family, "language": language, "method": method}
                job["sizes"] = options.sizes or SIZES[language]
                command = [sys.executable, __file__, *sys.argv[1:], "--job", json.dumps(job)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
                found += json.loads(done.splitlines()[-1])
                print(json.dumps(found[-1]), file=sys.stderr)
    if options.again:
        for row in found:
            print(f"{row['family']}: {row['new']:,} tokens, the same bytes: {row['again']}, {row['cpu']:.0f} CPU s")
    else:
        Console(width=130).print(table(found))
    options.folder.mkdir(parents=True, exist_ok=True)
    ok = all(map(holds, found))
    record = {"rows": found, "ok": ok, "python": platform.python_version(), "characters": options.characters}
    (options.folder / "extend.json").write_text(json.dumps(record, indent=1) + "\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
