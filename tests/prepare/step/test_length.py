"""Bounds on tokens."""

import pytest

from bailong.prepare.step.length import Length
from bailong.prepare.step.tokenize import Tokenize
from bailong.text.invisible import shows


def test_bounds_are_inclusive():
    length = Length(min_tokens=10, max_tokens=20)
    assert [length.reason(n) for n in (9, 10, 20, 21)] == ["too_short", "", "", "too_long"]
    assert Length().reason(10**9) == ""


def test_the_lower_bound_counts_what_is_seen():
    length = Length(min_tokens=3, max_tokens=8)
    blank, word = [False], [True]
    assert length.reason(6, blank * 4 + word * 2) == "too_short"
    assert length.reason(6, blank * 3 + word * 3) == ""
    assert length.reason(9, blank * 6 + word * 3) == "too_long"
    assert Length(min_tokens=0).reason(0, []) == ""


def test_no_more_is_read_than_decides():
    seen = iter([True] * 100)
    assert Length(min_tokens=10).reason(100, seen) == ""
    assert len(list(seen)) == 90


@pytest.mark.parametrize("tokenizer", ["characters", "llama2"])
def test_blank_tokens_are_told_from_others(tokenizer, real_data):
    folder = "characters" if tokenizer == "characters" else str(real_data / "llama2_tokenizer" / "tokenizer.model")
    encode, _, text_of = Tokenize(tokenizer=folder).open()
    (ids,) = encode(["台中\n \n \n\t\n \n人"])
    assert len(ids) >= 10
    assert Length(min_tokens=4).reason(len(ids), (shows(text_of(int(i))) for i in ids)) == "too_short"
    (ids,) = encode(["the old town"])
    assert Length(min_tokens=3).reason(len(ids), (shows(text_of(int(i))) for i in ids)) == ""


def test_refusals():
    with pytest.raises(ValueError, match=r"length\.min_tokens"):
        Length(min_tokens=-1)
    with pytest.raises(ValueError, match=r"length\.max_tokens=5 is not accepted: it must be at least min_tokens=10"):
        Length(max_tokens=5)
