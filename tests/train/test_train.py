"""What must be true of a run: it learns the right thing, resumes to the bit, and never lies about being done."""

import dataclasses
import json
import os
import signal

import pytest
import torch

from bailong.initializer.mean import Mean
from bailong.initializer.random import Random
from bailong.initializer.zip_tie import ZipTie
from bailong.model import adapters, backbone
from bailong.model.settings import Adapter, Model
from bailong.model.tie import is_tied
from bailong.run import metrics
from bailong.tokenizer.settings import Tokenizer
from bailong.train import identity, machine, train
from bailong.train.assemble import assemble
from bailong.train.module import Training
from bailong.train.stage.cpt import Cpt
from bailong.train.stage.pretrain import Pretrain
from tests import tiny


def record(run):
    return (run.folder / "metrics.jsonl").read_bytes()


def rows(run):
    return metrics.read(run.folder / "metrics.jsonl")


@pytest.fixture(scope="module")
def finished(bench, tmp_path_factory):
    outputs = tmp_path_factory.mktemp("outputs")
    run = tiny.run(outputs)
    settings = tiny.settings(bench, outputs)
    return settings, run, train.train(settings, run)


def test_a_run_leaves_what_the_report_needs(finished):
    settings, run, result = finished
    for name in (
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "speed.jsonl",
        "result.json",
        "provenance.json",
        "starts.jsonl",
        "train.log",
    ):
        assert (run.folder / name).exists(), name
    written = rows(run)
    assert [written[0]["step"], written[-1]["step"]] == [0, 6]
    assert written[0]["eval/bpb"] == result["bpb_step0"] and written[-1]["eval/bpb"] == result["bpb_final"]
    assert result["bpb_final"] < result["bpb_step0"]
    assert result["base"]["tied_checkpoint"] and result["base"]["bpb_untouched"] == result["base"]["bpb_tied"] > 0
    assert 0 < written[0]["eval/share_new"] < 1
    whole = written[0]["eval/share_new"] * written[0]["eval/loss_new"]
    whole += (1 - written[0]["eval/share_new"]) * written[0]["eval/loss_old"]
    assert whole == pytest.approx(written[0]["eval/loss"], rel=1e-9)


def test_a_finished_run_returns_at_once(finished, capsys):
    settings, run, result = finished
    before = record(run)
    assert train.train(settings, run) == result
    assert "finished before" in capsys.readouterr().out and record(run) == before


def test_other_settings_in_the_same_folder_are_refused_with_the_keys(finished):
    settings, run, _ = finished
    other = dataclasses.replace(settings, optimizer=dataclasses.replace(settings.optimizer, lr=5e-3))
    before = record(run)
    with pytest.raises(ValueError, match=r"optimizer\.lr: 0\.01 before, 0\.005 now.*rerun=true"):
        train.train(other, run)
    assert record(run) == before


def test_the_machines_side_is_not_another_run(finished):
    settings, run, result = finished
    trainer = dataclasses.replace(settings.trainer, threads=2, checkpoint_every_steps=50)
    assert train.train(dataclasses.replace(settings, trainer=trainer), run) == result


@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("stop_at", [1, 3, 4, 5])
def test_a_run_that_dies_and_resumes_equals_an_unbroken_one(bench, tmp_path, quantization, stop_at):
    """Dying at any step, checkpointed or not, the record ends up byte for byte the same."""
    model = Model(name="b", path=str(bench / "models" / "tied"), dtype="float32", quantization=quantization)
    unbroken, broken = tiny.run(tmp_path, "unbroken"), tiny.run(tmp_path, "broken")
    settings = tiny.settings(bench, tmp_path, model=model)
    expected = train.train(settings, unbroken)
    with tiny.dying_after(stop_at):
        train.train(settings, broken)
    assert json.loads((broken.folder / "error.json").read_text())["message"] == "killed"
    torch.manual_seed(99)  # the global generator has moved on, as in another process
    result = train.train(settings, broken)
    assert record(broken) == record(unbroken)
    assert not (broken.folder / "error.json").exists()
    for key in ("bpb_final", "data_order", "rows_sha256", "fingerprint", "tokens", "bytes"):
        assert result[key] == expected[key]
    ends = [
        torch.load(r.folder / "checkpoints" / "last.ckpt", weights_only=True)["parameters"] for r in (unbroken, broken)
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_run_made_with_other_random_numbers_is_not_gone_on_with(bench, tmp_path):
    """Runs that were made before dropout had a stream of its own do not name one."""
    settings, run = tiny.settings(bench, tmp_path), tiny.run(tmp_path)
    with tiny.dying_after(3):
        train.train(settings, run)
    place = run.folder / "run.json"
    asked = json.loads(place.read_text())
    assert asked["identity"].pop("adapter.dropout_stream") == "bits16"
    place.write_text(json.dumps(asked))
    with pytest.raises(ValueError, match=r"adapter\.dropout_stream: None before, bits16 now.*rerun=true"):
        train.train(settings, run)
    still = dataclasses.replace(settings, adapter=dataclasses.replace(settings.adapter, dropout=0.0))
    assert not [key for key in identity.identity(still) if "stream" in key or "shared" in key]


def test_sigterm_saves_and_the_same_command_goes_on(bench, tmp_path, monkeypatch):
    unbroken, broken = tiny.run(tmp_path, "unbroken"), tiny.run(tmp_path, "broken")
    settings = tiny.settings(bench, tmp_path)
    train.train(settings, unbroken)
    real = Training._count

    def asked(self, step, *rest):
        real(self, step, *rest)
        if step.number + 1 == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_count", asked)
        with pytest.raises(SystemExit) as stopped:
            train.train(settings, broken)
    assert stopped.value.code == 143
    assert not (broken.folder / "error.json").exists() and not (broken.folder / "result.json").exists()
    train.train(settings, broken)
    assert record(broken) == record(unbroken)


def test_data_is_the_same_whatever_the_initializer(bench, tmp_path):
    orders, hashes = set(), set()
    for initializer in (Random(), Mean(), ZipTie()):
        settings = tiny.settings(bench, tmp_path, initializer=initializer)
        result = train.train(settings, tiny.run(tmp_path, initializer.name))
        orders.add(result["data_order"])
        hashes.add(result["rows_sha256"])
    assert len(orders) == 1 and len(hashes) == 3


def test_micro_batches_change_memory_not_learning(bench, tmp_path):
    """Uneven documents, one by one or all at once: the same step, up to rounding."""
    ends = []
    for micro in (1, 4):
        trainer = dataclasses.replace(tiny.settings(bench, tmp_path).trainer, micro_batch=micro)
        stage = Cpt(context=48, batch_size=4, max_steps=4, packing="truncate", evaluate_every_tokens=10**6)
        adapter = Adapter(name="all", rank=4, alpha=8, dropout=0.0)
        settings = tiny.settings(bench, tmp_path, trainer=trainer, stage=stage, adapter=adapter)
        run = tiny.run(tmp_path, f"micro{micro}")
        train.train(settings, run)
        ends.append(rows(run)[-1])
    assert ends[0]["eval/loss"] == pytest.approx(ends[1]["eval/loss"], abs=1e-5)
    assert ends[0]["train/loss"] == pytest.approx(ends[1]["train/loss"], abs=1e-5)
    assert ends[0]["train/grad_norm"] == pytest.approx(ends[1]["train/grad_norm"], rel=1e-4)


def test_tying_an_untied_checkpoint_is_measured_apart(bench, tmp_path):
    model = Model(name="u", path=str(bench / "models" / "untied"), dtype="float32", quantization="none")
    result = train.train(tiny.settings(bench, tmp_path, model=model), tiny.run(tmp_path))
    assert not result["base"]["tied_checkpoint"]
    assert result["base"]["bpb_tied"] != result["base"]["bpb_untouched"]


def test_without_an_extension_the_base_is_scored_as_it_is(bench, tmp_path):
    """The no-extension control: at step 0 it must give the base's own bits per byte, on the same bytes."""
    settings, run = tiny.settings(bench, tmp_path, tokenizer=Tokenizer(name="none", folder=None)), tiny.run(tmp_path)
    result = train.train(settings, run)
    assert len(json.loads((run.folder / "provenance.json").read_text())["own_tokenizer"]) == 64
    assert result["bpb_step0"] == pytest.approx(result["base"]["bpb_untouched"], rel=1e-6)
    assert result["new_rows"] == 0 and result["rows_sha256"] is None


def test_pretraining_from_scratch_trains_everything(bench, tmp_path):
    settings = tiny.settings(
        bench,
        tmp_path,
        stage=Pretrain(context=48, batch_size=4, max_steps=6, evaluate_every_tokens=10**6),
        model=Model(name="s", shape=tiny.shape(400), quantization="none", dtype="float32"),
        adapter=Adapter(name="full", linears=False, pair=False),
        tokenizer=Tokenizer(name="base", folder=str(bench / "tokenizers" / "base")),
    )
    result = train.train(settings, tiny.run(tmp_path))
    assert result["trainable"] == result["parameters_true"] == result["parameters_packed"]
    assert result["bpb_final"] < result["bpb_step0"] - 0.3


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_the_assembled_model_is_what_was_asked_for(bench, tmp_path, name):
    model = Model(
        name=name, path=str(bench / "models" / name), dtype="float32", tie="input" if name == "tied" else "keep"
    )
    built = assemble(tiny.settings(bench, tmp_path, model=model))
    assert is_tied(built.model) == (name == "tied")
    assert built.model.training and all(m.training for m in built.model.modules())
    layers = backbone.linear4bit(built.model)
    assert len(layers) == 14 and not any(layer.support_avx512bf16_for_cpu for layer in layers)
    trained = adapters.trainable(built.model)
    assert len(trained) == 2 * (14 + 2) and all("lora" in key for key in trained)
    embedding = [p for key, p in trained.items() if "embed_tokens" in key]
    head = [p for key, p in trained.items() if "lm_head" in key]
    assert len(embedding) == len(head) == 2
    assert not {p.data_ptr() for p in embedding} & {p.data_ptr() for p in head}, "two separate adapters"


def test_gradient_checkpointing_is_really_on(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path)
    settings.trainer.gradient_checkpointing = True
    built = assemble(settings)
    assert machine.choose(settings, built).gradient_checkpointing
    calls = 0

    def counted(*_):
        nonlocal calls
        calls += 1

    adapters.decoder(built.model).layers[0].self_attn.register_forward_pre_hook(counted)
    ids = torch.arange(5, 25)[None]
    adapters.decoder(built.model)(input_ids=ids, use_cache=False).last_hidden_state.sum().backward()
    assert calls == 2, "the layer runs once forward and once more in the backward pass"


def test_checkpointing_does_not_change_the_curve(bench, tmp_path):
    plain, saving = tiny.run(tmp_path, "plain"), tiny.run(tmp_path, "saving")
    settings = tiny.settings(bench, tmp_path)
    train.train(settings, plain)
    other = dataclasses.replace(settings, trainer=dataclasses.replace(settings.trainer, gradient_checkpointing=True))
    train.train(other, saving)
    a, b = rows(plain)[-1], rows(saving)[-1]
    assert a["eval/bpb"] == pytest.approx(b["eval/bpb"], abs=1e-6)


def test_a_tokenizer_of_another_model_is_refused(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path)
    wrong = tiny.extended_recipe(tmp_path / "tokenizers" / "twice", bench / "tokenizers" / "extended")
    from bailong.data.settings import Data
    from bailong.extend.extend import extend
    from bailong.extend.settings import Extend

    data = Data(name="s", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.1)
    wrong.pieces = 4000
    extend(Extend(tokenizer=wrong, data=data, card_lines=20))
    settings.tokenizer = Tokenizer(name="twice", folder=wrong.folder)
    with pytest.raises(ValueError, match="extends a vocabulary of"):
        train.train(settings, tiny.run(tmp_path))


def test_a_damaged_checkpoint_is_named(bench, tmp_path):
    run, settings = tiny.run(tmp_path), tiny.settings(bench, tmp_path)
    with tiny.dying_after(4):
        train.train(settings, run)
    path = run.folder / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        train.train(settings, run)


def test_identity_follows_content_not_paths(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path)
    moved = tiny.settings(bench, tmp_path / "elsewhere")
    assert identity.identity(settings) == identity.identity(moved)
    other = tiny.settings(bench, tmp_path, seed=1)
    assert identity.fingerprint(identity.identity(settings)) != identity.fingerprint(identity.identity(other))


def test_a_run_whose_last_step_diverges_is_not_finished(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path)
    settings.stage.max_steps, settings.optimizer.lr, settings.optimizer.warmup_steps = 1, 1e30, 0
    run = tiny.run(tmp_path)
    with pytest.raises(ValueError, match="not finite at step 1"):
        train.train(settings, run)
    assert not (run.folder / "result.json").exists()


def test_a_resumed_run_finds_its_rows_again_or_stops(bench, tmp_path, monkeypatch):
    settings, run = tiny.settings(bench, tmp_path), tiny.run(tmp_path)
    with tiny.dying_after(4):
        train.train(settings, run)
    real = ZipTie.informed
    monkeypatch.setattr(ZipTie, "informed", lambda self, *given: real(self, *given) * 1.5)
    with pytest.raises(ValueError, match="cannot be resumed here: rows_sha256 was"):
        train.train(settings, run)


def test_another_tokenizer_in_the_model_folder_is_another_run(bench, tmp_path):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "tied", model)
    settings = tiny.settings(
        bench, tmp_path, tokenizer=Tokenizer(name="none"), model=Model(name="m", path=str(model), dtype="float32")
    )
    before = identity.fingerprint(identity.identity(settings))
    file = model / "tokenizer_config.json"
    file.write_text(file.read_text() + " ")
    assert identity.fingerprint(identity.identity(settings)) != before


def test_a_context_beyond_the_models_positions_is_refused(bench, tmp_path):
    settings = tiny.settings(bench, tmp_path, stage=Cpt(context=512, batch_size=4, max_steps=1))
    with pytest.raises(ValueError, match="at most 256 positions"):
        train.train(settings, tiny.run(tmp_path))


def test_a_run_whose_own_logits_give_another_loss_ends_before_step_0(bench, tmp_path, monkeypatch):
    from transformers import LlamaForCausalLM

    real = LlamaForCausalLM.forward

    def capped(self, *args, **kwargs):
        found = real(self, *args, **kwargs)
        found.logits = 0.05 * torch.tanh(found.logits / 0.05)
        return found

    run = tiny.run(tmp_path)
    monkeypatch.setattr(LlamaForCausalLM, "forward", capped)
    with pytest.raises(ValueError, match=r"model.path=.* does more to its logits"):
        train.train(tiny.settings(bench, tmp_path), run)
    assert not rows(run) and not (run.folder / "result.json").exists()
