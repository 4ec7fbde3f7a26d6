"""The denominators of MFU: what a device multiplies in a second, by its datasheet and as measured."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch

from bailong.train import budget
from bailong.train.assemble import device_of, precision_of
from bailong.train.settings import Train

#: rows and columns of the matrices that are multiplied: as many as keep a large card busy
SIZE = 8192
#: rounds that are timed, and after how many seconds none begins any more: a slow card needs many for one
ROUNDS, SECONDS = 7, 0.5


@dataclass(frozen=True)
class Peaks:
    """FLOP/s of dense products in the precision of a run, of each of its `devices`; None where there is no figure.

    `datasheet` is what the vendor promises at boost clock (bailong.train.budget.PEAK_FLOPS), `measured` what this very
    device gave for a large product as the run began.
    """

    datasheet: float | None = None
    measured: float | None = None
    devices: int = 1

    @staticmethod
    def of(settings: Train) -> "Peaks":
        """Of the device of a run. On a CPU there is none: it would be measured anew by every job of a sweep."""
        device = device_of(settings)
        if device.type != "cuda":
            return Peaks()
        products = torch.bfloat16 if precision_of(settings, device) == "bf16-mixed" else torch.float32
        name = torch.cuda.get_device_name(device)
        datasheet = budget.peak_flops(name, str(products).removeprefix("torch."))
        found = Peaks(datasheet, round(measured(device, products, SIZE)), settings.trainer.devices)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)  # the memory of these matrices is not the run's
        return found

    def row(self, tokens_per_second: float, flops_per_token: float) -> dict[str, Any]:
        """Both peaks, and the part of each that a rate of training is: MFU."""
        rate = tokens_per_second * flops_per_token / self.devices
        used = [round(rate / peak, 4) if peak else None for peak in (self.datasheet, self.measured)]
        names = ("peak_datasheet", "peak_measured", "mfu", "mfu_measured")
        return dict(zip(names, (self.datasheet, self.measured, *used), strict=True))


def measured(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """FLOP/s of the product of two random [size, size] matrices: the median of some rounds of three."""
    from torch.utils.benchmark import Timer  # a run on a CPU starts without it

    generator = torch.Generator(device).manual_seed(0)
    one, other = (torch.randn(size, size, device=device, dtype=dtype, generator=generator) for _ in range(2))
    timer = Timer(
        "torch.mm(one, other, out=out)",
        globals={"torch": torch, "one": one, "other": other, "out": torch.empty_like(one)},
        num_threads=torch.get_num_threads(),
    )
    seconds, begin = [], time.monotonic()
    while not seconds or (len(seconds) < ROUNDS and time.monotonic() - begin < SECONDS):
        seconds.append(timer.timeit(3).mean)  # behind two that are not timed
    return 2 * size**3 / statistics.median(seconds)
