"""How well an early order of choices tells the final one: Kendall's tau-b with a bootstrap over seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

#: with fewer choices an order says nothing: of three, one in six agrees by chance
FEWEST = 4
#: an order that agrees so well is taken for the final one (19 of 20 pairs stand alike)
AGREES = 0.9
#: up to so many seeds every resample is taken (462 different ones of 6), beyond them DRAWS are drawn
EXACT, DRAWS = 6, 500


@dataclass(frozen=True)
class Tau:
    """Kendall's tau-b between a measure and the final bits per byte; `low` and `high` are the ends of its 95 %
    percentile interval, None with one seed."""

    measure: str
    value: float
    low: float | None
    high: float | None
    choices: int
    seeds: int

    @property
    def agrees(self) -> bool:
        return self.value >= AGREES - 1e-9

    @property
    def surely(self) -> bool:
        """The interval's lower end agrees as well."""
        return self.low is not None and self.low >= AGREES - 1e-9


def tau(measure: str, found: Sequence[Mapping[tuple, tuple[float, float]]]) -> Tau | None:
    """Kendall's tau-b (Kendall 1945; ties count in neither order) between the means of two values over seeds.

    Seeds are resampled together: one drawn twice counts twice in every choice and in both orders. A percentile interval
    of few seeds is too narrow, if anything.

    Args:
        found: of each choice, what tells the seed -> (the measure, the final value).

    Returns:
        None with fewer than FEWEST choices that have a value, without a seed that all of these share, and where all
        choices stand alike in one of the two.
    """
    known = [one for one in found if one]
    shared = sorted(set.intersection(*map(set, known))) if known else []
    if len(known) < FEWEST or not shared:
        return None
    values = np.array([[one[key] for key in shared] for one in known])  # [choices, seeds, 2]
    whole = _tau(values, np.ones(len(shared)))
    if math.isnan(whole):
        return None
    low = high = None
    if len(shared) > 1:
        drawn = [(_tau(values, weights), times) for weights, times in resamples(len(shared))]
        every = np.repeat([t for t, _ in drawn], [times for _, times in drawn])
        every = every[~np.isnan(every)]
        low, high = (float(v) for v in np.quantile(every, [0.025, 0.975], method="inverted_cdf"))
    return Tau(measure, whole, low, high, len(known), len(shared))


def resamples(seeds: int) -> Iterator[tuple[np.ndarray, int]]:
    """How often each seed is drawn, [seeds], and in how many draws with replacement that comes out: all seeds^seeds up
    to EXACT seeds, else DRAWS at random, always the same."""
    if seeds > EXACT:
        for row in np.random.default_rng(0).integers(seeds, size=(DRAWS, seeds)):
            yield np.bincount(row, minlength=seeds).astype(float), 1
        return
    for drawn in combinations_with_replacement(range(seeds), seeds):
        counts = np.bincount(drawn, minlength=seeds)
        yield counts.astype(float), math.factorial(seeds) // math.prod(math.factorial(int(n)) for n in counts)


def _tau(values: np.ndarray, weights: np.ndarray) -> float:
    from scipy.stats import kendalltau  # its import takes longer than a report without it

    early, final = ((values[..., i] * weights).sum(1) for i in (0, 1))
    found: Any = kendalltau(early, final, variant="b", method="asymptotic")
    return float(found[0])


def shortest(taus: Sequence[Tau]) -> Tau | None:
    """The first of those, in the order of the run, that agrees with the final order."""
    return next((one for one in taus if one.agrees), None)
