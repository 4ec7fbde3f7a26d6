"""Attention within the sequences of a row: it is that of the mask and of each sequence alone, and no mask is made.

`reference` stands in for torch's kernel, which needs a GPU: it does what the documentation of `varlen_attn` says, and
so holds the arguments of the call to their meaning; the kernel itself is tried by the last test, where there is a GPU.
"""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import masking_utils

from bailong.model import adapters, varlen
from bailong.model.architecture import FAMILIES
from bailong.model.head import model_loss
from bailong.model.score import autocast
from bailong.model.settings import Adapter
from bailong.model.varlen import boundaries, masked, within_sequences
from tests import families

CPU = torch.device("cpu")
KINDS = pytest.mark.parametrize("kind", sorted(families.FAMILIES))
#: one sequence fills a row; lengths of 1 at both ends; the last of a row is padding; windows are 16
ROWS = ([60], [1, 17, 30, 11, 1], [40, 20])
#: none fills a row, so nothing of [60, 60] has a reason to be
SHARED = ([1, 17, 30, 11, 1], [40, 20])


def positions(rows):
    return np.stack([np.concatenate([np.arange(length) for length in row]) for row in rows])


def ids(rows):
    generator = torch.Generator().manual_seed(len(rows))
    return torch.randint(3, 390, positions(rows).shape, generator=generator)


def trained(kind, **changes):
    """LoRA everywhere, without dropout; both halves matter."""
    model = adapters.add(families.model(kind, **changes), Adapter(name="all", rank=4, alpha=8, dropout=0.0), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapters.trainable(model).values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def loss_of(model, inputs, places, precision="32-true"):
    """The next token is the target, also from one sequence to the next: what matters is that all ways have the same."""
    with autocast(inputs.device, precision):
        hidden = adapters.decoder(model)(input_ids=inputs, use_cache=False, **places).last_hidden_state
        return model_loss(model, hidden.flatten(0, 1), inputs.flatten().roll(-1), chunk=64).total


def gradients(model, loss):
    loss.backward()
    found = {name: p.grad for name, p in adapters.trainable(model).items()}
    model.zero_grad()
    return float(loss.detach()), found


def with_mask(model, rows, precision="32-true"):
    """As transformers keeps sequences apart that it knows by their positions."""
    return gradients(model, loss_of(model, ids(rows), {"position_ids": torch.from_numpy(positions(rows))}, precision))


def without_mask(model, rows, precision="32-true"):
    with within_sequences(model, positions(rows), CPU, precision) as places:
        return gradients(model, loss_of(model, ids(rows), places, precision))


def one_by_one(model, rows):
    """Each sequence in a pass of its own, with the targets that it has in its row."""
    flat = ids(rows).flatten()
    total = torch.zeros(())
    for a, b in pairwise(boundaries(positions(rows)).tolist()):
        hidden = adapters.decoder(model)(input_ids=flat[None, a:b], use_cache=False).last_hidden_state[0]
        total = total + model_loss(model, hidden, flat.roll(-1)[a:b], chunk=64).total
    return gradients(model, total)


def assert_same(one, other, within=1e-5):
    assert one[0] == pytest.approx(other[0], rel=within)
    # Where a token sees itself alone its query has no gradient, and what is left is rounding
    least = max(gradient.norm() for gradient in other[1].values()) * 1e-3
    for name, gradient in other[1].items():
        assert (one[1][name] - gradient).norm() <= within * max(gradient.norm(), least), name


@KINDS
def test_loss_and_gradients_are_those_of_the_mask_and_of_each_sequence_alone(kind):
    model = trained(kind)
    before = model.config._attn_implementation
    found = without_mask(model, ROWS)
    assert model.config._attn_implementation == before
    assert_same(found, with_mask(model, ROWS))
    assert_same(found, one_by_one(model, ROWS))


@pytest.mark.parametrize("window", [1, 2, 16, 17, 59, 60, 61, 200])
@pytest.mark.parametrize("kind", ["cohere2", "gemma3_text", "mistral", "olmo3", "phi3", "qwen2", "qwen3", "smollm3"])
def test_windows_shorter_and_longer_than_the_sequences(kind, window):
    kinds = {} if kind in ("mistral", "phi3") else {"layer_types": ["sliding_attention", "full_attention"]}
    asked = {"use_sliding_window": True} if kind in ("qwen2", "qwen3", "smollm3") else {}
    model = trained(kind, sliding_window=window, **kinds, **asked).double()
    assert not masked(model.config)
    found = without_mask(model, ROWS)
    assert_same(found, with_mask(model, ROWS))
    assert_same(found, one_by_one(model, ROWS))


def reference(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale, window_size, enable_gqa):
    """What the documentation says of torch 2.13's `varlen_attn`, in plain sums."""
    assert query.ndim == key.ndim == value.ndim == 3 and query.dtype == key.dtype == value.dtype
    assert cu_seq_q.dtype == torch.int32 and torch.equal(cu_seq_q, cu_seq_k) and cu_seq_q.device == query.device
    assert cu_seq_q[0] == 0 and cu_seq_q[-1] == len(query) and max_q == max_k >= int(cu_seq_q.diff().max())
    assert enable_gqa or query.shape[1] == key.shape[1]
    left, right = window_size
    found = []
    for a, b in pairwise(cu_seq_q.tolist()):
        k, v = (x[a:b].repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (key, value))
        ahead = torch.arange(b - a) - torch.arange(b - a)[:, None]
        hidden = (ahead > right) | ((ahead < -left) if left >= 0 else False)
        weights = (torch.einsum("qhd,khd->hqk", query[a:b], k) * scale).masked_fill(hidden, -torch.inf).softmax(-1)
        found.append(torch.einsum("hqk,khd->qhd", weights, v))
    return torch.cat(found)


@pytest.fixture
def kernel(monkeypatch):
    """Models are told that the kernel runs here; the dtypes it was called with."""
    called = []

    def stand_in(query, *rest, **named):
        called.append(query.dtype)
        return reference(query, *rest, **named)

    monkeypatch.setattr(varlen, "_has_kernel", lambda *_: True)
    monkeypatch.setattr(varlen, "varlen_attn", stand_in)
    return called


@KINDS
def test_the_kernel_is_asked_for_the_same_attention(kind, kernel):
    model = trained(kind)
    assert_same(without_mask(model, ROWS), with_mask(model, ROWS))
    assert len(kernel) == (0 if FAMILIES[kind].eager else model.config.num_hidden_layers)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "cohere", "olmo2"])  # with norms of queries and keys and without
def test_the_kernel_has_one_half_precision_whatever_the_norms_leave(kind, kernel):
    model = trained(kind, **({"use_qk_norm": True} if kind == "cohere" else {}))
    found = without_mask(model, ROWS, "bf16-mixed")
    assert set(kernel) == {torch.bfloat16}
    assert_same(found, with_mask(model, ROWS, "bf16-mixed"), within=0.1)


def test_torchs_own_operator_takes_the_call_and_has_a_gradient(monkeypatch):
    """On the meta device, where it computes shapes alone; compiled as a whole too."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # autocast knows no meta device
    for attend in (varlen._varlen, torch.compile(varlen._varlen, fullgraph=True, backend="aot_eager")):
        query, key, value = (
            torch.empty(2, heads, 12, 16, dtype=torch.bfloat16, device="meta", requires_grad=True)
            for heads in (4, 2, 2)
        )
        ends = torch.empty(4, dtype=torch.int32, device="meta")
        given = {"scaling": 0.2, "cu_seq_lens_q": ends, "max_length_q": 12, "sliding_window": 4}
        found, _ = attend(torch.nn.Module(), query, key, value, None, **given)
        assert found.shape == (2, 12, 4, 16)
        found.sum().backward()
        assert query.grad.shape == query.shape and key.grad.shape == value.grad.shape == key.shape


class Squares(TorchDispatchMode):
    """Counts tensors whose last two sizes are a square of `side`."""

    def __init__(self, side):
        super().__init__()
        self.side, self.seen = side, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.seen += sum(x.shape[-2:] == (self.side,) * 2 for x in tree_leaves(made) if isinstance(x, torch.Tensor))
        return made


@pytest.mark.parametrize("kind", sorted({*families.FAMILIES} - {"gemma2"}))
def test_nothing_of_the_square_of_a_row_is_made(kind):
    model = trained(kind)
    with Squares(60) as ours:
        without_mask(model, SHARED)
    with Squares(60) as theirs:
        with_mask(model, SHARED)
    assert ours.seen == 0 < theirs.seen


def test_layers_are_computed_again_as_they_were(monkeypatch):
    """Gradient checkpointing asks for the attention anew in the backward pass."""
    model = trained("qwen2").train()
    calls = []
    real = varlen.sdpa_attention_forward

    def counted(*given, **named):
        calls.append(1)
        return real(*given, **named)

    monkeypatch.setattr(varlen, "sdpa_attention_forward", counted)
    plain = without_mask(model, ROWS)
    once = len(calls)
    model.get_base_model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    again = without_mask(model, ROWS)
    assert len(calls) == 3 * once == 3 * 2 * 8  # twice in the second step, in two layers with eight sequences
    assert_same(again, plain, within=1e-7)


def test_compiled_layers_are_traced_for_shapes_and_not_for_lengths():
    model = families.model("llama", num_hidden_layers=1)
    mixtures = (SHARED, ([20, 40], [30, 1, 29]), ([2] * 30, [59, 1]))
    wanted = [without_mask(model, rows) for rows in mixtures]
    for layer in adapters.decoder(model).layers:
        layer.compile(backend="aot_eager")
    torch._dynamo.reset()
    stats = torch._dynamo.utils.counters["stats"]
    stats.clear()
    traced = []
    for rows, plain in zip(mixtures, wanted, strict=True):
        assert_same(without_mask(model, rows), plain)
        traced.append(stats["unique_graphs"])
    assert 0 < traced[0] <= traced[1] == traced[2]


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("gemma2", {}),
        ("gemma2", {"attn_logit_softcapping": None}),
        ("gemma3_text", {"attn_logit_softcapping": 5.0}),
        ("llama", {"attention_dropout": 0.1}),
        ("llama", {"attn_implementation": "eager"}),
        ("llama", {"layer_types": ["chunked_attention", "full_attention"]}),
        ("smollm3", {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}),
    ],
    ids=lambda x: x if isinstance(x, str) else ",".join(x),
)
def test_what_is_more_than_causal_keeps_the_mask(kind, odd):
    assert masked(families.config(kind, **({"attn_implementation": "sdpa"} | odd)))
    assert kind == "gemma2" or not masked(families.config(kind, attn_implementation="sdpa"))


def test_a_model_that_keeps_the_mask_is_told_positions_alone():
    model = families.model("gemma2")
    with within_sequences(model, positions(ROWS), CPU, "32-true") as places:
        assert list(places) == ["position_ids"] and model.config._attn_implementation == "eager"


def test_one_sequence_a_row_needs_nothing_and_a_failure_leaves_nothing_behind():
    model = families.model("llama")
    with within_sequences(model, None, CPU, "32-true") as places:
        assert places == {} and model.config._attn_implementation == "sdpa"
    with pytest.raises(RuntimeError, match="inside"), within_sequences(model, positions(ROWS), CPU, "32-true"):
        assert model.config._attn_implementation == varlen.APART
        raise RuntimeError("inside")
    assert model.config._attn_implementation == "sdpa"


@KINDS
def test_on_a_gpu_nobody_asks_whether_positions_begin_anew(kind, monkeypatch):
    """The very numbers of today's way; where windows or caps need a mask it is made as ever."""
    model = trained(kind)
    asked = []
    real = masking_utils.find_packed_sequence_indices
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda *p: (asked.append(1), real(*p))[1])
    wanted = gradients(model, loss_of(model, ids(ROWS), {}, "32-true"))
    assert asked
    asked.clear()
    with within_sequences(model, None, torch.device("cuda"), "32-true") as places:
        found = gradients(model, loss_of(model, ids(ROWS), places, "32-true"))
    assert_same(found, wanted, within=1e-7)
    windowed = masked(model.config) or getattr(model.config, "sliding_window", None) is not None
    assert bool(asked) == windowed


def test_boundaries():
    assert boundaries(positions(ROWS)).tolist() == [0, 60, 61, 78, 108, 119, 120, 160, 180]
    assert boundaries(positions([[1]])).tolist() == [0, 1] and boundaries(positions(ROWS)).dtype == np.int32


def test_the_kernel_is_for_half_precision_and_its_own_widths():
    llama, odd = families.config("llama"), families.config("llama", head_dim=20)
    cuda = torch.device("cuda")
    assert not varlen._has_kernel(llama, CPU, "bf16-mixed")
    assert not varlen._has_kernel(llama, cuda, "32-true") and not varlen._has_kernel(odd, cuda, "bf16-mixed")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@KINDS
def test_cuda_equals_the_mask(kind):
    model = trained(kind).cuda()
    inputs, places = ids(ROWS).cuda(), positions(ROWS)
    assert masked(model.config) or varlen._has_kernel(model.config, inputs.device, "bf16-mixed")
    wanted = gradients(model, loss_of(model, inputs, {"position_ids": torch.from_numpy(places).cuda()}, "bf16-mixed"))
    with within_sequences(model, places, inputs.device, "bf16-mixed") as given:
        found = gradients(model, loss_of(model, inputs, given, "bf16-mixed"))
    assert_same(found, wanted, within=0.1)
