"""How the frozen weights of a model in NF4 stand in memory while it is trained (`model.storage`).

`nf4` is what the model was loaded as: each product dequantizes its weight. `bf16` dequantizes once. `fp8` keeps NF4 and
lays two copies in 8 bits beside it, from which the frozen products of training are taken; evaluation stays exact.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.functional import ScalingType

E4M3 = torch.float8_e4m3fn
PROBES = 64  # rows that a layer's products are tried with
#: widths that torch's kernel multiplies, and what compute capability it needs
MULTIPLE, CAPABILITY = 16, (8, 9)


class Dequantized(nn.Linear):
    """A 4-bit layer as the plain numbers that it stands for: its products, of its types, to the bit.

    `compute_dtype` is that of bitsandbytes: what a product is formed in, whatever the type of its input.
    """

    compute_dtype: torch.dtype | None

    def forward(self, x: Tensor) -> Tensor:
        dtype = self.compute_dtype or x.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return F.linear(x.to(dtype), self.weight.to(dtype), bias).to(x.dtype)


class Fp8:
    """A frozen weight in 8 bits, laid out for y = x Wᵀ and for dx = g W.

    Numbers are e4m3 throughout. Each row of x and g, each output feature of W in the first product and each input
    feature in the second, is scaled so that its largest number is 448. Within one row e4m3 reaches 2⁻¹⁸ of that, so the
    range that e5m2 adds for gradients is of no use, and it rounds twice as coarsely (tests/model/test_storage.py). Sums
    are float32, rounded to bfloat16.

    Plain attributes, and no buffers: DDP would send them around, and what they are follows from the weight.

    Args:
        weight: [out, in], of any type.
    """

    def __init__(self, weight: Tensor) -> None:
        self.forth, self.back = rounded(weight), rounded(weight.T)

    def product(self, x: Tensor) -> Tensor:
        """x Wᵀ: [places, in] -> [places, out]"""
        return _product(rounded(x), self.forth).to(x.dtype)

    def product_back(self, g: Tensor) -> Tensor:
        """g W: [places, out] -> [places, in]"""
        return _product(rounded(g), self.back).to(g.dtype)


def rounded(rows: Tensor, dtype: torch.dtype = E4M3) -> tuple[Tensor, Tensor]:
    """[n, k] -> [n, k] in 8 bits, and [n, 1] float32 by which its rows are to be multiplied."""
    largest = rows.abs().amax(1, keepdim=True).float()
    scale = (largest / torch.finfo(dtype).max).clamp(min=torch.finfo(torch.float32).tiny)  # a row may be all 0
    return (rows / scale).to(dtype).contiguous(), scale


def _product(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """[n, k] and [m, k] -> [n, m] bfloat16. Only CUDA has kernels for every such shape; elsewhere the same numbers are
    multiplied in float32."""
    if one[0].is_cuda:
        return kernel(one, other)
    return ((one[0].float() @ other[0].float().T) * one[1] * other[1].T).bfloat16()


def kernel(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """`_product` by torch's kernel, which wants the second matrix with its columns one behind the other."""
    (a, scale_a), (b, scale_b) = one, other
    rows = ScalingType.RowWise
    return F.scaled_mm(a, b.T, scale_a, rows, scale_b.T, rows, output_dtype=torch.bfloat16)


def in_training(base: Any) -> Fp8 | None:
    """The copies in 8 bits from which the products of a layer are taken now; None where they are exact."""
    return getattr(base, "fp8", None) if base.training else None


def dequantize(weight: Any, again: bool = False) -> Tensor:
    """[out, in], the numbers that a 4-bit weight stands for, of the type that the model was loaded in.

    Args:
        again: in a backward pass. Of two equal calls a compiler makes one, and keeps its dense result from the forward
            pass to that.
    """
    from bitsandbytes.functional import dequantize_4bit

    return dequantize_4bit(weight.view(-1) if again else weight, weight.quant_state)


def is_four_bit(layer: Any) -> bool:
    """Whether it is a layer of bitsandbytes in 4 bits."""
    own = layer._parameters.get("weight")  # a LoRA layer shows the weight of the layer inside it
    return getattr(own, "quant_state", None) is not None


def keep(model: nn.Module, storage: str) -> None:
    """Let the 4-bit layers of a model stand as `storage` says: `nf4`, `bf16` or `fp8`, a layer at a time.

    Called when adapters are in: what PEFT draws for a layer in bfloat16 it rounds, and the same seed has to give the
    same adapters. Their names do not change.

    Raises:
        ValueError: bf16, and a layer without an adapter would have other products; fp8, and the device or a width has
            no kernel.
    """
    from peft.tuners.lora import Linear, LoraLayer  # those who only read a model need not wait for it

    adapted: list[Any] = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
    if storage == "bf16":
        inside = {id(layer.get_base_layer()) for layer in adapted}
        for name, layer in list(model.named_modules()):
            if is_four_bit(layer):
                if id(layer) not in inside:
                    _require_same_products(layer)
                model.set_submodule(name, _dequantized(layer))
        for layer in adapted:
            if isinstance(layer.get_base_layer(), Dequantized):  # PEFT's class for plain layers
                layer.__class__, layer.is_target_conv_1d_layer = Linear, False
    elif storage == "fp8":
        for layer in filter(is_four_bit, [layer.get_base_layer() for layer in adapted]):
            _require_kernel(layer)
            layer.fp8 = Fp8(dequantize(layer.weight))


def dequantized(model: nn.Module) -> list[Dequantized]:
    """Every layer of the model that was dequantized once."""
    return [module for module in model.modules() if isinstance(module, Dequantized)]


def in_fp8(model: nn.Module) -> list[Any]:
    """Every layer of the model that has copies in 8 bits."""
    return [module for module in model.modules() if getattr(module, "fp8", None) is not None]


@torch.no_grad()
def product_difference(layer: Any) -> float:
    """How far the products of a layer in fp8, of normal numbers, are from the exact ones, forward or backward: the norm
    of the difference in that of the product, the larger of the two."""
    weight = dequantize(layer.weight).float()
    found = []
    for product, exact in ((layer.fp8.product, weight.T), (layer.fp8.product_back, weight)):
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(PROBES, len(exact), generator=generator).to(weight.device)
        wanted = rows @ exact
        found.append(float((product(rows) - wanted).norm() / wanted.norm()))
    return max(found)


def _dequantized(layer: Any) -> Dequantized:
    with torch.device("meta"):
        plain = Dequantized(layer.in_features, layer.out_features, bias=layer.bias is not None)
    plain.weight = nn.Parameter(dequantize(layer.weight), requires_grad=False)
    plain.bias, plain.compute_dtype = layer.bias, layer.compute_dtype
    return plain.train(layer.training)


def _require_same_products(layer: Any) -> None:
    """bitsandbytes itself dequantizes to what a product is formed in, and not to what the model was loaded in."""
    if layer.compute_dtype != torch.bfloat16:
        raise ValueError(
            "model.storage=bf16 is not accepted for linear layers without an adapter in trainer.precision=32-true: "
            "their weights are multiplied in float32 there, and in bfloat16 they are others; accepted: adapter=all or "
            "linears, trainer.precision=bf16-mixed, or model.storage=nf4"
        )


def _require_kernel(layer: Any) -> None:
    device = layer.weight.device
    if device.type == "cuda" and (found := torch.cuda.get_device_capability(device)) < CAPABILITY:
        raise ValueError(
            f"model.storage=fp8 is not accepted on {torch.cuda.get_device_name(device)}, of compute capability "
            f"{'.'.join(map(str, found))}: products in 8 bits need {'.'.join(map(str, CAPABILITY))}; accepted: "
            "model.storage=nf4, or bf16"
        )
    if layer.in_features % MULTIPLE or layer.out_features % MULTIPLE:
        raise ValueError(
            f"model.storage=fp8 is not accepted for this model: a layer of it is {layer.out_features} x "
            f"{layer.in_features}, and products in 8 bits need multiples of {MULTIPLE}; accepted: model.storage=nf4, "
            "or bf16"
        )
