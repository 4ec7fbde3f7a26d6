"""What is appended, with which score, and what is refused as a base."""

import pytest

from bailong.tokenizer import merge
from bailong.tokenizer.merge import Model, Type, new_model

BASE = ["▁", "a", "1", "2", "0", "“", "的", "▁a"]


def model_of(pieces: list[str], *, lowest: float = -1.0) -> Model:
    """A byte-fallback BPE with these pieces, scores falling by one."""
    model = new_model()
    for piece, kind in (("<unk>", Type.UNKNOWN), ("<s>", Type.CONTROL), ("</s>", Type.CONTROL)):
        model.pieces.add(piece=piece, score=0, type=kind)
    for byte in range(256):
        model.pieces.add(piece=f"<0x{byte:02X}>", score=0, type=Type.BYTE)
    for rank, piece in enumerate(pieces):
        model.pieces.add(piece=piece, score=lowest - rank, type=Type.NORMAL)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    return model


def added(base: Model, model: Model) -> list[str]:
    return [piece.piece for piece in model.pieces[len(base.pieces) :]]


@pytest.mark.parametrize(
    "piece, cjk, cjk_digits",
    [
        ("明天", True, True),
        ("▁明天", True, True),
        ("，但", True, True),
        ("的“", True, True),
        ("5年", False, True),
        ("１２", True, True),
        ("“”", False, False),
        ("12", False, False),
        ("▁", False, False),
        ("A股", False, False),
        ("明 天".replace(" ", "▁"), False, False),
        ("é", False, False),
    ],
)
def test_filter(piece, cjk, cjk_digits):
    assert merge.is_kept(piece, "cjk") is cjk
    assert merge.is_kept(piece, "cjk_digits") is cjk_digits
    assert merge.is_kept(piece, "all")


def test_old_pieces_stay_and_new_ones_score_below_them():
    base = model_of(BASE)
    trained = model_of(["明天", "天的", "▁a", "ab", "明", "天", "的"])
    model = merge.append(base, trained, keep="cjk", scores="decreasing", max_new=None)
    assert list(model.pieces[: len(base.pieces)]) == list(base.pieces)
    assert added(base, model) == ["明天", "天的", "明", "天"]
    scores = [piece.score for piece in model.pieces[len(base.pieces) - 1 :]]
    assert all(a > b for a, b in zip(scores, scores[1:], strict=False))
    assert model.trainer_spec.vocab_size == len(model.pieces)


def test_runs_of_spaces_do_not_set_the_lowest_score():
    base = model_of(BASE)
    base.pieces.add(piece="▁▁", score=-1e9, type=Type.NORMAL)
    model = merge.append(base, model_of(["明", "天"]), keep="cjk", scores="decreasing", max_new=None)
    assert [piece.score for piece in model.pieces[-2:]] == [-9.0, -10.0]


def test_zero_scores_are_kept_as_a_counter_example():
    model = merge.append(model_of(BASE), model_of(["明", "天"]), keep="all", scores="zero", max_new=None)
    assert [piece.score for piece in model.pieces[-2:]] == [0.0, 0.0]


def test_a_cap_cuts_merges_before_characters():
    trained = model_of(["明天", "天的", "明", "天"])
    base = model_of(BASE)
    assert added(base, merge.append(base, trained, keep="cjk", scores="decreasing", max_new=3)) == ["明天", "明", "天"]
    assert added(base, merge.append(base, trained, keep="cjk", scores="decreasing", max_new=1)) == ["明"]


def test_pieces_that_lost_a_part_are_left_out():
    # '10年' was made of '10' and '年'; '10' is filtered away, and '0年' is not there to stand in
    base = model_of(BASE)
    trained = model_of(["10", "10年", "2年", "年"])
    model = merge.append(base, trained, keep="cjk_digits", scores="decreasing", max_new=None)
    assert added(base, model) == ["2年", "年"]
    assert merge.unreachable(model, len(base.pieces)) == []
    # a character that is not in the vocabulary becomes bytes, which never merge
    trained = model_of(["罕見", "見"])
    assert added(base, merge.append(base, trained, keep="cjk", scores="decreasing", max_new=None)) == ["見"]


def test_a_base_without_room_for_lower_scores_is_refused():
    with pytest.raises(ValueError, match="no room"):
        merge.append(model_of(BASE, lowest=-1e9), model_of(["明", "天"]), keep="cjk", scores="decreasing", max_new=None)


def test_what_is_no_base(tmp_path):
    notes = tmp_path / "notes.model"
    notes.write_text("this is not a tokenizer\n")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        merge.read_model(notes)
    empty = tmp_path / "empty.model"
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        merge.read_model(empty)
    with pytest.raises(ValueError, match="holds no tokenizer.model"):
        merge.model_file(str(tmp_path))
    with pytest.raises(ValueError, match="does not exist"):
        merge.model_file(str(tmp_path / "missing.model"))
    with pytest.raises(ValueError, match="make it with bailong-extend tokenizer=absent"):
        merge.model_file("tokenizers/absent")


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda m: setattr(m.trainer_spec, "model_type", 1), "not BPE"),
        (lambda m: setattr(m.trainer_spec, "byte_fallback", False), "no byte fallback"),
        (lambda m: setattr(m.normalizer_spec, "precompiled_charsmap", b"x"), "changes text"),
        (lambda m: setattr(m.normalizer_spec, "remove_extra_whitespaces", True), "changes text"),
        (lambda m: setattr(m.trainer_spec, "treat_whitespace_as_suffix", True), "after words"),
    ],
)
def test_bases_that_cannot_be_reproduced_are_refused(tmp_path, change, reason):
    model = model_of(BASE)
    merge.require_extendable(model, tmp_path)
    change(model)
    with pytest.raises(ValueError, match=reason):
        merge.require_extendable(model, tmp_path)
