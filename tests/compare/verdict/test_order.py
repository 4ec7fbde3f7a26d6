"""Kendall's tau-b against pairs counted by hand, and its bootstrap against every draw."""

import itertools

import numpy as np
import pytest

from bailong.compare.verdict.order import Tau, resamples, shortest, tau


def arms(early: list[list[float]], final: list[list[float]]) -> list[dict[tuple, tuple[float, float]]]:
    pairs = zip(early, final, strict=True)
    return [{(str(s),): (a, b) for s, (a, b) in enumerate(zip(*one, strict=True))} for one in pairs]


def test_tau_counts_pairs() -> None:
    """Of the six pairs of four choices one stands otherwise: (5 − 1) / 6; one seed has no interval."""
    one = tau("early", arms([[1.0], [2.0], [4.0], [3.0]], [[1.0], [2.0], [3.0], [4.0]]))
    assert one is not None and one.value == pytest.approx(4 / 6) and (one.low, one.high) == (None, None)
    # a tie in one order only: 5 pairs agree, of 6 and of 5 that are no ties: 5 / sqrt(5 * 6)
    tied = tau("early", arms([[1.0], [1.0], [3.0], [4.0]], [[1.0], [2.0], [3.0], [4.0]]))
    assert tied is not None and tied.value == pytest.approx(5 / 30**0.5)


def test_too_little_for_an_order() -> None:
    three = arms([[1.0], [2.0], [3.0]], [[1.0], [2.0], [3.0]])
    assert tau("early", three) is None and tau("early", [*three, {}]) is None
    assert tau("early", [*three, {("other",): (4.0, 4.0)}]) is None, "no seed in common"
    assert tau("early", arms([[1.0]] * 4, [[1.0], [2.0], [3.0], [4.0]])) is None, "all alike"


def test_the_interval_is_over_seeds_that_are_drawn_together() -> None:
    """Seed 0 has the final order, seed 1 its reverse and counts less: of the four draws (0,0) and both mixed ones agree
    fully, (1,1) not at all, so the interval runs from −1 to 1."""
    early = [[1.0, 4.0 / 9], [2.0, 3.0 / 9], [3.0, 2.0 / 9], [4.0, 1.0 / 9]]
    final = [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    one = tau("early", arms(early, final))
    assert one is not None and (one.value, one.low, one.high) == pytest.approx((1.0, -1.0, 1.0))
    assert one.agrees and not one.surely


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_every_draw_counts_as_often_as_it_comes(seeds: int) -> None:
    every = [tuple(np.bincount(d, minlength=seeds)) for d in itertools.product(range(seeds), repeat=seeds)]
    found = {tuple(weights.astype(int)): times for weights, times in resamples(seeds)}
    assert found == {draw: every.count(draw) for draw in set(every)}


def test_many_seeds_are_drawn_and_always_alike() -> None:
    first, again = (np.array([weights for weights, _ in resamples(9)]) for _ in range(2))
    assert first.shape == (500, 9) and (first.sum(1) == 9).all() and (first == again).all()


def test_the_shortest_probe_that_agrees() -> None:
    taus = [Tau(str(i), value, None, None, 5, 1) for i, value in enumerate((0.6, 0.9, 0.8, 1.0))]
    found = shortest(taus)
    assert found is not None and found.measure == "1" and shortest(taus[:1]) is None
