"""A training step of a 7B model on one GPU, by what each part of it buys: tokens a second, MFU, memory.

    python benchmarks/gpu_step.py                  # one CUDA device, no network: at most six minutes
    python benchmarks/gpu_step.py --dry-run        # the whole script at a small shape on the CPU, some two minutes

No weights are needed: a Llama 2 7B with 59,271 rows, tied, is drawn on the device and packed in NF4 there. A pass is
16,384 tokens; of each arm some passes warm up, and an optimizer step of several is timed. The arms, in this order:

    stock             transformers + PEFT as its users write it: the model's own loss, gradient checkpointing
    checkpointed      ours, with gradient checkpointing
    ours              without
    + compile         decoder layers compiled
    + bf16            weights dequantized once (model.storage=bf16)
    + fp8             products of the frozen base in 8 bits (model.storage=fp8)
    stock again       whether the device has slowed down meanwhile

First come the peaks that MFU is taken of; each arm begins with the loss of two layers, which must be stock's. All that
is known is in the JSON after each arm; an arm that fails or takes too long says so in its place. Limits on a GPU: the
best arm gives 20,000 tokens a second and twice those of stock.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.data.batches import MicroBatch
from bailong.model import adapters, compiled
from bailong.model.body import of_config
from bailong.model.dropout import masks_of
from bailong.model.score import autocast
from bailong.model.settings import Adapter
from bailong.run.files import write_json
from bailong.train import budget, optim, peak
from bailong.train.forward import summed_loss
from bailong.train.settings import Optimizer
from benchmarks.step import four_bit, with_peft

#: losses of two layers may differ from stock's by so much of it
APART, APART_FP8 = 5e-3, 5e-2
GOAL_TOKENS, GOAL_RATIO = 20_000, 2.0


@dataclass(frozen=True)
class Shape:
    """What is measured: a Llama, how long its rows are, how many go into a pass and how many passes into a step."""

    hidden: int = 4096
    layers: int = 32
    heads: int = 32
    intermediate: int = 11008
    vocabulary: int = 59_271
    context: int = 2048
    rows: int = 8
    passes: int = 8
    warm: int = 3
    rank: int = 64
    square: int = peak.SIZE
    chunk: int = 1024

    @property
    def tokens(self) -> int:
        """Of a pass."""
        return self.rows * self.context

    def model(self, device: torch.device, layers: int | None = None) -> Any:
        """A base in NF4 with random weights, the same at every call."""
        config = LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=layers or self.layers,
            num_attention_heads=self.heads,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            use_cache=False,
            attn_implementation="sdpa",
        )
        torch.manual_seed(0)
        with torch.device(device), _default(torch.bfloat16 if device.type == "cuda" else torch.float32):
            model = LlamaForCausalLM(config)
            four_bit(model, torch.get_default_dtype())
        return model.eval()


SMALL = Shape(64, 2, 4, 128, 320, context=48, rows=2, passes=2, warm=1, rank=4, square=64, chunk=64)


@dataclass(frozen=True)
class Arm:
    """One way through a step."""

    name: str
    stock: bool = False
    checkpointing: bool = False
    compile: str = "none"
    storage: str = "nf4"


STOCK = Arm("stock", stock=True, checkpointing=True)
OURS = Arm("ours")


def arms(backend: str) -> list[Arm]:
    """In the order of their importance, should the time run out."""
    fast = Arm("+ compile", compile=backend)
    return [
        STOCK,
        Arm("checkpointed", checkpointing=True),
        OURS,
        fast,
        replace(fast, name="+ bf16", storage="bf16"),
        replace(fast, name="+ fp8", storage="fp8"),
        replace(STOCK, name="stock again"),
    ]


# --- an arm ------------------------------------------------------------------------------------------


class Step:
    """A model made ready for an arm, and how it goes through a pass."""

    def __init__(self, arm: Arm, base: Any, shape: Shape, device: torch.device, dropout: float) -> None:
        self.arm, self.shape, self.device = arm, shape, device
        self.precision = "bf16-mixed" if device.type == "cuda" else "32-true"
        if arm.stock:
            self.model = with_peft(base, shape.rank, dropout)
        else:
            settings = Adapter(name="all", rank=shape.rank, alpha=16, dropout=dropout)
            self.model = adapters.add(base, settings, 0, arm.storage)
        if arm.checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        compiled.compile_layers(self.model, arm.compile)
        self.masks = masks_of(self.model)
        generator = torch.Generator().manual_seed(1)
        for name, parameter in self.model.named_parameters():  # by last names, which are the same in every arm
            if "lora_" in name:
                parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = optim.build(self.parameters, Optimizer(), device)

    def forward_backward(self, ids: np.ndarray, number: int) -> torch.Tensor:
        """Gradients of the summed loss of [rows, context] ids are added up; returns it, on the device."""
        if self.masks is not None:
            self.masks.at(0, 0, number, 0)
        if self.arm.stock:
            given = torch.from_numpy(ids).to(self.device)
            with autocast(self.device, self.precision):
                loss = self.model(input_ids=given, labels=given, use_cache=False).loss * _targets(ids)
            loss.backward()
            return loss.detach()
        targets = np.concatenate([ids[:, 1:], np.full((len(ids), 1), -100)], axis=1)
        with summed_loss(self.model, MicroBatch(ids, targets), self.device, self.precision, self.shape.chunk) as loss:
            loss.backward()
        return loss.detach()

    def released(self) -> Any:
        """The base as it came; None where its weights stand otherwise now."""
        if self.arm.storage != "nf4":
            return None
        compiled.compile_layers(self.model, "none")
        if self.arm.checkpointing:
            self.model.gradient_checkpointing_disable()
        return self.model.unload().eval()

    def update(self) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def _targets(ids: np.ndarray) -> int:
    return len(ids) * (ids.shape[1] - 1)


def timed(step: Step, shape: Shape) -> dict[str, Any]:
    """Passes to warm up, the first told apart (it compiles); then an optimizer step of several, each timed."""
    draw = np.random.default_rng(2)
    seconds = []
    _forget_peak(step.device)
    for number in range(shape.warm + shape.passes):
        ids = draw.integers(0, shape.vocabulary, (shape.rows, shape.context))
        began = time.perf_counter()
        step.forward_backward(ids, number)
        if number in (shape.warm - 1, shape.warm + shape.passes - 1):
            step.update()
        _wait(step.device)
        seconds.append(time.perf_counter() - began)
    used = seconds[shape.warm :]
    return {
        "tokens_per_second": shape.tokens * len(used) / sum(used),
        "seconds": [round(s, 4) for s in used],
        "first_pass_seconds": round(seconds[0], 3),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if step.device.type == "cuda" else None,
    }


def loss_of_two_layers(arm: Arm, shape: Shape, device: torch.device) -> float:
    """Without dropout, in nats a token."""
    step = Step(arm, shape.model(device, layers=2), shape, device, dropout=0.0)
    ids = np.random.default_rng(3).integers(0, shape.vocabulary, (2, shape.context))
    return float(step.forward_backward(ids, 0)) / _targets(ids)


def profiled(step: Step, shape: Shape) -> str:
    """The fifteen operations of a pass that take longest."""
    ids = np.random.default_rng(4).integers(0, shape.vocabulary, (shape.rows, shape.context))
    cuda = step.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as found:
        step.forward_backward(ids, 0)
        _wait(step.device)
    order = "self_device_time_total" if cuda else "self_cpu_time_total"
    return found.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60)


# --- the device --------------------------------------------------------------------------------------


def bandwidth(device: torch.device, square: int) -> float:
    """Bytes a second of a copy, read and written: the median of five."""
    one = torch.zeros(square, square, dtype=torch.float32, device=device)
    other, found = torch.empty_like(one), []
    for _ in range(6):
        _wait(device)
        began = time.perf_counter()
        other.copy_(one)
        _wait(device)
        found.append(2 * one.numel() * one.element_size() / (time.perf_counter() - began))
    return statistics.median(found[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _clear() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextlib.contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` after so long; between two calls into torch, which are not broken off."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- the whole ---------------------------------------------------------------------------------------


class Measured:
    """Everything that is known so far, in a file that is whole after each addition."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = facts | {"arms": {}, "two_layers": {}}
        self.keep()

    def keep(self, **found: Any) -> None:
        self.content |= found
        write_json(self.path, self.content)

    def loss(self, name: str, found: float) -> None:
        self.content["two_layers"][name] = found
        self.keep()

    def arm(self, name: str, found: dict[str, Any]) -> None:
        self.content["arms"][name] = found
        self.keep()
        rate, error = found.get("tokens_per_second"), found.get("error")
        print(f"{name}: {error or f'{rate:,.0f} tokens a second'}", flush=True)


def facts_of(shape: Shape, device: torch.device) -> dict[str, Any]:
    """Under what it is measured, and what MFU is taken of."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else "cpu"
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    with torch.device("meta"):
        config = LlamaConfig(
            hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
            intermediate_size=shape.intermediate, vocab_size=shape.vocabulary, tie_word_embeddings=True,
        )  # fmt: skip
    adapter = Adapter(name="all", rank=shape.rank, alpha=16)
    flops = budget.flops_per_token(of_config(config.to_dict()), shape.vocabulary, adapter, shape.context).model
    return {
        "device": name,
        "torch": torch.__version__,
        "commit": commit.stdout.strip() or None,
        "date": time.strftime("%Y-%m-%d"),
        "shape": asdict(shape),
        "flops_per_token": flops,
        "peak_datasheet": budget.peak_flops(name, "bfloat16") if cuda else None,
        "peak_measured": peak.measured(device, torch.bfloat16 if cuda else torch.float32, shape.square),
        "bandwidth": bandwidth(device, shape.square),
    }


def run(chosen: list[Arm], shape: Shape, device: torch.device, measured: Measured, until: float, each: float) -> None:
    """Measure every arm, one after the other, each at most `each` seconds and all of them until `until`."""
    base = None
    for arm in chosen:
        left = min(each, until - time.monotonic())
        if left <= 0:
            measured.arm(arm.name, {"error": "no time left"})
            continue
        found: dict[str, Any] = {}
        step = None
        try:
            with within(left):
                measured.loss(arm.name, loss_of_two_layers(arm, shape, device))
                _clear()
                step = Step(arm, base or shape.model(device), shape, device, dropout=0.1)
                base = None
                found |= timed(step, shape)
                found |= _shares(found, measured.content)
                measured.arm(arm.name, found)
                if arm == STOCK or arm.name == "+ compile":
                    found["profile"] = profiled(step, shape)
        except Exception as error:
            measured.arm(arm.name, found | {"error": _told(error)})
        else:
            base = step.released()
        del step
        measured.keep()
        _clear()


def _shares(found: dict[str, Any], content: dict[str, Any]) -> dict[str, float | None]:
    """MFU by both peaks."""
    rate = found["tokens_per_second"] * content["flops_per_token"]
    peaks = {"mfu": content["peak_datasheet"], "mfu_measured": content["peak_measured"]}
    return {key: rate / peak if peak else None for key, peak in peaks.items()}


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def table(content: dict[str, Any]) -> Table:
    """An arm a row."""
    first = content["arms"].get(STOCK.name, {}).get("tokens_per_second")
    found = Table("arm", "tokens/s", "of stock", "MFU, datasheet", "MFU, measured", "peak GiB", "first pass, s")
    for name, arm in content["arms"].items():
        rate = arm.get("tokens_per_second")
        if rate is None:
            found.add_row(name, arm["error"])
            continue
        of_stock = f"{rate / first:.2f}" if first else "-"
        figures = [arm["mfu"], arm["mfu_measured"]]
        shares = ["-" if f is None else f"{f:.3f}" for f in figures]
        gib = "-" if arm["peak_gib"] is None else f"{arm['peak_gib']:.1f}"
        found.add_row(name, f"{rate:,.0f}", of_stock, *shares, gib, f"{arm['first_pass_seconds']:.1f}")
    return found


def apart(content: dict[str, Any]) -> list[str]:
    """Whose loss of two layers is further from stock's than rounding explains."""
    losses = content["two_layers"]
    stock, found = losses.get(STOCK.name), []
    for name, loss in losses.items():
        limit = APART_FP8 if name == "+ fp8" else APART
        if stock is not None and not abs(loss - stock) <= limit * stock:  # which a NaN is not
            found.append(f"two layers, {name}: a loss of {loss:.5f} where stock has {stock:.5f}")
    return found


def missed(content: dict[str, Any]) -> list[str]:
    """Which goals of a GPU are not reached."""
    rates = {name: arm.get("tokens_per_second", 0.0) for name, arm in content["arms"].items()}
    stock = [rate for name, rate in rates.items() if name.startswith(STOCK.name) and rate]
    best = max((rate for name, rate in rates.items() if not name.startswith(STOCK.name)), default=0.0)
    found = [] if best >= GOAL_TOKENS else [f"{best:,.0f} tokens a second, wanted {GOAL_TOKENS:,}"]
    if not stock or best < GOAL_RATIO * statistics.mean(stock):
        found.append(f"{best:,.0f} tokens a second, wanted {GOAL_RATIO} times stock ({', '.join(map(str, stock))})")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="a small shape on the CPU")
    parser.add_argument("--out", type=Path, default=Path("outputs/gpu_step.json"))
    parser.add_argument("--seconds", type=float, default=350, help="for everything")
    parser.add_argument("--arm-seconds", type=float, default=110, help="for an arm at most")
    parser.add_argument("--arms", nargs="+", help="some of them, by name")
    options = parser.parse_args(arguments)
    until = time.monotonic() + options.seconds
    if not options.dry_run and not torch.cuda.is_available():
        print("error: torch sees no CUDA device here; --dry-run takes the CPU", file=sys.stderr)
        return 2
    device, shape = (torch.device("cpu"), SMALL) if options.dry_run else (torch.device("cuda", 0), Shape())
    every = arms("aot_eager" if options.dry_run else "inductor")
    chosen = [arm for arm in every if options.arms is None or arm.name in options.arms]
    if unknown := set(options.arms or ()) - {arm.name for arm in every}:
        print(f"error: no arm is called {', '.join(unknown)}: {', '.join(a.name for a in every)}", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore")
    measured = Measured(options.out, facts_of(shape, device))
    print(
        {key: measured.content[key] for key in ("device", "peak_datasheet", "peak_measured", "bandwidth")}, flush=True
    )
    run(chosen, shape, device, measured, until, options.arm_seconds)
    Console(width=120).print(table(measured.content))
    for name, arm in measured.content["arms"].items():
        if "profile" in arm:
            print(f"{name}\n{arm['profile']}")
    wrong = apart(measured.content)
    wrong += [f"{name}: {arm['error']}" for name, arm in measured.content["arms"].items() if "error" in arm]
    wrong += [] if options.dry_run else missed(measured.content)
    for line in wrong:
        print(f"missed: {line}", file=sys.stderr)
    print(options.out)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
