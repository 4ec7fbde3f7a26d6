"""The language rule of bailong-evaluate: how often it is wrong on real text of a known language.

    python benchmarks/language_rule.py --data DIR

DIR holds drcd/DRCD_dev.json; what else of zhwiki, moj_law, archive_tw, ud_pud, tldr, gsm8k it holds is measured too
(paragraphs of 20 characters and more). Limits (exit code 1), on the paragraphs of DRCD: called Simplified <= 1 %, and
of their conversion to Simplified by OpenCC >= 99 %. A second table says how often a trace of Simplified Chinese
is seen in paragraphs as they are, and in those without one after OpenCC has made pairs of their characters Simplified.
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
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import opencc
from rich.console import Console
from rich.table import Table

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.language import verdict
from bailong.text.spoken.identify import LABELS, language_of

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
    ("ud_pud/parallel_en_zhtw_tr.jsonl.gz", "en", "english"),
    ("ud_pud/parallel_en_zhtw_tr.jsonl.gz", "tr", "other"),
    ("tldr/parallel_en_zhtw_zhcn_tr.jsonl.gz", "tr", "other"),
)
#: pairs of characters that are made Simplified in a paragraph
PLANTED = (0, 1, 2, 3, 5)
PLAIN = Item("", "", [""], answer_language="zh-Hant")


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
            texts = texts_of(options.data / name, field, options.most)
            rows[f"{name}, {field}"] = label, texts
            if field == "tr":
                rows[f"{name}, tr in ASCII"] = label, list(map(in_ascii, texts))

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
    show_traces(
        {name: texts for name, (label, texts) in rows.items() if label == "traditional" and name.endswith("text")}
    )
    print(json.dumps({"opencc": opencc.__version__, "python": platform.python_version(), "shares": shares}))
    wrong = shares["DRCD paragraphs"]["simplified"]
    found = min(shares[f"DRCD paragraphs, {config}"]["simplified"] for config in ("tw2s", "t2s"))
    return int(wrong > 0.01 or found < 0.99)


def show_traces(kinds: dict[str, list[str]]) -> None:
    """Shares of texts in which Simplified characters are seen: a trace, or so many that it is a violation."""
    convert, rng = opencc.OpenCC("t2s").convert, random.Random(0)
    table = Table("text", *(f"{count} planted" for count in PLANTED), title="Simplified Chinese seen, % of texts")
    for name, texts in kinds.items():
        shares = []
        for count in PLANTED:
            found = [seen(planted(text, count, convert, rng)) for text in texts]
            if not count:
                texts = [text for text, had in zip(texts, found, strict=True) if not had]
            shares.append(f"{100 * sum(found) / len(found):.2f}")
        table.add_row(name, *shares)
    Console(width=150).print(table)


def seen(text: str) -> bool:
    ruling = verdict(PLAIN, [text])
    return ruling.status == "violation" or bool(ruling.trace and ruling.trace.words)


def planted(text: str, count: int, convert: Callable[[str], str], rng: random.Random) -> str:
    """The text with some pairs of Han characters in Simplified form, of those that have another one."""
    pairs = [found.span() for found in re.finditer("[\u4e00-\u9fff]{2}", text) if convert(found[0]) != found[0]]
    for start, end in rng.sample(pairs, min(count, len(pairs))):
        text = text[:start] + convert(text[start:end]) + text[end:]
    return text


def in_ascii(text: str) -> str:
    """Turkish as it is typed without its letters."""
    plain = unicodedata.normalize("NFD", text.replace("ı", "i"))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


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
