"""Planted worlds: languages whose scores follow a law that is known, with noise that is known."""

from collections.abc import Sequence

import numpy as np

from bailong.compare.law.fit import Series

#: sizes of a curve
SIZES = np.array([10, 20, 40, 80, 160, 320]) * 1e3


def powers(
    factors: Sequence[float],
    exponents: Sequence[float],
    noise: float,
    seeds: int,
    world: int,
    sizes: np.ndarray = SIZES,
) -> list[Series]:
    """S = 100 - a X^b, a curve a seed, with normal noise."""
    random = np.random.default_rng(world)
    found = []
    for i, (a, b) in enumerate(zip(factors, exponents, strict=True)):
        x = np.tile(sizes, seeds)
        y = 100 - a * x**b + random.normal(0, noise, len(x))
        found.append(Series(f"l{i}", x, y, np.repeat(np.arange(seeds), len(sizes)).astype(str)))
    return found


def table(found: list[Series], head: str = "language,size,score,seed") -> str:
    """The series as a table of points."""
    rows = [
        f"{one.language},{x:.17g},{y:.17g},{unit}"
        for one in found
        for x, y, unit in zip(one.x, one.y, one.units, strict=True)
    ]
    return "\n".join([head, *rows]) + "\n"
