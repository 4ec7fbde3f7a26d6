"""How the arms of a race stand at a rung, and which of them stop there: a pure function of their scores.

Successive halving (arXiv 1502.07943) drops a fixed share of the arms by rank. Here an arm is dropped where an interval
says that it is behind: of its paired differences to the best arm over seeds, as in a race (Maron and Moore, *Hoeffding
Races*, 1994). One seed has no interval, and then the cut is by rank. Runs keep no score of a single document, so
documents cannot be drawn again, and seeds are all that an interval is over.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bailong.compare.statistics import Estimate, corrected, estimate

#: what becomes of an arm
BEST, ON, END, DROPPED, CONTROL = "best", "goes on", "at its end", "dropped", "control"


@dataclass(frozen=True)
class Standing:
    """One arm at a rung.

    Attributes:
        scores: bits per byte by seed. mean: of them; None of an arm whose loss is not finite. behind: what it is above
            the best arm, seed by seed; None of the best itself, and where nothing is held against it. why: its fate.
    """

    arm: str
    scores: Mapping[str, float]
    mean: float | None
    behind: Estimate | None
    fate: str
    why: str

    def row(self) -> dict[str, Any]:
        """For `racing.json`."""
        found = {"arm": self.arm, "fate": self.fate, "why": self.why, "mean": self.mean, "scores": dict(self.scores)}
        if self.behind is None:
            return found
        low, high = (None, None) if self.behind.half is None else (self.behind.low, self.behind.high)
        return found | {"behind": self.behind.mean, "low": low, "high": high, "seeds": self.behind.n}


def stand(
    scores: Mapping[str, Mapping[str, float]], controls: Collection[str], keep: float, looks: int
) -> list[Standing]:
    """The arms of a rung, the best first.

    An arm that is truly the best at every rung is dropped in at most 5 of 100 races, whichever arms it is held against:
    intervals are at Bonferroni's level for the arms beside the best one, times the rungs at which arms are dropped.

    Args:
        scores: bits per byte by arm and seed; every arm has the same seeds.
        controls: arms that are held against the best one and never dropped, nor the best themselves.
        keep: share of the other arms that goes on whatever intervals say, rounded down and one at least.
        looks: rungs of the race at which arms are dropped; 0: none is dropped.
    """
    means = {arm: math.fsum(found.values()) / len(found) for arm, found in scores.items()}
    ranked = sorted(scores, key=lambda arm: (means[arm], arm))
    arms = [arm for arm in ranked if arm not in controls]
    behind = _behind(scores, arms[0], (len(arms) - 1) * max(looks, 1)) if arms else {}
    alone = all(found.half is None for found in behind.values())
    worse = [arm for arm in arms[1:] if alone or (behind[arm].half is not None and behind[arm].low > 0)]
    least = max(1, math.floor(round(keep * len(arms), 6)))
    most = len(arms) - least if looks else 0
    dropped = worse[max(0, len(worse) - most) :] if most else []

    def fate(arm: str) -> tuple[str, str]:
        if arm in controls:
            return CONTROL, ""
        if arm == arms[0]:
            return BEST, ""
        if arm in dropped:
            return DROPPED, f"place {arms.index(arm) + 1} of {len(arms)}, one seed" if alone else "interval above 0"
        if not looks:
            return END, ""
        return ON, f"{least} of {len(arms)} are kept" if arm in worse else "not told from the best"

    return [Standing(arm, scores[arm], means[arm], behind.get(arm), *fate(arm)) for arm in ranked]


def _behind(scores: Mapping[str, Mapping[str, float]], best: str, comparisons: int) -> dict[str, Estimate]:
    """What each other arm is above the best, seed by seed, with its interval at Bonferroni's level."""
    found = {}
    for arm, own in scores.items():
        apart = estimate([value - scores[best][seed] for seed, value in own.items()])
        if arm != best and apart is not None:
            found[arm] = corrected(apart, comparisons)
    return found
