"""What a verdict measures on one curve: probes early in the run, and its area over log-steps."""

from fractions import Fraction

import numpy as np

from bailong.compare.statistics import area


def probe(x: np.ndarray, values: np.ndarray, at: float) -> float | None:
    """The curve at `at`, by a straight line over log x between the two evaluations around it.

    Where every step has as many tokens, log x is log of the step but for a constant, so the line is one over log-steps.
    None where there is no evaluation on both sides: nothing is extrapolated, and step 0 has no logarithm, so a probe
    before the first evaluation behind it is not known.

    Args:
        x: tokens (or bytes) of the evaluations, ascending, [points]. values: bits per byte there, [points].
    """
    behind = x > 0
    x, values = x[behind], values[behind]
    if len(x) == 0 or not 0 < x[0] <= at <= x[-1]:
        return None
    return float(np.interp(np.log(at), np.log(x), values))


def log_area(x: np.ndarray, values: np.ndarray, horizon: float, steps: int) -> float | None:
    """Mean of a curve over u = log2(1 + s), from u = 0 (step 0) to u = log2(1 + `steps`): trapezoids over u between
    evaluations, divided by that width. s = `steps` · x / `horizon` is the step where every step has as many tokens, and
    the same share of the budget in all runs where they have not (other tokenizers, other batches). Each doubling of
    training counts alike, so the start weighs more than in a mean over tokens.

    None where the curve does not begin at step 0 or does not reach the horizon.

    Args:
        x: tokens (or bytes) of the evaluations, ascending, [points]. values: bits per byte there, [points].
        horizon: tokens (or bytes) up to which the mean is taken. steps: optimizer steps up to there.
    """
    if len(x) == 0 or steps < 1 or not 0 < horizon <= x[-1]:
        return None
    u = np.log2(1 + steps * np.append(x, horizon) / horizon)
    return area(u[:-1], values, float(min(u[-1], u[-2])))  # two logarithms of one number may differ in the last bit


def share(part: float) -> str:
    """`1/16`, or 0.3 where it is no such part."""
    near = Fraction(part).limit_denominator(1024)
    return f"{near.numerator}/{near.denominator}" if near.numerator == 1 and float(near) == part else f"{part:g}"
