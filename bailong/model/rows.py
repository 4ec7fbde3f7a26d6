"""Rows of embedding and head that are trained themselves, or by one adapter for both ends.

PEFT gives each end an adapter of its own, of low rank. New rows begin without having been trained at all, so what is
learned of them need not be of low rank: here the rows are parameters (float32, whatever the matrix is stored in), one
set for a tied pair, whose gradient is the sum of what both ends say. `trainable_token_indices` of PEFT does the like
for given tokens; our loss must know of it (bailong.model.head), and a master in float32 is kept.

In a little text most new tokens stand once or never, their parts more often. `ComposedRows` are zip-tied in training as
they were at the start: half of what is learned of a token's halves is learned of the token.

The frozen matrix holds the rows too, written before each forward pass: what reads it (the loss, an evaluation, an
export) reads the rows as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bailong.initializer.base import Parts, end_to_end
from bailong.model.tie import is_tied

if TYPE_CHECKING:  # its import takes seconds, and who only reads a model does without
    from peft.tuners.lora import LoraLayer


class Rows(nn.Module):
    """Some rows of a matrix that are learned; `values` says how they follow from what is learned.

    Args:
        matrix: [V, d], frozen. first, end: the rows from the first to the one before the end.
    """

    def __init__(self, matrix: nn.Parameter, first: int, end: int) -> None:
        super().__init__()
        self.first, self.end = first, end
        self._matrix = [matrix]  # not a parameter of this module

    def begun(self) -> Tensor:
        """A copy of the rows as the matrix has them, [end - first, d] in float32."""
        return self._matrix[0].detach()[self.first : self.end].float().clone()

    def values(self) -> Tensor:
        """The rows as they stand, [end - first, d], with their gradient."""
        raise NotImplementedError

    def written(self) -> Tensor:
        """`values`, put where they belong in the matrix; through `data`: autograd keeps nothing that holds other
        rows."""
        values = self.values()
        self._matrix[0].data[self.first : self.end].copy_(values.detach())
        return values


class FreeRows(Rows):
    """Rows that are a parameter."""

    def __init__(self, matrix: nn.Parameter, first: int, end: int) -> None:
        super().__init__(matrix, first, end)
        self.trained = nn.Parameter(self.begun())

    def values(self) -> Tensor:
        return self.trained


class ComposedRows(FreeRows):
    """Rows z_t + sum_u w_tu d_u: a parameter d of each new token, at first 0, which moves every row that it is part of.

    Args:
        parts: of each row, the rows that it is made of, itself among them, and the weight w of each (`composition`).
    """

    start: Tensor
    ids: Tensor
    offsets: Tensor
    shares: Tensor

    def __init__(self, matrix: nn.Parameter, first: int, end: int, parts: list[Parts]) -> None:
        super().__init__(matrix, first, end)
        assert len(parts) == end - first
        held = (self.begun(), *end_to_end(parts))
        for name, tensor in zip(("start", "ids", "offsets", "shares"), held, strict=True):
            self.register_buffer(name, tensor.to(matrix.device), persistent=False)
        self.trained.data.zero_()

    def values(self) -> Tensor:
        moved = F.embedding_bag(self.ids, self.trained, self.offsets, mode="sum", per_sample_weights=self.shares)
        return self.start + moved


def composition(halves: dict[int, tuple[int, int]], first: int, surfaces: list[bytes]) -> list[Parts]:
    """What each new token is made of: itself, and its halves' parts by half their weight.

    Halves that are no text by themselves, bytes of a character, are left out: what they are part of has little in
    common. A token that no merge makes is itself alone.

    Args:
        halves: as of `bailong.tokenizer.halves.halves`. first: the id of the first new token.
        surfaces: UTF-8 of each new token.
    """

    def is_text(i: int) -> bool:
        try:
            return bool(surfaces[i - first].decode("utf-8"))
        except UnicodeDecodeError:
            return False

    def parts(i: int) -> Counter[int]:
        found = Counter({i - first: 1.0})
        for half in halves.get(i, ()):
            if half >= first and is_text(half):
                found.update({part: weight / 2 for part, weight in parts(half).items()})
        return found

    return [sorted(parts(first + k).items()) for k in range(len(surfaces))]


class _Around(nn.Module):
    """What stands in the place of an end of the pair; its matrix is read as if it were that end."""

    def __init__(self, base_layer: Any) -> None:
        super().__init__()
        self.base_layer = base_layer

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight


class _WithRows(_Around):
    def __init__(self, base_layer: Any, rows: Rows) -> None:
        super().__init__(base_layer)
        self.rows = rows


class RowsEmbedding(_WithRows):
    """An embedding of which some rows are trained."""

    def forward(self, ids: Tensor) -> Tensor:
        values = self.rows.written()
        found = self.base_layer(ids)
        if not torch.is_grad_enabled():
            return found
        place = ids - self.rows.first
        inside = (place >= 0) & (ids < self.rows.end)
        picked = F.embedding(place.clamp(0, self.rows.end - self.rows.first - 1), values)
        return torch.where(inside[..., None], _scaled(self.base_layer, picked.to(found.dtype)), found)


class RowsHead(_WithRows):
    """A head of which some rows are trained."""

    def forward(self, states: Tensor) -> Tensor:
        weight, rows = self.base_layer.weight, self.rows
        values = rows.written().to(weight.dtype)
        if not torch.is_grad_enabled():
            return F.linear(states, weight)
        return F.linear(states, torch.cat([weight[: rows.first], values, weight[rows.end :]]))


class SharedEmbedding(_Around):
    """The embedding of a tied pair, with the adapter that its head has: E[id] + s B[id] A."""

    def __init__(self, base_layer: nn.Embedding, head: LoraLayer) -> None:
        super().__init__(base_layer)
        self._head = [head]  # whose parameters these are

    def forward(self, ids: Tensor) -> Tensor:
        found, head = self.base_layer(ids), self._head[0]
        if head.disable_adapters:
            return found
        (name,) = head.active_adapters
        a: Any = head.lora_A[name]
        b: Any = head.lora_B[name]
        low = F.embedding(ids, b.weight) @ a.weight * head.scaling[name]
        return found + _scaled(self.base_layer, low.to(found.dtype))


def _scaled(embedding: nn.Embedding, rows: Tensor) -> Tensor:
    """As the embedding itself gives them: Gemma's multiplies each row by a factor."""
    scale = getattr(embedding, "embed_scale", None)
    return rows if scale is None else rows * scale.to(rows.dtype)


def train_rows(model: Any, make: Callable[[nn.Parameter], Rows]) -> None:
    """Make rows of embedding and head parameters, in place: one set of a tied pair.

    Args:
        make: the rows of a matrix.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = make(embedding.weight)
    shared = rows if is_tied(model) else make(head.weight)
    model.set_input_embeddings(RowsEmbedding(embedding, rows))
    model.set_output_embeddings(RowsHead(head, shared))


def share_adapter(model: Any) -> None:
    """Let the embedding of a tied pair have the adapter of its head."""
    head = model.get_output_embeddings()
    assert is_tied(model) and hasattr(head, "lora_A")
    model.set_input_embeddings(SharedEmbedding(model.get_input_embeddings(), head))


def unwrap(model: Any, delta: Callable[[Any], Tensor]) -> None:
    """Give the plain pair back, with what was learned in its matrix: rows where they belong, a shared adapter once.

    Args:
        model: the base model, taken out of PEFT's, in float32.
        delta: what an adapter adds to a weight.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if isinstance(embedding, RowsEmbedding):
        embedding.rows.written()
        head.rows.written()
        model.set_output_embeddings(head.base_layer)
    elif isinstance(embedding, SharedEmbedding):
        embedding.weight.data += delta(head)
        model.set_output_embeddings(head.get_base_layer())
    else:
        return
    model.set_input_embeddings(embedding.base_layer)
