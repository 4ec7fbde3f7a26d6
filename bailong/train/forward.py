"""The loss of a micro-batch, from arrays in host memory to a number that carries gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bailong.data.batches import MicroBatch
from bailong.data.tokens import IGNORE
from bailong.model import adapters
from bailong.model.device import to_device
from bailong.model.head import model_loss
from bailong.model.score import autocast
from bailong.model.varlen import within_sequences


@contextmanager
def summed_loss(model: Any, micro: MicroBatch, device: torch.device, precision: str, chunk: int) -> Iterator[Tensor]:
    """Negative log-likelihood in nats, summed over the targets of a micro-batch; the backward pass belongs inside.

    What the device needs to know is counted here and sent ahead of its work: it is never waited for.

    Args:
        chunk: tokens a chunk of the fused head.
    """
    inputs, targets = to_device(micro.inputs, device), to_device(micro.targets.reshape(-1), device)
    kept = to_device(np.flatnonzero(micro.targets.reshape(-1) != IGNORE), device)
    with within_sequences(model, micro.positions, device, precision) as places:
        with autocast(device, precision):
            hidden = adapters.decoder(model)(input_ids=inputs, use_cache=False, **places).last_hidden_state
            total = model_loss(model, hidden.flatten(0, 1), targets, chunk=chunk, kept=kept).total
        yield total
