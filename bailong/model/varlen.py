"""Attention that stays within each of the sequences that share a row, without a mask.

From positions that begin anew transformers makes a block-diagonal mask of [rows, 1, length, length]: no flash kernel
takes one, and every pair of a row is computed before it is masked. Here the boundaries of the sequences, which the host
knows, go to the attention itself. On CUDA that is one call of torch's kernel for sequences of any lengths
(`torch.nn.attention.varlen`), which has been called on no GPU yet: the tests hold its arguments against a stand-in that
does what torch's documentation says, on a CPU. Elsewhere each sequence goes through transformers' causal attention.

An architecture whose attention is more than causal, in full or in a window, keeps the mask (`masked`).
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.backends.cuda import SDPAParams, can_use_flash_attention
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from bailong.model import adapters
from bailong.model.architecture import attention
from bailong.model.device import to_device

#: names of the ways with transformers, which makes no mask for an attention that has none registered
VARLEN, APART, CAUSAL = "bailong_varlen", "bailong_apart", "bailong_causal"


@contextmanager
def within_sequences(
    model: Any, positions: np.ndarray | None, device: torch.device, precision: str
) -> Iterator[dict[str, Any]]:
    """What the decoder is called with beside its inputs, so that attention stays within each sequence.

    The backward pass belongs inside too: a layer that is computed again (gradient checkpointing) asks anew how.

    Args:
        positions: of a `bailong.data.batches.MicroBatch`: each sequence, and padding as one, begins at 0. None: one
            sequence a row, which needs nothing but that on a GPU nobody looks whether positions begin anew: the answer
            would be waited for.
        precision: as `bailong.model.score.autocast` takes it.
    """
    config = adapters.decoder(model).config
    if positions is None:
        bare = device.type == "cuda" and not masked(config) and getattr(config, "sliding_window", None) is None
        with _attending(config, CAUSAL if bare else config._attn_implementation):
            yield {}
        return
    places = to_device(positions, device)
    if masked(config):
        yield {"position_ids": places}
        return
    kernel = _has_kernel(config, device, precision)
    # The names are those of transformers, which hands them down to the attention of each layer. Where Python reads the
    # boundaries they stay on the host: reading them from a GPU would make it wait in every layer.
    ends = to_device(boundaries(positions), device if kernel else torch.device("cpu"))
    with _attending(config, VARLEN if kernel else APART):
        yield {"position_ids": places, "cu_seq_lens_q": ends, "max_length_q": positions.shape[1]}


@contextmanager
def _attending(config: Any, way: str) -> Iterator[None]:
    before, config._attn_implementation = config._attn_implementation, way
    try:
        yield
    finally:
        config._attn_implementation = before


def boundaries(positions: np.ndarray) -> np.ndarray:
    """[sequences + 1] int32: where each sequence begins in the rows laid end to end, and where the last one ends."""
    return np.append(np.flatnonzero(positions == 0), positions.size).astype(np.int32)


def masked(config: Any) -> bool:
    """Whether its attention needs a mask: eager (by choice, or for caps), with dropout, or in a pattern of its own."""
    kinds = set(getattr(config, "layer_types", None) or ())
    # SmolLM3 tells a layer of no window where this is off, and makes a mask with one where layer_types name one
    unsaid = "sliding_attention" in kinds and not getattr(config, "use_sliding_window", True)
    plain = config._attn_implementation == attention(config, "sdpa") == "sdpa"
    dropped = bool(getattr(config, "attention_dropout", 0.0))
    return not plain or dropped or unsaid or not kinds <= {"full_attention", "sliding_attention"}


def _has_kernel(config: Any, device: torch.device, precision: str) -> bool:
    """Whether torch's kernel takes the heads of this model on this device; torch itself knows what its flash takes.

    Only where everything is bfloat16 (mixed precision). torch 2.11 and 2.12 may lack an argument that is needed.
    """
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if device.type != "cuda" or precision != "bf16-mixed" or size % 8:
        return False
    return _takes(device, config.num_attention_heads, config.num_key_value_heads, size)


@cache  # asked at every micro-batch
def _takes(device: torch.device, queries: int, keys: int, size: int) -> bool:
    if not {"scale", "window_size", "enable_gqa"} <= inspect.signature(varlen_attn).parameters.keys():
        return False
    query, key = (
        torch.empty(1, heads, 8, size, dtype=torch.bfloat16, device=device, requires_grad=True)
        for heads in (queries, keys)
    )
    return can_use_flash_attention(SDPAParams(query, key, key, None, 0.0, True, query.shape[1] != key.shape[1]))


def _varlen(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    max_length_q: int,
    sliding_window: int | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """All sequences in one call of the kernel; torch.compile traces it.

    Args:
        query, key, value: [rows, heads, length, width], fewer heads of the last two where queries share them.
        sliding_window: tokens that one sees, itself included. rest: what transformers tells every attention.

    Returns:
        [rows, length, heads, width].
    """
    kind = query.device.type
    # Norms of queries and keys leave them in float32, and autocast does not know this kernel
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype
    q, k, v = (x.transpose(1, 2).flatten(0, 1).to(dtype) for x in (query, key, value))
    left = -1 if sliding_window is None else sliding_window - 1
    found = varlen_attn(
        q,
        k,
        v,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(left, 0),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(found, torch.Tensor)  # it gives more where more is asked for
    return found.unflatten(0, (len(query), -1)), None


@torch.compiler.disable(reason="a loop over lengths would be traced anew for every micro-batch")
def _apart(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    scaling: float,
    cu_seq_lens_q: torch.Tensor,
    sliding_window: int | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """As `_varlen`, one sequence after another; boundaries on the host. A sequence beyond its window has a mask."""
    lengths = [b - a for a, b in pairwise(cu_seq_lens_q.tolist())]
    parts = (x.transpose(1, 2).flatten(0, 1).split(lengths) for x in (query, key, value))
    found = []
    for one in zip(*parts, strict=True):
        q, k, v = (x.transpose(0, 1)[None] for x in one)
        band = None
        if sliding_window is not None and sliding_window < q.shape[2]:
            band = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril().triu(1 - sliding_window)
            band = band[None, None]
        found.append(sdpa_attention_forward(module, q, k, v, band, scaling=scaling)[0])
    return torch.cat(found, dim=1).view(len(query), query.shape[2], *found[0].shape[2:]), None


AttentionInterface.register(VARLEN, _varlen)
AttentionInterface.register(APART, _apart)
AttentionInterface.register(CAUSAL, sdpa_attention_forward)  # of which transformers knows that it needs no mask
