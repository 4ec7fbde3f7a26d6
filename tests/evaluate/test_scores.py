"""From rows to Table 6: failures are no zeros, questions are averaged before benchmarks, the paper's rows add up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.outcome import current, outcome
from bailong.evaluate.printed import table6, tables
from bailong.evaluate.scores import collect, tabulate
from bailong.evaluate.settings import Benchmark
from bailong.run import journal
from tests.evaluate.pages.evaluations import ANSWERS, answer, evaluation, questions, standin, verdict, write

DRCD = Benchmark(name="drcd", path="x", shape="squad", template="single", paper="DRCD")
TWO = Benchmark(name="mt_bench", path="x", shape="mt_bench", template="mt_bench", language="en")


def item(**facts) -> Item:
    return replace(questions("drcd", 1)[0], **facts)


def came(verdicts: list, text: str = ANSWERS["traditional"], samples: int = 1, of: Benchmark = DRCD, finish="stop"):
    turns = 2 if of.template == "mt_bench" else 1
    one = item(golds=[], prompts=item().prompts * turns)
    return outcome(of, one, answer(one, [text] * turns, finish), verdicts, samples)


def test_the_papers_averages_are_plain_means_of_its_seven_columns() -> None:
    table = table6()
    assert table["columns"] == ["FGC", "IMDB-TC", "DRCD", "Xsum-TC", "TTQA", "MT-bench", "Bailong-bench"]
    assert len(table["rows"]) == 7
    for model, row in table["rows"].items():
        assert len(row["scores"]) == 7
        assert f"{sum(row['scores']) / 7:.2f}" == f"{row['average']:.2f}", model


def test_what_another_paper_printed_keeps_to_its_scales() -> None:
    """The figures of the sister system within their bounds: 11,582 questions of CMMLU, MT-bench from 1 to 5."""
    _, bench, exam = tables()
    assert bench["columns"] == ["MT-bench-zh", "MT-bench-tr"] and exam["columns"] == ["CMMLU"]
    for row in bench["rows"].values():
        assert len(row["scores"]) == 2 and "average" not in row, "it prints none over both"
        for score in filter(None, row["scores"]):
            low, high = score if isinstance(score, list) else (score, score)
            assert 1 <= low <= high <= 5
    assert bench["rows"]["Llama-3-8B, r 16, alpha 32"]["scores"][0] == 3.63
    assert sum(exam["questions"]) == 11_582 and len(exam["groups"]) == 5
    assert all(len(row["groups"]) == 5 and min(row["groups"]) > 20 for row in exam["rows"].values())
    assert not any("arxiv" in table["source"].lower() for table in (bench, exam)), "its number stands for another paper"


def test_no_average_mixes_scales() -> None:
    five = replace(DRCD, name="five", template="two_shot", paper="MT-bench-zh")
    named = {"drcd": DRCD, "five": five}
    made = {
        name: {"drcd": [came([verdict(item(), high)])], "five": [came([verdict(item(), low)], of=five)]}
        for name, high, low in (("a", 9.0, 2.0), ("b", 7.0, 4.0))
    }
    found = tabulate(made, named, resamples=50)
    assert found["columns"] == ["drcd", "five"] and found["paper_columns"] == ["drcd"]
    for name, high in (("a", 9.0), ("b", 7.0)):
        assert found["models"][name]["average"] is None and found["models"][name]["paper_average"]["mean"] == high
    (apart,) = found["differences"]
    assert apart["average"] is None
    assert [apart["benchmarks"][name]["mean"] for name in named] == [2.0, -2.0]
    same = tabulate({m: {"five": of["five"], "tr": of["five"]} for m, of in made.items()}, {"five": five, "tr": five})
    assert same["models"]["b"]["average"]["mean"] == 4.0 and same["differences"][0]["average"]["mean"] == -2.0


def test_the_least_of_a_scale_is_what_0_is_elsewhere() -> None:
    five = replace(DRCD, name="five", template="two_shot")
    wrong, failed = (
        came([verdict(item(), score, status)], ANSWERS["english"], of=five)
        for score, status in ((3.0, "ok"), (None, "truncated"))
    )
    least = came([verdict(item(), 1.0)], ANSWERS["english"], of=five)
    lost = came([], text="", finish="api_error", of=five)
    assert (failed.floor, lost.floor, least.flags, wrong.flags) == (1.0, 1.0, (), ("rule_only",))
    assert came([verdict(item(), 1.0)], of=five).flags == ("judge_only",)
    made = tabulate({"m": {"five": [wrong, failed, least]}}, {"five": five}, enforce="zero", resamples=50)
    row = made["models"]["m"]["benchmarks"]["five"]
    assert row["headline"]["mean"] == 1.0 and row["mean"]["mean"] == 2.0 and row["zeros"] == 1
    assert row["failures_as_zero"] == pytest.approx(5 / 3)


def test_zero_is_a_score_and_a_failure_is_not() -> None:
    zero = came([verdict(item(), 0.0)])
    assert (zero.score, zero.floor, zero.status) == (0.0, 0.0, "ok")
    for status in ("parse_error", "out_of_range", "truncated", "refused", "api_error"):
        failed = came([verdict(item(), None, status)])
        assert (failed.score, failed.floor, failed.status, failed.verdicts) == (None, 0.0, status, {status: 1})
    assert came([verdict(item(), None, "api_error")]).errors == {"429": 1}
    assert came([verdict(item(), 5.0, "repaired")]).status == "repaired"


def test_samples_then_turns_then_questions() -> None:
    three = [verdict(item(), score, sample=i) for i, score in enumerate((4.0, 5.0, 9.0))]
    assert came(three, samples=3).score == 6.0
    three[1] |= {"score": None, "status": "truncated"}
    partly = came(three, samples=3)
    assert partly.score == 6.5 and partly.floor == pytest.approx(13 / 3) and "partial" in partly.flags
    turns = [verdict(item(), 8.0, turn=1, sample=0), verdict(item(), 2.0, turn=2, sample=0)]
    assert came(turns, of=TWO).score == 5.0
    turns[1] |= {"score": None, "status": "api_error"}
    half = came(turns, of=TWO)
    assert (half.score, half.floor, half.status) == (None, 4.5, "api_error"), "one turn is no score of two"


def test_what_is_not_finished_is_pending_and_no_failure() -> None:
    assert outcome(DRCD, item(), None, [], 1).status == "unanswered"
    assert came([]).status == "unjudged"
    assert came([verdict(item(), 8.0, turn=1)], of=TWO).status == "unjudged"
    assert came([verdict(item(), 8.0)], samples=2).status == "unjudged"
    assert all(came([], samples=n).floor is None for n in (1, 2))
    assert came([], samples=0).status == "measured", "no judge is asked"


def test_an_answer_that_failed_has_its_reason() -> None:
    lost = came([], text="", finish="api_error")
    assert (lost.status, lost.finish, lost.score, lost.floor) == ("no_answer", "api_error", None, 0.0)
    gold = item()
    assert outcome(DRCD, gold, answer(gold, [""], "api_error"), [], 1).measures == {}
    assert came([verdict(item(), 3.0)], finish="length").flags == ("cut",)


def test_the_judge_and_the_rule_beside_each_other() -> None:
    seen = {
        (kind, score): came([verdict(item(), score)], ANSWERS[kind])
        for kind in ("traditional", "english")
        for score in (0.0, 7.0)
    }
    assert seen["traditional", 7.0].flags == ()
    assert seen["traditional", 0.0].flags == ("judge_only",)
    assert seen["english", 7.0].flags == ("rule_only",)
    assert (seen["english", 0.0].flags, seen["english", 0.0].ruling) == ((), "violation")
    numbers = {}
    for enforce in ("off", "flag", "zero"):
        made = tabulate({"m": {"drcd": list(seen.values())}}, {"drcd": DRCD}, enforce=enforce, resamples=50)
        numbers[enforce] = made["models"]["m"]["benchmarks"]["drcd"]
        assert numbers[enforce]["mean"]["mean"] == 3.5, "the judge's word stands, whatever the rule does"
        assert numbers[enforce]["zero_rate"] == 0.5
    assert numbers["off"]["language_as_zero"] is None and numbers["off"]["headline"]["mean"] == 3.5
    assert numbers["flag"]["language_as_zero"]["mean"] == 1.75 and numbers["flag"]["headline"]["mean"] == 3.5
    assert numbers["zero"]["headline"]["mean"] == 1.75
    assert numbers["flag"]["language"]["disagreement"] == {"both": 1, "judge_only": 1, "rule_only": 1, "scored": 4}


def test_a_trace_of_simplified_is_stored_and_scores_0_only_when_strict() -> None:
    leaked = came([verdict(item(), 8.0)], "這是臺灣經濟發展的歷史，其中经历许多變遷與挑戰，從荷蘭時期到現代。")
    clean = came([verdict(item(), 6.0)])
    foreign = came([verdict(item(), 4.0)], ANSWERS["english"])
    row = json.loads(json.dumps(leaked.row()))
    assert row["trace"] == {"words": ["经历许"], "characters": 3, "share": 0.1}
    assert (row["ruling"], row["flags"], row["score"]) == ("ok", ["trace"], 8.0)
    assert clean.trace == {"words": (), "characters": 0, "share": 0.0} and clean.flags == ()
    assert foreign.trace is None
    for enforce, mean in (("off", 6.0), ("flag", 6.0), ("zero", 14 / 3), ("strict", 2.0)):
        found = {"m": {"drcd": [leaked, clean, foreign]}}
        made = tabulate(found, {"drcd": DRCD}, enforce=enforce, resamples=50)["models"]["m"]["benchmarks"]["drcd"]
        assert made["headline"]["mean"] == pytest.approx(mean), enforce
        assert made["mean"]["mean"] == 6.0
        assert made["language"]["traces"] == {"answers": 2, "traced": 1, "characters": 3}
    assert made["traces_as_zero"]["mean"] == 2.0 and made["language_as_zero"]["mean"] == pytest.approx(14 / 3)


def test_only_current_verdicts_count() -> None:
    old, new = verdict(item(), 2.0), verdict(item(), 8.0) | {"key": "other"}
    of = ("drcd", "0000")
    assert [row["score"] for row in current([old, new])[of]] == [8.0]
    assert [row["score"] for row in current([new, old], {"other"})[of]] == [8.0]
    assert current([old], {"other"}) == {}


def test_the_average_is_over_benchmarks_and_only_over_all_of_them() -> None:
    made = {
        "m": {
            "drcd": [came([verdict(item(), s)]) for s in (4.0, 6.0)],
            "fgc": [came([verdict(item(), 9.0)])] * 20,
            "ttqa": [came([])],
        }
    }
    named = {name: replace(DRCD, name=name, paper=name.upper()) for name in made["m"]}
    found = tabulate(made, named, resamples=50)["models"]["m"]
    assert found["average"] is None and found["benchmarks"]["ttqa"]["pending"] == 1
    del made["m"]["ttqa"], named["ttqa"]
    found = tabulate(made, named, resamples=50)["models"]["m"]
    assert found["average"]["mean"] == 7.0, "not 8.64, the mean of the questions"
    assert found["average"]["over"] == ["drcd", "fgc"]


def test_another_model_or_benchmark_changes_no_interval(tmp_path: Path) -> None:
    two = evaluation(tmp_path / "two", reading=30)
    one = evaluation(tmp_path / "one", models=("bailong-tiny",), reading=30)
    mine = [made["models"]["bailong-tiny"]["benchmarks"] for made in (one, two)]
    assert mine[0] == mine[1]


def test_differences_are_on_common_questions(tmp_path: Path) -> None:
    made = evaluation(tmp_path)
    (apart,) = made["differences"]
    # four verdicts of the stand-in bench failed, the same questions for both
    assert apart["benchmarks"]["standin_bench"]["n"] == 136
    assert apart["average"]["n"] == 136 + 40
    both = [made["models"][name]["average"]["mean"] for name in ("bailong-tiny", "llama-tiny")]
    assert apart["average"]["mean"] == pytest.approx(both[0] - both[1])
    assert apart["average"]["clear"] and apart["average"]["p"] < 0.05


def test_everything_is_there_again_from_files_alone(tmp_path: Path) -> None:
    made = evaluation(tmp_path)
    before = (tmp_path / "scores.json").read_bytes()
    assert json.loads(before) == json.loads(json.dumps(made))
    (tmp_path / "scores.json").unlink()
    (tmp_path / "bailong-tiny" / "outcomes.jsonl").unlink()
    evaluation(tmp_path)
    assert (tmp_path / "scores.json").read_bytes() == before
    rows = journal.read(tmp_path / "bailong-tiny" / "outcomes.jsonl")
    assert len(rows) == 140 + 40 + 20


def test_a_run_that_was_killed_is_counted_as_far_as_it_came(tmp_path: Path) -> None:
    items = questions("drcd", 10)
    write(tmp_path / "items" / "drcd.jsonl", [one.row() for one in items])
    write(tmp_path / "m" / "answers.jsonl", [answer(one, [ANSWERS["traditional"]]) for one in items[:6]])
    write(tmp_path / "m" / "verdicts.jsonl", [verdict(one, 5.0) for one in items[:4]])
    with (tmp_path / "m" / "verdicts.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"benchmark": "drcd", "id": "00')
    made = collect(tmp_path, ["m", "not_begun"], {"drcd": DRCD}, resamples=50)
    row = made["models"]["m"]["benchmarks"]["drcd"]
    assert (row["questions"], row["pending"], row["unanswered"], row["failed"]) == (10, 6, 4, 0)
    assert row["headline"]["n"] == 4 and row["failures_as_zero"] == 5.0
    empty = made["models"]["not_begun"]["benchmarks"]["drcd"]
    assert empty["pending"] == 10 and empty["headline"] is None and made["models"]["not_begun"]["average"] is None
    assert made["differences"][0]["average"] is None


def test_metrics_stand_apart(tmp_path: Path) -> None:
    made = evaluation(tmp_path)
    rows = made["models"]["bailong-tiny"]["benchmarks"]
    assert made["columns"] == ["standin_bench", "drcd"]
    assert "headline" not in rows["gsm8k"] and 0 <= rows["gsm8k"]["measures"]["exact_match"]["mean"] <= 1
    assert rows["drcd"]["measures"]["contains"]["n"] == 40
    assert made["models"]["bailong-tiny"]["measured"]["text"]["bits_per_byte"] == 1.234


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    evaluation(tmp_path)
    (tmp_path / "bailong-tiny" / "measures.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"measures\.json .* is damaged"):
        collect(tmp_path, ["bailong-tiny"], {"drcd": DRCD}, resamples=50)


def test_answers_that_are_in_no_table_are_in_no_sum(tmp_path: Path) -> None:
    evaluation(tmp_path)
    write(tmp_path / "items" / "drcd.jsonl", [one.row() for one in questions("drcd", 10)])
    made = collect(tmp_path, ["bailong-tiny"], {"drcd": DRCD}, resamples=50)
    assert made["models"]["bailong-tiny"]["usage"]["answer_prompt_tokens"] == 10 * 40


def test_usage_and_judges_are_recorded(tmp_path: Path) -> None:
    made = evaluation(tmp_path)
    of = made["models"]["bailong-tiny"]
    assert of["judges"] == [{"model": "judge-2026-11-01", "fingerprint": "fp_1", "verdicts": 180}]
    assert of["usage"]["verdicts"] == 180 and of["usage"]["dollars"] == pytest.approx(180 * 0.0108)
    assert of["usage"]["judge_prompt_tokens"] == 180 * 900 and of["usage"]["reasked"] == 1
    assert len(made["benchmarks"]["drcd"]["sha256"]) == 64
    assert made["benchmarks"]["standin_bench"]["multi_turn"] == sum(len(one.prompts) > 1 for one in standin())


def test_pairs_are_counted_once_both_orders_are_there(tmp_path: Path) -> None:
    evaluation(tmp_path)
    common = {"benchmark": "drcd", "sample": 0, "status": "ok", "against": "llama-tiny"}
    rows = [common | {"id": "a", "order": order, "choice": choice} for order, choice in enumerate(("first", "second"))]
    rows += [common | {"id": "b", "order": order, "choice": "first"} for order in (0, 1)]
    rows += [common | {"id": "c", "order": 0, "choice": "first"}]
    write(tmp_path / "bailong-tiny" / "pairwise.jsonl", rows)
    (made,) = evaluation(tmp_path)["models"]["bailong-tiny"]["duels"]
    assert (made["against"], made["benchmark"]) == ("llama-tiny", "drcd")
    assert made["counts"] == {"win": 1, "loss": 0, "tie": 0, "inconsistent": 1, "failed": 0}
    assert made["rate"] == 0.75
