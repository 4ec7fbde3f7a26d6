"""A tokenizer.json as a base: what is read of it, what is refused, and what is appended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from bailong.extend import continued
from bailong.tokenizer.merge_list import MergeList, word_boundaries
from bailong.tokenizer.pieces import TO_CHARACTER
from bailong.tokenizer.scripts import Alphabet
from tests import bases


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bases")
    for family in bases.FAMILIES:
        bases.build(family, folder / family)
    return folder


@pytest.fixture(params=bases.FAMILIES)
def family(request) -> str:
    return request.param


def changed(place: Path, family: str, folder: Path, change) -> Path:
    """The base of a family with a changed tokenizer.json."""
    data = json.loads((place / family / "tokenizer.json").read_text(encoding="utf-8"))
    change(data)
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder / "tokenizer.json"


def read(place: Path, family: str) -> MergeList:
    return MergeList.read(place / family / "tokenizer.json")


def test_surfaces_are_the_bytes_of_text(family, place):
    base = read(place, family)
    assert base.byte_level == (family != "gemma")
    for text in ("The rain, in 1994.", " 台灣 𠀀 ", "é\u00a0ï"):
        ids = base.tokenizer.encode(text, add_special_tokens=False).ids
        assert b"".join(base.surfaces[i] for i in ids) == text.encode()
    singles = {surface for surface in base.surfaces if len(surface) == 1}
    assert singles == {bytes([byte]) for byte in range(256)}
    assert all(base.surfaces[token["id"]] == b"" for token in base.data["added_tokens"])


def test_spelling_and_bytes_are_each_other(family, place):
    base = read(place, family)
    for text in ("台", " 台灣", "é", "\u3000", "▁"):
        surface = text.encode()
        assert base.bytes_of(base.spelling(surface)) == (b" " if family == "gemma" and text == "▁" else surface)
    if family != "gemma":
        assert base.bytes_of(base.spelling(b"\xe5\x8f")) == b"\xe5\x8f"


def test_every_byte_has_its_token_after_as_before(family, place):
    base = read(place, family)
    new = Tokenizer.from_str(json.dumps(base.extended(["台".encode()], [])))
    for byte in range(256):
        token = TO_CHARACTER[byte] if base.byte_level else f"<0x{byte:02X}>"
        i = new.token_to_id(token)
        assert i == base.tokenizer.token_to_id(token) and i is not None and base.surfaces[i] == bytes([byte])
    vocabulary = new.get_vocab()
    ids = [vocabulary[TO_CHARACTER[b] if base.byte_level else f"<0x{b:02X}>"] for b in "嗨\r\n👋".encode()]
    assert new.decode(ids) == "嗨\r\n👋"


def test_ids_of_bytes_spell_them(family, place):
    base = read(place, family)
    surfaces = ["台灣".encode(), b" the", "é".encode()] + ([b"\xe5\x8f", b"\xf0\xa0"] if base.byte_level else [])
    for surface, ids in zip(surfaces, base.ids_of(surfaces), strict=True):
        assert b"".join(base.surfaces[i] for i in ids) == surface


def test_new_ids_begin_behind_the_last_name(family, place, tmp_path):
    """Ids without a name stay without one; a marker that stands behind a hole is the last."""

    def with_hole(data: dict[str, Any]) -> None:
        data["model"]["vocab"]["<|late|>"] = 5000
        data["added_tokens"].append(data["added_tokens"][-1] | {"id": 5000, "content": "<|late|>"})

    base = MergeList.read(changed(place, family, tmp_path / "hole", with_hole))
    assert base.named == 5001 and base.surfaces[4999] == b""
    data = base.extended(["台灣".encode()], [])
    tokenizer = Tokenizer.from_str(json.dumps(data))
    assert tokenizer.token_to_id(base.spelling("台灣".encode())) == 5001
    assert tokenizer.token_to_id("<|late|>") == 5000


@pytest.mark.parametrize("together", [False, True])
def test_merges_are_written_as_the_base_writes_them(together, place, tmp_path):
    """Older files have `a b` where newer ones have [a, b]."""

    def spell(data: dict[str, Any]) -> None:
        data["model"]["merges"] = [" ".join(pair) if together else list(pair) for pair in data["model"]["merges"]]

    base = MergeList.read(changed(place, "llama3", tmp_path / "merges", spell))
    first = "台".encode()
    data = base.extended([first[:2], first], [(first[:1], first[1:2]), (first[:2], first[2:])])
    assert {type(merge) for merge in data["model"]["merges"]} == {str if together else list}
    tokenizer = Tokenizer.from_str(json.dumps(data))
    assert tokenizer.encode("台", add_special_tokens=False).ids == [base.named + 1]


def test_what_is_declared_beside_is_read(family, place, tmp_path):
    """A padding token that stands in tokenizer_config.json or added_tokens.json alone."""
    last = read(place, family).named
    for name, content in (
        ("tokenizer_config.json", {"added_tokens_decoder": {str(last): {"content": "[PAD]", "special": True}}}),
        ("added_tokens.json", {"[PAD]": last}),
    ):
        file = changed(place, family, tmp_path / name, lambda data: None)
        (file.parent / name).write_text(json.dumps(content), encoding="utf-8")
        base = MergeList.read(file)
        assert base.named == last + 1 and base.tokenizer.token_to_id("[PAD]") == last
        tokenizer = Tokenizer.from_str(json.dumps(base.extended(["台".encode()], [])))
        assert tokenizer.token_to_id("[PAD]") == last


def test_markers_that_are_named_alone_get_the_ids_of_transformers(family, place, tmp_path):
    """transformers adds a padding token that tokenizer_config.json names and tokenizer.json lacks."""
    file = changed(place, family, tmp_path / "named", lambda data: None)
    config = {"pad_token": "[PAD]", "eos_token": "<|none|>", "additional_special_tokens": ["<|extra|>", "<|end|>"]}
    (file.parent / "tokenizer_config.json").write_text(
        json.dumps(config | {"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    base = MergeList.read(file)
    wanted = PreTrainedTokenizerFast.from_pretrained(file.parent).get_vocab()
    assert base.tokenizer.get_vocab() == wanted and base.named == read(place, family).named + 3
    tokenizer = Tokenizer.from_str(json.dumps(base.extended(["台".encode()], [])))
    assert all(tokenizer.token_to_id(token) == i for token, i in wanted.items())


def test_the_oldest_files_name_no_type_and_no_parts(place, tmp_path):
    def bare(data: dict[str, Any]) -> None:
        del data["model"]["type"], data["post_processor"], data["normalizer"]
        data["added_tokens"] = []

    base = MergeList.read(changed(place, "qwen", tmp_path / "old", bare))
    assert base.extended(["台".encode()], [])["model"]["vocab"]
    assert base.ids_of(["台".encode()])


def test_a_length_that_is_written_into_the_file_cuts_no_text(place, tmp_path):
    """Training sets them anew for every batch; text that is counted, encoded or measured is read whole."""

    def cut(data: dict[str, Any]) -> None:
        data["truncation"] = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
        data["padding"] = {
            "strategy": {"Fixed": 16},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        }

    base = MergeList.read(changed(place, "llama3", tmp_path / "cut", cut))
    text = "The rain over the sea and the hills. " * 4
    wanted = read(place, "llama3").tokenizer.encode(text).ids
    assert base.tokenizer.encode(text).ids == wanted
    assert Tokenizer.from_str(json.dumps(base.extended([], []))).encode(text).ids == wanted


def lacking(data: dict[str, Any], *surfaces: str) -> None:
    gone = [token for token in data["model"]["vocab"] if any(s in token for s in surfaces)]
    for token in gone:
        del data["model"]["vocab"][token]
    data["model"]["merges"] = [
        pair for pair in data["model"]["merges"] if not any(s in part for part in pair for s in surfaces)
    ]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("llama3", lambda data: data["model"].update(dropout=0.1), "drops merges at random"),
        ("llama3", lambda data: data["model"].update(end_of_word_suffix="</w>"), "the end of words"),
        ("llama3", lambda data: data["model"].update(continuing_subword_prefix="##", merges=[]), "the inside"),
        ("llama3", lambda data: lacking(data, TO_CHARACTER[0xE5]), "no token for 1 of the"),
        ("gemma", lambda data: data["model"].update(byte_fallback=False), "neither bytes nor"),
        ("gemma", lambda data: lacking(data, "<0xE5>"), "no token for 1 of the 256 bytes"),
        ("gemma", lambda data: data.update(normalizer=None), "a space"),
    ],
)
def test_what_cannot_be_extended_is_one_line(name, change, message, place, tmp_path):
    file = changed(place, name, tmp_path / "odd", change)
    with pytest.raises(
        ValueError, match=rf"^tokenizer\.base=.*cannot be extended: .*{message}.*; accepted: "
    ) as caught:
        MergeList.read(file)
    assert "\n" not in str(caught.value)


def test_bytes_that_no_text_has_may_be_lacking(place, tmp_path):
    """SmolLM2 has no token for some control characters and for bytes that stand in no UTF-8."""
    gone = [TO_CHARACTER[byte] for byte in (0x04, 0x16, 0xC0, 0xC1, 0xF1, 0xF5, 0xFF)]
    base = MergeList.read(changed(place, "llama3", tmp_path / "smol", lambda data: lacking(data, *gone)))
    assert base.ids_of(["台".encode()])


@pytest.mark.parametrize(
    ("model", "trainer"),
    [
        (models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(vocab_size=60, special_tokens=["[UNK]"])),
        (models.Unigram(), trainers.UnigramTrainer(vocab_size=60, show_progress=False)),
        (models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(special_tokens=["[UNK]"])),
    ],
)
def test_another_model_is_refused_by_its_name(model, trainer, tmp_path):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    trainer.show_progress = False
    tokenizer.train_from_iterator(["some words, and some words more"] * 3, trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match=rf"its model is {type(model).__name__}, not BPE"):
        MergeList.read(tmp_path / "tokenizer.json")


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"model": {}}', '{"a": 1', "\udcff"])
def test_what_is_no_tokenizer_is_one_line(content, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match="is not a tokenizer.json") as caught:
        MergeList.read(file)
    assert "\n" not in str(caught.value)


def test_an_added_token_of_one_character_is_not_made_again(family, place, tmp_path):
    """Text that an added token takes first, or only where it stands alone, is no new token."""
    folder = tmp_path / "added"
    folder.mkdir()
    tokenizer = Tokenizer.from_file(str(place / family / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("台", single_word=True, normalized=False), AddedToken("灣", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    base = MergeList.read(folder / "tokenizer.json")
    assert {"台".encode(), "灣".encode()} <= base.taken
    assert base.surfaces[-2:] == [b"", b""]


def test_an_added_token_reads_as_none_of_the_vocabulary(place):
    """'ğ' stands for byte 0x1F in a byte-level vocabulary, and as an added token would take its id."""
    base = read(place, "llama3")
    assert not base.may_add("ğ".encode()) and base.may_add("ş".encode()) and not base.may_add(b"\xc4")
    assert not base.may_add("çok".encode()) and base.may_add(" çok".encode()) and base.may_add(b"zzz")
    assert read(place, "gemma").may_add("çok".encode())
    lines = ["ğ ş ğş ağaç dağ ışık şu çok gözlük"] * 5
    latin = Alphabet(("Latn",), 6)
    learned = continued.train(base, latin, continued.count(base, latin, lines), method="add_tokens", size=99)
    tokens = {token.decode() for token in learned.tokens}
    assert "ş" in tokens and "ğ" not in tokens
    tokenizer = Tokenizer.from_str(json.dumps(base.with_added(learned.tokens)))
    ids = [tokenizer.token_to_id(token) for token in [t.decode() for t in learned.tokens]]
    assert ids == list(range(base.named, base.named + len(ids)))
    for text in [*lines, "\x1f ğ", "çokçok gözlüğüm"]:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_words_begin_where_the_base_parts_text(place):
    byte_level, whole = (read(place, family) for family in ("llama3", "gemma"))
    encoding = byte_level.tokenizer.encode("The sea, 1994", add_special_tokens=False)
    starts = [encoding.offsets[i][0] for i in word_boundaries(encoding)]
    assert starts[0] == 0 and len(starts) == 6  # The| sea|,| |199|4
    assert word_boundaries(whole.tokenizer.encode("The sea, 1994", add_special_tokens=False)).tolist() == [0]
    assert word_boundaries(byte_level.tokenizer.encode("", add_special_tokens=False)).tolist() == []
