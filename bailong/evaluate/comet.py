"""`comet.jsonl`: COMET of every translation, computed by another Python (comet_process.py), where one is named.

A row is {"benchmark", "id", "key", "model", "score"}; `key` stands for the source, the translation and the reference.
Rows are appended as they come, so a process that is killed or fails loses nothing of what it has said.
"""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.settings import Comet
from bailong.run import journal
from bailong.run.journal import Journal

FILE = "comet.jsonl"
PROCESS = Path(__file__).with_name("comet_process.py")


def key(item: Item, hypothesis: str) -> str:
    """SHA-256 of what is scored."""
    text = json.dumps([item.meta["source"], hypothesis, item.golds[0]], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def collect(
    settings: Comet,
    items: Sequence[Item],
    hypotheses: Sequence[str],
    path: Path,
    done: Callable[[int, int], None] | None = None,
) -> None:
    """Append a row for each translation that has none by this model.

    Raises:
        ValueError: the process cannot be started, or fails (rows so far are kept); another one writes to the file.
    """
    assert settings.python is not None
    keys = [key(item, text) for item, text in zip(items, hypotheses, strict=True)]
    with Journal(path) as written:
        last = {(row["benchmark"], row["id"]): (row["key"], row["model"]) for row in written.rows}
        wanted = [last.get((item.benchmark, item.id)) != (keys[at], settings.model) for at, item in enumerate(items)]
        waiting = [at for at, missing in enumerate(wanted) if missing]
        if not waiting:
            return
        triples = [{"src": items[at].meta["source"], "mt": hypotheses[at], "ref": items[at].golds[0]} for at in waiting]
        places = iter(waiting)

        def add(score: float) -> None:
            at = next(places)
            facts = {"benchmark": items[at].benchmark, "id": items[at].id, "key": keys[at], "model": settings.model}
            written.append(facts | {"score": score})
            if done is not None:
                done(len(items) - len(waiting) + waiting.index(at) + 1, len(items))

        _run(settings, triples, add)


def _run(settings: Comet, triples: list[dict[str, str]], add: Callable[[float], None]) -> None:
    """Start the process, give it the translations, and hand on each score as it comes."""
    command = [str(settings.python), str(PROCESS), settings.model, str(settings.batch), str(settings.gpus)]
    scores = 0
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        for triple in triples:
            given.write(json.dumps(triple).encode("ascii") + b"\n")
        given.seek(0)
        try:
            process = subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=said)
        except OSError as error:
            raise ValueError(f"comet.python={settings.python} cannot be started: {error.strerror}") from None
        with process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if scores == len(triples):
                        break
                    add(_score(line))
                    scores += 1
            except BaseException:  # no score, or stopped by hand
                process.kill()
                raise
        said.seek(0)
        lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    if process.returncode or scores < len(triples):
        why = lines[-1].strip()[:300] if lines else f"it ended with {process.returncode} and said nothing"
        raise ValueError(
            f"comet.python={settings.python}, comet.model={settings.model}: it failed after {scores:,} of "
            f"{len(triples):,} translations: {why}"
        )


def _score(line: bytes) -> float:
    try:
        return float(json.loads(line)["score"])
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"the process of comet.python said what is no score: {line[:100]!r}") from None


def read(path: Path, items: Sequence[Item], hypotheses: Sequence[str]) -> tuple[np.ndarray, str] | None:
    """The scores of these translations, [n], and the model; None unless one model has scored all of them."""
    last: dict[tuple[str, str], dict[str, Any]] = {(row["benchmark"], row["id"]): row for row in journal.read(path)}
    rows = [last.get((item.benchmark, item.id)) for item in items]
    right = [row and row["key"] == key(item, text) for row, item, text in zip(rows, items, hypotheses, strict=True)]
    models = {row["model"] for row in rows if row}
    if not all(right) or len(models) != 1:
        return None
    return np.asarray([row["score"] for row in rows if row], dtype=float), models.pop()
