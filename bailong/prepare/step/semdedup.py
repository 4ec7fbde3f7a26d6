"""Semantic duplicates by SemDeDup (Abbas et al., 2023; paper, section 3.2): near each other for a sentence encoder.

Phases, each of them tasks that a changed knob leaves alone unless it reads it:

    rows     which documents of a block the earlier steps left
    embed    their vectors; by far the longest, in small blocks, so that a killed run loses little
    fit      spherical k-means on a sample of a scope (one source, or all)
    assign   every vector to its cluster; a sample of documents is compared with everything, to see what borders cost
    plan     ranges of clusters of about equal work
    pairs    pairs above the lowest threshold within each cluster
    cut      what goes at `eps`: all that is done again when `eps` or `remove_rule` changes
    drops    the scopes together

`embed` reads a block's documents and `rows`, nothing else: a source or file that is added leaves the vectors of the
others as they are. Where an earlier step drops other documents than before, the blocks in which it did are made anew.
"""

import importlib.util
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from bailong.prepare.step.base import GlobalStep, RunTasks, ShardRef
from bailong.prepare.work.task import Task, facts
from bailong.run.checks import require

#: knobs that decide each phase (`find` adds the encoder's hash to the first)
EMBED = ("dtype", "window", "max_chunks")
FIT = ("clusters", "iterations", "seed", "recall_sample")
PAIRS = ("keep", "max_eps", "max_edges", "max_cluster", "seed")
CUT = ("remove_rule", "keep", "max_cluster", "seed")

#: share of documents longer than the encoder reads from which the books carry a warning
MANY_TRUNCATED = 0.3
#: blocks of vectors that one task assigns to clusters
BLOCKS = 32


@dataclass
class Semdedup(GlobalStep):
    """Remove documents whose embedding has a cosine above 1 - `eps` with that of another one in the same cluster.

    The paper says "cosine similarity higher than dissimilarity threshold 0.1"; read by the letter that removes nearly
    everything. The authors' code removes above 1 - eps = 0.9, and so do we: a larger `eps` removes more.

    Encoder: `model` is a folder or Hub id (at `revision`) of sentence-transformers. With `window: head` it sees the
    first tokens alone (128 with the paper's, some 200 Chinese characters); `mean_of_chunks` averages up to `max_chunks`
    windows.

    Clusters: `clusters` null means round(sqrt(n)), with 39 documents a cluster at least. A document is compared within
    its nearest cluster, or the `probe` nearest. `recall_sample` documents are compared with all, so that the books say
    what share of duplicates the borders hide. A cluster of more than `max_cluster` is clustered once more.

    Order within a cluster: `keep: hard` prefers documents far from the centroid, `easy` those near it, `random` goes by
    key. `remove_rule: greedy` walks in that order and removes what is too similar to a *kept* document, its witness;
    `predecessor` is the original rule, where a removed document still removes others, so that chains go as a whole.

    Pairs above 1 - `max_eps` are kept on disk (at most `max_edges` times the documents of a cluster; a denser one is
    compared anew), so that another `eps` up to `max_eps` is cut without embedding, clustering or comparing again.
    """

    model: str = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    revision: str | None = None
    dtype: str = "float32"
    window: str = "head"
    max_chunks: int = 8
    scope: str = "source"
    clusters: int | None = None
    iterations: int = 20
    probe: int = 1
    max_cluster: int = 50_000
    keep: str = "hard"
    remove_rule: str = "greedy"
    eps: float = 0.1
    max_eps: float = 0.3
    max_edges: int = 100
    recall_sample: int = 2000
    seed: int = 0
    block: int = 2000
    device: str = "auto"
    batch_size: int = 32
    threads: int = 1

    name: ClassVar[str] = "semdedup"
    # `facts` hashes the encoder. The other three may change the last bits of a vector, never what it means.
    local: ClassVar[tuple[str, ...]] = ("model", "revision", "device", "batch_size", "threads")

    def __post_init__(self) -> None:
        self.one_of("dtype", ("float32", "bfloat16", "float16"))
        self.one_of("window", ("head", "mean_of_chunks"))
        self.one_of("scope", ("source", "global"))
        self.one_of("keep", ("hard", "easy", "random"))
        self.one_of("remove_rule", ("greedy", "predecessor"))
        for knob in ("max_chunks", "iterations", "probe", "max_edges", "block", "batch_size", "threads"):
            self.require(getattr(self, knob) >= 1, knob, "1 or more")
        self.require(self.clusters is None or self.clusters >= 1, "clusters", "1 or more, or null")
        self.require(self.max_cluster >= 2, "max_cluster", "2 or more")
        self.require(self.recall_sample >= 0, "recall_sample", "0 (none) or more")
        self.require(0 < self.max_eps < 1, "max_eps", "between 0 and 1")
        self.require(
            0 < self.eps <= self.max_eps,
            "eps",
            f"above 0 and at most semdedup.max_eps={self.max_eps} (documents go at a cosine above 1 - eps)",
        )

    def facts(self) -> dict[str, Any]:
        """The encoder's hash: of its weights, tokenizer and configuration, wherever they lie.

        Raises:
            ValueError: the encoder is not there and cannot be downloaded.
            ModuleNotFoundError: faiss is missing, which would else be found out after the embedding.
        """
        from bailong.prepare.dedup import embed

        if importlib.util.find_spec("faiss") is None:
            raise ModuleNotFoundError("semdedup clusters with faiss: pip install 'bailong[semantic]'")
        return {"encoder_sha256": embed.identity(embed.locate(self.model, self.revision))}

    @classmethod
    def find(
        cls, settings: Mapping[int, Self], run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str] = ()
    ) -> str:
        scopes = _scopes(settings, shards)
        blocks = _embed(settings, run, shards, drops)
        assigned = _assign(settings, run, shards, blocks, scopes)
        cuts = []
        for (scope, sources), (assigns, pairs) in zip(scopes.items(), assigned, strict=True):
            knobs = settings[sources[0]]
            arguments = knobs.chosen(CUT) | {
                "eps": {str(source): settings[source].eps for source in sources},
                "sources": [shard.source for shard in shards],
                "pairs": len(pairs),
            }
            cuts.append(_task(knobs, f"{scope}/cut", "cluster_cut:cut", arguments, [*pairs, *assigns]))
        run(cuts)
        counts = [[_label(shards[number]), len(names)] for number, names in blocks.items()]
        arguments = {"scopes": list(scopes), "blocks": counts}
        last = cls().task("drops", "collect", arguments, [task.name for task in cuts], *blocks.values())
        run([last])
        return last.name


def _embed(
    settings: Mapping[int, Semdedup], run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str]
) -> dict[int, list[str]]:
    """Embed every block; place of each shard that takes part -> its embedding tasks."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    rows: list[Task] = []
    embeds: list[Task] = []
    blocks: dict[int, list[str]] = {}
    for number, shard in enumerate(shards):
        if (knobs := settings.get(shard.source)) is None:
            continue
        encoder = (knobs.model, knobs.revision)
        if encoder not in found:
            found[encoder] = knobs.facts()
        arguments = found[encoder] | knobs.chosen(EMBED)
        local = knobs.chosen(Semdedup.local)
        place = shard.task.removeprefix("clean/")
        blocks[number] = []
        for block, first in enumerate(range(0, shard.documents, knobs.block)):
            last = min(first + knobs.block, shard.documents)
            span = {"number": number, "documents": shard.documents, "first": first, "last": last}
            left = Task(f"semdedup/rows/{place}/{block:05d}", "bailong.dedup.embed:rows", span, tuple(drops))
            name = f"semdedup/embed/{place}/{block:05d}"
            inputs = (shard.task, left.name)
            embeds.append(Task(name, "bailong.dedup.embed:embed", arguments, inputs, Semdedup.version, local))
            rows.append(left)
            blocks[number].append(name)
    run(rows)
    run(embeds)
    return blocks


def _scopes(settings: Mapping[int, Semdedup], shards: Sequence[ShardRef]) -> dict[str, list[int]]:
    """Name of a scope -> positions of its sources: those with `scope: global` together, every other one alone."""
    scopes: dict[str, list[int]] = defaultdict(list)
    for source in sorted({shard.source for shard in shards if shard.documents} & settings.keys()):
        label = next(_label(shard) for shard in shards if shard.source == source)
        scopes["global" if settings[source].scope == "global" else f"source/{label}"].append(source)
    for sources in scopes.values():
        first = settings[sources[0]]
        for source in sources[1:]:
            for knob in ("model", "revision", *EMBED, *FIT, *PAIRS, "probe", "remove_rule"):
                theirs = getattr(settings[source], knob)
                require(theirs == getattr(first, knob), f"semdedup.{knob} of source {source}", theirs,
                        f"{getattr(first, knob)} as for source {sources[0]}: with semdedup.scope=global "
                        "sources may differ in eps alone")  # fmt: skip
    return scopes


def _assign(
    settings: Mapping[int, Semdedup],
    run: RunTasks,
    shards: Sequence[ShardRef],
    blocks: dict[int, list[str]],
    scopes: dict[str, list[int]],
) -> list[tuple[list[str], list[str]]]:
    """Cluster and compare; of each scope the names of its tasks `assign` and `pairs`."""
    fits: list[Task] = []
    assigns: list[list[Task]] = []
    first_knobs = [settings[sources[0]] for sources in scopes.values()]
    for (scope, sources), knobs in zip(scopes.items(), first_knobs, strict=True):
        mine = [(number, name) for number in blocks if shards[number].source in sources for name in blocks[number]]
        fit = _task(knobs, f"{scope}/fit", "clusters:fit", knobs.chosen(FIT), [name for _, name in mine])
        fits.append(fit)
        assigns.append([])
        for i, first in enumerate(range(0, len(mine), BLOCKS)):
            numbers, names = zip(*mine[first : first + BLOCKS], strict=True)
            arguments = {"probe": knobs.probe, "numbers": numbers}
            assigns[-1].append(
                _task(knobs, f"{scope}/assign/{i:05d}", "clusters:assign", arguments, [fit.name, *names])
            )
    run(fits)
    run([task for tasks in assigns for task in tasks])
    inputs = [[task.name for task in tasks] for tasks in assigns]
    plans = [
        _task(knobs, f"{scope}/plan", "clusters:plan", {"max_cluster": knobs.max_cluster}, names)
        for scope, knobs, names in zip(scopes, first_knobs, inputs, strict=True)
    ]
    pairs: list[list[Task]] = []
    for scope, knobs, names, plan in zip(scopes, first_knobs, inputs, run(plans), strict=True):
        arguments = knobs.chosen(PAIRS) | {"sources": [shard.source for shard in shards]}
        pairs.append(
            [
                _task(
                    knobs,
                    f"{scope}/pairs/{i:05d}",
                    "cluster_pairs:pairs",
                    arguments | {"first": first, "last": last},
                    names,
                )
                for i, (first, last) in enumerate(plan["facts"]["ranges"])
            ]
        )
    run([task for tasks in pairs for task in tasks])
    return [(names, [task.name for task in tasks]) for names, tasks in zip(inputs, pairs, strict=True)]


def _task(knobs: Semdedup, name: str, function: str, arguments: dict[str, Any], inputs: Sequence[str]) -> Task:
    """A task of one scope."""
    threads = {"threads": knobs.threads}
    return Task(f"semdedup/{name}", f"bailong.dedup.{function}", arguments, tuple(inputs), Semdedup.version, threads)


def collect(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: the drops of all scopes as one table, and the facts of the step.

    Args:
        inputs: the `cut` of each of `scopes`, then the embedded blocks.
        arguments: `scopes`, and `blocks`, [source's name, number of blocks] of each shard.
    """
    import numpy as np

    from bailong.prepare.work.shard import DROPS, write_drops

    cuts = inputs[: len(arguments["scopes"])]
    write_drops(target, np.concatenate([np.empty(0, DROPS), *(np.load(folder / "drops.npy") for folder in cuts)]))
    sources: dict[str, dict[str, Any]] = {}
    embedded = iter(inputs[len(cuts) :])
    for label, count in arguments["blocks"]:
        mine = sources.setdefault(label, {"documents": 0, "truncated": 0})
        for _ in range(count):
            block = facts(next(embedded))
            mine["documents"] += block["documents"]
            mine["truncated"] += block["truncated"]
            mine["encoder_tokens"] = block["encoder_tokens"]
    for mine in sources.values():
        mine["truncated_share"] = round(mine["truncated"] / mine["documents"], 4) if mine["documents"] else 0.0
        if mine["truncated_share"] > MANY_TRUNCATED:
            mine["warning"] = (
                f"{mine['truncated_share']:.0%} of the documents are longer than the {mine['encoder_tokens']} tokens "
                "that are embedded: those that begin alike pass for duplicates (semdedup.window, semdedup.max_chunks)"
            )
    scopes = {scope: facts(folder) for scope, folder in zip(arguments["scopes"], cuts, strict=True)}
    return {"removed": sum(scope["removed"] for scope in scopes.values()), "embedded": sources, "scopes": scopes}


def _label(shard: ShardRef) -> str:
    """The name of a shard's source: its task is `clean/<source>/<shard>`."""
    return shard.task.split("/")[1]
