"""LoRA where the paper puts it: every linear layer, the embedding and the head, each with its own adapter."""

import warnings
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn

from bailong.model.settings import Adapter
from bailong.model.tie import is_tied

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PAIR = ("embed_tokens", "lm_head")


def add(model: Any, settings: Adapter, seed: int) -> Any:
    """The model with its base frozen and LoRA added, in training mode; the base model itself without adapters.

    PEFT's `prepare_model_for_kbit_training` is not called: it casts embedding, head and norms to float32 and turns
    on the reentrant form of checkpointing. PEFT's `ensure_weight_tying` is not used: on a bfloat16 base it does not
    tie, and elsewhere Adam updates the shared memory twice. The paper's 4.6 % needs separate adapters anyway.

    Args:
        seed: decides the adapters' random halves; they never depend on the initializer.

    Raises:
        ValueError: a layer that adapters are asked for is not there.
    """
    require_targets(model, settings)
    tied = is_tied(model)
    if not settings.present:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model.train()
    targets = [*(LINEARS if settings.linears else ()), *(PAIR if settings.pair else ())]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model (with|has) `?tie_word_embeddings")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        torch.manual_seed(seed)  # PEFT draws from the global generator and takes no other
        adapted = get_peft_model(model, config)
    assert is_tied(adapted) == tied, "adding adapters changed the tie of embedding and head"
    # from_pretrained leaves a model in evaluation mode, where gradient checkpointing is silently off
    return adapted.train()


def require_targets(model: Any, settings: Adapter) -> None:
    """Refuse a model that has not every layer that is to be adapted; PEFT takes what it finds and says nothing.

    Args:
        model: without adapters; it may stand on the meta device.

    Raises:
        ValueError: a target is missing, in all decoder layers or in some.
    """
    inner = model.model
    layers = [_linears(layer) for layer in inner.layers]
    missing = []
    for target in LINEARS if settings.linears else ():
        lacking = [i for i, names in enumerate(layers) if target not in names]
        if len(lacking) == len(layers):
            missing.append(target)
        elif lacking:
            missing.append(f"{target} (in layers {', '.join(map(str, lacking))})")
    ends = {"embed_tokens": getattr(inner, "embed_tokens", None), "lm_head": getattr(model, "lm_head", None)}
    missing += [name for name in PAIR if settings.pair and not isinstance(ends[name], nn.Embedding | nn.Linear)]
    if missing:
        has = ", ".join(sorted(set().union(*layers))) or "none"
        raise ValueError(
            f"adapter={settings.name} is not accepted for this {model.config.model_type}: it has no "
            f"{', '.join(missing)}; its linear layers are {has}; accepted: a model with all of "
            f"{', '.join(LINEARS)} in every layer, adapter=pair (embedding and head alone) or adapter=full"
        )


def uncovered(model: Any, settings: Adapter) -> list[str]:
    """Names of linear layers inside the decoder's layers that stay frozen without an adapter, sorted."""
    if not settings.linears:
        return []
    return sorted(set().union(*(_linears(layer) for layer in decoder(model).layers)) - {*LINEARS})


def _linears(layer: nn.Module) -> set[str]:
    """Last names of the linear layers in a decoder layer, those of adapters left out."""
    adapted = {name for name, module in layer.named_modules() if isinstance(module, LoraLayer)}
    return {
        name.rpartition(".")[2]
        for name, module in layer.named_modules()
        if name in adapted
        or (isinstance(module, nn.Linear) and not any(name.startswith(f"{outer}.") for outer in adapted))
    }


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters that a checkpoint must hold, by name, a tied one once."""
    named: dict[int, tuple[str, torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            named.setdefault(id(parameter), (name, parameter))
    return dict(named.values())


def decoder(model: Any) -> Any:
    """The transformer body, whose output is what the head reads: `LlamaModel`, adapters inside it or not."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.model


def head(model: Any) -> Any:
    """The LM head as a module, LoRA-wrapped or plain."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.lm_head
