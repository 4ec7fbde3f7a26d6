"""The language rule of bailong-evaluate: how often it is wrong on real text of a known language.

    python benchmarks/language_rule.py --data DIR

DIR holds drcd/DRCD_dev.json; what else of zhwiki, moj_law, archive_tw, ud_pud, tldr, gsm8k it holds is measured too
(paragraphs of 20 characters and more). Limits (exit code 1), on the paragraphs of DRCD: called Simplified <= 1 %, and
of their conversion to Simplified by OpenCC >= 99 %.
"""

from __future__ import annotations

import argparse
import gzip
import json
import platform
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import opencc
from rich.console import Console
from rich.table import Table

from bailong.evaluate.judge.language import LABELS, language_of

#: file, field, language of the texts
OTHERS = (
    ("zhwiki/zh_tw.jsonl.gz", "text", "traditional"),
    ("moj_law/zh_tw.jsonl.gz", "text", "traditional"),
    ("archive_tw/zh_tw.jsonl.gz", "text", "traditional"),
    ("ud_pud/parallel_en_zhtw_tr.jsonl.gz", "zh", "traditional"),
    ("zhwiki/zh_cn.jsonl.gz", "text", "simplified"),
    ("tldr/parallel_en_zhtw_zhcn_tr.jsonl.gz", "zh", "simplified"),
    ("archive_tw/en.jsonl.gz", "text", "english"),
    ("gsm8k/test.jsonl.gz", "answer", "english"),
    ("ud_pud/parallel_en_zhtw_tr.jsonl.gz", "tr", "other"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of real data")
    parser.add_argument("--most", type=int, default=20_000, help="texts of each file")
    options = parser.parse_args()

    articles = json.loads((options.data / "drcd" / "DRCD_dev.json").read_text(encoding="utf-8-sig"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [question for paragraph in paragraphs for question in paragraph["qas"]]
    kinds = {
        "paragraphs": [paragraph["context"] for paragraph in paragraphs],
        "questions": [question["question"] for question in questions],
        "answers": [question["answers"][0]["text"] for question in questions],
    }
    rows: dict[str, tuple[str, list[str]]] = {}
    for kind, texts in kinds.items():
        rows[f"DRCD {kind}"] = "traditional", texts
        for config in ("tw2s", "t2s"):
            rows[f"DRCD {kind}, {config}"] = "simplified", list(map(opencc.OpenCC(config).convert, texts))
    mixed = slipped(kinds["paragraphs"], opencc.OpenCC("tw2s").convert)
    rows["DRCD paragraphs, one sentence tw2s"] = "simplified", mixed
    for name, field, label in OTHERS:
        if (options.data / name).is_file():
            rows[f"{name}, {field}"] = label, texts_of(options.data / name, field, options.most)

    table = Table("text", "texts", "is", *LABELS, "texts/s", title="What the rule calls texts, %")
    shares: dict[str, dict[str, float]] = {}
    for name, (label, texts) in rows.items():
        began = time.process_time()
        found = Counter(language_of(text).label for text in texts)
        speed = len(texts) / max(1e-9, time.process_time() - began)
        shares[name] = {each: found[each] / len(texts) for each in LABELS}
        table.add_row(
            name, f"{len(texts):,}", label, *(f"{100 * shares[name][each]:.2f}" for each in LABELS), f"{speed:,.0f}"
        )
    Console(width=150).print(table)
    print(json.dumps({"opencc": opencc.__version__, "python": platform.python_version(), "shares": shares}))
    wrong = shares["DRCD paragraphs"]["simplified"]
    found = min(shares[f"DRCD paragraphs, {config}"]["simplified"] for config in ("tw2s", "t2s"))
    return int(wrong > 0.01 or found < 0.99)


def texts_of(path: Path, field: str, most: int) -> list[str]:
    """Paragraphs of the field of every row; whole rows where they are sentences."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        lines = [line for row in map(json.loads, stream) for line in pieces(row.get(field) or "", field == "text")]
    return lines[:most]


def pieces(text: str, paragraphs: bool) -> Iterable[str]:
    return [line for line in text.split("\n") if len(line) >= 20] if paragraphs else [text] if text else []


def slipped(paragraphs: list[str], convert: Callable[[str], str]) -> list[str]:
    """Paragraphs of three sentences and more, one of which, that its script tells, is converted."""
    rng, found = random.Random(0), []
    for paragraph in paragraphs:
        sentences = re.split(r"(?<=[。！？])(?=.)", paragraph)
        place = rng.randrange(len(sentences))
        converted = convert(sentences[place])
        if len(sentences) >= 3 and converted != sentences[place]:
            found.append("".join([*sentences[:place], converted, *sentences[place + 1 :]]))
    return found


if __name__ == "__main__":
    sys.exit(main())
