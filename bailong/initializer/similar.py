"""Rows of old tokens that are like a new one in a space of their own: static vectors, or another model's embedding.

FOCUS and CLP-Transfer differ in where vectors come from, and in how cosines become weights.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bailong.initializer.base import Parts

if TYPE_CHECKING:
    import torch

#: old tokens of one new token, and their weights
Bag = tuple["torch.Tensor", "torch.Tensor"]
#: cosines that are held in float64 at once
HELD = 1 << 23


@dataclass(frozen=True)
class Space:
    """Where tokens lie, those that are known there.

    Attributes:
        old: ids of old tokens, ascending, [m]. new: new tokens, the first one 0, [k].
        old_vectors, new_vectors: their directions, float64 of length 1, [m, s] and [k, s].
    """

    old: torch.Tensor
    old_vectors: torch.Tensor
    new: torch.Tensor
    new_vectors: torch.Tensor

    @classmethod
    def of(cls, old: list[int], old_vectors: torch.Tensor, new: list[int], new_vectors: torch.Tensor) -> Space:
        """Of tokens, ascending, and their vectors; one that is all zero or not finite places nobody, and without an old
        token no new one has a place.

        Args:
            old_vectors: [len(old), s]. new_vectors: [len(new), s].
        """
        there = _directions(old, old_vectors)
        return cls(*there, *_directions(new if len(there[0]) else [], new_vectors))

    def __post_init__(self) -> None:
        assert self.old_vectors.shape[1] == self.new_vectors.shape[1], "vectors of two spaces"

    def of_positive_sum(self) -> Space:
        """Without the new tokens whose cosines with all old ones have no sum above 0."""
        fit = self.new_vectors @ self.old_vectors.sum(0) > 0
        return replace(self, new=self.new[fit], new_vectors=self.new_vectors[fit])


def _directions(tokens: list[int], vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    vectors = vectors[: len(tokens)]
    lengths = vectors.double().norm(dim=1)
    fit = (lengths > 0) & lengths.isfinite()
    return torch.tensor(tokens, dtype=torch.long)[fit], vectors[fit].double() / lengths[fit, None]


@dataclass(frozen=True)
class Bags:
    """Old tokens and their weights in the row of each new token, end to end: 27,000 tokens have some millions of them.

    Attributes:
        ids, weights: [n]. starts: where those of each token begin, [k].
    """

    ids: torch.Tensor
    weights: torch.Tensor
    starts: torch.Tensor

    @classmethod
    def of(cls, bags: list[Bag]) -> Bags:
        import torch

        starts = [0, *itertools.accumulate(len(ids) for ids, _ in bags)][:-1]
        ids, weights = (torch.cat(flat) for flat in zip(*bags, strict=True))
        return cls(ids, weights, torch.tensor(starts))

    def rows(self, old: torch.Tensor) -> torch.Tensor:
        """The weighted sums of old rows [V, d]: [k, d], float32, on their device."""
        from torch.nn.functional import embedding_bag

        ids, weights, starts = (part.to(old.device) for part in (self.ids, self.weights, self.starts))
        return embedding_bag(ids, old.float(), starts, mode="sum", per_sample_weights=weights)

    def parts(self) -> list[Parts]:
        ends = [*self.starts.tolist()[1:], len(self.ids)]
        flat = [*zip(self.ids.tolist(), self.weights.tolist(), strict=True)]
        return [flat[begin:end] for begin, end in zip(self.starts.tolist(), ends, strict=True)]


def sparsemax(scores: torch.Tensor) -> torch.Tensor:
    """The point of the simplex that is nearest to each row of scores [k, m] (Martins & Astudillo, arXiv 1602.02068).

    max(z - tau, 0), where tau makes the sum 1. From a bound below it tau is solved for over the entries above it until
    no entry falls out (Michelot, 1986): the same as by sorting them, in some ten passes.
    """
    import torch

    tau = torch.maximum(scores.amax(1, keepdim=True), scores.mean(1, keepdim=True) + (1 - 1 / scores.shape[1])) - 1
    above = scores > tau
    while True:
        counts = above.sum(1, keepdim=True)
        tau = (torch.where(above, scores, 0).sum(1, keepdim=True) - 1) / counts
        left = above & (scores > tau)  # and none comes back by rounding: so it ends
        if torch.equal(left, above):
            return torch.where(above, scores - tau, 0)
        above = left


def told(space: Space, pieces: list[list[int]], what: str) -> str:
    """How many tokens a space places, for the run to say; `what` they do there."""
    lacking = len(pieces) - len(space.new)
    return (
        f"rows of {len(space.old):,} old tokens that {what}; "
        f"{lacking:,} of {len(pieces):,} new tokens do not: their rows are zip-tie's"
    )


def of_pieces(pieces: list[list[int]]) -> list[Bag]:
    """Zip-tie's: the pieces of a token, alike."""
    import torch

    return [(torch.tensor(sorted(ids)), torch.full((len(ids),), 1 / len(ids))) for ids in pieces]


def nearest(space: Space, pieces: list[list[int]]) -> Bags:
    """Each token by sparsemax of its cosines with the old ones; one that is not in the space by its pieces."""
    bags = of_pieces(pieces)
    if not len(space.new):
        return Bags.of(bags)
    step = max(1, HELD // len(space.old))
    for tokens, vectors in zip(space.new.split(step), space.new_vectors.split(step), strict=True):
        for token, row in zip(tokens.tolist(), sparsemax(vectors @ space.old_vectors.T), strict=True):
            [chosen] = row.nonzero(as_tuple=True)
            bags[token] = (space.old[chosen], row[chosen].float())
    return Bags.of(bags)


def summed(space: Space, pieces: list[list[int]], old: torch.Tensor) -> torch.Tensor:
    """Each token by its cosines with all old ones, divided by their sum; one that is not in the space by its pieces.

    sum_o cos(t, o) v_o = x_t (sum_o x_o v_o) for directions x: one product that serves all tokens stands in the place
    of a weight for each pair.

    Args:
        space: of tokens whose cosines have a sum above 0 (`Space.of_positive_sum`).
        old: [V, d].

    Returns:
        [len(pieces), d] in float32 on the device of `old`.
    """
    import torch

    held = max(1, HELD // old.shape[1])
    through = old.new_zeros(space.old_vectors.shape[1], old.shape[1], dtype=torch.float64)
    for ids, vectors in zip(space.old.split(held), space.old_vectors.split(held), strict=True):
        through += vectors.to(old.device).T @ old[ids.to(old.device)].double()
    total = space.new_vectors @ space.old_vectors.sum(0)
    given = (space.new_vectors / total[:, None]).to(old.device)
    rows = Bags.of(of_pieces(pieces)).rows(old)
    for tokens, part in zip(space.new.split(held), given.split(held), strict=True):
        rows[tokens.to(old.device)] = (part @ through).float()
    return rows
