"""Weights of pieces by least squares, from tokens whose rows are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bailong.initializer.base import Initializer, weighted

if TYPE_CHECKING:
    import torch

    from bailong.initializer.context import Context

#: numbers of the pieces' rows that are held in float64 at once
HELD = 1 << 22


@dataclass
class AlphaLs(Initializer):
    """v_t = mu + sum_i a_i (v_ti - mu), where the weights a of n pieces are those that fit old tokens best.

    A control for weights that are made up. The old vocabulary is taken without the tokens u that it got last (`share`
    of them, bailong.tokenizer.smaller), each is spelled by the others as s_1 to s_n, and for every n apart

        a = argmin_a  sum_u |(v_u - mu) - sum_i a_i (v_si - mu)|^2 + lambda |a - 1/n|^2,

    with mu the mean of the old rows and lambda such that equal weights count as much as `prior` tokens would. It is
    solved by normal equations in float64, for each matrix from its own rows. The sum of a is not bound to 1: where it
    is below, rows are drawn to the mean. A token that is one old token is a copy of it. `norm=parts` takes pieces as
    equally heavy.
    """

    name: str = "alpha_ls"
    share: float = 0.5
    prior: float = 10.0

    def __post_init__(self) -> None:
        self.require(0 < self.share < 1, "share", "above 0 and below 1")
        self.require(0 < self.prior < float("inf"), "prior", "above 0")

    def informed(
        self, old: torch.Tensor, pieces: list[list[int]], generator: torch.Generator, context: Context
    ) -> torch.Tensor:
        trained = old.float()
        centre = trained.mean(0)
        centred = trained - centre
        key = ("respelled", self.share)
        if key not in context.memory:
            context.memory[key] = context.respelled(self.share)
        fitted = weights_by_length(centred, context.memory[key], {*map(len, pieces)}, self.prior)
        rows = centre + weighted(centred, [[*zip(ids, fitted[len(ids)], strict=True)] for ids in pieces])
        alone = [k for k, ids in enumerate(pieces) if len(ids) == 1]
        rows[alone] = trained[[pieces[k][0] for k in alone]]
        return rows.to(old.dtype)


def weights_by_length(
    centred: torch.Tensor, known: dict[int, list[int]], lengths: set[int], prior: float
) -> dict[int, list[float]]:
    """For each number of pieces the weights that fit best; equal ones where no known token has so many.

    Args:
        centred: rows less their mean, [V, d]. known: tokens, and the ids that spell them.
        lengths: the numbers of pieces that are asked for.
        prior: as many tokens as equal weights count.
    """
    import torch

    found: dict[int, list[float]] = {}
    for n in sorted(lengths):
        tokens = [u for u in sorted(known) if len(known[u]) == n]
        gram = centred.new_zeros(n, n, dtype=torch.float64)
        moment = centred.new_zeros(n, dtype=torch.float64)
        step = max(1, HELD // (n * centred.shape[1]))
        for begin in range(0, len(tokens), step):
            part = tokens[begin : begin + step]
            parts = centred[torch.tensor([known[u] for u in part], device=centred.device)].double()  # [c, n, d]
            gram += torch.einsum("cid,cjd->ij", parts, parts)
            moment += torch.einsum("cid,cd->i", parts, centred[part].double())
        penalty = prior * gram.diagonal().mean() / max(1, len(tokens))
        if penalty <= 0:  # no token has so many pieces, or none that differs from the mean
            found[n] = [1 / n] * n
            continue
        identity = torch.eye(n, dtype=torch.float64, device=centred.device)
        found[n] = torch.linalg.solve(gram + penalty * identity, moment + penalty / n).tolist()
    return found
