"""How much of each source goes in (paper, section 3.2 and Table 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bailong.prepare.step.base import CorpusStep, RunTasks, ShardRef
from bailong.prepare.work.task import Task
from bailong.run.checks import did_you_mean, require

if TYPE_CHECKING:
    import numpy as np

#: Table 3 of the paper: shares of the 13 B training tokens
TABLE_3 = {
    "zhihu": 0.0496,
    "wiki": 0.1703,
    "oscar": 0.0904,
    "firefly": 0.0200,
    "refinedweb": 0.2053,
    "cc": 0.3460,
    "books": 0.0083,
    "webdocs": 0.1101,
}


@dataclass
class Mix(CorpusStep):
    """Sample documents of each source down (or repeat them) to a share of the training tokens.

    `proportions` gives the share of each source by its name (they are scaled to add up to 1), `tokens` the size of
    the whole; without `tokens` the mixture is as large as the proportions allow. `quotas` gives tokens of single
    sources instead. Without either everything is taken once. `max_epochs` is how often a document may be
    repeated where a source is too small. Which documents are taken depends on their keys and `seed` alone.
    Held-out documents are never sampled, and no share counts them.
    """

    proportions: dict[str, float] = field(default_factory=dict)
    tokens: int | None = None
    quotas: dict[str, int] = field(default_factory=dict)
    max_epochs: int = 1
    seed: int = 0

    name: ClassVar[str] = "mix"

    def __post_init__(self) -> None:
        self.require(self.tokens is None or self.tokens > 0, "tokens", "above 0, or null")
        self.require(1 <= self.max_epochs <= 255, "max_epochs", "1 to 255")
        self.require(not (self.proportions and self.quotas), "quotas", "empty beside mix.proportions")
        self.require(self.tokens is None or bool(self.proportions), "tokens", "null without proportions")
        for source, share in self.proportions.items():
            require(share > 0, f"mix.proportions.{source}", share, "above 0")
        for source, tokens in self.quotas.items():
            require(tokens >= 0, f"mix.quotas.{source}", tokens, "0 or more")

    def check(self, sources: list[str]) -> None:
        """Refuse names that are no source of the data, and proportions that leave one out."""
        for key, given in (("proportions", self.proportions), ("quotas", self.quotas)):
            for name in given:
                if name not in sources:
                    has = f"the sources are {', '.join(sources)}"
                    raise ValueError(f"mix.{key}.{name} names no source{did_you_mean(name, sources)}: {has}")
        if self.proportions and (missing := [s for s in sources if s not in self.proportions]):
            raise ValueError(f"mix.proportions says nothing of {', '.join(missing)}: give every source a share")

    def targets(self, available: dict[str, int]) -> dict[str, int]:
        """Training tokens to take of each source, given what there is of each."""
        if not self.enabled or not (self.proportions or self.quotas):
            return dict(available)
        most = {name: tokens * self.max_epochs for name, tokens in available.items()}
        if self.quotas:
            return {name: min(self.quotas.get(name, available[name]), most[name]) for name in available}
        whole = sum(self.proportions.values())
        shares = {name: self.proportions[name] / whole for name in available}
        total = self.tokens or min(most[name] / shares[name] for name in available)
        return {name: min(round(shares[name] * total), most[name]) for name in available}

    def decide(self, names: list[str], held_out: float, run: RunTasks, shards: list[ShardRef], drops: list[str]) -> str:
        """Decide how often each document is taken; the name of the task whose folder holds `copies.npy`."""
        knobs = {"proportions": self.proportions, "tokens": self.tokens, "quotas": self.quotas}
        if not self.enabled:
            knobs = {"proportions": {}, "tokens": None, "quotas": {}}
        knobs |= {"max_epochs": self.max_epochs, "seed": self.seed}
        arguments = {
            "knobs": knobs,
            "names": names,
            "sources": [s.source for s in shards],
            "drops": len(drops),
            "held_out": held_out,
        }
        task = Task("mix", "bailong.step.mix:choose", arguments, (*drops, *(s.task for s in shards)), Mix.version)
        run([task])
        return task.name


def choose(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: how often each document of each shard goes in.

    Writes `copies.npy`, [documents] uint8, the shards one after another, and `offsets.npy`, [shards + 1] int64.
    """
    import numpy as np

    from bailong.prepare.work.shard import Shard, alive

    settings = Mix(**arguments["knobs"])
    names: list[str] = arguments["names"]
    drops, folders = inputs[: arguments["drops"]], inputs[arguments["drops"] :]
    shards = [Shard(folder, source) for folder, source in zip(folders, arguments["sources"], strict=True)]
    offsets = np.cumsum([0, *(len(s) for s in shards)])
    tokens, order, source, training, held = [], [], [], [], []
    for number, part in enumerate(shards):
        there = alive(number, len(part), drops)
        out = np.load(part.folder / "held_out.npy") < arguments["held_out"]
        tokens.append(np.diff(part.starts))
        order.append(scrambled(part.keys[:, 0], settings.seed))
        source.append(np.full(len(part), part.source))
        training.append(there & ~out)
        held.append(there & out)
    if not tokens:
        raise ValueError(
            f"data.sources leave no document: {', '.join(names)}: all are empty, or every document was dropped"
        )
    flat = [np.concatenate(x) for x in (tokens, order, source, training, held)]
    copies, facts = _copies(settings, names, *flat)
    np.save(target / "copies.npy", copies)
    np.save(target / "offsets.npy", offsets)
    return {"sources": facts}


def _copies(
    settings: Mix,
    names: list[str],
    tokens: np.ndarray,
    order: np.ndarray,
    source: np.ndarray,
    training: np.ndarray,
    held: np.ndarray,
) -> tuple[np.ndarray, dict[str, Any]]:
    import numpy as np

    rows = {name: np.flatnonzero(training & (source == i)) for i, name in enumerate(names)}
    available = {name: int(tokens[r].sum()) for name, r in rows.items()}
    targets = settings.targets(available)
    copies = np.zeros(len(tokens), dtype=np.uint8)
    copies[held.astype(bool)] = 1
    facts = {}
    for name, mine in rows.items():
        whole, rest = divmod(targets[name], available[name]) if available[name] else (0, 0)
        copies[mine] = whole
        if rest:
            mine = mine[np.argsort(order[mine], kind="stable")]
            # a document is taken if more of it lies within the quota than beyond
            middle = np.cumsum(tokens[mine]) - tokens[mine] / 2
            copies[mine[middle <= rest]] += 1
        taken = int((tokens[rows[name]] * copies[rows[name]]).sum())
        facts[name] = {"available": available[name], "target": targets[name], "taken": taken}
    return copies, facts


def scrambled(keys: np.ndarray, seed: int) -> np.ndarray:
    """[n] uint64, a fixed pseudo-random order of documents (splitmix64's finaliser over key and seed)."""
    import numpy as np

    x = keys + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
