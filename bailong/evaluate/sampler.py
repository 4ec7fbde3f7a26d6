"""How the next token is chosen: greedily, or drawn so that neither batch size nor order changes what is drawn."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from bailong.evaluate.settings import Sampling


def seed_of(*facts: Any) -> int:
    """A seed that is a function of the facts: the sampling seed, the question, the turn."""
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little")


def processors(sampling: Sampling, seeds: Sequence[int], prompt: int, steps: int) -> LogitsProcessorList:
    """What turns logits into the choice that a greedy search then takes, in the order of transformers' `generate`.

    Args:
        seeds: one a row.
        prompt: width of the padded prompts.
        steps: most tokens that will be drawn.
    """
    chain = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty)))
    if sampling.temperature == 0:
        return chain
    chain.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(float(sampling.top_p)))
    chain.append(Draw(seeds, prompt, steps))
    return chain


class Draw(LogitsProcessor):
    """Leaves one token a row: the one where the cumulated probability passes the row's number for this step.

    `generate` would draw a whole batch from torch's global generator, so that an answer depended on its neighbours.
    Here each row has numbers of its own, one a step, made on the CPU by its own generator; the sum is in float64, so
    that another order of adding does not move a boundary.
    """

    def __init__(self, seeds: Sequence[int], prompt: int, steps: int) -> None:
        self.prompt = prompt
        self.numbers = torch.from_numpy(np.stack([np.random.default_rng(seed).random(steps) for seed in seeds]))

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        numbers = self.numbers.to(scores.device)[:, input_ids.shape[1] - self.prompt, None]
        summed = scores.double().softmax(-1).cumsum(-1)
        # `right`: the first token whose sum is above the number, so that one of probability 0 is never it
        chosen = torch.searchsorted(summed, numbers * summed[:, -1:], right=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen, 0.0)
