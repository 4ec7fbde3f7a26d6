"""Text to ids: gigatoken, watched (bailong/tokenizer/quick.py), against `tokenizers`, in CPU seconds.

    python benchmarks/encode.py tokenizers/tiny --texts $BAILONG_DATA/zhwiki/zh_tw.jsonl.gz

Every document is encoded by both, in turns of 512 documents; loading is not counted, watching the first megabyte is.
Limits: every id is equal, and where gigatoken reads the tokenizer it is at least 1.5 times as fast on 5 MB or more (of
less it is watched most of the time).
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from bailong.data import sources
from bailong.data.settings import Source
from bailong.data.tokens import in_batches
from bailong.tokenizer import quick
from bailong.tokenizer.folder import encode_documents, encode_raw, load_tokenizer


def measure(path: str, place: str, most: int) -> dict[str, object]:
    """Both on the first `most` bytes of a file."""
    tokenizer = load_tokenizer(path)
    reader = quick.of(tokenizer)
    seconds, size, equal = {"slow": 0.0, "quick": 0.0}, 0, True
    for batch in in_batches(sources.documents(Source(place, "text")), 512):
        began = time.process_time()
        expected = encode_raw(tokenizer.backend_tokenizer, batch)
        between = time.process_time()
        found = encode_documents(tokenizer, batch)
        seconds["quick"] += time.process_time() - between
        seconds["slow"] += between - began
        equal &= found == expected
        size += sum(len(text.encode("utf-8")) for text in batch)
        if size > most:
            break
    return {"tokenizer": path, "text": place, "bytes": size, "equal": equal, "read": not reader.out} | seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--texts", nargs="+", required=True, help="JSONL with a field `text`")
    parser.add_argument("--bytes", type=int, default=10_000_000)
    options = parser.parse_args()
    print("| tokenizer | text | MB | MB a CPU second, `tokenizers` | ratio |\n|---|---|---|---|---|")
    found = []
    for path in options.tokenizers:
        for place in options.texts:
            row = measure(path, place, options.bytes)
            found.append(row)
            size, slow, fast = row["bytes"] / 1e6, row["slow"], row["quick"]  # type: ignore[operator]
            ratio = f"{slow / fast:.2f}" if row["read"] else "not read"  # type: ignore[operator]
            print(f"| {path} | {place} | {size:.1f} | {size / slow:.1f} | {ratio} |", flush=True)  # type: ignore[operator]
    print(json.dumps(found))
    missed = [
        row
        for row in found
        if not row["equal"] or (row["read"] and row["bytes"] > 5e6 and 1.5 * row["quick"] > row["slow"])  # type: ignore[operator]
    ]
    for row in missed:
        print(f"missed: {row}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
