"""The row card: what new rows are, measured on a grown model before its first step.

Rows by themselves: how long, how many directions, how alike, how many the same. And what a softmax over old and new
rows makes of a text: the share of all probability that new tokens have, their *mass*, against how often they stand in
text; the rank of the right one; its log probability beside that of its pieces in turn, as the old rows have them; and
what old text loses. The last is exact: old rows stay as they are, so at every position KL(old || new) =
-log(1 - mass) in nats.

Nothing is drawn and nothing is written: the model is as it was.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bailong.model.architecture import positions
from bailong.model.states import ROWS, TIED, Softmax, chain_of, passes, sequences_of
from bailong.model.tie import ends, is_tied
from bailong.tokenizer.folder import readable

if TYPE_CHECKING:
    from bailong.initializer.context import Context

#: new tokens whose neighbours are told, and how many of each
SHOWN, NEAREST = 12, 3
#: by how often a token stands in the text: each a third of all occurrences; and those that do not
FREQUENCIES = ("frequent", "middle", "rare", "unseen")
SIZES = ("1", "2", "3", "4+")


@dataclass(frozen=True)
class Spread:
    """5 %, 50 % and 95 % of the lengths of rows."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Near:
    """A new token, how often it stands in the text, and the old ones nearest to it with their cosines."""

    token: str
    count: int
    old: list[tuple[str, float]]


@dataclass(frozen=True)
class Matrix:
    """The rows of one matrix.

    Attributes:
        norm_new, norm_old: lengths.
        rank_new, rank_old: effective rank, exp of the entropy of s_i^2 / sum s^2 over the singular values s of the rows
            as they are (Roy and Vetterli 2007, with squares): d for rows that fill all directions alike.
        cosine: mean over pairs of new rows; None of a single one.
        equal: new tokens whose row another new token has bit for bit.
        floor: nats per occurrence of a new token that this costs a head whatever it is given: the mean of
            -log(f_t / sum of f over the tokens with that row).
        nearest: of the new tokens that are most frequent in the text.
    """

    norm_new: Spread
    norm_old: Spread
    rank_new: float
    rank_old: float
    cosine: float | None
    equal: int
    floor: float
    nearest: list[Near]


@dataclass(frozen=True)
class Group:
    """Some of the new tokens, at the places where one of them is next; None where there is no such place.

    Attributes:
        tokens: how many. occurrences: places. rate: share of all positions.
        mass: their share of all probability, over all positions.
        likeliest_new: share of the places where the likeliest token is any new one.
        rank_mean, rank_median: of the right token among all; 1 is the likeliest. Of tokens as likely as it half count.
        log_p: mean log probability of the right token. log_p_pieces: of its pieces in turn, by the old rows alone.
    """

    tokens: int
    occurrences: int
    rate: float
    mass: float
    likeliest_new: float | None
    rank_mean: float | None
    rank_median: float | None
    log_p: float | None
    log_p_pieces: float | None


@dataclass(frozen=True)
class Predicted:
    """What the grown model makes of a text: of all new tokens, and of some.

    Attributes:
        positions: next tokens that were predicted. likeliest_new: share of all where the likeliest token is new.
    """

    positions: int
    likeliest_new: float
    all: Group
    by_pieces: dict[str, Group]
    by_frequency: dict[str, Group]


@dataclass(frozen=True)
class OldText:
    """KL(old || new) on old text, nats a token. `of` says on which."""

    of: str
    positions: int
    kl: float


@dataclass(frozen=True)
class RowCard:
    """All of it.

    Attributes:
        text_bytes: of the text. rows: new tokens. seen: those that stand in it.
        head: None where the pair is tied, whose one matrix is told under `embedding`.
        predicted, old_text: None where there is no text, or no old token in it.
    """

    text_bytes: int
    rows: int
    seen: int
    embedding: Matrix
    head: Matrix | None
    predicted: Predicted | None
    old_text: OldText | None
    seconds: float


@torch.no_grad()
def row_card(
    model: Any,
    pieces: list[list[int]],
    named: int,
    context: Context,
    size: int,
    old_text: tuple[str, list[str]] | None = None,
    precision: str = "32-true",
) -> RowCard:
    """Measure the new rows of a grown model, in evaluation mode; the model is left in the mode it was in.

    Args:
        model: grown, with adapters that change nothing yet or without.
        pieces, named: as of `bailong.model.grow.grow`.
        context: tokens and text. size: bytes of the text that are read.
        old_text: a name and texts in the old language; without it old text is what is old in the text.
        precision: as of `bailong.model.score.autocast`.
    """
    begun = time.perf_counter()
    training = model.training
    model.eval()
    try:
        documents = context.encode_all(size)
        counts = np.zeros(len(pieces), dtype=np.int64)
        for token, times in Counter(i - named for ids in documents for i in ids if i >= named).items():
            counts[token] = times
        sequences = sequences_of(context, documents, pieces, positions(model.config)[0])
        sides = [end.weight.detach() for end in ends(model)][: 1 if is_tied(model) else 2]
        matrices = [_matrix(weight, named, counts, context) for weight in sides]
        head = Softmax(model, named, named + len(pieces))
        predicted = old = None
        if sequences:
            predicted, old = _predicted(model, head, pieces, sequences, counts, precision)
        if old_text is not None and context.encode is not None:
            old = _old_text(model, head, old_text[0], _old(context, old_text[1], named), precision) or old
    finally:
        model.train(training)
    return RowCard(
        text_bytes=sum(len(text.encode("utf-8")) for text in context.text(size)),
        rows=len(pieces),
        seen=int((counts > 0).sum()),
        embedding=matrices[0],
        head=matrices[1] if len(matrices) > 1 else None,
        predicted=predicted,
        old_text=old,
        seconds=time.perf_counter() - begun,
    )


# --- rows --------------------------------------------------------------------------------------------


def _matrix(weight: Tensor, named: int, counts: np.ndarray, context: Context) -> Matrix:
    new, old = weight[named : named + len(counts)], weight[:named]
    classes = _equal(new)
    return Matrix(
        norm_new=_spread(new),
        norm_old=_spread(old),
        rank_new=effective_rank(new),
        rank_old=effective_rank(old),
        cosine=mean_cosine(new),
        equal=sum(len(tokens) for tokens in classes),
        floor=floor(classes, counts),
        nearest=_nearest(new, old, counts, context),
    )


def _blocks(rows: Tensor) -> Iterator[Tensor]:
    """In float32."""
    return (rows[first : first + ROWS].float() for first in range(0, len(rows), ROWS))


def _spread(rows: Tensor) -> Spread:
    lengths = torch.cat([block.norm(dim=1) for block in _blocks(rows)]).cpu().numpy()
    return Spread(*(float(value) for value in np.quantile(lengths.astype(np.float64), (0.05, 0.5, 0.95))))


def effective_rank(rows: Tensor) -> float:
    """exp of the entropy of the normalised squared singular values of rows [n, d]; 0 of rows that are all zero."""
    gram = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for block in _blocks(rows):
        gram += block.T @ block
    squares = torch.linalg.eigvalsh(gram).clamp_min(0)
    if not squares.sum() > 0:
        return 0.0
    return float(torch.special.entr(squares / squares.sum()).sum().exp())


def mean_cosine(rows: Tensor) -> float | None:
    """Over all pairs of rows [n, d]: (n |m|^2 - 1) / (n - 1) with m the mean of unit vectors, which leaves out pairs of
    a row with itself; None without a pair."""
    n = len(rows)
    if n < 2:
        return None
    mean = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for block in _blocks(rows):
        mean += F.normalize(block.double(), dim=1).sum(0) / n
    return float((n * (mean @ mean) - 1) / (n - 1))


def _equal(rows: Tensor) -> list[list[int]]:
    """Classes of two and more rows that are equal bit for bit."""
    found: dict[bytes, list[int]] = {}
    for token, row in enumerate(rows):
        raw = row.cpu().contiguous().view(torch.uint8).numpy().data
        found.setdefault(hashlib.blake2b(raw, digest_size=16).digest(), []).append(token)
    return [tokens for tokens in found.values() if len(tokens) > 1]


def floor(classes: Sequence[Sequence[int]], counts: np.ndarray) -> float:
    """Nats per occurrence that telling tokens of one class apart would take; 0 where none stands in the text.

    Args:
        classes: tokens with one row. counts: occurrences of every new token.
    """
    total = int(counts.sum())
    lost = 0.0
    for tokens in classes:
        there = [int(counts[token]) for token in tokens if counts[token]]
        lost += sum(-count * math.log(count / sum(there)) for count in there)
    return lost / total if total else 0.0


def _nearest(new: Tensor, old: Tensor, counts: np.ndarray, context: Context) -> list[Near]:
    tokens = [int(i) for i in np.argsort(-counts, kind="stable")[:SHOWN] if counts[i]]
    if not tokens:
        return []
    units = F.normalize(new[tokens].float(), dim=1)
    kept = min(NEAREST, len(old))
    best, places = torch.full((len(tokens), 0), 0.0, device=new.device), torch.zeros(len(tokens), 0, dtype=torch.long)
    first = 0
    for block in _blocks(old):
        cosines = units @ F.normalize(block, dim=1).T
        ids = torch.arange(first, first + len(block), device=new.device).expand(len(tokens), -1)
        best, places = torch.cat([best, cosines], 1), torch.cat([places.to(new.device), ids], 1)
        best, chosen = best.topk(min(kept, best.shape[1]), dim=1)
        places, first = places.gather(1, chosen), first + len(block)
    return [
        Near(
            _text(context.new, token),
            int(counts[token]),
            [(_text(context.old, i), cosine) for i, cosine in zip(ids, values, strict=True)],
        )
        for token, ids, values in zip(tokens, places.tolist(), best.tolist(), strict=True)
    ]


def _text(surfaces: list[bytes], token: int) -> str:
    """As a token reads; a special one by its number."""
    return readable(surfaces[token]) or f"#{token}"


# --- a softmax over old and new rows -----------------------------------------------------------------


def _predicted(
    model: Any, head: Softmax, pieces: list[list[int]], sequences: list[list[int]], counts: np.ndarray, precision: str
) -> tuple[Predicted, OldText | None]:
    labels = _labels(pieces, counts)
    groups = torch.tensor(np.stack(list(labels.values()), 1), dtype=torch.float32)
    masses = torch.zeros(len(labels), dtype=torch.float64)
    there: dict[str, list[np.ndarray]] = {name: [] for name in ("token", "rank", "log_p", "likeliest")}
    positions = likeliest = old = 0
    lost = 0.0
    for hidden, targets in passes(model, sequences, precision):
        found = head.totals(hidden, targets)
        total = torch.logaddexp(found["old"], found["new"])
        is_likeliest, is_new = _ahead(found), targets >= head.named
        masses += head.masses(hidden, total, groups.to(hidden.device)).cpu()
        positions, likeliest = positions + len(targets), likeliest + int(is_likeliest.sum())
        old += int((~is_new).sum())
        lost += float(F.softplus(found["new"] - found["old"])[~is_new].double().sum())
        there["token"].append((targets[is_new] - head.named).cpu().numpy())
        there["rank"].append(head.ranks(hidden[is_new], found["target"][is_new]).cpu().numpy())
        there["log_p"].append((found["target"] - total)[is_new].double().cpu().numpy())
        there["likeliest"].append(is_likeliest[is_new].cpu().numpy())
    joined = {name: np.concatenate(parts) for name, parts in there.items()}
    chain = chain_of(model, pieces, sequences, head.named, precision)
    joined["pieces"] = (chain.first + chain.rest).double().cpu().numpy()
    assert len(joined["pieces"]) == len(joined["token"])
    made = {
        name: _group(member, joined, float(mass) / positions, positions)
        for (name, member), mass in zip(labels.items(), masses, strict=True)
    }
    predicted = Predicted(
        positions,
        likeliest / positions,
        made["all"],
        {name: made[f"pieces {name}"] for name in SIZES if made[f"pieces {name}"].tokens},
        {name: made[name] for name in FREQUENCIES if made[name].tokens},
    )
    return predicted, OldText("old tokens of the text", old, lost / old) if old else None


def _ahead(found: dict[str, Tensor]) -> Tensor:
    """Where the likeliest token is new; a copy of the likeliest old row is not ahead of it."""
    return (found["best_new"] - found["best_old"]) / (1 + found["best_old"].abs()) > TIED


def _labels(pieces: list[list[int]], counts: np.ndarray) -> dict[str, np.ndarray]:
    """Group -> which new tokens are in it, [k]."""
    sizes = np.array([min(len(ids), len(SIZES)) for ids in pieces])
    third = np.full(len(pieces), len(FREQUENCIES) - 1)
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    before, total = 0, int(counts.sum())
    for token in order:  # a token belongs where the middle of its occurrences is
        third[token] = min(2, int(3 * (before + counts[token] / 2) / total))
        before += int(counts[token])
    return {
        "all": np.ones(len(pieces), dtype=bool),
        **{f"pieces {name}": sizes == size for size, name in enumerate(SIZES, 1)},
        **{name: third == place for place, name in enumerate(FREQUENCIES)},
    }


def _group(member: np.ndarray, there: dict[str, np.ndarray], mass: float, positions: int) -> Group:
    chosen = member[there["token"]]
    count = int(chosen.sum())

    def mean(name: str) -> float | None:
        return float(there[name][chosen].mean()) if count else None

    return Group(
        tokens=int(member.sum()),
        occurrences=count,
        rate=count / positions,
        mass=mass,
        likeliest_new=mean("likeliest"),
        rank_mean=mean("rank"),
        rank_median=float(np.median(there["rank"][chosen])) if count else None,
        log_p=mean("log_p"),
        log_p_pieces=mean("pieces"),
    )


# --- old text ----------------------------------------------------------------------------------------


def _old(context: Context, texts: list[str], named: int) -> list[list[int]]:
    """Texts as sequences that end before their first new token: behind it the old model would see others."""
    assert context.encode is not None
    found = []
    for ids in sequences_of(context, context.encode(texts)):
        stop = next((place for place, token in enumerate(ids) if token >= named), len(ids))
        found.append(ids[:stop])
    return [ids for ids in found if len(ids) > 1]


def _old_text(model: Any, head: Softmax, name: str, sequences: list[list[int]], precision: str) -> OldText | None:
    positions, lost = 0, 0.0
    for hidden, targets in passes(model, sequences, precision):
        found = head.totals(hidden, targets)
        positions += len(targets)
        lost += float(F.softplus(found["new"] - found["old"]).double().sum())
    return OldText(name, positions, lost / positions) if positions else None
