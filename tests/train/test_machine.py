"""What a run chooses by its machine: as much as fits, once, and written down."""

import dataclasses
import json

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from bailong.model import adapters
from bailong.model.body import of_shape
from bailong.model.settings import Adapter, Shape
from bailong.run import metrics
from bailong.train import machine, train
from bailong.train.assemble import assemble
from bailong.train.audit import audit
from bailong.train.budget import Budget
from bailong.train.plan import plan
from bailong.train.room import ENOUGH, LEAST, SHARE, candidates, fitting, planned
from bailong.train.settings import Audit, Optimizer, Trainer
from tests import tiny

OPEN = Trainer(name="open", micro_batch="auto", gradient_checkpointing="auto")
SEVEN_B = Budget(
    of_shape(Shape(hidden=4096, layers=32, heads=32, kv_heads=32, intermediate=11008, vocabulary=32_000)),
    Adapter(name="all"),
    Optimizer(),
    vocabulary=59_271,
    base_vocabulary=32_000,
    tied=True,
    context=2048,
    batch_size=64,
    micro_batch=1,
)


def settings(bench, outputs, **changes):
    found = tiny.settings(bench, outputs)
    return dataclasses.replace(found, trainer=dataclasses.replace(found.trainer, **changes))


# --- by the plan


@pytest.mark.parametrize(
    ("gigabytes", "expected"), [(141, (8, False)), (80, (4, False)), (24, (1, False)), (16, (4, True)), (4, (1, True))]
)
def test_seven_billion_on_devices_that_people_have(gigabytes, expected):
    room = gigabytes * 1e9
    first = fitting(SEVEN_B, OPEN, room)[0]
    assert first == expected
    if gigabytes > 4:
        assert planned(SEVEN_B, *first).memory.total <= SHARE * room


def test_the_order_of_candidates():
    """Without checkpointing first, larger passes first; nothing that does not divide, nor more than makes it faster."""
    found = candidates(dataclasses.replace(SEVEN_B, context=512, batch_size=12), OPEN)
    assert found == [(size, kind) for kind in (False, True) for size in (12, 6, 4, 3, 2, 1) if size > 1 or kind]
    assert all(size * 512 >= LEAST for size, kind in found if not kind)
    assert candidates(SEVEN_B, OPEN)[0] == (ENOUGH // 2048, False)
    assert candidates(dataclasses.replace(SEVEN_B, context=32_768), OPEN) == [(1, False), (1, True)]
    two = dataclasses.replace(OPEN, devices=2)
    assert candidates(dataclasses.replace(SEVEN_B, batch_size=8), two)[0] == (4, False), "each device takes its share"
    fixed = dataclasses.replace(OPEN, micro_batch=4)
    assert candidates(SEVEN_B, fixed) == [(4, False), (4, True)]
    assert candidates(SEVEN_B, dataclasses.replace(fixed, gradient_checkpointing=True)) == [(4, True)]


def test_what_is_taken_where_nobody_knows_the_memory():
    assert fitting(SEVEN_B, OPEN, None) == [(4, False)]
    assert fitting(SEVEN_B, Trainer(name="fixed", micro_batch=16), None) == [(16, False)]
    short = dataclasses.replace(SEVEN_B, context=128)  # so short that four of them are less than the least
    assert fitting(short, OPEN, None) == [(4, False)]
    assert fitting(short, dataclasses.replace(OPEN, gradient_checkpointing=True), None) == [(4, True)]


# --- by trying


def found(bench, tmp_path, attempt, **changes):
    asked = settings(bench, tmp_path, micro_batch="auto", gradient_checkpointing="auto", memory_gb=1.0, **changes)
    return machine.find(asked.trainer, asked, assemble(asked), attempt)


def test_what_does_not_fit_is_tried_smaller(bench, tmp_path):
    tried = []

    def attempt(asked, built, size):
        tried.append((size, built.model.is_gradient_checkpointing))
        if len(tried) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 5e6 if len(tried) > 3 else 1e9  # the third fits, and leaves no room for the optimizer

    chosen = found(bench, tmp_path, attempt)
    # four sequences of 48 tokens are all there are: less than the least that goes without checkpointing
    assert tried == [(4, False), (4, True), (2, True), (1, True)]
    assert (chosen.micro_batch, chosen.gradient_checkpointing) == (1, True)
    assert chosen.tried_gb is not None and 0.005 < chosen.tried_gb < 0.01 and len(chosen.said) == 3


def test_what_several_devices_exchange_is_counted_on_top_of_a_tried_pass(bench, tmp_path):
    one, two = (found(bench, tmp_path, lambda *_: 5e6, devices=devices) for devices in (1, 2))
    trainable = assemble(settings(bench, tmp_path)).counts["trainable"]
    assert one.tried_gb is not None and two.tried_gb is not None
    assert two.tried_gb - one.tried_gb == pytest.approx(4 * trainable / 1e9)


def test_where_nothing_fits_one_line_says_so(bench, tmp_path):
    def attempt(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(ValueError, match=r"not accepted on this device of 1.0 GB: 4 sequences.*accepted: a shorter"):
        found(bench, tmp_path, attempt)


def test_a_compiler_that_fails_is_left_out_where_it_was_not_asked_for(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.compiled, "backend_of", lambda wanted, *_: "none" if wanted == "none" else "inductor")
    compiling = []

    def attempt(asked, built, size):
        compiling.append(adapters.decoder(built.model).layers[0]._compiled_call_impl is not None)
        if compiling[-1]:
            raise BackendCompilerFailed("inductor", RuntimeError("no Python.h"), None)

    chosen = found(bench, tmp_path, attempt)
    assert compiling == [True, False] and chosen.compile == "none" and "no Python.h" in chosen.said[0]
    with pytest.raises(ValueError, match=r"trainer.compile=inductor is not accepted: .*no Python.h; accepted: none"):
        found(bench, tmp_path, attempt, compile="inductor")


def test_another_error_is_not_swallowed(bench, tmp_path):
    def attempt(*_):
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        found(bench, tmp_path, attempt)


def test_a_pass_that_was_tried_leaves_nothing(bench, tmp_path):
    asked = settings(bench, tmp_path)
    built = assemble(asked)
    before = {name: p.detach().clone() for name, p in adapters.trainable(built.model).items()}
    assert machine.try_pass(asked, built, 2) is None
    after = adapters.trainable(built.model)
    assert all(torch.equal(before[name], p) and p.grad is None for name, p in after.items())


# --- in a run


def test_a_run_keeps_what_it_chose(bench, tmp_path):
    """Resumed with more memory it goes on as it began, and its audit too."""
    whole, broken = tiny.run(tmp_path, "whole"), tiny.run(tmp_path, "broken")
    small = settings(bench, tmp_path, micro_batch="auto", memory_gb=0.001, keep_checkpoints=1)
    train.train(small, whole)
    chosen = json.loads((whole.folder / machine.NAME).read_text())
    assert chosen["micro_batch"] == 1 and chosen["gradient_checkpointing"], "so little that hardly anything fits"
    with tiny.dying_after(4):
        train.train(small, broken)
    large = dataclasses.replace(small, trainer=dataclasses.replace(small.trainer, memory_gb=100.0))
    result = train.train(large, broken)
    assert result["machine"]["micro_batch"] == 1 and result["machine"]["gradient_checkpointing"]
    assert (whole.folder / "metrics.jsonl").read_bytes() == (broken.folder / "metrics.jsonl").read_bytes()
    assert audit(Audit(run=str(whole.folder), segments="all"))
    fresh = tiny.run(tmp_path, "fresh")
    assert train.train(large, fresh)["machine"]["micro_batch"] == 4


def test_an_audit_does_not_ask_for_the_same_machine(bench, tmp_path):
    """Nor for what was not written down when the run was made."""
    run = tiny.run(tmp_path)
    train.train(settings(bench, tmp_path), run)
    place = run.folder / "result.json"
    result = json.loads(place.read_text())
    result["machine"] |= {"room_gb": 141.0, "tried_gb": 100.0, "said": ["8 sequences a pass do not fit"]}
    place.write_text(json.dumps(result))
    assert audit(Audit(run=str(run.folder), segments=1))
    del result["machine"]
    (run.folder / machine.NAME).unlink()
    place.write_text(json.dumps(result))
    assert audit(Audit(run=str(run.folder), segments=1))
    place.write_text(json.dumps(result | {"trainable": 1}))
    assert not audit(Audit(run=str(run.folder), segments=1))


def test_a_longer_run_goes_on_as_the_old_one_was_begun(bench, tmp_path):
    run, longer = tiny.run(tmp_path), tiny.run(tmp_path, "longer")
    small = settings(bench, tmp_path, micro_batch="auto", memory_gb=0.001)
    small = dataclasses.replace(small, optimizer=Optimizer(lr=1e-2, schedule="constant"))
    train.train(small, run)
    more = dataclasses.replace(
        small,
        stage=dataclasses.replace(small.stage, max_steps=8),
        trainer=dataclasses.replace(small.trainer, memory_gb=100.0),
        extend_run=str(run.folder),
    )
    assert train.train(more, longer)["machine"]["micro_batch"] == 1
    assert json.loads((longer.folder / machine.NAME).read_text())["micro_batch"] == 1


def test_what_was_chosen_first_stands_whatever_a_later_start_asks(bench, tmp_path):
    run = tiny.run(tmp_path)
    asked = settings(bench, tmp_path, memory_gb=1.0)
    with tiny.dying_after(2):
        train.train(asked, run)
    first = (run.folder / machine.NAME).read_text()
    with tiny.dying_after(4):
        train.train(settings(bench, tmp_path, gradient_checkpointing=True), run)
    assert (run.folder / machine.NAME).read_text() == first
    assert not train.train(asked, run)["machine"]["gradient_checkpointing"]


def test_runs_that_chose_otherwise_are_no_seeds_of_one_arm(bench, tmp_path):
    from bailong.compare.runs import read_run

    found = []
    for name, memory in (("small", 0.001), ("large", 1.0)):
        run = tiny.run(tmp_path, name)
        train.train(settings(bench, tmp_path, micro_batch="auto", memory_gb=memory), run)
        found.append(read_run(run.folder, []).config["trainer.micro_batch"])
    assert found == [1, 4]


def test_compiled_layers_learn_the_same(bench, tmp_path):
    """Masks, order and text are the same; sums may be taken in another order. Step 0 is evaluated without them."""
    plain, compiled = tiny.run(tmp_path, "plain"), tiny.run(tmp_path, "compiled")
    train.train(settings(bench, tmp_path), plain)
    result = train.train(settings(bench, tmp_path, compile="aot_eager"), compiled)
    assert result["machine"]["compile"] == "aot_eager"
    one, other = (metrics.read(run.folder / "metrics.jsonl") for run in (plain, compiled))
    assert one[0] == other[0]
    for a, b in zip(one, other, strict=True):
        assert b == pytest.approx(a, rel=1e-4)


def test_a_plan_shows_a_device_of_another_size(bench, tmp_path):
    asked = settings(bench, tmp_path, micro_batch="auto", memory_gb=1.0)
    budget, notes = plan(asked)
    assert (budget.micro_batch, budget.gradient_checkpointing) == (4, False)
    assert any(
        "trainer.micro_batch=auto and trainer.gradient_checkpointing=auto: 4 sequences" in note for note in notes
    )
    tight, notes = plan(settings(bench, tmp_path, micro_batch="auto", memory_gb=0.001))
    assert (tight.micro_batch, tight.gradient_checkpointing) == (1, True)
    assert any("more than fits into trainer.memory_gb=0.001" in note for note in notes)


@pytest.mark.parametrize(
    ("knob", "value", "accepted"),
    [
        ("micro_batch", 0, "a whole number above 0, or auto"),
        ("micro_batch", "most", "a whole number above 0, or auto"),
        ("micro_batch", True, "a whole number above 0, or auto"),
        ("gradient_checkpointing", "yes", "true, false or auto"),
        ("memory_gb", 0, "above 0, or null"),
        ("compile", "fast", "inductor"),
    ],
)
def test_bad_values_are_refused(knob, value, accepted):
    with pytest.raises(ValueError, match=rf"trainer.{knob}.*{accepted}"):
        Trainer(name="bad", **{knob: value})
