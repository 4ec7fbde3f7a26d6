"""New rows learned before training proper, everything else frozen: the expensive way to set them right.

`ntp_rows` lowers the loss of the next token over a text. `token_distill` (Token Distillation, arXiv 2505.20133) lets
the grown model, reading new tokens, come to the states that the old model has when it reads their pieces: the mean
squared difference of the last states, wherever a new token stands or stood before, relative to the mean square of the
old ones; the loss of the next token is added, for states say nothing of the head. Both read the same text as often, so
that one is the other's control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from bailong.model import adapters
from bailong.model.head import IGNORE, model_loss
from bailong.model.rows import train_rows, unwrap
from bailong.model.score import pad
from bailong.model.states import BATCH, spelled

if TYPE_CHECKING:
    from bailong.initializer.base import Calibration


def learn(
    model: Any, pieces: list[list[int]], sequences: list[list[int]], named: int, knobs: Calibration, distill: bool
) -> None:
    """Learn the new rows of embedding and head, in place.

    Args:
        pieces: of each new token, its old ones. sequences: text by the extended tokenizer, with its begin markers.
        named: the id of the first new token. distill: `token_distill`, else `ntp_rows`.
    """
    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    training = model.training
    model.eval()  # nothing is dropped, and the same rows come out whatever was drawn before
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        states = [_old_states(model, pieces, row, named) for row in sequences] if distill else []
    with torch.enable_grad():
        train_rows(model, named, named + len(pieces))
        optimizer = torch.optim.AdamW(adapters.trainable(model).values(), lr=knobs.step_size, weight_decay=0.0)
        for _ in range(knobs.epochs):
            for first in range(0, len(sequences), BATCH):
                part = slice(first, first + BATCH)
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
