"""From the files of an evaluation to its numbers: Table 6 (paper, section 5.3) with intervals and failures.

    <to>/items/<benchmark>.jsonl     items                          read
    <to>/<model>/answers.jsonl       answers                        read
    <to>/<model>/verdicts.jsonl      verdicts                       read
    <to>/<model>/measures.json       what is measured of the model  read
    <to>/<model>/targets.jsonl       likelihoods of references      read
    <to>/<model>/comet.jsonl         COMET of translations          read
    <to>/<model>/pairwise.jsonl      verdicts on pairs              read
    <to>/<model>/outcomes.jsonl      what came of every question    written
    <to>/scores.json                 everything below               written

Files may be absent or unfinished: what they lack is counted as pending, and never as 0.
"""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bailong.evaluate import alignment, corpus, degenerate, groups, printed, response_language
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.metrics import HEADLINE, metric_of
from bailong.evaluate.benchmark.settings import MEASURED, Benchmark
from bailong.evaluate.bootstrap import Interval, Resampling, average
from bailong.evaluate.judge.pairwise import win_rate
from bailong.evaluate.judge.rating import STATUSES
from bailong.evaluate.judge.template import Scale, scale_of
from bailong.evaluate.outcome import PENDING, UNANSWERED, Outcome, current, outcome
from bailong.evaluate.same import same
from bailong.run import files, journal

#: of the layout of scores.json
VERSION = 1
#: of a benchmark, that scores.json repeats
FACTS = ("template", "paper", "shape", "language", "path", "revision", "limit", "seed", "expected", "turns", "system")
FACTS += ("source", "licence")
#: and of those with a metric
FACTS_OF = {"likelihood": ("shots", "shots_split", "prompt"), corpus.METRIC: ("answer_language", "tokenize")}
#: the mean that a rule of language makes the headline
AS_ZERO = {"zero": "language_as_zero", "strict": "traces_as_zero"}


def collect(
    to: Path,
    models: Sequence[str],
    benchmarks: Mapping[str, Benchmark],
    *,
    enforce: str = "flag",
    samples: int = 1,
    keys: Mapping[str, Collection[str]] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Compute every number of the tables, and write `outcomes.jsonl` per model and `scores.json`.

    Args:
        to: folder of the evaluation, laid out as above.
        models: names, in the order of the tables; each is a folder of `to`.
        benchmarks: by name, in the order of the tables; each has a file in `items/`.
        enforce: what the language rule does (`Judge.enforce`): with `zero` it is the headline that counts a violation
            as 0 (as the least of a scale that begins above it), with `strict` a trace of Simplified Chinese too; the
            judge's own mean and the one with violations as 0 stand in the tables unless it is `off`.
        samples: `Judge.samples`; 0 where no judge is asked.
        keys: per model, the keys of the verdicts that count, on answers and on pairs; None takes the last of each
            question. Without a judge none counts.
        facts: what the report shall also say (command, config, versions, cost of this run); JSON values.

    Returns:
        What is written to `scores.json`.

    Raises:
        ValueError: a file is damaged.
    """
    items = {name: [Item(**row) for row in journal.read(to / "items" / f"{name}.jsonl")] for name in benchmarks}
    found: dict[str, dict[str, list[Outcome]]] = {}
    more: dict[str, dict[str, Any]] = {}
    for model in models:
        of_today = () if samples == 0 else None if keys is None else keys.get(model, ())
        found[model], more[model] = _model(to / model, benchmarks, items, samples, of_today)
    answers = {model: more[model].pop("answers") for model in models}
    scores = {
        "version": VERSION,
        "findings": [{"model": model} | one for model in models for one in more[model].pop("findings")],
        "facts": dict(facts or {}),
        "enforce": enforce,
        "samples": samples,
        "resamples": resamples,
        "seed": seed,
        "statuses": list(STATUSES),
        "benchmarks": {name: _about(one, items[name], to) for name, one in benchmarks.items()},
        **tabulate(found, benchmarks, enforce=enforce, judged=samples > 0, resamples=resamples, seed=seed),
        "printed": printed.beside([one.paper for one in benchmarks.values()]),
    }
    for model in models:
        scores["models"][model] |= more[model]
        scores["models"][model]["response_language"] = response_language.of_model(items, found[model])
    resampling = Resampling(resamples, seed)
    for apart in scores["differences"]:
        first, second = apart["first"], apart["second"]
        apart["answers"] = same(answers[first], answers[second])
        apart["response_language"] = response_language.difference(items, found, first, second, resampling)
        measured = {model: more[model]["measured"] for model in (first, second)}
        apart["representation"] = alignment.differences(measured, resampling)
    translated = [one for one in benchmarks.values() if one.metric == corpus.METRIC]
    for one in translated:
        corpus.add(scores, to, one, items[one.name], answers, found)
    scores["missing"] = corpus.missing(scores, [one.name for one in translated])
    files.write(to / "scores.json", json.dumps(scores, ensure_ascii=False, indent=1) + "\n", "surrogatepass")
    return scores


def _model(
    at: Path,
    benchmarks: Mapping[str, Benchmark],
    items: Mapping[str, Sequence[Item]],
    samples: int,
    keys: Collection[str] | None,
) -> tuple[dict[str, list[Outcome]], dict[str, Any]]:
    """Outcomes of one model, which are written too, and what its folder says beside them."""
    wanted = {(name, item.id) for name in benchmarks for item in items[name]}
    answers = {(row["benchmark"], row["id"]): row for row in journal.read(at / "answers.jsonl")}
    answers = {of: row for of, row in answers.items() if of in wanted}
    verdicts = journal.read(at / "verdicts.jsonl")
    counting = current(verdicts, keys)
    found = {
        # what is measured of the model itself asks no question
        name: [
            outcome(benchmark, item, answers.get((name, item.id)), counting.get((name, item.id), ()), samples)
            for item in (items[name] if benchmark.metric not in MEASURED else ())
        ]
        for name, benchmark in benchmarks.items()
    }
    lines = (json.dumps(one.row(), ensure_ascii=False) for of in found.values() for one in of)
    files.write(at / "outcomes.jsonl", "".join(f"{line}\n" for line in lines), "surrogatepass")
    return found, {
        "answers": answers,
        "findings": degenerate.findings(benchmarks, items, found, answers),
        "usage": usage(answers.values(), verdicts),
        "judges": _judges(row for rows in counting.values() for row in rows),
        "duels": _duels(journal.read(at / "pairwise.jsonl"), keys),
        "measured": read_measures(at / "measures.json"),
    }


def tabulate(
    found: Mapping[str, Mapping[str, Sequence[Outcome]]],
    benchmarks: Mapping[str, Benchmark],
    *,
    enforce: str = "flag",
    judged: bool = True,
    resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """`models` and `differences` of `scores.json`.

    Args:
        found: model -> benchmark -> outcomes.
    """
    by_judge = [name for name, one in benchmarks.items() if judged and one.metric == "judge"]
    columns = [name for name in by_judge if benchmarks[name].paper in printed.table6()["columns"]]
    scales = {name: scale_of(benchmarks[name].template) for name in by_judge}
    chosen = [name for name, one in benchmarks.items() if one.metric == "likelihood"]
    resampling = Resampling(resamples, seed)
    models: dict[str, Any] = {}
    for model, of in found.items():
        rows = {name: _benchmark(of[name], (model, name), resampling) for name in benchmarks}
        drawn: dict[str, np.ndarray] = {}
        for name in by_judge:
            row, draws = _judged(of[name], enforce, scale_of(benchmarks[name].template), (model, name), resampling)
            rows[name]["language"]["disagreement"] = _disagreement(of[name], scale_of(benchmarks[name].template))
            rows[name] |= row
            if draws is not None:
                drawn[name] = draws
        for name in chosen:
            rows[name]["categories"] = groups.accuracy(of[name], (model, name), resampling)
        headlines = {name: Interval(**rows[name]["headline"]) for name in drawn}
        models[model] = {
            "benchmarks": rows,
            "average": _average(by_judge, headlines, drawn) if alike(scales) else None,
            "paper_average": _average(columns, headlines, drawn),
        }
    pairs = itertools.combinations(found, 2)
    return {
        "models": models,
        "columns": by_judge,
        "paper_columns": columns,
        "differences": [
            _difference(found, a, b, scales, enforce, resampling)
            | {"choices": {name: groups.difference(found, a, b, name, resampling) for name in chosen}}
            for a, b in pairs
        ],
    }


def usage(answers: Iterable[Mapping[str, Any]], verdicts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Tokens of the answers that count, and tokens, dollars and seconds of every verdict that was ever asked.

    `dollars` is of the verdicts that have a price, `unpriced` counts the others.
    """

    def total(rows: Iterable[Mapping[str, Any]], name: str, nothing: float = 0) -> float:
        return sum(row.get(name) or nothing for row in rows)

    turns = [turn for row in answers for turn in row["turns"]]
    asked = [row for row in verdicts if not row.get("reread")]
    tokens = [row.get("tokens") or {} for row in asked]
    costs = [row.get("cost") for row in asked]
    return {
        "answer_prompt_tokens": total(turns, "prompt_tokens"),
        "answer_tokens": total(turns, "answer_tokens"),
        "answer_dollars": total(turns, "cost", 0.0),
        "verdicts": len(asked),
        "reasked": sum(bool(row.get("reasked")) for row in asked),
        "attempts": total(asked, "attempts"),
        "judge_prompt_tokens": total(tokens, "prompt"),
        "judge_answer_tokens": total(tokens, "answer"),
        "judge_cached_tokens": total(tokens, "cached"),
        "dollars": sum(cost for cost in costs if cost is not None),
        "unpriced": costs.count(None),
        "retries": _summed(row.get("retries") or {} for row in asked),
        "judge_seconds": round(total(asked, "seconds", 0.0), 1),
    }


def read_measures(path: Path) -> dict[str, Any]:
    """What `measures.json` holds, by benchmark; nothing where there is none.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}): the file is damaged; move it away to begin anew") from None


# --- one benchmark -----------------------------------------------------------------------------------


def _benchmark(outcomes: Sequence[Outcome], labels: tuple[str, ...], resampling: Resampling) -> dict[str, Any]:
    """One cell of the table as far as no judge is asked."""
    measures: dict[str, list[float]] = {}
    for one in outcomes:
        for name, value in one.measures.items():
            measures.setdefault(name, []).append(value)
    return {
        "questions": len(outcomes),
        "pending": sum(one.status in PENDING for one in outcomes),
        "unanswered": sum(one.status == UNANSWERED for one in outcomes),
        "finish": _counts(one.finish for one in outcomes),
        "measures": {name: resampling.interval(of, *labels, name)[0].row() for name, of in measures.items()},
        "language": {
            "labels": _counts(one.language for one in outcomes),
            "rulings": _counts(one.ruling for one in outcomes),
            "traces": _traces(outcomes),
        },
    }


def _judged(
    outcomes: Sequence[Outcome], enforce: str, scale: Scale, labels: tuple[str, ...], resampling: Resampling
) -> tuple[dict[str, Any], np.ndarray | None]:
    """What the judge adds to a cell, and the resampled means of its headline, if it has one."""
    scored = [one for one in outcomes if one.score is not None]
    settled = [one.floor for one in outcomes if one.floor is not None]
    row: dict[str, Any] = {
        "statuses": _counts(one.status for one in outcomes),
        "verdicts": _summed(one.verdicts for one in outcomes),
        "errors": _summed(one.errors for one in outcomes),
        "failed": len(settled) - len(scored),
        "failures_as_zero": float(np.mean(settled)) if settled else None,
        **dict.fromkeys(("mean", "headline", *AS_ZERO.values())),
        "categories": {},
    }
    if not scored:
        return row, None
    drawn: dict[str, np.ndarray] = {}
    rules = {"off": "mean"} | (AS_ZERO if enforce != "off" else {})
    for rule, kind in rules.items():
        mean, drawn[kind] = resampling.interval([headline(one, rule, scale) for one in scored], *labels, kind)
        row[kind] = mean.row()
    chosen = AS_ZERO.get(enforce, "mean")
    row["headline"] = row[chosen]
    row["zeros"] = sum(one.score == scale.low for one in scored)
    row["zero_rate"] = row["zeros"] / len(scored)
    for name in dict.fromkeys(one.category for one in scored if one.category):
        inside = [headline(one, enforce, scale) for one in scored if one.category == name]
        row["categories"][name] = resampling.interval(inside, *labels, "category", name)[0].row()
    return row, drawn[chosen]


def _traces(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Answers that were looked at for Simplified Chinese, those with a trace, and the characters of all traces."""
    found = [one.trace for one in outcomes if one.trace is not None]
    return {
        "answers": len(found),
        "traced": sum(trace["characters"] > 0 for trace in found),
        "characters": sum(trace["characters"] for trace in found),
    }


def _disagreement(outcomes: Sequence[Outcome], scale: Scale) -> dict[str, int]:
    """How often the judge and the language rule see another language, together or one of them alone."""
    scored = [one for one in outcomes if one.score is not None]
    return {
        "both": sum(one.score == scale.low and one.ruling == "violation" for one in scored),
        "judge_only": sum("judge_only" in one.flags for one in scored),
        "rule_only": sum("rule_only" in one.flags for one in scored),
        "scored": len(scored),
    }


def headline(one: Outcome, enforce: str, scale: Scale) -> float:
    """The score that counts: the judge's, or the least on a violation where the rule is enforced (strict: a trace)."""
    assert one.score is not None
    wrong = enforce in AS_ZERO and one.ruling == "violation"
    return float(scale.low) if wrong or (enforce == "strict" and "trace" in one.flags) else one.score


def alike(scales: Mapping[str, Scale]) -> bool:
    """Whether there is a mean over benchmarks: 4 of 5 and 4 of 10 have none."""
    return len(set(scales.values())) < 2


def _average(
    names: Sequence[str], headlines: Mapping[str, Interval], drawn: Mapping[str, np.ndarray]
) -> dict[str, Any] | None:
    """The macro average, only where every benchmark has a mean: over fewer it would be another number."""
    if not names or any(name not in drawn for name in names):
        return None
    return average([headlines[name] for name in names], [drawn[name] for name in names]).row() | {"over": list(names)}


def _difference(
    found: Mapping[str, Mapping[str, Sequence[Outcome]]],
    first: str,
    second: str,
    scales: Mapping[str, Scale],
    enforce: str,
    resampling: Resampling,
) -> dict[str, Any]:
    """First minus second per benchmark, and for the macro average over one scale, on the questions that both have a
    score of."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name, scale in scales.items():
        mine, theirs = (
            {one.id: headline(one, enforce, scale) for one in found[model][name] if one.score is not None}
            for model in (first, second)
        )
        pairs[name] = [(score, theirs[of]) for of, score in mine.items() if of in theirs]
    return {
        "first": first,
        "second": second,
        "benchmarks": {name: resampling.difference([of], first, second, name) for name, of in pairs.items()},
        "average": resampling.difference(list(pairs.values()), first, second, "") if alike(scales) else None,
    }


# --- files -------------------------------------------------------------------------------------------


def _about(benchmark: Benchmark, items: Sequence[Item], to: Path) -> dict[str, Any]:
    """What a benchmark was, and the SHA-256 of its file of items."""
    path = to / "items" / f"{benchmark.name}.jsonl"
    content = path.read_bytes() if path.is_file() else b""
    return {
        "metric": benchmark.metric,
        "measure": HEADLINE.get(metric_of(benchmark) or ""),
        **{name: getattr(benchmark, name) for name in FACTS},
        **{name: getattr(benchmark, name) for name in FACTS_OF.get(benchmark.metric, ())},
        "choices": max((len(item.choices) for item in items), default=0),
        **({"scale": scale_of(benchmark.template)[:2]} if benchmark.metric == "judge" else {}),
        "items": len(items),
        "multi_turn": sum(len(item.prompts) > 1 for item in items),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _judges(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which models, as they call themselves, gave the verdicts; several are several judges, and are said to be."""
    named = Counter((row.get("model"), row.get("fingerprint")) for row in rows if row.get("model"))
    return [{"model": model, "fingerprint": print_, "verdicts": n} for (model, print_), n in named.most_common()]


def _duels(rows: Iterable[Mapping[str, Any]], keys: Collection[str] | None) -> list[dict[str, Any]]:
    """Position-swapped comparisons, per opponent and benchmark; of those with these keys the last of each pair."""
    last = {
        (row["against"], row["benchmark"], row["id"], row["sample"], row["order"]): dict(row)
        for row in rows
        if keys is None or row["key"] in keys
    }
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in last.values():
        grouped.setdefault((row["against"], row["benchmark"]), []).append(row)
    return [
        {"against": against, "benchmark": name, **win_rate(whole)._asdict()}
        for (against, name), of in grouped.items()
        if (whole := _whole(of))
    ]


def _whole(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pairs of which both orders have been judged."""
    there = Counter((row["id"], row["sample"]) for row in rows)
    return [row for row in rows if there[row["id"], row["sample"]] == 2]


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(value for value in values if value).most_common())


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()).most_common())
