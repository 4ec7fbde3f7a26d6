"""Decoder layers as one compiled graph each (regional compilation), all of them sharing it.

A layer of a Llama under LoRA starts some two hundred small kernels for norms, rotations, masks and sums; compiled they
become a few. The whole model is not compiled: its layers are alike, so that one graph serves all of them, and around
them transformers builds masks and the head takes its loss in chunks. Sizes are symbols of the graph: one for all
lengths and numbers of rows, and one more for a single row. So what a run computes does not depend on which lengths came
first.

Numbers differ from those of separate kernels in the order of sums. Evaluation is never compiled: bits per byte are the
same function of the weights in every run. What the layers call that a compiler cannot look into are operations of its
own (bailong.model.dropout), and a quantized weight is dequantized in the backward pass anew, not kept.
"""

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from bailong.model.adapters import decoder


def backend_of(wanted: str, device: torch.device, deterministic: bool) -> str:
    """`trainer.compile` with `auto` resolved: `inductor` on CUDA where code can be compiled, else `none`.

    Raises:
        ValueError: inductor is asked for, and no C compiler is here.
    """
    if wanted == "auto":
        return "inductor" if device.type == "cuda" and not deterministic and _compiler() else "none"
    if wanted == "inductor" and not _compiler():
        raise ValueError(
            "trainer.compile=inductor is not accepted: it needs a C++ compiler (gcc or clang), and none is found here; "
            "accepted: none, or aot_eager"
        )
    return wanted


def compile_layers(model: Any, backend: str) -> None:
    """Compile the layers of a model's decoder where they stand; names and parameters stay as they are.

    Args:
        model: with adapters or without. backend: `inductor`, `aot_eager` (the same graphs on torch's own kernels), or
            `none`, which undoes it.
    """
    if backend != "none":
        # Kinds of layers times one row or more, in training: beyond the limit a layer would not be compiled any more
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    for layer in decoder(model).layers:
        if backend == "none":
            layer._compiled_call_impl = None
        else:
            layer.compile(backend=backend, dynamic=True)


def uncompiled(model: Any) -> AbstractContextManager[Any]:
    """Layers of the model run their own code inside."""
    compiled = any(layer._compiled_call_impl is not None for layer in decoder(model).layers)
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def refused(error: Exception) -> bool:
    """Whether the compiler could not do it."""
    from torch._dynamo.exc import TorchDynamoException  # a second to load, and only for those who compile
    from torch._inductor.exc import InductorError

    return isinstance(error, TorchDynamoException | InductorError)


def _compiler() -> str | None:
    named = os.environ.get("CXX") or os.environ.get("CC")
    return named or next(filter(None, map(shutil.which, ("g++", "gcc", "clang++", "clang", "cc"))), None)
