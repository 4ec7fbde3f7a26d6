"""Clean shards written by hand, and both arithmetics of deduplication: compiled, and NumPy's."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from bailong.prepare.dedup import signatures, star, verify
from bailong.prepare.step.base import ShardRef
from bailong.prepare.work import task


class Doc(NamedTuple):
    """Token ids are the text's characters, or `ids` where given."""

    name: str
    text: str
    source: int = 0
    ids: np.ndarray | None = None

    @property
    def key(self) -> bytes:
        return digest(self.name)

    def tokens(self) -> np.ndarray:
        return np.array([ord(c) for c in self.text], dtype=np.uint32) if self.ids is None else self.ids


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def halves(keys: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(keys), dtype=">u8").reshape(-1, 2).astype(np.uint64)


def write(root: Path, shards: list[list[Doc]]) -> list[ShardRef]:
    """One folder a shard, as `bailong.prepare.clean` leaves them; a shard holds documents of one source."""
    refs = []
    for number, docs in enumerate(shards):
        folder = root / f"clean/{number:05d}"
        folder.mkdir(parents=True)
        ids = [doc.tokens() for doc in docs]
        np.save(folder / "ids.npy", np.concatenate([np.empty(0, np.uint32), *ids]))
        np.save(folder / "starts.npy", np.cumsum([0, *map(len, ids)], dtype=np.int64))
        np.save(folder / "keys.npy", halves([doc.key for doc in docs]))
        np.save(folder / "hashes.npy", halves([digest(doc.text or str(doc.tokens().tolist())) for doc in docs]))
        made = {"fingerprint": folder.name, "facts": {}, "digest": task.digest(folder, {})}
        (folder / "manifest.json").write_text(json.dumps(made))
        refs.append(ShardRef(f"clean/{number:05d}", docs[0].source if docs else 0, len(docs), sum(map(len, ids))))
    return refs


def run_in(root: Path, backwards: bool = False):
    """Runs tasks here and now, the last first if asked."""

    def run(tasks):
        done = {t.name: task.run(t, root) for t in (reversed(tasks) if backwards else tasks)}
        return [done[t.name] for t in tasks]

    return run


def removed(root: Path, name: str, shards: list[list[Doc]]) -> dict[str, tuple[str, float]]:
    """Name of each removed document -> its witness and their similarity."""
    table = np.load(root / name / "drops.npy")
    assert (np.diff(table["shard"].astype(np.int64) << 32 | table["row"]) > 0).all()  # sorted, each row once
    return {
        shards[d["shard"]][d["row"]].name: (shards[d["witness_shard"]][d["witness_row"]].name, float(d["similarity"]))
        for d in table
    }


def use(arithmetic: str, monkeypatch) -> None:
    """`numba` or `numpy`, in every module that has both."""
    if arithmetic == "numba":
        pytest.importorskip("numba")
    else:
        for module in (signatures, star, verify):
            monkeypatch.setattr(module, "compiled", lambda: None)


def packed(documents: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Documents one after the other, and where each begins."""
    return np.concatenate([np.empty(0, np.uint32), *documents]).astype(np.uint32), np.cumsum([0, *map(len, documents)])
