"""Unit vectors of documents by a sentence-transformers encoder, in blocks that are each worth a record of their own.

What is exact and what is not: the same block gives the same bytes in any process and with any number of workers, for it
is always cut into the same batches. Another batch size, number of threads, processor or GPU may change the last bits
(measured: none between one and two threads, or batches of 8 and 32, on one CPU).
"""

import hashlib
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bailong.prepare.work.shard import Shard, alive
from bailong.run import hub
from bailong.run.files import sha256

#: characters a token are looked at: bounds the work on a 100 MB document; what is longer is truncated in any case
CHARACTERS = 16
#: files of a model folder that decide what it computes
DECIDING = (".json", ".txt", ".model", ".safetensors", ".bin")
#: forms of the weights that are not read
OTHER_FORMS = ["onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "*.onnx", "*.md"]


def locate(model: str, revision: str | None = None) -> Path:
    """The folder of an encoder: `model` itself, or where the Hub's files lie after a download.

    Raises:
        ValueError: neither a folder nor to be had from the Hub.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        with hub.asked():
            return Path(snapshot_download(model, revision=revision, ignore_patterns=OTHER_FORMS))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ValueError(
            f"semdedup.model={model} is not accepted: it must be a folder of a sentence-transformers model, or a Hub "
            f"id that can be downloaded ({str(error).splitlines()[0]})"
        ) from error


def identity(folder: Path) -> str:
    """Hash of what decides an encoder's vectors: weights, tokenizer, configuration. A Hub id and its copy are equal."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in DECIDING}
    if any(name.endswith(".safetensors") for name in files):
        files = {name: path for name, path in files.items() if path.suffix != ".bin"}
    total = hashlib.sha256()
    for name in sorted(name for name in files if not name.startswith(("onnx/", "openvino/", "."))):
        total.update(f"{name} {sha256(files[name])}\n".encode())
    return total.hexdigest()


class Encoder:
    """A sentence-transformers model that looks at one window of a text, or at several and takes their mean.

    Attributes:
        room: tokens of text that fit into a window, markers not counted.
        width: of a vector.
    """

    def __init__(self, folder: Path, device: str, dtype: str, threads: int) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        from bailong.run import process

        process.quiet()
        torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"semdedup.model={folder} cannot be loaded: {str(error).splitlines()[0]}") from error
        self.model.to(getattr(torch, dtype)).eval()
        self.tokenizer: Any = self.model.tokenizer
        self.width: int = int(self.model.get_embedding_dimension() or 0)
        length = self.model.max_seq_length or self.tokenizer.model_max_length
        self.room = int(length) - self.tokenizer.num_special_tokens_to_add()

    def windows(self, text: str, most: int) -> tuple[list[str], list[int], bool]:
        """Up to `most` consecutive windows of a text, their tokens, and whether some text is left over."""
        seen = text[: CHARACTERS * self.room * most]
        encoded = self.tokenizer(
            seen, add_special_tokens=False, truncation=False, return_offsets_mapping=most > 1, verbose=False
        )
        tokens = len(encoded["input_ids"])
        left_over = tokens > self.room * most or len(seen) < len(text)
        if most == 1 or tokens <= self.room:
            return [seen], [min(tokens, self.room)], left_over
        spans = encoded["offset_mapping"][: self.room * most]
        pieces = [spans[first : first + self.room] for first in range(0, len(spans), self.room)]
        return [seen[piece[0][0] : piece[-1][1]] for piece in pieces], [len(piece) for piece in pieces], left_over

    def encode(self, texts: list[str]) -> np.ndarray:
        """[len(texts), width] float32, one batch."""
        found = self.model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(found, dtype=np.float32)


@lru_cache(maxsize=1)
def load(folder: Path, device: str, dtype: str, threads: int) -> Encoder:
    """An encoder, once a process."""
    return Encoder(folder, device, dtype, threads)


def vectors(encoder: Encoder, texts: list[str], most: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of some texts, [n, width] float32, and which texts are longer than what was looked at, [n] bool.

    Windows are ordered by length, so that a batch holds little padding, and then by text; a text of several windows
    gets the mean of their unit vectors, weighted by their tokens.

    Raises:
        ValueError: the encoder gave something that is not finite.
    """
    windows: list[tuple[int, str, int]] = []
    truncated = np.zeros(len(texts), dtype=bool)
    for i, text in enumerate(texts):
        pieces, tokens, truncated[i] = encoder.windows(text, most)
        windows += [(count, piece, i) for count, piece in zip(tokens, pieces, strict=True)]
    windows.sort()
    total = np.zeros((len(texts), encoder.width), dtype=np.float32)
    for first in range(0, len(windows), batch_size):
        batch = windows[first : first + batch_size]
        found = _unit(encoder.encode([piece for _, piece, _ in batch]))
        weights = np.array([max(tokens, 1) for tokens, _, _ in batch], dtype=np.float32)
        np.add.at(total, [i for _, _, i in batch], found * weights[:, None])
    return _unit(total), truncated


def rows(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> None:
    """Task: `rows.npy`, [m] int32, those of the rows `first` ... `last` - 1 of shard `number` that nothing removed.

    Args:
        inputs: the folders of earlier drops.
    """
    first, last = arguments["first"], arguments["last"]
    kept = alive(arguments["number"], arguments["documents"], inputs)[first:last]
    np.save(target / "rows.npy", (first + np.flatnonzero(kept)).astype(np.int32))


def embed(target: Path, inputs: list[Path], arguments: dict[str, Any]) -> dict[str, Any]:
    """Task: `vectors.npy` [m, width] float32, and of the same documents `rows.npy` [m] and `keys.npy` [m, 2].

    Args:
        inputs: a clean shard, and the rows of it that are wanted.
        arguments: `encoder_sha256` (for the fingerprint), `dtype`, `window`, `max_chunks`; local: `model`, `revision`,
            `device`, `batch_size`, `threads`.
    """
    shard, chosen = Shard(inputs[0], 0), np.load(inputs[1] / "rows.npy")
    folder = locate(arguments["model"], arguments["revision"])
    encoder = load(folder, arguments["device"], arguments["dtype"], arguments["threads"])
    most = arguments["max_chunks"] if arguments["window"] == "mean_of_chunks" else 1
    texts: list[str] = []
    if len(chosen):
        first, wanted = int(chosen[0]), set(chosen.tolist())
        block = islice(shard.texts(), first, int(chosen[-1]) + 1)
        texts = [text for row, text in enumerate(block, start=first) if row in wanted]
    found, truncated = vectors(encoder, texts, most, arguments["batch_size"])
    np.save(target / "vectors.npy", found)
    np.save(target / "rows.npy", chosen)
    np.save(target / "keys.npy", shard.keys[chosen])
    return {"documents": len(chosen), "truncated": int(truncated.sum()), "encoder_tokens": encoder.room * most}


def _unit(found: np.ndarray) -> np.ndarray:
    """Each vector divided by its length: what SemDeDup's thresholds mean, and its authors' code took for granted."""
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ValueError("semdedup.model gave vectors that are zero or not finite: try semdedup.dtype=float32")
    return found / length
