"""The whole of bailong-prepare: cost of a document from 10,000 to 300,000 documents, and memory on one large shard.

    python benchmarks/prepare.py --texts $BAILONG_DATA/zhwiki/zh_tw.jsonl.gz
    python benchmarks/prepare.py --texts ... --gigabyte     # one file of 1 GB as a single shard

Each document is four stretches of 100 characters from all over the texts, 30 % are copies with 1 % of their
characters changed. Every 10,000 documents have their Chinese characters shuffled among themselves: else the few texts
would run out, and it would be near-duplicates that grow, not documents. CPU seconds (user and system) of the command
with one worker, start-up included. Limits (exit code 1): at no size may a document cost more than 1.5 times what it
cost at a smaller one (it costs less: start-up and the sample of the templates report do not grow); 1 GB of memory.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

CURVE = (10_000, 30_000, 100_000, 300_000)
BLOCK = 10_000


def characters(path: Path) -> np.ndarray:
    """[characters] uint32, the field `text` of every row, one after another, without line ends."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        texts = "".join(json.loads(line)["text"].replace("\n", "") for line in stream)
    return np.frombuffer(texts.encode("utf-32-le"), dtype=np.uint32)


def write(path: Path, corpus: np.ndarray, documents: int) -> None:
    """JSONL of so many made-up documents."""
    rng = np.random.default_rng(0)
    chinese = np.unique(corpus[(corpus >= 0x4E00) & (corpus < 0xA000)])
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(0, documents, BLOCK):
            places = rng.integers(0, len(corpus) - 100, (BLOCK * 7 // 10, 4, 1)) + np.arange(100)
            originals = corpus[places].reshape(-1, 400)
            copies = originals[rng.integers(0, len(originals), BLOCK - len(originals))]
            changed = rng.integers(0, 400, (len(copies), 4))
            np.put_along_axis(copies, changed, corpus[rng.integers(0, len(corpus), changed.shape)], axis=1)
            alphabet = np.arange(0x110000, dtype=np.uint32)
            alphabet[chinese] = rng.permutation(chinese)
            for row in alphabet[rng.permutation(np.concatenate([originals, copies]))]:
                text = row.tobytes().decode("utf-32-le")
                stream.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def prepare(folder: Path, file: Path, *overrides: str) -> dict[str, Any]:
    """Run the command on a file; its CPU seconds, and what its ledger says."""
    code = "import sys; sys.argv[0] = 'bailong-prepare'; from bailong import cli; cli.prepare()"
    sources = f"data.sources=[{{path: '{file}', name: made}}]"
    command = [sys.executable, "-c", code, sources, "data.name=made", f"data.folder={folder}/made", "engine.workers=1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*command, *overrides],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ledger = json.loads((folder / "made" / "ledger.json").read_text())
    return {
        "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "megabytes": file.stat().st_size / 1e6,
        "kept": ledger["mixture"][0]["documents"] + ledger["held_out"]["documents"],
        "peak_gb": {name: s["speed"]["peak_memory_gb"] for name, s in ledger["steps"].items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="JSONL with a field `text`, plain or .gz")
    parser.add_argument("--gigabyte", action="store_true", help="one shard of 1 GB instead of the curve")
    parser.add_argument("--folder", type=Path, default=Path("outputs/benchmarks"), help="where the figures go")
    options = parser.parse_args()
    corpus = characters(options.texts)
    table = Table("documents", "MB", "CPU s", "µs a document", "MB/CPU s", "kept", "peak GB (step)")
    points = []
    for documents in (870_000,) if options.gigabyte else CURVE:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write(folder / "made.jsonl", corpus, documents)
            more = ["collect.shard_mb=2000", "keep_work=false"] if options.gigabyte else []
            point = prepare(folder, folder / "made.jsonl", *more) | {"documents": documents}
        step, peak = max(point["peak_gb"].items(), key=lambda item: item[1])
        cost = f"{point['cpu'] / documents * 1e6:.0f}"
        speed = f"{point['megabytes'] / point['cpu']:.1f}"
        table.add_row(
            f"{documents:,}", f"{point['megabytes']:,.0f}", f"{point['cpu']:.1f}", cost, speed,
            f"{point['kept']:,}", f"{peak:.2f} ({step})",
        )  # fmt: skip
        points.append(point)
    Console(width=110).print(table)
    costs = [p["cpu"] / p["documents"] for p in points]
    peaks = [max(p["peak_gb"].values()) for p in points]
    growth = max((later / earlier for i, earlier in enumerate(costs) for later in costs[i + 1 :]), default=1.0)
    ok = {"curve": growth <= 1.5, "memory": max(peaks) <= 1.0}
    options.folder.mkdir(parents=True, exist_ok=True)
    name = "prepare_gigabyte.json" if options.gigabyte else "prepare.json"
    (options.folder / name).write_text(json.dumps({"points": points, "growth": growth, "ok": ok}, indent=1) + "\n")
    print(json.dumps(ok))
    return 0 if all(ok.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
