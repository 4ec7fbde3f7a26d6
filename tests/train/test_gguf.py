"""An exported folder as a GGUF file: what llama.cpp reads, writes and renders is what transformers does."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bailong.data import template
from bailong.data.turns import Turn, serialised
from bailong.model import llama_cpp
from bailong.model.gguf import as_folder
from bailong.train import gguf, gguf_proof, gguf_vocabulary, modelfile
from bailong.train.export import export
from bailong.train.settings import Export
from bailong.train.stage.cpt import Cpt
from bailong.train.train import train
from tests import bases, families, tiny
from tests.train.test_contract import CHATML, byte_level

reader = pytest.importorskip("gguf", reason="needs the extra 'gguf'")
needs_llama_cpp = pytest.mark.skipif(not llama_cpp.installed(), reason="needs llama.cpp: pip install xllamacpp")
DOCUMENTS = ["台灣的歷史很長，The history of 1994.\n玉山主峰標高三千九百五十二公尺。", "It is high.\n\nAnd  far."]


def folder(to: Path, kind: str, tokenizer: str, bench: Path | None = None, dtype: str = "float32", **changes) -> Path:
    """A model of random weights with a tokenizer of its size, as an export has them."""
    to.mkdir(parents=True)
    if tokenizer == "sentencepiece":
        assert bench is not None
        for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
            shutil.copy(bench / "tokenizers" / "extended" / name, to / name)
    elif tokenizer == "smollm":
        byte_level(to)
    elif tokenizer == "qwen":
        families.own_tokenizer(to)
    else:
        bases.build(tokenizer, to)
        for file in to.iterdir():  # of this name llama.cpp makes text, whatever a file says (gpt-oss)
            file.write_text(file.read_text().replace("<|start|>", "<|turn|>"))
    read = AutoTokenizer.from_pretrained(to)
    rows = max(read.get_vocab().values()) + 1
    ids = {"vocab_size": rows, "bos_token_id": read.bos_token_id, "eos_token_id": read.eos_token_id}
    model = families.model(kind, **(ids | changes)).to(getattr(torch, dtype))
    model.generation_config.eos_token_id = read.eos_token_id
    model.save_pretrained(to)
    return to


@pytest.fixture(autouse=True)
def fewer_lines(monkeypatch):
    monkeypatch.setattr(gguf_proof, "LINES", 200)


def fields(file: Path) -> dict:
    found = reader.GGUFReader(file)
    return {key: found.get_field(key).contents() for key in found.fields if not key.startswith("GGUF")}


def test_the_file_is_the_model_and_is_read_back_here(tmp_path):
    made = folder(tmp_path / "x", "llama", "smollm", head_dim=None)
    written = gguf.write(made, "mine", "apache-2.0")
    assert written == {
        "file": "model.gguf",
        "architecture": "llama",
        "tokenizer": "gpt2",
        "pre_tokenizer": "smollm",
        "dtype": "float32",
    }
    said = fields(made / "model.gguf")
    assert (said["general.name"], said["general.license"], said["tokenizer.ggml.pre"]) == (
        "mine",
        "apache-2.0",
        "smollm",
    )
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert said["tokenizer.ggml.tokens"] == tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    assert [i for i, kind in enumerate(said["tokenizer.ggml.token_type"]) if kind == 3] == sorted(special)
    assert said["tokenizer.chat_template"] == CHATML and said["tokenizer.ggml.add_bos_token"] is False

    shutil.copy(made / "model.gguf", tmp_path / "back.gguf")
    back = Path(str(as_folder(str(tmp_path / "back.gguf"))))
    ids = torch.tensor([[3, 30, 40, 50, 60, 70, 2]])
    ours, theirs = (AutoModelForCausalLM.from_pretrained(place)(ids).logits for place in (made, back))
    assert torch.equal(ours, theirs)
    text = "In 1995, 12 dogs 台灣"
    assert AutoTokenizer.from_pretrained(back)(text)["input_ids"] == tokenizer(text)["input_ids"]


@pytest.mark.parametrize(("dtype", "kind"), [("float16", "F16"), ("bfloat16", "BF16")])
def test_weights_are_the_stored_ones_number_by_number(tmp_path, dtype, kind):
    made = folder(tmp_path / "x", "qwen2", "qwen", dtype=dtype)
    gguf.write(made, "x", None)
    stored = AutoModelForCausalLM.from_pretrained(made, dtype="auto").state_dict()
    found = {tensor.name: tensor for tensor in reader.GGUFReader(made / "model.gguf").tensors}
    matrix, vector = found["blk.1.attn_q.weight"], found["blk.1.attn_q.bias"]
    assert (matrix.tensor_type.name, vector.tensor_type.name) == (kind, "F32")
    theirs = stored["model.layers.1.self_attn.q_proj.weight"]
    assert bytes(matrix.data.tobytes()) == theirs.contiguous().view(torch.uint8).numpy().tobytes()
    assert np.array_equal(vector.data, stored["model.layers.1.self_attn.q_proj.bias"].float().numpy())
    assert len(found) == len(stored)


def test_scores_types_and_the_space_in_front_are_those_of_sentencepiece(tmp_path, bench):
    made = folder(tmp_path / "x", "llama", "sentencepiece", bench)
    gguf.write(made, "x", None)
    said, read = fields(made / "model.gguf"), AutoTokenizer.from_pretrained(made)
    model = gguf_vocabulary.read_model(made / "tokenizer.model")
    assert said["tokenizer.ggml.model"] == "llama" and said["tokenizer.ggml.add_space_prefix"] is True
    assert np.allclose(said["tokenizer.ggml.scores"], [piece.score for piece in model.pieces])
    assert said["tokenizer.ggml.token_type"] == [piece.type for piece in model.pieces]
    assert said["tokenizer.ggml.bos_token_id"] == read.bos_token_id and said["tokenizer.ggml.add_bos_token"] is True
    other = json.loads((made / "tokenizer.json").read_text())
    first, second = list(other["model"]["vocab"])[400:402]
    vocabulary = other["model"]["vocab"]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (made / "tokenizer.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="they differ from id 400 on"):
        gguf_vocabulary.read(made)


@needs_llama_cpp
@pytest.mark.parametrize(
    ("kind", "tokenizer", "changes"),
    [
        ("llama", "sentencepiece", {}),
        ("llama", "smollm", {"tie_word_embeddings": True}),
        ("llama", "llama3", {"rope_parameters": families.LLAMA3}),
        ("llama", "smollm", {"attention_bias": True, "mlp_bias": True}),
        ("llama", "smollm", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
        ("mistral", "sentencepiece", {"sliding_window": 200}),
        ("qwen2", "qwen", {"use_sliding_window": False}),
        ("qwen3", "qwen", {}),
    ],
)
def test_llama_cpp_reads_writes_and_renders_as_transformers_does(tmp_path, bench, kind, tokenizer, changes):
    made = folder(tmp_path / "x", kind, tokenizer, bench, **changes)
    gguf.write(made, "x", None)
    proof = gguf_proof.prove(made, DOCUMENTS, False, 3, "cpu")
    assert proof["proved"] and proof["ids"]["texts"] > 200
    text = proof["text"]
    assert text["same"] + len(text["ties"]) == text["prompts"] == 3 and text["tokens"] > 60
    assert text["max_logprob_difference"] < 1e-3


@needs_llama_cpp
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_rounded_weights_are_proved_within_their_rounding(tmp_path, dtype):
    made = folder(tmp_path / "x", "llama", "smollm", dtype=dtype)
    gguf.write(made, "x", None)
    text = gguf_proof.prove(made, DOCUMENTS, False, 3, "cpu")["text"]
    assert text["max_logprob_difference"] < gguf_proof.TOLERANCES[dtype]


@needs_llama_cpp
def test_what_is_written_wrongly_is_noticed(tmp_path, monkeypatch):
    made = folder(tmp_path / "x", "llama", "smollm")
    with monkeypatch.context() as patch:
        patch.setattr(gguf, "interleaved", lambda weight, heads: weight)
        gguf.write(made, "x", None)
    with pytest.raises(ValueError, match="llama.cpp (writes other text|sees a token)"):
        gguf_proof.prove(made, DOCUMENTS, False, 2, "cpu")
    read = gguf_vocabulary.read
    with monkeypatch.context() as patch:
        patch.setattr(gguf.vocabulary, "read", lambda place: replace(read(place), merges=read(place).merges[::-1]))
        gguf.write(made, "x", None)
    with pytest.raises(
        ValueError, match="llama.cpp reads other ids than the exported tokenizer in .* texts, the first"
    ):
        gguf_proof.prove(made, DOCUMENTS, False, 0, "cpu")
    (made / "model.gguf").write_bytes((made / "model.gguf").read_bytes()[:5000])
    with pytest.raises(ValueError, match="llama.cpp does not take the GGUF file"):
        gguf_proof.prove(made, DOCUMENTS, False, 0, "cpu")


def test_without_llama_cpp_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_cpp, "installed", lambda: False)
    proof = gguf_proof.prove(tmp_path, [], False, 3, "cpu")
    assert proof["proved"] is False and "pip install" in proof["why"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "phi3"}, "model_type=phi3.*accepted: llama, mistral, qwen2, qwen3"),
        ({"hidden_act": "gelu"}, "hidden_act=gelu.*accepted: silu"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_type=yarn.*accepted: default, linear, llama3"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor=0.5.*accepted: 1"),
        ({"model_type": "qwen3", "attention_bias": True}, "attention_bias=True.*accepted: False"),
    ],
)
def test_a_model_that_was_not_compared_is_refused_in_a_line(changes, said):
    with pytest.raises(ValueError, match=f"format=gguf is not accepted: its model has {said}"):
        gguf.require_known({"model_type": "llama", "hidden_act": "silu"} | changes)


def test_a_tokenizer_that_llama_cpp_has_no_rule_for_is_refused_in_a_line(tmp_path):
    byte_level(tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text())
    gguf_vocabulary.require_known(data, tmp_path)
    for part, value, said in (
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}, "it cuts text by "),
        ("normalizer", {"type": "NFKC"}, r"it changes text before it is cut \(NFKC\)"),
        ("model", data["model"] | {"type": "Unigram"}, "its model is Unigram"),
        ("model", data["model"] | {"byte_fallback": True}, "it is no byte-level BPE, and has no tokenizer.model"),
    ):
        with pytest.raises(ValueError, match=f"has no equal in llama.cpp: {said}.*accepted: byte-level BPE"):
            gguf_vocabulary.require_known(data | {part: value}, tmp_path)


def test_a_window_is_the_longest_text_that_the_file_allows(tmp_path, bench):
    made = folder(tmp_path / "x", "mistral", "sentencepiece", bench, sliding_window=100)
    gguf.write(made, "x", None)
    assert fields(made / "model.gguf")["llama.context_length"] == 100


LLAMA2 = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{% if loop.index0 == 1 %}[INST] <<SYS>>\n{{ messages[0]['content'] }}\n<</SYS>>\n\n{{ m['content'] }} [/INST]"
    "{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}"
    "{% elif m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
COUNTED = "{% for m in messages %}{{ loop.length }}{{ m['role'] }}{{ m['content'] }}{% endfor %}"
NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
)


@pytest.mark.parametrize(
    ("jinja", "found"),
    [(CHATML, True), (template.JINJA, True), (LLAMA2, True), (NO_SYSTEM, True), (COUNTED, False)],
)
def test_a_template_of_words_around_messages_is_ollamas_too(tmp_path, bench, jinja, found):
    made = folder(tmp_path / "x", "llama", "sentencepiece", bench)
    (made / "chat_template.jinja").write_text(jinja)
    said = modelfile.write(made, dialogues=True)
    lines = (made / "Modelfile").read_text()
    assert said == {"file": "Modelfile", "template": found, "ollama_run": False}
    assert lines.count("FROM ./model.gguf") == 1 and 'PARAMETER stop "</s>"' in lines
    assert "PARAMETER temperature 0.6" in lines and lines.splitlines()[2].startswith("TEMPLATE") is found
    if found:
        tokenizer = AutoTokenizer.from_pretrained(made)
        words = modelfile.words_of(tokenizer)
        assert words is not None and (words.system is None) == (jinja == NO_SYSTEM)
        talk = [("user", "一"), ("assistant", "二"), ("user", "三"), ("assistant", "四"), ("user", "五")]
        shown = [{"role": role, "content": text} for role, text in talk]
        expected = tokenizer.apply_chat_template(shown, tokenize=False, add_generation_prompt=True)
        assert words.render(talk) == expected.removeprefix(tokenizer.bos_token)
        assert words.go() in lines and "<s>" not in lines.split("{{ range")[0]


def test_a_model_without_a_template_goes_on_with_a_text(tmp_path, bench):
    made = folder(tmp_path / "x", "llama", "sentencepiece", bench)
    assert modelfile.write(made, dialogues=False)["template"] is None
    assert 'TEMPLATE """{{ .Prompt }}"""' in (made / "Modelfile").read_text()


@needs_llama_cpp
def test_the_templates_that_transformers_alone_marks_are_rendered_alike(tmp_path, bench):
    made = folder(tmp_path / "x", "llama", "sentencepiece", bench)
    (made / "chat_template.jinja").write_text(template.JINJA)
    gguf.write(made, "x", None)
    asked = [serialised([Turn(text, "哈囉"), Turn("Once more", "No.")]) for text in DOCUMENTS]
    proof = gguf_proof.prove(made, asked, True, 2, "cpu")
    assert proof["chat_template"] is True and proof["text"]["prompts"] == 2


@needs_llama_cpp
def test_rows_that_stand_for_nothing_are_no_answer_of_llama_cpps(tmp_path, bench):
    made = folder(tmp_path / "x", "llama", "sentencepiece", bench)
    prompt = AutoTokenizer.from_pretrained(made)("玉山")["input_ids"]
    (free,) = gguf_proof._continued(made, [prompt], "cpu")
    model = AutoModelForCausalLM.from_pretrained(made)
    model.generation_config.suppress_tokens = free["ids"][:1]
    model.save_pretrained(made)
    (ours,) = gguf_proof._continued(made, [prompt], "cpu")
    gguf.write(made, "x", None)
    told = llama_cpp.ask(made / "model.gguf", texts=[], prompts=[prompt], new=64, context=200, dialogues=[])
    assert ours["ids"] == told["continued"][0]["ids"] and free["ids"][0] not in ours["ids"]


@pytest.fixture(scope="module")
def run(bench, tmp_path_factory) -> Path:
    """A finished run of one step."""
    outputs = tmp_path_factory.mktemp("outputs")
    stage = Cpt(context=48, batch_size=2, max_steps=1, evaluate_every_tokens=10**9)
    made = tiny.run(outputs, command="bailong-train")
    train(tiny.settings(bench, outputs, stage=stage), made)
    return made.folder


def test_an_export_has_the_file_its_proof_and_a_modelfile(run, tmp_path, capsys):
    asked = Export(run=str(run), to=str(tmp_path / "x"), dtype="float32", tokens=100, format="gguf", gguf_prompts=2)
    to = export(asked)
    record = json.loads((to / "export.json").read_text())
    assert {"model.gguf", "Modelfile", "model.safetensors"} <= set(record["files"])
    found = record["gguf"]
    assert (found["architecture"], found["tokenizer"], found["dtype"]) == ("llama", "llama", "float32")
    assert found["modelfile"] == {"file": "Modelfile", "template": None, "ollama_run": False}
    assert found["proved"] is llama_cpp.installed() and record["request"]["gguf_prompts"] == 2
    if found["proved"]:
        assert found["text"]["same"] + len(found["text"]["ties"]) == 2
    assert "`model.gguf` is the same model for llama.cpp" in (to / "README.md").read_text()
    shown = capsys.readouterr().out
    assert ("was written and not proved: " in shown) is not found["proved"]
    export(asked)
    assert "exported before" in capsys.readouterr().out
    with pytest.raises(ValueError, match="of other settings: add overwrite=true"):
        export(replace(asked, format="safetensors"))


def test_a_folder_of_safetensors_asks_for_what_it_always_did(run, tmp_path):
    to = export(Export(run=str(run), to=str(tmp_path / "x"), dtype="float32", tokens=100))
    record = json.loads((to / "export.json").read_text())
    assert not {"format", "gguf_prompts"} & set(record["request"]) and "gguf" not in record
    assert not (to / "model.gguf").exists() and not (to / "Modelfile").exists()


def test_nothing_stays_where_llama_cpp_disagrees_or_would(run, tmp_path, monkeypatch):
    asked = Export(run=str(run), to=str(tmp_path / "x"), dtype="float32", tokens=100, format="gguf")

    def refuse(*_):
        raise ValueError("llama.cpp reads other ids")

    with monkeypatch.context() as patch, pytest.raises(ValueError, match="llama.cpp reads other ids"):
        patch.setattr(gguf_proof, "prove", refuse)
        export(asked)
    assert list(tmp_path.iterdir()) == []

    def rebuilt(*_):
        raise AssertionError("the run was rebuilt")

    with monkeypatch.context() as patch, pytest.raises(ValueError, match="model_type=llama.*accepted: qwen2"):
        patch.setattr("bailong.train.proof.rebuild", rebuilt)
        patch.setattr(gguf, "ARCHITECTURES", {"qwen2": "qwen2"})
        export(asked)
    with monkeypatch.context() as patch, pytest.raises(ModuleNotFoundError, match="format=gguf needs the package gguf"):
        patch.setattr("bailong.train.proof.rebuild", rebuilt)
        patch.setitem(sys.modules, "gguf", None)
        export(asked)
    assert list(tmp_path.iterdir()) == []


def test_a_probability_belongs_to_a_token_where_it_can_be_no_others():
    assert llama_cpp.places([5, 6, 7], [5, 6, 7]) == [0, 1, 2]
    assert llama_cpp.places([5, 8, 8, 7], [5, 8, 7]) == [0, None, 3]
    assert llama_cpp.places([8, 9, 8, 7, 8], [8, 8, 8]) == [0, 2, 4]
    assert llama_cpp.places([8, 9, 8, 7], [8, 7]) == [None, 3]
    assert llama_cpp.places([1, 2], []) == []
