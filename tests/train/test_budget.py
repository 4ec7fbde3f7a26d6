"""The closed forms of the budget, each against a real model."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, get_peft_model
from rich.console import Console
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model import adapters, backbone
from bailong.model.body import Body, of_shape
from bailong.model.dropout import Masks
from bailong.model.head import head_loss, model_loss
from bailong.model.lora import fuse
from bailong.model.settings import Adapter, Shape
from bailong.run.provenance import root
from bailong.train.budget import Budget, activation_bytes, count_parameters, flops_per_token, peak_flops
from bailong.train.plan import plan_table, rows
from bailong.train.settings import Optimizer

SEVEN_B = of_shape(Shape(hidden=4096, layers=32, heads=32, kv_heads=32, intermediate=11008, vocabulary=32_000))
THIRTEEN_B = of_shape(Shape(hidden=5120, layers=40, heads=40, kv_heads=40, intermediate=13824, vocabulary=32_000))
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PAIR = ["embed_tokens", "lm_head"]
ALL, LINEARS_ONLY = Adapter(name="all"), Adapter(name="linears", pair=False)
PAIR_ONLY, FULL = Adapter(name="pair", linears=False), Adapter(name="full", linears=False, pair=False)
ADAPTERS = pytest.mark.parametrize("adapter", [ALL, LINEARS_ONLY, PAIR_ONLY, FULL], ids=lambda a: a.name)


def tiny(layers: int = 3, kv_heads: int = 2) -> Body:
    return of_shape(Shape(hidden=64, layers=layers, heads=4, kv_heads=kv_heads, intermediate=176, vocabulary=300))


def llama(
    shape: Body, adapter: Adapter, *, tied: bool = True, attention: str = "sdpa", dtype: torch.dtype = torch.float32
) -> Any:
    """The real model of a shape, in train mode. PEFT wraps it unless the adapter is `full`."""
    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=tied,
        attn_implementation=attention,  # pyright: ignore[reportCallIssue]
        use_cache=False,
    )
    model: Any = LlamaForCausalLM(config)
    model = model.to(dtype)
    targets = (LINEARS if adapter.linears else []) + (PAIR if adapter.pair else [])
    if not targets:
        return model.train()
    lora = LoraConfig(r=adapter.rank, lora_alpha=16, lora_dropout=adapter.dropout, target_modules=targets)
    model = get_peft_model(model, lora)
    fuse(model, Masks())
    return model.train()


def base_of(model: Any) -> Any:
    return model if isinstance(model, LlamaForCausalLM) else model.get_base_model()


@pytest.mark.parametrize(
    ("shape", "adapter", "tied", "trainable", "packed", "printed"),
    [
        (SEVEN_B, ALL, True, 168_018_816, 3_649_061_760, "4.60 %"),
        (SEVEN_B, LINEARS_ONLY, False, 159_907_840, 3_883_724_800, "4.12 %"),
        (THIRTEEN_B, ALL, True, 258_589_568, 6_906_356_608, "3.74 %"),
        (THIRTEEN_B, LINEARS_ONLY, False, 250_347_520, 7_201_582_080, "3.48 %"),
    ],
    ids=["7B CPT", "7B SFT", "13B CPT", "13B SFT"],
)
def test_the_percentages_of_the_paper(
    shape: Body, adapter: Adapter, tied: bool, trainable: int, packed: int, printed: str
) -> None:
    budget = Budget(
        shape, adapter, Optimizer(), vocabulary=59_271, base_vocabulary=32_000, tied=tied,
        context=2048, batch_size=64, micro_batch=4, steps=10,
    )  # fmt: skip
    assert budget.parameters.trainable == trainable
    assert budget.parameters.packed == packed
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(plan_table(budget))
    text = console.export_text()
    assert printed in text and f"{trainable:,}" in text and "27,271 new" in text


@pytest.mark.parametrize(("name", "parameters"), [("llama3_8b", 8_030_261_248), ("mistral_7b", 7_241_732_096)])
def test_the_bases_of_question_answering_are_as_large_as_their_checkpoints(name: str, parameters: int) -> None:
    """The elements of their safetensors on the Hub (model cards: 8.03B and 7.24B)."""
    recorded = yaml.safe_load((root() / "tests" / "presets.yaml").read_text())[f"model/{name}"]
    sizes = {key.removeprefix("shape."): value for key, value in recorded.items() if key.startswith("shape.")}
    body = of_shape(Shape(**sizes))
    assert count_parameters(body, body.vocabulary, body.tied, FULL, "none").true == parameters
    assert recorded["tie"] == "keep"


@ADAPTERS
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_equal_the_real_model(adapter: Adapter, tied: bool) -> None:
    shape = tiny()
    with torch.device("meta"):
        model = llama(shape, adapter, tied=tied)
    counted = count_parameters(shape, shape.vocabulary, tied, adapter, "none")
    assert counted.true == counted.packed == sum(p.numel() for p in model.parameters())
    assert counted.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("linears", [True, False])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("rows", ["lora", "shared", "trainable_new", "composed", "full"])
def test_trained_rows_are_counted_as_they_are(rows: str, tied: bool, linears: bool) -> None:
    if rows == "shared" and not tied:
        pytest.skip("one adapter of two matrices is none")
    shape, new = tiny(), 7
    adapter = Adapter(name="x", linears=linears, rows=rows, rank=4, dropout=0.0)
    model = llama(shape, FULL, tied=tied, attention="eager")
    grown = range(shape.vocabulary - new, shape.vocabulary)
    real = adapters.add(model, adapter, seed=0, new=grown, parts=lambda: [[(i, 1.0)] for i in range(new)])
    counted = count_parameters(shape, shape.vocabulary, tied, adapter, "none", new)
    found = backbone.count(real)
    assert (counted.true, counted.packed, counted.trainable) == (found["true"], found["packed"], found["trainable"])
    ids = torch.randint(0, shape.vocabulary, (2, 64), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        model_loss(real, adapters.decoder(real)(input_ids=ids).last_hidden_state, ids, chunk=48).total.backward()
    flops = flops_per_token(shape, shape.vocabulary, adapter, 64, new=new)
    assert counter.get_total_flops() / ids.numel() == pytest.approx(flops.model + 3 * flops.attention, rel=0.02)


@ADAPTERS
@pytest.mark.parametrize("checkpointing", [False, True], ids=["plain", "checkpointed"])
def test_flops_equal_the_counted_ones(adapter: Adapter, checkpointing: bool) -> None:
    """Forward and backward with the fused head, counted by torch, within 2 %."""
    shape, context = tiny(), 64
    model = llama(shape, adapter, attention="eager")
    base = base_of(model)
    if checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if adapter.present:
            base.enable_input_require_grads()  # as PEFT does where checkpointing is on before it comes
    ids = torch.randint(0, shape.vocabulary, (2, context), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        hidden = base.model(input_ids=ids).last_hidden_state
        loss = head_loss(base.lm_head, hidden, ids, chunk=48)
        loss.total.backward()
    counted = counter.get_total_flops() / ids.numel()

    flops = flops_per_token(shape, shape.vocabulary, adapter, context, checkpointing)
    # eager attention multiplies the masked half of the square too, and has no flash backward
    expected = flops.model + 3 * flops.attention
    if checkpointing:
        expected += flops.recompute - flops.attention / 2 + flops.attention
    assert counted == pytest.approx(expected, rel=0.02)


def test_flops_of_the_paper_model() -> None:
    flops = flops_per_token(SEVEN_B, 59_271, ALL, 2048)
    assert flops.forward == pytest.approx(14.30e9, rel=1e-3)
    assert flops.model == pytest.approx(29.47e9, rel=1e-3)
    assert flops.hardware == pytest.approx(29.74e9, rel=1e-3)
    assert flops_per_token(SEVEN_B, 59_271, ALL, 2048, True).hardware == pytest.approx(43.55e9, rel=1e-3)


def saved_bytes(shape: Body, adapter: Adapter, tokens: int, bf16: bool) -> int:
    """Bytes that the real decoder saves for its backward pass, each storage counted once, parameters left out."""
    dtype = torch.bfloat16 if bf16 and adapter.present else torch.float32
    model = llama(shape, adapter, dtype=dtype)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in parameters:
            kept[place] = tensor
        return tensor

    ids = torch.zeros(1, tokens, dtype=torch.long)
    with (
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        output = base_of(model).model(input_ids=ids)
    assert output.last_hidden_state.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("adapter", [ALL, Adapter(name="still", dropout=0.0), PAIR_ONLY, FULL], ids=lambda a: a.name)
@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_activations_equal_the_saved_tensors(adapter: Adapter, bf16: bool) -> None:
    """What one more layer saves for one more token: the casts of weights and the ends of the model drop out."""

    def per_token(layers: int) -> float:
        shape = tiny(layers)
        return (saved_bytes(shape, adapter, 128, bf16) - saved_bytes(shape, adapter, 64, bf16)) / 64

    expected = activation_bytes(tiny(), adapter, compute=2 if bf16 else 4)
    assert per_token(3) - per_token(2) == pytest.approx(expected, rel=0.01)


def test_memory_moves_the_way_it_must() -> None:
    def total(**change: Any) -> float:
        settings: dict[str, Any] = {
            "vocabulary": 59_271, "base_vocabulary": 32_000, "tied": True,
            "context": 2048, "batch_size": 64, "micro_batch": 4, "steps": 1,
        } | change  # fmt: skip
        return Budget(SEVEN_B, ALL, Optimizer(), **settings).memory.total

    assert total(gradient_checkpointing=True) < 0.4 * total()
    assert total(micro_batch=8) > 1.7 * total()
    assert total(quantization="none") - total() == pytest.approx(6_476_005_376 * (2 - 0.51587), rel=1e-3)
    assert total(cuda=False) > total()  # fp32 AdamW
    # head_chunk bounds the logits: all 8,192 rows at once hold 7,168 more than the default 1,024
    assert total(head_chunk=8192) - total() == pytest.approx(7168 * 59_271 * 6)
    assert total(micro_batch=1, gradient_checkpointing=True) < 24e9  # QLoRA of 7B fits a 24 GB card


def test_steps_tokens_and_unknown_lengths() -> None:
    def plan(**length: Any):
        return Budget(
            SEVEN_B, ALL, Optimizer(), vocabulary=59_271, base_vocabulary=32_000, tied=True,
            context=2048, batch_size=64, micro_batch=4, **length,
        )  # fmt: skip

    assert plan(steps=10).tokens == 10 * 64 * 2048
    assert plan(tokens=13_000_000_000).steps == 99_182
    unknown = plan()
    assert unknown.steps is None and unknown.tokens is None and unknown.total_flops is None
    assert ("steps", "unknown", "") in rows(unknown)
    flops = plan(steps=10).total_flops
    assert flops == pytest.approx(29.47e9 * 10 * 64 * 2048, rel=1e-3)


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("NVIDIA H200", "bfloat16", 989e12),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989e12),
        ("NVIDIA H100 PCIe", "bfloat16", 756e12),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312e12),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "bfloat16", None),
        ("NVIDIA GeForce RTX 3090", "bfloat16", 71e12),
        ("NVIDIA GeForce RTX 3090 Ti", "bfloat16", 80e12),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165.2e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16", None),
        ("NVIDIA L4", "bfloat16", 121e12),
        ("NVIDIA L40S", "bfloat16", 362e12),
        ("NVIDIA A10G", "bfloat16", 70e12),
        ("Tesla V100-SXM2-16GB", "float16", 125e12),
        ("Tesla V100-SXM2-16GB", "bfloat16", None),
        ("Tesla T4", "float16", 65e12),
        ("NVIDIA B200", "bfloat16", 2250e12),
        ("cpu", "float32", None),
        ("AMD EPYC", "bfloat16", None),
    ],
)
def test_peak_flops(device: str, dtype: str, expected: float | None) -> None:
    assert peak_flops(device, dtype) == expected


def test_needs_no_torch() -> None:
    code = "import sys, bailong.train.budget; assert not {'torch', 'transformers', 'peft'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
