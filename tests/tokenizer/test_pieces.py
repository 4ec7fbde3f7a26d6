"""Old ids of new tokens: by hand, from the old model, spelling the same bytes."""

from bailong.tokenizer.pieces import old_ids, piece_bytes
from tests.tokenizer.test_merge import BASE, model_of


def test_piece_bytes():
    assert piece_bytes("▁的") == b" \xe7\x9a\x84"
    assert piece_bytes("<0xE7>") == b"\xe7"
    assert piece_bytes("<0x>") == b"<0x>"


def test_old_ids_invent_no_space():
    base = model_of(BASE)
    ids = {piece.piece: i for i, piece in enumerate(base.pieces)}
    day = [ids[f"<0x{byte:02X}>"] for byte in "天".encode()]
    assert old_ids(base, ["的天", "▁天", "天", "1天"]) == [[ids["的"], *day], [ids["▁"], *day], day, [ids["1"], *day]]


def test_old_ids_of_llama_2(real_data):
    from bailong.tokenizer.merge import read_model

    base = read_model(real_data / "llama2_tokenizer" / "tokenizer.model")
    # three bytes for a character that Llama 2 lacks, one id for one that it has
    assert [len(ids) for ids in old_ids(base, ["創", "新", "創新", "▁創新"])] == [3, 1, 4, 5]
