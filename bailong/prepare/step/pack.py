"""Ids of the whole training text in one memory-mapped file, ready for training (paper, section 3.4)."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bailong.prepare.step.base import CorpusStep
from bailong.prepare.work.task import facts as task_facts


@dataclass
class Pack(CorpusStep):
    """Write the ids that `bailong-train` reads in place of tokenizing again, and say what a strategy makes of them.

    The file holds whole documents back to back; how they fill sequences is decided when they are read
    (`stage.packing`), so that strategies can be compared on one corpus. `strategy` and `context` are those of the
    report: `truncate` (the paper: one document a sequence, cut at `context`), `concat` or `best_fit`.
    """

    strategy: str = "concat"
    context: int = 2048

    name: ClassVar[str] = "pack"

    def __post_init__(self) -> None:
        self.one_of("strategy", ("concat", "truncate", "best_fit"))
        self.require(self.context > 1, "context", "above 1")


def pack(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: join the ids of all published shards into the layout of `bailong.data.tokens`.

    Args:
        inputs: the published shards, in order.
        arguments: `sources` (position of each shard's), `names`, `languages`, `dtype`, `strategy`, `context`,
            `evaluation_bytes`, maybe `evaluation_bytes_at_ends`, and for the evaluation text `tokenizer` (path) and
            `markers`.
    """
    import numpy as np

    from bailong.data import packing, tokens
    from bailong.data.sources import lines
    from bailong.prepare.step.tokenize import Tokenize
    from bailong.prepare.work.arrays import ArrayFile

    per_source = [
        {"path": name, "language": language, "documents": 0, "tokens": 0, "bytes": 0}
        for name, language in zip(arguments["names"], arguments["languages"], strict=True)
    ]
    starts = ArrayFile(target / "training.starts.npy", np.dtype(np.int64))
    starts.append([0])
    total, lengths, text_bytes = 0, [], 0
    with (target / "training.ids").open("wb") as stream:
        for folder, position in zip(inputs, arguments["sources"], strict=True):
            own = np.load(folder / "training.npy")
            starts.append(total + np.cumsum(own))
            total += int(own.sum())
            lengths.append(own)
            with (folder / "training.ids").open("rb") as part:
                shutil.copyfileobj(part, stream, 1 << 22)
            facts = task_facts(folder)["training"]
            row = per_source[position]
            for key, value in (("documents", len(own)), ("tokens", int(own.sum())), ("bytes", facts["bytes"])):
                row[key] += value
            text_bytes += facts["bytes"]
    starts.close()

    held_out = (json.loads(line) for folder in inputs for line in lines(folder / "evaluation.jsonl.zst"))
    most, at_ends = arguments["evaluation_bytes"], arguments.get("evaluation_bytes_at_ends")
    documents, longer = tokens.evaluation_parts(held_out, most, at_ends)
    encode, dtype, _ = Tokenize(tokenizer=arguments["tokenizer"]).open()
    first, last = arguments["markers"]
    evaluated = {}
    for name, texts in {"evaluation": documents, **({"ends": longer} if longer else {})}.items():
        ids = [np.concatenate([[first], row, [last]]).astype(dtype) for row in encode(texts)]
        np.save(target / f"{name}.starts.npy", np.cumsum([0, *map(len, ids)], dtype=np.int64))
        (target / f"{name}.ids").write_bytes(b"".join(row.tobytes() for row in ids))
        (target / f"{name}.json").write_text(json.dumps(texts, ensure_ascii=False))
        evaluated[name] = {
            "documents": len(texts),
            "tokens": sum(map(len, ids)),
            "text_bytes": sum(len(text.encode("utf-8")) for text in texts),
        }
    whole = np.concatenate(lengths) if lengths else np.empty(0, np.int64)
    written = {
        "dtype": dtype,
        "training": {"documents": len(whole), "tokens": total, "text_bytes": text_bytes},
        **evaluated,
        "per_source": per_source,
    }
    (target / "corpus.json").write_text(json.dumps(written, ensure_ascii=False, indent=2))
    return {
        "training": written["training"],
        **evaluated,
        "strategies": {s: packing.summary(whole, s, arguments["context"]) for s in packing.STRATEGIES},
        "strategy": arguments["strategy"],
        "context": arguments["context"],
    }
