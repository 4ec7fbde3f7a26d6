"""Text templates are reported for a person to review, and what was reviewed is removed (paper, section 3.2).

The paper removes templates by hand after deduplication. Here the report of one run (`templates.jsonl` and the ledger)
is what a person reads; the lines that are to go are copied into a list, and the next run removes what matches.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bailong.prepare.step.base import Result, RunTasks, ShardRef, TextStep
from bailong.prepare.work.task import facts

#: characters of a document that the report looks at: a template is near its ends or all of it
_CHARACTERS = 20_000
#: characters of an example
_EXAMPLE = 300


@dataclass
class Templates(TextStep):
    """Remove what matches a reviewed list, and report what recurs in the corpus.

    `reviewed` is a file of skeletons, one a line, plain or as copied from the report; null removes nothing.
    `level`: `line` cuts the lines that match, `document` drops the documents that have one. The report looks at up
    to `sample` documents, chosen by their keys, and lists the `top` skeletons that stand in at least `min_documents`
    of them, with `covered` of their letters fixed.
    """

    reviewed: str | None = None
    level: str = "line"
    report: bool = True
    sample: int = 50_000
    top: int = 200
    min_documents: int = 5
    covered: float = 0.6

    name: ClassVar[str] = "templates"
    version: ClassVar[int] = 2
    local: ClassVar[tuple[str, ...]] = ("reviewed",)

    def __post_init__(self) -> None:
        self.one_of("level", ("line", "document"))
        for knob in ("sample", "top"):
            self.require(getattr(self, knob) >= 1, knob, "1 or more")
        self.require(self.min_documents >= 2, "min_documents", "2 or more")
        self.require(0 < self.covered <= 1, "covered", "in (0, 1]")

    def facts(self) -> dict[str, Any]:
        """The reviewed list's hash and length."""
        if self.reviewed is None:
            return {}
        content = self._file().read_bytes()
        return {"sha256": hashlib.sha256(content).hexdigest(), "skeletons": len(self._reviewed())}

    def open(self) -> Callable[[str], Result]:
        from bailong.text.cut import Piece, cut
        from bailong.text.templates import Reviewed

        skeletons = self._reviewed()
        if not skeletons:
            return Result
        reviewed = Reviewed(skeletons)

        def apply(text: str) -> Result:
            if not reviewed.suspicious(text):
                return Result(text)
            pieces, start = [], 0
            for line in text.split("\n"):
                if reviewed.matches(line):
                    pieces.append(Piece(start, start + len(line), "template"))
                start += len(line) + 1
            if not pieces:
                return Result(text)
            if self.level == "document":
                return Result(None, "template")
            kept, removed = cut(text, pieces)
            return Result(kept, removed=removed) if kept.strip() else Result(None, "template")

        return apply

    def _reviewed(self) -> list[str]:
        from bailong.text.templates import read_list

        return [] if self.reviewed is None else read_list(self._file())

    def _file(self) -> Path:
        path = Path(self.reviewed or "")
        self.require(path.is_file(), "reviewed", "a UTF-8 file with one skeleton a line, or null")
        return path

    def list_recurring(self, run: RunTasks, shards: Sequence[ShardRef], drops: Sequence[str] = ()) -> str:
        """Report the templates of what earlier steps left; the name of the task with `templates.jsonl` is returned.

        Its facts hold `templates`: skeleton, documents (of those looked at), share, and three examples, most frequent
        first. The result is the same however the documents are spread over shards.
        """
        documents = sum(shard.documents for shard in shards)
        # A document is looked at if the first 32 bits of its key are below this.
        below = min(2**32, -(-(2**32) * self.sample // max(1, documents)))
        chosen = {"below": below, "covered": self.covered}

        if not self.report:
            shards = []
        counts = [
            self.task(f"clauses/{i:05d}", "clauses", {**chosen, "number": i}, [shard.task], drops)
            for i, shard in enumerate(shards)
        ]
        run(counts)
        common = self.task("common", "common", {"least": self.min_documents}, [task.name for task in counts])
        run([common])
        lines = [
            self.task(f"lines/{i:05d}", "lines", {**chosen, "number": i}, [shard.task, common.name], drops)
            for i, shard in enumerate(shards)
        ]
        run(lines)
        listed = {"least": self.min_documents, "top": self.top}
        table = self.task("report", "table", listed, [task.name for task in lines])
        run([table])
        return table.name


def clauses(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """In how many documents of a shard each clause, or end of one, stands: `hashes.npy` [m], `documents.npy` [m]."""
    import numpy as np

    from bailong.text import templates

    found = [
        np.fromiter(templates.keys(text), dtype=np.uint32)
        for _, text in _documents(inputs[0], inputs[1:], arguments["number"], arguments["below"])
    ]
    hashes, counts = np.unique(np.concatenate([np.empty(0, np.uint32), *found]), return_counts=True)
    np.save(target / "hashes.npy", hashes)
    np.save(target / "documents.npy", counts.astype(np.uint32))
    return {"documents": len(found)}


def common(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """The clauses of at least `least` documents in all: `hashes.npy`, sorted."""
    import numpy as np

    # All at once: the sample bounds them (some 60 a document), into however many shards it is cut.
    hashes = np.concatenate([np.empty(0, np.uint32), *(np.load(folder / "hashes.npy") for folder in inputs)])
    counts = np.concatenate([np.empty(0, np.uint32), *(np.load(folder / "documents.npy") for folder in inputs)])
    hashes, group = np.unique(hashes, return_inverse=True)
    counts = np.bincount(group, weights=counts, minlength=len(hashes))
    np.save(target / "hashes.npy", hashes[counts >= arguments["least"]])
    return {"clauses": int((counts >= arguments["least"]).sum())}


def lines(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Skeletons of a shard's lines: `skeletons.jsonl` of skeleton, documents and the examples with the lowest keys."""
    import numpy as np

    from bailong.text.templates import skeletons

    frequent = set(np.load(inputs[1] / "hashes.npy").tolist())
    found: dict[str, dict[str, Any]] = {}
    total = 0
    for key, text in _documents(inputs[0], inputs[2:], arguments["number"], arguments["below"]):
        total += 1
        for skeleton, line in skeletons(text, frequent, arguments["covered"]).items():
            _add(found, skeleton, 1, [[key, line[:_EXAMPLE]]])
    with (target / "skeletons.jsonl").open("w", encoding="utf-8") as stream:
        for skeleton, row in sorted(found.items()):
            stream.write(json.dumps({"skeleton": skeleton, **row}, ensure_ascii=False) + "\n")
    return {"documents": total}


def table(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """The report: `templates.jsonl`, lines of which can be copied into a reviewed list."""
    found: dict[str, dict[str, Any]] = {}
    total = 0
    for folder in inputs:
        total += facts(folder)["documents"]
        with (folder / "skeletons.jsonl").open(encoding="utf-8") as stream:
            for row in map(json.loads, stream):
                _add(found, row["skeleton"], row["documents"], row["examples"])
    often = [(skeleton, row) for skeleton, row in found.items() if row["documents"] >= arguments["least"]]
    often.sort(key=lambda item: (-item[1]["documents"], item[0]))
    report = [
        {
            "skeleton": skeleton,
            "documents": row["documents"],
            "share": round(row["documents"] / total, 6),
            "examples": [text for _, text in row["examples"]],
        }
        for skeleton, row in often[: arguments["top"]]
    ]
    with (target / "templates.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in report)
    return {"documents": total, "found": len(often), "templates": report}


def _documents(folder: Path, drops: list[Path], number: int, below: int) -> Iterator[tuple[str, str]]:
    """(key, text) of the living documents of a shard that the report looks at."""
    import numpy as np

    from bailong.prepare.work.shard import Shard, alive

    shard = Shard(folder, 0)
    keys = np.asarray(shard.keys)
    chosen = alive(number, len(shard), drops) & (keys[:, 0] >> np.uint64(32) < below)
    for row, text in enumerate(shard.texts()):
        if chosen[row]:
            yield f"{int(keys[row, 0]):016x}{int(keys[row, 1]):016x}", text[:_CHARACTERS]


def _add(found: dict[str, dict[str, Any]], skeleton: str, documents: int, examples: list[list[str]]) -> None:
    """Count a skeleton; the three examples with the lowest keys stay, whatever the order they come in."""
    row = found.setdefault(skeleton, {"documents": 0, "examples": []})
    row["documents"] += documents
    row["examples"] = sorted([*row["examples"], *examples])[:3]
