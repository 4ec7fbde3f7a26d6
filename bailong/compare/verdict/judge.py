"""The verdict over choices: how soon it can be told, whether it outlasts looking at many, and what it costs.

Runs whose embedding and head are one matrix and runs with two are judged apart: one rule makes other rows for each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bailong.compare import texts
from bailong.compare.comparison import Choice, Comparison, measure
from bailong.compare.facts import new_rows
from bailong.compare.reach import Reach, bytes_with_rows, priced, seconds_with_rows, to_baseline
from bailong.compare.runs import RunRecord
from bailong.compare.statements import Difference
from bailong.compare.statistics import Estimate, corrected, estimate
from bailong.compare.verdict.measures import log_area, probe, share
from bailong.compare.verdict.order import AGREES, FEWEST, Tau, shortest, tau
from bailong.report.units import plural

TIES = {True: "embedding and head tied", False: "embedding and head untied", None: "tie of embedding and head not told"}
LOG_AREA = "auc_log_steps"
#: what is spent to the baseline's final loss: of which unit, how it is counted, its column of `runs.csv`
COSTS = (
    ("bytes", bytes_with_rows, "bytes_to_baseline_with_rows"),
    ("seconds", seconds_with_rows, "seconds_to_baseline_with_rows"),
)
#: one run's number, None while it is not known
Measure = Callable[[RunRecord], float | None]


@dataclass
class Arm:
    """A choice within a verdict: its finished runs of one kind.

    Attributes:
        means, paired: by measure, over runs; and less the baseline's run of the same seed.
        bytes, seconds: to the baseline's final bits per byte, with what its rows cost; None where a run does not tell.
        silent: runs that do not tell what their rows cost.
        drift: the old language's end less the untouched base.
    """

    choice: Choice
    runs: list[RunRecord]
    means: dict[str, Estimate | None]
    paired: dict[str, Estimate | None]
    bytes: Reach | None
    seconds: Reach | None
    silent: int
    drift: Estimate | None
    drift_paired: Estimate | None


@dataclass
class Verdict:
    """`tied` is None where no run tells. `measures` are in the order of the run; `values` are of each run by folder,
    finished or not, under the names of `runs.csv`; `steps` is how many the horizon has."""

    comparison: Comparison
    tied: bool | None
    measures: dict[str, Measure]
    probes: Sequence[float]
    steps: int
    arms: list[Arm] = field(default_factory=list)
    taus: list[Tau] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def others(self) -> list[Arm]:
        """The arms that are set against the baseline."""
        return [arm for arm in self.arms if not arm.choice.baseline]

    def compared(self, metric: str) -> int:
        """How many differences one looks at in a measure."""
        return sum(arm.paired[metric] is not None for arm in self.others)

    def corrected(self, arm: Arm, metric: str) -> Difference | None:
        """The difference with its interval for all arms at once."""
        found = arm.paired[metric]
        return Difference(corrected(found, self.compared(metric))) if found else None

    def survives(self, arm: Arm) -> list[str]:
        """The measures whose difference is told from the baseline also by the corrected interval."""
        return [metric for metric in self.measures if (one := self.corrected(arm, metric)) and one.apart]


def tied(run: RunRecord) -> bool | None:
    """Whether embedding and head are one matrix: by the line of its log, else by the checkpoint and `model.tie`."""
    rows = new_rows(run)
    if rows and rows.tied is not None:
        return rows.tied
    asked, came = run.config.get("model.tie"), texts.base(run).get("tied_checkpoint")
    if asked in (None, "keep"):
        return came
    return asked != "none"


def verdicts(comparison: Comparison, probes: Sequence[float]) -> list[Verdict]:
    """A verdict on the tied runs and one on the untied, as far as there are such, with the axis, the horizon and the
    pairs of the whole comparison; where the tie is what is compared, one on all.

    Args:
        probes: shares of the horizon at which curves are read, in ascending order.
    """
    kinds = {str(run.folder): tied(run) for run in comparison.runs.runs}
    told = set(kinds.values()) - {None}
    if len(told) < 2 or "model.tie" in comparison.by:
        one = told.pop() if len(told) == 1 else None
        return [_verdict(comparison, one, probes, set(kinds))]
    wanted = [kind for kind in TIES if kind in kinds.values()]
    return [_verdict(comparison, kind, probes, {f for f, k in kinds.items() if k == kind}) for kind in wanted]


def steps_of(comparison: Comparison) -> int:
    """Optimizer steps up to the horizon: those of the run that ends there. 0 while none is finished."""
    ends = [run for run in comparison.runs.runs if run.at_end("eval/bpb") is not None]
    here = [run for run in ends if run.curve("eval/bpb")[0][-1] == comparison.horizon]
    return min((max(row["step"] for row in run.rows if "eval/bpb" in row) for run in here), default=0)


def measures_of(comparison: Comparison, probes: Sequence[float]) -> dict[str, Measure]:
    """By their names in `runs.csv`, in the order of the run."""
    horizon, steps = comparison.horizon, steps_of(comparison)

    def at(run: RunRecord, part: float) -> float | None:
        return probe(*run.curve("eval/bpb"), part * horizon)

    def over_steps(run: RunRecord) -> float | None:
        return log_area(*run.curve("eval/bpb"), horizon, steps) if run.finished else None

    return {
        "bpb_step0": lambda run: measure(run, "bpb_step0", horizon),
        **{f"bpb_at_{part:g}": partial(at, part=part) for part in probes},
        LOG_AREA: over_steps,
        "bpb_final": lambda run: measure(run, "bpb_final", horizon),
    }


def name(metric: str) -> str:
    """A measure as a table heads it."""
    known = {"bpb_step0": "step 0", LOG_AREA: "AUC, log-steps", "bpb_final": "final"}
    return known.get(metric) or share(float(metric.removeprefix("bpb_at_")))


def _verdict(comparison: Comparison, kind: bool | None, probes: Sequence[float], folders: set[str]) -> Verdict:
    found = Verdict(comparison, kind, measures_of(comparison, probes), probes, steps_of(comparison))
    baseline, pair = comparison.baseline, comparison.pair
    assert pair is not None
    base = [run for run in baseline.finished if str(run.folder) in folders] if baseline else []
    partners = {pair(run): run for run in base}
    for choice in comparison.choices:
        runs = [run for run in choice.runs if str(run.folder) in folders]
        for run in runs:
            told = {key: of(run) for key, of in found.measures.items() if key not in ("bpb_step0", "bpb_final")}
            known = {"tied": tied(run), "rows_seconds": run.result.get("rows_seconds")}
            found.values[str(run.folder)] = told | known | {column: None for _, _, column in COSTS}
        if runs:
            found.arms.append(_arm(choice, [run for run in runs if run.finished], partners, found))
    for metric, of in found.measures.items():
        if metric != "bpb_final" and (one := tau(metric, [_both(arm, of, found) for arm in found.arms])):
            found.taus.append(one)
    return found


def _arm(choice: Choice, runs: list[RunRecord], partners: dict[tuple, RunRecord], within: Verdict) -> Arm:
    pair = within.comparison.pair
    assert pair is not None
    own = {pair(run): run for run in runs}
    pairs = [] if choice.baseline else [(run, partners[key]) for key, run in own.items() if key in partners]
    silent = sum(not priced(run) for run in runs)
    reached: dict[str, Reach | None] = {}
    for unit, spent, column in COSTS:
        telling = [run for run in runs if priced(run)]
        spends, reach = to_baseline(telling, partners, pair, choice.baseline, spent)
        reached[unit] = None if silent else reach
        for folder, value in spends.items():
            within.values[folder][column] = "not reached" if value is None else value
    return Arm(
        choice,
        runs,
        {metric: estimate([of(run) for run in runs]) for metric, of in within.measures.items()},
        {metric: _less(pairs, of) for metric, of in within.measures.items()},
        reached["bytes"],
        reached["seconds"],
        silent,
        estimate([texts.forgetting(run) for run in runs]),
        _less(pairs, texts.forgetting),
    )


def _less(pairs: Sequence[tuple[RunRecord, RunRecord]], of: Measure) -> Estimate | None:
    values = [(of(a), of(b)) for a, b in pairs]
    return estimate([a - b for a, b in values if a is not None and b is not None])


def _both(arm: Arm, of: Measure, within: Verdict) -> dict[tuple, tuple[float, float]]:
    """By what tells the seed: a measure and the final value of the runs that have both."""
    assert within.comparison.pair is not None
    values = {within.comparison.pair(run): (of(run), within.measures["bpb_final"](run)) for run in arm.runs}
    return {key: (early, end) for key, (early, end) in values.items() if early is not None and end is not None}


# --- sentences ---------------------------------------------------------------------------------------


def sentences(found: Verdict) -> Iterator[str]:
    """What the numbers come to, and what cannot be told."""
    yield _order(found)
    others = max((found.compared(metric) for metric in found.measures), default=0)
    if others > 1:
        yield (
            f"Were no choice other than the baseline, {0.05 * others:.2g} of {others} differences in one measure would "
            "be bold by chance; “survives” names those that Bonferroni’s wider interval tells from zero too."
        )
    runs = sum(len(arm.runs) for arm in found.arms)
    if silent := sum(arm.silent for arm in found.arms):
        yield (
            f"{silent} of {plural(runs, 'finished run')} do not record what making the new rows took (rows_seconds), "
            "or bytes and seconds of training, so what their choices cost to the baseline’s final loss is not told."
        )


def _order(found: Verdict) -> str:
    """Which probe tells the final order."""
    if not found.taus:
        if sum(arm.means["bpb_final"] is not None for arm in found.arms) < FEWEST:
            return f"An order of fewer than {FEWEST} choices says little, so no rank correlation is given."
        return f"No seed is shared by {FEWEST} choices that differ, so no rank correlation is given."
    early = [one for one in found.taus if one.measure != LOG_AREA]
    best = shortest(early)
    if best is None:
        return f"No order before the end agrees with the final one (Kendall’s tau below {AGREES:g} at each probe)."
    where = "at step 0" if best.measure == "bpb_step0" else f"after {name(best.measure)} of the budget"
    if best.low is None:
        doubt = "one seed, so no interval"
    else:
        doubt = f"95 % interval {best.low:.2f} to {best.high:.2f}, " + (
            "which agrees as well" if best.surely else f"whose lower end is below {AGREES:g}"
        )
    return (
        f"The order {where} is the first that agrees with the final one: Kendall’s tau {best.value:.2f} "
        f"({doubt}; {plural(best.choices, 'choice')}, {plural(best.seeds, 'seed')})."
    ).replace("-", "−")
