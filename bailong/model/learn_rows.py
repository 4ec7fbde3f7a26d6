"""New rows learned before training proper, everything else frozen: the expensive way to set them right.

`ntp_rows` lowers the loss of the next token over a text. `token_distill` (Token Distillation, arXiv 2505.20133) lets
the grown model, reading new tokens, come to the states that the old model has when it reads their pieces: the mean
squared difference of the last states, wherever a new token stands or stood before, relative to the mean square of the
old ones; the loss of the next token is added, for states say nothing of the head. Both read the same text as often, so
that one is the other's control.

`map` and `alpha_loss` learn no row but how rows are made, one rule for all of them, so that a text which holds few of
the new tokens says something of all: `map` is z_t + sum_i w_ni M[s_i] + z_t P Q + b, with z_t as the initializer has
it, a number w for each place i among n pieces s_i, a matrix P Q of low rank and a vector b; `alpha_loss` has w alone,
the paper's weight function fitted by the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bailong.initializer.base import end_to_end
from bailong.model import adapters
from bailong.model.head import IGNORE, model_loss
from bailong.model.rows import FreeRows, Rows, train_rows, unwrap
from bailong.model.score import pad
from bailong.model.states import spelled

if TYPE_CHECKING:
    from bailong.initializer.base import Calibration


#: `initializer.calibrate` that learn
LEARNED = ("ntp_rows", "token_distill", "map", "alpha_loss")
#: pieces of a token beyond which its places have no number of their own
PLACES = 8
#: of the matrix of a map
RANK = 16
#: steps of weights are so much longer than those of rows, whose entries are as much smaller
FASTER = 10.0


class MappedRows(Rows):
    """Rows by one map from what they were; where all that is learned is 0 they are that.

    Args:
        pieces: of each row, the rows before `first` that it is made of. whole: else the weights alone.
    """

    def __init__(self, matrix: nn.Parameter, first: int, end: int, pieces: list[list[int]], whole: bool) -> None:
        super().__init__(matrix, first, end)
        self.start, width = self.begun(), matrix.shape[1]
        self.old = matrix.detach()[:first].float()
        place = {(n, i): n * (n - 1) // 2 + i for n in range(1, PLACES + 1) for i in range(n)}
        bags = [[(ids[i], place[len(ids), i]) for i in range(len(ids))] if len(ids) <= PLACES else [] for ids in pieces]
        device = matrix.device
        self.ids, self.offsets, places = (flat.to(device) for flat in end_to_end(bags))
        self.places = places.long()  # of none at all torch makes fractions
        self.weights = nn.Parameter(torch.zeros(len(place), device=device))
        self.low = self.high = self.shift = None
        if whole:
            # Fixed numbers in one factor, so that the same rows come out whatever was drawn before.
            drawn = torch.randn(width, RANK, generator=torch.Generator().manual_seed(0)) / width**0.5
            self.low = nn.Parameter(drawn.to(device))
            self.high = nn.Parameter(torch.zeros(RANK, width, device=device))
            self.shift = nn.Parameter(torch.zeros(width, device=device))

    def values(self) -> Tensor:
        shares = self.weights[self.places]
        rows = self.start + F.embedding_bag(self.ids, self.old, self.offsets, mode="sum", per_sample_weights=shares)
        if self.low is None or self.high is None or self.shift is None:
            return rows
        return rows + self.start @ self.low @ self.high + self.shift


def learn(
    model: Any, pieces: list[list[int]], sequences: list[list[int]], named: int, knobs: Calibration, kind: str
) -> None:
    """Learn the new rows of embedding and head, in place.

    Args:
        pieces: of each new token, its old ones. sequences: text by the extended tokenizer, with its begin markers.
        named: the id of the first new token. kind: of `LEARNED`.
    """
    distill, end = kind == "token_distill", named + len(pieces)

    def rows(matrix: nn.Parameter) -> Rows:
        mapped = kind in ("map", "alpha_loss")
        return MappedRows(matrix, named, end, pieces, kind == "map") if mapped else FreeRows(matrix, named, end)

    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    training = model.training
    model.eval()  # nothing is dropped, and the same rows come out whatever was drawn before
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        states = [_old_states(model, pieces, row, named) for row in sequences] if distill else []
    with torch.enable_grad():
        train_rows(model, rows)
        learned = adapters.trainable(model)
        weights = [p for name, p in learned.items() if name.endswith("weights")]
        others = [p for name, p in learned.items() if not name.endswith("weights")]
        groups = [{"params": others}, {"params": weights, "lr": FASTER * knobs.step_size}]
        optimizer = torch.optim.AdamW(groups, lr=knobs.step_size, weight_decay=0.0)
        for _ in range(knobs.epochs):
            for first in range(0, len(sequences), knobs.windows):
                part = slice(first, first + knobs.windows)
                loss = _loss(model, sequences[part], states[part], named)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    unwrap(model, _none)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(wanted[name])
    model.train(training)


def _none(layer: Any) -> Tensor:
    raise AssertionError("there is no adapter")


def _loss(model: Any, rows: list[list[int]], wanted: list[Tensor], named: int) -> Tensor:
    device = next(model.parameters()).device
    ids = pad([np.asarray(row[:-1]) for row in rows], 0).to(device)
    targets = pad([np.asarray(row[1:]) for row in rows], IGNORE).to(device)
    states = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
    loss = model_loss(model, states, targets).total / (targets != IGNORE).sum()
    for row, old, found in zip(rows, wanted, states, strict=False):
        touched = torch.tensor(row[:-1], device=device).ge(named).cumsum(0).gt(0)
        if touched.any():
            apart = (found[: len(row) - 1][touched].float() - old[touched]).square().mean()
            loss = loss + apart / old[touched].square().mean() / len(rows)
    return loss


def _old_states(model: Any, pieces: list[list[int]], row: list[int], named: int) -> Tensor:
    """The last states of the old model over the same text, [len(row) - 1, d]: of a new token that of its last piece."""
    split = spelled(row[:-1], pieces, named)
    ends = torch.tensor([len(ids) for ids in split]).cumsum(0) - 1
    ids = torch.tensor([[i for ids in split for i in ids]], device=next(model.parameters()).device)
    return adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state[0, ends].float()
