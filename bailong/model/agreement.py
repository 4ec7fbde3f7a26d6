"""How far two models agree on a text, and a model's fused loss with its own logits.

The first is the proof that an exported model is the one that was trained; the second, that it was trained on the loss
that it has wherever else it is used.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bailong.model import adapters
from bailong.model.head import IGNORE, model_loss
from bailong.model.score import Windows, autocast, pad

#: of the loss (of 1 nat where it is lower): rounding moved it by less than a tenth of this in the tests
TOLERANCE, TOLERANCE_BF16 = 1e-4, 2e-2
ROWS = 256  # tokens whose probabilities over the whole vocabulary are held in float64 at a time


@dataclass(frozen=True)
class Agreement:
    """Of a model with a reference, over the same tokens.

    Attributes:
        max_logit_difference: the largest absolute difference of any logit.
        largest_logit: of the reference, absolute: rounding moves logits in proportion to it.
        kl: mean KL(reference || model) of the next-token distributions, nats per token.
        same_choice: share of tokens after which both find the same next token most likely.
        loss_reference, loss: nats per target token.
        tokens: positions compared.
    """

    max_logit_difference: float
    largest_logit: float
    kl: float
    same_choice: float
    loss_reference: float
    loss: float
    tokens: int


def first_windows(windows: Windows, tokens: int) -> list[tuple[Any, Any]]:
    """The first windows that hold `tokens` tokens together, at least one."""
    chosen, held = [], 0
    for index in range(len(windows)):
        chosen.append(windows[index])
        held += len(chosen[-1][0])
        if held >= tokens:
            break
    return chosen


@torch.no_grad()
def logits(model: Any, windows: list[tuple[Any, Any]]) -> Iterator[torch.Tensor]:
    """[tokens, V] float32 on the CPU for each window, in evaluation mode, one window at a time."""
    device = next(model.parameters()).device
    model.eval()
    for inputs, _ in windows:
        yield model(input_ids=pad([inputs], 0).to(device), use_cache=False).logits[0].float().cpu()


@torch.no_grad()
def compare(reference: list[torch.Tensor], model: Any, windows: list[tuple[Any, Any]]) -> Agreement:
    """How far a model's logits are from those that a reference gave on the same windows."""
    largest, scale, same, tokens, targets_seen = 0.0, 0.0, 0, 0, 0
    sums = torch.zeros(3, dtype=torch.float64)  # KL, loss of the reference, loss of the model
    for wanted, got, (_, window_targets) in zip(reference, logits(model, windows), windows, strict=True):
        difference = float((wanted - got).abs().max())
        scale = max(scale, float(wanted.abs().max()))
        # max() would lose a NaN
        largest = difference if not difference <= largest else largest
        targets = torch.from_numpy(window_targets)
        for start in range(0, len(wanted), ROWS):
            part = slice(start, start + ROWS)
            p, q = (rows[part].double().log_softmax(1) for rows in (wanted, got))
            kept = targets[part] >= 0
            index = targets[part][kept].unsqueeze(1)
            sums[0] += (p.exp() * (p - q)).sum()
            sums[1] -= p[kept].gather(1, index).sum()
            sums[2] -= q[kept].gather(1, index).sum()
            same += int((p.argmax(1) == q.argmax(1)).sum())
            tokens += len(p)
            targets_seen += len(index)
    kl, loss_reference, loss = sums.tolist()
    return Agreement(
        largest, scale, kl / tokens, same / tokens, loss_reference / targets_seen, loss / targets_seen, tokens
    )


@torch.no_grad()
def fused_loss(model: Any, windows: list[tuple[Any, Any]], chunk: int, precision: str = "32-true") -> float:
    """Nats per target token as training has them: from the decoder's states and the head (bailong.model.head)."""
    device = next(model.parameters()).device
    sums, seen = 0.0, 0
    for inputs, window_targets in windows:
        targets = torch.from_numpy(window_targets).to(device)
        with autocast(device, precision):
            hidden = adapters.decoder(model)(input_ids=pad([inputs], 0).to(device), use_cache=False).last_hidden_state
            sums += float(model_loss(model, hidden[0], targets, chunk=chunk).nll.double().sum())
        seen += int((targets >= 0).sum())
    return sums / seen


@torch.no_grad()
def own_loss(model: Any, windows: list[tuple[Any, Any]], precision: str = "32-true") -> float:
    """The same from the logits that the model's own `forward` gives, as everybody else computes it."""
    device = next(model.parameters()).device
    sums, seen = 0.0, 0
    for inputs, window_targets in windows:
        targets = torch.from_numpy(window_targets).to(device)
        with autocast(device, precision):
            found = model(input_ids=pad([inputs], 0).to(device), use_cache=False).logits[0]
        sums += float(F.cross_entropy(found.float(), targets, ignore_index=IGNORE, reduction="sum"))
        seen += int((targets >= 0).sum())
    return sums / seen


def require_same_loss(what: str, fused: float, own: float, *, exact: bool = True) -> None:
    """Refuse a model whose loss is not the one that its own logits give.

    Args:
        what: the model, for the message. exact: whether both were computed in float32.

    Raises:
        ValueError: they are further apart than rounding explains.
    """
    allowed = (TOLERANCE if exact else TOLERANCE_BF16) * max(1.0, abs(own))
    if not abs(fused - own) <= allowed:
        raise ValueError(
            f"{what} is not accepted: the loss that is trained is {fused:.5f} nats a token, and its own logits give "
            f"{own:.5f} (at most {allowed:.1g} apart): it does more to its logits than the product with the head"
        )


def require_own_loss(what: str, model: Any, windows: Windows, *, chunk: int, precision: str) -> None:
    """`require_same_loss` on the beginning of the first window; the model is left in the mode it was in.

    Raises:
        ValueError: as `require_same_loss`.
    """
    inputs = windows[0][0][:ROWS]
    window = [(inputs, np.roll(inputs, -1).astype(np.int64))]  # any target serves, and the window's may all be ignored
    dtypes = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    training = model.training
    model.eval()
    try:
        fused, own = fused_loss(model, window, chunk, precision), own_loss(model, window, precision)
    finally:
        model.train(training)
    if not (math.isnan(fused) and math.isnan(own)):  # training says by itself that a loss is not finite
        require_same_loss(what, fused, own, exact=precision == "32-true" and dtypes == {torch.float32})
