"""One pass of a model over a text: its last states, what its head makes of them, and how likely new tokens are as the
pieces that they stand for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bailong.model import adapters
from bailong.model.architecture import Logits, logits_of
from bailong.model.score import autocast, pad
from bailong.model.tie import ends

if TYPE_CHECKING:
    from bailong.initializer.context import Context

#: windows a forward pass, positions whose logits are held at once, and rows of a matrix in float32
BATCH, CHUNK, ROWS = 4, 256, 8192
#: logits nearer than this part of their size are as large: a product's last bits depend on where a row stands
TIED = 1e-5


class Head:
    """The head of a grown model: what its new rows make of states, and how they are changed."""

    def __init__(self, model: Any, named: int, end: int) -> None:
        self.weight, self.named, self.end = ends(model)[1].weight.data, named, end
        self.made = logits_of(model.config)

    def new(self) -> Tensor:
        """The new rows, [k, d] in float32: a copy."""
        return self.weight[self.named : self.end].float().clone()

    def write(self, rows: Tensor) -> None:
        self.weight[self.named : self.end] = rows.to(self.weight.dtype)

    def logits(self, hidden: Tensor, rows: slice) -> Tensor:
        return shaped(hidden @ self.weight[rows].float().T, self.made)

    def mass(self, hidden: Tensor) -> float:
        """Mean probability of all new tokens together, over states [K, d]."""
        found, weight = [], self.weight.float()
        for states in hidden.split(CHUNK):
            logits = shaped(states @ weight.T, self.made)
            found.append((logits[:, self.named : self.end].logsumexp(1) - logits.logsumexp(1)).exp())
        return float(torch.cat(found).double().mean())


class Softmax(Head):
    """The softmax of a grown model, some rows and some positions at a time."""

    def _blocks(self, new: bool | None = None) -> Iterator[tuple[int, bool, Tensor]]:
        """First row, whether the rows are new ones, and the rows in float32; old or new ones alone if asked for.
        Padding behind the new rows counts as old."""
        parts = ((0, self.named, False), (self.named, self.end, True), (self.end, len(self.weight), False))
        for start, stop, are_new in parts:
            if new in (None, are_new):
                for first in range(start, stop, ROWS):
                    yield first, are_new, self.weight[first : min(first + ROWS, stop)].float()

    def _logits(self, hidden: Tensor, rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
        for first in range(0, len(hidden), CHUNK):
            part = slice(first, first + CHUNK)
            yield part, shaped(hidden[part] @ rows.T, self.made)

    def totals(self, hidden: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """By position, [K]: log Z of old rows and of `new` ones, the largest logit of either (`best_old`, `best_new`),
        and the logit of the target."""
        low = torch.full((len(hidden),), -math.inf, device=hidden.device)
        found = {name: low.clone() for name in ("old", "new", "best_old", "best_new", "target")}
        for first, are_new, rows in self._blocks():
            z, best = ("new", "best_new") if are_new else ("old", "best_old")
            for part, logits in self._logits(hidden, rows):
                found[z][part] = torch.logaddexp(found[z][part], logits.logsumexp(1))
                found[best][part] = torch.maximum(found[best][part], logits.amax(1))
                place = targets[part] - first
                inside = (place >= 0) & (place < len(rows))
                picked = logits.gather(1, place.clamp(0, len(rows) - 1)[:, None])[:, 0]
                found["target"][part] = torch.where(inside, picked, found["target"][part])
        return found

    def masses(self, hidden: Tensor, total: Tensor, groups: Tensor) -> Tensor:
        """Sum over positions of the probability of groups of new tokens, [G]; `groups` [k, G] says which are in which.

        Args:
            total: [K], log Z of all rows.
        """
        found = torch.zeros(groups.shape[1], dtype=torch.float64, device=hidden.device)
        for first, _, rows in self._blocks(new=True):
            own = groups[first - self.named : first - self.named + len(rows)]
            for part, logits in self._logits(hidden, rows):
                found += ((logits - total[part, None]).exp().sum(0) @ own).double()
        return found

    def ranks(self, hidden: Tensor, logit: Tensor) -> Tensor:
        """1 and the tokens that are likelier than one of this logit, and half of the others that are as likely; [K]."""
        above, same = (torch.zeros(len(hidden), dtype=torch.float64, device=hidden.device) for _ in range(2))
        for _, _, rows in self._blocks():
            for part, logits in self._logits(hidden, rows):
                apart = (logits - logit[part, None]) / (1 + logit[part, None].abs())
                above[part] += (apart > TIED).sum(1)
                same[part] += (apart.abs() <= TIED).sum(1)
        return 1 + above + (same - 1).clamp_min(0) / 2


def shaped(product: Tensor, made: Logits) -> Tensor:
    scaled = made.scale * product
    return scaled if made.cap is None else made.cap * torch.tanh(scaled / made.cap)


def unshaped(logits: Tensor, made: Logits) -> Tensor:
    """The product that gives these logits; what a cap cannot reach is cut."""
    if made.cap is not None:
        logits = made.cap * torch.atanh((logits / made.cap).clamp(-0.999, 0.999))
    return logits / made.scale


def sequences_of(
    context: Context, documents: list[list[int]], pieces: list[list[int]] | None = None, most: int | None = None
) -> list[list[int]]:
    """Documents behind the begin marker, cut to what the model is trained on at a time; none that predicts nothing.

    Args:
        pieces, most: the old tokens of each new one, and how many positions a sequence that is spelled by them may
            take: those that the model knows.
    """
    begin = [] if context.begin is None else [context.begin]
    first, found = len(context.old), []
    for ids in documents:
        row: list[int] = []
        spelled = 0
        for i in [*begin, *ids]:
            size = len(pieces[i - first]) if pieces and i >= first else 1
            if row and (len(row) == context.longest or (most is not None and spelled + size > most)):
                found.append(row)
                row, spelled = [], 0
            row.append(i)
            spelled += size
        found.append(row)
    return [row for row in found if len(row) > 1]


def spelled(ids: list[int], pieces: list[list[int]], named: int) -> list[list[int]]:
    """Each id as old ones: a new token (from `named` on) as its pieces, an old one as itself."""
    return [pieces[i - named] if i >= named else [i] for i in ids]


def passes(model: Any, sequences: list[list[int]], precision: str = "32-true") -> Iterator[tuple[Tensor, Tensor]]:
    """By forward pass of some sequences: last states [k, d] in float32, and the tokens [k] that they predict.

    Args:
        precision: of a model with adapters, as of `bailong.model.score.autocast`.
    """
    device = next(model.parameters()).device
    for first in range(0, len(sequences), BATCH):
        rows = sequences[first : first + BATCH]
        ids = pad([np.asarray(row) for row in rows], 0).to(device)
        with torch.no_grad(), autocast(device, precision):
            states = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
        hidden = [found[: len(row) - 1].float() for row, found in zip(rows, states, strict=True)]
        yield torch.cat(hidden), torch.tensor([i for row in rows for i in row[1:]], device=device, dtype=torch.long)


def states_of(model: Any, sequences: list[list[int]], precision: str = "32-true") -> tuple[Tensor, Tensor]:
    """The last states [K, d] in float32, and the tokens [K] that they predict."""
    hidden, targets = zip(*passes(model, sequences, precision), strict=True)
    return torch.cat(hidden), torch.cat(targets)


@dataclass(frozen=True)
class Chain:
    """What the old model makes of the pieces of new tokens in running text.

    Attributes:
        hidden: [K, d], the states before the first pieces of occurrences. total: [K], their log Z.
        first, rest: [K], log p(s_1), and log p(s_2 | s_1) + ... + log p(s_n | ..).
        occurrences: new token -> where it stands. starts: old token -> occurrences, of any new token, that begin so.
    """

    hidden: Tensor
    total: Tensor
    first: Tensor
    rest: Tensor
    occurrences: dict[int, list[int]]
    starts: dict[int, list[int]]


@torch.no_grad()
def chain_of(
    model: Any, pieces: list[list[int]], sequences: list[list[int]], named: int, precision: str = "32-true"
) -> Chain:
    """One pass of the old model over a text, in which each new token is written as its pieces.

    Occurrences stand in the order of the text; what begins a sequence is not predicted, and is none.

    Args:
        pieces, named: as of `bailong.model.grow.grow`. sequences: the text by the extended tokenizer.
        precision: as of `passes`.
    """
    head = Head(model, named, named + len(pieces))
    parts: dict[str, list[Tensor]] = defaultdict(list)
    occurrences: dict[int, list[int]] = defaultdict(list)
    starts: dict[int, list[int]] = defaultdict(list)
    count = 0
    for ids in sequences:
        places: list[tuple[int, int, int]] = []
        old: list[int] = []
        for token, split in zip(ids, spelled(ids, pieces, named), strict=True):
            if token >= named and old:
                places.append((token - named, len(old), len(split)))
            old += split
        hidden, _ = states_of(model, [old], precision)
        total, chosen = [], []
        following = torch.tensor(old[1:], device=hidden.device)
        for states, targets in zip(hidden.split(CHUNK), following.split(CHUNK), strict=True):
            logits = head.logits(states, slice(0, named))
            total.append(logits.logsumexp(1))
            chosen.append(logits.gather(1, targets[:, None])[:, 0] - total[-1])
        log_z, log_p = torch.cat(total), torch.cat(chosen)
        before = [at - 1 for _, at, _ in places]
        parts["hidden"].append(hidden[before])
        parts["total"].append(log_z[before])
        parts["first"].append(log_p[before])
        parts["rest"].append(
            torch.stack([log_p[at : at - 1 + size].sum() for _, at, size in places]) if places else log_p[:0]
        )
        for token, _, _ in places:
            occurrences[token].append(count)
            starts[pieces[token][0]].append(count)
            count += 1
    joined = {name: torch.cat(found) for name, found in parts.items()}
    return Chain(joined["hidden"], joined["total"], joined["first"], joined["rest"], occurrences, starts)
