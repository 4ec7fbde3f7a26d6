"""A linear layer with LoRA as one operation of autograd.

PEFT writes y = W x + s·B A drop(x) as a chain: product, copy, cast, dropout, two small products, scaling, sum. Each
link reads and writes [tokens, width] numbers, and autograd keeps most of them. Here u = (s/(1-p))·A (m∘x) goes into
y = W x + B u as it is formed, what is kept for the backward pass is x, the mask m (a byte a number) and u (rank
numbers a token), and the gradient of x is summed in place:

    dB = gᵀ u     du = (s/(1-p))·g B     dA = duᵀ (m∘x)     dx = g W + m∘(du A)

The frozen W gets no gradient. Without dropout the numbers are those of PEFT up to the order of a sum
(tests/model/test_lora.py). Of a model in 4 bits W is dequantized where it is needed, as bitsandbytes does, or stands as
bailong.model.storage keeps it.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from bailong.model.dropout import Dropout, Masks
from bailong.model.storage import dequantize, in_training, is_four_bit

#: linear layers that read the same states, the one that is called first before the others
READERS = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}


def fuse(model: nn.Module, masks: Masks, shared: bool = False) -> None:
    """Let the LoRA layers of a model compute this way, with dropout from `masks`.

    They stay PEFT's layers, with the names of their parameters: merged or disabled ones, and whatever else PEFT can do
    with them, go PEFT's own way. The embedding's adapter has no dropout in PEFT and stays as it is.

    Args:
        shared: layers that read the same states (queries, keys and values; gate and up) share a mask.
    """
    adapted = {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}
    numbers = {name: number for number, name in enumerate(adapted)}
    for name, layer in adapted.items():
        parent, _, own = name.rpartition(".")
        number = numbers[f"{parent}.{READERS[own]}" if shared and own in READERS else name]
        for adapter, dropout in layer.lora_dropout.items():
            if isinstance(dropout, nn.Dropout):
                layer.lora_dropout[adapter] = Dropout(dropout.p, masks, number)
        if isinstance(layer.get_base_layer(), nn.Linear):
            layer.__class__ = _fused(type(layer))


@cache
def _fused(cls: type) -> type:
    """A class of PEFT's LoRA layers, with our forward pass before its own."""
    return type(f"Fused{cls.__name__}", (_Fused, cls), {"plain": cls})


def _again(cls: type, state: Any) -> Any:
    """A pickled layer: its class is made when it is needed, and has no name to be found by."""
    layer: Any = object.__new__(_fused(cls))
    layer.__setstate__(state)
    return layer


class _Fused:
    """What comes before PEFT's own forward pass. `plain`: PEFT's class."""

    plain: type

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _again, (self.plain, self.__dict__)

    def forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        name = None if args or kwargs or self.disable_adapters or self.merged else _only(self)
        if name is None:
            return super().forward(x, *args, **kwargs)  # type: ignore[misc]
        dropout = self.lora_dropout[name]
        keep, scale = (dropout.keep(x), dropout.scale) if isinstance(dropout, Dropout) else (None, 1.0)
        factor = self.scaling[name] * (1.0 if keep is None else scale)
        a, b = self.lora_A[name].weight, self.lora_B[name].weight
        # Views are taken out here: some models change what a layer gives in place, which a Function's view forbids
        flat, mask = _flat(x), None if keep is None else _flat(keep)
        y: Any = _LoraLinear.apply(flat, a, b, mask, self.get_base_layer(), factor)
        return y.view(*x.shape[:-1], y.shape[-1])


def _only(layer: Any) -> str | None:
    """The name of the one plain adapter that is active; None where another thing is."""
    active = [name for name in layer.active_adapters if name in layer.lora_A]
    plain = len(active) == 1 and active[0] not in layer.lora_variant and layer.lora_B[active[0]].bias is None
    return active[0] if plain else None


class _LoraLinear(torch.autograd.Function):
    """x [tokens, in], a [rank, in], b [out, rank], mask as x or None -> [tokens, out]; the module has the equations.

    The types are those of PEFT and bitsandbytes, with autocast and without.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, mask: Tensor | None, base: Any, factor: float) -> Tensor:
        device = x.device.type
        cast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        four_bit = hasattr(base, "compute_dtype")  # in 4 bits, or dequantized once
        product = (base.compute_dtype or x.dtype) if four_bit else cast or x.dtype
        fp8 = in_training(base)
        inner = cast or a.dtype
        with torch.autocast(device, enabled=False):
            bias = None if base.bias is None else base.bias.to(product)
            if fp8 is None:
                y = F.linear(x.to(product), _dense(base, product), bias)
            else:
                y = fp8.product(x.to(product))
                y = y if bias is None else y.add_(bias)
            u = F.linear(_masked(x.to(inner), mask), a.to(inner)).mul_(factor)
            y = _plus_product(y, u, b.to(inner).T)
        ctx.save_for_backward(x, a, b, mask, u)
        ctx.base, ctx.factor, ctx.product, ctx.fp8 = base, factor, product, fp8
        return y.to(x.dtype if four_bit else product)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, a, b, mask, u = ctx.saved_tensors
        g, inner = grad_outputs[0], u.dtype
        low = g.to(inner)
        db = (low.T @ u).to(b.dtype)
        du = (low @ b.to(inner)).mul_(ctx.factor)
        da = (du.T @ _masked(x.to(inner), mask)).to(a.dtype)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = du @ a.to(inner)
            if mask is not None:
                dx.mul_(mask)
            if ctx.fp8 is None:
                dx = _plus_product(dx, g.to(ctx.product), _dense(ctx.base, ctx.product, again=True)).to(x.dtype)
            else:
                dx = (dx + ctx.fp8.product_back(g.to(ctx.product))).to(x.dtype)
        return dx, da, db, None, None, None


def _dense(base: Any, dtype: torch.dtype, again: bool = False) -> Tensor:
    """[out, in], the frozen weight; `again` in a backward pass."""
    return (dequantize(base.weight, again) if is_four_bit(base) else base.weight).to(dtype)


def _flat(x: Tensor) -> Tensor:
    """[..., width] -> [places, width]"""
    return x.reshape(-1, x.shape[-1])


def _masked(x: Tensor, mask: Tensor | None) -> Tensor:
    return x if mask is None else x * mask


def _plus_product(total: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """total + one @ other, in place where all are of one type."""
    if total.dtype == one.dtype == other.dtype:
        return torch.addmm(total, one, other, out=total)  # counted as a product, which addmm_ is not
    return (total + one @ other).to(total.dtype)  # in the wider type, and rounded once
