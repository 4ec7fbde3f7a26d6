"""Runs grouped by a choice and set against a baseline: every number of the report is made here.

Statistics are over finished runs. A pair is two runs, one of them the baseline's, that agree in the seed and in
every setting that varies within a choice, so the difference between them is what the choice made.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bailong.compare import texts
from bailong.compare.reach import Pair, Reach, along_curve, to_baseline
from bailong.compare.runs import DROPOUT, RunRecord, Runs
from bailong.compare.statistics import Estimate, area, estimate
from bailong.compare.texts import TextFigures
from bailong.report.units import plural
from bailong.run.checks import did_you_mean
from bailong.run.folder import IGNORED

#: what choices are compared in, all in bits per byte: comparable across tokenizers, unlike the loss
METRICS = ("bpb_step0", "auc", "bpb_final")
#: settings that are nobody's business in a comparison
HIDDEN = ("tracking", "outputs", "plan", "rerun")


@dataclass
class Choice:
    """One value of the compared key and its runs."""

    name: str
    runs: list[RunRecord]
    baseline: bool = False
    metrics: dict[str, Estimate | None] = field(default_factory=dict)
    paired: dict[str, Estimate | None] = field(default_factory=dict)
    reach: Reach | None = None
    texts: dict[str, TextFigures] = field(default_factory=dict)

    @property
    def finished(self) -> list[RunRecord]:
        return [run for run in self.runs if run.finished]

    @property
    def seeds(self) -> list[Any]:
        return sorted({run.seed for run in self.runs}, key=str)


@dataclass(frozen=True)
class Check:
    """One condition of a fair comparison. `ok` is None while it cannot be told."""

    name: str
    ok: bool | None
    detail: str


@dataclass
class Comparison:
    """What the report shows. `baseline` is None when no run has it; `horizon` is the tokens that every finished
    run reaches; `differing` maps a settings key to its values per choice; `texts` names what was evaluated beside the
    held-out text, and says whether it is in the old language; `pair` tells what runs that belong together agree in.
    Where tokenizers differ everything that is told in tokens is in bytes of text (`unit`)."""

    by: list[str]
    asked_baseline: str
    runs: Runs
    choices: list[Choice]
    baseline: Choice | None
    horizon: float
    differing: dict[str, list[list[Any]]]
    checks: list[Check] = field(default_factory=list)
    #: per run folder: tokens to the baseline's final loss; None is "not reached", absence "cannot be told"
    tokens_to_baseline: dict[str, float | None] = field(default_factory=dict)
    texts: dict[str, bool] = field(default_factory=dict)
    unit: str = "tokens"
    pair: Pair | None = None

    @property
    def label(self) -> str:
        """The compared keys in a word each: `initializer` for `initializer.name`."""
        return " and ".join(key.removesuffix(".name") for key in self.by)

    @property
    def warnings(self) -> list[Check]:
        return [check for check in self.checks if check.ok is False]

    @property
    def bases(self) -> list[dict[str, Any]]:
        """The base models' own scores before extension, on the text that both ends are measured on: one entry unless
        runs start from different models."""
        found = [base for run in self.runs.runs if (base := texts.base(run))]
        return list({(base.get("bpb_untouched"), base.get("bpb_tied")): base for base in found}.values())


def measure(run: RunRecord, metric: str, horizon: float) -> float | None:
    """`metric` of one run, None while it is unknown: of both ends on the longest part of the held-out text that was
    scored at both, of the run on the text of the curve."""
    key = "/".join(filter(None, ("eval", texts.held_out(run), "bpb")))
    if metric == "bpb_step0":
        return run.at_start(key)
    if metric == "bpb_final":
        return run.at_end(key)
    return area(*run.curve("eval/bpb"), horizon) if run.finished else None


def compare_runs(
    runs: Runs, by: str | list[str] = "initializer.name", baseline: str | list[str] = "random"
) -> Comparison:
    """Group, pair and check.

    Args:
        by: a settings key, or several: each combination of their values is a choice.
        baseline: values of the first keys; of several choices that have them, the first is the baseline.

    Raises:
        ValueError: no run has a settings key of `by`, or `baseline` has more values than there are keys.
    """
    keys = [_known(key, runs) for key in _listed(by)]
    values = [str(value) for value in _listed(baseline)]
    if len(values) > len(keys):
        raise ValueError(f"baseline={baseline} is not accepted: it must be a value for each key of by={by} at most")
    asked_for = [*keys]
    if len({run.config.get(DROPOUT) for run in runs.runs} - {None}) > 1:
        keys.append(DROPOUT)  # a mean over runs with other random numbers in them would be of no experiment
    unit = unit_of(runs.runs)
    for run in runs.runs:
        run.unit = unit
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in runs.runs:
        groups.setdefault(_of(run, keys), []).append(run)
    order = sorted(groups, key=lambda group: [_natural(word) for word in group])
    wanted = [_natural(value) for value in values]  # 32 is 32.0
    chosen = next((group for group in order if [_natural(word) for word in group[: len(values)]] == wanted), None)
    choices = [
        Choice(", ".join(group), sorted(groups[group], key=lambda run: _natural(run.seed)), group == chosen)
        for group in sorted(order, key=lambda group: group != chosen)
    ]
    # one that diverged would cut the mean over the run short for all
    ends = [run.curve("eval/bpb")[0][-1] for run in runs.runs if run.at_end("eval/bpb") is not None]
    differing = _differing(choices)
    base = next((choice for choice in choices if choice.baseline), None)
    asked = base.name if base else ", ".join(values)
    comparison = Comparison(keys, asked, runs, choices, base, float(min(ends, default=0.0)), differing)
    comparison.texts, comparison.unit = texts.names(runs.runs), unit
    comparison.pair = pair = _pair_key(differing, asked_for)
    _fill(comparison, pair)
    comparison.checks = list(_checks(comparison, pair))
    return comparison


def unit_of(runs: Sequence[RunRecord]) -> str:
    """What curves are over: tokens, unless several tokenizers made them; then the bytes of text that they stand for."""
    made = {run.tokenizer for run in runs if run.tokenizer}
    counted = all("bytes" in row for run in runs for row in run.rows if "tokens" in row)
    return "bytes" if len(made) > 1 and counted else "tokens"


def choice_of(run: RunRecord, comparison: Comparison) -> Any:
    """The value of the compared key, or those of several in one text."""
    if len(comparison.by) == 1:
        return run.config.get(comparison.by[0])
    return ", ".join(_of(run, comparison.by))


def _of(run: RunRecord, keys: list[str]) -> tuple[str, ...]:
    return tuple(word(run.config.get(key)) for key in keys)


def _listed(words: str | list[str]) -> list[str]:
    return words if isinstance(words, list) else [words]


def _known(by: str, runs: Runs) -> str:
    """A settings key of the runs; a group stands for its name, as on the command line of the runs."""
    known = sorted({key for run in runs.runs for key in run.config})
    if by not in known and f"{by}.name" in known:
        return f"{by}.name"
    if runs.runs and by not in known:
        raise ValueError(f"by={by} is not accepted: it must be a settings key of the runs{did_you_mean(by, known)}")
    return by


def _fill(comparison: Comparison, pair: Pair) -> None:
    """Means, paired differences and tokens to the baseline."""
    horizon, baseline = comparison.horizon, comparison.baseline
    partners = {pair(run): run for run in baseline.finished} if baseline else {}
    for choice in comparison.choices:
        own = {pair(run): run for run in choice.finished}  # of several runs of one seed one is paired
        pairs = [(run, partners[key]) for key, run in own.items() if key in partners]
        for name in comparison.texts:
            choice.texts[name] = texts.figures(choice.finished, [] if choice.baseline else pairs, name)
        for metric in METRICS:
            choice.metrics[metric] = estimate([measure(run, metric, horizon) for run in choice.finished])
            values = [(measure(a, metric, horizon), measure(b, metric, horizon)) for a, b in pairs]
            apart = [a - b for a, b in values if a is not None and b is not None]
            choice.paired[metric] = None if choice.baseline else estimate(apart)
        found, choice.reach = to_baseline(choice.finished, partners, pair, choice.baseline, along_curve)
        comparison.tokens_to_baseline |= found


def _differing(choices: list[Choice]) -> dict[str, list[list[Any]]]:
    """Settings that are not the same in all runs: key -> per choice its distinct values, in order."""
    keys = {key for choice in choices for run in choice.runs for key in run.config}
    found = {}
    for key in sorted(key for key in keys if not _below(key, HIDDEN)):
        values = [_distinct(run.config.get(key) for run in choice.runs) for choice in choices]
        if len(_distinct(value for per_choice in values for value in per_choice)) > 1:
            found[key] = values
    return found


def _varying(differing: dict[str, list[list[Any]]]) -> list[str]:
    """Settings, other than the machine's, that vary within a choice."""
    return [key for key, values in differing.items() if not _below(key, IGNORED) and any(len(v) > 1 for v in values)]


def _pair_key(differing: dict[str, list[list[Any]]], by: list[str]) -> Pair:
    keys = sorted({"seed", *_varying(differing)} - set(by))  # choices by seed can have no two runs of one seed
    return lambda run: tuple(word(run.config.get(key)) for key in keys)


def _checks(comparison: Comparison, pair: Pair) -> Iterator[Check]:
    """What must hold before two curves may be compared."""
    finished = [run for choice in comparison.choices for run in choice.finished]
    several = len(comparison.choices) > 1
    if several:
        groups = tuple(key.removesuffix("name") if key.endswith(".name") else key for key in comparison.by)
        others = [
            key
            for key, values in comparison.differing.items()
            if not key.startswith(groups)
            and key != "seed"
            and not _below(key, IGNORED)
            and any(_distinct(v) != _distinct(values[0]) for v in values)
        ]
        others += [  # known by their content, for the same text or tokenizer may lie in several places
            word
            for word, found in (
                ("data", {run.result.get("data_sha256") for run in finished}),
                ("tokenizer", {run.tokenizer for run in finished}),
            )
            if not any(key.startswith(word) for key in comparison.by) and len(found) > 1
        ]
        detail = f"choices also differ in {', '.join(others)}" if others else f"{comparison.label}, and the seed"
        yield Check("Only the choice differs", not others, detail)
    within = [key for key in _varying(comparison.differing) if key != "seed"]
    if within:
        detail = f"runs of one choice also differ in {', '.join(within)}: their mean and interval mix these"
        yield Check("One setting per choice", False, detail)
    if several:
        yield _same_seeds(comparison, pair)
    # a batch is so many tokens, so each tokenizer has batches of its own
    batches = pair if comparison.unit == "tokens" else lambda run: (*pair(run), run.tokenizer)
    yield _same("Same data order", finished, "data_order", "batches come in another order", batches)
    yield _same("Same data", finished, "data_sha256", "they were trained or evaluated on different data")
    for name in comparison.texts:
        yield _same_text(name, finished)
    yield _same("Same tokenizer", finished, "tokenizer", "compare bits per byte only, never the loss")
    if comparison.unit == "bytes":  # steps are of tokens
        yield _same_bytes(finished)
    else:
        yield _same("Same number of steps", finished, "steps", "the shorter runs had less training")
    yield _same("Same code", finished, "git_commit", "they were made by different versions")
    yield _same("Same hardware", finished, "hardware", "speed and memory do not compare, and rounding may differ")
    if any(run.provenance for run in finished):
        dirty = sum(run.git_dirty for run in finished)
        detail = f"{dirty} of {len(finished)} runs had changes that are in no commit (kept in their folders)"
        yield Check("Clean working tree", not dirty, detail if dirty else "nothing uncommitted")
    if finished:
        odd = [run.name for run in finished if not _agrees(run)]
        detail = f"metrics.jsonl says otherwise in {', '.join(odd)}" if odd else "result.json agrees with metrics.jsonl"
        yield Check("Results match the record", not odd, detail)


def _same_seeds(comparison: Comparison, pair: Pair) -> Check:
    """Whether every choice has the same finished seeds, once each."""
    per_choice = {choice.name: Counter(pair(run) for run in choice.finished) for choice in comparison.choices}
    counts = {name: sum(counter.values()) for name, counter in per_choice.items()}
    if not any(counts.values()):
        return Check("Same seeds", None, "no run is finished yet")
    if any(n > 1 for counter in per_choice.values() for n in counter.values()):
        return Check("Same seeds", False, "a choice has several runs of one seed; one of them is paired")
    if len({frozenset(counter) for counter in per_choice.values()}) > 1:
        told = ", ".join(f"{name} {n}" for name, n in counts.items())
        if comparison.runs.waiting or any(run.status == "running" for run in comparison.runs.runs):
            return Check("Same seeds", None, f"still running; finished so far: {told}")
        return Check("Same seeds", False, f"finished runs: {told}; only those with a partner are paired")
    return Check("Same seeds", True, f"{next(iter(counts.values()))} finished per choice")


def _same_bytes(finished: list[RunRecord]) -> Check:
    """Whether runs under several tokenizers were trained on equally much text, to a part in a hundred."""
    seen = [float(size) for run in finished if isinstance(size := run.result.get("bytes"), int | float)]
    if not seen:
        return Check("Same amount of text", None, "not recorded yet")
    shown = f"{min(seen):,.0f} to {max(seen):,.0f} bytes"
    if max(seen) > 1.01 * min(seen):
        return Check("Same amount of text", False, f"{shown}: the shorter runs had less training")
    return Check("Same amount of text", True, shown)


def _same_text(name: str, finished: list[RunRecord]) -> Check:
    """Whether every run scored the same text under a name; older runs scored none."""
    found = {sha for run in finished if (sha := texts.record(run, name).get("sha256"))}
    without = sum(not texts.record(run, name) for run in finished)
    title = f"Same text {name}"
    if not found:
        return Check(title, None, "not recorded yet")
    if len(found) > 1:
        shown = ", ".join(sorted(map(_digest, found)))
        return Check(title, False, f"{shown}: its bits per byte do not compare across runs")
    if without:
        return Check(title, False, f"{without} of {len(finished)} runs did not score it: its figures are of the others")
    return Check(title, True, _digest(found.pop()))


def _same(name: str, runs: list[RunRecord], key: str, otherwise: str, pair: Pair | None = None) -> Check:
    """Whether `key` is one value over all runs, or within the runs that `pair` puts together."""
    values: dict[Any, set[str]] = {}
    silent = 0
    for run in runs:
        value = getattr(run, key) if key in ("git_commit", "hardware", "tokenizer") else run.result.get(key)
        if value in (None, ""):
            silent += 1
        else:
            values.setdefault(pair(run) if pair else None, set()).add(str(value))
    if not values:
        return Check(name, None, "not recorded yet")
    together = plural(len(values), "seed")
    if len(values) > len({run.seed for run in runs}):
        together = plural(len(values), "group") + " of runs of one seed, setting and tokenizer"
    differing = [where for where, found in values.items() if len(found) > 1]
    if differing:
        shown = sorted({_digest(value) for where in differing for value in values[where]})
        where = f" for {len(differing)} of {together}" if pair else ""
        return Check(name, False, f"{', '.join(shown[:4])}{'…' if len(shown) > 4 else ''}{where}: {otherwise}")
    found = f"for each of {together}" if pair else _digest(next(iter(values[None])))
    if silent:
        return Check(name, None, f"{found}, and {silent} of {len(runs)} runs do not tell")
    return Check(name, True, found)


def _digest(value: str) -> str:
    """A hash in its first letters; words as they are."""
    return value if " " in value else value[:10]


def _agrees(run: RunRecord) -> bool:
    written = [("eval/bpb", run.result)]
    if part := texts.held_out(run):
        written.append((f"eval/{part}/bpb", run.result.get(part) or {}))
    for key, result in written:
        for mine, told in ((run.at_start(key), "bpb_step0"), (run.at_end(key), "bpb_final")):
            value = result.get(told)
            if mine is None or not isinstance(value, int | float) or not math.isclose(mine, value, rel_tol=1e-6):
                return False
    return texts.agrees(run)


def _below(key: str, words: Sequence[str]) -> bool:
    return any(key == word or key.startswith(f"{word}.") for word in words)


def _distinct(values: Any) -> list[Any]:
    """In natural order, without repeats."""
    return sorted({word(value): value for value in values}.values(), key=_natural)


def word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    return "–" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _natural(value: Any) -> tuple[int, float, str]:
    """Numbers by size, before words by spelling."""
    try:
        return 0, float(value), ""
    except (TypeError, ValueError):
        return 1, 0.0, str(value)
