"""What is exported is a folder that other programs load as it is: ids, rows, matrices, markers, merges, words."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from bailong.data import sources
from bailong.data.settings import Data
from bailong.evaluate.generate import LocalModel
from bailong.extend.extend import extend
from bailong.extend.settings import Extend
from bailong.model import adapters
from bailong.model.settings import Adapter, Model
from bailong.model.tie import ends, is_tied
from bailong.tokenizer import folder, merge, unused
from bailong.tokenizer.settings import Tokenizer as Recipe
from bailong.train import checkpoint, contract, train
from bailong.train.assemble import assemble
from bailong.train.export import export
from bailong.train.settings import Export, load
from bailong.train.stage.cpt import Cpt
from tests import families, tiny
from tests.evaluate import talker

TEXTS = ["台灣的歷史很長，The history of 1994.", " a", "a\n\nb", "𠮷é", "", "<|unused|> <|im_start|>user"]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WHOLE = Data(name="sample", sources=[tiny.CHINESE, tiny.ENGLISH], held_out=0.1)
DATA = Data(name="few", sources=[replace(tiny.CHINESE, fraction=0.2)], held_out=0.1, evaluation_bytes=1500)
STAGE = Cpt(context=48, batch_size=2, max_steps=1, evaluate_every_tokens=10**9)


def save(tokenizer: Tokenizer, to: Path, **config: Any) -> None:
    """As the Hub has it: merges as strings in tokenizer.json, and the markers beside."""
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **config).save_pretrained(to)
    data = json.loads((to / "tokenizer.json").read_text())
    data["model"]["merges"] = [pair if isinstance(pair, str) else " ".join(pair) for pair in data["model"]["merges"]]
    (to / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False))


def byte_level(to: Path) -> None:
    """As SmolLM2's: markers in front, ChatML, a digit each."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # type: ignore[assignment]
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = BpeTrainer(
        vocab_size=380,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*sources.documents(tiny.ENGLISH)][:30], trainer)
    save(tokenizer, to, bos_token="<|endoftext|>", eos_token="<|endoftext|>", chat_template=CHATML)


def gemma(to: Path) -> None:
    """As Gemma's tokenizer.json: byte fallback, '▁' for a space and none in front, turns with markers of their own."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Sequence(  # type: ignore[assignment]
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    trainer = BpeTrainer(
        vocab_size=390,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        max_token_length=8,
        show_progress=False,
    )
    lines = [line for text in [*sources.documents(tiny.ENGLISH)][:15] for line in text.split(". ")]
    tokenizer.train_from_iterator(lines, trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    template = (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{{ m['content'] }}<end_of_turn>\n"
        "{% endfor %}"
    )
    save(
        Tokenizer.from_str(json.dumps(data)),
        to,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        chat_template=template,
    )


def qwen(to: Path) -> None:
    families.own_tokenizer(to)
    AutoTokenizer.from_pretrained(to).save_pretrained(to)


def llama(bench: Path, to: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        shutil.copy(bench / "models" / "tied" / name, to / name)


#: architecture, tokenizer, how it is extended, rows of the model, whether the base is tied
WORLDS: dict[str, tuple[str, Any, str, int, bool]] = {
    "smollm2": ("llama", byte_level, "continued", 380, True),
    "qwen2": ("qwen2", qwen, "continued", 600, False),
    "qwen3": ("qwen3", qwen, "continued", 600, True),
    "gemma": ("gemma3_text", gemma, "continued", 448, True),
    "llama2": ("llama", llama, "new_bpe", 4096, False),
    "llama2 continued": ("llama", llama, "continued", 512, True),
}


def base(bench: Path, kind: str, to: Path) -> Path:
    architecture, tokenizer, _, rows, tied = WORLDS[kind]
    to.mkdir(parents=True)
    tokenizer(*([bench] if tokenizer is llama else []), to)
    families.model(architecture, vocab_size=rows, tie_word_embeddings=tied).save_pretrained(to)
    return to


def extended(model: Path, kind: str, to: Path, size: int) -> Path:
    method = WORLDS[kind][2]
    recipe = Recipe(
        name="new",
        folder=str(to),
        base=str(model),
        language="zh-Hant",
        method=method,
        pieces=size if method != "new_bpe" else 3600,
        characters=None,
    )
    data = WHOLE if method == "new_bpe" else DATA
    made = extend(Extend(tokenizer=recipe, data=data, card_lines=5, old_language=None))
    assert made is not None
    return made


def trained(bench: Path, place: Path, model: Path, tokenizer: Path | None, **changes: Any) -> Path:
    settings = tiny.settings(
        bench,
        place / "outputs",
        model=Model(name="m", path=str(model), dtype="float32", quantization="none", tie="keep"),
        adapter=Adapter(name="all", rank=4, alpha=8, dropout=0.0),
        tokenizer=Recipe(name="new" if tokenizer else "none", folder=str(tokenizer) if tokenizer else None),
        **({"stage": STAGE, "data": DATA} | changes),
    )
    run = tiny.run(place)
    assert train.train(settings, run) is not None
    return run.folder


def exported(run: Path, to: Path) -> Path:
    return export(Export(run=str(run), to=str(to), dtype="float32", tokens=40))


def rebuilt(run: Path) -> Any:
    """The run's model and tokenizer, put together without the exporter."""
    built = assemble(load(run))
    path = run / "checkpoints" / "last.ckpt"
    checkpoint.restore(checkpoint.read(path), adapters.trainable(built.model), path)
    return built.model.eval(), built.tokenizer


def require_whole(run: Path, to: Path) -> tuple[Any, Any]:
    """Everything that an exported folder is held to; its model and tokenizer."""
    own, reader = rebuilt(run)
    model: Any = AutoModelForCausalLM.from_pretrained(to).eval()
    tokenizer = AutoTokenizer.from_pretrained(to)
    rows = len(ends(model)[0].weight)
    assert {rows, len(ends(model)[1].weight), len(tokenizer), AutoConfig.from_pretrained(to).vocab_size} == {rows}
    assert sorted(tokenizer.get_vocab().values()) == [*range(rows)]
    assert is_tied(model) == model.config.tie_word_embeddings
    assert len(contract.stored_matrices(to, model)) == 2 - is_tied(model)

    assert [tokenizer(text)["input_ids"] for text in TEXTS] == [reader(text)["input_ids"] for text in TEXTS]
    assert tokenizer.chat_template == reader.chat_template  # of running text that of the base
    silent = unused.rows(tokenizer, rows)
    typed = [f"x{tokenizer.convert_ids_to_tokens(i)}y" for i in silent[:3]]
    assert folder.encode_documents(tokenizer, typed) == folder.encode_documents(reader, typed)
    assert not set(silent) & {i for ids in folder.encode_documents(tokenizer, typed) for i in ids}
    assert tokenizer.decode([silent[0], *reader("a")["input_ids"]], skip_special_tokens=True) == "a" if silent else True

    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        wanted, got = own(input_ids=ids).logits, model(input_ids=ids).logits
    assert (wanted - got).abs().max() <= 1e-5 * max(100.0, float(wanted.abs().max()))
    answer = model.generate(input_ids=ids, max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert not set(answer[0, ids.shape[1] :].tolist()) & set(silent)

    record = json.loads((to / "export.json").read_text())
    there = {p.relative_to(to).as_posix(): p for p in to.rglob("*") if p.is_file() and p.name != "export.json"}
    assert record["files"] == {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in there.items()}
    assert {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md"} <= set(there)
    said, result = model.config.bailong, json.loads((run / "result.json").read_text())
    assert said["tokenizer_sha256"] == record["files"]["tokenizer.json"]
    assert (said["rows_sha256"], said["tokenizer_sha256_of_run"]) == (result["rows_sha256"], result["tokenizer_sha256"])
    assert (said["initializer"] or {}).get("name") == ("zip_tie" if result["new_rows"] else None)
    folder.load_tokenizer(to)
    return model, tokenizer


def merges(path: Path) -> list[Any]:
    return json.loads((path / "tokenizer.json").read_text())["model"]["merges"]


@pytest.mark.parametrize("kind", WORLDS)
def test_extended_trained_exported_and_all_of_it_again(bench: Path, tmp_path: Path, kind: str) -> None:
    """New tokens of the second extension take the rows that no token has, and every other id stays what it was."""
    first = base(bench, kind, tmp_path / "base")
    one = folder.TokenizerFolder.open(extended(first, kind, tmp_path / "tokenizers" / "one", 60))
    run = trained(bench, tmp_path / "1", first, one.path)
    model, tokenizer = require_whole(run, exported(run, to := tmp_path / "models" / "one"))
    rows = len(tokenizer)
    assert rows == max(WORLDS[kind][3], one.vocabulary)
    assert unused.rows(tokenizer, rows) == [*range(one.vocabulary, rows)]
    assert type(merges(to)[0]) is type(merges(first)[0])
    if (to / "tokenizer.model").is_file():
        pieces = merge.read_model(to / "tokenizer.model").pieces
        assert [p.piece for p in pieces] == tokenizer.convert_ids_to_tokens([*range(rows)])
        scores = [p.score for p in pieces[one.base_vocabulary : one.vocabulary]]
        assert all(a > b for a, b in zip(scores, scores[1:], strict=False))

    if kind in ("llama2", "qwen3"):
        return  # the one has all pieces of its text by now, the other the tokenizer of qwen2
    two = folder.TokenizerFolder.open(extended(to, kind, tmp_path / "tokenizers" / "two", 40))
    assert two.base_vocabulary == one.vocabulary and two.vocabulary > one.vocabulary
    again = trained(bench, tmp_path / "2", to, two.path)
    twice, reader = require_whole(again, exported(again, tmp_path / "models" / "two"))
    before = {i: token for token, i in tokenizer.get_vocab().items() if i < one.vocabulary}
    assert {i: token for token, i in reader.get_vocab().items() if i < one.vocabulary} == before
    assert len(reader) == max(rows, two.vocabulary)
    assert unused.rows(reader, len(reader)) == [*range(two.vocabulary, len(reader))]
    assert twice.config.bailong["earlier"] == model.config.bailong
    built = assemble(load(again))
    for was, now in zip(ends(model), ends(built.model), strict=True):
        assert torch.equal(was.weight[: one.vocabulary], now.weight[: one.vocabulary])


@pytest.fixture
def padded(bench: Path, tmp_path: Path) -> Path:
    """A base without tokenizer.model: 380 tokens, 448 rows, and a head in which the others are always the largest."""
    place = base(bench, "smollm2", tmp_path / "padded")
    model = families.model("llama", vocab_size=448, tie_word_embeddings=False)
    with torch.no_grad():
        ends(model)[1].weight[380:] *= 30
    model.save_pretrained(place)
    return place


def test_a_row_that_stands_for_nothing_is_never_the_answer(bench: Path, tmp_path: Path, padded: Path) -> None:
    run = trained(bench, tmp_path, padded, None)
    model, tokenizer = require_whole(run, exported(run, to := tmp_path / "models" / "x"))
    silent = [*range(380, 448)]
    assert unused.rows(tokenizer, 448) == silent == model.generation_config.suppress_tokens
    ids = tokenizer("The history", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert set(model(input_ids=ids).logits[0].argmax(-1).tolist()) <= set(silent), "nothing was suppressed"
    record = json.loads((to / "export.json").read_text())["vocabulary"]
    assert record["unused_were_largest"] > 0.9 * 40 and record["unused_probability"] > 0.9
    assert (record["rows"], record["named_by_run"], record["unused"]) == (448, 380, [[380, 447]])
    for path in (to, padded):  # the base has no names for them
        local = LocalModel(str(path), talker.generator(template="bailong"))
        for sampling in (talker.greedy(), replace(talker.greedy(), temperature=1.0)):
            assert not set(silent) & {*local.generate([ids[0].tolist()], sampling, [0], 24)[0]}


def test_a_folder_that_others_could_not_load_is_refused(bench: Path, tmp_path: Path) -> None:
    """A token without a row, a row without a token, and a config.json that says other than what is stored."""
    place = base(bench, "qwen3", tmp_path / "base")
    tokenizer, model = AutoTokenizer.from_pretrained(place), AutoModelForCausalLM.from_pretrained(place)
    with pytest.raises(ValueError, match="600 rows in its embedding .* they must be equally many"):
        contract.require(place, model, tokenizer, [])
    unused.name_rows(place, 601)
    with pytest.raises(ValueError, match="601 tokens up to id 600: they must be equally many"):
        contract.require(place, model, AutoTokenizer.from_pretrained(place), [])
    shutil.rmtree(place)
    place = base(bench, "qwen3", place)
    unused.name_rows(place, 600)
    whole = AutoTokenizer.from_pretrained(place)
    assert contract.require(place, model, whole, [torch.zeros(1, 600)])["stored"] == ["model.embed_tokens.weight"]
    model.config.tie_word_embeddings = False
    with pytest.raises(ValueError, match=r"tie_word_embeddings=False, and stored are \['model.embed_tokens.weight'\]"):
        contract.require(place, model, whole, [torch.zeros(1, 600)])


def test_an_export_without_an_extension_is_extended_and_goes_on_without_one(
    bench: Path, tmp_path: Path, padded: Path
) -> None:
    first = trained(bench, tmp_path / "1", padded, None)
    one = exported(first, tmp_path / "models" / "one")
    more = trained(bench, tmp_path / "2", one, None)
    _, tokenizer = require_whole(more, two := exported(more, tmp_path / "models" / "two"))
    assert (
        unused.rows(tokenizer, 448) == [*range(380, 448)]
        and (one / "tokenizer.json").read_bytes() == (two / "tokenizer.json").read_bytes()
    )
    alike = [
        folder.TokenizerFolder.open(extended(m, "smollm2", tmp_path / "t" / m.name, 20)) for m in (padded, one, two)
    ]
    assert {one.base_vocabulary for one in alike} == {380}
    assert len({json.dumps(one.pieces()) for one in alike}) == 1
    grown = trained(bench, tmp_path / "3", two, alike[0].path)  # made for the base, whose ids these are
    model, _ = require_whole(grown, exported(grown, tmp_path / "models" / "three"))
    assert model.config.bailong["earlier"]["earlier"]["new_rows"] == 0
    # a folder of an export is a tokenizer folder of the first base too
    built = assemble(replace(load(grown), tokenizer=Recipe(name="x", folder=str(tmp_path / "models" / "three"))))
    assert built.grown is not None and built.grown.added == len(alike[0].pieces())


def test_names_that_the_base_has_itself_are_its_own(bench: Path, tmp_path: Path, padded: Path) -> None:
    """Two tokens of such names, one id without a token between them, and later a token behind the named rows."""
    data = json.loads((padded / "tokenizer.json").read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    for i, name in ((380, "<|unused_0|>"), (382, "<|unused_2|>")):
        data["model"]["vocab"][name] = i
        data["added_tokens"].append({"id": i, "content": name, **flags})
    (padded / "tokenizer.json").write_text(json.dumps(data))
    run = trained(bench, tmp_path, padded, None)
    _, tokenizer = require_whole(run, exported(run, to := tmp_path / "models" / "x"))
    assert tokenizer.convert_ids_to_tokens([380, 381, 382, 383, 384]) == [f"<|unused_{k}|>" for k in (0, 1, 2, 3, 4)]
    assert unused.rows(tokenizer, 448) == [381, *range(383, 448)] and unused.tail_of(tokenizer) == 383
    more = folder.TokenizerFolder.open(extended(to, "smollm2", tmp_path / "more", 20))
    assert more.base_vocabulary == 383 and more.tokenizer().convert_tokens_to_ids("<|unused_2|>") == 382
    assert unused.rows(more.tokenizer(), more.vocabulary) == [381]

    tokenizer.add_tokens([AddedToken("<|mine|>", special=True, normalized=False)])
    tokenizer.save_pretrained(to)
    assert tokenizer.convert_tokens_to_ids("<|mine|>") == 448 and unused.tail_of(tokenizer) is None
    assert folder.TokenizerFolder.open(extended(to, "smollm2", tmp_path / "last", 20)).base_vocabulary == 449


def test_a_tokenizer_model_is_completed_with_what_stands_beside_it(bench: Path, tmp_path: Path) -> None:
    """Two ChatML tokens that tokenizer.json alone has, and 46 rows without a token."""
    place = base(bench, "llama2 continued", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(place)
    families.model("llama", vocab_size=448).save_pretrained(place)
    run = trained(bench, tmp_path, place, None)
    _, reader = require_whole(run, exported(run, to := tmp_path / "models" / "x"))
    model = merge.read_model(to / "tokenizer.model")
    assert [p.piece for p in model.pieces] == reader.convert_ids_to_tokens([*range(448)])
    assert {p.type for p in model.pieces[400:]} == {merge.Type.CONTROL}
    texts = [text for text in TEXTS if "<|" not in text] + ["x<|unused_3|>y"]
    assert merge.processor(model).encode(texts) == folder.encode_documents(reader, texts)
    assert folder.TokenizerFolder.open(extended(to, "llama2 continued", tmp_path / "more", 20)).base_vocabulary == 402


@pytest.mark.parametrize(
    ("kind", "base_says", "wanted"),
    [
        ("smollm2", None, ["<|endoftext|>", "<|im_end|>"]),
        ("gemma", None, ["<eos>", "<end_of_turn>"]),
        ("gemma", ["<end_of_turn>", "<pad>", "a"], ["<eos>", "<end_of_turn>", "<pad>"]),
        ("qwen2", None, ["<|endoftext|>"]),
    ],
)
def test_generation_ends_where_a_turn_does(
    bench: Path, tmp_path: Path, kind: str, base_says: list[str] | None, wanted: list[str]
) -> None:
    """What the template closes an answer with, and the special tokens that the base's generation_config.json names."""
    place = base(bench, kind, tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(place)
    ids = tokenizer.convert_tokens_to_ids
    model = AutoModelForCausalLM.from_pretrained(place)
    if base_says:
        model.generation_config.eos_token_id, model.generation_config._from_model_config = ids(base_says), False
        model.save_pretrained(place)
    made = contract.generation(AutoModelForCausalLM.from_pretrained(place), load_like(bench, tmp_path), tokenizer, [])
    assert made.eos_token_id == (ids(wanted) if len(wanted) > 1 else ids(wanted[0]))
    assert made.suppress_tokens is None


def load_like(bench: Path, place: Path) -> Any:
    return tiny.settings(bench, place, stage=STAGE)


def test_the_model_card_says_what_was_recorded(bench: Path, tmp_path: Path, padded: Path) -> None:
    from huggingface_hub import metadata_load

    (padded / "README.md").write_text("---\nlicense: mit\nbase_model: other/thing\nlanguage: en\n---\n# a base\n")
    made = extended(padded, "smollm2", tmp_path / "tokenizers" / "new", 30)
    run = trained(bench, tmp_path / "runs", padded, made, old_language=tiny.ENGLISH)
    asked = json.loads((run / "run.json").read_text())
    command = f"bailong-train model.path={padded} 'extra={tmp_path}/secret/file.txt'"
    (run / "run.json").write_text(json.dumps(asked | {"command": command}))
    to = exported(run, tmp_path / "models" / "taught")
    card, result = (to / "README.md").read_text(), json.loads((run / "result.json").read_text())
    front: Any = metadata_load(to / "README.md")
    assert front["license"] == "mit" and "base_model" not in front  # not the base's own base
    assert front["language"] == ["zh", "en"] and front["language_bcp47"] == ["zh-Hant"]
    assert {"bailong", "continual-pretraining", "vocabulary-extension", "lora"} == set(front["tags"])
    old, figures = result["texts"]["en"], json.loads((made / "card.json").read_text())
    for number in (result["base"]["bpb_untouched"], result["bpb_step0"], result["bpb_final"], old["bpb_base"]):
        assert f"{number:.4f}" in card
    assert f"{old['bpb_final']:.4f}" in card and f"{figures['target_bytes_per_token']:.4f}" in card
    assert "zip_tie" in card and f"{result['tokens']:,} tokens" in card and torch.__version__ in card
    assert "bailong-train model.path=…/padded 'extra=…/file.txt'" in card and 'from_pretrained("taught")' in card
    assert "LoRA rank 4: linear layers + embedding and head, separately" in card and "| stored as | float32 |" in card
    assert str(tmp_path) not in card and not re.search(r"(?<![\w.…:/<])/\w+/", card)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        assert str(tmp_path) not in (to / name).read_text(), name

    again = trained(bench, tmp_path / "more", to, None)
    front = metadata_load(exported(again, tmp_path / "models" / "y") / "README.md")
    assert front["license"] == "mit" and "vocabulary-extension" not in front["tags"]
