"""The numbers against values worked out by hand or taken from printed tables."""

import math

import numpy as np
import pytest

from bailong.compare.statistics import area, estimate, first_reach


def quantile(freedom: int) -> float:
    """The two-sided 95 % point of Student's t behind an interval."""
    values = np.arange(freedom + 1, dtype=float)
    found = estimate(values.tolist())
    assert found is not None and found.half is not None
    return found.half * math.sqrt(found.n) / float(values.std(ddof=1))


# Two-sided 95 % points of Student's t, as printed in every table of it.
@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_an_interval_is_that_of_the_printed_table(freedom: int, expected: float) -> None:
    assert quantile(freedom) == pytest.approx(expected, abs=5e-4)


def test_an_interval_has_closed_forms_for_one_and_two_degrees() -> None:
    assert quantile(1) == pytest.approx(math.tan(math.pi * 0.475), rel=1e-9)
    # freedom 2: t = (2p - 1) sqrt(2 / (4 p (1 - p)))
    assert quantile(2) == pytest.approx(0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)), rel=1e-9)


def test_an_interval_nears_the_normal() -> None:
    assert quantile(100_000) == pytest.approx(1.959963985, abs=3e-5)


def test_interval_by_hand() -> None:
    # 1, 2, 6: mean 3, variance (4 + 1 + 9) / 2 = 7, half = 4.3027 sqrt(7 / 3)
    found = estimate([1.0, 2.0, 6.0])
    assert found is not None and found.n == 3
    assert found.mean == 3
    assert found.half == pytest.approx(4.302653 * math.sqrt(7 / 3), rel=1e-6)


def test_one_value_has_no_interval_and_none_no_mean() -> None:
    single = estimate([2.5])
    assert single is not None and single.half is None
    assert estimate([]) is None


def test_equal_values_have_an_interval_of_no_width() -> None:
    same = estimate([-0.5, -0.5])
    assert same is not None and same.half == 0


def test_area_by_hand() -> None:
    tokens, values = np.array([0.0, 10.0, 30.0]), np.array([4.0, 2.0, 1.0])
    # (4+2)/2*10 + (2+1)/2*20 = 60, over 30 tokens
    assert area(tokens, values, 30) == pytest.approx(2.0)
    # up to 20 the curve is at 1.5: (30 + (2+1.5)/2*10) / 20
    assert area(tokens, values, 20) == pytest.approx(2.375)
    assert area(tokens, values, 10) == pytest.approx(3.0)


def test_area_needs_the_whole_range() -> None:
    tokens, values = np.array([0.0, 10.0]), np.array([4.0, 2.0])
    assert area(tokens, values, 11) is None
    assert area(tokens + 1, values, 5) is None
    assert area(tokens[:1], values[:1], 0) is None


def test_first_reach_by_hand() -> None:
    tokens, values = np.array([0.0, 100.0, 200.0, 300.0]), np.array([4.0, 3.0, 3.5, 2.0])
    assert first_reach(tokens, values, 3.25) == pytest.approx(75)
    assert first_reach(tokens, values, 3.0) == pytest.approx(100)
    assert first_reach(tokens, values, 2.75) == pytest.approx(250)
    assert first_reach(tokens, values, 5.0) == 0
    assert first_reach(tokens, values, 1.9) is None
