"""New rows set right by what the grown model says of a text: a few forward passes, or (`ntp_rows`, `token_distill`)
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

from bailong.model import adapters
from bailong.model.architecture import Logits, logits_of
from bailong.model.learn_rows import learn
from bailong.model.score import pad
from bailong.model.tie import ends, is_tied

if TYPE_CHECKING:
    from bailong.initializer.base import Calibration, Initializer
    from bailong.initializer.context import Context

#: windows a forward pass, and rows of logits held at once
BATCH, CHUNK = 4, 256
#: mass and rate agree where they are nearer than this
CLOSE = 0.005
#: tries of the one number that mass depends on
TRIES = 16
#: kinds that learn the rows (bailong.model.learn_rows)
LEARNED = ("ntp_rows", "token_distill")


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
    sequences = _sequences(context, context.encode_all(knobs.text_bytes))
    if not any(i >= named for row in sequences for i in row[1:]):
        raise ValueError(
            f"initializer.calibrate={kind} is not accepted: no new token stands in the "
            f"{knobs.text_bytes:,} bytes of text that it reads; accepted: a larger initializer.calibration.text_bytes, "
            "or none"
        )
    hidden, targets = _states(model, sequences)
    rate = float((targets >= named).double().mean())
    head = _Head(model, named, end)
    before = head.mass(hidden)
    along = _constant(hidden, knobs.ridge)
    number = None
    if kind in LEARNED:
        learn(model, pieces, sequences, named, knobs, distill=kind == "token_distill")
    if kind in ("continuation", "continuation+mass", "chain_ridge"):
        assert not tied
        chain = _chain(model, pieces, context, named, knobs)
        head.write(_continued(head, pieces, chain, along, knobs, ridge=kind == "chain_ridge"))
    if kind in ("mass", "continuation+mass", "shrink"):
        rows = head.new()
        centre = head.weight[:named].float().mean(0)

        def at(value: float) -> float:
            moved = centre + value * (rows - centre) if kind == "shrink" else rows + value * along
            head.write(moved)
            return head.mass(_states(model, sequences)[0] if tied else hidden)

        start, step = (1.0, -0.1) if kind == "shrink" else (0.0, 1.0)
        number = _solve(at, rate, start, step, lowest=0.05 if kind == "shrink" else -math.inf)
    after = head.mass(_states(model, sequences)[0] if tied or kind in LEARNED else hidden)
    spread = float((hidden @ along).std())
    return Calibrated(kind, len(targets), rate, before, after, number, spread, seconds=time.perf_counter() - begun)


class _Head:
    """The head of a grown model: what its new rows make of states, and how they are changed."""

    def __init__(self, model: Any, named: int, end: int) -> None:
        self.weight, self.named, self.end = ends(model)[1].weight.data, named, end
        self.made = logits_of(model.config)

    def new(self) -> Tensor:
        """The new rows, [k, d] in float32: a copy."""
        return self.weight[self.named : self.end].float().clone()

    def write(self, rows: Tensor) -> None:
        self.weight[self.named : self.end] = rows.to(self.weight.dtype)

    def logits(self, hidden: Tensor, rows: slice) -> Tensor:
        return _shaped(hidden @ self.weight[rows].float().T, self.made)

    def mass(self, hidden: Tensor) -> float:
        """Mean probability of all new tokens together, over states [K, d]."""
        found = []
        for states in hidden.split(CHUNK):
            new = self.logits(states, slice(self.named, self.end)).logsumexp(1)
            found.append((new - self.logits(states, slice(None)).logsumexp(1)).exp())
        return float(torch.cat(found).double().mean())


def _shaped(product: Tensor, made: Logits) -> Tensor:
    scaled = made.scale * product
    return scaled if made.cap is None else made.cap * torch.tanh(scaled / made.cap)


def _unshaped(logits: Tensor, made: Logits) -> Tensor:
    """The product that gives these logits; what a cap cannot reach is cut."""
    if made.cap is not None:
        logits = made.cap * torch.atanh((logits / made.cap).clamp(-0.999, 0.999))
    return logits / made.scale


def _sequences(context: Context, documents: list[list[int]]) -> list[list[int]]:
    """Documents behind the begin marker, cut to what the model is trained on at a time; none that predicts nothing."""
    begin = [] if context.begin is None else [context.begin]
    whole = [[*begin, *ids] for ids in documents]
    return [ids[i : i + context.longest] for ids in whole for i in range(0, len(ids) - 1, context.longest)]


@torch.no_grad()
def _states(model: Any, sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
    """The last states [K, d] in float32, and the tokens [K] that they predict."""
    import numpy as np

    device = next(model.parameters()).device
    hidden, targets = [], []
    for first in range(0, len(sequences), BATCH):
        rows = sequences[first : first + BATCH]
        ids = pad([np.asarray(row) for row in rows], 0).to(device)
        states = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
        for row, found in zip(rows, states, strict=True):
            hidden.append(found[: len(row) - 1].float())
            targets.append(torch.tensor(row[1:], device=device))
    return torch.cat(hidden), torch.cat(targets)


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


@dataclass(frozen=True)
class _Chain:
    """What the old model makes of the pieces of new tokens in running text.

    Attributes:
        hidden: [K, d], the states before the first pieces of occurrences. total: [K], their log Z.
        first, rest: [K], log p(s_1), and log p(s_2 | s_1) + ... + log p(s_n | ..).
        occurrences: new token -> where it stands. starts: old token -> occurrences, of any new token, that begin so.
    """

    hidden: Tensor
    total: Tensor
    first: Tensor
    rest: Tensor
    occurrences: dict[int, list[int]]
    starts: dict[int, list[int]]


def _chain(model: Any, pieces: list[list[int]], context: Context, named: int, knobs: Calibration) -> _Chain:
    """One pass of the old model over the text, in which each new token is written as its pieces."""
    head = _Head(model, named, named + len(pieces))
    parts: dict[str, list[Tensor]] = defaultdict(list)
    occurrences: dict[int, list[int]] = defaultdict(list)
    starts: dict[int, list[int]] = defaultdict(list)
    count = 0
    for ids in _sequences(context, context.encode_all(knobs.text_bytes)):
        split = [pieces[i - named] if i >= named else [i] for i in ids]
        places, at = [], 0
        for token, spelled in zip(ids, split, strict=True):
            if token >= named and at > 0:
                places.append((token - named, at, len(spelled)))
            at += len(spelled)
        old = [i for spelled in split for i in spelled]
        hidden, _ = _states(model, [old])
        total, chosen = [], []
        following = torch.tensor(old[1:], device=hidden.device)
        for states, targets in zip(hidden.split(CHUNK), following.split(CHUNK), strict=True):
            logits = head.logits(states, slice(0, named))
            total.append(logits.logsumexp(1))
            chosen.append(logits.gather(1, targets[:, None])[:, 0] - total[-1])
        log_z, log_p = torch.cat(total), torch.cat(chosen)
        kept = [(token, at, size) for token, at, size in places if at + size <= len(old)]
        before = [at - 1 for _, at, _ in kept]
        parts["hidden"].append(hidden[before])
        parts["total"].append(log_z[before])
        parts["first"].append(log_p[before])
        parts["rest"].append(
            torch.stack([log_p[at : at - 1 + size].sum() for _, at, size in kept]) if kept else log_p[:0]
        )
        for token, _, _ in kept:
            occurrences[token].append(count)
            starts[pieces[token][0]].append(count)
            count += 1
    joined = {name: torch.cat(found) for name, found in parts.items()}
    return _Chain(joined["hidden"], joined["total"], joined["first"], joined["rest"], occurrences, starts)


def _continued(
    head: _Head, pieces: list[list[int]], chain: _Chain, along: Tensor, knobs: Calibration, ridge: bool
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


def _ridge(row: Tensor, token: int, first: int, c: float, chain: _Chain, head: _Head, knobs: Calibration) -> Tensor:
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
    missing = _unshaped(wanted.double(), head.made) - states @ row.double()
    return row + (states.T @ torch.linalg.solve(gram, missing)).float()
