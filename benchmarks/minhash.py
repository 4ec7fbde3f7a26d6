"""Near-duplicates: ours against datasketch, rensa, datatrove and text-dedup, side by side in one run on the same files.

    python benchmarks/minhash.py --texts $BAILONG_DATA/zhwiki/zh_tw.jsonl.gz \\
        --datatrove-python VENV/bin/python --text-dedup-python VENV/bin/python
    python benchmarks/minhash.py --texts ... --curve      # cost of a document from 10,000 to 300,000 documents
    python benchmarks/minhash.py --texts ... --ngrams --tokenizer tokenizers/bailong   # why verify_ngram is 2

The set: 14,000 texts of the file cut to 1,000 characters, 4,200 of them once more with 1 % of their characters
changed, 1,800 halves of two of them joined; shuffled, in 4 JSONL files. A token is a character.

All speeds are per second of CPU time (user and system, child processes too), one thread. Limits (exit code 1):

  signatures   256 permutations, equal to datasketch's to the bit     >= 200,000 documents/s compiled, 20,000 NumPy
  grouping     band keys and candidates, 25 x 10                      >= 150,000 documents/s
  verify       intersections of the sets of candidate pairs           >= 150,000 pairs/s compiled
  resolve      greedy star, 3 million edges                           >= 3,000,000 edges/s compiled
  whole        read JSONL to kept JSONL, verified, start-up included  >= 6,000 documents/s compiled
  recall       of planted pairs with J >= 0.8                         >= 0.98
  unjustified  removed without a kept witness of J >= 0.8             0
  curve        dearest document / cheapest, 10,000 to 300,000         <= 1.5

A program that is not there is left out. datatrove's and text-dedup's figures include their own imports, as ours do.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

LIMITS = {
    "signatures, numba": 200_000,
    "signatures, numpy": 20_000,
    "grouping, numba": 150_000,
    "intersections, numba": 150_000,
    "resolve, numba": 3_000_000,
    "whole, numba": 6_000,
    "recall": 0.98,
}
THRESHOLD = 0.8
FILES = 4
CURVE = (10_000, 30_000, 100_000, 300_000)
NGRAMS = (1, 2, 3, 5)


# --- the texts ---------------------------------------------------------------------------------------


def articles(path: Path, most: int | None = None) -> list[str]:
    """Texts of a JSONL file, plain or .gz."""
    texts = []
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"])
            if len(texts) == most:
                break
    return texts


def edited(text: str, share: float, pool: str, rng: random.Random) -> str:
    """A copy in which that share of the characters (one at least) is drawn from `pool`."""
    characters = list(text)
    for i in rng.sample(range(len(text)), max(round(share * len(text)), 1)):
        characters[i] = rng.choice(pool)
    return "".join(characters)


def write_set(path: Path, folder: Path, documents: int, seed: int) -> None:
    """The JSONL files of the set; `id` says what a document is: o<n> an original, c<n> its copy, m<...> a mixture."""
    rng = random.Random(seed)
    base = documents * 7 // 10
    texts = [text[:1000] for text in articles(path, base)]
    base = len(texts)
    pool = "".join(texts[:500])
    rows = [(f"o{i}", text) for i, text in enumerate(texts)]
    rows += [(f"c{i}", edited(texts[i], 0.01, pool, rng)) for i in rng.sample(range(base), base * 3 // 10)]
    while len(rows) < documents:
        i, j = rng.sample(range(base), 2)
        rows.append((f"m{len(rows)}", texts[i][: len(texts[i]) // 2] + texts[j][len(texts[j]) // 2 :]))
    rng.shuffle(rows)
    for part in range(FILES):
        with (folder / f"{part}.jsonl").open("w", encoding="utf-8") as file:
            for name, text in rows[part::FILES]:
                file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")


def read_set(folder: Path) -> list[list[tuple[str, str]]]:
    """(id, text) of each file."""
    import orjson

    files = []
    for part in range(FILES):
        rows = [orjson.loads(line) for line in (folder / f"{part}.jsonl").read_bytes().splitlines()]
        files.append([(row["id"], row["text"]) for row in rows])
    return files


def character_ids(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all texts, and where each begins."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    ids = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    return ids, np.concatenate([[0], np.cumsum(lengths)])


def write_shard(root: Path, name: str, ids: np.ndarray, starts: np.ndarray, names: list[str]) -> Any:
    """A clean shard as the steps see it; documents are hashed by their ids."""
    from bailong.prepare.work import task
    from bailong.prepare.work.shard import ShardRef

    folder = root / name
    folder.mkdir(parents=True)
    keys = b"".join(hashlib.blake2b(n.encode(), digest_size=16).digest() for n in names)
    np.save(folder / "ids.npy", ids)
    np.save(folder / "starts.npy", starts)
    np.save(folder / "keys.npy", np.frombuffer(keys, dtype=">u8").reshape(-1, 2).astype(np.uint64))
    manifest = {"fingerprint": name, "facts": {}, "digest": task.digest(folder, {})}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return ShardRef(name, 0, len(starts) - 1, len(ids))


def find(root: Path, shards: list[Any], **knobs: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """The drops of the step `minhash`, run here one task after the other; its facts, and the peak memory of a task."""
    from bailong.prepare.step import minhash
    from bailong.prepare.work import task

    name = minhash.MinHash.find({0: minhash.MinHash(**knobs)}, lambda tasks: [task.run(t, root) for t in tasks], shards)
    made = [json.loads(path.read_bytes()) for path in (root / "minhash").rglob("manifest.json")]
    peak = max(manifest["peak_memory_gb"] for manifest in made)
    return np.load(root / name / "drops.npy"), task.read(root, name)["facts"] | {"peak_mb": peak * 1000}


# --- arms, each in a process of its own --------------------------------------------------------------


def best(work: Callable[[], Any], repeats: int = 3) -> float:
    """CPU seconds of the best of some repeats, after one that warms up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def whole(options: argparse.Namespace) -> dict[str, Any]:
    """Read JSONL, tokens, clean shards, the step `minhash`, kept JSONL; then, not timed, what the result is worth."""
    import orjson

    start = time.process_time()
    files = read_set(options.folder)
    root = Path(tempfile.mkdtemp(dir=options.folder))
    shards = [
        write_shard(root, f"clean/{part}", *character_ids([t for _, t in rows]), [n for n, _ in rows])
        for part, rows in enumerate(files)
    ]
    found = time.process_time()
    drops, facts = find(root, shards)
    peak = facts.pop("peak_mb")
    found = time.process_time() - found
    gone = set(zip(drops["shard"].tolist(), drops["row"].tolist(), strict=True))
    with (root / "kept.jsonl").open("wb") as out:
        for part, rows in enumerate(files):
            for row, (name, text) in enumerate(rows):
                if (part, row) not in gone:
                    out.write(orjson.dumps({"id": name, "text": text}) + b"\n")
    inside = time.process_time() - start
    usage = os.times()
    return {
        "kept": sum(map(len, files)) - len(gone),
        "cpu": usage.user + usage.system,  # before the checks below, and with the start of the interpreter
        "without_imports": inside,
        "step": found,
        "facts": facts,
        "peak_mb": peak,
        **worth(files, drops),
    }


def worth(files: list[list[tuple[str, str]]], drops: np.ndarray) -> dict[str, float]:
    """Recall of planted copies, and removals without a kept witness, by sets of Python strings."""

    def pairs(text: str) -> set[str]:
        return {text[i : i + 2] for i in range(len(text) - 1)}

    def similar(one: str, other: str) -> bool:
        a, b = pairs(one), pairs(other)
        return len(a & b) >= THRESHOLD * len(a | b)

    witness = {
        files[d["shard"]][d["row"]][0]: (files[d["witness_shard"]][d["witness_row"]][0]) for d in drops
    }  # fmt: skip
    text = dict(row for rows in files for row in rows)
    unjustified = sum(w in witness or not similar(text[d], text[w]) for d, w in witness.items())
    planted = [(f"o{n[1:]}", n) for n in text if n[0] == "c" and similar(text[n], text[f"o{n[1:]}"])]
    missed = sum(a not in witness and b not in witness for a, b in planted)
    return {"recall": 1 - missed / len(planted), "planted": len(planted), "unjustified": unjustified}


def parts(options: argparse.Namespace) -> dict[str, Any]:
    """The four inner stages alone."""
    from bailong.prepare.dedup import bands, signatures, star, verify

    ids, starts = character_ids([text for rows in read_set(options.folder) for _, text in rows])
    count = len(starts) - 1
    a, b = signatures.permutations(256, 1)
    values, value_starts = signatures.distinct(ids, starts)
    sketches = signatures.signatures(values, value_starts, a, b)
    assert_equal_to_datasketch(sketches, values, value_starts)
    numbers = np.repeat(np.arange(count, dtype=np.uint64), 25)

    def group() -> np.ndarray:
        keys = bands.band_keys(sketches, 25, 10, 0).ravel()
        return bands.candidates(keys, numbers, lambda some: np.argsort(np.argsort(some)), 1000)[0]

    left, right = bands.unpacked(group()).T
    sets, set_starts = verify.sets(ids, starts, 2)
    rng = np.random.default_rng(0)
    nodes = 2_400_000
    edges, order = rng.integers(0, nodes, (3_000_000, 2)), rng.permutation(nodes)
    repeats = 3 if options.arm == "parts_numba" else 1
    return {
        "unique": len(values) / count,
        "signatures": count / best(lambda: signatures.signatures(values, value_starts, a, b), repeats),
        "sets of distinct tokens": count / best(lambda: signatures.distinct(ids, starts), repeats),
        "grouping": count / best(group, repeats),
        "sets of pairs of tokens": count / best(lambda: verify.sets(ids, starts, 2), repeats),
        "intersections": len(left) / best(lambda: verify.common(sets, set_starts, left, right), repeats),
        "candidates": len(left),
        "resolve": len(edges) / best(lambda: star.greedy(order, edges), repeats),
    }


def assert_equal_to_datasketch(sketches: np.ndarray, values: np.ndarray, starts: np.ndarray) -> None:
    from datasketch import MinHash

    for i in range(0, len(sketches), len(sketches) // 200):
        theirs = MinHash(256, hashfunc=int)
        theirs.update_batch(values[starts[i] : starts[i + 1]].tolist())
        assert np.array_equal(theirs.hashvalues, sketches[i]), i


def peers(options: argparse.Namespace) -> dict[str, Any]:
    """datasketch and rensa on the first 2,000 documents' distinct characters."""
    from datasketch import MinHash, MinHashLSH

    texts = [text for rows in read_set(options.folder) for _, text in rows][:2000]
    tokens = [[c.encode() for c in set(text)] for text in texts]
    numbers = [[ord(c) for c in set(text)] for text in texts]

    def each() -> None:
        for document in tokens:
            MinHash(256).update_batch(document)

    found = {
        "datasketch, per document, sha1": len(texts) / best(each, 1),
        "datasketch, bulk, sha1": len(texts) / best(lambda: MinHash.bulk(tokens, num_perm=256), 1),
        "datasketch, bulk, int": len(texts) / best(lambda: MinHash.bulk(numbers, num_perm=256, hashfunc=int), 1),
    }
    sketches = MinHash.bulk(numbers, num_perm=256, hashfunc=int)

    def index() -> None:
        lsh = MinHashLSH(num_perm=256, params=(25, 10))
        for i, sketch in enumerate(sketches):
            lsh.insert(i, sketch)
        for sketch in sketches:
            lsh.query(sketch)

    found["datasketch, MinHashLSH"] = len(texts) / best(index, 1)
    try:
        from rensa import RMinHash
    except ImportError:
        return found
    words = [list(set(text)) for text in texts]

    def rensa() -> None:
        for document in words:
            sketch = RMinHash(num_perm=256, seed=1)
            sketch.update(document)
            sketch.digest()

    return found | {"rensa, RMinHash from strings": len(texts) / best(rensa, 1)}


DATATROVE = """
import sys
from datatrove.data import DocumentsPipeline
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
folder, out, files, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

class Characters:
    def word_tokenize(self, text):
        return list(text)

import datatrove.pipeline.dedup.minhash as module
module.load_word_tokenizer = lambda language: Characters()
config = MinhashConfig(n_grams=n, num_buckets=25, hashes_per_bucket=10)
def reader():
    return JsonlReader(folder, glob_pattern="*.jsonl")
def run(pipeline, tasks):
    logs = f"{out}/logs/{type(pipeline[-1]).__name__}"  # else they are left in this folder
    LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs).run()
run([reader(), MinhashDedupSignature(out + "/sigs", config)], files)
run([MinhashDedupBuckets(out + "/sigs", out + "/buckets", config=config)], 25)
run([MinhashDedupCluster(out + "/buckets", out + "/remove", config=config)], 1)
run([reader(), MinhashDedupFilter(out + "/remove"), JsonlWriter(out + "/kept", compression=None)], files)
"""


def datatrove(options: argparse.Namespace, ngram: int) -> dict[str, Any]:
    """The four stages of its MinHash example, 25 x 10, a token is a character; nothing is verified."""
    with tempfile.TemporaryDirectory() as out:
        script = Path(out) / "script.py"
        script.write_text(DATATROVE)
        command = [options.datatrove_python, str(script), str(options.folder), out, str(FILES), str(ngram)]
        usage = measured(command)
        return usage | {"kept": sum(1 for _ in lines(Path(out, "kept"), "*.jsonl"))}


def text_dedup(options: argparse.Namespace) -> dict[str, Any]:
    """Its MinHash script, 256 permutations, 25 x 10; its tokens are clauses, split at whatever is no word character."""
    with tempfile.TemporaryDirectory() as out:
        command = [options.text_dedup_python, "-m", "text_dedup.minhash", "--path", "json", "--data_files"]
        command += [f"{options.folder}/*.jsonl", "--split", "train", "--column", "text", "--output", f"{out}/kept"]
        command += ["--cache_dir", f"{out}/cache", "--ngram", "1", "--num_perm", "256", "--b", "25", "--r", "10"]
        command += ["--num_proc", "1"]
        usage = measured(command, cwd=out)
        count = "import datasets, sys; print(len(datasets.load_from_disk(sys.argv[1])))"
        kept = subprocess.run(
            [options.text_dedup_python, "-c", count, f"{out}/kept"], capture_output=True, text=True, check=True
        )
        return usage | {"kept": int(kept.stdout.split()[-1])}


def lines(folder: Path, pattern: str) -> Iterator[bytes]:
    for path in sorted(folder.glob(pattern)):
        yield from path.read_bytes().splitlines()


def measured(command: list[str], **kwargs: Any) -> dict[str, Any]:
    """CPU seconds and peak memory of a command and the processes that it started."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **kwargs
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {said[-2000:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024, "said": said}


# --- the two other questions -------------------------------------------------------------------------


def curve_point(options: argparse.Namespace) -> dict[str, Any]:
    """CPU seconds of the step on that many documents, each of four stretches of 100 characters from all over the texts.

    30 % are copies with 1 % of the characters changed. Every 10,000 documents have an alphabet of their own, the code
    points shuffled: else the few texts would run out, and it would be near-duplicates that grow, not documents.
    """
    rng = np.random.default_rng(0)
    corpus = np.minimum(character_ids(articles(options.texts))[0], 0xFFFF)
    root = Path(tempfile.mkdtemp(dir=options.folder))
    shards, size = [], 10_000
    for start in range(0, options.documents, size):
        places = rng.integers(0, len(corpus) - 100, (size * 7 // 10, 4, 1)) + np.arange(100)
        originals = corpus[places].reshape(-1, 400)
        copies = originals[rng.integers(0, len(originals), size - len(originals))]
        changed = rng.integers(0, 400, (len(copies), 4))
        np.put_along_axis(copies, changed, corpus[rng.integers(0, len(corpus), changed.shape)], axis=1)
        alphabet = rng.permutation(0x10000).astype(np.uint16)
        ids = alphabet[rng.permutation(np.concatenate([originals, copies]))]
        names = [str(i) for i in range(start, start + size)]
        shards.append(write_shard(root, f"clean/{start:07d}", ids.ravel(), np.arange(size + 1) * 400, names))
    del corpus
    find(root / "warm", [write_shard(root / "warm", "clean/0", ids[:100].ravel(), np.arange(101) * 400, names[:100])])
    start = time.process_time()
    drops, facts = find(root, shards)
    return {
        "documents": options.documents,
        "cpu": time.process_time() - start,
        "removed": len(drops),
        "candidates": facts["candidates"],
        "peak_mb": facts["peak_mb"],
    }


def ngrams(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each `verify_ngram` removes from real articles, and which copies with so many changed characters it finds.

    Last, at the threshold where it would find 98 % of the copies with 2 %: a fair comparison of the lengths.
    """
    from bailong.prepare.dedup import verify

    texts = articles(options.texts)
    encode: Callable[[list[str]], tuple[np.ndarray, np.ndarray]] = character_ids
    if options.tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(options.tokenizer / "tokenizer.json"))

        def encode(some: list[str]) -> tuple[np.ndarray, np.ndarray]:
            found = [e.ids for e in tokenizer.encode_batch_fast(some, add_special_tokens=False)]
            return np.array([i for e in found for i in e], dtype=np.uint32), np.cumsum([0, *map(len, found)])

    texts = list(dict.fromkeys(texts))
    root = Path(tempfile.mkdtemp(dir=options.folder))
    shards = []
    for start in range(0, len(texts), 20_000):
        some = texts[start : start + 20_000]
        names = [str(i) for i in range(start, start + len(some))]
        shards.append(write_shard(root, f"clean/{start:07d}", *encode(some), names))

    rng = random.Random(1)
    pool = "".join(texts[:500])
    originals = [text for text in texts[::7] if 150 <= len(text) < 1000][:1500]
    rows = []
    for n in NGRAMS:
        drops, _ = find(root, shards, verify_ngram=n)
        row = {"verify_ngram": n, "removed": len(drops), "documents": len(texts)}
        for share in (0.01, 0.02, 0.03):
            both = [t for text in originals for t in (text, edited(text, share, pool, rng))]
            values, starts = verify.sets(*encode(both), n)
            left = np.arange(0, len(both), 2)
            shared, sizes = verify.common(values, starts, left, left + 1), np.diff(starts)
            similarity = shared / (sizes[left] + sizes[left + 1] - shared)
            row[f"copies_{share:.0%}"] = float((similarity >= THRESHOLD).mean())
            if share == 0.02:
                row["threshold_98%"] = float(np.quantile(similarity, 0.02, method="lower"))
        row["removed_98%"] = len(find(root, shards, verify_ngram=n, threshold=row["threshold_98%"])[0])
        rows.append(row)
    return rows


# --- the table ---------------------------------------------------------------------------------------

ARMS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "whole_numba": whole,
    "whole_numpy": whole,
    "parts_numba": parts,
    "parts_numpy": parts,
    "peers": peers,
    "curve": curve_point,
    "ngrams": ngrams,
}


def own_process(options: argparse.Namespace, arm: str, *more: str, cache: Path | None = None) -> dict[str, Any]:
    """Run an arm of this file; its result, with the CPU seconds and peak memory of its process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--arm", arm, "--folder", str(options.folder), *more]
    if cache:
        command = ["env", f"NUMBA_CACHE_DIR={cache}", *command]
    usage = measured(command)
    result = json.loads(usage.pop("said").splitlines()[-1])
    return {**usage, **result} if isinstance(result, dict) else {**usage, "rows": result}


def cpu_name() -> str:
    """The CPU's model name where Linux tells it."""
    listing = Path("/proc/cpuinfo")
    found = listing.read_text().splitlines() if listing.exists() else []
    return next((line.split(":", 1)[1].strip() for line in found if line.startswith("model name")), platform.machine())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="JSONL with a field `text`, plain or .gz")
    parser.add_argument("--documents", type=int, default=20_000, help="of the set (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--datatrove-python", help="interpreter of an environment with datatrove[io,processing]")
    parser.add_argument("--text-dedup-python", help="interpreter of an environment with text-dedup")
    parser.add_argument("--curve", action="store_true", help="cost against the number of documents instead")
    parser.add_argument("--ngrams", action="store_true", help="what verify_ngram does to real articles instead")
    parser.add_argument("--tokenizer", type=Path, help="folder of a tokenizer, for --ngrams (default: characters)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--arm", choices=tuple(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, bool], list[Table]]:
    """Every arm on the set."""
    write_set(options.texts, options.folder, options.documents, options.seed)
    cold = own_process(options, "whole_numba", cache=options.folder / "compiled")
    runs = {
        "ours, numba": own_process(options, "whole_numba", cache=options.folder / "compiled"),
        "ours, numpy": own_process(options, "whole_numpy"),
    }
    if options.datatrove_python:
        for n in (1, 5):
            runs[f"datatrove, runs of {n}, not verified"] = datatrove(options, n)
    if options.text_dedup_python:
        runs["text-dedup, clauses, not verified"] = text_dedup(options)
    inner = {arm: own_process(options, f"parts_{arm}") for arm in ("numba", "numpy")}
    others = own_process(options, "peers")

    overall = Table("read JSONL to kept JSONL", "CPU s", "documents/s", "peak MB", "kept", title="The whole")
    for name, run in runs.items():
        speed = f"{options.documents / run['cpu']:,.0f}"
        overall.add_row(name, f"{run['cpu']:.2f}", speed, f"{run['peak_mb']:.0f}", f"{run['kept']:,}")
    stages = Table("a second", "numba", "numpy", title=f"Stages ({inner['numba']['unique']:.0f} different tokens each)")
    for name in [name for name in inner["numba"] if name not in ("unique", "cpu", "peak_mb", "candidates")]:
        stages.add_row(name, *(f"{inner[arm][name]:,.0f}" for arm in inner))
    for name in [name for name in others if name not in ("cpu", "peak_mb")]:
        stages.add_row(name, f"{others[name]:,.0f}", "")
    ours = runs["ours, numba"]
    reached = {
        **{
            key: inner[key.split(", ")[1]][key.split(", ")[0]] for key in LIMITS if key.split(", ")[0] in inner["numba"]
        },
        "whole, numba": options.documents / ours["cpu"],
        "recall": ours["recall"],
    }
    ok = {key: reached[key] >= limit for key, limit in LIMITS.items()}
    ok["unjustified"] = ours["unjustified"] == 0
    ok["same result"] = runs["ours, numpy"]["facts"] == ours["facts"]
    record = {"runs": runs, "stages": inner, "peers": others, "compiling": cold["cpu"] - ours["cpu"]}
    print(f"compiling for the first time: {record['compiling']:.1f} CPU s; recall {ours['recall']:.4f} of "
          f"{ours['planted']:,} planted pairs; {ours['unjustified']} unjustified removals")  # fmt: skip
    return record, ok, [overall, stages]


def main() -> int:
    options = arguments()
    if options.arm:
        if options.arm.endswith("numpy"):
            sys.modules["numba"] = None  # type: ignore[assignment]  # as if it were not installed
        print(json.dumps(ARMS[options.arm](options)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        options.folder = Path(folder)
        if options.curve:
            points = [own_process(options, "curve", "--documents", str(n)) for n in CURVE]
            costs = [point["cpu"] / point["documents"] for point in points]
            table = Table("documents", "CPU s", "µs a document", "candidates a document", "peak MB", title="Curve")
            for p, cost in zip(points, costs, strict=True):
                each = f"{p['candidates'] / p['documents']:.2f}"
                table.add_row(
                    f"{p['documents']:,}", f"{p['cpu']:.2f}", f"{cost * 1e6:.0f}", each, f"{p['peak_mb']:.0f}"
                )
            record, ok, tables = {"points": points}, {"curve": max(costs) <= 1.5 * min(costs)}, [table]
        elif options.ngrams:
            rows = own_process(options, "ngrams")["rows"]
            table = Table(*rows[0], title="verify_ngram")
            for row in rows:
                table.add_row(*(f"{v:.3f}" if isinstance(v, float) else f"{v:,}" for v in row.values()))
            record, ok, tables = {"rows": rows}, {}, [table]
        else:
            record, ok, tables = compare(options)
    for table in tables:
        Console(width=120).print(table)
    setting = {k: str(v) for k, v in vars(options).items() if k not in ("arm", "folder", "json")}
    record |= {"setting": setting, "machine": cpu_name(), "python": platform.python_version(), "ok": ok}
    print(json.dumps({key: record[key] for key in ("machine", "ok")}))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(ok.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
