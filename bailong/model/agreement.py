"""How far two models agree on a text: the proof that an exported model is the one that was trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from bailong.model.score import Windows, pad

ROWS = 256  # tokens whose probabilities over the whole vocabulary are held in float64 at a time


@dataclass(frozen=True)
class Agreement:
    """Of a model with a reference, over the same tokens.

    Attributes:
        max_logit_difference: the largest absolute difference of any logit.
        kl: mean KL(reference || model) of the next-token distributions, nats per token.
        same_choice: share of tokens after which both find the same next token most likely.
        loss_reference, loss: nats per target token.
        tokens: positions compared.
    """

    max_logit_difference: float
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
    largest, same, tokens, targets_seen = 0.0, 0, 0, 0
    sums = torch.zeros(3, dtype=torch.float64)  # KL, loss of the reference, loss of the model
    for wanted, got, (_, window_targets) in zip(reference, logits(model, windows), windows, strict=True):
        difference = float((wanted - got).abs().max())
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
    return Agreement(largest, kl / tokens, same / tokens, loss_reference / targets_seen, loss / targets_seen, tokens)
