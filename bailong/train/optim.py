"""AdamW in its forms."""

from collections.abc import Iterable

import torch

from bailong.train.settings import Optimizer


def build(
    parameters: Iterable[torch.nn.Parameter],
    settings: Optimizer,
    device: torch.device,
    pair: Iterable[torch.nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """The optimizer that `settings.name` names; vectors (norms) are not decayed.

    Args:
        pair: those of embedding and head, whose learning rate is `rows_lr_ratio` times that of the others: `ratio` of
            their group.

    Raises:
        ValueError: an 8-bit optimizer is asked for and bitsandbytes is not there.
    """
    parameters = list(parameters)
    apart = {id(p) for p in pair} if settings.rows_lr_ratio != 1 else set()
    matrices = [p for p in parameters if p.ndim >= 2]
    groups = [
        {"params": [p for p in matrices if id(p) not in apart], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        {
            "params": [p for p in matrices if id(p) in apart],
            "weight_decay": settings.weight_decay,
            "ratio": settings.rows_lr_ratio,
        },
    ]
    groups = [group for group in groups if group["params"]]
    name = resolve(settings.name, device)
    common = {"lr": settings.lr, "betas": (settings.beta1, settings.beta2), "eps": settings.eps}
    if name == "adamw":
        return torch.optim.AdamW(groups, fused=True, **common)
    try:
        from bitsandbytes.optim.adamw import AdamW8bit, PagedAdamW8bit
    except ImportError as error:
        raise ValueError(f"optimizer.name={name} needs the package bitsandbytes: pip install bitsandbytes") from error
    kind = {"adamw_8bit": AdamW8bit, "paged_adamw_8bit": PagedAdamW8bit}[name]
    return kind(groups, **common)


def resolve(name: str, device: torch.device) -> str:
    """`optimizer.name` with `auto` resolved by device."""
    return name if name != "auto" else ("paged_adamw_8bit" if device.type == "cuda" else "adamw")
