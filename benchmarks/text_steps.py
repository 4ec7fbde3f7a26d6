"""Text steps: speed on real text beside what people use for them, in one run on the same files.

    python benchmarks/text_steps.py --traditional zhwiki/zh_tw.jsonl.gz --simplified zhwiki/zh_cn.jsonl.gz

MB of UTF-8 per second of CPU time, one thread, best of three. Beside ours: stock OpenCC, `str.translate` for
punctuation (wrong, but the speed to beat), pyahocorasick, pysbd; the last two only where they are installed.
Limits (exit code 1): documents changed by the guarded conversion of Traditional text <= 0.1 %, every Simplified
document converted, guarded conversion of Traditional text >= 150 MB/s, sentence filter and quality >= 30 MB/s,
banned words >= 200 MB/s at 2,000 words and >= 80 MB/s at 20,000.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bailong.prepare import step

WIDE = str.maketrans(",;:!?()", "，；：！？（）")
LIMITS = {
    "convert, Traditional": 150,
    "sentence_filter": 30,
    "quality": 30,
    "banned, 2,000 words": 200,
    "banned, 20,000 words": 80,
}


def texts_of(path: Path, most: int | None) -> list[str]:
    """The field `text` of every row."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        found = [json.loads(line)["text"] for line in stream]
    return found[:most]


def speed(work: Callable[[str], Any], texts: list[str]) -> float:
    """MB of UTF-8 per CPU second over the texts."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    times = []
    for _ in range(3):
        began = time.process_time()
        for text in texts:
            work(text)
        times.append(time.process_time() - began)
    return size / min(times)


def words_of(texts: list[str], count: int, rng: random.Random) -> list[str]:
    """Words of two to four characters that share their first characters with the text and hardly ever occur in it."""
    found: set[str] = set()
    while len(found) < count:
        text = rng.choice(texts)
        at, length = rng.randrange(max(1, len(text) - 4)), rng.randint(2, 4)
        piece = text[at : at + length - 1]
        if piece and all("\u4e00" <= c <= "\u9fff" for c in piece):
            found.add(piece + chr(0x4E00 + rng.randrange(20_000)))
    return sorted(found)


def conversion(traditional: list[str], simplified: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Guarded against stock OpenCC: speeds, and shares of documents changed."""
    import opencc

    stock = opencc.OpenCC("s2twp").convert
    ours = step.load("convert", {}).open()
    speeds = {
        "convert, Traditional": speed(ours, traditional),
        "  stock s2twp": speed(stock, traditional[:5000]),
        "convert, Simplified": speed(ours, simplified),
        "  stock s2twp, Simplified": speed(stock, simplified),
    }
    changed = {
        "Traditional, guarded": share(lambda t: ours(t).text != t, traditional),
        "Traditional, stock": share(lambda t: stock(t) != t, traditional[:5000]),
        "Simplified, guarded": share(lambda t: ours(t).text != t, simplified),
    }
    return speeds, changed


def share(holds: Callable[[str], bool], texts: list[str]) -> float:
    return sum(map(holds, texts)) / len(texts)


def banned(texts: list[str], folder: Path) -> dict[str, float]:
    """Banned words of three kinds of automaton, at two sizes of list."""
    found: dict[str, float] = {}
    rng = random.Random(0)
    for count in (2_000, 20_000):
        words = words_of(texts, count, rng)
        file = folder / f"{count}.txt"
        file.write_text("\n".join(words), encoding="utf-8")
        knobs = {"list": str(file), "convert": None}
        label = f"banned, {count:,} words"
        found[label] = speed(step.load("banned", knobs | {"obfuscated": False}).open(), texts)
        found[f"{label}, through signs"] = speed(step.load("banned", knobs).open(), texts)
        if importlib.util.find_spec("ahocorasick"):
            import ahocorasick

            automaton = ahocorasick.Automaton()
            for word in words:
                automaton.add_word(word, word)
            automaton.make_automaton()
            found[f"  pyahocorasick, {count:,}"] = speed(
                lambda t, a=automaton: any(True for _ in a.iter(t)), texts[:3000]
            )
    return found


def others(texts: list[str]) -> dict[str, float]:
    """The other steps."""
    found: dict[str, float] = {}
    for name in ("normalize", "markup", "punctuate", "sentence_filter", "quality"):
        found[name] = speed(step.load(name, {}).open(), texts)
        if name == "punctuate":
            found["  str.translate"] = speed(lambda t: t.translate(WIDE), texts)
        if name == "sentence_filter" and importlib.util.find_spec("pysbd"):
            import pysbd

            found["  pysbd (splitting alone)"] = speed(pysbd.Segmenter(language="zh", clean=False).segment, texts[:100])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traditional", type=Path, required=True, help="JSONL with a field `text`, plain or .gz")
    parser.add_argument("--simplified", type=Path, required=True, help="the same in Simplified Chinese")
    parser.add_argument("--documents", type=int, help="read only so many")
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmarks"), help="where the figures go")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    traditional = texts_of(options.traditional, options.documents)
    simplified = texts_of(options.simplified, options.documents)
    speeds, changed = conversion(traditional, simplified)
    speeds |= banned(traditional, options.folder) | others(traditional)
    table = Table("step", "MB per CPU second", "limit", title=f"{len(traditional):,} documents")
    for name, value in speeds.items():
        table.add_row(name, f"{value:,.1f}", f"{LIMITS[name]:,}" if name in LIMITS else "")
    Console(width=100).print(table)
    print({name: f"{value:.2%}" for name, value in changed.items()})
    ok = {name: speeds[name] >= limit for name, limit in LIMITS.items()}
    ok["Traditional text stays"] = changed["Traditional, guarded"] <= 0.001
    ok["Simplified text is converted"] = changed["Simplified, guarded"] == 1
    record = {"speeds": speeds, "changed": changed, "ok": ok, "python": platform.python_version()}
    (options.folder / "text_steps.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(ok))
    return 0 if all(ok.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
