"""Whether the parameters of the laws go with a similarity of the languages, tested after they were fitted.

A similarity inside the law cannot be told from its factor (a g^b is all that the data hold), so the laws are fitted
without it, and its rank correlation with log a and with b is tested by permuting the languages.
"""

import itertools
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import permutation_test, rankdata

from bailong.compare.law.fit import Fit
from bailong.compare.law.points import Points, alike
from bailong.text import language

#: permutations; all of them where there are fewer
PERMUTATIONS = 10_000
#: languages below which no p can be small
LEAST = 4
#: how numbers of one's own are given
GIVE = "similarity={tr: 0.4, vi: 0.6}"


@dataclass(frozen=True)
class Association:
    """A parameter's rank correlation with the similarity, and its p by permutation; None below `LEAST` languages."""

    parameter: str
    rho: float | None
    p: float | None
    languages: int


def given(points: Points, similarity: Any, pivot: str) -> tuple[dict[str, float], str]:
    """The similarity of each language, and where it is from.

    Args:
        similarity: a mapping by language, `sim` or `base` (columns of the points), `urielplus`, or None, which takes
            the column `sim` where there is one.
    """
    if isinstance(similarity, dict):
        told = {name: value for name in points.languages for tag, value in similarity.items() if alike(str(tag), name)}
        return {name: float(value) for name, value in told.items()}, "as given"
    if similarity == "lang2vec":
        raise ValueError(
            "similarity=lang2vec is not accepted: its last release does not import beside a current setuptools; "
            f"urielplus holds the same database: similarity=urielplus; or give the numbers: {GIVE}"
        )
    if similarity == "urielplus":
        return _looked_up(points.languages, pivot), f"1 less the syntactic distance of URIEL+ to {pivot}"
    column = similarity or "sim"
    found = {}
    for name in points.languages:
        values = [value for point in points.of(name) if (value := getattr(point, column)) is not None]
        if values:
            found[name] = float(np.mean(values))
    if similarity and not found:
        raise ValueError(f"similarity={similarity} is not accepted: the points have no column {similarity}")
    return found, f"the column {column} of the points"


def associations(names: list[str], fits: list[Fit], similarity: dict[str, float], seed: int) -> list[Association]:
    """log of the factor and the exponent against the similarity, over the languages that have one."""
    law = fits[0].law
    known = [i for i, name in enumerate(names) if name in similarity]
    told = []
    values = np.array([similarity[names[i]] for i in known])
    for place, label in enumerate(law.parameters):
        natural = np.array([float(law.natural(fits[i].p)[place]) for i in known])
        if label in ("a", "B"):
            label, natural = f"log {label}", np.log(natural)
        told.append(Association(label, *_correlated(natural, values, seed), len(known)))
    return told


def _correlated(one: np.ndarray, other: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    if len(one) < LEAST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None, None
    ranks = rankdata(other)

    def rho(column: np.ndarray, axis: int = -1) -> np.ndarray:
        ranked = rankdata(column, axis=axis)
        centred = ranked - ranked.mean(axis, keepdims=True)
        mine = ranks - ranks.mean()
        return (centred * mine).sum(axis) / np.sqrt((centred**2).sum(axis) * (mine**2).sum())

    found = permutation_test(
        (one,),
        rho,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(seed),
    )
    return float(found.statistic), float(found.pvalue)


def _looked_up(names: list[str], pivot: str) -> dict[str, float]:
    """1 less the syntactic distance to the pivot, of the languages that the database knows.

    Raises:
        ValueError: the package is not there, or it does not know the pivot.
    """
    before = logging.root.level
    try:
        from urielplus.urielplus import URIELPlus  # type: ignore[import-not-found]

        base = URIELPlus()  # its data come with the package; it copies them beside itself the first time
        logging.root.setLevel(logging.WARNING)  # it reports every distance
        found = {name: _distance(base, name, pivot) for name in names}
    except ModuleNotFoundError as error:
        raise ValueError(
            f"similarity=urielplus needs a package that is not here ({error.name}): pip install 'bailong[similarity]'; "
            f"or give the numbers: {GIVE}"
        ) from None
    except OSError as error:
        raise ValueError(
            f"similarity=urielplus cannot read or copy its data ({error}); give the numbers: {GIVE}"
        ) from None
    finally:
        logging.root.setLevel(before)
    return {name: 1.0 - distance for name, distance in found.items() if distance is not None}


def _distance(base: Any, one: str, other: str) -> float | None:
    """None where the database does not know one of them, or has nothing that both are described by (told as 0)."""
    for mine, theirs in itertools.product(_three_letters(one), _three_letters(other)):
        try:
            found = float(base.new_distance("syntactic", [mine, theirs]))
        except ValueError:
            continue
        if found > 0 or alike(one, other):
            return found
    return None


def _three_letters(tag: str) -> list[str]:
    """The codes of ISO 639-3 that a label may go by."""
    from babel.core import get_global

    aliases: Any = get_global("language_aliases")
    short = language.code(tag)
    longer = sorted((long for long, to in aliases.items() if to == short and len(long) == 3), reverse=True)
    return [*longer, short] if len(short) < 3 else [short]
