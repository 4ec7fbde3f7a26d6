"""Peak memory of a training step on CPU against what `plan=true` says (bailong/train/budget.py).

    python benchmarks/memory.py                       # tiny and middle
    python benchmarks/memory.py --shapes smollm2      # needs models/smollm2 (make smollm2)

Measured is what torch has allocated at the worst moment of a second step, parameters and optimizer included, and the
masks of dropout, which NumPy allocates. The process is larger: glibc keeps freed blocks, which a plan cannot know.
Limit: the plan is within 10 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import step as steps
import torch
from torch.profiler import ProfilerActivity, profile

from bailong.model import adapters
from bailong.model.body import of_config
from bailong.model.dropout import masks_of
from bailong.model.head import model_loss
from bailong.model.settings import Adapter
from bailong.train.budget import Budget
from bailong.train.settings import Optimizer

CHUNK, LIMIT = 256, 0.1


def planned(model: Any, shape: dict[str, Any]) -> float:
    """Bytes."""
    rows = model.get_input_embeddings().weight.shape[0]
    return Budget(
        of_config(model.config.to_dict()),
        Adapter(name="all", rank=shape["rank"], alpha=16, dropout=0.1),
        Optimizer(),
        vocabulary=rows,
        base_vocabulary=rows,
        tied=True,
        context=shape["context"],
        batch_size=shape["micro"],
        micro_batch=shape["micro"],
        steps=1,
        quantization="nf4" if shape["nf4"] else "none",
        double_quantization=False,
        dtype="float32",
        head_chunk=CHUNK,
        bf16=False,
        cuda=False,
    ).memory.total


def measured(model: Any, shape: dict[str, Any]) -> float:
    """Bytes."""
    parameters = list(adapters.trainable(model).values())
    optimizer = torch.optim.AdamW(parameters, fused=True)
    ids = torch.zeros(shape["micro"], shape["context"], dtype=torch.long)

    def step() -> None:
        hidden = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
        (model_loss(model, hidden.flatten(0, 1), ids.flatten(), chunk=CHUNK).total / ids.numel()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        step()
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "trace.json"
        watched.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    now = peak = 0
    for event in sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"]):
        now += event["args"]["Bytes"]
        peak = max(peak, now)
    kept = [*model.parameters(), *model.buffers(), *(v for s in optimizer.state.values() for v in s.values())]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in kept}
    return sum(storages.values()) + peak + _masks(model, ids)


def _masks(model: Any, ids: torch.Tensor) -> int:
    """Bytes of the masks of one forward pass of the decoder."""
    masks, total = masks_of(model), 0
    assert masks is not None
    keep = masks.keep

    def counted(x: torch.Tensor, layer: int, dropped: int) -> torch.Tensor:
        nonlocal total
        total += x.numel()
        return keep(x, layer, dropped)

    masks.keep = counted  # type: ignore[method-assign]
    with torch.no_grad():
        adapters.decoder(model)(input_ids=ids, use_cache=False)
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=steps.SHAPES, default=["tiny", "middle"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print("| shape | planned, MB | measured, MB | planned / measured |\n|---|---|---|---|")
    found: dict[str, float] = {}
    for name in options.shapes:
        shape = steps.SHAPES[name]
        model, _ = steps.adapted("ours", shape, 0.1)
        plan, peak = planned(model, shape), measured(model, shape)
        found[name] = plan / peak
        print(f"| {name} | {plan / 1e6:,.0f} | {peak / 1e6:,.0f} | {plan / peak:.3f} |", flush=True)
    print(json.dumps(found))
    return 1 if any(abs(ratio - 1) > LIMIT for ratio in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
