"""A GGUF file as a model folder: the same weights, the same logits, and text cut as the original cuts it."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from bailong.model.gguf import _require_said, as_folder, isolate_digits
from bailong.tokenizer.folder import byte_lengths

gguf = pytest.importorskip("gguf", reason="needs the extra 'gguf'")
WORDS = ["the quick brown fox jumps over the lazy dog", "in the year of the fox there were dogs", "a dog, a fox"] * 20


def trained(digits: bool):
    """A byte-level BPE of some hundred tokens, whose digits stand alone or not."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    isolated = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.pre_tokenizer = isolated if digits else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*WORDS, "in 1995 and 1995 and 1995 there were 1995 dogs"] * 5, trainer)
    return tokenizer


def permuted(weight: torch.Tensor, heads: int) -> np.ndarray:
    """Rows of a query or key matrix as GGUF stores them: the halves of each head interleaved."""
    out, width = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, width).swapaxes(1, 2).reshape(out, width).numpy()


def write(
    path: Path,
    *,
    pre: str = "smollm",
    digits: bool = True,
    said: dict[str, float | int | str] | None = None,
    tensors: tuple[str, ...] = (),
):
    """A Llama of two layers with random weights, as a GGUF file and as what it was made from."""
    tokenizer = trained(digits)
    names = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    config = LlamaConfig(
        vocab_size=len(names),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).eval()
    file = gguf.GGUFWriter(str(path), "llama")
    file.add_name("tiny")
    for key, value in (said or {}).items():
        add = {float: file.add_float32, int: file.add_uint32, str: file.add_string}[type(value)]
        add(f"llama.{key}", value)
    for extra in tensors:
        file.add_tensor(extra, np.ones(8, dtype=np.float32))
    file.add_license("apache-2.0")
    file.add_context_length(128)
    file.add_embedding_length(64)
    file.add_block_count(2)
    file.add_feed_forward_length(96)
    file.add_head_count(4)
    file.add_head_count_kv(2)
    file.add_rope_dimension_count(16)
    file.add_rope_freq_base(10_000.0)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_vocab_size(len(names))
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre(pre)
    file.add_token_list(names)
    file.add_token_types([3 if name.startswith("<|") else 1 for name in names])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    file.add_token_merges([" ".join(pair) for pair in merges])
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    state = model.state_dict()
    layer = {
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    file.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    file.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    for i in range(2):
        for ours, theirs in layer.items():
            file.add_tensor(f"blk.{i}.{ours}.weight", state[f"model.layers.{i}.{theirs}.weight"].numpy())
        for letter, heads in (("q", 4), ("k", 2)):
            weight = state[f"model.layers.{i}.self_attn.{letter}_proj.weight"]
            file.add_tensor(f"blk.{i}.attn_{letter}.weight", permuted(weight, heads))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return model, tokenizer


def test_the_folder_is_the_model_and_is_made_once(tmp_path):
    model, tokenizer = write(tmp_path / "tiny.gguf")
    folder = as_folder(str(tmp_path / "tiny.gguf"))
    assert folder == str(tmp_path / "tiny")
    again = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([[1, 30, 40, 50, 60, 70, 2]])
    with torch.no_grad():
        assert torch.equal(again(ids).logits, model(ids).logits)
    assert again.get_input_embeddings().weight.data_ptr() == again.get_output_embeddings().weight.data_ptr()
    assert "quantization_config" not in json.loads((tmp_path / "tiny" / "config.json").read_text())

    theirs = AutoTokenizer.from_pretrained(folder)
    for text in (*WORDS[:3], "in 1995, 12 dogs", "新的一天 naïve 🦊\r\n\ttail "):
        assert theirs.encode(text, add_special_tokens=False) == tokenizer.encode(text).ids
        assert theirs.decode(theirs.encode(text, add_special_tokens=False)) == text
        sizes = byte_lengths(theirs)
        assert sum(int(sizes[i]) for i in theirs.encode(text, add_special_tokens=False)) == len(text.encode())
    assert "Digits" in str(theirs.backend_tokenizer.pre_tokenizer)

    record = json.loads((tmp_path / "tiny" / "gguf.json").read_text())
    assert (record["licence"], record["pre_tokenizer"], record["dtype"]) == ("apache-2.0", "smollm", "float32")
    made = (tmp_path / "tiny" / "config.json").stat().st_mtime_ns
    os.utime(tmp_path / "tiny.gguf")  # touched, and the same
    assert as_folder(str(tmp_path / "tiny.gguf")) == folder
    assert (tmp_path / "tiny" / "config.json").stat().st_mtime_ns == made


def test_another_file_of_the_name_is_converted_anew(tmp_path):
    write(tmp_path / "tiny.gguf")
    as_folder(str(tmp_path / "tiny.gguf"))
    write(tmp_path / "tiny.gguf", pre="gpt-2", digits=False)
    folder = as_folder(str(tmp_path / "tiny.gguf"))
    assert "Digits" not in str(AutoTokenizer.from_pretrained(folder).backend_tokenizer.pre_tokenizer)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"pre": "chameleon"}, "its tokenizer cuts text by the rule 'chameleon', which is not known here"),
        ({"digits": False}, "said to take each digit alone, and has tokens of several: "),
        ({"said": {"logit_scale": 0.125}}, "its header has llama.logit_scale=0.125, which transformers does not read"),
        ({"said": {"embedding_scale": 12.0}}, "llama.embedding_scale=12.0"),
        ({"said": {"final_logit_softcapping": 30.0}}, "llama.final_logit_softcapping=30.0"),
        ({"said": {"rope.scaling.type": "yarn"}}, "llama.rope.scaling.type=yarn"),
        ({"said": {"rope.scaling.factor": 4.0}}, "llama.rope.scaling.factor=4.0"),
        ({"said": {"attention.key_length": 32}}, "llama.attention.key_length=32"),
        ({"tensors": ("rope_freqs.weight",)}, "its tensor rope_freqs.weight stretches positions"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_and_leaves_nothing(tmp_path, knobs, said):
    write(tmp_path / "tiny.gguf", **knobs)
    with pytest.raises(ValueError, match=f"tiny.gguf is not accepted: .*{said}"):
        as_folder(str(tmp_path / "tiny.gguf"))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


@pytest.mark.parametrize("window", [None, 16])
def test_a_window_is_the_one_that_the_file_says(window):
    """transformers reads none, and takes 4,096 for a Mistral and none for a Phi-3."""

    class Header:
        tensors = ()

        def get_field(self, key):
            said = {"general.architecture": "phi3"} | ({"phi3.attention.sliding_window": window} if window else {})
            return SimpleNamespace(contents=lambda: said[key]) if key in said else None

    for kind in ("mistral", "phi3"):
        config = AutoConfig.for_model(kind)
        _require_said(Header(), config)
        assert config.sliding_window == window


def test_what_is_neutral_is_accepted_and_an_older_folder_is_made_again(tmp_path):
    neutral = {"logit_scale": 1.0, "rope.scaling.type": "none", "final_logit_softcapping": 0.0}
    write(tmp_path / "tiny.gguf", said=neutral)
    folder = Path(str(as_folder(str(tmp_path / "tiny.gguf"))))
    record = json.loads((folder / "gguf.json").read_text())
    del record["version"]
    (folder / "gguf.json").write_text(json.dumps(record))
    weights = (folder / "model.safetensors").read_bytes()
    as_folder(str(tmp_path / "tiny.gguf"))
    assert "version" in json.loads((folder / "gguf.json").read_text())
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("kind", ["gemma2", "gemma3_text", "granite"])
def test_factors_that_no_header_says_are_refused_by_name(kind):
    with pytest.raises(ValueError, match=f"every factor that a {kind} applies"):
        _require_said(None, AutoConfig.for_model(kind))


def test_what_is_no_gguf_file_says_so(tmp_path):
    with pytest.raises(ValueError, match="nowhere.gguf does not exist: give a GGUF file"):
        as_folder(str(tmp_path / "nowhere.gguf"))
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 40)
    with pytest.raises(ValueError, match="broken.gguf is not accepted: "):
        as_folder(str(tmp_path / "broken.gguf"))
    write(tmp_path / "tiny.gguf")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="which holds something else"):
        as_folder(str(tmp_path / "tiny.gguf"))
    assert as_folder("models/tiny") == "models/tiny" and as_folder(None) is None


def test_digits_stand_alone_again():
    class Wrapped:
        all_special_tokens = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

        def __init__(self, backend):
            self.backend_tokenizer = backend

        def get_vocab(self):
            return self.backend_tokenizer.get_vocab()

    several = Wrapped(trained(digits=False))
    with pytest.raises(ValueError, match="has tokens of several"):
        isolate_digits(several)
