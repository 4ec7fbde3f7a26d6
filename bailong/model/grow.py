"""New rows for new tokens, in the embedding and in the head.

`resize_token_embeddings` is not used. Its default (`mean_resizing=True`) draws every new row around the mean of the
old ones, so it is an initializer itself, and one that spends minutes on a covariance which we would overwrite; after it
nobody can tell a row that was written from a row that was forgotten. Here a row exists because an initializer made it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bailong.initializer.base import OF_A_TIED_PAIR
from bailong.initializer.context import Context
from bailong.model.tie import ends, is_tied

if TYPE_CHECKING:
    from bailong.initializer.base import Initializer


#: what the settings call the matrices
SIDES = {"embedding": "embed", "head": "head"}


@dataclass(frozen=True)
class NewRows:
    """What was added to one matrix.

    `sha256` is over the bytes of the new rows. `norm_ratio` is the mean length of a new row over that of an old one.
    `duplicates` counts new rows that equal an earlier new row bit for bit: tokens between which the model cannot tell
    at step 0 (under `zip_tie` those that are made of the same bytes in another order).
    """

    sha256: str
    norm_ratio: float
    duplicates: int


@dataclass(frozen=True)
class GrowReport:
    """What `grow` did; `head` is null when the pair is tied, for then the rows of `embedding` serve both ends.

    `seconds` is what making the rows took, `notes` what the rule tells of them.
    """

    added: int
    vocabulary: int
    tied: bool
    embedding: NewRows
    head: NewRows | None
    seconds: float = field(default=0.0, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def rows_sha256(self) -> str:
        """One hash for all new rows: the embedding's when tied, else over the hashes of embedding and head."""
        if self.head is None:
            return self.embedding.sha256
        return hashlib.sha256((self.embedding.sha256 + self.head.sha256).encode()).hexdigest()


def grow(
    model: Any,
    pieces: list[list[int]],
    initializer: Initializer,
    seed: int,
    named: int | None = None,
    context: Context | None = None,
) -> GrowReport:
    """Give each new token a row in the embedding and in the head: row `named` + k to the k-th.

    Matrices may be padded to a round number, with rows that no token names. New ids follow the last *named* one, so the
    first new rows overwrite padding and the others are appended; a row appended behind the padding would belong to no
    token. Padding behind the last new id stays as it is. Padding is no old token: initializers do not see it.

    A tied pair (judged by pointer) gets one set of rows. An untied pair gets two, each from a call that sees
    its own matrix only, with its own stream of random numbers. Rows are computed on the CPU and then moved: the same
    seed gives the same rows whatever device the model is on. Nothing is written unless every row is sound.

    Args:
        model: a Llama-architecture causal language model of transformers, plain or with 4-bit layers, without adapters.
        pieces: for each new token, in id order, the ids of the old tokens that it splits into; at least one token.
        initializer: the rule.
        seed: with the name of the matrix, the only source of randomness.
        named: rows that old tokens name, the first of the matrix; None for all of them.
        context: what tokens and text are; None for rules that look at rows alone.

    Raises:
        ValueError: for a piece that is not an old id, a pair that differs in rows, an initializer that makes the two
            ends of a tied pair in different ways, or one whose rows are not finite or are all zero (a zero row in the
            head has logit 0, which can take all probability where the logits of a trained model are far below).
    """
    embedding, head = ends(model)
    assert head is model.get_output_embeddings(), "grow before adding adapters: they have the old number of rows"
    tied = is_tied(model)
    assert tied == bool(model.config.tie_word_embeddings), "weights and config disagree: call tie_input or untie first"
    matrices = {"embedding": embedding.weight}
    if not tied:
        matrices["head"] = head.weight
    rows = len(embedding.weight)
    if len(head.weight) != rows:
        raise ValueError(f"the embedding has {rows} rows and the head {len(head.weight)}: they must be equally many")
    named = rows if named is None else named
    assert 0 < named <= rows, f"{named} named rows of {rows}"
    _check(pieces, named)
    if tied:
        require_one_rule(initializer)

    begun = time.perf_counter()
    context = context or Context([], [])
    old = {side: weight.detach()[:named] for side, weight in matrices.items()}
    new = {side: _new_rows(side, weight, pieces, initializer, seed, context) for side, weight in old.items()}
    seconds = time.perf_counter() - begun
    vocabulary = max(rows, named + len(pieces))

    grown = {side: _placed(weight, new[side], named) for side, weight in matrices.items()}
    embedding.weight = grown["embedding"]
    head.weight = grown["embedding"] if tied else grown["head"]
    embedding.num_embeddings = head.out_features = vocabulary
    model.config.vocab_size = vocabulary
    for part in (model, model.base_model):  # transformers keeps copies beside the config
        part.vocab_size = vocabulary
    _forget_padding(model, embedding, range(named, named + len(pieces)))

    end = named + len(pieces)
    for side, weight in matrices.items():
        assert len(grown[side]) == vocabulary and _same_bits(grown[side][:named], old[side]), (
            f"old rows of the {side} changed"
        )
        assert _same_bits(grown[side][named:end], new[side].to(weight.device)), f"new rows of the {side} are elsewhere"
        assert _same_bits(grown[side][end:], weight[end:]), f"padding of the {side} changed"
    assert is_tied(model) == tied and (head.weight is embedding.weight) == tied
    return report_of(model, named, len(pieces), seconds, tuple(context.notes))


def report_of(model: Any, named: int, added: int, seconds: float, notes: tuple[str, ...] = ()) -> GrowReport:
    """What `added` new rows behind `named` old ones are, as they stand in a model."""
    embedding, head = (end.weight.detach() for end in ends(model))
    tied, end = is_tied(model), named + added
    return GrowReport(
        added=added,
        vocabulary=len(embedding),
        tied=tied,
        embedding=_describe(embedding[named:end].cpu(), embedding[:named]),
        head=None if tied else _describe(head[named:end].cpu(), head[:named]),
        seconds=seconds,
        notes=notes,
    )


def require_one_rule(initializer: Initializer) -> None:
    """Refuse an initializer that cannot serve a tied pair.

    Raises:
        ValueError: it makes embedding and head in different ways, or calibrates a head alone.
    """
    if initializer.calibrate not in OF_A_TIED_PAIR:
        raise ValueError(
            f"initializer.calibrate={initializer.calibrate} is not accepted for a tied pair, for it makes rows of a "
            f"head alone; accepted: {', '.join(OF_A_TIED_PAIR)}, or an untied pair (model.tie=keep where the "
            "checkpoint comes so, model.tie=none)"
        )
    if initializer.sided:
        said = {
            side: own for side in ("embed", "head") if (own := getattr(initializer, side)) not in ({}, "same", None)
        }
        told = ", ".join(f"initializer.{side}={own}" for side, own in said.items())
        raise ValueError(
            f"initializer={initializer.name} is not accepted for a tied pair, whose one matrix serves both ends: "
            f"{told} makes them in different ways; accepted: the same knobs for both, or "
            "an untied pair (model.tie=keep where the checkpoint comes so, model.tie=none)"
        )


def stream(seed: int, side: str) -> torch.Generator:
    """The generator of one matrix: independent for each side, on the CPU."""
    digest = hashlib.sha256(f"{seed}/{side}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _check(pieces: list[list[int]], old_vocabulary: int) -> None:
    assert len(pieces) > 0, "no new tokens: nothing to grow"
    for token, ids in enumerate(pieces):
        if not ids or min(ids) < 0 or max(ids) >= old_vocabulary:
            raise ValueError(
                f"the new token {old_vocabulary + token} is made of {list(ids)}, but the model has rows 0 to "
                f"{old_vocabulary - 1}: the tokenizer must have been extended from this model's own"
            )


def _new_rows(
    side: str,
    weight: torch.Tensor,
    pieces: list[list[int]],
    initializer: Initializer,
    seed: int,
    context: Context,
) -> torch.Tensor:
    # A copy, so that no rule can write to the model.
    old = weight.detach().to("cpu", copy=True)
    # By one thread: the last bits of a decomposition depend on how many share it, and rows are known by their hash.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            rows = initializer.new_rows(SIDES[side], old, pieces, stream(seed, side), context)
    finally:
        torch.set_num_threads(threads)
    assert rows.shape == (len(pieces), old.shape[1]) and rows.dtype == old.dtype, "rows must look like the old ones"
    bad = ~rows.isfinite().all(1) | (rows == 0).all(1)
    if bad.any():
        raise ValueError(
            f"initializer={initializer.name} gives {int(bad.sum())} rows of the {side} that are not finite or are "
            f"zero, first for the new token {len(old) + int(bad.nonzero()[0])}: look at the checkpoint's {side}"
        )
    return rows


def _describe(rows: torch.Tensor, weight: torch.Tensor) -> NewRows:
    raw = rows.contiguous().view(torch.uint8).numpy()
    old = weight.detach().float().norm(dim=1).mean()
    return NewRows(
        sha256=hashlib.sha256(raw.data).hexdigest(),
        norm_ratio=float(rows.float().norm(dim=1).mean() / old.cpu()),
        duplicates=len(raw) - len({row.tobytes() for row in raw}),
    )


def _placed(weight: torch.Tensor, rows: torch.Tensor, named: int) -> nn.Parameter:
    """`weight` with `rows` from row `named` on: over the padding that is there, and behind it."""
    old = weight.detach()
    grown = torch.cat([old[:named], rows.to(old.device), old[named + len(rows) :]])
    return nn.Parameter(grown, requires_grad=weight.requires_grad)


def _forget_padding(model: Any, embedding: nn.Embedding, new: range) -> None:
    """A new token may take the row that the config called padding, whose gradient torch leaves out."""
    if model.config.pad_token_id in new:
        model.config.pad_token_id = None
        embedding.padding_idx = model.base_model.padding_idx = None


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.detach().view(torch.uint8), other.detach().view(torch.uint8))
