"""The transformers tokenizer gives SentencePiece's ids, on ordinary and on nasty text."""

import random

import pytest

from bailong.tokenizer import fast
from bailong.tokenizer.folder import encode_documents
from bailong.tokenizer.merge import SPACE, Model, Type, processor, read_model
from tests.tokenizer.test_merge import BASE, model_of

NASTY = [
    "",
    " ",
    "   three spaces first",
    "a  b   c                  d ",
    "\n\n\tline\r\n",
    "<s> and </s> and <unk> and <0x0A> typed",
    "罕見字𠮷野家，ｅｍｏｊｉ😀é\u0301",
    "— — —— ———……！！！",
    "aaaaaaaaaaa的的的的的的的",
    "2023年12月31日，第1000名",
]


def nasty_lines(model: Model, seed: int = 0) -> list[str]:
    """Fixed nasty lines, and random strings of a few characters or of the model's own pieces."""
    draw = random.Random(seed)
    pieces = [piece.piece.replace(SPACE, " ") for piece in model.pieces if piece.type == Type.NORMAL]
    alphabets = [
        "  a",
        "— …",
        "的是",
        "12 年月",
        "，。「」",
        "<s>/",
        "*_=-",
        *[draw.sample(pieces, 6) for _ in range(60)],
    ]
    return NASTY + ["".join(draw.choices(a, k=draw.randint(1, 30))) for a in alphabets for _ in range(20)]


def check(model: Model) -> None:
    tokenizer, encoder = fast.convert(model), processor(model)
    for line, ids, expected in zip(
        lines := nasty_lines(model), encode_documents(tokenizer, lines), encoder.encode(lines), strict=True
    ):
        assert ids == expected, line
        assert tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False) == line


def test_same_ids_on_the_bench(bench):
    check(read_model(bench / "tokenizers" / "base" / "tokenizer.model"))
    check(read_model(bench / "tokenizers" / "extended" / "tokenizer.model"))


def test_same_ids_for_llama_2_with_its_runs_of_spaces(real_data):
    check(read_model(real_data / "llama2_tokenizer" / "tokenizer.model"))


def test_merges_follow_scores_not_ids():
    # 'ab' is listed before 'bc' but scores lower: SentencePiece merges 'bc' first
    model = model_of(["▁", "a", "b", "c"])
    model.pieces.add(piece="ab", score=-20, type=Type.NORMAL)
    model.pieces.add(piece="bc", score=-10, type=Type.NORMAL)
    assert fast.merges_of(model) == [("b", "c"), ("a", "b")]
    assert encode_documents(fast.convert(model), ["abc"]) == processor(model).encode(["abc"])


def test_control_tokens_are_no_result_of_a_merge():
    model = model_of(["▁", "<", "s", ">", "<s"])
    assert ("<s", ">") not in fast.merges_of(model)
    assert encode_documents(fast.convert(model), ["<s>"]) == processor(model).encode(["<s>"])


@pytest.mark.parametrize("prefix", [True, False])
def test_dummy_prefix_is_the_models_own(prefix):
    model = model_of(BASE)
    model.normalizer_spec.add_dummy_prefix = prefix
    model.trainer_spec.bos_id, model.trainer_spec.eos_id = 1, 2
    model.trainer_spec.bos_piece, model.trainer_spec.eos_piece, model.trainer_spec.unk_piece = "<s>", "</s>", "<unk>"
    tokenizer = fast.convert(model)
    ids = encode_documents(tokenizer, ["a的", " a"])
    assert ids == processor(model).encode(["a的", " a"])
    assert tokenizer.decode(ids[1]) == " a"
    assert tokenizer.encode("a")[0] == 1
