"""Which law, if any: all candidates on all languages, by Akaike's criterion and by the error at the largest size.

A law is used for an allocation only where it predicts the largest size, which it has not seen, better than a constant
and better than a line over the logarithm of the size, both by a margin, and has a better criterion than the constant.
That none does is a verdict too. The line itself allocates only on request.
"""

import math
import re
from dataclasses import dataclass

import numpy as np

from bailong.compare.law import laws
from bailong.compare.law.descent import Scale
from bailong.compare.law.fit import Fit, Series, judge
from bailong.compare.law.laws import Law
from bailong.compare.law.points import Point, Points

#: a law's error at the largest size is below this share of a null's, or the two are one
MARGIN = 0.95
#: sizes that a language must have been tuned with
LEAST_SIZES = 3
#: words of names of scores that are better when they are lower
DOWN = {"loss", "bpb", "perplexity", "ppl", "nll", "ter", "error", "bits", "wer", "cer"}
#: and of those that are better when they are higher
UP = {"chrf", "bleu", "spbleu", "comet", "accuracy", "acc", "f1", "exact", "match", "rouge", "score_up", "mean", "em"}


@dataclass(frozen=True)
class Setting:
    """How the scores are read: their direction (`up`, `down`), what said so, the ceiling of those that go up (None: it
    is fitted, up to `highest`), and the scale of residuals."""

    direction: str
    because: str
    ceiling: float | None
    highest: float
    scale: Scale


@dataclass(frozen=True)
class Candidate:
    """One law on all languages. `fits` is by language; `aicc` their sum, `largest_out` the root of the mean square over
    them (None where a language has too few sizes)."""

    name: str
    fits: list[Fit]
    aicc: float
    largest_out: float | None

    @property
    def law(self) -> Law:
        return self.fits[0].law


@dataclass(frozen=True)
class Verdict:
    """What comes of the candidates: the law, whether it may allocate, and a sentence that says why."""

    chosen: Candidate
    usable: bool
    reason: str


def setting(points: Points, direction: str, ceiling: float | str | None, huber: float | None) -> Setting:
    """How these scores are read.

    Raises:
        ValueError: nothing says which are better, scores lie outside what the direction allows, or it knows no ceiling.
    """
    scores = [point.score for point in points.points]
    because = "given"
    if direction == "auto":
        direction, because = _direction(points)
    if direction == "down":
        if ceiling is not None:
            raise ValueError(f"ceiling={ceiling} is not accepted: it must be null for scores that go down ({because})")
        if min(scores) <= 0:
            raise ValueError(
                f"a score of {min(scores):g} is not accepted: what goes down must be above 0 (direction=up?)"
            )
        return Setting("down", because, None, math.inf, Scale(True, huber or 1e-3))
    highest = 1.0 if max(map(abs, scores)) <= 1.0 else 100.0
    if isinstance(ceiling, int | float):
        highest = float(ceiling)
    if max(scores) > highest:
        raise ValueError(
            f"a score of {max(scores):g} is not accepted: it must be at most the ceiling, {highest:g} (ceiling=)"
        )
    fixed = None if ceiling == "fit" else highest
    return Setting("up", because, fixed, highest, Scale(False, huber or 0.003 * highest))


def _direction(points: Points) -> tuple[str, str]:
    words = set(re.split("[^a-z0-9]+", points.score.lower()))
    for direction, known in (("down", DOWN), ("up", UP)):
        if words & known:
            return direction, f"by the name of the score, {points.score}"
    rising = falling = 0
    for name in points.languages:
        found = [(point.size, point.score) for point in points.of(name) if point.size is not None]
        x, y = (np.array(column, dtype=float) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 2
        if len(x):
            trend = float(np.sum((x[:, None] - x) * (y[:, None] - y)))
            rising, falling = rising + (trend > 0), falling + (trend < 0)
    if falling == rising:
        raise ValueError(
            f"direction=auto is not accepted: neither the name of the score, {points.score}, nor a trend over size "
            "says which scores are better; give direction=up or direction=down, or the name of the score as score=bpb"
        )
    if falling > rising:
        return "down", f"scores fall with size in {falling} of {len(points.languages)} languages"
    return "up", f"scores rise with size in {rising} of {len(points.languages)} languages"


def series(points: Points) -> tuple[list[Series], list[str]]:
    """The points of each language that can be fitted, and what is said of the others."""
    found, notes = [], []
    for name in points.languages:
        mine = [point for point in points.of(name) if point.size is not None]
        if not mine:
            continue
        one = Series(name, *_columns(mine))
        sizes = len(np.unique(one.x[one.x > 0]))
        if sizes < LEAST_SIZES:
            told = "1 size" if sizes == 1 else f"{sizes} sizes"
            notes.append(f"{name}: {told} besides none, and a law needs {LEAST_SIZES}: left out")
        else:
            found.append(one)
    return found, notes


def _columns(points: list[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ordered = sorted(points, key=lambda point: (point.size or 0.0, point.seed, point.run))
    return (
        np.array([point.size for point in ordered], dtype=float),
        np.array([point.score for point in ordered], dtype=float),
        np.array([point.unit for point in ordered], dtype=object),
    )


def candidates(found: list[Series], how: Setting, given: dict[str, float], starts: int, seed: int) -> list[Candidate]:
    """Every law for the direction, and the nulls, on all languages.

    Args:
        given: g by language, 1 where it is not given.
    """
    told = []
    families = [
        laws.candidates(how.direction, how.ceiling, how.highest, given.get(one.language, 1.0), one.middle)
        for one in found
    ]
    for options in zip(*families, strict=True):
        fits = [judge(law, one, how.scale, starts, seed) for law, one in zip(options, found, strict=True)]
        errors = [each.largest_out for each in fits]
        known = [error for error in errors if error is not None]
        out = math.sqrt(sum(error**2 for error in known) / len(known)) if len(known) == len(errors) else None
        told.append(Candidate(options[0].name, fits, sum(each.aicc for each in fits), out))
    return told


def verdict(found: list[Candidate], asked: str) -> Verdict:
    """The law that may allocate, by the least AICc of those that beat their nulls; else the best one, and why not.

    Args:
        asked: `auto`, or the name of a law.

    Raises:
        ValueError: the law that is asked for is not for scores of this direction.
    """
    nulls = {each.name: each for each in found if each.law.null and each.name != asked}
    pool = [each for each in found if each.name not in nulls]
    if asked != "auto":
        pool = [each for each in pool if each.name == asked]
        if not pool:
            others = ", ".join(each.name for each in found if not isinstance(each.law, laws.Constant))
            raise ValueError(f"law={asked} is not accepted: scores that go this way are fitted by {others}")
    able = [each for each in pool if math.isfinite(each.aicc)]
    known = [each for each in able if each.largest_out is not None]
    if asked == laws.LogLinear.name:
        return _line(pool[0], nulls["constant"])
    usable = [each for each in known if _beats(each, nulls)]
    if usable:
        best = min(usable, key=lambda each: each.aicc)
        others = " and ".join(f"{_error(null)} of {null.name}" for null in nulls.values())
        return Verdict(best, True, f"{best.name}: its error at the largest size, {_error(best)}, is below the {others}")
    best = min(able or pool, key=lambda each: each.aicc)
    if not able:
        return Verdict(best, False, "no law can be judged: there are too few points for their parameters")
    if not known:
        needs = ", ".join(f"{each.name} needs {max(LEAST_SIZES, len(each.law.parameters) + 1)}" for each in pool)
        return Verdict(best, False, f"no law can be judged: too few sizes to leave the largest one out ({needs})")
    errors = ", ".join(f"{each.name} {_error(each)}" for each in [*known, *nulls.values()])
    who = "no law beats its null" if asked == "auto" else f"{asked} does not beat its null"
    least = min([*known, *nulls.values()], key=lambda each: math.inf if each.largest_out is None else each.largest_out)
    hint = f"; {least.name} predicts it best: law={least.name} allocates by it" if least.name == "log_linear" else ""
    return Verdict(
        best,
        False,
        f"{who} at the largest size left out by more than {1 - MARGIN:.0%} and a constant by AICc ({errors}), so none "
        f"is used to allocate{hint}",
    )


def _line(asked: Candidate, constant: Candidate) -> Verdict:
    """The line over log X, which is a null, as a law: on request, where it beats a constant and more is better."""
    sign = -1.0 if asked.law.direction == "down" else 1.0
    if any(sign * each.p[1] <= 0 for each in asked.fits):
        return Verdict(asked, False, "log_linear: more data make a score worse, so it is not used to allocate")
    errors = f"its error at the largest size, {_error(asked)}"
    if not _beats(asked, {"constant": constant}):
        return Verdict(asked, False, f"log_linear does not beat a constant: {errors}, against {_error(constant)}")
    return Verdict(asked, True, f"log_linear, as asked for: {errors}, is below the {_error(constant)} of constant")


def _beats(each: Candidate, nulls: dict[str, Candidate]) -> bool:
    """Whether a law's error is clearly smaller than that of every null, and its AICc than that of a constant: noise
    alone makes one of two equal errors the smaller."""
    mine = each.largest_out
    return (
        mine is not None
        and each.aicc < nulls["constant"].aicc
        and all(null.largest_out is not None and mine < MARGIN * null.largest_out for null in nulls.values())
    )


def _error(each: Candidate) -> str:
    return "–" if each.largest_out is None else f"{each.largest_out:.3g}"


def misled(points: Points, direction: str) -> list[str]:
    """Languages whose score gets worse while their loss falls: a law of the score then says nothing of more data
    (2402.04177: where pre-training and task are not aligned)."""
    warnings = []
    for name in points.languages:
        mine = [point for point in points.of(name) if point.size is not None and point.loss is not None]
        sizes = sorted({point.size for point in mine if point.size is not None})
        if len(sizes) < 2:
            continue
        sign = 1.0 if direction == "up" else -1.0
        at = {size: [point for point in mine if point.size == size] for size in sizes}
        scores = [sign * float(np.mean([point.score for point in at[size]])) for size in sizes]
        losses = [float(np.mean([point.loss or 0.0 for point in at[size]])) for size in sizes]
        spreads = [np.var([point.score for point in group], ddof=1) for group in at.values() if len(group) > 1]
        noise = 2 * math.sqrt(float(np.mean(spreads)) / max(len(at[sizes[-1]]), 1)) if spreads else 0.0
        best = int(np.argmax(scores))
        if best < len(sizes) - 1 and scores[-1] < scores[best] - noise and losses[-1] < losses[best]:
            warnings.append(
                f"{name}: from {sizes[best]:,.0f} to {sizes[-1]:,.0f} the score gets worse "
                f"({sign * scores[best]:.4g} to {sign * scores[-1]:.4g}) while the loss falls "
                f"({losses[best]:.4g} to {losses[-1]:.4g}): what is trained on may not be what is scored"
            )
    return warnings
