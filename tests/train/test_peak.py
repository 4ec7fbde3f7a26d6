"""Two peaks of a device, and the part of each that a run takes."""

import json
import sys

import pytest
import torch

from bailong.run import metrics
from bailong.train import peak, train
from bailong.train.peak import Peaks
from tests import tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_is_measured(dtype):
    state = torch.random.get_rng_state()
    found = peak.measured(CPU, dtype, 128)
    assert 1e6 < found < 1e14
    assert torch.equal(torch.random.get_rng_state(), state)


def timers(monkeypatch, seconds, begun):
    """Rounds that take `seconds`, read by a clock that moves by that much for each product."""
    monkeypatch.setattr("time.monotonic", lambda: sum(begun))

    class Timer:
        def __init__(self, *_, globals, **__):  # the name that torch gives it
            self.matrices = globals["one"], globals["other"]

        def timeit(self, number):
            begun.append(number * seconds[len(begun) % len(seconds)])
            self.mean = begun[-1] / number
            return self

    monkeypatch.setattr("torch.utils.benchmark.Timer", Timer)


def test_the_peak_is_the_median_of_rounds(monkeypatch):
    begun = []
    timers(monkeypatch, [0.001, 0.002, 0.02], begun)
    assert peak.measured(CPU, torch.float32, 16) == 2 * 16**3 / 0.002
    assert len(begun) == peak.ROUNDS


def test_a_slow_device_is_not_kept_waiting(monkeypatch):
    begun = []
    timers(monkeypatch, [2.0], begun)
    assert peak.measured(CPU, torch.float32, 16) == 2 * 16**3 / 2.0
    assert len(begun) == 1


@pytest.mark.parametrize(
    ("precision", "dtype", "datasheet"), [("auto", torch.bfloat16, 989e12), ("32-true", torch.float32, 67e12)]
)
def test_the_peaks_of_a_gpu_are_in_the_precision_of_the_run(bench, tmp_path, monkeypatch, precision, dtype, datasheet):
    settings, asked = tiny.settings(bench, tmp_path), []

    def measured(device, dtype, size):
        asked.append((device.type, dtype, size))
        return 500.4e12

    monkeypatch.setattr(peak, "device_of", lambda settings: torch.device("cuda", 0))
    monkeypatch.setattr(peak, "measured", measured)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    settings.trainer.precision = precision
    assert Peaks.of(settings) == Peaks(datasheet, 500.4e12, 1)
    assert asked == [("cuda", dtype, 8192)]


def test_mfu_is_the_part_of_each_peak():
    row = Peaks(1000.0, 500.0).row(tokens_per_second=10.0, flops_per_token=25.0)
    assert row == {"peak_datasheet": 1000.0, "peak_measured": 500.0, "mfu": 0.25, "mfu_measured": 0.5}
    assert Peaks(1000.0, 500.0, devices=2).row(10.0, 25.0)["mfu"] == 0.125  # tokens are those of both
    assert Peaks(None, 500.0).row(10.0, 25.0) == row | {"peak_datasheet": None, "mfu": None}


def test_the_record_of_a_run_has_both_peaks(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(Peaks, "of", staticmethod(lambda settings: Peaks(1e12, 5e11)))
    run = tiny.run(tmp_path)
    result = train.train(tiny.settings(bench, tmp_path), run)
    speeds = metrics.read(run.folder / "speed.jsonl")
    assert result is not None and speeds
    for row in [*speeds, result, json.loads((run.folder / "result.json").read_text())]:
        assert (row["peak_datasheet"], row["peak_measured"]) == (1e12, 5e11)
    for row in speeds:
        rate = row["tokens_per_second"] * row["flops_per_token"]
        assert row["mfu"] == pytest.approx(rate / 1e12, abs=1e-4)
        assert row["mfu_measured"] == pytest.approx(rate / 5e11, abs=1e-4)
    rate = result["tokens_per_second"] * speeds[0]["flops_per_token"]
    assert result["mfu_measured"] == pytest.approx(rate / 5e11, abs=1e-4)


def test_on_a_cpu_nothing_is_measured(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(peak, "measured", lambda *_: sys.exit("measured"))
    run = tiny.run(tmp_path)
    result = train.train(tiny.settings(bench, tmp_path), run)
    for row in [*metrics.read(run.folder / "speed.jsonl"), result]:
        assert row is not None and row["peak_measured"] is row["mfu_measured"] is row["peak_datasheet"] is None
