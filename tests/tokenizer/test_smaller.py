"""Tokens spelled without themselves: by hand, in every tiny family, and with real tokenizers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bailong.tokenizer import fast, merge, tekken
from bailong.tokenizer.halves import halves
from bailong.tokenizer.merge_list import BYTES, MergeList
from bailong.tokenizer.pieces import TO_CHARACTER
from bailong.tokenizer.smaller import late, respelled, without
from tests import bases

#: folder and file below the real data
REAL = {
    "llama2": "llama2_tokenizer/tokenizer.model",
    "mistral": "tokenizers/mistral/tokenizer_v3.model",
    "nemo": "tokenizers/mistral/tekken_240911.json.gz",
    "llama3_1": "tokenizers/llama3_1/tokenizer.json.gz",
    "qwen3": "tokenizers/qwen3/tokenizer.json.gz",
    "gemma3": "tokenizers/gemma3/tokenizer.json.gz",
    "smollm2": "tokenizers/smollm2/tokenizer_from_gguf.json.gz",
}


def byte_level(merges: str, **model: Any) -> dict[str, Any]:
    """A byte-level tokenizer.json: 256 bytes, then what merges make, from id 256 on, in their order."""
    pairs = [merge.split(" ") for merge in merges.split(", ")]
    vocabulary = {character: byte for byte, character in TO_CHARACTER.items()}
    for pair in pairs:
        vocabulary.setdefault("".join(pair), len(vocabulary))
    return _whole({"type": "BPE", "vocab": vocabulary, "merges": pairs} | model, {"type": "ByteLevel"})


def byte_fallback(merges: str, characters: str) -> dict[str, Any]:
    """A tokenizer.json with bytes to fall back on: as Llama 2's: <unk>, bytes, what merges make, characters."""
    pairs = [merge.split(" ") for merge in merges.split(", ")]
    tokens = dict.fromkeys(["<unk>", *BYTES, *("".join(pair) for pair in pairs), *characters])
    vocabulary = {token: i for i, token in enumerate(tokens)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": pairs, "byte_fallback": True, "fuse_unk": True}
    added = [{"id": 0, "content": "<unk>", "special": True}]
    return _whole(model | {"unk_token": "<unk>"}, None) | {"added_tokens": added}


def _whole(model: dict[str, Any], decoder: dict[str, Any] | None) -> dict[str, Any]:
    parts = ("normalizer", "pre_tokenizer", "post_processor", "truncation", "padding")
    if decoder:
        decoder |= {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {"version": "1.0", "model": model, "added_tokens": [], "decoder": decoder} | dict.fromkeys(parts)


def test_by_hand_over_bytes() -> None:
    """ab 256, abc 257, bc 258, abcd 259: without abc it is ab c, and abcd falls with it."""
    data, (a, c, d) = byte_level("a b, ab c, b c, abc d"), b"acd"
    assert respelled(data, [257]) == {257: [256, c]}
    assert respelled(data, {259, 257}) == {257: [256, c], 259: [256, c, d]}
    assert respelled(data, [256, 257, 259]) == {256: [a, 98], 257: [a, 258], 259: [a, 258, d]}
    assert respelled(data, []) == {}


def test_a_token_known_as_a_whole_does_not_spell_itself() -> None:
    assert respelled(byte_level("a b, ab c", ignore_merges=True), [257]) == {257: [256, 99]}


def test_by_hand_with_bytes_to_fall_back_on() -> None:
    """過 becomes its three bytes, alone and within a longer token; no '▁' is invented before them."""
    data = byte_fallback("過 去, ▁ 過", "過去▁")
    at = data["model"]["vocab"]
    spelled = [at["<0xE9>"], at["<0x81>"], at["<0x8E>"]]
    both = respelled(data, [at["過"], at["過去"], at["▁過"]])
    assert both == {at["過"]: spelled, at["過去"]: [*spelled, at["去"]], at["▁過"]: [at["▁"], *spelled]}
    assert respelled(data, [at["▁過"]]) == {at["▁過"]: [at["▁"], at["過"]]}


@pytest.mark.parametrize("i", [0, 1, 256, 9_999, -1])
def test_what_nothing_else_spells_cannot_be_left_out(i: int) -> None:
    with pytest.raises(ValueError, match=rf"^id {i} cannot be left out: it is a byte, an added token or none at all$"):
        respelled(byte_fallback("過 去", "過去▁"), [i])


def test_other_models_are_refused() -> None:
    data = byte_level("a b")
    data["model"]["type"] = "Unigram"
    with pytest.raises(ValueError, match="^a vocabulary of Unigram cannot be made smaller; accepted: BPE$"):
        respelled(data, [256])


def test_the_last_half_of_merged_tokens_and_of_characters() -> None:
    assert late(byte_level("a b, ab c, b c, abc d"), 0.5) == [258, 259]
    assert late(byte_level("a b, ab c, b c, abc d"), 0.3) == [259]
    data = byte_fallback("a b, c d, 過 去, a c", "abcd過去台灣")
    at = data["model"]["vocab"]
    assert late(data, 0.5) == [at["過去"], at["ac"], at["台"], at["灣"]]
    assert late(data, 0.1) == []


def check(data: dict[str, Any], least: int) -> None:
    """Half of a vocabulary: nothing left out is used, bytes are kept (here too), and what stays has its id."""
    gone = late(data, 0.5)
    found, whole = respelled(data, gone), MergeList(data, {})
    assert found.keys() == set(gone) and len(gone) > least
    for i, ids in found.items():
        assert not found.keys() & set(ids)
        assert b"".join(whole.surfaces[j] for j in ids) == whole.surfaces[i]
    assert max(map(len, found.values())) > 2


@pytest.mark.parametrize("family", bases.FAMILIES)
def test_half_of_a_tiny_vocabulary(family: str, tmp_path: Path) -> None:
    bases.build(family, tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    check(data, least=100)


@pytest.mark.parametrize("family", bases.FAMILIES)
def test_one_token_falls_into_its_halves(family: str, tmp_path: Path) -> None:
    bases.build(family, tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    for i, pair in sorted(halves(data).items())[::60]:
        assert respelled(data, [i]) == {i: [*pair]}


def test_the_smaller_tokenizer_reads_text_by_what_is_left(tmp_path: Path) -> None:
    bases.build("llama3", tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    gone = late(data, 0.5)
    smaller, text = Tokenizer.from_str(json.dumps(without(data, gone))), bases.english()[0]
    ids = smaller.encode(text, add_special_tokens=False).ids
    assert not set(gone) & set(ids) and smaller.decode(ids) == text
    assert set(gone) & set(Tokenizer.from_str(json.dumps(data)).encode(text, add_special_tokens=False).ids)


def real(folder: Path, name: str, tmp_path: Path) -> dict[str, Any]:
    file = folder / REAL[name]
    if not file.is_file():
        pytest.skip(f"no {REAL[name]} below the real data")
    if file.suffix == ".model":
        return json.loads(fast.backend(merge.read_model(file)).to_str())
    plain = tmp_path / file.stem
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    return json.loads(tekken.convert(plain).to_str() if tekken.is_tekken(plain) else plain.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", REAL)
def test_half_of_a_real_vocabulary(name: str, real_data: Path, tmp_path: Path) -> None:
    check(real(real_data, name, tmp_path), least=14_000)


def test_han_of_llama_2_is_spelled_in_bytes(real_data: Path, tmp_path: Path) -> None:
    """All 700 Han characters left out at once: three bytes each, and no token of two of them is there."""
    data = real(real_data, "llama2", tmp_path)
    han = [i for token, i in data["model"]["vocab"].items() if len(token) == 1 and "一" <= token <= "鿿"]
    found = respelled(data, han)
    assert len(han) == 700 and all(len(ids) == 3 and max(ids) < 259 and min(ids) > 2 for ids in found.values())
