"""The fused head: the same loss and gradients as full logits, without the full logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import LlamaConfig, LlamaForCausalLM

from bailong.model.architecture import PLAIN, Logits
from bailong.model.head import IGNORE, fused_cross_entropy, head_loss

TOKENS, HIDDEN, VOCABULARY, RANK = 37, 16, 203, 4
EVERYWHERE = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"]


def tensors(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor]:
    """Random h, W, A, B that require gradients, and targets of which every fifth is ignored."""
    generator = torch.Generator().manual_seed(0)
    shapes = (TOKENS, HIDDEN), (VOCABULARY, HIDDEN), (RANK, HIDDEN), (VOCABULARY, RANK)
    leaves = [torch.randn(*s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]
    targets = torch.randint(0, VOCABULARY, (TOKENS,), generator=generator)
    targets[::5] = IGNORE
    return leaves, targets


def naive(h: Tensor, w: Tensor, a: Tensor, b: Tensor, targets: Tensor, scaling: float, made: Logits = PLAIN) -> Tensor:
    logits = made.scale * (h @ w.T + scaling * (h @ a.T) @ b.T)
    if made.cap is not None:
        logits = made.cap * torch.tanh(logits / made.cap)
    return F.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORE)


def lora_llama(dropout: float, seed: int = 0) -> Any:
    """A tied two-layer Llama with separate, non-zero adapters everywhere, in train mode."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=HIDDEN,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
    )
    lora = LoraConfig(r=RANK, lora_alpha=2, lora_dropout=dropout, target_modules=EVERYWHERE)
    model = get_peft_model(LlamaForCausalLM(config), lora)
    for name, parameter in model.named_parameters():
        if "lora" in name:
            nn.init.normal_(parameter, std=0.1)
    return model.train()


MADE = pytest.mark.parametrize(
    "made",
    [PLAIN, Logits(0.0625), Logits(8.0), Logits(1.0, 3.0), Logits(0.5, 2.0)],
    ids=lambda m: f"{m.scale}, {m.cap}",
)


@MADE
@pytest.mark.parametrize("chunk", [1, 7, 29, 30, 1000])
def test_loss_and_all_gradients_equal_full_logits(chunk: int, made: Logits) -> None:
    leaves, targets = tensors()
    h, w, a, b = leaves
    loss = fused_cross_entropy(h, w, targets, lora_a=a, lora_b=b, scaling=0.25, logits=made, chunk=chunk)
    expected = naive(h, w, a, b, targets, 0.25, made)
    torch.testing.assert_close(loss.total, expected, rtol=1e-12, atol=0)
    ours = torch.autograd.grad(loss.total / 7, leaves)
    theirs = torch.autograd.grad(expected / 7, leaves)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-10, atol=1e-12)


@MADE
def test_scale_and_cap_are_in_the_loss_without_gradients_and_without_adapters(made: Logits) -> None:
    (h, w, a, b), targets = tensors()
    with torch.no_grad():
        found = fused_cross_entropy(h, w, targets, logits=made, chunk=8).total
        torch.testing.assert_close(found, naive(h, w, 0 * a, b, targets, 0.0, made), rtol=1e-12, atol=0)


@MADE
def test_bf16_autocast_rounds_products_and_neither_scale_nor_cap(made: Logits) -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = fused_cross_entropy(h, w, targets, lora_a=a, lora_b=b, scaling=0.25, logits=made, chunk=8)
    assert loss.total.dtype == torch.float32
    expected = naive(h, w, a, b, targets, 0.25, made)
    assert float((loss.total - expected).detach().abs()) <= 0.01 * float(expected.detach())
    ours, theirs = (torch.autograd.grad(total, [h, w, a, b]) for total in (loss.total, expected))
    for mine, reference in zip(ours, theirs, strict=True):
        assert (mine - reference).norm() <= 0.05 * reference.norm()


def test_nll_is_in_the_order_of_the_targets_and_zero_where_ignored() -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    loss = fused_cross_entropy(h.view(1, TOKENS, HIDDEN), w, targets.view(1, TOKENS), lora_a=a, lora_b=b, chunk=8)
    expected = F.cross_entropy(h @ w.T + h @ a.T @ b.T, targets, reduction="none", ignore_index=IGNORE)
    assert loss.nll.shape == (1, TOKENS) and not loss.nll.requires_grad
    torch.testing.assert_close(loss.nll[0], expected.detach(), rtol=1e-5, atol=1e-5)
    assert (loss.nll[0, ::5] == 0).all()
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total.detach(), loss.nll.sum())


def test_ignored_rows_get_no_gradient_and_may_hold_anything() -> None:
    (h, w, a, b), targets = tensors()
    poisoned = h.detach().clone()
    poisoned[::5] = float("nan")
    poisoned.requires_grad_()
    loss = fused_cross_entropy(poisoned, w, targets, lora_a=a, lora_b=b)
    (dh,) = torch.autograd.grad(loss.total, poisoned)
    assert loss.total.isfinite() and (dh[::5] == 0).all() and dh.isfinite().all()


def test_no_target_at_all_is_zero_with_zero_gradients() -> None:
    (h, w, a, b), targets = tensors()
    loss = fused_cross_entropy(h, w, torch.full_like(targets, IGNORE), lora_a=a, lora_b=b)
    assert loss.total.item() == 0
    assert all((g == 0).all() for g in torch.autograd.grad(loss.total, [h, w, a, b]))


def test_a_frozen_weight_gets_no_gradient_and_a_plain_head_works() -> None:
    (h, w, a, b), targets = tensors()
    frozen = w.detach()
    fused_cross_entropy(h, frozen, targets, lora_a=a, lora_b=b).total.backward()
    assert frozen.grad is None and b.grad is not None
    plain = fused_cross_entropy(h, w, targets, chunk=4)
    expected = F.cross_entropy(h @ w.T, targets, reduction="sum")
    for mine, reference in zip(
        torch.autograd.grad(plain.total, [h, w]), torch.autograd.grad(expected, [h, w]), strict=True
    ):
        torch.testing.assert_close(mine, reference)


def test_extreme_logits_stay_finite() -> None:
    (h, w, _, _), targets = tensors(torch.float32)
    loss = fused_cross_entropy(h * 1e3, w, targets, chunk=8)
    torch.testing.assert_close(loss.total, F.cross_entropy(1e3 * h @ w.T, targets, reduction="sum"), rtol=1e-5, atol=0)
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss.total, [h, w]))


def test_second_backward_is_refused() -> None:
    (h, w, _, _), targets = tensors()
    total = fused_cross_entropy(h, w, targets).total
    total.backward(retain_graph=True)
    with pytest.raises(AssertionError, match="runs once"):
        total.backward()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_equals_the_stock_peft_model(dropout: float) -> None:
    """One forward and backward of the real thing; with dropout under the same seed, and with ignored targets."""
    model = lora_llama(dropout)
    ids = torch.randint(0, VOCABULARY, (3, 11), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[0, :6] = IGNORE

    torch.manual_seed(5)
    logits = model(input_ids=ids).logits
    stock = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")
    stock.backward()
    reference = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    torch.manual_seed(5)
    llama = model.get_base_model()
    hidden = llama.model(input_ids=ids).last_hidden_state
    shifted = F.pad(labels[:, 1:], (0, 1), value=IGNORE)
    loss = head_loss(llama.lm_head, hidden, shifted, chunk=8)
    loss.total.backward()

    torch.testing.assert_close(loss.total, stock, rtol=1e-6, atol=0)
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    assert gradients.keys() == reference.keys() and all("lora" in n for n in gradients)
    for name, gradient in gradients.items():
        assert (gradient - reference[name]).norm() <= 1e-5 * reference[name].norm(), name


def test_eval_disabled_and_merged_adapters_follow_peft() -> None:
    model = lora_llama(dropout=0.5)
    model.eval()
    llama = model.get_base_model()
    hidden = torch.randn(9, HIDDEN, generator=torch.Generator().manual_seed(2))
    targets = torch.arange(9)

    def check() -> None:
        with torch.no_grad():
            loss = head_loss(llama.lm_head, hidden, targets, chunk=4)
            assert not loss.total.requires_grad
            torch.testing.assert_close(loss.nll, F.cross_entropy(llama.lm_head(hidden), targets, reduction="none"))

    check()
    with model.disable_adapter():
        check()
    llama.lm_head.merge()
    check()


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.elements = max(self.elements, leaf.numel())
        return out


@pytest.mark.parametrize("made", [PLAIN, Logits(0.5, 2.0)], ids=["plain", "capped"])
@pytest.mark.parametrize("gradient", [True, False])
def test_never_holds_more_than_chunk_times_vocabulary(gradient: bool, made: Logits) -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    chunk = 20
    kept = int((targets != IGNORE).sum())
    assert HIDDEN < chunk < kept  # the weight itself is smaller than a chunk, and a chunk than all logits
    with torch.set_grad_enabled(gradient), LargestTensor() as largest:
        loss = fused_cross_entropy(h, w.detach(), targets, lora_a=a, lora_b=b, logits=made, chunk=chunk)
        if gradient:
            loss.total.backward()
    assert largest.elements == chunk * VOCABULARY
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, lambda t: t):
        fused_cross_entropy(h, w.detach(), targets, lora_a=a, lora_b=b, chunk=chunk)
    assert max(saved) <= TOKENS * HIDDEN


def test_bf16_autocast_keeps_float32_statistics_and_masters() -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    low_h, low_w = h.detach().bfloat16().requires_grad_(), w.detach().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = fused_cross_entropy(low_h, low_w, targets, lora_a=a, lora_b=b, scaling=0.25, chunk=8)
    ours = torch.autograd.grad(loss.total, [low_h, a, b])
    assert loss.total.dtype == loss.nll.dtype == torch.float32
    assert [g.dtype for g in ours] == [torch.bfloat16, torch.float32, torch.float32]
    exact = naive(h, w, a, b, targets, 0.25)
    torch.testing.assert_close(loss.total, exact, rtol=1e-2, atol=0)
    for mine, reference in zip(ours, torch.autograd.grad(exact, [h, a, b]), strict=True):
        assert (mine.float() - reference).norm() <= 2e-2 * reference.norm()


def test_bf16_states_without_autocast_beside_float32_adapters() -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    low_h = h.detach().bfloat16().requires_grad_()
    loss = fused_cross_entropy(low_h, w.detach().bfloat16(), targets, lora_a=a, lora_b=b, chunk=8)
    gradients = torch.autograd.grad(loss.total, [low_h, a, b])
    assert [g.dtype for g in gradients] == [torch.bfloat16, torch.float32, torch.float32]
    torch.testing.assert_close(loss.total, naive(h, w, a, b, targets, 1.0), rtol=1e-2, atol=0)


@pytest.mark.skipif(not hasattr(F, "linear_cross_entropy"), reason="torch below 2.13 has no linear_cross_entropy")
def test_agrees_with_torch_own_fused_loss() -> None:
    (h, w, a, b), targets = tensors(torch.float32)
    loss = fused_cross_entropy(h, w, targets, lora_a=a, lora_b=b, scaling=0.25, chunk=8)
    both = torch.cat([h, 0.25 * h @ a.T], 1), torch.cat([w, b], 1)
    expected = F.linear_cross_entropy(*both, targets, reduction="sum")
    torch.testing.assert_close(loss.total, expected, rtol=1e-5, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cuda_equals_cpu(dtype: torch.dtype) -> None:
    leaves, targets = tensors(torch.float32)
    h, w, a, b = leaves
    exact = torch.autograd.grad(naive(h, w, a, b, targets, 0.25), leaves)
    h, w, a, b = moved = [t.detach().cuda().requires_grad_() for t in leaves]
    with torch.autocast("cuda", torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss = fused_cross_entropy(h, w, targets.cuda(), lora_a=a, lora_b=b, scaling=0.25, chunk=8)
    for mine, reference in zip(torch.autograd.grad(loss.total, moved), exact, strict=True):
        assert (mine.cpu() - reference).norm() <= (1e-5 if dtype == torch.float32 else 2e-2) * reference.norm()
