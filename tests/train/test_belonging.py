"""Tokenizer and model belong together: each old id names its own row, each new token gets the row made for it."""

from __future__ import annotations

import dataclasses
import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import AddedToken
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.data.settings import Data
from bailong.extend.extend import extend
from bailong.extend.settings import Extend
from bailong.initializer.mean import Mean
from bailong.model.grow import stream
from bailong.model.settings import Model
from bailong.model.tie import ends, is_tied
from bailong.tokenizer import folder, merge, unused
from bailong.tokenizer.own import Own
from bailong.tokenizer.settings import Tokenizer
from bailong.train import corpus
from bailong.train.assemble import assemble
from bailong.train.evaluation import windows
from bailong.train.export import export
from bailong.train.settings import Export
from bailong.train.train import train
from tests import tiny


def settings(
    bench: Path, outputs: Path, model: Path, tokenizer: Path | None, quantization: str = "none", **changes: Any
) -> Any:
    return tiny.settings(
        bench,
        outputs,
        model=Model(name="m", path=str(model), dtype="float32", quantization=quantization, tie="keep"),
        tokenizer=Tokenizer(name="t", folder=str(tokenizer) if tokenizer else None),
        **changes,
    )


def shuffled(extended: Path, to: Path, old: int) -> Path:
    """The folder of an extension whose old pieces are those of the bench with other ids."""
    model = merge.read_model(extended / "tokenizer.model")
    ordinary = [i for i in range(old) if model.pieces[i].type == merge.Type.NORMAL]
    pieces = [(model.pieces[i].piece, model.pieces[i].score) for i in ordinary]
    random.Random(0).shuffle(pieces)
    for i, (piece, score) in zip(ordinary, pieces, strict=True):
        model.pieces[i].piece, model.pieces[i].score = piece, score
    base = merge.new_model()
    base.CopyFrom(model)
    del base.pieces[old:]
    to.mkdir()
    folder.write(to, folder.of_model(model, base, None), name="other", base_sha256="0" * 64, recipe={}, corpus={})
    return to


def padded(model: Path, to: Path, rows: int) -> Path:
    """The model with so many rows; those that no token names are noise."""
    shutil.copytree(model, to)
    plain: Any = AutoModelForCausalLM.from_pretrained(model)
    tied, old = is_tied(plain), plain.config.vocab_size
    with torch.random.fork_rng():
        torch.manual_seed(7)
        plain.resize_token_embeddings(rows, mean_resizing=False)
        with torch.no_grad():
            for end in ends(plain):
                end.weight[old:] = torch.randn(rows - old, end.weight.shape[1])
    assert is_tied(plain) == tied
    plain.save_pretrained(to)
    return to


def own_bits_per_byte(wanted: Any, corpus: Any) -> float:
    """Step 0 by transformers' own model and logits, on the windows of the run."""
    model: Any = AutoModelForCausalLM.from_pretrained(wanted.model.path)
    nats = 0.0
    scored = windows(wanted, corpus.evaluation, 1)
    for inputs, targets in (scored[i] for i in range(len(scored))):
        with torch.no_grad():
            logits = model(torch.as_tensor(np.asarray(inputs, dtype=np.int64))[None]).logits[0].double()
        wished = torch.as_tensor(np.asarray(targets, dtype=np.int64))
        nats += float(cross_entropy(logits, wished, reduction="sum", ignore_index=-100))
    return nats / math.log(2) / corpus.evaluation.text_bytes


@pytest.fixture
def extended(bench: Path) -> Path:
    return bench / "tokenizers" / "extended"


@pytest.mark.parametrize("alone", [True, False])
def test_an_extension_of_a_tokenizer_that_cuts_otherwise_is_refused(
    bench: Path, extended: Path, tmp_path: Path, alone: bool
) -> None:
    """Every id stands for the same token, and the model reads text in small letters."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "tied", model)
    content = json.loads((model / "tokenizer.json").read_text())
    content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, content["normalizer"]]}
    (model / "tokenizer.json").write_text(json.dumps(content))
    if alone:
        (model / "tokenizer.model").unlink()
    with pytest.raises(ValueError, match=r"cuts text otherwise than the tokenizer of model\.path=.*first .The rain"):
        assemble(settings(bench, tmp_path, model, extended))


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_an_extension_of_shuffled_ids_is_refused(bench: Path, extended: Path, tmp_path: Path, name: str) -> None:
    """The model has tokenizer.json alone, so that no hash of tokenizer.model can tell."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / name, model)
    (model / "tokenizer.model").unlink()
    assert assemble(settings(bench, tmp_path, model, extended)).grown is not None
    old = folder.TokenizerFolder.open(extended).base_vocabulary
    other = shuffled(extended, tmp_path / "other", old)
    with pytest.raises(
        ValueError, match=r"extends another tokenizer than that of model\.path=.*first \d+ is '"
    ) as error:
        assemble(settings(bench, tmp_path, model, other))
    names = {i: token for token, i in json.loads((model / "tokenizer.json").read_text())["model"]["vocab"].items()}
    there = {i: token for token, i in folder.load_tokenizer(other).get_vocab().items()}
    first = min(i for i in range(old) if names[i] != there[i])
    assert f"{first} is {names[first]!r} there and {there[first]!r} here" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tokenizer_json_of_shuffled_ids_is_refused(bench: Path, extended: Path, tmp_path: Path) -> None:
    """The other way round, in a model whose matrices are two: two tokens have changed places."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "untied", model)
    (model / "tokenizer.model").unlink()
    content = json.loads((model / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    a, b = (token for token, i in vocabulary.items() if i in (300, 301))
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    (model / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="2 ids differ, first 300 is"):
        assemble(settings(bench, tmp_path, model, extended))


def test_bare_weights_are_taken_by_their_size(bench: Path, extended: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "tied", model, ignore=shutil.ignore_patterns("tokenizer*"))
    assert assemble(settings(bench, tmp_path, model, extended)).new_from == 400


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.parametrize("name", ["tied", "untied"])
@pytest.mark.parametrize("rows", [401, 450, 4500], ids=["one spare", "some spare", "more than needed"])
def test_new_tokens_take_the_padding_first(
    bench: Path, extended: Path, tmp_path: Path, rows: int, name: str, quantization: str
) -> None:
    """The row of each new id is the initializer's, in embedding and head; what old tokens name is untouched."""
    model = padded(bench / "models" / name, tmp_path / "padded", rows)
    before = [end.weight.detach().clone() for end in ends(AutoModelForCausalLM.from_pretrained(model))]
    opened = folder.TokenizerFolder.open(extended)
    pieces, old, end = opened.pieces(), opened.base_vocabulary, opened.vocabulary
    built = assemble(settings(bench, tmp_path, model, extended, quantization, initializer=Mean()))
    assert built.new_from == old == 400 and is_tied(built.model) == (name == "tied")
    for side, was, now in zip(("embedding", "head"), before, ends(built.model), strict=True):
        draw = stream(0, "embedding" if name == "tied" else side)
        assert torch.equal(now.weight[:old], was[:old])
        assert torch.equal(now.weight[old:end], Mean().rows(was[:old].clone(), pieces, draw))
        assert torch.equal(now.weight[end:], was[end:]) and len(now.weight) == max(rows, end)
    assert built.model.config.vocab_size == max(rows, end)


@pytest.mark.parametrize(
    ("name", "rows", "grows"), [("untied", 450, True), ("tied", 4500, True), ("untied", 450, False)]
)
def test_a_padded_model_is_trained_and_exported(
    bench: Path, extended: Path, tmp_path: Path, name: str, rows: int, grows: bool
) -> None:
    model = padded(bench / "models" / name, tmp_path / "padded", rows)
    wanted, run = settings(bench, tmp_path / "outputs", model, extended if grows else None), tiny.run(tmp_path)
    result = train(wanted, run)
    assert result is not None
    base = own_bits_per_byte(
        dataclasses.replace(wanted, tokenizer=Tokenizer(name="none")),
        corpus.prepare(dataclasses.replace(wanted, tokenizer=Tokenizer(name="none")), print),
    )
    assert result["base"]["bpb_untouched"] == pytest.approx(base, rel=1e-6)
    if not grows:
        assert result["bpb_step0"] == pytest.approx(base, rel=1e-6)
    to = export(Export(run=str(run.folder), to=str(tmp_path / "exported"), dtype="float32"))
    stored: Any = AutoModelForCausalLM.from_pretrained(to)
    tokenizer = AutoTokenizer.from_pretrained(to)
    vocabulary = folder.TokenizerFolder.open(extended).vocabulary if grows else 400
    sizes = {stored.config.vocab_size, *(len(end.weight) for end in ends(stored))}
    assert sizes == {len(tokenizer), max(tokenizer.get_vocab().values()) + 1} == {max(rows, vocabulary)}
    assert unused.rows(tokenizer, rows) == [*range(vocabulary, rows)]


def test_tokens_without_a_row_are_refused(bench: Path, extended: Path, tmp_path: Path) -> None:
    """Two tokens were added to tokenizer.json, and the matrices were forgotten."""
    model = tmp_path / "model"
    shutil.copytree(bench / "models" / "tied", model)
    (model / "tokenizer.model").unlink()
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.save_pretrained(model)
    with pytest.raises(
        ValueError, match=r"2 tokens beyond the 400 rows of the model, first '<\|im_start\|>' with id 400"
    ):
        assemble(settings(bench, tmp_path, model, None))
    with pytest.raises(ValueError, match=r"400 is '<\|im_start\|>' there and"):
        assemble(settings(bench, tmp_path, model, extended))


def test_padding_that_the_tokenizer_names_is_no_padding(bench: Path, extended: Path, tmp_path: Path) -> None:
    """450 rows and 402 tokens: an extension that begins at 400 would write over two tokens of the base."""
    model = padded(bench / "models" / "untied", tmp_path / "padded", 450)
    (model / "tokenizer.model").unlink()
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.save_pretrained(model)
    assert assemble(settings(bench, tmp_path, model, None)).model.config.vocab_size == 450
    with pytest.raises(ValueError, match=r"2 ids differ, first 400 is '<\|im_start\|>' there and None here"):
        assemble(settings(bench, tmp_path, model, extended))


CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
TALK = "<|im_start|>user\nhello there<|im_end|>"


def talking(bench: Path, to: Path, rows: int, *, special: bool = True, jinja: bool = True) -> Path:
    """A model of the bench whose tokenizer.json has two ChatML tokens that its tokenizer.model lacks."""
    padded(bench / "models" / "untied", to, rows)
    tokenizer = AutoTokenizer.from_pretrained(to)
    chatml = [AddedToken(name, special=special, normalized=False) for name in ("<|im_start|>", "<|im_end|>")]
    tokenizer.add_tokens(chatml, special_tokens=special)
    tokenizer.eos_token, tokenizer.chat_template = "<|im_end|>", CHATML
    tokenizer.save_pretrained(to)
    if not jinja:
        (to / "chat_template.jinja").unlink()
        config = json.loads((to / "tokenizer_config.json").read_text())
        (to / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": CHATML}))
    return to


@pytest.mark.parametrize(("special", "jinja", "rows"), [(True, True, 402), (False, False, 450)])
def test_added_tokens_and_template_are_kept_through_training(
    bench: Path, tmp_path: Path, special: bool, jinja: bool, rows: int
) -> None:
    model = talking(bench, tmp_path / "model", rows, special=special, jinja=jinja)
    run = tiny.run(tmp_path)
    train(settings(bench, tmp_path / "outputs", model, None), run)
    to = export(Export(run=str(run.folder), to=str(tmp_path / "exported"), dtype="float32"))
    before, after = AutoTokenizer.from_pretrained(model), AutoTokenizer.from_pretrained(to)
    assert len(after) == rows and {t: i for t, i in after.get_vocab().items() if i < 402} == before.get_vocab()
    assert unused.rows(after, rows) == [*range(402, rows)]
    assert after.chat_template == before.chat_template == CHATML
    assert after.eos_token == "<|im_end|>" and after.encode(TALK) == before.encode(TALK)
    assert {400, 401} < set(after.encode(TALK))
    assert folder.load_tokenizer(to).encode(TALK) == before.encode(TALK)


@pytest.mark.parametrize(("special", "jinja", "rows"), [(True, True, 402), (False, False, 450)])
def test_extending_keeps_added_tokens_and_begins_behind_them(
    bench: Path, tmp_path: Path, special: bool, jinja: bool, rows: int
) -> None:
    model = talking(bench, tmp_path / "model", rows, special=special, jinja=jinja)
    recipe = tiny.extended_recipe(tmp_path / "tokenizers" / "more", model)
    data = Data(name="s", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.1)
    made = extend(Extend(tokenizer=recipe, data=data, card_lines=20))
    assert made is not None
    opened = folder.TokenizerFolder.open(made)
    tokenizer, before = AutoTokenizer.from_pretrained(made), AutoTokenizer.from_pretrained(model)
    assert opened.base_vocabulary == 402 and len(tokenizer) == opened.vocabulary > 3000
    assert all(tokenizer.get_vocab()[token] == i for token, i in before.get_vocab().items())
    assert tokenizer.chat_template == CHATML and tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.encode(TALK) == before.encode(TALK)
    before_rows = [end.weight.detach().clone() for end in ends(AutoModelForCausalLM.from_pretrained(model))]
    built = assemble(settings(bench, tmp_path, model, made))
    for was, now in zip(before_rows, ends(built.model), strict=True):
        assert torch.equal(now.weight[:402], was[:402])
        assert len(now.weight) == opened.vocabulary
    # the very same tokenizer.model without what stands beside it begins at 400, over two tokens of the base
    with pytest.raises(ValueError, match=r"400 is '<\|im_start\|>' there"):
        assemble(settings(bench, tmp_path, model, bench / "tokenizers" / "extended"))


def test_an_added_token_may_stand_in_the_middle(bench: Path, tmp_path: Path) -> None:
    """Ids with a gap, two pieces in other places, and an added token at the place of a third."""
    source = bench / "tokenizers" / "base"
    content = json.loads((source / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    tokens = {i: token for token, i in vocabulary.items()}
    vocabulary[tokens[300]], vocabulary[tokens[301]] = 301, 300
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"].append({"id": 405, "content": "<|late|>", "special": True, **flags})
    vocabulary["<|late|>"] = 405
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    shutil.copy(source / "tokenizer_config.json", tmp_path)
    model = merge.read_model(source / "tokenizer.model")
    own = Own.read(tmp_path, model)
    assert own is not None and not own.adds_nothing(model)
    whole = own.completed(model, tmp_path)
    assert len(whole.pieces) == 406 and whole.pieces[405].type == merge.Type.CONTROL
    assert whole.pieces[300].piece == tokens[301] and whole.pieces[301].score == model.pieces[300].score
    assert [p.piece for p in whole.pieces[400:405]] == [f"<unnamed_{i}>" for i in range(400, 405)]
    ids = merge.processor(whole).encode("the tokens of a text")
    old = merge.processor(model).encode("the tokens of a text")
    assert [whole.pieces[i].piece for i in ids] == [model.pieces[i].piece for i in old]
    vocabulary["foreign"] = 406
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    other = Own.read(tmp_path, model)
    assert other is not None
    with pytest.raises(ValueError, match=r"cannot be extended: 1 tokens stand in .*, first 'foreign'"):
        other.completed(model, tmp_path)


def test_a_base_to_which_nothing_was_added_stays_as_it_is(bench: Path) -> None:
    source = bench / "tokenizers" / "base"
    model = merge.read_model(source / "tokenizer.model")
    own = Own.read(source, model)
    assert own is not None and own.adds_nothing(model) and own.sha256(model) is None
    assert own.completed(model, source).SerializeToString() == (source / "tokenizer.model").read_bytes()
