"""What must be true of every architecture that is accepted: the loss is that of its own logits, and nothing is lost."""

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from bailong.evaluate.generate import LocalModel
from bailong.initializer.zip_tie import ZipTie
from bailong.model import adapters, backbone
from bailong.model.agreement import TOLERANCE, TOLERANCE_BF16, fused_loss, own_loss
from bailong.model.architecture import FAMILIES, logits_of
from bailong.model.grow import grow
from bailong.model.head import IGNORE, head_loss, model_loss
from bailong.model.merge import merge, to_float32
from bailong.model.settings import Adapter, Model
from bailong.model.tie import ends, is_tied, tie_input
from bailong.run import metrics
from bailong.tokenizer.settings import Tokenizer
from bailong.train import checkpoint, contract, train
from bailong.train.export import export
from bailong.train.plan import plan
from bailong.train.settings import Export
from bailong.train.stage.cpt import Cpt
from tests import families, tiny
from tests.evaluate import talker

ALL = Adapter(name="all", rank=4, alpha=8, dropout=0.1)
FULL = Adapter(name="full", linears=False, pair=False)
KINDS = pytest.mark.parametrize("kind", sorted(families.FAMILIES))
IDS = torch.arange(3, 123).view(2, 60)


def test_every_accepted_architecture_is_tried():
    assert families.FAMILIES.keys() == FAMILIES.keys()


def changed(model):
    """Adapters as after training: both halves matter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapters.trainable(model).values():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def gradients(model, loss_of):
    """Loss, its gradient at the last states, and that of every trained parameter."""
    torch.manual_seed(3)  # of the dropout
    states = []
    handle = adapters.decoder(model).register_forward_hook(lambda _, __, out: states.append(out.last_hidden_state))
    try:
        loss = loss_of(model)
    finally:
        handle.remove()
    parameters = adapters.trainable(model)
    found = torch.autograd.grad(loss, [states[0], *parameters.values()])
    return float(loss.detach()), dict(zip(["states", *parameters], found, strict=True))


def assert_same_gradients(model):
    """The fused loss and each of its gradients are those of the model's own logits, whose loss is returned."""
    own, theirs = gradients(model, stock)
    loss, ours = gradients(model, fused)
    assert loss == pytest.approx(own, rel=1e-5)
    for name, gradient in theirs.items():
        assert (ours[name] - gradient).norm() <= 1e-5 * gradient.norm(), name
    return own


def targets():
    shifted = F.pad(IDS[:, 1:], (0, 1), value=IGNORE)
    shifted[0, :7] = IGNORE
    return shifted


def stock(model):
    logits = model(input_ids=IDS, use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), targets().flatten(), ignore_index=IGNORE, reduction="sum")


def fused(model):
    hidden = adapters.decoder(model)(input_ids=IDS, use_cache=False).last_hidden_state
    return model_loss(model, hidden, targets(), chunk=32).total


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("settings", [ALL, FULL], ids=lambda a: a.name)
@KINDS
def test_loss_and_gradients_are_those_of_its_own_logits(kind, settings, tied):
    """With new rows, adapters everywhere and dropout; of the head and of what stands below it."""
    model = families.model(kind, tie_word_embeddings=tied)
    grow(model, [[5, 9], [7, 8, 11]] * 10, ZipTie(), seed=0, named=390)  # ten take the padding
    assert model.config.vocab_size == 410 and is_tied(model) == tied
    model = changed(adapters.add(model, settings, seed=0))
    own = assert_same_gradients(model)
    if (made := logits_of(model.config)) != (1.0, None):
        with torch.no_grad():
            hidden = adapters.decoder(model)(input_ids=IDS, use_cache=False).last_hidden_state
            plain = float(head_loss(adapters.head(model), hidden, targets()).total)
        assert abs(plain - own) > 0.01 * own, f"{made} would not be missed"


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        ("cohere", {"logit_scale": 1.0, "use_qk_norm": False, "attention_bias": True}),
        ("cohere2", {"num_hidden_layers": 4, "layer_types": None}),
        ("gemma", {"vocab_size": 448, "pad_token_id": 0}),
        ("gemma2", {"final_logit_softcapping": None, "attn_logit_softcapping": None}),
        ("gemma3_text", {"final_logit_softcapping": 20.0, "attn_logit_softcapping": 5.0, "layer_types": None}),
        ("granite", {"logits_scaling": 13, "attention_bias": True, "mlp_bias": True}),
        ("llama", {"rope_parameters": families.LLAMA3, "attention_bias": True, "mlp_bias": True}),
        ("olmo", {"clip_qkv": 0.5}),
        ("phi3", {"rope_parameters": families.PARTIAL, "sliding_window": None, "resid_pdrop": 0.1}),
        ("phi3", {"rope_parameters": families.LONG, "original_max_position_embeddings": 32}),
        ("qwen2", {"rope_parameters": families.YARN}),
        ("smollm3", {"num_hidden_layers": 4, "use_sliding_window": True, "sliding_window": 16}),
    ],
    ids=lambda x: x if isinstance(x, str) else ",".join(x),
)
def test_odd_configurations_too(kind, odd):
    model = changed(adapters.add(families.model(kind, **odd), ALL, seed=0))
    assert_same_gradients(model)
    model.eval()
    with torch.no_grad():
        before = model(input_ids=IDS).logits
        assert (merge(model)(input_ids=IDS).logits - before).abs().max() <= 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@KINDS
def test_rounding_alone_never_refuses_it(kind, precision, dtype):
    """A stock model rounds the product before it is scaled or capped; here it is rounded once."""
    model = changed(adapters.add(families.model(kind).to(dtype), ALL, seed=0)).eval()
    ids = IDS[0].numpy()
    chosen = [(ids[:-1], ids[1:])]
    loss, own = (f(model, chosen, *more) for f, *more in ((fused_loss, 16, precision), (own_loss, precision)))
    most = TOLERANCE if (dtype, precision) == (torch.float32, "32-true") else TOLERANCE_BF16
    assert abs(loss - own) < most / 5 * own


@KINDS
def test_adapters_stand_on_every_linear_layer_and_on_both_ends(kind):
    model = families.model(kind)
    linears = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and ".layers." in n]
    assert len(linears) == 2 * (4 if kind == "phi3" else 7)
    adapted = adapters.add(model, ALL, seed=0)
    names = {name.split(".lora_")[0].removeprefix("base_model.model.") for name in adapters.trainable(adapted)}
    assert names == {*linears, "model.embed_tokens", "lm_head"}
    assert len(adapters.trainable(adapted)) == 2 * (len(linears) + 2)


@KINDS
def test_sequences_in_one_row_see_nothing_of_each_other(kind):
    """Positions that begin anew keep attention within each; windows count within it."""
    model = families.model(kind)
    one, other = IDS[0, :25], IDS[1, :35]
    row = torch.cat([one, other])[None]
    places = torch.cat([torch.arange(25), torch.arange(35)])[None]
    with torch.no_grad():
        packed = model.base_model(input_ids=row, position_ids=places, use_cache=False).last_hidden_state[0]
        apart = [model.base_model(input_ids=x[None], use_cache=False).last_hidden_state[0] for x in (one, other)]
    assert (packed - torch.cat(apart)).norm() <= 1e-4 * packed.norm()


@pytest.mark.parametrize("kind", ["mistral", "phi3"])
def test_a_window_that_is_shorter_than_the_context_is_kept(kind):
    model = families.model(kind)
    moved = IDS[:1].clone()
    moved[0, 0] = 399
    with torch.no_grad():
        before, after = (model.base_model(input_ids=x, use_cache=False).last_hidden_state[0] for x in (IDS[:1], moved))
    assert torch.equal(before[31:], after[31:]) and not torch.equal(before[15], after[15])  # two layers of 16


@pytest.fixture(scope="module")
def settings_of(bench, tmp_path_factory):
    """Settings of a short run on a stored model of a family."""

    def of(kind, name="m", model=None, **changes):
        place = tmp_path_factory.mktemp(kind)
        path = families.stored(kind, bench, place / "model", **changes)
        chosen = {"name": kind, "path": str(path), "dtype": "float32", "quantization": "none"} | (model or {})
        return tiny.settings(
            bench,
            place,
            model=Model(**chosen),
            adapter=ALL,
            **({"tokenizer": Tokenizer(name="none", folder=None)} if kind in families.OWN_TOKENIZER else {}),
            stage=Cpt(context=48, batch_size=2, max_steps=3, evaluate_every_tokens=10_000),
        ), place

    return of


@KINDS
def test_a_run_resumes_to_the_bit_and_its_export_is_the_same_model(kind, settings_of):
    """Grown, tied, trained, interrupted, merged, stored, loaded as any user would, and asked for text."""
    settings, place = settings_of(kind)
    tied_before = families.config(kind).tie_word_embeddings
    run, whole = tiny.run(place, "broken"), tiny.run(place, "whole")
    with tiny.dying_after(2):
        train.train(settings, run)
    result, other = train.train(settings, run), train.train(settings, whole)
    assert result is not None and other is not None and (result["new_rows"] > 0 or kind in families.OWN_TOKENIZER)
    assert result["parameters_sha256"] == other["parameters_sha256"]
    assert result["base"]["tied_checkpoint"] == tied_before
    planned = plan(settings)[0].parameters
    assert (planned.true, planned.trainable) == (result["parameters_true"], result["trainable"])
    losses = [row["eval/loss"] for row in metrics.read(run.folder / "metrics.jsonl") if "eval/loss" in row]
    assert losses[-1] < losses[0]

    to = export(Export(run=str(run.folder), to=str(place / "out"), dtype="float32", tokens=96))
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from bailong.train.assemble import assemble

    built = assemble(settings)
    content = checkpoint.read(run.folder / "checkpoints" / "last.ckpt")
    checkpoint.restore(content, adapters.trainable(built.model), place)
    built.model.eval()
    stored: Any = AutoModelForCausalLM.from_pretrained(to)
    stored.eval()
    tokenizer = AutoTokenizer.from_pretrained(to)
    ids = tokenizer("The history of 台灣的歷史很長。", return_tensors="pt")["input_ids"]
    assert ids.tolist()[0] == built.tokenizer("The history of 台灣的歷史很長。")["input_ids"]
    matrices = contract.stored_matrices(to, stored)
    assert len(matrices) == (1 if stored.config.tie_word_embeddings else 2), matrices
    assert len(tokenizer) == stored.config.vocab_size == len(ends(stored)[0].weight)
    with torch.no_grad():
        wanted, got = built.model(input_ids=ids).logits, stored(input_ids=ids).logits
        assert (wanted - got).abs().max() <= 1e-3
        asked = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None, "pad_token_id": 2}
        trained, loaded = (m.generate(input_ids=ids, **asked) for m in (built.model, stored))
    assert trained.tolist() == loaded.tolist()


def test_a_tokenizer_that_would_be_read_otherwise_is_refused_before_the_run(settings_of, bench, monkeypatch):
    """AutoTokenizer makes a Qwen2Tokenizer of whatever lies beside a Qwen 2."""
    settings, place = settings_of("qwen2")
    extended = Tokenizer(name="extended", folder=str(bench / "tokenizers" / "extended"))
    monkeypatch.setattr("bailong.train.fit.prepare", None)
    with pytest.raises(
        ValueError, match=r"tokenizer\.folder=.*model_type=qwen2 .*Qwen2Tokenizer.* accepted: "
    ) as refusal:
        train.train(dataclasses.replace(settings, tokenizer=extended), tiny.run(place))
    assert "\n" not in str(refusal.value)


@KINDS
def test_a_batch_is_answered_as_each_alone(kind, bench, tmp_path):
    """Padding on the left moves no window, and takes no part in a cap."""
    folder = families.stored(kind, bench, tmp_path / "model")
    local = LocalModel(str(folder), talker.generator(template="bailong"))
    rows = [list(range(3, 3 + length)) for length in (40, 7, 23)]
    together = local.generate(rows, talker.greedy(), [0, 0, 0], 20)
    assert together == [local.generate([row], talker.greedy(), [0], 20)[0] for row in rows]
    assert len(set(map(tuple, together))) == 3


@pytest.mark.parametrize("kind", ["cohere", "gemma2", "granite", "qwen2", "phi3"])
def test_in_four_bits_too(kind, settings_of, tmp_path):
    settings, _ = settings_of(kind, attention_bias=True) if kind != "phi3" else settings_of(kind)
    stored = Model(name=kind, path=settings.model.path, dtype="bfloat16")
    model = backbone.load(stored, torch.device("cpu"), torch.float32)
    linears = [m for layer in adapters.decoder(model).layers for m in layer.modules() if isinstance(m, torch.nn.Linear)]
    assert backbone.linear4bit(model) == linears
    tie_input(model)
    grow(model, [[5, 9]] * 20, ZipTie(), seed=0)
    model = changed(adapters.add(model, ALL, seed=0))
    backbone.protect(model)
    to_float32(model)
    assert_same_gradients(model)
    model.eval()
    with torch.no_grad():
        before = model(input_ids=IDS).logits
        plain = merge(model)
        assert (plain(input_ids=IDS).logits - before).abs().max() <= 2e-3
    plain.save_pretrained(tmp_path)
    again = type(plain).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(input_ids=IDS).logits, plain(input_ids=IDS).logits)


@pytest.mark.parametrize("kind", ["gemma", "gemma2", "gemma3_text"])
def test_the_factor_of_an_embedding_is_that_of_its_precision(kind, tmp_path):
    """√48 is 6.9282, and 6.9375 in bfloat16: a model that is widened computes as one that was loaded wide."""
    families.model(kind, hidden_size=48).to(torch.bfloat16).save_pretrained(tmp_path)
    narrow, wide = (
        backbone.load(Model(name="m", path=str(tmp_path), dtype=d, quantization="none"), torch.device("cpu"), t)
        for d, t in (("bfloat16", torch.bfloat16), ("float32", torch.float32))
    )
    to_float32(narrow)
    with torch.no_grad():
        assert torch.equal(narrow(input_ids=IDS).logits, wide(input_ids=IDS).logits)
