"""The base model: loaded in NF4 or plain, made from scratch, counted and guarded."""

import warnings
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from bailong.model.architecture import attention, require_known
from bailong.model.rows import Rows
from bailong.model.settings import Model
from bailong.model.storage import dequantized
from bailong.model.tie import is_tied, untie
from bailong.run import hub

#: what transformers raises for a configuration that it does not take
UNREADABLE = (OSError, ValueError, LookupError, TypeError, StrictDataclassError)
warnings.filterwarnings("ignore", message="Paged optimizers are not supported on CPU")


def load(settings: Model, device: torch.device, compute_dtype: torch.dtype) -> Any:
    """A causal language model as it is on disk, its embedding and head not quantized, in evaluation mode.

    Args:
        device: where the weights go; NF4 is quantized on the way there.
        compute_dtype: what NF4 weights are dequantized to in a forward pass.

    Raises:
        ValueError: not a checkpoint, not of an architecture in bailong.model.architecture, or one whose weights and
            configuration do not describe the same model.
    """
    path = str(settings.path)
    local = Path(path).exists()
    quantization = None
    if settings.quantization == "nf4":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=settings.double_quantization,
            bnb_4bit_compute_dtype=compute_dtype,
        )
    config = configuration(settings)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            dtype=getattr(torch, settings.dtype),
            quantization_config=quantization,
            attn_implementation=attention(config, settings.attention),
            device_map={"": device},
            local_files_only=local,
        )
    except (OSError, ValueError) as error:
        raise _unreadable(settings, error) from error
    model, found = loaded
    _require_same_model(settings, model, found)
    if not is_tied(model):
        untie(model)  # its config may say that it is tied; transformers goes by the two matrices that are there
    protect(model)
    return model


def _require_same_model(settings: Model, model: Any, found: dict[str, Any]) -> None:
    """Refuse weights that the loaded model has not, or has and they do not: transformers draws or drops them.

    What stands beside the model (the head of a reward model) may be dropped, for it says nothing about its logits.

    Args:
        found: the loading information of transformers.
    """
    mismatched = {key if isinstance(key, str) else key[0] for key in found["mismatched_keys"]}
    for name, layer in model.named_modules():  # transformers looks at no shape of what it quantizes
        state = getattr(getattr(layer, "weight", None), "quant_state", None)
        if state is not None and tuple(state.shape) != (layer.out_features, layer.in_features):
            mismatched.add(f"{name}.weight")
    ends = {id(model.base_model), id(model.get_output_embeddings())}
    own = tuple(f"{name}." for name, module in model.named_children() if id(module) in ends)
    for keys, what in (
        (found["missing_keys"], "it lacks"),
        (mismatched, "of another shape are"),
        ({key for key in found["unexpected_keys"] if key.startswith(own)}, "without a place in that model are"),
    ):
        if keys:
            raise ValueError(
                f"model.path={settings.path} is not accepted: its weights are not those of the {type(model).__name__} "
                f"that its config.json describes: {what} {', '.join(sorted(keys)[:3])} ({len(keys):,} in all), "
                "and its logits would not be those of the model that was trained"
            )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise ValueError(
            f"model.path={settings.path} is not accepted: it holds an adapter beside the model (adapter_config.json), "
            "which would be trained on as if it were the model; accepted: the model alone, or merged with its adapter"
        )


def outline(settings: Model) -> Any:
    """The checkpoint's model without weights (on the meta device): which layers it has, at no cost.

    Raises:
        ValueError: as `configuration`.
    """
    config = configuration(settings)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def configuration(settings: Model) -> Any:
    """The checkpoint's configuration.

    Raises:
        ValueError: there is none, or it is of an architecture that is not read rightly here.
    """
    try:
        with hub.asked():
            config = AutoConfig.from_pretrained(str(settings.path), local_files_only=Path(str(settings.path)).exists())
    except UNREADABLE as error:
        raise _unreadable(settings, error) from error
    require_known(settings.path, config.to_dict())
    return config


def _unreadable(settings: Model, error: Exception) -> ValueError:
    return ValueError(f"model.path={settings.path} cannot be loaded: {reason(error)}")


def reason(error: Exception) -> str:
    """The line of a message that says what is wrong: the first, and what stands behind its colon on the next."""
    first, *more = str(error).splitlines() or [type(error).__name__]
    return f"{first} {more[0].strip()}" if first.endswith(":") and more else first


def scratch(settings: Model, tokenizer: Any, seed: int) -> Any:
    """A Llama with random weights (N(0, initializer_range²), as transformers draws them), in float32."""
    shape = settings.shape
    assert shape is not None
    facts: dict[str, Any] = dict(  # noqa: C408 (reads like the call it becomes)
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=shape.context,
        rms_norm_eps=shape.norm_eps,
        rope_theta=shape.rope_theta,
        initializer_range=shape.initializer_range,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=shape.tied,
        attn_implementation=settings.attention,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # transformers draws from the global generator and takes no other
        return LlamaForCausalLM(LlamaConfig(**facts))


def linear4bit(model: nn.Module) -> list[Any]:
    """Every bitsandbytes 4-bit layer of the model."""
    try:
        from bitsandbytes.nn.modules import Linear4bit
    except ImportError:
        return []
    return [module for module in model.modules() if isinstance(module, Linear4bit)]


def protect(model: nn.Module) -> None:
    """Keep bitsandbytes from re-packing 4-bit weights on CPUs with AVX512-BF16.

    There an evaluation-mode forward rewrites the weights in place for a faster kernel that has no gradient:
    training after an evaluation then silently loses the gradient through every frozen layer, and merging
    gives garbage (measured with bitsandbytes 0.50.2).
    """
    for layer in linear4bit(model):
        layer.support_avx512bf16_for_cpu = False


def assert_unpacked(model: nn.Module) -> None:
    """No 4-bit layer was re-packed behind our back; call it before training, merging and saving."""
    for layer in linear4bit(model):
        state = getattr(layer.weight, "quant_state", None)
        assert not getattr(state, "packing_format_for_cpu", False), (
            "bitsandbytes re-packed a 4-bit weight: see protect()"
        )


def count(model: nn.Module) -> dict[str, int]:
    """Parameters by the two ways of counting, a tied matrix once.

    Returns:
        `true`: every weight. `packed`: weights in NF4 two per byte, however they are kept (bailong.model.storage), as
        the scripts of 2023 counted them, which is how the paper's 4.6 % comes out. `trainable`: those with a gradient.
    """
    four_bit = {id(layer.weight) for layer in linear4bit(model)}
    once_four_bit = {id(layer.weight) for layer in dequantized(model)}
    copies = {id(module.trained) for module in model.modules() if isinstance(module, Rows)}
    totals = {"true": 0, "packed": 0, "trainable": 0}
    for parameter in {p.data_ptr(): p for p in model.parameters()}.values():
        totals["trainable"] += parameter.numel() if parameter.requires_grad else 0
        if id(parameter) not in copies:
            totals["packed"] += parameter.numel() // (2 if id(parameter) in once_four_bit else 1)
            totals["true"] += parameter.numel() * (2 if id(parameter) in four_bit else 1)
    return totals
