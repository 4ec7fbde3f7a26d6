"""What may be said of a choice against the baseline: every bold mark and every sentence is made from here.

The rule. A `Contrast` is a choice less (or over) the baseline in one measure, seed by seed, with its 95 % interval.
It is *apart* when the interval leaves "no difference" out, judged on the digits that are shown; only then is its number
bold, in the page as in the terminal. A choice is said not to be told from the baseline only when none of its contrasts
is apart. A single pair has no interval: its numbers are told as what they are, and none is bold.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from bailong.compare.comparison import METRICS, Choice, Comparison
from bailong.compare.reach import Reach
from bailong.compare.statistics import Estimate
from bailong.report.units import NONE

#: how a sentence names a measure
SPOKEN = {"bpb_step0": "at step 0", "auc": "in the mean over the run", "bpb_final": "at the end"}


@dataclass(frozen=True)
class Contrast:
    """A choice against the baseline in one measure. `fewest` and `most` decimals of what is shown: as few as make the
    shown interval say what the verdict says; a difference beyond the last one is rounding."""

    fewest: ClassVar[int]
    most: ClassVar[int]
    estimate: Estimate

    @property
    def single(self) -> bool:
        """One pair, so there is no interval."""
        return self.estimate.half is None

    @property
    def apart(self) -> bool:
        """Told from the baseline: the interval leaves "no difference" out."""
        return not self.single and self._leaves_out(self.most)

    @property
    def bold(self) -> bool:
        """Apart, and there is a number to mark."""
        return self.apart and self.shown()[0] != NONE

    @property
    def decimals(self) -> int:
        tried = range(self.fewest, self.most + 1)
        return next((d for d in tried if self.single or self._leaves_out(d) == self.apart), self.most)

    def _leaves_out(self, decimals: int) -> bool:
        raise NotImplementedError

    def shown(self) -> tuple[str, str]:
        """The number, and its interval."""
        raise NotImplementedError


class Difference(Contrast):
    """Bits per byte (or what of them is forgotten) less the baseline's; below 0 is better."""

    fewest, most = 3, 6

    def _leaves_out(self, decimals: int) -> bool:
        assert self.estimate.half is not None
        return round(abs(self.estimate.mean), decimals) > round(self.estimate.half, decimals)

    def shown(self) -> tuple[str, str]:
        """`−0.123` and `± 0.044`."""
        return number(self.estimate, self.decimals, signed=True)

    def spoken(self, base: str = "") -> str:
        """`0.123 ± 0.044 bits per byte below random`; without `base` just `0.123 ± 0.044 below`."""
        mean, half = self.shown()
        amount = mean.lstrip("+−") + ("" if self.single else f" {half}")
        if not amount.strip("0."):  # a single pair that is alike
            return f"{amount} bits per byte from {base}" if base else f"{amount} away"
        side = "below" if self.estimate.mean < 0 else "above"
        return f"{amount} bits per byte {side} {base}" if base else f"{amount} {side}"

    def aside(self) -> str:
        """`+0.002 ± 0.005`."""
        mean, half = self.shown()
        return mean if self.single else f"{mean} {half}"


@dataclass(frozen=True)
class SpeedUp(Contrast):
    """The baseline's tokens to its final loss over the choice's; above 1 is better.

    `estimate` is of the tokens saved, pair by pair, `base` the baseline's mean tokens over these pairs. The interval is
    that of the tokens saved, read against `base`: base / (base − saved).
    """

    fewest, most = 2, 4
    base: float

    def at(self, saved: float) -> float:
        left = self.base - saved
        return self.base / left if left > self.base * 1e-9 else math.inf

    @property
    def factor(self) -> float:
        return self.at(self.estimate.mean)

    def _leaves_out(self, decimals: int) -> bool:
        low, high = self.at(self.estimate.low), self.at(self.estimate.high)
        return round(low, decimals) > 1 or round(high, decimals) < 1

    def shown(self) -> tuple[str, str]:
        """`1.37×` and `1.12 to 1.76`; a choice that is there before its first step has no factor."""
        if math.isinf(self.factor):
            return NONE, ""
        d = self.decimals
        if self.single:
            return f"{self.factor:.{d}f}×", NONE
        low, high = self.at(self.estimate.low), self.at(self.estimate.high)
        return f"{self.factor:.{d}f}×", f"{low:.{d}f} " + ("or more" if math.isinf(high) else f"to {high:.{d}f}")


def number(value: Estimate | None, digits: int = 3, signed: bool = False) -> tuple[str, str]:
    """Mean and `± half width of the 95 % interval` as two cells, so that a column's digits line up."""
    if value is None:
        return NONE, ""
    rounded = round(value.mean, digits) or 0.0  # no minus before a zero
    mean = f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"
    return mean.replace("-", "−"), f"± {value.half:.{digits}f}" if value.half is not None else f"± {NONE}"


def differences(choice: Choice) -> dict[str, Difference]:
    """By metric, those that there are: none of the baseline, none without a pair."""
    return {metric: Difference(value) for metric in METRICS if (value := choice.paired.get(metric))}


def forgotten(choice: Choice) -> dict[str, Difference]:
    """By further evaluation text, what the end is above the untouched base, less the same of the baseline."""
    return {name: Difference(one.paired) for name, one in choice.texts.items() if one.paired}


def speed_up(choice: Choice) -> SpeedUp | None:
    """Only where every run reached the baseline's final loss, and a pair is there to tell it from."""
    return speed_up_of(choice.reach)


def speed_up_of(found: Reach | None) -> SpeedUp | None:
    """The same of anything that is spent to the baseline's final loss."""
    if found is None or found.saved is None or not found.base:
        return None
    return SpeedUp(found.saved, found.base)


def told(choice: Choice) -> bool:
    """Whether the choice is apart from the baseline in anything that is shown of it."""
    faster = speed_up(choice)
    every = [*differences(choice).values(), *forgotten(choice).values(), *([faster] if faster else [])]
    return any(c.apart for c in every)


# --- sentences ---------------------------------------------------------------------------------------


def findings(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """(choice, what came out) for each choice that has a pair."""
    base = comparison.baseline
    for choice in comparison.choices:
        found = differences(choice)
        if base is None or not found:
            continue
        other = spoken(base, comparison)
        sentences = [_differences(found, choice, other, comparison.unit), _reached(choice, other, comparison.unit)]
        sentences += [_texts(choice, comparison, other), f"({_pairs(found.values())})"]
        yield spoken(choice, comparison), " ".join(part for part in sentences if part)


def spoken(choice: Choice, comparison: Comparison) -> str:
    """A bare number says nothing in a sentence: `adapter.rank 8`."""
    return f"{comparison.label} {choice.name}" if choice.name[:1].isdigit() else choice.name


def _differences(found: dict[str, Difference], choice: Choice, other: str, unit: str) -> str:
    said = {metric: one for metric, one in found.items() if one.apart or one.single}
    open_ = [f"{SPOKEN[metric]} ({one.aside()})" for metric, one in found.items() if metric not in said]
    if not said and not told(choice):
        listed = _listed([f"{one.aside()} {SPOKEN[metric]}" for metric, one in found.items()])
        return f"cannot be told from {other} by these seeds: each interval holds zero (bits per byte: {listed})."
    rest = f"{_listed(open_)} the interval holds zero" if open_ else ""
    if not said:
        faster = speed_up(choice)
        by = [f"its {unit}"] if faster and faster.apart else []
        by += [f"what becomes of {name}" for name, one in forgotten(choice).items() if one.apart]
        return f"is told from {other} by {_listed(by)} alone: {rest}."
    first, *others = said.items()
    clauses = [f"{first[1].spoken(other)} {SPOKEN[first[0]]}"]
    clauses += [f"{one.spoken()} {SPOKEN[metric]}" for metric, one in others]
    return f"is {_listed(clauses)}" + (f"; {rest}." if rest else ".")


def _texts(choice: Choice, comparison: Comparison, base: str) -> str:
    """What is forgotten of the old language, and what the other texts lose, where it is told from the baseline."""
    said = []
    for name, one in forgotten(choice).items():
        if not (one.apart or one.single) or not one.aside().strip("+−0. ±"):
            continue
        amount = one.aside().lstrip("+−")
        more = "more" if one.estimate.mean > 0 else "less"
        verb = "forgets" if comparison.texts[name] else "loses"
        said.append(f"It {verb} {amount} bits per byte of {name} {more} than {base}.")
    return " ".join(said)


def _reached(choice: Choice, base: str, unit: str) -> str:
    """Tokens (or bytes) to the baseline's final loss."""
    reach, faster = choice.reach, speed_up(choice)
    if reach is None:
        return ""
    if reach.tokens is None:
        if reach.reached == 0:
            return f"It does not reach {base}’s final loss."
        return f"It reaches {base}’s final loss in {reach.reached} of {reach.of} runs."
    if faster is None:
        return ""
    holds = not (faster.apart or faster.single)
    if math.isinf(faster.factor):
        doubt = f", though the interval of the {unit} saved holds zero" if holds else ""
        return f"It is at {base}’s final loss before the first step{doubt}."
    factor, interval = faster.shown()
    within = "" if faster.single else f" ({factor}, {interval}{': this interval holds 1' if holds else ''})"
    return f"It reaches {base}’s final loss with {_part(faster)} of {base}’s {unit}{within}."


def _part(faster: SpeedUp) -> str:
    """The choice's part of the baseline's tokens; not all of them where it is told from the baseline."""
    decimals = next((d for d in range(3) if not faster.apart or round(100 / faster.factor, d) != 100), 3)
    return f"{1 / faster.factor:.{decimals}%}"


def _pairs(found: Iterable[Difference]) -> str:
    counts = sorted({one.estimate.n for one in found})
    if counts == [1]:
        return "one pair of runs, so no interval"
    return f"{' to '.join(map(str, counts))} pairs of seeds" + (", and one pair has no interval" if 1 in counts else "")


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
