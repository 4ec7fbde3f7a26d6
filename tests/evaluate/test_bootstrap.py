"""Intervals: as wide as theory says, the same for the same seed, bounded in memory."""

import math
import tracemalloc

import numpy as np
import pytest

from bailong.evaluate.bootstrap import CHUNK, average, difference, generator, interval, means

FEW = np.repeat([0.0, 3.0, 7.0, 10.0], 100)
MANY = np.linspace(0, 10, 400)


@pytest.mark.parametrize("values", [FEW, MANY], ids=["few distinct values", "all distinct"])
def test_resampled_means_have_the_moments_of_theory(values: np.ndarray) -> None:
    drawn = means(values, 20_000, generator(0, "x"))
    deviation = values.std() / math.sqrt(len(values))
    assert drawn.mean() == pytest.approx(values.mean(), abs=4 * deviation / math.sqrt(len(drawn)))
    assert drawn.std() == pytest.approx(deviation, rel=0.03)
    found = interval(values, drawn)
    assert found.low == pytest.approx(values.mean() - 1.96 * deviation, abs=0.1 * deviation)
    assert found.high == pytest.approx(values.mean() + 1.96 * deviation, abs=0.1 * deviation)


def test_fifty_questions_say_little() -> None:
    """FGC has 50: with a standard deviation of 3 its half-width is 0.83."""
    values = np.tile([2.0, 8.0], 25)
    found = interval(values, means(values, 20_000, generator(0, "fgc")))
    assert (found.high - found.low) / 2 == pytest.approx(0.83, abs=0.06)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(400):
        values = random.binomial(10, 0.4, size=60).astype(float)
        found = interval(values, means(values, 1_000, generator(trial, "coverage")))
        covered += found.low <= 4.0 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


def test_a_seed_and_a_label_make_a_stream_of_their_own() -> None:
    first, again = (means(MANY, 50, generator(1, "a", "b")) for _ in range(2))
    assert (first == again).all()
    for other in (generator(2, "a", "b"), generator(1, "ab"), generator(1, "b", "a"), generator(1, "a")):
        assert (means(MANY, 50, other) != first).any()


def test_little_is_not_more_than_it_is() -> None:
    one = interval([7.0], means(np.array([7.0]), 100, generator(0)))
    assert (one.mean, one.low, one.high, one.n) == (7.0, None, None, 1)
    same = interval([5.0] * 9, means(np.full(9, 5.0), 100, generator(0)))
    assert (same.low, same.high) == (5.0, 5.0)
    apart = difference([[(7.0, 5.0)]], 100, generator(0))
    assert (apart.mean, apart.low, apart.p, apart.clear) == (2.0, None, None, False)


def test_the_average_weighs_benchmarks_and_not_questions() -> None:
    small, large = np.array([0.0, 10.0] * 5), np.full(5_000, 2.0)
    draws = [means(of, 5_000, generator(0, str(len(of)))) for of in (small, large)]
    found = average([interval(of, drawn) for of, drawn in zip((small, large), draws, strict=True)], draws)
    assert found.mean == pytest.approx(3.5) and found.n == 5_010
    deviation = small.std() / math.sqrt(10) / 2
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)


def test_pairs_see_what_two_intervals_do_not() -> None:
    random = np.random.default_rng(0)
    hard = random.integers(0, 9, size=200).astype(float)
    pairs = [(one + random.integers(0, 2), one) for one in hard]
    found = difference([pairs], 5_000, generator(0))
    first, second = (interval(v, means(np.array(v), 5_000, generator(0))) for v in zip(*pairs, strict=True))
    assert found.clear and found.p < 0.01 and found.mean == pytest.approx(0.5, abs=0.15)
    assert first.low < second.high, "the models' own intervals overlap"
    back = difference([[(b, a) for a, b in pairs]], 5_000, generator(0))
    assert (back.mean, back.clear, back.p) == (-found.mean, True, pytest.approx(found.p, abs=0.01))
    assert difference([[(4.0, 4.0)] * 30], 500, generator(0)).p == 1.0


def test_p_is_as_rare_as_it_says_when_nothing_differs() -> None:
    random = np.random.default_rng(1)
    found = [
        difference([list(zip(*random.integers(0, 11, size=(2, 50)).astype(float), strict=True))], 400, generator(i))
        for i in range(400)
    ]
    assert 0.02 <= sum(one.p <= 0.05 for one in found) / 400 <= 0.085


def test_ten_thousand_draws_of_five_thousand_questions_stay_small() -> None:
    values = np.random.default_rng(0).random(5_000)
    tracemalloc.start()
    means(values, 10_000, generator(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * CHUNK
