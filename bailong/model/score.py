"""How well a model predicts a text: loss per token, and bits per byte, which any two tokenizers can be compared by."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from bailong.model import adapters
from bailong.model.head import model_loss


class Windows(Protocol):
    """Sequences of inputs and targets, as `bailong.data.batches.Sequences` has them."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


@dataclass
class Score:
    """Sums over a text; nll in nats, `new` for targets that the base vocabulary did not have."""

    nll: float
    targets: int
    nll_new: float
    targets_new: int
    text_bytes: int

    @property
    def loss(self) -> float:
        """Nats per target token: only comparable under one tokenizer."""
        return self.nll / self.targets

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte of the text, end-of-document markers' loss included: comparable under any tokenizer."""
        return self.nll / math.log(2) / self.text_bytes

    def row(self) -> dict[str, float | None]:
        """The measurements as the metrics record names them."""
        old = self.targets - self.targets_new
        return {
            "eval/loss": self.loss,
            "eval/bpb": self.bits_per_byte,
            "eval/loss_new": self.nll_new / self.targets_new if self.targets_new else None,
            "eval/loss_old": (self.nll - self.nll_new) / old if old else None,
            "eval/share_new": self.targets_new / self.targets,
        }


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The mixed precision of a forward pass: bfloat16 under `bf16-mixed`, nothing otherwise."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()


@torch.no_grad()
def score(
    model: Any, windows: Windows, text_bytes: int, *, new_from: int, batch: int, chunk: int, precision: str
) -> Score:
    """Score every window, in evaluation mode; the model is left in the mode it was in.

    Args:
        windows: inputs and targets, targets below 0 where there is none.
        text_bytes: UTF-8 bytes of the text the windows cover.
        new_from: ids from here on count as new tokens.
        batch: windows a forward pass. chunk: tokens a chunk of the head.
    """
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    sums = torch.zeros(4, dtype=torch.float64)
    try:
        for first in range(0, len(windows), batch):
            pairs = [windows[i] for i in range(first, min(first + batch, len(windows)))]
            inputs, targets = pad([x for x, _ in pairs], 0), pad([y for _, y in pairs], -100)
            with autocast(device, precision):
                hidden = adapters.decoder(model)(input_ids=inputs.to(device), use_cache=False).last_hidden_state
                flat = targets.flatten().to(device)
                nll = model_loss(model, hidden.flatten(0, 1), flat, chunk=chunk).nll
            kept, new = flat >= 0, flat >= new_from
            sums += torch.stack([nll.double().sum(), kept.sum(), nll[new].double().sum(), new.sum()]).cpu()
    finally:
        model.train(training)
    total, targets_all, total_new, targets_new = sums.tolist()
    return Score(total, int(targets_all), total_new, int(targets_new), text_bytes)


def pad(rows: list[np.ndarray], value: int) -> torch.Tensor:
    """[rows, longest] int64, filled on the right: a causal model never looks there."""
    out = torch.full((len(rows), max(len(row) for row in rows)), value, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.from_numpy(row)
    return out
