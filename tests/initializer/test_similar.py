"""Weights by cosines, against values by hand and against the paper's way by sorting."""

from __future__ import annotations

import torch

from bailong.initializer import similar
from bailong.initializer.similar import Bags, Space, sparsemax
from tests.initializer import conformance

OLD = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
#: old tokens 1, 3 and 5 to the right, above and to the left; the second new token has the first's pieces
DIRECTIONS = torch.tensor([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]])
PIECES = [[0, 2], [2, 0], [4]]


def space(*new: list[float], tokens: tuple[int, ...] = (0,)) -> Space:
    return Space.of([1, 3, 5], DIRECTIONS, [*tokens], torch.tensor(new))


def test_sparsemax_by_hand() -> None:
    """tau = (1 + 0.5 - 1) / 2 where two stay, (2 - 1) / 1 where one does."""
    scores = torch.tensor([[1.0, 0.5, -1.0], [2.0, 0.5, 0.5], [0.1, 0.1, 0.1]], dtype=torch.float64)
    expected = torch.tensor([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(sparsemax(scores), expected)


def test_sparsemax_is_that_of_sorting_and_few_stay() -> None:
    generator = torch.Generator().manual_seed(0)
    for spread in (1e-6, 0.1, 1.0):
        scores = spread * torch.randn(40, 500, generator=generator, dtype=torch.float64)
        found = sparsemax(scores)
        for row, expected in zip(found, map(conformance.sparsemax, scores.numpy()), strict=True):
            torch.testing.assert_close(row, torch.from_numpy(expected))
        torch.testing.assert_close(found.sum(1), torch.ones(40, dtype=torch.float64))
    assert (found > 0).sum(1).max() < 50


def test_nearest_by_hand() -> None:
    """Cosines 0.6, 0.8, -0.6: tau = (0.6 + 0.8 - 1) / 2. A token without a place has the mean of its pieces."""
    bags = similar.nearest(space([3.0, 4.0]), PIECES)
    rows = bags.rows(OLD)
    torch.testing.assert_close(rows[0], 0.4 * OLD[1] + 0.6 * OLD[3])
    torch.testing.assert_close(rows[1:], torch.stack([(OLD[0] + OLD[2]) / 2, OLD[4]]))
    parts = bags.parts()
    assert [[i for i, _ in bag] for bag in parts] == [[1, 3], [0, 2], [4]]
    torch.testing.assert_close(torch.tensor([weight for bag in parts for _, weight in bag]), bags.weights)


def test_summed_by_hand() -> None:
    """0.6, 0.8 and -0.6 by their sum, 0.8."""
    rows = similar.summed(space([3.0, 4.0]), PIECES, OLD)
    torch.testing.assert_close(rows[0], 0.75 * OLD[1] + OLD[3] - 0.75 * OLD[5])
    torch.testing.assert_close(rows[1:], Bags.of(similar.of_pieces(PIECES[1:])).rows(OLD))


def test_weights_do_not_depend_on_what_is_held_at_once(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(1)
    old, pieces = torch.randn(50, 8, generator=generator), [[k % 50] for k in range(30)]
    vectors = 1 + torch.randn(70, 5, generator=generator)
    here = Space.of([*range(0, 50, 2)], vectors[:25], [*range(0, 30)], vectors[25:55])
    whole = similar.nearest(here, pieces).rows(old), similar.summed(here, pieces, old)
    monkeypatch.setattr(similar, "HELD", 60)
    for before, after in zip(
        whole, (similar.nearest(here, pieces).rows(old), similar.summed(here, pieces, old)), strict=True
    ):
        torch.testing.assert_close(before, after)


def test_a_vector_of_no_direction_places_nobody() -> None:
    here = space([0.0, 0.0], [float("nan"), 1.0], [1.0, 1.0], tokens=(0, 1, 2))
    assert here.new.tolist() == [2] and here.old.tolist() == [1, 3, 5]


def test_cosines_without_a_sum_above_0_place_nobody() -> None:
    """To the right, left and down: 1 - 1, -1 + 1 and -1, where up is 1."""
    here = space([1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 1.0], tokens=(0, 1, 2, 3)).of_positive_sum()
    assert here.new.tolist() == [3] and len(here.new_vectors) == 1


def test_nobody_in_the_space_is_everybody_by_pieces() -> None:
    here = Space.of([], torch.zeros(0, 3), [], torch.zeros(0, 3))
    expected = Bags.of(similar.of_pieces(PIECES)).rows(OLD)
    assert torch.equal(similar.nearest(here, PIECES).rows(OLD), expected)
    assert torch.equal(similar.summed(here, PIECES, OLD), expected)
    assert similar.told(here, PIECES, "do").endswith("; 3 of 3 new tokens do not: their rows are zip-tie's")
