"""Dropout of the adapters: masks that are cheap to draw, each a pure function of its place in training.

torch draws a float for every number (`bernoulli_`), from a stream whose state depends on all draws before. Here a mask
takes 16 random bits a number, and its own stream is seeded with the place: the run's seed, the step, the micro-batch,
the process and the layer. So a resumed run equals an unbroken one whatever was drawn between, and checkpointed
activations meet the same mask when they are computed again. A probability is rounded to 1/65,536. The stream's name,
`bailong.model.settings.STREAM`, belongs to what a run is: other numbers are another run.

On CPU the bits are NumPy's SFC64, whose stream its compatibility policy keeps; elsewhere torch's own of the device.
"""

import hashlib
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 1 << 16


class Masks:
    """The masks of a model's layers, at the place that was last told.

    Args:
        shared: layers that read one and the same tensor (queries, keys and values; gate and up) share a mask.
    """

    def __init__(self, shared: bool = False) -> None:
        self.place: tuple[int, ...] = (0,)
        self.shared = shared
        self._last: tuple[weakref.ref[Tensor], int, Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    def at(self, *place: int) -> None:
        """Draw from here on for this place: until the next call a layer's mask of one shape is always the same."""
        self.place, self._last = place, None

    def keep(self, x: Tensor, layer: int, dropped: int) -> Tensor:
        """uint8 of the shape of `x`: 0 where a number is dropped (with `dropped` / 65,536), else 1."""
        if self.shared and self._last is not None and self._last[0]() is x and self._last[1] == dropped:
            return self._last[2]
        draw = _by_numpy if x.device.type == "cpu" else _by_torch
        found = draw(x, (*self.place, layer), dropped)
        if self.shared:
            self._last = weakref.ref(x), dropped, found
        return found


def _by_numpy(x: Tensor, place: tuple[int, ...], dropped: int) -> Tensor:
    raw = np.random.SFC64(place).random_raw(-(-x.numel() // 4))
    kept = np.greater_equal(raw.view(np.uint16)[: x.numel()], np.uint16(dropped))
    return torch.from_numpy(kept.view(np.uint8)).view(x.shape)


def _by_torch(x: Tensor, place: tuple[int, ...], dropped: int) -> Tensor:
    digest = hashlib.blake2b(repr(place).encode(), digest_size=7).digest()
    generator = torch.Generator(x.device).manual_seed(int.from_bytes(digest, "big"))
    bits = torch.randint(0, LEVELS, x.shape, generator=generator, device=x.device, dtype=torch.int32)
    return (bits >= dropped).view(torch.uint8)


class Dropout(nn.Module):
    """In the place of `nn.Dropout`: what is kept is scaled by `scale` in training, and nothing happens in evaluation.

    Attributes:
        scale: 1 / (1 - p).
    """

    def __init__(self, p: float, masks: Masks, layer: int) -> None:
        super().__init__()
        self.masks, self.layer = masks, layer
        self.dropped = min(round(p * LEVELS), LEVELS - 1)
        self.scale = LEVELS / (LEVELS - self.dropped)

    def keep(self, x: Tensor) -> Tensor | None:
        """The mask for `x`; None where all of it is kept."""
        return self.masks.keep(x, self.layer, self.dropped) if self.training and self.dropped else None

    def forward(self, x: Tensor) -> Tensor:
        keep = self.keep(x)
        return x if keep is None else x * keep * self.scale


def masks_of(model: nn.Module) -> Masks | None:
    """The masks of a model's adapters; None where it has no dropout."""
    return next((module.masks for module in model.modules() if isinstance(module, Dropout)), None)
