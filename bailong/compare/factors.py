"""Which of two settings matters more, where a sweep takes one step in each from a setting that both share.

Rank 8 with alpha 32, 16 with 32, and 16 with 48 are no grid, and yet hold the question: one step in the rank, one in
alpha, both from 16 with 32. Such three choices are a `Corner`. What a step does is a difference pair by pair, as
against a baseline; which does more is the difference of the two, each taken by the sign of its mean.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from scipy.special import nctdtrinc, stdtrit

from bailong.compare import statements
from bailong.compare.comparison import Choice, Comparison, measure, word
from bailong.compare.statements import Difference, number
from bailong.compare.statistics import Estimate, estimate
from bailong.report.units import plural

#: what a step may change: at the end of the run
METRIC = "bpb_final"
RANK, ALPHA = "adapter.rank", "adapter.alpha"
#: corners that are told; a dozen names and four ways to train them make a page of sentences that nobody asked for
MOST = 4


@dataclass(frozen=True)
class Corner:
    """Three choices: `shared`, one that differs from it in the first key alone, and one in the second alone.

    Attributes:
        values: of the two keys, of `shared`, `first` and `second`.
        effects: each step's change of bits per byte at the end, over the pairs that all three have.
        more: how much further the second step moves it than the first, in either direction; below 0: less far.
    """

    keys: tuple[str, str]
    values: tuple[tuple[str, str], ...]
    effects: tuple[Difference, Difference]
    more: Difference


def corners(comparison: Comparison) -> Iterator[Corner]:
    """The corners of a comparison by two settings, at the baseline where there is one, over the seeds that its three
    choices share."""
    if len(comparison.by) != 2 or comparison.pair is None:
        return
    first_key, second_key = comparison.by
    named = {_values(choice, comparison.by): choice for choice in comparison.choices if choice.runs}
    for shared, first, second in permutations(named, 3):
        among = comparison.baseline in (None, named[shared])  # of a grid's many corners those at the baseline
        if among and shared[1] == first[1] and shared[0] == second[0]:
            pairs = _pairs([named[one] for one in (shared, first, second)], comparison)
            steps = [[end[at] - end[0] for end in pairs] for at in (1, 2)]
            effects = [estimate(step) for step in steps]
            if not effects[0] or not effects[1]:
                continue
            signs = [1 if effect.mean >= 0 else -1 for effect in effects if effect]
            more = estimate([signs[1] * b - signs[0] * a for a, b in zip(*steps, strict=True)])
            assert more is not None
            yield Corner(
                (first_key, second_key),
                (shared, first, second),
                (Difference(effects[0]), Difference(effects[1])),
                Difference(more),
            )


def every_finding(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """What is said of each choice, and behind it of the two settings."""
    yield from statements.findings(comparison)
    yield from findings(comparison)


def findings(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """(the question, what came out) for each corner; of more than `MOST` how many there are."""
    found = list(corners(comparison))
    words = [key.rpartition(".")[2] for key in comparison.by]
    question = f"{words[-1]} or {words[0]}?"
    if len(found) > MOST:
        yield (
            question,
            f"{len(found)} times a step in either begins at one choice; {MOST} are told at most: give fewer runs.",
        )
        return
    for corner in found:
        yield question, " ".join([*_steps(corner, words), _verdict(corner, words), *_scale(corner)])


def _steps(corner: Corner, words: Sequence[str]) -> Iterator[str]:
    shared, *others = corner.values
    for at, (name, other, effect) in enumerate(zip(words, others, corner.effects, strict=True)):
        kept = f"{words[1 - at]} {shared[1 - at]}"
        holds = "" if effect.apart or effect.single else " (the interval holds zero)"
        yield f"{name} {shared[at]} to {other[at]} at {kept}: {effect.aside()} bits per byte{holds}."


def _verdict(corner: Corner, words: Sequence[str]) -> str:
    more = corner.more.estimate
    if more.half is None:
        return "One pair has no interval, so nothing is said of which matters more."
    far, near = (words[1], words[0]) if more.mean >= 0 else (words[0], words[1])
    apart, half = number(Estimate(abs(more.mean), more.half, more.n), corner.more.decimals)
    if corner.more.apart:
        said = f"The step in {far} moves it further than the step in {near}, by {apart} {half}."
    else:
        said = f"Which matters more cannot be told: {far} by {apart} {half}, an interval that holds zero."
    seen, _ = number(Estimate(detectable(more), None, more.n))
    return f"{said} {plural(more.n, 'pair')} of seeds that scatter so would tell {seen} in four comparisons of five."


def _scale(corner: Corner) -> Iterator[str]:
    """LoRA adds alpha / rank times its product, so neither setting moves alone."""
    if set(corner.keys) == {RANK, ALPHA}:
        rank = corner.keys.index(RANK)
        shared, first, second = (float(v[1 - rank]) / float(v[rank]) for v in corner.values)
        yield f"Both steps also change alpha / rank: {shared:g} to {first:g} and to {second:g}."


def detectable(found: Estimate) -> float:
    """The smallest true difference that a comparison of as many pairs, which scatter as much, would tell from zero in
    four cases of five (power 0.8 at 95 % confidence): by Student's noncentral t, for pairs are few."""
    assert found.half is not None
    told = float(stdtrit(found.n - 1, 0.975))
    return found.half * float(nctdtrinc(found.n - 1, 0.2, told)) / told


def _values(choice: Choice, keys: Sequence[str]) -> tuple[str, str]:
    first, second = (word(choice.runs[0].config.get(key)) for key in keys)
    return first, second


def _pairs(choices: Sequence[Choice], comparison: Comparison) -> list[tuple[float, ...]]:
    """What the runs of all of them that belong together end with."""
    assert comparison.pair is not None
    ends = [
        {comparison.pair(run): measure(run, METRIC, comparison.horizon) for run in choice.finished}
        for choice in choices
    ]
    common = sorted(set.intersection(*(set(end) for end in ends)), key=str)
    rows = [tuple(end[key] for end in ends) for key in common]
    return [row for row in rows if None not in row]  # type: ignore[misc]
