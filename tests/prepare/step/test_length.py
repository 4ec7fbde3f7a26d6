"""Bounds on tokens."""

import pytest

from bailong.prepare.step.length import Length


def test_bounds_are_inclusive():
    length = Length(min_tokens=10, max_tokens=20)
    assert [length.reason(n) for n in (9, 10, 20, 21)] == ["too_short", "", "", "too_long"]
    assert Length().reason(10**9) == ""


def test_refusals():
    with pytest.raises(ValueError, match=r"length\.min_tokens"):
        Length(min_tokens=-1)
    with pytest.raises(ValueError, match=r"length\.max_tokens=5 is not accepted: it must be at least min_tokens=10"):
        Length(max_tokens=5)
