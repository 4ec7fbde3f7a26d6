"""The loss of a micro-batch, from arrays in host memory to a number that carries gradients."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bailong.data.batches import MicroBatch
from bailong.data.tokens import IGNORE
from bailong.model import adapters
from bailong.model.head import model_loss
from bailong.model.score import autocast


def summed_loss(model: Any, micro: MicroBatch, device: torch.device, precision: str, chunk: int) -> Tensor:
    """Negative log-likelihood in nats, summed over the targets of a micro-batch.

    What the device needs to know is counted here and sent ahead of its work: it is never waited for.

    Args:
        chunk: tokens a chunk of the fused head.
    """
    inputs, targets = to_device(micro.inputs, device), to_device(micro.targets.reshape(-1), device)
    kept = to_device(np.flatnonzero(micro.targets.reshape(-1) != IGNORE), device)
    # Where sequences share a row, positions that begin anew tell transformers to keep attention within each
    places = None if micro.positions is None else to_device(micro.positions, device)
    with autocast(device, precision):
        decoder = adapters.decoder(model)
        hidden = decoder(input_ids=inputs, position_ids=places, use_cache=False).last_hidden_state
        return model_loss(model, hidden.flatten(0, 1), targets, chunk=chunk, kept=kept).total


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """A copy that does not hold up the thread: from pinned memory where the device is a GPU."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
