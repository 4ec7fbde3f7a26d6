"""The tokenizer folder: written whole, read back, loaded by transformers, refused when broken."""

import json
import shutil

import numpy as np
import pytest
from transformers import AutoTokenizer

from bailong.tokenizer.folder import TokenizerFolder, byte_lengths, encode_documents, load_tokenizer, token_bytes
from bailong.tokenizer.merge import processor, read_model
from bailong.tokenizer.pieces import old_ids

TEXTS = ["臺灣的玉山很高。", "  two spaces", "<s> typed", "2024年"]


@pytest.fixture
def extended(bench):
    return bench / "tokenizers" / "extended"


def test_manifest_and_pieces(bench, extended):
    folder = TokenizerFolder.open(extended)
    base = read_model(bench / "tokenizers" / "base" / "tokenizer.model")
    model = read_model(extended / "tokenizer.model")
    assert folder.base_vocabulary == len(base.pieces) and folder.vocabulary == len(model.pieces)
    assert list(model.pieces[: len(base.pieces)]) == list(base.pieces)
    new = [piece.piece for piece in model.pieces[len(base.pieces) :]]
    assert len(new) == folder.manifest["new"] > 100
    assert folder.pieces() == old_ids(base, new)
    assert all(0 <= i < folder.base_vocabulary for ids in folder.pieces() for i in ids)


def test_auto_tokenizer_agrees_alone_and_in_a_model_folder(extended, tmp_path):
    ours = TokenizerFolder.open(extended).tokenizer()
    encoder = processor(read_model(extended / "tokenizer.model"))
    for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model"):
        shutil.copy(extended / name, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    for path in (extended, tmp_path):
        auto = AutoTokenizer.from_pretrained(path)
        assert auto.encode("x")[0] == auto.bos_token_id == 1
        for text in TEXTS:
            assert auto.encode(text) == ours.encode(text) == load_tokenizer(path).encode(text)
        for text in (TEXTS[0], TEXTS[1], TEXTS[3]):
            assert auto.encode(text)[1:] == encoder.encode(text)
            assert auto.decode(auto.encode(text), skip_special_tokens=True) == text


def test_documents_get_no_special_tokens(extended):
    tokenizer = TokenizerFolder.open(extended).tokenizer()
    before = tokenizer.encode("<s>")
    ids = encode_documents(tokenizer, TEXTS)
    assert not {0, 1, 2} & {i for row in ids for i in row}
    assert ids == processor(read_model(extended / "tokenizer.model")).encode(TEXTS)
    assert tokenizer.encode("<s>") == before  # the tokenizer is left as it was


def test_byte_lengths_add_up_to_the_text(extended):
    tokenizer = TokenizerFolder.open(extended).tokenizer()
    lengths = byte_lengths(tokenizer)
    assert lengths.shape == (len(tokenizer),) and lengths.dtype == np.uint16
    assert lengths[:3].tolist() == [0, 0, 0] and set(lengths[3:259].tolist()) == {1}
    for text, ids in zip(TEXTS, encode_documents(tokenizer, TEXTS), strict=True):
        assert lengths[ids].sum() == len(text.encode()) + 1  # the '▁' before the text


def test_bytes_of_tokens_join_to_the_text(extended):
    tokenizer = TokenizerFolder.open(extended).tokenizer()
    surfaces = token_bytes(tokenizer)
    assert surfaces[:3] == [b"", b"", b""] and len(surfaces) == len(tokenizer)
    assert [len(surface) for surface in surfaces] == byte_lengths(tokenizer).tolist()
    for text, ids in zip(TEXTS, encode_documents(tokenizer, TEXTS), strict=True):
        assert b"".join(surfaces[i] for i in ids) == b" " + text.encode()  # the '▁' before the text


def test_broken_folders_are_refused(extended, tmp_path):
    with pytest.raises(ValueError, match=r"does not exist: make it with bailong-extend tokenizer=absent"):
        TokenizerFolder.open(tmp_path / "absent")
    copy = tmp_path / "copy"
    shutil.copytree(extended, copy)
    stale = (copy / "tokenizer.json").read_text()
    (copy / "tokenizer.json").write_text(stale.replace("臺", "台"))
    with pytest.raises(ValueError, match="was changed"):
        TokenizerFolder.open(copy)
    (copy / "pieces.jsonl").unlink()
    with pytest.raises(ValueError, match="has no pieces.jsonl"):
        TokenizerFolder.open(copy)


def test_load_tokenizer_refuses_what_is_none(tmp_path):
    (tmp_path / "tokenizer.model").write_text("no model")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        load_tokenizer(tmp_path / "a" / "b" / "c")
