"""Comparisons in both orders."""

import pytest

from bailong.api.client import Client
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.pairwise import outcomes, parse, requests, win_rate
from bailong.evaluate.judge.verdicts import collect
from bailong.evaluate.settings import Benchmark, Judge
from tests.api import server as scripted
from tests.api.server import Scripted

BENCH = Benchmark(name="bench", path="-", shape="bench", template="by_turns")


@pytest.mark.parametrize(
    ("text", "status", "choice"),
    [
        ("兩者相近，但甲較完整。\n[[A]]", "ok", "first"),
        ("[[B]]", "ok", "second"),
        ("**[[C]]**", "ok", "tie"),
        ("［［Ｂ］］", "repaired", "second"),
        ("[[ b ]]", "repaired", "second"),
        ("【【C】】", "repaired", "tie"),
        (r"\[\[A\]\]", "repaired", "first"),
        ("結論：B", "repaired", "second"),
        ("Verdict: A", "repaired", "first"),
        ("A", "repaired", "first"),
        ("格式為「[[A]]」。結論是 [[B]]", "ok", "second"),
        ("[[A]] 一開始較好，但最後 [[B]]", "ok", "second"),
        ("<think>[[B]]？</think>[[A]]", "ok", "first"),
        ("[[A]]\n\n註：若乙更完整，則為 [[B]]。", "ok", "first"),
        ("[[A]] 或 [[B]]", "parse_error", None),
        ("甲較好寫「[[A]]」，乙較好寫「[[B]]」", "parse_error", None),
        ("", "parse_error", None),
        ("[[D]]", "parse_error", None),
        ("A 與 B 都不錯", "parse_error", None),
        ("[A]", "parse_error", None),
        ("Verdict: A is better.", "repaired", "first"),
        ("Verdict: Assistant B", "repaired", "second"),
        ("結論：助理 B 較佳", "repaired", "second"),
        ("Winner: A\nReason: it is complete", "repaired", "first"),
        ("結論：B優於A", "repaired", "second"),
        ("結論：B比A好", "repaired", "second"),
        ("結論：A比B差", "parse_error", None),
        ("結論：A較差", "parse_error", None),
        ("Verdict: A is not better", "parse_error", None),
        ("Verdict: A is worse than B", "parse_error", None),
        ("Verdict: A, B", "parse_error", None),
        ("My verdict: a tie", "parse_error", None),
        ("Winner: a close call, but B", "parse_error", None),
        ("Winner: C++", "parse_error", None),
        ("結論：A與B都不錯", "parse_error", None),
        ("結論：A、B 都不錯", "parse_error", None),
    ],
)
def test_verdicts(text, status, choice):
    assert parse(text)[:2] == (status, choice)


@pytest.mark.parametrize("template", ["by_turns", "mt_bench"])
def test_a_judge_that_repeats_its_prompt_has_not_compared(template):
    bench = Benchmark(name="bench", path="-", shape="bench", template=template)
    with Scripted("x") as server:
        settings = Judge(name="t", api=scripted.api(server))
    (one, _) = requests(settings, bench, [(Item("q", "bench", ["問"]), ["答"], ["回"])], "other")
    assert one.read(one.prompt.text, "stop")[:2] == ("parse_error", None)
    assert one.read(f"{one.prompt.text}\n\n[[B]]", "stop")[:2] == ("ok", "second")


def test_no_verdict():
    assert parse("[[A", "length").status == "truncated"
    assert parse(None, "content_filter").status == "refused"


def run(script, tmp_path, count=1):
    pairs = [(Item(f"q{i}", "bench", [f"問{i}"]), ["好"], ["壞"]) for i in range(count)]
    with Scripted(script) as server:
        settings = Judge(name="t", api=scripted.api(server, attempts=2))
        asked = requests(settings, BENCH, pairs, "other")
        rows = collect(Client(settings.api), settings, asked, tmp_path / "pairs.jsonl")
        asked = len(server.asked)
    return rows, asked


def first_is_good(body):
    return body["messages"][0]["content"].index("好\n[") < body["messages"][0]["content"].index("壞\n[")


@pytest.mark.parametrize(
    ("script", "outcome", "rate"),
    [
        (lambda body: "[[A]]" if first_is_good(body) else "[[B]]", "win", 1),
        (lambda body: "[[B]]" if first_is_good(body) else "[[A]]", "loss", 0),
        (lambda body: "[[C]]", "tie", 0.5),
        (lambda body: "[[A]]", "inconsistent", 0.5),
        (lambda body: "[[A]]" if first_is_good(body) else "[[C]]", "inconsistent", 0.5),
        (lambda body: "[[A]]" if first_is_good(body) else scripted.refused(), "failed", None),
    ],
)
def test_outcomes(script, outcome, rate, tmp_path):
    rows, asked = run(script, tmp_path)
    assert asked == 2
    assert outcomes(rows) == [("q0", outcome)]
    assert win_rate(rows).counts[outcome] == 1
    assert win_rate(rows).rate == rate


def test_a_rate_leaves_failures_out(tmp_path):
    def script(body):
        text = body["messages"][0]["content"]
        if "問3" in text:
            return scripted.broken(500)
        if "問2" in text:
            return "[[C]]"
        return "[[A]]" if first_is_good(body) else "[[B]]"

    rows, _ = run(script, tmp_path, 4)
    assert win_rate(rows) == ({"win": 2, "loss": 0, "tie": 1, "inconsistent": 0, "failed": 1}, 2.5 / 3)


def test_asked_once_more_for_the_verdict_alone(tmp_path):
    rows, asked = run(lambda body: "[[C]]" if "請只寫出結論" in body["messages"][-1]["content"] else "難說", tmp_path)
    assert asked == 4
    assert all(row["reasked"] and row["choice"] == "tie" for row in rows)
