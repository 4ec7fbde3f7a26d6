"""Compiled layers: the numbers of the uncompiled ones, one graph for all of them, nothing dense kept."""

import dataclasses

import pytest
import torch
from torch._dynamo.utils import counters

from bailong.model import adapters, compiled
from bailong.model.backbone import linear4bit
from bailong.model.compiled import backend_of, compile_layers, uncompiled
from bailong.model.dropout import masks_of
from bailong.model.settings import Adapter
from benchmarks import step
from tests import families
from tests.model.test_lora import apart, llama

ALL = Adapter(name="all", rank=4, alpha=8, dropout=0.3)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forgotten():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def gradients(model, ids, number):
    """Of the loss at a place in training; and the loss."""
    masks = masks_of(model)
    if masks is not None:
        masks.at(7, number, 0, 0)
    states = adapters.decoder(model)(input_ids=ids, use_cache=False).last_hidden_state
    loss = states.square().mean()
    parameters = adapters.trainable(model)
    named = [(name, p) for name, p in parameters.items() if "lm_head" not in name]
    found = torch.autograd.grad(loss, [p for _, p in named])
    return {"loss": loss.detach(), **dict(zip([name for name, _ in named], found, strict=True))}


def base(four_bit):
    model = llama()
    if four_bit:
        pytest.importorskip("bitsandbytes")
        step.four_bit(model)
    return model


def compared(model, shapes, backend="aot_eager"):
    """How far compiled layers are from their own code, at several lengths and numbers of rows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapters.trainable(model).values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    compile_layers(model, backend)
    worst = 0.0
    for number, shape in enumerate(shapes):
        ids = torch.randint(3, 90, shape, generator=generator)
        ours = gradients(model, ids, number)
        with uncompiled(model):
            worst = max(worst, apart(gradients(model, ids, number), ours))
    assert not counters["graph_break"], "each layer is one graph"
    return worst


@pytest.mark.parametrize("kind", sorted(families.FAMILIES))
def test_loss_and_gradients_of_every_architecture(kind):
    """Dropout with the same masks; windows, caps and norms of heads with them."""
    model = adapters.add(families.model(kind), ALL, seed=0)
    # traced as for any backend, and run as it was traced: what a backend makes of it is tried on one of them
    assert compared(model, [(2, 40)], backend="eager") < 1e-5
    assert counters["stats"]["unique_graphs"] > 0


def test_one_graph_serves_all_layers_and_all_lengths_and_keeps_nothing_dense():
    """Dequantized weights that were kept between the passes would be 13 GB of a 7B model."""
    model = adapters.add(base(four_bit=True), ALL, seed=0)
    assert len(adapters.decoder(model).layers) > 1
    assert compared(model, [(2, 40), (2, 24), (5, 33), (3, 7)]) < 1e-5
    assert counters["stats"]["unique_graphs"] == 1

    dense = {tuple(layer.weight.quant_state.shape) for layer in linear4bit(model)}
    kept: list[tuple[int, ...]] = []

    def pack(tensor):
        if tensor.is_floating_point() and not tensor.requires_grad:
            kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        adapters.decoder(model)(input_ids=torch.randint(3, 90, (2, 40)), use_cache=False)
    assert kept and dense and not dense & {*kept, *(shape[::-1] for shape in kept)}
    assert counters["stats"]["unique_graphs"] == 1


def test_shared_masks_too():
    settings = dataclasses.replace(ALL, shared_dropout=True)
    assert compared(adapters.add(llama(), settings, seed=0), [(2, 40), (3, 24)], backend="eager") < 1e-5
    assert counters["stats"]["unique_graphs"] == 1


def test_under_checkpointing_too():
    model = llama()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert compared(adapters.add(model, ALL, seed=0), [(2, 40)], backend="eager") < 1e-5
    assert counters["stats"]["unique_graphs"] > 0


def test_full_training_too():
    model = adapters.add(llama(), Adapter(name="full", linears=False, pair=False), seed=0)
    assert compared(model, [(2, 40)], backend="eager") < 1e-5
    assert counters["stats"]["unique_graphs"] > 0


def test_evaluation_is_not_compiled_and_none_undoes_it():
    model = adapters.add(llama(), ALL, seed=0)
    compile_layers(model, "aot_eager")
    model.eval()
    ids = torch.randint(3, 90, (2, 40))
    with uncompiled(model), torch.no_grad():
        adapters.decoder(model)(input_ids=ids, use_cache=False)
    assert not counters["stats"]
    compile_layers(model, "none")
    adapters.decoder(model)(input_ids=ids, use_cache=False)
    assert not counters["stats"]


def test_what_auto_stands_for(monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    for key in ("CC", "CXX"):
        monkeypatch.delenv(key, raising=False)
    cuda = torch.device("cuda")
    assert backend_of("auto", cuda, False) == "none", "no compiler"
    with pytest.raises(ValueError, match="trainer.compile=inductor is not accepted: it needs a C"):
        backend_of("inductor", CPU, False)
    monkeypatch.setenv("CC", "cc")
    assert backend_of("auto", cuda, False) == "inductor"
    assert backend_of("auto", cuda, True) == "none", "deterministic"
    assert backend_of("auto", CPU, False) == "none"
    assert backend_of("inductor", CPU, False) == "inductor" and backend_of("none", cuda, False) == "none"
