"""Training: the lines, the identity normaliser, the number of characters, and refusals."""

import random
from collections import Counter

import pytest

from bailong.extend import bpe
from bailong.extend.bpe import coverage_of
from bailong.tokenizer.merge import Type, new_model

TEXT = ["今天天氣很好，我們去公園散步。", "他說：「明天會下雨嗎？」", "數字１２３與ＡＢＣ全形，應該保持原樣！"] * 30


def pieces_of(serialised: bytes) -> list[str]:
    model = new_model()
    model.ParseFromString(serialised)
    assert model.normalizer_spec.precompiled_charsmap == b"" and model.trainer_spec.byte_fallback
    return [piece.piece for piece in model.pieces if piece.type == Type.NORMAL]


def run(tmp_path, lines=TEXT, **changes) -> list[str]:
    options = {"split_by_unicode_script": False, "max_sentencepiece_length": 6}
    arguments = {"pieces": 400, "characters": None, "coverage": 1.0, "options": options} | changes
    return pieces_of(bpe.train(lines, tmp_path, **arguments))


def test_lines_are_paragraphs_or_sentences():
    document = "一句。又一句！「引文。」\n\n 第二段 3.5 度 \n"
    assert list(bpe.lines_of([document], "paragraph")) == ["一句。又一句！「引文。」", "第二段 3.5 度"]
    assert list(bpe.lines_of([document], "sentence")) == ["一句。", "又一句！", "「引文。」", "第二段 3.5 度"]


def test_full_width_text_is_learned_as_it_stands(tmp_path):
    learned = "".join(run(tmp_path))
    assert all(c in learned for c in "，。：「」？！１２３ＡＢＣ")
    assert "," not in learned and "A" not in learned


def test_pieces_are_no_longer_than_asked(tmp_path):
    assert max(map(len, run(tmp_path))) == 6


def test_characters_bounds_single_characters(tmp_path):
    rare = [*TEXT, "罕", "字"]
    common = len(set("".join(TEXT)))
    singles = {piece for piece in run(tmp_path, lines=rare, characters=common) if len(piece) == 1}
    assert singles - {"▁"} == set("".join(TEXT))  # '▁' is SentencePiece's own
    with pytest.raises(ValueError, match=r"tokenizer\.characters=20 covers .* it must be (\d+) or more"):
        coverage_of(Counter("".join(TEXT)), 20)
    assert coverage_of(Counter("".join(TEXT)), 10_000) == pytest.approx(1.0)


def test_training_is_repeatable_and_tells_its_progress(tmp_path):
    told: list[int] = []
    draw = random.Random(0)  # random text has many merges; the trainer tells every hundred or so
    lines = ["".join(draw.choices("一二三四五六七八九十", k=40)) for _ in range(200)]
    first = run(tmp_path, lines=lines, pieces=900, progress=told.append)
    assert first == run(tmp_path, lines=lines, pieces=900)
    assert told and told == sorted(told)


def test_refusals_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="empty"):
        run(tmp_path, lines=[])
    with pytest.raises(ValueError, match=r"tokenizer\.pieces=100 on this text: .*Vocabulary size"):
        run(tmp_path, pieces=100)
