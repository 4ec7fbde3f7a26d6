"""Near-duplicates by MinHash (paper, section 3.2): retrieved by sketches, decided by the documents themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bailong.prepare.step import scope
from bailong.prepare.step.base import GlobalStep, RunTasks, ShardRef
from bailong.prepare.work.task import Task
from bailong.prepare.work.task import facts as task_facts
from bailong.run.checks import require
from bailong.text.language import is_chinese

if TYPE_CHECKING:
    import numpy as np

    from bailong.prepare.dedup.documents import Documents

#: what a document is a set of
UNITS = ("auto", "token", "word")
#: documents whose pairs one task verifies
VERIFIED = 100_000
#: knobs that decide signatures, and those of long documents
SKETCH = ("num_perm", "seed", "bands", "rows", "ngram", "min_shingles")
LONG = ("max_unique_tokens", "long_ngram", "verify_ngram", "threshold")


@dataclass
class MinHash(GlobalStep):
    """Remove documents whose sets of tokens overlap with those of a kept one by a Jaccard similarity of `threshold`.

    `signatures`: computed by our `kernels` or by `datasketch`, to the same bits; the library takes many times as long.

    `unit`: a `token`, as `tokenize` makes it (the paper), or, where that makes characters, a `word`. `auto` takes
    words, and characters in sources of Chinese and in documents that are mostly written without spaces (Chinese,
    Japanese, Thai, ...). An alphabet is too small for pairs of its characters to tell documents apart: of 720 Turkish
    manual pages they remove 211, of which 20 share three runs of three words in five with their witness, and pairs of
    words 19, all of which do. Of copies with 2 % of their words changed both find 99.8 % (English, 2,000 paragraphs),
    with 5 % 99.9 and 89 %; one with 2 % of its letters changed at random has another word in eight, which words do not
    find.

    Retrieval: `num_perm` permutations (datasketch's, from `seed`) of the set of runs of `ngram` tokens, the paper's
    single ones by default. `bands` x `rows` of them make buckets; documents that share one are candidates. 25 x 10
    finds 94 % of the pairs of similarity 0.8 and 99.6 % at 0.85 (the 17 x 15 that datasketch suggests: 46 and 79 %),
    at the price of more candidates, which verification turns down.

    `verify` decides:
    - `exact`: the Jaccard similarity of the documents' sets of runs of `verify_ngram` tokens;
    - `minhash`: its estimate from the signatures of retrieval (the paper), off by 0.025 (one standard deviation);
    - `none`: every candidate is a duplicate (FineWeb). What a removed document really shares with its witness is
      recorded all the same.

    Why `verify_ngram: 2`: sets of single tokens see neither order nor repetition, so pages made from one template
    pass for one another whatever names and numbers they hold. On 54,364 different articles of the Taiwanese Wikipedia
    with the extended tokenizer (`benchmarks/minhash.py --ngrams`):

        verify_ngram                                                             1      2      3      5
        articles removed                                                     3,241    315    180     94
        copies found that have 2 % of their 150 to 1,000 characters changed  100 %   97 %   58 %    2 %

    What 1 removes and 2 keeps are distinct articles: villages with other names, areas and populations. (Where a token
    is a character, all four find the copies, and remove 12,762, 926, 681 and 454 articles.) Longer runs with a lower
    threshold do no better: where they find as many copies, they remove as many articles.

    Long documents share most of the vocabulary of the language whatever they say: two unrelated books of 400,000
    tokens have similarity 0.82. So those with more than `max_unique_tokens` different tokens are retrieved and,
    together with any partner, verified in runs of `long_ngram` tokens (null: no guard). Documents of fewer than
    `min_shingles` different tokens or runs are left alone: their sets are too small to say anything.

    `cluster`: `star` walks through the documents in keep order and removes a document only if a kept one is similar
    to it, its witness; `components` keeps one document of each connected component, joined by chains in which the ends
    need not be similar (datatrove). Keep order: source named first in `data.sources`, then longest, then smallest
    key. `max_bucket_pairs` bounds the work on a crowded bucket (`bailong.prepare.dedup.bands.candidates`). `scope`:
    `global` compares all sources with each other, `source` each with itself alone.
    """

    signatures: str = "kernels"
    unit: str = "auto"
    num_perm: int = 256
    seed: int = 1
    bands: int = 25
    rows: int = 10
    ngram: int = 1
    threshold: float = 0.8
    verify: str = "exact"
    verify_ngram: int = 2
    max_unique_tokens: int | None = 4096
    long_ngram: int = 5
    min_shingles: int = 5
    max_bucket_pairs: int = 1000
    cluster: str = "star"
    scope: str = "global"

    name: ClassVar[str] = "minhash"
    local: ClassVar[tuple[str, ...]] = ("signatures",)

    def __post_init__(self) -> None:
        self.positive("num_perm", "bands", "rows", "min_shingles", "max_bucket_pairs")
        for knob in ("ngram", "verify_ngram", "long_ngram"):
            self.require(1 <= getattr(self, knob) <= 64, knob, "1 to 64")
        used = f"{self.bands}x{self.rows}"
        require(
            self.bands * self.rows <= self.num_perm,
            "minhash.bands x minhash.rows",
            used,
            f"at most minhash.num_perm={self.num_perm} in all",
        )
        self.require(0 < self.threshold <= 1, "threshold", "above 0 and at most 1")
        self.require(0 <= self.seed < 1 << 32, "seed", "0 to 4294967295")
        self.require(
            self.max_unique_tokens is None or self.max_unique_tokens > 0,
            "max_unique_tokens",
            "above 0, or null for no guard",
        )
        self.one_of("signatures", ("kernels", "datasketch"))
        self.one_of("unit", UNITS)
        self.one_of("verify", ("exact", "minhash", "none"))
        self.one_of("cluster", ("star", "components"))
        self.one_of("scope", ("global", "source"))

    def in_words(self, shard: ShardRef) -> bool:
        """Whether the documents of a shard are compared by words.

        Raises:
            ValueError: they are asked for, and tokens are no characters.
        """
        if self.unit == "word" and not shard.characters:
            raise ValueError(
                "minhash.unit=word makes words of characters, and here a token is one of tokenize.tokenizer: "
                "take minhash.unit=token or auto, or tokenize=characters"
            )
        return shard.characters and (self.unit == "word" or self.unit == "auto" and not is_chinese(shard.language))

    @classmethod
    def find(
        cls, settings: Mapping[int, Self], run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str] = ()
    ) -> str:
        knobs, taking = scope.taking_part(settings, shards)
        parts, writing = scope.ranged(knobs.scope, taking, records=knobs.bands)
        total = sum(shard.documents for _, shard in taking)
        clean = [shard.task for _, shard in taking]
        in_words = [knobs.in_words(shard) for _, shard in taking]
        shared = scope.arguments(taking) | ({"words": in_words} if any(in_words) else {})

        def names(tasks: Sequence[Task]) -> list[str]:
            return [task.name for task in tasks]

        long = knobs.chosen(LONG)
        sketched = knobs.chosen(SKETCH) | long | {"store": knobs.verify == "minhash"}
        bands = [
            replace(
                knobs.task(f"bands/{i:05d}", "bands", sketched | mine | words, [shard.task], drops),
                local=knobs.chosen(knobs.local),
            )
            for (i, shard), mine, words in zip(
                taking, writing, ({"words": [w]} if w else {} for w in in_words), strict=True
            )
        ]
        run(bands)

        pairs = [
            knobs.task(
                f"candidates/{part:05d}",
                "candidates",
                {**shared, "part": part, "max_bucket_pairs": knobs.max_bucket_pairs},
                clean,
                names(bands),
            )
            for part in range(parts)
        ]
        run(pairs)

        decided = pairs
        if knobs.verify != "none":
            decided = [
                knobs.task(
                    f"verify/{i:05d}",
                    "verify",
                    {**shared, **long, "verify": knobs.verify, "first": first, "last": min(first + VERIFIED, total)},
                    clean,
                    names(pairs),
                    names(bands) if knobs.verify == "minhash" else (),
                )
                for i, first in enumerate(range(0, total, VERIFIED))
            ]
            run(decided)

        verified = knobs.verify != "none"
        others = [*pairs, *bands] if verified else bands  # for the facts that they found
        resolved = knobs.task(
            "drops",
            "resolve",
            {**shared, **long, "verified": verified, "decided": len(decided), "cluster": knobs.cluster},
            clean,
            names(decided),
            names(others),
        )
        run([resolved])
        return resolved.name


def bands(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Band keys of a shard's living documents, by range; for `verify=minhash` their signatures as well."""
    import numpy as np

    from bailong.prepare.dedup import partition, signatures
    from bailong.prepare.dedup.bands import band_keys
    from bailong.prepare.dedup.documents import Documents, portions
    from bailong.prepare.dedup.verify import TOKENS
    from bailong.prepare.work.shard import alive

    sizes = np.diff(np.load(inputs[0] / "starts.npy"))
    shard = Documents(inputs[:1], [0], [0], [len(sizes)], arguments.get("words", ()))
    sign = signatures.signer(arguments["num_perm"], arguments["seed"], arguments["signatures"])
    shape = arguments["bands"], arguments["rows"]
    most = arguments["max_unique_tokens"]
    guarded = most is not None and arguments["long_ngram"] > arguments["ngram"]
    living = np.flatnonzero(alive(arguments["number"], len(sizes), inputs[1:]))
    lengths = sizes[living]
    stored = None
    if arguments["store"]:
        every = (len(sizes), arguments["num_perm"])
        stored = np.lib.format.open_memmap(target / "signatures.npy", mode="w+", dtype=np.uint32, shape=every)

    records, short, long = partition.Writer(arguments["parts"]), 0, 0

    def add(keys: np.ndarray, documents: np.ndarray) -> None:
        rows = np.repeat(documents.astype(np.uint32), arguments["bands"])
        records.add(keys.ravel(), {"keys": keys.ravel(), "rows": rows})

    add(np.empty((0, arguments["bands"]), np.uint64), living[:0])
    for portion in portions(lengths + arguments["num_perm"], TOKENS):  # a signature takes room as well
        chosen = living[portion]
        ids, starts = shard.ids(chosen)
        values, value_starts = signatures.distinct(ids, starts)
        unique = np.diff(value_starts)
        least = np.minimum(unique, np.diff(starts) + 1 - max(arguments["ngram"], arguments["verify_ngram"]))
        compared = least >= arguments["min_shingles"]
        by_long = compared & (unique > most) if guarded else np.zeros(len(chosen), dtype=bool)
        short += int((~compared).sum())
        long += int(by_long.sum())

        if arguments["ngram"] == 1:
            sketches = sign(values, value_starts)
        else:
            sketches = signatures.sketch(ids, starts, arguments["ngram"], sign)
        if stored is not None:
            stored[chosen] = sketches
        plain = compared & ~by_long
        add(band_keys(sketches[plain], *shape, 2 * arguments["salt"]), chosen[plain])

        # Long documents meet in buckets of their own, of longer runs. A shorter document can only be as similar as
        # `threshold` to one of them if it has nearly as many different tokens: it is then sent to both kinds.
        if guarded and (near := compared & (unique >= arguments["threshold"] * most)).any():
            near_ids, near_starts = shard.ids(chosen[near])
            sketches = signatures.sketch(near_ids, near_starts, arguments["long_ngram"], sign)
            add(band_keys(sketches, *shape, 2 * arguments["salt"] + 1), chosen[near])
    records.save(target)
    return {"documents": len(living), "too_short_to_compare": short, "long": long}


def candidates(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Pairs of documents that meet in a bucket of one range of band keys."""
    import numpy as np

    from bailong.prepare.dedup import partition
    from bailong.prepare.dedup.bands import candidates
    from bailong.prepare.dedup.documents import Documents

    documents, folders = Documents.of(inputs, arguments)
    records = partition.read(folders, ("keys", "rows"), arguments["part"])
    numbers = documents.numbers([rows for _, rows in records])
    keys = np.concatenate([np.empty(0, np.uint64), *(keys for keys, _ in records)])
    pairs, large = candidates(keys, numbers, documents.keep_order, arguments["max_bucket_pairs"])
    np.save(target / "pairs.npy", pairs)
    return {"bucket_pairs": len(pairs), "large_buckets": large}


def verify(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Which candidates are duplicates, of the documents from number `first` to `last`."""
    import numpy as np

    from bailong.prepare.dedup.bands import union, unpacked
    from bailong.prepare.dedup.documents import Documents
    from bailong.prepare.dedup.verify import estimate

    documents, folders = Documents.of(inputs, arguments)
    count = len(arguments["positions"]) if arguments["verify"] == "minhash" else 0
    folders, signed = folders[: len(folders) - count], folders[len(folders) - count :]
    limits = np.array([arguments["first"], arguments["last"]], dtype=np.uint64) << np.uint64(32)
    parts = []
    for folder in folders:
        packed = np.load(folder / "pairs.npy", mmap_mode="r")
        parts.append(np.array(packed[slice(*np.searchsorted(packed, limits))]))
    packed = union(parts)
    pairs = unpacked(packed)
    if arguments["verify"] == "minhash":
        measured, long = _measured(documents, pairs, arguments, lambda some: estimate(documents, some, signed))
    else:
        measured, long = _measured(documents, pairs, arguments)
    duplicates = measured >= arguments["threshold"]
    np.save(target / "pairs.npy", packed[duplicates])
    np.save(target / "similarity.npy", measured[duplicates].astype(np.float32))
    return {"candidates": len(pairs), "long_candidates": long, "duplicates": int(duplicates.sum())}


def resolve(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Which documents go, and which kept one stands for each."""
    import numpy as np

    from bailong.prepare.dedup import star
    from bailong.prepare.dedup.bands import union, unpacked
    from bailong.prepare.dedup.documents import Documents
    from bailong.prepare.work.shard import write_drops

    documents, folders = Documents.of(inputs, arguments)
    count = arguments["decided"]
    parts = [np.load(folder / "pairs.npy") for folder in folders[:count]]
    verified = arguments["verified"]
    packed = np.concatenate([np.empty(0, np.uint64), *parts]) if verified else union(parts)
    numbers, place = np.unique(unpacked(packed), return_inverse=True)
    method = star.greedy if arguments["cluster"] == "star" else star.components
    resolution = method(documents.keep_order(numbers), place.reshape(-1, 2))

    gone = np.flatnonzero(~resolution.kept)
    removed, witness, edge = numbers[gone], numbers[resolution.witness[gone]], resolution.edge[gone]
    similarity = np.zeros(len(gone), dtype=np.float64)
    known = (edge >= 0) & verified
    if verified:
        measured = np.concatenate([np.empty(0, np.float32), *(np.load(f / "similarity.npy") for f in folders[:count])])
        similarity[known] = measured[edge[known]]
    # Neither a component nor an unverified bucket says how similar a document is to the one that stands for it.
    similarity[~known], _ = _measured(documents, np.stack([removed, witness], axis=1)[~known], arguments)
    write_drops(target, documents.drops(removed, witness, similarity))

    facts: Counter[str] = Counter()
    for folder in folders:
        facts.update(task_facts(folder))
    sizes = np.unique(witness, return_counts=True)[1] + 1
    below = np.float32(similarity) < np.float32(arguments["threshold"])
    return {
        **facts,
        "removed": len(removed),
        "removed_below_threshold": int(below.sum()),
        "clusters": len(sizes),
        "largest_cluster": int(sizes.max(initial=0)),
    }


def _measured(
    documents: Documents,
    pairs: np.ndarray,
    arguments: dict[str, Any],
    measure: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, int]:
    """Similarity of each pair, by `measure` (else exact), and how many were compared as long documents: exactly."""
    import numpy as np

    from bailong.prepare.dedup.verify import jaccard, with_long

    ngram, most = arguments["verify_ngram"], arguments["max_unique_tokens"]
    long = np.zeros(len(pairs), dtype=bool) if most is None else with_long(documents, pairs, most)
    out = np.empty(len(pairs), dtype=np.float64)
    out[~long] = measure(pairs[~long]) if measure else jaccard(documents, pairs[~long], ngram)
    out[long] = jaccard(documents, pairs[long], max(ngram, arguments["long_ngram"]))
    return out, int(long.sum())
