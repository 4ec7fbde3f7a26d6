"""The LM head and its loss, without ever holding [tokens, vocabulary] logits.

A LoRA head computes h Wᵀ + s·drop(h) Aᵀ Bᵀ. With u = s·drop(h) Aᵀ that is one product of doubled blocks,
[h | u]·[W | B]ᵀ, so the cross-entropy can be taken a few rows at a time: logits of a chunk, softmax in place,
gradients at once, buffer reused. A frozen W needs only dh = g W, du = g B and dB = gᵀ u (rank r); the
[vocabulary, hidden] gradient of the usual fused losses is formed only where W itself is trained.
The loss is the same number as the full logits give, dropout included: u is computed by ordinary autograd
outside the Function.

Liger, cut-cross-entropy and TRL read the head's base weight alone and refuse or ignore its adapter; torch's own
`F.linear_cross_entropy` (2.13) always forms dW and returns a bf16 loss under bf16. Hence this file.

Some architectures do more to their logits than this product (bailong.model.architecture.Logits). A scale s goes into
the product: z = s·[h | u]·[W | B]ᵀ, and into each gradient once. A cap c makes c·tanh(z / c) of it, whose derivative
1 - tanh² is kept for the chunk: a second buffer, only where there is a cap.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from bailong.model.architecture import PLAIN, Logits, logits_of
from bailong.model.rows import RowsHead

IGNORE = -100


class HeadLoss(NamedTuple):
    """The loss of the kept targets.

    total: summed negative log-likelihood in nats, a float32 scalar that carries the gradient (float64 for
        float64 hidden states). A sum, because accumulation divides by the target tokens of the whole step.
    nll: nats of each target, in the shape of the targets, detached; 0 where the target is ignored. Callers
        split the loss by token kind with it.
    """

    total: Tensor
    nll: Tensor


def fused_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    lora_a: Tensor | None = None,
    lora_b: Tensor | None = None,
    scaling: float = 1.0,
    dropout: Callable[[Tensor], Tensor] | None = None,
    rows: Tensor | None = None,
    first: int = 0,
    logits: Logits = PLAIN,
    chunk: int = 1024,
    kept: Tensor | None = None,
) -> HeadLoss:
    """Cross-entropy of a (LoRA) head, `chunk` rows of logits at a time.

    The products run in the autocast dtype where autocast is on, else in the dtype of `hidden`; softmax,
    loss and the sums over chunks of dB and dW are float32 always. With gradients off only the forward runs.

    Args:
        hidden: [..., d] last hidden states; `hidden[i]` predicts `targets[i]` (no shift happens here).
        weight: [V, d]; gets a gradient only if it requires one.
        targets: [...] token ids, `IGNORE` (-100) where there is none; such rows are dropped before any product.
        lora_a, lora_b: [r, d] and [V, r], both or neither; they may be float32 masters beside bf16 states.
        scaling: alpha / r.
        dropout: the adapter's dropout module. It sees all of `hidden`, ignored rows too, so it draws the
            numbers that the unfused layer draws.
        rows, first: [k, d], rows of `weight` from `first` on that are parameters of their own (bailong.model.rows);
            `weight` holds the same numbers, and they get the gradient.
        logits: what the architecture does to the product.
        chunk: rows of logits held at once, the memory knob: about chunk x V x 4 bytes (6 in bf16; 4 more with a cap).
        kept: places in the flat `targets` that are not ignored, where the caller knows them; to count them here means
            to wait for the device.
    """
    assert (lora_a is None) == (lora_b is None), "a LoRA head has both matrices or neither"
    assert hidden.shape[:-1] == targets.shape, f"{tuple(hidden.shape)} does not fit {tuple(targets.shape)}"
    assert weight.is_floating_point(), "the head must not be quantized"
    assert chunk > 0
    device = hidden.device.type
    compute = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype

    if kept is None:
        kept = (targets != IGNORE).reshape(-1).nonzero().squeeze(1)
    states, labels = _select(hidden, kept), targets.reshape(-1)[kept]
    u = None
    if lora_a is not None and lora_b is not None:
        dropped = dropout(hidden) if dropout is not None else hidden
        # Without autocast the master weights keep their precision, as in PEFT; with it F.linear casts by itself.
        u = F.linear(_select(dropped, kept).to(lora_a.dtype), lora_a) * scaling

    gradient = torch.is_grad_enabled()  # inside the Function it is off, and needs_input_grad ignores no_grad
    where = None if rows is None else slice(first, first + len(rows))
    total, nll = _ChunkedCrossEntropy.apply(
        states, u, weight, lora_b, rows, where, labels, logits, chunk, compute, gradient
    )
    scattered = torch.zeros(targets.numel(), dtype=nll.dtype, device=nll.device)
    return HeadLoss(total, scattered.index_copy_(0, kept, nll).view(targets.shape))


def _select(states: Tensor, kept: Tensor) -> Tensor:
    """[..., d] -> [kept, d], without a copy where everything is kept."""
    flat = states.reshape(-1, states.shape[-1])
    return flat if len(kept) == len(flat) else flat[kept]


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of cross-entropies of [h | u]·[W | B]ᵀ, with the gradients formed in the forward pass.

    The backward pass only scales them, so it needs no autocast state (custom_fwd) and runs once: the buffers
    are handed over, not copied.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        u: Tensor | None,
        weight: Tensor,
        b: Tensor | None,
        rows: Tensor | None,
        where: slice | None,
        labels: Tensor,
        made: Logits,
        chunk: int,
        compute: torch.dtype,
        gradient: bool,
    ) -> tuple[Tensor, Tensor]:
        need_h, need_u, need_w, need_b, need_r = (gradient and need for need in ctx.needs_input_grad[:5])
        exact = torch.float64 if compute == torch.float64 else torch.float32
        tokens, vocabulary = len(h), len(weight)
        chunk = min(chunk, max(tokens, 1))
        w = weight.to(compute)
        low_b = b.to(compute) if b is not None else None
        scale = made.scale

        logits = torch.empty(chunk, vocabulary, dtype=exact, device=h.device)
        low = logits if compute == exact else torch.empty_like(logits, dtype=compute)
        slopes = torch.empty_like(logits) if gradient and made.cap is not None else None
        nll = torch.empty(tokens, dtype=exact, device=h.device)
        dh = torch.empty_like(h) if need_h else None
        du = torch.empty_like(u) if need_u and u is not None else None
        dw = torch.zeros_like(weight, dtype=exact) if need_w else None
        db = torch.zeros_like(b, dtype=exact) if need_b and b is not None else None
        dr = torch.zeros_like(rows, dtype=exact) if need_r and rows is not None else None

        with torch.autocast(h.device.type, enabled=False):
            for start in range(0, tokens, chunk):
                part = slice(start, min(start + chunk, tokens))
                size = part.stop - part.start
                z, g = logits[:size], low[:size]
                hc, labels_c = h[part].to(compute), labels[part].unsqueeze(1)
                uc = u[part].to(compute) if u is not None else None

                torch.addmm(g, hc, w.T, beta=0, alpha=scale, out=g)  # beta=0: what stands in g is not read
                if uc is not None and low_b is not None:
                    torch.addmm(g, uc, low_b.T, alpha=scale, out=g)
                if g is not z:
                    z.copy_(g)
                slope = None if slopes is None else slopes[:size]
                if made.cap is not None:
                    _cap(z, made.cap, slope)

                # log-sum-exp and softmax share one in-place exponential
                peak = z.amax(dim=1, keepdim=True)
                wanted = z.gather(1, labels_c)
                total = z.sub_(peak).exp_().sum(dim=1, keepdim=True)
                nll[part] = (total.log() + peak - wanted).squeeze(1)
                if not gradient:
                    continue

                z.div_(total)
                z.scatter_add_(1, labels_c, torch.full_like(total, -1.0))  # d loss / d logits = softmax - one-hot
                if slope is not None:
                    z.mul_(slope)
                if g is not z:
                    g.copy_(z)
                if dh is not None:
                    dh[part] = g @ w
                if du is not None and low_b is not None:
                    du[part] = g @ low_b
                if dw is not None:
                    _accumulate(dw, g, hc)
                if db is not None and uc is not None:
                    _accumulate(db, g, uc)
                if dr is not None:
                    _accumulate(dr, g[:, where], hc)

        _scale(scale, dh, du, dw, db, dr)  # these are smaller than the logits: cheaper here than a pass over those
        ctx.gradients = (dh, du, _cast(dw, weight), _cast(db, b), _cast(dr, rows))
        ctx.mark_non_differentiable(nll)
        return nll.sum(), nll

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert ctx.gradients is not None, "the fused head's backward runs once; retain_graph is not supported"
        gradients, ctx.gradients = ctx.gradients, None
        d_total = grad_outputs[0]
        return *(g.mul_(d_total) if g is not None else None for g in gradients), *[None] * 6


def _cast(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    return gradient if gradient is None or like is None else gradient.to(like.dtype)


def _cap(z: Tensor, cap: float, slope: Tensor | None) -> None:
    """z = cap · tanh(z / cap) in place; its derivative goes into `slope`."""
    z.div_(cap).tanh_()
    if slope is not None:
        torch.mul(z, z, out=slope)
        slope.neg_().add_(1.0)
    z.mul_(cap)


def _scale(scale: float, *gradients: Tensor | None) -> None:
    for gradient in gradients:
        if gradient is not None and scale != 1.0:
            gradient.mul_(scale)


def _accumulate(total: Tensor, g: Tensor, x: Tensor) -> None:
    """total += gᵀ x, in the precision of `total`."""
    if g.dtype == total.dtype:
        torch.addmm(total, g.T, x, out=total)
    else:
        total += g.T @ x


def model_loss(model: Any, hidden: Tensor, targets: Tensor, chunk: int = 1024, kept: Tensor | None = None) -> HeadLoss:
    """The loss that the logits of `model` would give, from the last states of its decoder.

    Args:
        model: a causal language model of transformers, with adapters or without. kept: as of `fused_cross_entropy`.
    """
    return head_loss(model.get_output_embeddings(), hidden, targets, chunk, logits_of(model.config), kept)


def head_loss(
    head: nn.Module,
    hidden: Tensor,
    targets: Tensor,
    chunk: int = 1024,
    logits: Logits = PLAIN,
    kept: Tensor | None = None,
) -> HeadLoss:
    """`fused_cross_entropy` of a head: a plain `nn.Linear`, one that PEFT wrapped with LoRA, or one with trained rows.

    A merged or disabled adapter counts as PEFT counts it: the base weight alone speaks. Dropout follows
    the mode (train or eval) of the head's own dropout module.
    """
    if isinstance(head, RowsHead):
        own: dict[str, Any] = {"rows": head.rows.written(), "first": head.rows.first}
        return fused_cross_entropy(
            hidden, head.base_layer.weight, targets, logits=logits, chunk=chunk, kept=kept, **own
        )
    base = head.get_base_layer() if isinstance(head, LoraLayer) else head
    assert isinstance(base, nn.Linear) and base.bias is None, "the head must be a linear layer without bias"
    if not isinstance(head, LoraLayer) or head.disable_adapters or head.merged:
        return fused_cross_entropy(hidden, base.weight, targets, logits=logits, chunk=chunk, kept=kept)
    active = [name for name in head.active_adapters if name in head.lora_A]
    assert len(active) == 1, f"one active adapter on the head is supported, not {active}"
    (name,) = active
    assert name not in head.lora_variant, "only plain LoRA is supported on the head (no DoRA or other variant)"
    a, b = head.lora_A[name], head.lora_B[name]
    assert isinstance(a, nn.Linear) and isinstance(b, nn.Linear) and b.bias is None
    return fused_cross_entropy(
        hidden,
        base.weight,
        targets,
        lora_a=a.weight,
        lora_b=b.weight,
        scaling=head.scaling[name],
        dropout=head.lora_dropout[name],
        logits=logits,
        chunk=chunk,
        kept=kept,
    )
