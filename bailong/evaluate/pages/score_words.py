"""What is said beside the numbers of an evaluation: findings before any, warnings, and how the tables are read.

Reads `scores.json` (bailong.evaluate.scores) and nothing that needs torch.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bailong.evaluate.benchmark.settings import MEASURED
from bailong.evaluate.degenerate import KINDS
from bailong.evaluate.pages.score_table import Scores, scales_of, share, summed, traces
from bailong.evaluate.pages.translation_table import signatures, translated
from bailong.report.units import listed, plural


def findings(scores: Scores) -> list[str]:
    """What comes before every number: answers that are none, or in a wrong language, a sentence or two each."""
    asked = sum(about["metric"] not in MEASURED for about in scores["benchmarks"].values())
    return [_finding(one, asked) for one in scores.get("findings", ())]


def _finding(one: Mapping[str, Any], asked: int) -> str:
    among = "" if len(one["benchmarks"]) == asked else f" of {', '.join(one['benchmarks'])}"
    told = f"{one['answers']:,} of {plural(one['of'], 'answer')}{among} ({share(one['share'])}) {KINDS[one['kind']]}"
    told += f" ({listed(one['labels'].items())})" if one["labels"] else ""
    told += f"; {one['cut']:,} ran on until sampling.max_new_tokens" if one["cut"] and one["kind"] == "loop" else ""
    example = one["example"]
    where = f"{example['benchmark']} {example['id']}"
    shown = f"; for example {where}: “{example['text']}”" if example["text"] else f"; for example {where}"
    return f"{one['model']}: {told}{shown}. Check: {one['check']}."


def warnings(scores: Scores) -> list[str]:
    """What must be known before a number is believed, a sentence each."""
    found = [f"{model}: {line}" for model, of in scores["models"].items() for line in _warnings(of, scores["enforce"])]
    judges = {judge["model"] for of in scores["models"].values() for judge in of["judges"]}
    alone = all(len(of["judges"]) <= 1 for of in scores["models"].values())
    if len(judges) > 1 and alone:
        found.append(f"The models were not judged by one judge: {', '.join(sorted(map(str, judges)))}.")
    return found


def _warnings(of: Mapping[str, Any], enforce: str) -> Iterator[str]:
    """Of one model."""
    rows = list(of["benchmarks"].values())
    if pending := sum(row["pending"] for row in rows):
        every = sum(row["questions"] for row in rows)
        yield f"{pending:,} of {every:,} questions are not answered or not judged yet; run it again."
    if failed := _without(summed(row.get("verdicts", {}) for row in rows), "ok", "repaired"):
        errors = summed(row.get("errors", {}) for row in rows)
        causes = f" ({listed(errors.most_common())})" if errors else ""
        told = ", ".join(f"{s} {count:,}{causes if s == 'api_error' else ''}" for s, count in failed.most_common())
        yield f"verdicts without a score: {told}. They are in no mean; as 0 they are shown beside it."
    translations = [row for row in rows if "untranslated" in row]
    if empty := sum(row["untranslated"]["empty"] for row in translations):
        every = plural(sum(row["questions"] for row in translations), "translation")
        yield f"{empty:,} of {every} are empty, since no answer came or it says nothing. They count, as empty ones."
    others = [row for row in rows if "untranslated" not in row]
    if ended := _without(summed(row["finish"] for row in others), "stop", "length"):
        yield f"questions without an answer from the model: {listed(ended.most_common())}. They are in no mean."
    if len(of["judges"]) > 1:
        told = ", ".join(_judge(judge) for judge in of["judges"])
        yield f"its verdicts come from several judges: {told}. Scores of two judges do not compare."
    disagreeing = sum(row["language"].get("disagreement", {}).get("rule_only", 0) for row in rows)
    if disagreeing and enforce != "off":
        counted = "; judge.enforce=zero would count them 0." if enforce == "flag" else ", and count as 0 here."
        yield f"{disagreeing:,} answers in another language than asked for got points from the judge{counted}"
    looked, traced, characters = traces(rows)
    if traced:
        counted = "; they count as 0 here" if enforce == "strict" else ""
        yield (
            f"{traced:,} of {plural(looked, 'answer')} in Traditional Chinese ({share(traced / looked)}) hold a trace "
            f"of Simplified Chinese, {characters / traced:.1f} characters each{counted}."
        )


def notes(scores: Scores) -> Iterator[str]:
    """How the tables are to be read."""
    middle = f"the middle 95 % of the means of {scores['resamples']:,} resamplings of the questions"
    if scores["columns"]:
        yield from _of_judge(scores, middle)
    else:
        yield f"Intervals are {middle}."
    if translated(scores):
        yield (
            "A score of translations is of all sentences at once, with answers as they were given, lines joined by a "
            "space; its interval draws sentences again. No sentence is left out."
        )
        yield from of_translations(scores)
    drawn = {n: b for n, b in scores["benchmarks"].items() if b["expected"] and b["items"] < b["expected"]}
    if drawn:
        each = ", ".join(f"{n} {b['items']:,} of {b['expected']:,}" for n, b in drawn.items())
        yield f"Only a part of the questions: {each}."
    for table in scores["printed"]:
        if "judge" in table:
            yield (
                f"Rows of a paper are printed figures ({table['source']}; judge {table['judge']}, {table['year']}): "
                "another judge, another time, no interval. A difference to them is no proof."
            )
        else:
            sizes = listed(zip(table["groups"], table["questions"], strict=True))
            yield (
                f"Rows of a paper are printed figures ({table['source']}, {table['year']}): another harness, groups "
                f"that it cuts itself ({sizes} questions), no interval. A difference to them is no proof."
            )


def of_translations(scores: Scores) -> list[str]:
    """How the scores of translations were made, and what is missing of them."""
    return [*signatures(scores), *scores.get("missing", ())]


def _of_judge(scores: Scores, middle: str) -> Iterator[str]:
    yield (
        f"Mean of the judge's scores ({scaled(scores)}), with {middle}. "
        "Verdicts without a score are left out of the mean."
    )
    scales = scales_of(scores)
    if len(set(scales.values())) > 1:
        yield f"No average over all columns, since their scales differ: {scaled(scores)}."
    else:
        yield "Avg is the unweighted mean of the columns, as in Table 6."
    if any(low > 0 for low, _ in scales.values()):
        yield "Where a scale begins above 0, its least score stands for 0: in the zero rate, of failures, of languages."
    if scores["enforce"] == "zero":
        yield "An answer in another language than asked for counts as 0 (judge.enforce=zero), whatever the judge said."
    if scores["enforce"] == "strict":
        yield (
            "An answer in another language than asked for, or with any Simplified Chinese in Traditional, counts as 0 "
            "(judge.enforce=strict), whatever the judge said."
        )
    known = {column for table in scores["printed"] for column in table["columns"]}
    if other := [name for name in scores["columns"] if scores["benchmarks"][name]["paper"] not in known]:
        yield f"{', '.join(other)}: no column of Table 6; no row of the paper belongs there."


def scaled(scores: Scores) -> str:
    """The scale of all judged benchmarks, or each with its own."""
    scales = {name: f"{low} to {high}" for name, (low, high) in scales_of(scores).items()}
    if len(set(scales.values())) < 2:
        return next(iter(scales.values()), "0 to 10")
    return ", ".join(f"{name} {scale}" for name, scale in scales.items())


def _judge(judge: dict[str, Any]) -> str:
    fingerprint = f" ({judge['fingerprint']})" if judge["fingerprint"] else ""
    return f"{judge['model']}{fingerprint} {judge['verdicts']:,}"


def _without(counts: Counter[str], *names: str) -> Counter[str]:
    return Counter({name: count for name, count in counts.items() if name not in names})
