"""The judge over real sockets: every behaviour of an endpoint has its status, nothing is judged twice, none is lost."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bailong.api.client import Client
from bailong.api.settings import Prices
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.single import item_scores, requests
from bailong.evaluate.judge.verdicts import calls, collect
from bailong.evaluate.scores import usage
from bailong.evaluate.settings import Benchmark, Judge
from bailong.run.journal import read
from tests.api import server as scripted
from tests.api.server import Scripted
from tests.conftest import ROOT

BENCH = Benchmark(name="bench", path="-", shape="bench", template="by_turns")
PRICES = Prices(as_of="2026-01-01", models={"judge": {"input": 10.0, "output": 30.0}})


def settings(server, cache=None, **more):
    return Judge(name="test", api=scripted.api(server, cache=cache, attempts=3, timeout=1.0), **more)


def items(count, turns=1):
    return [
        (Item(f"q{i}", "bench", [f"問題{i}之{t}" for t in range(turns)]), [f"回答{i}之{t}" for t in range(turns)])
        for i in range(count)
    ]


def judged(server, path, answered=None, benchmark=BENCH, done=None, **more):
    found = settings(server, **more)
    asked = requests(found, benchmark, answered or items(1))
    return collect(Client(found.api, PRICES), found, asked, path / "verdicts.jsonl", done)


def again(body):
    """Whether this request asks for the rating alone."""
    return "請只寫出評分" in body["messages"][-1]["content"]


STATUS = {
    "[[05]]": ("[[05]]", "repaired", 5),
    "full width": ("［［5］］", "repaired", 5),
    "echo": ("請按「[[5]]」的格式。簡體，所以 [[2]]", "ok", 2),
    "subscript": ("arr[0] 正確。評分：8", "repaired", 8),
    "zero": ("評分：[[0]]", "ok", 0),
    "beyond": ("[[11]]", "out_of_range", None),
    "429 with Retry-After": ([scripted.limited("0"), "[[5]]"], "ok", 5),
    "429 without": ([scripted.limited(), "[[5]]"], "ok", 5),
    "429 for ever": (scripted.limited("0"), "api_error", None),
    "500 once": ([scripted.broken(500), "[[5]]"], "ok", 5),
    "500 for ever": (scripted.broken(500), "api_error", None),
    "400": (scripted.broken(400), "api_error", None),
    "timeout once": ([scripted.slow(3, "[[9]]"), "[[5]]"], "ok", 5),
    "dropped once": ([scripted.dropped(), "[[5]]"], "ok", 5),
    "garbage once": ([scripted.garbage(), "[[5]]"], "ok", 5),
    "garbage for ever": (scripted.garbage(), "api_error", None),
    "empty choices": (scripted.choiceless(), "parse_error", None),
    "None content": (scripted.silent(), "parse_error", None),
    "filtered": (scripted.refused(), "refused", None),
    "declined": (scripted.declined(), "refused", None),
    "truncated": (scripted.truncated("例如：“評分：[[5]]”。我認為"), "truncated", None),
    "truncated behind": (scripted.truncated("評分：[[6]]\n因為"), "repaired", 6),
    "no rating": ("很好的回答。", "parse_error", None),
}


@pytest.mark.parametrize("name", STATUS)
def test_status(name, tmp_path):
    script, status, score = STATUS[name]
    with Scripted(script) as server:
        (row,) = judged(server, tmp_path)
    assert (row["status"], row["score"]) == (status, score)
    assert read(tmp_path / "verdicts.jsonl") == [row]
    assert item_scores([row]) == {"q0": (score, status, score or 0)}


def test_asked_once_more_for_the_rating_alone(tmp_path):
    with Scripted(lambda body: "7" if again(body) else "很好的回答。") as server:
        (row,) = judged(server, tmp_path)
    assert (row["status"], row["score"], row["reasked"]) == ("repaired", 7, True)
    assert (row["text"], row["again"]) == ("很好的回答。", "7")
    assert row["tokens"] == {"prompt": 20, "answer": 10, "cached": 0}
    assert row["cost"] == pytest.approx(2 * (10 * 10 + 5 * 30) / 1e6)
    assert [m["role"] for m in server.asked[1].body["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("template, turns", [("single", 1), ("mt_bench_bailong", 2)])
def test_a_judge_that_repeats_its_prompt_is_asked_again(template, turns, tmp_path):
    bench = Benchmark(name="bench", path="-", shape="bench", template=template)

    def script(body):
        return "[[4]]" if len(body["messages"]) > 1 else body["messages"][0]["content"]

    with Scripted(script) as server:
        (row,) = judged(server, tmp_path, items(1, turns), bench)
    assert (row["status"], row["score"], row["reasked"]) == ("ok", 4, True)


@pytest.mark.parametrize("said", ["例如：“評分：[[5]]”。", "評分：[[7]]或[[8]]", "<think>[[3]]"])
def test_what_is_no_verdict_is_asked_again(said, tmp_path):
    with Scripted(lambda body: "評分：[[6]]" if again(body) else said) as server:
        (row,) = judged(server, tmp_path)
    assert (row["status"], row["score"], row["reasked"]) == ("ok", 6, True)


def before(path, **changes):
    """The one row of the file as an older reading left it."""
    (row,) = read(path / "verdicts.jsonl")
    del row["again_finish"]
    (path / "verdicts.jsonl").write_text(json.dumps(row | changes) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    "said, old, new",
    [
        ("<think>[[3]]</think>[[9]]", ("ok", 3.0), ("ok", 9)),
        ("我的評分：[[2]]。回答中寫了「評分：[[10]]」。", ("ok", 10.0), ("ok", 2)),
        ('{"rating": 7}', ("parse_error", None), ("repaired", 7)),
    ],
)
def test_a_kept_verdict_is_read_again_and_not_asked_again(said, old, new, tmp_path):
    with Scripted(said) as server:
        judged(server, tmp_path, reask=False)
        before(tmp_path, status=old[0], score=old[1])
        (row,) = judged(server, tmp_path)
        assert (row["status"], row["score"], row["reread"]) == (*new, True)
        assert judged(server, tmp_path) == [row] and len(server.asked) == 1
    kept = read(tmp_path / "verdicts.jsonl")
    assert len(kept) == 2 and usage([], kept)["verdicts"] == 1 and usage([], kept)["judge_prompt_tokens"] == 10


def test_a_kept_verdict_that_reads_the_same_stays_as_it_is(tmp_path):
    with Scripted(lambda body: "評分：[[6]]" if again(body) else "很好。") as server:
        judged(server, tmp_path)
        before(tmp_path)
        old = read(tmp_path / "verdicts.jsonl")
        assert judged(server, tmp_path) == old == read(tmp_path / "verdicts.jsonl")
        assert len(server.asked) == 2


def test_a_kept_verdict_that_was_an_echo_is_asked_for_once_more(tmp_path):
    with Scripted(lambda body: "[[4]]" if again(body) else body["messages"][0]["content"]) as server:
        judged(server, tmp_path, reask=False)
        before(tmp_path, status="ok", score=5.0)
        (row,) = judged(server, tmp_path)
        assert (row["score"], row["reasked"], len(server.asked)) == (4, True, 2)
    assert usage([], read(tmp_path / "verdicts.jsonl"))["judge_prompt_tokens"] == 20


def test_an_empty_reply_is_asked_again_in_one_message(tmp_path):
    with Scripted(lambda body: "評分：[[4]]" if again(body) else scripted.silent()) as server:
        (row,) = judged(server, tmp_path)
    assert (row["status"], row["score"], row["reasked"]) == ("ok", 4, True)
    assert [m["role"] for m in server.asked[1].body["messages"]] == ["user"]


def test_not_asked_again_unless_wanted(tmp_path):
    with Scripted("很好。") as server:
        assert judged(server, tmp_path, reask=False)[0]["reasked"] is False
        assert len(server.asked) == 1
        assert judged(server, tmp_path)[0]["reasked"] is True  # wanted now
        judged(server, tmp_path)
    assert len(server.asked) == 3  # without a cache, the first question comes again with it


def test_nothing_is_judged_twice_and_a_changed_answer_is_judged_anew(tmp_path):
    with Scripted("評分：[[5]]") as server:
        first = judged(server, tmp_path, items(5))
        assert len(server.asked) == 5
        seen = []
        assert judged(server, tmp_path, items(5), done=lambda *counts: seen.append(counts)) == first
        assert seen == [(n, 5) for n in range(1, 6)]
        assert len(server.asked) == 5
        changed = items(5)
        changed[2] = (changed[2][0], ["另一個回答"])
        rows = judged(server, tmp_path, changed)
        assert len(server.asked) == 6
    assert [row["key"] == old["key"] for row, old in zip(rows, first, strict=True)] == [True, True, False, True, True]


@pytest.mark.parametrize("change", [{"max_tokens": 100}, {"temperature": 0.5}])
def test_other_settings_are_other_verdicts(change, tmp_path):
    with Scripted("評分：[[5]]") as server:
        judged(server, tmp_path)
        judged(server, tmp_path, **change)
    assert len(server.asked) == 2


def test_items_that_look_the_same_have_a_row_each(tmp_path):
    twins = [(Item(f"q{i}", "bench", ["同"]), ["同"]) for i in range(3)]
    with Scripted("評分：[[5]]") as server:
        rows = judged(server, tmp_path, twins)
        assert [row["id"] for row in rows] == ["q0", "q1", "q2"]
        assert len(server.asked) == 1
        assert judged(server, tmp_path, twins) == rows
    assert len(server.asked) == 1


def test_failures_are_asked_again_next_time_and_never_a_zero(tmp_path):
    with Scripted(scripted.broken(500)) as server:
        assert judged(server, tmp_path)[0]["status"] == "api_error"
        server.script = "評分：[[6]]"
        (row,) = judged(server, tmp_path)
        assert row["score"] == 6
        assert judged(server, tmp_path) == [row]
        assert len(server.asked) == 4
    assert [row["score"] for row in read(tmp_path / "verdicts.jsonl")] == [None, 6]


def test_a_failed_second_asking_is_asked_again_next_time(tmp_path):
    with Scripted(lambda body: scripted.broken(500) if again(body) else "很好。") as server:
        (row,) = judged(server, tmp_path)
        assert (row["status"], row["text"], row["reasked"]) == ("api_error", "很好。", True)
        server.script = lambda body: "[[3]]" if again(body) else "很好。"
        assert judged(server, tmp_path)[0]["score"] == 3


def test_a_wrong_key_stops_the_run_and_keeps_what_is_there(tmp_path):
    def script(body):
        return scripted.broken(401) if "問題7" in body["messages"][0]["content"] else "[[5]]"

    with Scripted(script) as server, pytest.raises(ValueError, match="check the key"):
        judged(server, tmp_path, items(10))
    assert all(row["score"] == 5 for row in read(tmp_path / "verdicts.jsonl"))


def test_samples_are_verdicts_of_their_own(tmp_path):
    with Scripted(lambda body: f"[[{body['seed'] * 2}]]") as server:
        rows = judged(server, tmp_path, samples=3, temperature=0.7)
    assert [(row["sample"], row["score"]) for row in rows] == [(0, 0), (1, 2), (2, 4)]
    assert item_scores(rows) == {"q0": (2, "ok", 2)}


def test_fastchat_way_averages_two_turns_from_1_to_10(tmp_path):
    bench = Benchmark(name="mt", path="-", shape="mt_bench", template="mt_bench")
    script = {"question alone": "Rating: [[8]]", "its answer": "Rating: [[3]]"}

    def reply(body):
        return script["question alone" if "second question alone" in body["messages"][0]["content"] else "its answer"]

    with Scripted(reply) as server:
        rows = judged(server, tmp_path, items(1, turns=2), bench)
        assert [(row["turn"], row["score"]) for row in rows] == [(1, 3), (2, 8)]
        assert item_scores(rows) == {"q0": (5.5, "ok", 5.5)}
        server.script = "Rating: [[0]]"
        rows = judged(server, tmp_path / "zero", items(1, turns=2), bench)
    assert item_scores(rows) == {"q0": (None, "out_of_range", 0)}


def test_a_plan_asks_nothing(tmp_path):
    with Scripted("[[5]]") as server:
        found = settings(server, samples=2, temperature=1.0)
        plan = Client(found.api, PRICES).plan(calls(found, requests(found, BENCH, items(7))), answer_tokens=100)
        assert (plan.calls, plan.answer_tokens, len(server.asked)) == (14, 1400, 0)
    assert plan.dollars > 14 * 100 * 30e-6


def test_one_user_message_greedy(tmp_path):
    with Scripted("[[5]]") as server:
        judged(server, tmp_path)
    body = server.asked[0].body
    assert [m["role"] for m in body["messages"]] == ["user"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0.0, 2048, "judge")
    assert "seed" not in body


KILLED = """
import sys
from pathlib import Path
from tests.evaluate.judge.test_single import judged, items
class Server: url = sys.argv[1]
judged(Server, Path(sys.argv[2]), items(60))
"""


def test_killed_in_the_middle_it_goes_on(tmp_path):
    with Scripted(lambda body: scripted.slow(0.05, "評分：[[5]]")) as server:
        command = [sys.executable, "-c", KILLED, server.url, str(tmp_path)]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
        path = tmp_path / "verdicts.jsonl"
        deadline = time.monotonic() + 60
        while len(read(path)) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = len(read(path))
        assert 20 <= before < 60
        with path.open("ab") as stream:
            stream.write(b'{"benchmark": "bench", "id": "q')  # torn by the kill
        rows = judged(server, tmp_path, items(60))
        # calls under way when it was killed are lost with it, no more
        assert len(server.asked) <= 60 + 8
    assert [row["id"] for row in rows] == [f"q{i}" for i in range(60)]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len({line["key"] for line in lines}) == 60
