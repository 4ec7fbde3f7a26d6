"""plan=true for several devices of a given memory: what each holds, whether it fits, and how fast it should be."""

import dataclasses

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from bailong.model.body import of_shape
from bailong.model.settings import Adapter, Shape
from bailong.train import pace
from bailong.train.budget import Budget
from bailong.train.plan import rows
from bailong.train.room import SHARE, remedies
from bailong.train.settings import Optimizer, Trainer
from tests import tiny
from tests.commands import call

#: the question answering's case: Mistral 7B, LoRA on the linear layers
MISTRAL = Shape(hidden=4096, layers=32, heads=32, kv_heads=8, intermediate=14336, vocabulary=32_000)
ONE = Budget(
    of_shape(MISTRAL),
    Adapter(name="linears", pair=False, rank=16),
    Optimizer(),
    vocabulary=32_000,
    base_vocabulary=32_000,
    tied=False,
    context=1024,
    batch_size=64,
    micro_batch=4,
    steps=1000,
    gradient_checkpointing=True,
)
TWO = dataclasses.replace(ONE, devices=2)


def figures(budget, **trainer):
    return {what: (figure, how) for what, figure, how in rows(budget, Trainer(name="t", **trainer))}


def test_each_of_two_devices_holds_the_whole_model_and_half_of_the_step():
    one, two = figures(ONE), figures(TWO, devices=2)
    assert "Memory of each of 2 devices" in two and "Memory of one device" not in two
    same = ("base weights", "adapters", "gradients", "optimizer", "activations", "head", "steps", "tokens a step")
    assert all(two[what] == one[what] for what in same)
    assert two["gradients, DDP's buckets"][0] == two["gradients"][0]
    assert TWO.memory.total - ONE.memory.total == 4 * ONE.parameters.trainable
    share = "32", "8 passes of 4, gradients exchanged at the last"
    assert two["sequences for each of 2 devices"] == share


def test_of_one_device_whose_memory_nobody_gave_nothing_more_is_said():
    told = rows(ONE, Trainer(name="t"))
    assert told == rows(ONE)
    assert [what for what, figure, _ in told if not figure] == ["Parameters", "Work", "Memory of one device", "Disk"]
    added = {"fits into 24 GB", "tokens/s expected", "time of the run", "gradients, DDP's buckets"}
    assert not added & {what for what, *_ in told}


def test_ddp_really_keeps_a_second_copy_of_every_gradient(tmp_path):
    """As Lightning makes it for `strategy="ddp"`: with no arguments but the module."""
    frozen, trained = torch.nn.Linear(64, 96).requires_grad_(False), torch.nn.Linear(96, 300, bias=False)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(torch.nn.Sequential(frozen, trained))
        wrapped(torch.ones(2, 64)).sum().backward()
        known = wrapped._get_ddp_logging_data()
        assert trained.weight.grad is not None
        assert sum(map(int, known["bucket_sizes"].split(", "))) == 4 * trained.weight.numel()
        assert not known["gradient_as_bucket_view"]
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize(("memory", "word"), [(24, "yes"), (8, "no")])
def test_one_row_says_whether_it_fits(memory, word):
    told, how = figures(TWO, devices=2, memory_gb=memory)[f"fits into {memory} GB"]
    left = SHARE * memory - TWO.memory.total / 1e9
    assert told == word == ("yes" if left > 0 else "no")
    assert how == f"85 % of it, {SHARE * memory:.2f} GB, may be planned: {abs(left):.2f} GB " + (
        "left" if left > 0 else "too much"
    )


def test_what_would_fit_is_tried_in_turn_until_it_does():
    large = dataclasses.replace(
        TWO, quantization="none", gradient_checkpointing=False, optimizer=Optimizer(name="adamw"), context=4096
    )
    ways = remedies(large, 24e9)
    assert [keys for keys, _ in ways] == [
        "trainer.micro_batch=1",
        "trainer.micro_batch=1 trainer.gradient_checkpointing=true",
    ]
    totals = [smaller.memory.total for _, smaller in ways]
    assert totals[0] > SHARE * 24e9 >= totals[1]
    (*_, (keys, least)) = remedies(large, 4e9)
    assert keys == (
        "trainer.micro_batch=1 trainer.gradient_checkpointing=true optimizer=paged_adamw_8bit model.quantization=nf4 "
        "stage.context=2048"
    )
    assert least.memory.total > SHARE * 4e9 and remedies(TWO, 24e9) == []
    whole = dataclasses.replace(TWO, adapter=Adapter(name="full", linears=False, pair=False), quantization="none")
    assert not any("nf4" in keys for keys, _ in remedies(whole, 24e9)), "4 bits are for what is frozen"


def test_tokens_a_second_are_a_formula_of_printed_figures():
    found = figures(TWO, devices=2, card="RTX 3090")
    flops = TWO.flops.hardware
    assert found["tokens/s expected"] == (
        f"{2 * 71e12 * pace.REACHED / flops:,.0f}",
        f"2 x 71 TFLOP/s (RTX 3090, bfloat16) x {pace.REACHED:g} assumed / {flops / 1e9:.4g} GFLOP a token",
    )
    alone = pace.pace(ONE, "NVIDIA GeForce RTX 3090").tokens_per_second
    assert pace.pace(TWO, "RTX 3090").tokens_per_second == pytest.approx(2 * alone)
    plain = dataclasses.replace(TWO, gradient_checkpointing=False)
    assert pace.pace(plain, "RTX 3090").tokens_per_second > 1.4 * pace.pace(TWO, "RTX 3090").tokens_per_second
    hours = 1000 * 64 * 1024 / (2 * alone) / 3600
    assert found["time of the run"][0].startswith(f"{int(hours)} h ")
    assert "time of the run" not in figures(dataclasses.replace(TWO, steps=None, tokens=None), card="RTX 3090")
    assert "tokens/s expected" not in figures(dataclasses.replace(TWO, cuda=False), card="RTX 3090")


@pytest.mark.parametrize(("seconds", "card", "reached"), [(875, "RTX 3090", 0.7), (450, "RTX 4090", 0.6)])
def test_what_others_measured_is_above_what_is_assumed(seconds, card, reached):
    """AnswerDotAI/fsdp_qlora: 1,024 sequences of 2,048 tokens through Llama 2 7B on two cards, in 4 bits."""
    shape = Shape(hidden=4096, layers=32, heads=32, kv_heads=32, intermediate=11008, vocabulary=32_000)
    theirs = dataclasses.replace(TWO, body=of_shape(shape), context=2048)
    found = pace.pace(theirs, card)
    assert 1024 * 2048 / seconds / found.tokens_per_second * pace.REACHED == pytest.approx(reached, abs=0.02)
    assert reached > pace.REACHED


def test_a_card_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"trainer.card=RTX 309 .*bfloat16.*accepted: .*RTX 3090.*did you mean"):
        pace.pace(TWO, "RTX 309")
    with pytest.raises(ValueError, match="trainer.card=T4 is not accepted: its peak in bfloat16"):
        pace.pace(TWO, "T4")
    for dtype in ("bfloat16", "float32"):
        assert all(pace.peak_flops(name, dtype) for name in pace.cards(dtype))


@pytest.mark.parametrize(("model", "parameters"), [("llama3_8b", "8,072,204,288"), ("mistral_7b", "7,283,675,136")])
def test_the_command_plans_two_devices_of_24_gb(tmp_path, model, parameters):
    knobs = [f"model={model}", "stage=sft", "data=sft_sample", "tokenizer=none", "adapter=linears", "adapter.rank=16"]
    knobs += ["stage.context=1024", "trainer.devices=2", "trainer.memory_gb=24", "plan=true"]
    done = call("train", *knobs, "trainer.card=RTX 3090", cwd=tmp_path, COLUMNS="160")
    assert done.returncode == 0, done.stderr
    told = ("each of 2 devices", "fits into 24 GB", "yes", "2 x 71 TFLOP/s", "is assumed, not measured", parameters)
    assert all(word in done.stdout for word in told)
    assert "does not fit" not in done.stdout and not list(tmp_path.iterdir())
    done = call("train", *knobs, "trainer.memory_gb=4", cwd=tmp_path, COLUMNS="160")
    assert "fits into 4 GB" in done.stdout and "does not fit: " in done.stdout and "trainer.card" in done.stdout
    done = call("train", *knobs, "trainer.card=none", cwd=tmp_path)
    assert done.returncode != 0 and done.stderr.startswith("error: trainer.card=none is not accepted")


def test_the_name_of_the_card_is_no_part_of_a_run(bench, tmp_path):
    from bailong.train.identity import identity

    asked = tiny.settings(bench, tmp_path)
    named = dataclasses.replace(asked, trainer=dataclasses.replace(asked.trainer, card="RTX 3090"))
    assert identity(named) == identity(asked)
