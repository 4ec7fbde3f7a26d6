"""Dropout of the adapters: masks that are cheap to draw, each a pure function of its place in training.

torch draws a float for every number (`bernoulli_`), from a stream whose state depends on all draws before. Here a mask
takes 16 random bits a number, and its own stream is seeded with the place: the run's seed, the step, the micro-batch,
the process and the layer. So a resumed run equals an unbroken one whatever was drawn between, and checkpointed
activations meet the same mask when they are computed again. A probability is rounded to 1/65,536. The stream's name,
`bailong.model.settings.STREAM`, belongs to what a run is: other numbers are another run.

On CPU the bits are NumPy's SFC64, whose stream its compatibility policy keeps; elsewhere torch's own of the device.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 1 << 16


class Masks:
    """The masks of a model's layers, at the place that was last told.

    Attributes:
        place: int64 on the CPU, seed (as two's complement), step, micro-batch and process. A tensor, because numbers
            would be taken for constants where a layer is compiled.
    """

    def __init__(self) -> None:
        self.place = torch.zeros(4, dtype=torch.int64)
        self._last: tuple[tuple[Any, ...], Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}

    def at(self, seed: int, step: int, micro: int, process: int) -> None:
        """Draw from here on for this place: until the next call a layer's mask of one shape is always the same."""
        self.place = torch.from_numpy(np.asarray([seed % 2**64, step, micro, process], np.uint64).view(np.int64))
        self._last = None

    def keep(self, x: Tensor, layer: Tensor, dropped: int) -> Tensor:
        """uint8 of the shape of `x`: 0 where a number is dropped (with `dropped` / 65,536), else 1.

        Args:
            layer: its number, an int64 on the CPU. Of layers with one number that come one after the other, the mask
                is drawn once.
        """
        if torch.compiler.is_compiling():
            return drawn(x, self.place, layer, dropped)
        known = (int(layer), dropped, x.shape, x.device)
        if self._last is None or self._last[0] != known:
            self._last = known, _draw(x, self.place, layer, dropped)
        return self._last[1]


def _draw(x: Tensor, place: Tensor, layer: Tensor, dropped: int) -> Tensor:
    seed, *others = place.tolist()
    draw = _by_numpy if x.device.type == "cpu" else _by_torch
    return draw(x, (seed % 2**64, *others, int(layer)), dropped)


@torch.library.custom_op("bailong::dropout_mask", mutates_args=())
def drawn(x: Tensor, place: Tensor, layer: Tensor, dropped: int) -> Tensor:
    """A mask as `Masks.keep` draws it: one operation to a compiler, which cannot look into it."""
    return _draw(x, place, layer, dropped)


@drawn.register_fake
def _(x: Tensor, place: Tensor, layer: Tensor, dropped: int) -> Tensor:
    return torch.empty(x.shape, dtype=torch.uint8, device=x.device)


def _by_numpy(x: Tensor, place: tuple[int, ...], dropped: int) -> Tensor:
    raw = np.random.SFC64(place).random_raw(-(-x.numel() // 4))
    kept = np.greater_equal(raw.view(np.uint16)[: x.numel()], np.uint16(dropped))
    return torch.from_numpy(kept.view(np.uint8)).view(x.shape)


def _by_torch(x: Tensor, place: tuple[int, ...], dropped: int) -> Tensor:
    digest = hashlib.blake2b(repr(place).encode(), digest_size=7).digest()
    generator = torch.Generator(x.device).manual_seed(int.from_bytes(digest, "big"))
    raw = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
    bits = raw.random_(-(2**63), None, generator=generator).view(torch.int16)[: x.numel()]
    return (bits >= dropped - LEVELS // 2).view(torch.uint8).view(x.shape)


class Dropout(nn.Module):
    """In the place of `nn.Dropout`: what is kept is scaled by `scale` in training, and nothing happens in evaluation.

    Attributes:
        scale: 1 / (1 - p).
    """

    def __init__(self, p: float, masks: Masks, layer: int) -> None:
        super().__init__()
        self.masks, self.layer = masks, torch.tensor(layer)
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
