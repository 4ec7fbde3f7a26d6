"""AdamW in its forms."""

from collections.abc import Iterable
from typing import Any

import torch

from bailong.train.settings import Optimizer


def build(
    parameters: Iterable[torch.nn.Parameter],
    settings: Optimizer,
    device: torch.device,
    pair: Iterable[torch.nn.Parameter] = (),
    rows: Iterable[torch.nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """The optimizer that `settings.name` names; vectors (norms) and rows that are trained themselves are not decayed.

    Args:
        pair: those of embedding and head, whose learning rate is `rows_lr_ratio` times that of the others: `ratio` of
            their group.
        rows: of these the rows themselves. Decay would draw them to zero, and those that no text touches by it alone,
            where it draws an adapter's change to none.

    Raises:
        ValueError: an 8-bit optimizer is asked for and bitsandbytes is not there.
    """
    parameters = list(parameters)
    fast = {id(p) for p in pair} if settings.rows_lr_ratio != 1 else set()
    still = {id(p) for p in rows}

    def group(decays: bool, quick: bool) -> dict[str, Any]:
        own = [p for p in parameters if (p.ndim >= 2 and id(p) not in still) == decays and (id(p) in fast) == quick]
        decay = {"params": own, "weight_decay": settings.weight_decay if decays else 0.0}
        return decay | ({"ratio": settings.rows_lr_ratio} if quick else {})

    groups = [group(decays, quick) for quick in (False, True) for decays in (True, False)]
    groups = [one for one in groups if one["params"]]
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
