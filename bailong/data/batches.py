"""From tokenized documents to the sequences and steps of training and evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from bailong.data import packing
from bailong.data.order import shuffled
from bailong.data.tokens import IGNORE, TokenizedText


@dataclass
class Sequences:
    """Tokenized text cut into sequences.

    `concat`: one stream, cut into blocks of `context` targets; a block's inputs begin with the last target of
    the block before, so every token but the very first is a target exactly once. The tail of training text that
    fills no block is dropped; evaluation keeps it (`keep_tail`).
    `truncate`: one document a sequence, its first `context` tokens (paper, section 3.4).
    What of the text is not trained on (`TokenizedText.trained`) is input and no target.
    `best_fit`: whole documents, packed so that few are cut and little is padded (`packing.best_fit`); a sequence
    holds `context` + 1 tokens, and nothing is dropped but the first token of a piece that begins inside a document.
    Begin-of-document markers are inputs but never targets: they carry no text. They are known by their place, for one
    token may stand at both ends of a document (OLMo, Granite; `bos` is None where the tokenizer has no other): the end
    is a target.
    """

    text: TokenizedText
    context: int
    packing: str
    bos: int | None
    keep_tail: bool = False

    @cached_property
    def fitted(self) -> tuple[np.ndarray, np.ndarray]:
        """Pieces of the ids ([pieces, 2]) and where each sequence begins in them; of `best_fit` alone."""
        return packing.best_fit(np.diff(self.text.starts), self.context + 1)

    def __len__(self) -> int:
        if self.packing == "best_fit":
            return len(self.fitted[1]) - 1
        if self.packing == "truncate":
            return len(self.text.starts) - 1
        targets = max(len(self.text.ids) - 1, 0)
        return -(-targets // self.context) if self.keep_tail else targets // self.context

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets, [length] int64 each."""
        if self.packing == "truncate":
            start = self.text.starts[index]
            places = [(start, min(self.text.starts[index + 1], start + self.context))]
        elif self.packing == "best_fit":
            pieces, offsets = self.fitted
            places = pieces[offsets[index] : offsets[index + 1]]
        else:
            places = [(index * self.context, (index + 1) * self.context + 1)]
        window = np.concatenate([self.text.ids[a:b] for a, b in places]).astype(np.int64)
        targets = window[1:].copy()
        begins = np.concatenate([self._begins(a, b) for a, b in places])[1:]
        targets[begins if self.bos is None else begins & (targets == self.bos)] = IGNORE
        if self.text.trained is not None:
            targets[~np.concatenate([self.text.trained[a:b] for a, b in places])[1:]] = IGNORE
        return window[:-1], targets

    def _begins(self, a: int, b: int) -> np.ndarray:
        """[b - a] bool, whether a document begins there; less where the text ends before `b`."""
        first, last = np.searchsorted(self.text.starts[:-1], (a, b))
        found = np.zeros(min(b, len(self.text.ids)) - a, dtype=bool)
        found[self.text.starts[first:last] - a] = True
        return found

    def require_one(self) -> None:
        """Refuse text that is too short for a single sequence."""
        if len(self) == 0 or self.target_tokens() == 0:
            raise ValueError(
                f"the training text fills no sequence of stage.context={self.context} tokens: "
                "give more text or a shorter context"
            )

    def target_tokens(self) -> int:
        """Targets of one pass over all sequences."""
        if self.text.trained is not None:
            return sum(int((self[i][1] != IGNORE).sum()) for i in range(len(self)))
        if self.packing == "truncate":
            lengths = np.diff(self.text.starts)
            return int(np.minimum(lengths, self.context).sum() - len(lengths))
        if self.packing == "best_fit":
            # every token but the first of each sequence, and of these no begin-of-document marker
            pieces, offsets = self.fitted
            begins = np.isin(pieces[:, 0], self.text.starts[:-1])
            return int(len(self.text.ids) - len(self) - begins.sum() + begins[offsets[:-1]].sum())
        used = min(len(self) * self.context, len(self.text.ids) - 1)
        inner = self.text.starts[:-1]
        markers = int(((inner >= 1) & (inner <= used)).sum())  # each document begins with one marker
        return used - markers


@dataclass
class MicroBatch:
    """Padded on the right.

    Attributes:
        inputs, targets: [rows, length] int64; targets are IGNORE where there is none.
        positions: [rows, length] int64, the place of each token in its own sequence, where several share a row: they
            begin at 0 with each, which keeps attention within it. None: one sequence a row.
    """

    inputs: np.ndarray
    targets: np.ndarray
    positions: np.ndarray | None = None


def collate(rows: list[list[tuple[np.ndarray, np.ndarray]]], pad: int, shared: bool = False) -> MicroBatch:
    """Rows of sequences (one each unless `shared`) as arrays."""
    length = max(sum(len(inputs) for inputs, _ in row) for row in rows)
    inputs = np.full((len(rows), length), pad, dtype=np.int64)
    targets = np.full((len(rows), length), IGNORE, dtype=np.int64)
    positions = np.zeros((len(rows), length), dtype=np.int64)
    for number, row in enumerate(rows):
        end = 0
        for x, y in row:
            begin, end = end, end + len(x)
            inputs[number, begin:end], targets[number, begin:end] = x, y
            positions[number, begin:end] = np.arange(len(x))
        # Padding is a sequence of its own, so that no row differs from another in what its tokens see.
        positions[number, end:] = np.arange(length - end)
    return MicroBatch(inputs, targets, positions if shared else None)


@dataclass
class Replayed:
    """Targets, their bytes, and the running hash of replayed sequences, over all devices."""

    targets: int = 0
    text_bytes: int = 0
    digest: str = ""


@dataclass
class Batch:
    """Everything one optimizer step trains on.

    Attributes:
        number: 0 for the first step.
        micro_batches: this device's share.
        targets, text_bytes: over all devices; the loss is divided by `targets`.
        digest: running hash of every batch so far, over all devices and without what is replayed: equal digests mean
            equal data in equal order.
        replay: what of the step is replayed, with a running hash of its own.
    """

    number: int
    micro_batches: list[MicroBatch]
    targets: int
    text_bytes: int
    digest: str
    replay: Replayed


@dataclass
class Mixture:
    """Sequences that are trained on beside those of the data, so that `share` of all targets are of them.

    `per_sequence` stand beside each sequence of the data, on average; how many are due by a step, and which, follows
    from its number alone. So the data is the same whatever the share, and a resumed run needs no state.
    """

    sequences: Sequences
    per_sequence: float

    @classmethod
    def of(cls, share: float, replay: Sequences, data: Sequences) -> Mixture:
        """`share` of all targets, by the mean targets of a sequence of either."""
        mine, theirs = (s.target_tokens() / len(s) for s in (replay, data))
        return cls(replay, share / (1 - share) * theirs / mine)

    def positions(self, begin: int, end: int) -> np.ndarray:
        """Positions in the stream of replay that stand beside the positions of the data from `begin` to `end`."""
        return np.arange(self._due(begin), self._due(end))

    def _due(self, position: int) -> int:
        return int(np.floor(position * self.per_sequence + 0.5))


@dataclass
class Steps:
    """The steps of a run from `first` to `last`; a sized iterable that Lightning takes as a data loader.

    `row`: the sequences of a step share rows of that many tokens, which wastes less on padding and changes nothing in
    what is learned, since attention stays within a sequence and the loss is divided by the targets of the step.
    `mixture`: what is replayed comes on top of the `batch_size` sequences of each step.
    """

    sequences: Sequences
    batch_size: int
    micro_batch: int
    seed: int
    last: int
    byte_lengths: np.ndarray
    pad: int
    first: int = 0
    digest: str = ""
    rank: int = 0
    world: int = 1
    row: int | None = None
    mixture: Mixture | None = None
    replay_digest: str = ""

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[Batch]:
        digest, replayed = self.digest, self.replay_digest
        for number in range(self.first, self.last):
            begin, end = number * self.batch_size, (number + 1) * self.batch_size
            samples = self._samples(self.sequences, np.arange(begin, end))
            digest, targets, text_bytes = self._counted(samples, digest)
            replay = Replayed(digest=replayed)
            if self.mixture is not None and len(due := self.mixture.positions(begin, end)):
                more = self._samples(self.mixture.sequences, due)
                replayed, replay.targets, replay.text_bytes = self._counted(more, replayed)
                replay.digest = replayed
                samples += more
            yield Batch(
                number,
                self._micro_batches(samples)[self.rank :: self.world],
                targets + replay.targets,
                text_bytes + replay.text_bytes,
                digest,
                replay,
            )

    def _samples(self, sequences: Sequences, positions: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return [sequences[int(i)] for i in shuffled(positions, len(sequences), self.seed)]

    def _counted(self, samples: list[tuple[np.ndarray, np.ndarray]], digest: str) -> tuple[str, int, int]:
        """The running hash with these samples, their targets, and the bytes that those stand for."""
        running = hashlib.blake2b(digest.encode(), digest_size=16)
        kept = [targets[targets != IGNORE] for _, targets in samples]
        for (inputs, _), targets in zip(samples, kept, strict=True):
            running.update(inputs.tobytes() + targets.tobytes())
        targets = np.concatenate(kept)
        return running.hexdigest(), len(targets), int(self.byte_lengths[targets].sum())

    def _micro_batches(self, samples: list[tuple[np.ndarray, np.ndarray]]) -> list[MicroBatch]:
        """Longest rows first, those of about one length together, none with more tokens than `micro_batch` full ones.

        Which of them are trained on together changes nothing in what is learned; in the order of the data a third of
        all places would be padding where documents are short.
        """
        lengths = np.asarray([len(inputs) for inputs, _ in samples])
        if self.row is None:
            packed = [[i] for i in np.argsort(-lengths, kind="stable").tolist()]
        else:
            packed = packing.rows(lengths, self.row, self.world)
        rows = [[samples[i] for i in row] for row in packed]
        falling = np.asarray([lengths[row].sum() for row in packed])
        # A device without a micro-batch would leave the others waiting for its gradients.
        most = len(rows) // self.world
        cuts = packing.passes(falling, self.micro_batch * (self.row or self.sequences.context), most)
        return [collate(rows[a:b], self.pad, self.row is not None) for a, b in pairwise(cuts)]
