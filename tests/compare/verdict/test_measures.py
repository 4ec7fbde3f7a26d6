"""Probes and areas on curves that are known in closed form."""

import numpy as np
import pytest

from bailong.compare.verdict.measures import log_area, probe, share


def test_a_probe_is_exact_on_a_line_over_log_steps() -> None:
    """6 − log2 x through its values at 1, 8 and 64 alone: at 2, 16 and 32 it is 5, 2 and 1."""
    x, values = np.array([0.0, 1.0, 8.0, 64.0]), np.array([9.0, 6.0, 3.0, 0.0])
    assert [probe(x, values, at) for at in (2.0, 16.0, 32.0)] == pytest.approx([5.0, 2.0, 1.0])
    assert probe(x, values, 8.0) == pytest.approx(3.0), "an evaluation itself"


def test_a_probe_is_never_extrapolated() -> None:
    x, values = np.array([0.0, 10.0, 20.0]), np.array([4.0, 3.0, 2.0])
    assert probe(x, values, 9.0) is None, "step 0 has no logarithm"
    assert probe(x, values, 21.0) is None
    assert probe(x[:1], values[:1], 5.0) is None and probe(x[:0], values[:0], 5.0) is None


def test_the_area_of_a_line_over_log_steps_is_its_middle() -> None:
    """u = log2(1 + s) is 0, 1, 2, 3 at s = 0, 1, 3, 7; ten tokens a step."""
    x = 10.0 * np.array([0, 1, 3, 7])
    assert log_area(x, np.array([5.0, 4.0, 3.0, 2.0]), 70.0, 7) == pytest.approx(3.5)
    # half of the first and last, and the inner ones, over three units of u
    assert log_area(x, np.array([8.0, 4.0, 2.0, 1.0]), 70.0, 7) == pytest.approx((4 + 4 + 2 + 0.5) / 3)
    # the mean over tokens would be (6 * 1 + 3 * 2 + 1.5 * 4) / 7
    assert log_area(x, np.array([8.0, 4.0, 2.0, 1.0]), 30.0, 3) == pytest.approx((6 + 3) / 2), "a nearer horizon"


def test_no_area_without_both_ends() -> None:
    x, values = np.array([10.0, 30.0]), np.array([3.0, 2.0])
    assert log_area(x, values, 30.0, 3) is None, "no evaluation at step 0"
    assert log_area(np.array([0.0, 10.0]), values, 30.0, 3) is None, "it ends before the horizon"
    assert log_area(x[:0], values[:0], 30.0, 3) is None and log_area(x, values, 0.0, 0) is None


def test_parts_are_named() -> None:
    assert [share(part) for part in (0.0625, 0.5, 0.3)] == ["1/16", "1/2", "0.3"]
