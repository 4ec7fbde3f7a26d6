"""Tokenized text on disk: made once per (text, tokenizer, stage), memory-mapped, shared by every job."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bailong.data import prepared, sources
from bailong.data.settings import OTHERS, Data
from bailong.run.checks import did_you_mean
from bailong.run.replacing import replacing

#: tokens from one line about the progress of tokenizing to the next
SAY_EVERY = 20_000_000
IGNORE = -100  # target positions without a loss, as torch and transformers write it


class Encoded(NamedTuple):
    """One document as a stage trains on it.

    Attributes:
        ids: [N] token ids, markers included.
        trained: [N] bool, the tokens that are targets; None: every token but begin-of-document markers.
        text_bytes: UTF-8 bytes of the text that the targets stand for; None: of the whole document.
    """

    ids: np.ndarray | list[int]
    trained: np.ndarray | None = None
    text_bytes: int | None = None


@dataclass
class TokenizedText:
    """Ids of many documents one after another, and where each starts.

    Attributes:
        ids: [N] uint16 or uint32, memory-mapped.
        starts: [documents + 1] int64, offsets into `ids`.
        text_bytes: UTF-8 bytes of the documents' text, or of the part that is trained on.
        trained: [N] bool, memory-mapped, the tokens that are targets; None: all.
    """

    ids: np.ndarray
    starts: np.ndarray
    text_bytes: int
    trained: np.ndarray | None = None


@dataclass
class Corpus:
    """Training text, evaluation text, and the evaluation documents themselves (for other tokenizers).

    `ends` is the longer evaluation text of step 0 and the last step, which begins with the other; None and no documents
    where there is none.
    """

    folder: Path
    training: TokenizedText
    evaluation: TokenizedText
    evaluation_documents: list[str]
    per_source: list[dict[str, object]]
    ends: TokenizedText | None = None
    ends_documents: list[str] = field(default_factory=list)


def split(data: Data) -> tuple[Iterator[tuple[int, str]], list[str], list[str]]:
    """Training documents as (source position, text), and the evaluation documents as `evaluation_parts` has them.

    A document is held out if the hash of its text falls below `held_out`, that of its source or else of all; of the
    others `take` says how many are trained on. The evaluation text is the held-out documents of source `evaluate_on`,
    in the order of their hashes, up to `evaluation_bytes`.

    Raises:
        ValueError: no evaluation text is left, or `take` asks for what there is not.
    """
    bodies = prepared.sources_of(data)
    below = [data.held_out if source.held_out is None else source.held_out for source in bodies]
    evaluated = sources.documents(bodies[data.evaluate_on])
    held_out = (text for text in evaluated if sources.share(text, "held_out") < below[data.evaluate_on])
    chosen, longer = evaluation_parts(held_out, data.evaluation_bytes, data.bytes_at_ends)
    if not chosen:
        raise ValueError(f"data.held_out={data.held_out} leaves no evaluation text in source {data.evaluate_on}")

    names, taken = prepared.names_of(bodies), data.taken
    if unknown := next((name for name in taken if name != OTHERS and names.count(name) != 1), None):
        raise ValueError(
            f"data.take.{unknown} is not accepted{did_you_mean(unknown, names)}: "
            f"it must be the name of one of the sources, {', '.join(names)}, or {OTHERS}"
        )

    def training() -> Iterator[tuple[int, str]]:
        for position in range(len(bodies)):
            yield from ((position, text) for text in training_texts(data, position))

    return training(), chosen, longer


def training_texts(data: Data, position: int) -> Iterator[str]:
    """What is trained on of one source: of its documents that are not held out all, or as many as `take` says.

    Raises:
        ValueError: `take` asks for what there is not.
    """
    bodies = prepared.sources_of(data)
    source, name = bodies[position], prepared.names_of(bodies)[position]
    below = data.held_out if source.held_out is None else source.held_out

    def kept() -> Iterator[str]:
        return (text for text in sources.documents(source) if sources.share(text, "held_out") >= below)

    count = data.taken.get(name, data.taken.get(OTHERS))
    return kept() if count is None else _lowest(kept, count, f"data.take.{name}")


def _lowest(texts: Callable[[], Iterator[str]], count: int, key: str) -> Iterator[str]:
    """The `count` texts of the lowest hashes, in their order; read twice, for there may be many."""
    ranks = sorted((sources.share(text, "take"), place) for place, text in enumerate(texts()))
    if len(ranks) < count:
        raise ValueError(f"{key}={count} is not accepted: the source has {len(ranks):,} that are not held out")
    chosen = {place for _, place in ranks[:count]}
    yield from (text for place, text in enumerate(texts()) if place in chosen)


def evaluation_parts(
    held_out: Iterable[str], most_bytes: int, at_ends: int | None = None
) -> tuple[list[str], list[str]]:
    """The evaluation documents, and those of the longer part, the same ones first: none where it would be no longer."""
    longest = evaluation_documents(held_out, at_ends or most_bytes)
    documents = evaluation_documents(longest, most_bytes)
    return documents, longest if len(longest) > len(documents) else []


def evaluation_documents(held_out: Iterable[str], most_bytes: int) -> list[str]:
    """The first held-out documents in the order of their hashes, up to `most_bytes` of UTF-8; at least one."""
    chosen, size = [], 0
    for text in sorted(set(held_out), key=lambda t: (sources.share(t, "evaluation"), t)):
        length = len(text.encode("utf-8"))
        if chosen and size + length > most_bytes:
            break
        chosen.append(text)
        size += length
    return chosen


def build(
    folder: Path,
    data: Data,
    vocabulary: int,
    encode: Callable[[list[str]], list[Encoded]],
    say: Callable[[str], None] = lambda line: None,
) -> Corpus:
    """Tokenize into `folder` unless it is there already; the folder appears whole or not at all.

    Args:
        vocabulary: ids are stored in 16 bits when they fit.
        encode: texts to whole documents of tokens; either all of them say what is trained on, or none.
        say: told how far it is every `SAY_EVERY` tokens.
    """
    if not (folder / "corpus.json").exists():
        with replacing(folder) as partial:
            _write(partial, data, _dtype(vocabulary), encode, say)
    return load(folder)


def build_text(
    folder: Path,
    documents: Iterable[str],
    vocabulary: int,
    encode: Callable[[list[str]], list[Encoded]],
    say: Callable[[str], None] = lambda line: None,
) -> TokenizedText:
    """One text alone, tokenized into `folder` unless it is there already; otherwise as `build`."""
    dtype = _dtype(vocabulary)
    if not (folder / "text.json").exists():
        with replacing(folder) as partial:
            facts = _write_text(partial, "text", ((None, text) for text in documents), dtype, encode, say)
            (partial / "text.json").write_text(json.dumps(facts))
    return _open(folder, "text", dtype, json.loads((folder / "text.json").read_text()))


def load(folder: Path) -> Corpus:
    """Open what `build` wrote."""
    facts = json.loads((folder / "corpus.json").read_text())
    dtype = np.dtype(facts["dtype"])
    training, evaluation = (_open(folder, name, dtype, facts[name]) for name in ("training", "evaluation"))
    documents = json.loads((folder / "evaluation.json").read_text())
    corpus = Corpus(folder, training, evaluation, documents, facts["per_source"])
    if "ends" in facts:
        corpus.ends = _open(folder, "ends", dtype, facts["ends"])
        corpus.ends_documents = json.loads((folder / "ends.json").read_text())
    return corpus


def _open(folder: Path, name: str, dtype: np.dtype, facts: dict[str, int]) -> TokenizedText:
    starts = np.load(folder / f"{name}.starts.npy", mmap_mode="r")
    ids = np.memmap(folder / f"{name}.ids", dtype=dtype, mode="r") if starts[-1] else np.empty(0, dtype)
    mask = folder / f"{name}.trained"
    trained = np.memmap(mask, dtype=bool, mode="r") if mask.exists() and starts[-1] else None
    return TokenizedText(ids, starts, facts["text_bytes"], trained)


def _dtype(vocabulary: int) -> np.dtype:
    return np.dtype(np.uint16 if vocabulary <= 2**16 else np.uint32)


def _write(
    folder: Path, data: Data, dtype: np.dtype, encode: Callable[[list[str]], list[Encoded]], say: Callable[[str], None]
) -> None:
    training, evaluation, longer = split(data)
    per_source: list[dict[str, object]] = [
        {"path": s.path, "language": s.language, "documents": 0, "tokens": 0, "bytes": 0}
        for s in prepared.sources_of(data)
    ]

    def write(name: str, documents: Iterable[tuple[int | None, str]]) -> dict[str, int]:
        return _write_text(folder, name, documents, dtype, encode, say, per_source)

    facts = {
        "dtype": dtype.name,
        "training": write("training", training),
        "evaluation": write("evaluation", ((None, text) for text in evaluation)),
        "per_source": per_source,
    }
    (folder / "evaluation.json").write_text(json.dumps(evaluation, ensure_ascii=False))
    if longer:
        facts["ends"] = write("ends", ((None, text) for text in longer))
        (folder / "ends.json").write_text(json.dumps(longer, ensure_ascii=False))
    (folder / "corpus.json").write_text(json.dumps(facts, ensure_ascii=False, indent=2))


def _write_text(
    folder: Path,
    name: str,
    documents: Iterable[tuple[int | None, str]],
    dtype: np.dtype,
    encode: Callable[[list[str]], list[Encoded]],
    say: Callable[[str], None],
    per_source: Sequence[dict[str, object]] = (),
) -> dict[str, int]:
    """Ids, starts and masks of documents; each with the position of its source, whose row counts it, or None."""
    starts, size, text_bytes, told = [0], 0, 0, 0
    mask = folder / f"{name}.trained"
    with (folder / f"{name}.ids").open("wb") as stream, mask.open("wb") as masks:
        for batch in in_batches(documents, 512):
            for (position, text), whole in zip(batch, encode([text for _, text in batch]), strict=True):
                stream.write(np.asarray(whole.ids, dtype=dtype).tobytes())
                if whole.trained is not None:
                    masks.write(whole.trained.tobytes())
                size += len(whole.ids)
                starts.append(size)
                length = len(text.encode("utf-8")) if whole.text_bytes is None else whole.text_bytes
                text_bytes += length
                if position is not None:
                    row = per_source[position]
                    for key, value in (("documents", 1), ("tokens", len(whole.ids)), ("bytes", length)):
                        row[key] = row[key] + value  # type: ignore[operator]
            if size - told >= SAY_EVERY:
                told = size
                say(f"  {len(starts) - 1:,} documents, {size:,} tokens")
    if size and not mask.stat().st_size:  # every token is a target
        mask.unlink()
    np.save(folder / f"{name}.starts.npy", np.asarray(starts, dtype=np.int64))
    return {"documents": len(starts) - 1, "tokens": size, "text_bytes": text_bytes}


def in_batches(items: Iterable, size: int) -> Iterator[list]:
    """Lists of `size` items, the last one shorter (itertools.batched came with Python 3.12)."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
