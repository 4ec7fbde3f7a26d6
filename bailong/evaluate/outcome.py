"""What came of one question: its verdicts, its measures and the language rule, put together from the rows of files."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.metrics import COUNTED, HEADLINE, measure, metric_of
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.fault import fault
from bailong.evaluate.judge import language
from bailong.evaluate.judge.rating import SCORED
from bailong.evaluate.judge.single import ItemScore, item_scores
from bailong.evaluate.judge.template import BY_TURN, scale_of
from bailong.evaluate.reasoning import spoken

#: of a question that nobody has answered, or whose answer nobody has judged: an evaluation that is not finished
UNANSWERED, UNJUDGED = "unanswered", "unjudged"
PENDING = (UNANSWERED, UNJUDGED)
#: finish reasons of an answer that was given; with any other one (`refused`, `api_error`, `empty`) there is none
GIVEN = ("stop", "length", None)

Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One question of one model.

    Attributes:
        score: the judge's, on the scale of its template: samples averaged, then turns. None where a turn has none, and
            where no judge is asked.
        floor: the same with the least of the scale for every verdict without a score; None while the question is
            pending.
        status: of its verdicts: `ok` or `repaired`, or why there is no score; `no_answer` for an answer that
            failed; one of PENDING; or `measured` where no judge is asked.
        verdicts: how many verdicts have which status; errors: how many calls failed for good by which cause (`429`,
            `500`, `timeout`, ...).
        language: of the answer, one of bailong.text.spoken.identify.LABELS or the name of another language that is
            known (`Turkish`), and `ruling`, which says whether it is the right one (`ok`, `violation`, `exempt`,
            `undetermined`); both empty without an answer.
        trace: of Simplified Chinese in an answer that is to be in Traditional Chinese and is in no other language
            (`words`, `characters`, `share`: bailong.text.spoken.trace.Trace); None for every other one.
        measures: of the metrics, each in [0, 1]; none of an answer that failed, unless the metric counts it.
        keys: of the verdicts that the score rests on.
        flags: `partial` (some of its verdicts have no score), `cut` (an answer stopped at its length limit),
            `cut_context` (something of a prompt was left out), `judge_only` (the judge gave its least and the language
            is right), `rule_only` (the rule sees another language and the judge gave more all the same), `trace` (a
            trace of Simplified Chinese), and what an answer is instead of one (bailong.evaluate.fault.FAULTS).
    """

    benchmark: str
    id: str
    category: str
    score: float | None
    floor: float | None
    status: str
    verdicts: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    language: str = ""
    ruling: str = ""
    reason: str = ""
    trace: Mapping[str, Any] | None = None
    measures: dict[str, float] = field(default_factory=dict)
    finish: str = ""
    keys: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def row(self) -> Row:
        """The outcome as a JSON object."""
        return dict(vars(self))


def outcome(benchmark: Benchmark, item: Item, answer: Row | None, verdicts: Sequence[Row], samples: int) -> Outcome:
    """Put one question together.

    Args:
        answer: its row of `answers.jsonl`, if there is one.
        verdicts: its current rows of `verdicts.jsonl` (`current`).
        samples: verdicts that are expected for each prompt of the judge; 0 where no judge is asked.
    """
    judged, low = benchmark.metric == "judge" and samples > 0, float(scale_of(benchmark.template).low)
    blank = Outcome(item.benchmark, item.id, item.category, None, None, UNANSWERED)
    if answer is None:
        return blank
    reasons = [turn["finish_reason"] for turn in answer["turns"]]
    failed = next((str(reason) for reason in reasons if reason not in GIVEN), "")
    finish = failed or ("length" if "length" in reasons else "stop")
    written = [str(turn["answer"] or "") for turn in answer["turns"]]
    texts = [spoken(text) for text in written]
    cut_context = ["cut_context"] * any(turn.get("truncated") for turn in answer["turns"])
    if failed:
        flags = ["empty"] * (failed == "empty")
        return replace(
            blank,
            status="no_answer",
            floor=low if judged else None,
            measures=_measures(benchmark, item, "") if metric_of(benchmark) in COUNTED else {},
            finish=failed,
            flags=tuple(flags),
        )
    if item.choices:  # a letter is in no language, and no echo of the letters in its prompt
        measured = _measures(benchmark, item, texts[-1])
        return replace(blank, status="measured", measures=measured, finish=finish, flags=tuple(cut_context))
    spoken_in = language.languages(item, texts)
    ruling = language.verdict(item, texts, spoken_in)
    metrics = _measures(benchmark, item, texts[-1])
    known = {"language": language.named(ruling, spoken_in), "ruling": ruling.status, "reason": ruling.reason}
    known |= {"trace": ruling.trace._asdict() if ruling.trace else None}
    flags = ["cut"] * ("length" in reasons)
    flags += filter(None, [fault(item, written, "length" in reasons)])
    flags += ["trace"] * bool(ruling.trace and ruling.trace.words)
    flags += cut_context
    if not judged:
        return replace(blank, status="measured", measures=metrics, finish=finish, flags=tuple(flags), **known)
    judgement = _judgement(benchmark, item, verdicts, samples)
    if judgement.score is not None:
        flags += ["partial"] * any(row["status"] not in SCORED for row in verdicts)
        flags += ["judge_only"] * (judgement.score == low and ruling.status == "ok")
        flags += ["rule_only"] * (judgement.score > low and ruling.status == "violation")
    return replace(
        blank,
        **judgement._asdict(),
        verdicts=dict(Counter(str(row["status"]) for row in verdicts)),
        errors=dict(Counter(_cause(row) for row in verdicts if row["status"] == "api_error")),
        measures=metrics,
        finish=finish,
        keys=tuple(str(row["key"]) for row in verdicts),
        flags=tuple(flags),
        **known,
    )


def current(rows: Iterable[Row], keys: Collection[str] | None = None) -> dict[tuple[str, str], list[Row]]:
    """The verdicts that count, by (benchmark, id): the last one of each turn and sample.

    Args:
        keys: of the verdicts that the settings of today ask for; others are of another judge, or of an answer that has
            been replaced. None takes whatever came last.
    """
    last: dict[tuple[str, str], dict[tuple[int, int], Row]] = {}
    for row in rows:
        if keys is None or row["key"] in keys:
            last.setdefault((row["benchmark"], row["id"]), {})[row["turn"], row["sample"]] = row
    return {of: list(found.values()) for of, found in last.items()}


def _judgement(benchmark: Benchmark, item: Item, verdicts: Sequence[Row], samples: int) -> ItemScore:
    if len(verdicts) < samples * (len(item.prompts) if benchmark.template in BY_TURN else 1):
        return ItemScore(None, UNJUDGED, None)
    (score,) = item_scores(verdicts, scale_of(benchmark.template).low).values()
    return score


def _cause(row: Row) -> str:
    """What an API error begins with: `429: slow down` is `429`."""
    return str(row.get("error") or "").partition(":")[0].strip() or "unknown"


def _measures(benchmark: Benchmark, item: Item, answer: str) -> Mapping[str, float]:
    """What the benchmark's metric, or the one beside its judge, says of the last answer."""
    metric = metric_of(benchmark)
    return measure(metric, item, answer) if metric in HEADLINE and item.golds else {}
