"""New rows set right by what the grown model says of a text: a few forward passes, or (bailong.model.learn_rows)
some steps that learn nothing else.

A softmax over old and new rows gives new tokens some share of all probability, their mass, and only by chance that with
which they stand in text. `mass` adds one vector to every new row of the head and `shrink` moves them all towards the
mean row, until mass and text agree; `continuation` and `chain_ridge` set each row of the head by what the old model
makes of the token's pieces in turn, for log p(t) = log p(s_1) + log p(s_2 | s_1) + ...

No choice of rows brings the loss below a bound: old rows keep what they had, so rows that gave every new token the
probability of its pieces would still add E[log(1 + sum_t p(t))] <= log 2 nats a position.

One direction k carries `mass`: with M the second moment of the last states h, k = M^-1 E[h] / (E[h]' M^-1 E[h]) has
E[k.h] = 1, and of all such vectors the least second moment: it adds nearly the same to a logit wherever it stands.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bailong.model.architecture import positions
from bailong.model.learn_rows import LEARNED, learn
from bailong.model.states import Chain, Head, chain_of, sequences_of, states_of, unshaped
from bailong.model.tie import is_tied

if TYPE_CHECKING:
    from bailong.initializer.base import Calibration, Initializer
    from bailong.initializer.context import Context

#: mass and rate agree where they are nearer than this
CLOSE = 0.005
#: tries of the one number that mass depends on
TRIES = 16


@dataclass(frozen=True)
class Calibrated:
    """What was set right, over the calibration text.

    Attributes:
        kind: as `initializer.calibrate`. positions: next tokens that were predicted.
        rate: share of them that are new tokens; mass_before, mass: mean probability of all new tokens together.
        number: what was solved for: delta of `mass` in logits, c of `shrink`; None for the others.
        spread: standard deviation of k.h, 0 where k adds the same to every logit.
        seconds: of all of it.
    """

    kind: str
    positions: int
    rate: float
    mass_before: float
    mass: float
    number: float | None
    spread: float | None
    seconds: float


def calibrate(
    model: Any, pieces: list[list[int]], initializer: Initializer, context: Context, named: int
) -> Calibrated | None:
    """Set right the new rows of a grown model, in place; those of the embedding only where the pair is tied or the rows
    are learned.

    Args:
        pieces: as of `bailong.model.grow.grow`. named: old tokens, and the id of the first new one.

    Raises:
        ValueError: the pair is tied and the kind is of a head alone, or the text holds no new token.
    """
    kind, knobs = initializer.calibrate, initializer.calibration
    if kind == "none":
        return None
    begun = time.perf_counter()
    end = named + len(pieces)
    tied = is_tied(model)
    sequences = sequences_of(context, context.encode_all(knobs.text_bytes), pieces, positions(model.config)[0])
    if not any(i >= named for row in sequences for i in row[1:]):
        raise ValueError(
            f"initializer.calibrate={kind} is not accepted: no new token stands in the "
            f"{knobs.text_bytes:,} bytes of text that it reads; accepted: a larger initializer.calibration.text_bytes, "
            "or none"
        )
    hidden, targets = states_of(model, sequences)
    rate = float((targets >= named).double().mean())
    head = Head(model, named, end)
    before = head.mass(hidden)
    along = _constant(hidden, knobs.ridge)
    number = None
    if kind in LEARNED:
        learn(model, pieces, sequences, named, knobs, kind)
    if kind in ("continuation", "continuation+mass", "chain_ridge"):
        assert not tied
        chain = chain_of(model, pieces, sequences, named)
        head.write(_continued(head, pieces, chain, along, knobs, ridge=kind == "chain_ridge"))
    if kind in ("mass", "continuation+mass", "shrink"):
        rows = head.new()
        centre = head.weight[:named].float().mean(0)

        def at(value: float) -> float:
            moved = centre + value * (rows - centre) if kind == "shrink" else rows + value * along
            head.write(moved)
            return head.mass(states_of(model, sequences)[0] if tied else hidden)

        start, step = (1.0, -0.1) if kind == "shrink" else (0.0, 1.0)
        number = _solve(at, rate, start, step, lowest=0.05 if kind == "shrink" else -math.inf)
    after = head.mass(states_of(model, sequences)[0] if tied or kind in LEARNED else hidden)
    spread = float((hidden @ along).std(unbiased=False))
    return Calibrated(kind, len(targets), rate, before, after, number, spread, seconds=time.perf_counter() - begun)


def _constant(hidden: Tensor, ridge: float) -> Tensor:
    """k, [d]: the vector whose product with a state is 1 on average and varies least."""
    states = hidden.double()
    moment = states.T @ states / len(states)
    moment.diagonal().add_(ridge * moment.diagonal().mean())
    mean = states.mean(0)
    solved = torch.linalg.solve(moment, mean)
    return (solved / (mean @ solved)).float()


def _solve(at: Callable[[float], float], rate: float, start: float, step: float, lowest: float) -> float:
    """Where the mass is nearest to the rate: regula falsi (Illinois) on log-odds, nearly linear in it.

    Args:
        at: the mass at a number; it grows with it, of a tied pair as far as its input rows let it.
        start, step: where the search begins, and how far it goes first. lowest: where it ends.
    """
    seen: dict[float, float] = {}

    def off(value: float) -> float:
        seen[value] = at(value)
        return _log_odds(seen[value]) - _log_odds(rate)

    def done() -> bool:
        return len(seen) >= TRIES or min(abs(mass - rate) for mass in seen.values()) < CLOSE

    low, f_low = start, off(start)
    high, f_high = low, f_low
    step = -abs(step) if f_low > 0 else abs(step)
    while f_low * f_high > 0 and not done() and high > lowest:
        low, f_low = high, f_high
        high = max(high + step, lowest)
        f_high, step = off(high), 2 * step
    while f_low * f_high < 0 and not done():
        value = high - f_high * (high - low) / (f_high - f_low)
        found = off(value)
        if found * f_high < 0:
            low, f_low = high, f_high
        else:
            f_low /= 2
        high, f_high = value, found
    best = min(seen, key=lambda value: abs(seen[value] - rate))
    at(best)
    return best


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))


def _continued(
    head: Head, pieces: list[list[int]], chain: Chain, along: Tensor, knobs: Calibration, ridge: bool
) -> Tensor:
    """The new rows of the head: U[s_1] + c k, with c the mean log probability of the other pieces; with `ridge` the
    nearest to it that gives each occurrence its probability as a chain.

    A token that the text does not hold takes the mean c of those with as many pieces, or of all.
    """
    usual: dict[int, list[float]] = defaultdict(list)
    means = {token: float(chain.rest[places].mean()) for token, places in chain.occurrences.items()}
    for token, mean in means.items():
        usual[len(pieces[token])].append(mean)
    overall = sum(means.values()) / len(means)
    old = head.weight[: head.named].float()
    rows = []
    for token, ids in enumerate(pieces):
        of_size = usual.get(len(ids))
        c = 0.0 if len(ids) == 1 else means.get(token, sum(of_size) / len(of_size) if of_size else overall)
        row = old[ids[0]] + c * along / head.made.scale
        if ridge and token in chain.occurrences:
            row = _ridge(row, token, ids[0], c, chain, head, knobs)
        rows.append(row)
    return torch.stack(rows)


def _ridge(row: Tensor, token: int, first: int, c: float, chain: Chain, head: Head, knobs: Calibration) -> Tensor:
    """u0 + H' (H H' + lambda)^-1 (z - H u0), over occurrences of a token and of others that begin as it does.

    z = log Z + log p(s_1) + log p(s_2 | s_1) + ... where the token stands, and log Z + log p(s_1) + c - 2 where another
    one does: there it shall be less likely than usual.
    """
    there = chain.occurrences[token][: knobs.occurrences]
    own = set(chain.occurrences[token])
    others = [place for place in chain.starts[first] if place not in own][: knobs.negatives]
    wanted = torch.cat(
        [
            chain.total[there] + chain.first[there] + chain.rest[there],
            chain.total[others] + chain.first[others] + c - 2,
        ]
    )
    states = chain.hidden[[*there, *others]].double()
    gram = states @ states.T
    gram.diagonal().add_(knobs.ridge * gram.diagonal().mean())
    missing = unshaped(wanted.double(), head.made) - states @ row.double()
    return row + (states.T @ torch.linalg.solve(gram, missing)).float()
