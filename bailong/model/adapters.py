"""LoRA where the paper puts it: every linear layer, the embedding and the head, each with its own adapter."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from bailong.initializer.base import Parts
from bailong.model.dropout import Masks
from bailong.model.lora import fuse
from bailong.model.rows import ComposedRows, FreeRows, Rows, share_adapter, train_rows
from bailong.model.settings import Adapter
from bailong.model.storage import keep
from bailong.model.tie import is_tied


def add(
    model: Any,
    settings: Adapter,
    seed: int,
    storage: str = "nf4",
    new: range = range(0),
    parts: Callable[[], list[Parts]] | None = None,
) -> Any:
    """The model with its base frozen and LoRA added, in training mode; the base model itself without adapters.

    PEFT's `prepare_model_for_kbit_training` is not called: it casts embedding, head and norms to float32 and turns
    on the reentrant form of checkpointing. PEFT's `ensure_weight_tying` is not used: on a bfloat16 base it does not
    tie, and elsewhere Adam updates the shared memory twice. The paper's 4.6 % needs separate adapters anyway.

    Args:
        seed: decides the adapters' random halves; they never depend on the initializer.
        storage: of the 4-bit layers (bailong.model.storage).
        new: rows that no old token names (`adapter.rows=trainable_new`, `composed`).
        parts: what each of them is made of (`composed`; bailong.model.rows.composition).

    Raises:
        ValueError: a layer that adapters are asked for is not there, or would be left out; one adapter is to serve two
            matrices; nothing would be trained; or as `storage.keep`.
    """
    require_targets(model, settings)
    tied = is_tied(model)
    if settings.rows == "shared" and settings.pair and not tied:
        raise ValueError(
            "adapter.rows=shared is not accepted for embedding and head that are two matrices: accepted: lora, "
            "trainable_new or full, or a tied pair (model.tie=input)"
        )
    if not settings.present:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model.train()
    every = range(len(model.get_input_embeddings().weight))
    trained = {"trainable_new": new, "composed": new, "full": every}.get(settings.rows)
    if not settings.pair:
        trained = None
    elif trained is not None and not trained and not settings.linears:
        raise ValueError(
            f"adapter.rows={settings.rows} is not accepted with adapter={settings.name} here: there is no new row, and "
            "nothing would be trained; accepted: lora, shared or full"
        )
    pair = _pair(model) if settings.pair and trained is None else []
    pair = [
        name for name in pair if settings.rows != "shared" or name == _name_of(model, model.get_output_embeddings())
    ]
    targets = [*(_linears(model) if settings.linears else ()), *pair]
    if trained is not None and not targets:
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        keep(model, storage)
        train_rows(model, partial(_rows, settings, trained, parts))
        return model.train()
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=targets,  # whole names: a last name alone could also match elsewhere
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model (with|has) `?tie_word_embeddings")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        torch.manual_seed(seed)  # PEFT draws from the global generator and takes no other
        adapted = get_peft_model(model, config)
    assert is_tied(adapted) == tied, "adding adapters changed the tie of embedding and head"
    keep(adapted, storage)
    fuse(adapted, Masks(), settings.shared_dropout)
    if trained:
        train_rows(adapted.get_base_model(), partial(_rows, settings, trained, parts))
    elif settings.rows == "shared" and settings.pair:
        share_adapter(adapted.get_base_model())
    # from_pretrained leaves a model in evaluation mode, where gradient checkpointing is silently off
    return adapted.train()


def _rows(settings: Adapter, trained: range, parts: Callable[[], list[Parts]] | None, matrix: nn.Parameter) -> Rows:
    """The rows of a matrix that are trained themselves."""
    if settings.rows == "composed":
        assert parts is not None, "what rows are made of must be known"
        return ComposedRows(matrix, trained.start, trained.stop, parts())
    return FreeRows(matrix, trained.start, trained.stop)


def require_targets(model: Any, settings: Adapter) -> None:
    """Refuse a model that adapters would cover in part; PEFT takes what it finds and says nothing.

    Linear layers are found by their type, for they have other names where a model joins them (Phi-3's `qkv_proj`).
    Every decoder layer must have the same, and no matrix beside them: experts that are stacked in one tensor would stay
    frozen without a word.

    Args:
        model: without adapters; it may stand on the meta device.

    Raises:
        ValueError: a target is missing, in all decoder layers or in some.
    """
    faults = []
    if settings.linears:
        layers = [set(_linears_of(layer)) for layer in decoder(model).layers]
        every = set().union(*layers)
        for name in sorted(every):
            if lacking := [i for i, names in enumerate(layers) if name not in names]:
                faults.append(f"it has no {name} in layers {', '.join(map(str, lacking))}")
        beside = {
            name
            for layer in decoder(model).layers
            for name, parameter in layer.named_parameters()
            if parameter.ndim > 1 and name.rpartition(".")[0] not in _linears_of(layer) and not _is_norm(layer, name)
        }
        if beside or not every:
            faults.append(f"its matrices {', '.join(sorted(beside)) or 'are none'} are no linear layers")
    if settings.pair:
        ends = {"embedding": model.get_input_embeddings(), "head": model.get_output_embeddings()}
        faults += [f"it has no {end}" for end, layer in ends.items() if not isinstance(layer, nn.Embedding | nn.Linear)]
    if faults:
        raise ValueError(
            f"adapter={settings.name} is not accepted for this {model.config.model_type}: {'; '.join(faults)}; "
            "accepted: a model whose matrices are the linear layers of its decoder, the same in every layer, its "
            "embedding and its head, adapter=pair (the last two alone) or adapter=full"
        )


def _linears(model: Any) -> list[str]:
    """Names, in the model, of every linear layer of the decoder's layers."""
    layers = {id(linear) for layer in decoder(model).layers for linear in _linears_of(layer).values()}
    return [name for name, module in model.named_modules() if id(module) in layers]


def _linears_of(layer: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers inside a module, by name; those in 4 bits are linear layers too."""
    return {name: module for name, module in layer.named_modules() if isinstance(module, nn.Linear)}


def _pair(model: Any) -> list[str]:
    """Names, in the model, of embedding and head."""
    return [_name_of(model, end) for end in (model.get_input_embeddings(), model.get_output_embeddings())]


def _name_of(model: Any, module: nn.Module) -> str:
    return next(name for name, other in model.named_modules() if other is module)


def _is_norm(layer: nn.Module, parameter: str) -> bool:
    """Cohere's norms of queries and keys have a vector for each head, which makes them two-dimensional."""
    return type(layer.get_submodule(parameter.rpartition(".")[0])).__name__.endswith("Norm")


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters that a checkpoint must hold, by name, a tied one once."""
    named: dict[int, tuple[str, torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            named.setdefault(id(parameter), (name, parameter))
    return dict(named.values())


def of_pair(model: Any) -> list[torch.nn.Parameter]:
    """The trainable parameters of embedding and head: adapters, or the rows themselves."""
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    return [parameter for end in ends for parameter in end.parameters() if parameter.requires_grad]


def decoder(model: Any) -> Any:
    """The transformer body, whose output is what the head reads: `LlamaModel`, adapters inside it or not."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.base_model


def head(model: Any) -> Any:
    """The LM head as a module, LoRA-wrapped or plain; the loss needs more than it (bailong.model.head.model_loss)."""
    return model.get_output_embeddings()
