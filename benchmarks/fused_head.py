"""The fused LM head against stock PEFT with full logits, side by side in one run.

    python benchmarks/fused_head.py                      # the acceptance sizes, CPU, float32
    python benchmarks/fused_head.py --device cuda --precision bf16 --chunk 1024

Four questions, each with its limit (exit code 1 if one is missed):

  gradients    relative difference |fused - stock| / |stock| of h, A and B          <= 1e-5 (float32)
  memory       extra peak memory of one forward and backward, fused / stock         <= 30 %
  time         seconds of one forward and backward, fused / stock                   <= 1.1
  trajectory   loss of 20 AdamW steps of a whole LoRA model, largest difference      <= 1e-4 nats per target

"Stock" is PEFT's own `lora.Linear` on `lm_head`, then `F.cross_entropy` on its [tokens, vocabulary] logits.
"Extra" is the peak resident memory above the state just before the call (CPU: VmHWM, reset before; CUDA:
max_memory_allocated); each arm is measured in a process of its own, because an allocator keeps what it got.
Both arms are timed in turn in one process, so that a busy machine slows both. Dropout is on, same seed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model.head import head_loss

LIMITS = {"gradients": 1e-5, "memory": 0.30, "time": 1.1, "trajectory": 1e-4}
EVERYWHERE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"]
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def build(options: argparse.Namespace) -> Any:
    """A tied Llama with separate adapters everywhere (B not zero, so that A gets a gradient), in train mode."""
    torch.manual_seed(options.seed)
    config = LlamaConfig(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=options.hidden * 8 // 3,
        num_hidden_layers=options.layers,
        num_attention_heads=max(options.hidden // 64, 1),
        max_position_embeddings=options.tokens,
        tie_word_embeddings=True,
    )
    lora = LoraConfig(r=options.rank, lora_alpha=16, lora_dropout=options.dropout, target_modules=EVERYWHERE)
    model = get_peft_model(LlamaForCausalLM(config), lora).to(options.device)
    generator = torch.Generator().manual_seed(options.seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "lora_embedding_A" in name:
            parameter.data.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    if options.precision == "bf16":
        for parameter in model.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.bfloat16()
    return model.train()


def stock(head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    logits = head(hidden).float()
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="sum") / targets.numel()


def fused(chunk: int) -> Loss:
    return lambda head, hidden, targets: head_loss(head, hidden, targets, chunk).total / targets.numel()


class Head:
    """The head alone, with hidden states of unit scale as the final norm makes them."""

    def __init__(self, options: argparse.Namespace) -> None:
        model = build(options)
        self.options, self.head = options, model.get_base_model().lm_head
        generator = torch.Generator().manual_seed(options.seed)
        dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
        hidden = torch.randn(1, options.tokens, options.hidden, generator=generator)
        self.hidden = hidden.to(options.device, dtype).requires_grad_()
        targets = torch.randint(options.vocabulary, (1, options.tokens), generator=generator)
        self.targets = targets.to(options.device)

    def step(self, loss: Loss) -> dict[str, Tensor]:
        """One forward and backward; the gradients by name."""
        leaves = {"h": self.hidden} | {n: p for n, p in self.head.named_parameters() if p.requires_grad}
        for leaf in leaves.values():
            leaf.grad = None
        torch.manual_seed(self.options.seed)  # the same dropout mask in both arms
        with torch.autocast(self.options.device, torch.bfloat16, enabled=self.options.precision == "bf16"):
            value = loss(self.head, self.hidden, self.targets)
        value.backward()
        if self.options.device == "cuda":
            torch.cuda.synchronize()
        return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def resident_bytes(key: str) -> int:
    """`VmRSS` (now) or `VmHWM` (peak) of this process; off Linux the peak for both."""
    status = Path("/proc/self/status")
    if not status.exists():
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else peak * 1024
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith(key))


def reset_peak() -> None:
    """Start VmHWM anew. Where that is refused, the peak of building the model counts as the state before."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure_memory(options: argparse.Namespace, arm: str) -> dict[str, float]:
    """Extra peak bytes of the first step, which allocates everything that later steps reuse."""
    bench = Head(options)
    loss = stock if arm == "stock" else fused(options.chunk)
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        bench.step(loss)
        return {"extra": torch.cuda.max_memory_allocated() - before}
    reset_peak()
    before = resident_bytes("VmRSS" if resident_bytes("VmHWM") <= resident_bytes("VmRSS") * 1.02 else "VmHWM")
    bench.step(loss)
    return {"extra": resident_bytes("VmHWM") - before}


def measure_time(options: argparse.Namespace, _: str) -> dict[str, Any]:
    """Gradients of both arms compared, then both timed in turn after a warm-up each."""
    bench = Head(options)
    arms = {"stock": stock, "fused": fused(options.chunk)}
    reference = {name: g.clone() for name, g in bench.step(arms["stock"]).items()}
    ours = bench.step(arms["fused"])
    assert ours.keys() == reference.keys()
    difference = {n: float((ours[n] - g).float().norm() / g.float().norm()) for n, g in reference.items()}
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for _repeat in range(options.repeats):
        for arm, loss in arms.items():
            start = time.perf_counter()
            bench.step(loss)
            seconds[arm].append(time.perf_counter() - start)
    return {"difference": difference, "seconds": seconds}


def measure_trajectory(options: argparse.Namespace, arm: str) -> dict[str, list[float]]:
    """Training losses of the whole model: one text learned over and over, dropout on."""
    model = build(options)
    llama = model.get_base_model()
    loss_of = stock if arm == "stock" else fused(options.chunk)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=options.lr)
    generator = torch.Generator().manual_seed(options.seed)
    text = torch.randint(options.vocabulary, (options.sequences, options.tokens // options.sequences + 1),
                         generator=generator).to(options.device)  # fmt: skip
    losses = []
    for step in range(options.steps):
        torch.manual_seed(options.seed + step)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.precision == "bf16"):
            hidden = llama.model(input_ids=text[:, :-1]).last_hidden_state
            loss = loss_of(llama.lm_head, hidden, text[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses}


MEASURES = {"memory": measure_memory, "time": measure_time, "trajectory": measure_trajectory}


def cpu_name() -> str:
    """The CPU's model name where Linux tells it."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def in_own_process(measure: str, arm: str) -> dict[str, Any]:
    # "-W ignore": PEFT warns of separate adapters on a tied pair, which is what we want here
    command = [sys.executable, "-W", "ignore", __file__, *sys.argv[1:], "--measure", measure, "--arm", arm]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2048, help="target tokens of a step (default 2048)")
    parser.add_argument("--vocabulary", type=int, default=59_241)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--chunk", type=int, default=256, help="rows of logits held at once (default 256)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps an arm (default 5)")
    parser.add_argument("--layers", type=int, default=1, help="layers of the model of the trajectory (default 1)")
    parser.add_argument("--sequences", type=int, default=8, help="sequences of a step of the trajectory (default 8)")
    parser.add_argument("--steps", type=int, default=20, help="steps of the trajectory; 0 leaves it out (default 20)")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--measure", choices=tuple(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--arm", choices=("stock", "fused", "both"), default="both", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    torch.set_num_threads(options.threads)
    if options.measure:
        print(json.dumps(MEASURES[options.measure](options, options.arm)))
        return 0

    extra = {arm: in_own_process("memory", arm)["extra"] for arm in ("stock", "fused")}
    timed = in_own_process("time", "both")
    seconds = {arm: statistics.median(values) for arm, values in timed["seconds"].items()}
    worst = max(timed["difference"].values())
    measured = {
        "gradients": worst,
        "memory": extra["fused"] / extra["stock"],
        "time": seconds["fused"] / seconds["stock"],
    }
    rows = [
        ("gradients", "relative difference", "", "", f"{worst:.1e}"),
        ("memory", "extra peak, MB", *(f"{extra[a] / 1e6:.0f}" for a in extra), f"{measured['memory']:.1%}"),
        ("time", "median seconds", *(f"{seconds[a]:.3f}" for a in seconds), f"{measured['time']:.2f}"),
    ]
    losses: dict[str, list[float]] = {}
    if options.steps:
        losses = {arm: in_own_process("trajectory", arm)["losses"] for arm in ("stock", "fused")}
        gap = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
        measured["trajectory"] = gap
        ends = (f"{curve[0]:.4f} → {curve[-1]:.4f}" for curve in losses.values())
        rows.append(("trajectory", f"loss of {options.steps} steps", *ends, f"{gap:.1e}"))

    # bf16 rounds both arms, each in its own places: the limits on numbers are meant for float32
    judged = {k: v <= LIMITS[k] for k, v in measured.items() if options.precision == "fp32" or k in ("memory", "time")}
    table = Table("", "what", "stock", "fused", "difference or ratio", "limit", "", title="Fused LM head")
    for key, *cells in rows:
        verdict = {True: "ok", False: "MISSED", None: ""}[judged.get(key)]
        table.add_row(key, *cells, f"{LIMITS[key]:g}" if key in judged else "", verdict)
    setting = {k: v for k, v in vars(options).items() if k not in ("measure", "arm", "json")}
    record = {
        "setting": setting,
        "machine": torch.cuda.get_device_name() if options.device == "cuda" else cpu_name(),
        "torch": torch.__version__,
        "measured": measured,
        "ok": judged,
        "extra_bytes": extra,
        **timed,
        "losses": losses,
    }
    Console(width=120).print(table)
    print(json.dumps({k: record[k] for k in ("setting", "machine", "torch", "measured", "ok")}))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(judged.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
