"""Scores of a whole benchmark of translations: chrF++, BLEU, COMET, and how likely the references are to the model.

Each rests on numbers that are added up over sentences, so that intervals and paired differences draw sentences again
without reading any. Every sentence counts: an answer that failed or is empty is an empty translation, for a score over
fewer sentences would be another number; and there is none before all questions have been asked.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bailong.evaluate import comet, targets
from bailong.evaluate.benchmark import translation
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.bootstrap import Resampling
from bailong.evaluate.outcome import GIVEN, Outcome
from bailong.evaluate.reasoning import spoken

METRIC = "translation"
#: as tables name them
NAMES = translation.NAMES | {"comet": "COMET", "target_bits_per_byte": "bits per byte of the reference"}

Row = dict[str, Any]
Answers = Mapping[tuple[str, str], Row]


class Measure(NamedTuple):
    """A measure of one model's translations: [n, k] of what each sentence adds, how sums become scores, and facts."""

    value: float
    sums: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    facts: Row


def hypothesis(row: Row | None) -> str:
    """The translation that a row of `answers.jsonl` holds, as one line; empty where the answer failed."""
    if row is None or row["turns"][-1]["finish_reason"] not in GIVEN:
        return ""
    return translation.line(spoken(str(row["turns"][-1]["answer"] or "")))


def measures(at: Path, benchmark: Benchmark, items: Sequence[Item], answers: Answers) -> dict[str, Measure]:
    """Every measure that there is of a model's translations; none while a question has not been asked.

    Args:
        at: the model's folder, with `targets.jsonl` and `comet.jsonl` where they are.
    """
    rows = [answers.get((item.benchmark, item.id)) for item in items]
    if not items or None in rows:
        return {}
    given, wanted = [hypothesis(row) for row in rows], [item.golds[0] for item in items]
    found = {
        name: Measure(one.value, one.sums, one.score, {"signature": one.signature})
        for name, one in translation.scored(benchmark, given, wanted).items()
    }
    if (scored := comet.read(at / comet.FILE, items, given)) is not None:
        values, model = scored
        found["comet"] = _ratio(np.stack([values, np.ones(len(values))], 1), {"signature": model})
    here = all("path" in row["settings"] for row in rows if row)  # answered by a model that was loaded
    if here and (likely := targets.read(at / targets.FILE, items)) is not None:
        left_out = {"left_out": left} if (left := int((likely[:, 1] == 0).sum())) else {}
        found["target_bits_per_byte"] = _ratio(likely, left_out)
    return found


def _ratio(sums: np.ndarray, facts: Row) -> Measure:
    """A measure that is one sum by another."""

    def score(sums: np.ndarray) -> np.ndarray:
        return np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)

    return Measure(float(score(sums.sum(0)[None])[0]), sums, score, facts)


def intervals(found: Mapping[str, Measure], resampling: Resampling, *labels: str) -> dict[str, Row]:
    """`corpus` of scores.json: each measure with its 95 % interval over sentences, all from the same draws."""
    if not found:
        return {}
    drawn = resampling.sums(np.concatenate([one.sums for one in found.values()], 1), *labels)
    rows, at = {}, 0
    for name, one in found.items():
        size, at = one.sums.shape[1], at + one.sums.shape[1]
        scores = one.score(drawn[:, at - size : at])
        rows[name] = resampling.around(one.value, scores, len(one.sums)) | one.facts
    return rows


def differences(
    first: Mapping[str, Measure], second: Mapping[str, Measure], resampling: Resampling, *labels: str
) -> dict[str, Row]:
    """First minus second of each measure that both have, sentences drawn for both at once."""
    shared = [name for name in first if name in second and first[name].facts == second[name].facts]
    if not shared:
        return {}
    both = [np.concatenate([of[name].sums for name in shared], 1) for of in (first, second)]
    drawn = np.split(resampling.sums(np.concatenate(both, 1), *labels), 2, axis=1)
    rows, at = {}, 0
    for name in shared:
        one, other = first[name], second[name]
        size, at = one.sums.shape[1], at + one.sums.shape[1]
        scores = one.score(drawn[0][:, at - size : at]) - other.score(drawn[1][:, at - size : at])
        rows[name] = resampling.apart(one.value - other.value, scores, len(one.sums))
    return rows


def add(
    scores: Row,
    to: Path,
    benchmark: Benchmark,
    items: Sequence[Item],
    answers: Mapping[str, Answers],
    outcomes: Mapping[str, Mapping[str, Sequence[Outcome]]],
) -> None:
    """Put what is measured of a benchmark into `scores.json`: `corpus` and `untranslated` of each model, and `corpus`
    of each difference.

    Args:
        scores: what `bailong.evaluate.scores.collect` has so far.
        to: folder of the evaluation.
        answers: by model; outcomes: by model and benchmark.
    """
    name, resampling = benchmark.name, Resampling(scores["resamples"], scores["seed"])
    found = {model: measures(to / model, benchmark, items, of) for model, of in answers.items()}
    for model, of in found.items():
        row = scores["models"][model]["benchmarks"][name]
        row["corpus"] = intervals(of, resampling, model, name, "corpus")
        row["untranslated"] = untranslated(items, outcomes[model][name], answers[model])
    for apart in scores["differences"]:
        first, second = apart["first"], apart["second"]
        both = differences(found[first], found[second], resampling, first, second, name, "corpus")
        apart.setdefault("corpus", {})[name] = both


def missing(scores: Row, names: Sequence[str]) -> list[str]:
    """Measures of translations that there could be, and what they lack, a line each."""
    rows = [of["benchmarks"][name]["corpus"] for of in scores["models"].values() for name in names]
    lines = []
    if any(row for row in rows) and not any(key.startswith("spbleu") for row in rows for key in row):
        places = [place for name in translation.PIECES if (place := translation.pieces_file(name))]
        wanted = " or ".join(place.name for place in places)
        lines.append(f"spBLEU is not computed: it needs a SentencePiece model, a whole {wanted} in {places[0].parent}.")
    if any(row and "comet" not in row for row in rows):
        lines.append("COMET is not computed: comet.python=PATH names the Python of an environment with unbabel-comet.")
    return lines


def untranslated(items: Sequence[Item], outcomes: Sequence[Outcome], answers: Answers) -> dict[str, int]:
    """Answers that are no translation, by what they are instead: `empty`, `loop`, `echo`. All of them count."""
    rows = [answers.get((item.benchmark, item.id)) for item in items]
    empty = sum(row is not None and not hypothesis(row) for row in rows)
    faults = Counter(flag for one in outcomes for flag in one.flags if flag in ("loop", "echo"))
    return {"empty": empty, **{name: faults[name] for name in ("loop", "echo")}}
