"""From a model with adapters to a plain one that computes the same: float32, plain layers, adapters added in.

Everything happens in place, a layer at a time, so a 7B model never stands in memory twice. The order matters: 4-bit
weights become numbers before anything is added to them (adding inside NF4 rounds again and costs 0.02 nats on a toy
model), and a tied pair with an adapter on each end becomes two matrices first (merged into one, each end would
get the change of both: PEFT warns and does it).
"""

from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from bailong.model import storage
from bailong.model.backbone import assert_unpacked, linear4bit
from bailong.model.rows import unwrap
from bailong.model.tie import ends, is_tied, untie


def to_float32(model: Any) -> None:
    """Make every number of the model, and all arithmetic with them, float32. Widening loses nothing.

    4-bit weights stay packed; their layers, and those that were dequantized once, compute in float32 from now on, which
    is what `merge` reproduces. The factor of Gemma's embedding is no parameter: a model that was loaded in bfloat16 has
    it rounded (59.75 for 59.87), and it is put back to what the same model has when it is loaded in float32.
    """
    four_bit = linear4bit(model)
    packed = {id(layer.weight) for layer in four_bit}
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) not in packed and parameter.is_floating_point():
                parameter.data = parameter.data.float()
    for layer in four_bit:
        layer.compute_dtype, layer.compute_type_is_set = torch.float32, True
        layer.weight.quant_state.dtype = torch.float32
    for layer in storage.dequantized(model):
        layer.compute_dtype = torch.float32
    embedding, _ = ends(model)
    if isinstance(exact := getattr(embedding, "scalar_embed_scale", None), float):
        embedding.embed_scale = torch.tensor(exact, dtype=torch.float32, device=embedding.weight.device)


def merge(model: Any) -> Any:
    """The plain model of transformers that computes what `model` computes, in float32; `model` is used up.

    A tied pair stays tied unless an end has an adapter of its own.

    Raises:
        ValueError: a merged weight is not finite.
    """
    assert_unpacked(model)
    to_float32(model)
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    unwrap(plain, delta)
    if is_tied(plain) and _pair_has_adapter(plain):
        untie(plain)
    tied = is_tied(plain)
    adapted = {name for name, module in plain.named_modules() if isinstance(module, LoraLayer)}
    packed = {id(layer) for layer in (*linear4bit(plain), *storage.dequantized(plain))}
    for name, module in list(plain.named_modules()):
        inside = any(name.startswith(f"{outer}.") for outer in adapted)
        if not inside and (name in adapted or id(module) in packed):
            plain.set_submodule(name, _plain_layer(name, module))
    _forget(plain)
    for name, parameter in plain.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(
                f"{name} holds numbers that are not finite after merging: the adapter or the base is damaged"
            )
    assert is_tied(plain) == tied == bool(plain.config.tie_word_embeddings)
    return plain.eval()


def cast(model: Any, dtype: torch.dtype) -> None:
    """Round every parameter of a plain model to `dtype`, in place.

    Raises:
        ValueError: a number is too large for it (float16 ends at 65,504).
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.data = parameter.data.to(dtype)
            if not parameter.isfinite().all():
                raise ValueError(f"dtype={str(dtype).removeprefix('torch.')} cannot hold {name}: take dtype=bfloat16")
    model.config.dtype = dtype


def delta(layer: LoraLayer) -> torch.Tensor:
    """What plain LoRA adds to a weight, in the weight's own orientation, float32: scaling * B A."""
    (name,) = layer.active_adapters
    assert name not in layer.lora_variant and not layer.merged, "only plain, unmerged LoRA is supported"
    if name in layer.lora_embedding_A:
        # PEFT's B is [d, r] and its A [r, V]: an embedding's weight is [V, d]
        return layer.scaling[name] * (layer.lora_embedding_B[name].float() @ layer.lora_embedding_A[name].float()).T
    a, b = layer.lora_A[name], layer.lora_B[name]
    assert isinstance(a, nn.Linear) and isinstance(b, nn.Linear) and b.bias is None
    return layer.scaling[name] * (b.weight.float() @ a.weight.float())


def _pair_has_adapter(model: Any) -> bool:
    return any(isinstance(end, LoraLayer) for end in (model.get_input_embeddings(), model.get_output_embeddings()))


@torch.no_grad()
def _plain_layer(name: str, module: Any) -> nn.Module:
    """The layer without quantization and adapter."""
    base = module.get_base_layer() if isinstance(module, LoraLayer) else module
    weight = _dequantized(base)
    if isinstance(module, LoraLayer):
        change = delta(module)
        assert change.shape == weight.shape, name
        # PEFT copies nothing: where the base weight is the model's own, adding in place would be seen by a tied end
        weight = weight + change
    if isinstance(base, nn.Embedding):  # the layer itself: Gemma's multiplies each row by a factor when it is read
        base.weight = nn.Parameter(weight)
        return base
    assert isinstance(base, nn.Linear), f"{name} is a {type(base).__name__}"
    with torch.device("meta"):
        layer = nn.Linear(base.in_features, base.out_features, bias=base.bias is not None)
    layer.weight = nn.Parameter(weight)
    layer.bias = base.bias
    return layer


def _dequantized(layer: Any) -> torch.Tensor:
    if getattr(layer.weight, "quant_state", None) is None:
        return layer.weight.detach()
    return storage.dequantize(layer.weight).float()


def _forget(model: Any) -> None:
    """Take away what PEFT and transformers' quantizer wrote on the model, so that it is saved as a plain one."""
    for name in ("peft_config", "hf_quantizer", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.is_quantized = model.is_loaded_in_4bit = False
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.config.dtype = torch.float32
