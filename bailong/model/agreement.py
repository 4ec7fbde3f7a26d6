"""How far two models agree on a text, and a model's fused loss with its own logits.

The first is the proof that an exported model is the one that was trained; the second, that it was trained on the loss
that it has wherever else it is used. Products in fp8 (bailong.model.storage) are held against exact ones.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bailong.model import adapters
from bailong.model.head import IGNORE, HeadLoss, model_loss
from bailong.model.score import Windows, autocast, pad
from bailong.model.storage import in_fp8, product_difference

#: of the loss (of 1 nat where it is lower): rounding moved it by less than a tenth of this in the tests
TOLERANCE, TOLERANCE_BF16 = 1e-4, 2e-2
#: of loss, product and gradient in fp8, relative. SmolLM2-135M in NF4 has up to 0.65 %, 3.8 % and 31 % (CPU, emulated;
#: 1,024 tokens of the sample, English and Chinese). Rounding two factors to three bits of mantissa makes 3.7 % of a
#: product, and twice that is something else; beyond 75 % the cosine of a gradient with the exact one falls below 0.8
TOLERANCES_FP8 = {"difference": 0.02, "product_difference": 0.075, "gradient_difference": 0.75}
FP8_WINDOWS = 4  # windows whose beginnings are compared
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
    sums = sum(float(_fused(model, window, chunk, precision).nll.double().sum()) for window in windows)
    return sums / sum(int((targets >= 0).sum()) for _, targets in windows)


def _fused(model: Any, window: tuple[Any, Any], chunk: int, precision: str) -> HeadLoss:
    device = next(model.parameters()).device
    inputs, targets = pad([window[0]], 0).to(device), torch.from_numpy(window[1]).to(device)
    with autocast(device, precision):
        hidden = adapters.decoder(model)(input_ids=inputs, use_cache=False).last_hidden_state
        return model_loss(model, hidden[0], targets, chunk=chunk)


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
    window = _beginnings(windows, 1)
    dtypes = {parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()}
    training = model.training
    model.eval()
    try:
        fused, own = fused_loss(model, window, chunk, precision), own_loss(model, window, precision)
    finally:
        model.train(training)
    if not (math.isnan(fused) and math.isnan(own)):  # training says by itself that a loss is not finite
        require_same_loss(what, fused, own, exact=precision == "32-true" and dtypes == {torch.float32})


def require_fp8(what: str, model: Any, windows: Windows, *, chunk: int, precision: str) -> dict[str, float]:
    """Refuse frozen products in fp8 that are not those of the model: each by itself, then its loss and its gradients.

    Loss and gradients on the beginnings of the first windows and without dropout; the model is left in the mode it was
    in. The loss alone would not see the products of the backward pass, and moves by less than a hundredth where
    gradients move by a third.

    Args:
        model: with adapters, before its first step.

    Returns:
        `loss` and `loss_fp8`, nats a token; and, relative to the exact ones, `difference` of the loss,
        `product_difference` of the product that is furthest off, forward or backward, and `gradient_difference`, the
        median over the trained parameters.

    Raises:
        ValueError: a difference is larger than rounding to 8 bits explains.
    """
    chosen = _beginnings(windows, FP8_WINDOWS)
    training = model.training
    model.eval()
    try:
        loss, exact = _loss_and_gradients(model, chosen, chunk, precision)
        for layer in in_fp8(model):
            layer.train()
        loss_fp8, rounded = _loss_and_gradients(model, chosen, chunk, precision)
    finally:
        model.train(training)
    pairs = [(one, other) for one, other in zip(exact, rounded, strict=True) if one.any()]
    found = {
        "loss": loss,
        "loss_fp8": loss_fp8,
        "difference": abs(loss_fp8 - loss) / loss,
        "product_difference": max(product_difference(layer) for layer in in_fp8(model)),
        "gradient_difference": median(float((one - other).norm() / one.norm()) for one, other in pairs),
    }
    if not all(found[key] <= most for key, most in TOLERANCES_FP8.items()):
        told = ", ".join(
            f"{key.partition('_')[0]} {found[key]:.2%} (at most {most:.0%})" for key, most in TOLERANCES_FP8.items()
        )
        raise ValueError(
            f"model.storage=fp8 is not accepted for {what}: with frozen products in 8 bits the loss is {loss_fp8:.5f} "
            f"nats a token and {loss:.5f} with exact ones; apart are: {told}; accepted: model.storage=nf4, or bf16"
        )
    return found


def _beginnings(windows: Windows, count: int) -> list[tuple[Any, Any]]:
    """Of the first windows, each predicting itself: any target serves, and the windows' own may all be ignored."""
    inputs = [windows[index][0][:ROWS] for index in range(min(count, len(windows)))]
    return [(each, np.roll(each, -1).astype(np.int64)) for each in inputs]


def _loss_and_gradients(
    model: Any, windows: list[tuple[Any, Any]], chunk: int, precision: str
) -> tuple[float, list[torch.Tensor]]:
    """Nats a target token, and the gradient of their sum in every trained parameter."""
    parameters = adapters.trainable(model).values()
    sums, seen = 0.0, 0
    for window in windows:
        total = _fused(model, window, chunk, precision).total
        total.backward()
        sums, seen = sums + float(total.detach()), seen + len(window[1])
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for parameter in parameters:
        parameter.grad = None
    return sums / seen, gradients
