"""answers.jsonl: complete, asked once, and the same however often it was interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from bailong.evaluate import answers
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.settings import Subject
from bailong.run import journal
from tests.api import server
from tests.conftest import ROOT
from tests.evaluate import talker

ITEMS = [Item(f"{n}", "small", ["one two three " * n + "?", "and then?", "why?"][: 1 + n % 3]) for n in range(1, 9)]


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    return talker.build(bench, tmp_path_factory.mktemp("talker") / "model")


def local(folder, **changes):
    return answers.source(Subject("talker", path=str(folder)), talker.generator(**changes))


def served(url, say=print, **changes):
    api = {"model": "m", "base_url": url, "cache": None, "concurrency": 2, "attempts": 2, "first_wait": 0.01} | changes
    return answers.source(Subject("served", api=api), talker.generator(), say=say)


def given(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return answers.source(Subject("given", answers=str(path)), talker.generator())


def last(text):
    return lambda body: f"{text} {body['messages'][-1]['content']}"


def test_rows_are_what_the_plan_says(folder, tmp_path):
    path, seen = tmp_path / "answers.jsonl", []
    rows = answers.collect(
        local(folder), ITEMS, talker.card(max_new_tokens=12), path, lambda done, of: seen.append((done, of))
    )
    total = sum(len(item.prompts) for item in ITEMS)
    assert seen == [(n, total) for n in range(1, total + 1)]
    assert [row["id"] for row in rows] == [item.id for item in ITEMS]
    assert sorted(journal.read(path), key=lambda row: row["id"]) == rows
    for row, item in zip(rows, ITEMS, strict=True):
        assert [turn["prompt"] for turn in row["turns"]] == item.prompts and row["benchmark"] == "small"
        assert all(turn["finish_reason"] in ("stop", "length") and turn["batch"] for turn in row["turns"])
        assert all(0 < turn["answer_tokens"] <= 12 and turn["prompt_tokens"] > 3 for turn in row["turns"])
        assert row["settings"]["sampling"]["top_k"] == 40 and "transformers" in row["settings"]
    assert not path.with_name("turns.jsonl").exists()


def test_turns_are_fed_the_models_own_answers(folder, tmp_path):
    from bailong.evaluate.generate import LocalModel
    from bailong.evaluate.prompt import Prompt

    rows = answers.collect(local(folder), ITEMS, talker.card(), tmp_path / "answers.jsonl")
    alone = LocalModel(str(folder), talker.generator(strict=True))
    for row, item in zip(rows, ITEMS, strict=True):
        said = []
        for turn, _ in enumerate(item.prompts):
            question = Prompt(item.prompts[: turn + 1], list(said))
            said.append(alone.answers([question], talker.card())[0].text)
        assert [turn["answer"] for turn in row["turns"]] == said


def test_the_same_again_opens_no_model_and_other_settings_do(folder, tmp_path, monkeypatch):
    path = tmp_path / "answers.jsonl"
    first = answers.collect(local(folder), ITEMS[:3], talker.card(), path)
    size = path.stat().st_size
    monkeypatch.setattr(answers.LocalSource, "local", property(lambda self: pytest.fail("the model was opened")))
    assert answers.collect(local(folder, batch=2), ITEMS[:3], talker.card(), path) == first
    assert path.stat().st_size == size
    for other, sampling in [
        (local(folder), talker.card(seed=1)),
        (local(folder), talker.card(max_new_tokens=5)),
        (local(folder, context=200), talker.card()),
        (local(folder, dtype="bfloat16"), talker.card()),
    ]:
        with pytest.raises(pytest.fail.Exception, match="was opened"):
            answers.collect(other, ITEMS[:3], sampling, path)
    greedy = answers.key(local(folder), ITEMS[0], talker.greedy(seed=3, top_k=7))
    assert greedy == answers.key(local(folder), ITEMS[0], talker.greedy())  # nothing is drawn


def test_the_last_row_counts_also_on_the_way_back(tmp_path):
    path = tmp_path / "answers.jsonl"
    with server.Scripted(last("I hear")) as scripted:
        first = answers.collect(served(scripted.url), ITEMS[:1], talker.greedy(), path)
        answers.collect(served(scripted.url), ITEMS[:1], talker.greedy(max_new_tokens=7), path)
        back = answers.collect(served(scripted.url), ITEMS[:1], talker.greedy(), path)
        assert len(scripted.asked) == 2 * len(ITEMS[0].prompts)
    assert back == first == [journal.read(path)[-1]] and len(journal.read(path)) == 3


def test_what_two_benchmarks_share_is_asked_once(tmp_path):
    twin = [Item("other", "twin", ITEMS[1].prompts)]
    with server.Scripted(last("I hear")) as scripted:
        source = served(scripted.url)
        (one,) = answers.collect(source, ITEMS[1:2], talker.greedy(), tmp_path / "answers.jsonl")
        (two,) = answers.collect(source, twin, talker.greedy(), tmp_path / "answers.jsonl")
        assert len(scripted.asked) == len(twin[0].prompts)
    assert (two["benchmark"], two["id"]) == ("twin", "other") and two["turns"] == one["turns"]


def test_an_endpoint_is_asked_in_waves(tmp_path):
    said = []
    with server.Scripted(last("I hear")) as scripted:
        source = served(scripted.url, said.append)
        rows = answers.collect(source, ITEMS, talker.card(), tmp_path / "answers.jsonl")
        answers.collect(source, ITEMS, talker.card(seed=1), tmp_path / "answers.jsonl")
        depths = [len(asked.body["messages"]) for asked in scripted.asked[: len(scripted.asked) // 2]]
        assert depths == sorted(depths) and set(depths) == {1, 3, 5}
        body = next(asked.body for asked in scripted.asked if len(asked.body["messages"]) == 5)
    assert [m["role"] for m in body["messages"]] == ["user", "assistant"] * 2 + ["user"]
    assert body["messages"][3]["content"] == "I hear and then?"
    assert body["temperature"] == 0.6 and body["top_p"] == 0.9 and body["max_tokens"] == 24 and body["seed"] == 0
    assert not {"top_k", "repetition_penalty", "frequency_penalty"} & set(body)
    assert len(said) == 1 and "sampling.top_k=40" in said[0] and "repetition_penalty=1.1" in said[0]
    assert all(turn["answer"] == f"I hear {turn['prompt']}" for row in rows for turn in row["turns"])
    assert rows[0]["turns"][0]["model"] == "judge-0125" and rows[0]["turns"][0]["prompt_tokens"] == 10


def test_failures_are_rows_and_asked_again(tmp_path):
    path, items = tmp_path / "answers.jsonl", [ITEMS[n] for n in (1, 2, 4, 5, 0)]
    what = {  # by the length of the first prompt
        len(items[0].prompts[0]): server.broken(500),
        len(items[1].prompts[0]): server.refused(),
        len(items[2].prompts[0]): server.choiceless(),
        len(items[3].prompts[0]): server.truncated("half an ans"),
        len(items[4].prompts[0]): server.reply(""),
    }
    with server.Scripted(lambda body: what[len(body["messages"][0]["content"])]) as scripted:
        url, rows = scripted.url, answers.collect(served(scripted.url), items, talker.greedy(), path)
    assert [row["turns"][0]["finish_reason"] for row in rows] == ["api_error", "refused", "empty", "length", "stop"]
    assert [len(row["turns"]) for row in rows] == [1, len(items[1].prompts), 1, len(items[3].prompts), 2]
    assert "500" in rows[0]["turns"][0]["error"] and rows[3]["turns"][0]["answer"] == "half an ans"
    with server.Scripted(last("now")) as scripted:
        source = served(scripted.url)
        source.facts = served(url).facts  # another port is another endpoint; here it is the old one, come back
        again = answers.collect(source, items, talker.greedy(), path)
        lengths = {len(asked.body["messages"][0]["content"]) for asked in scripted.asked}
    assert lengths == {len(items[n].prompts[0]) for n in (0, 2)}
    assert all(len(row["turns"]) == len(item.prompts) for row, item in zip(again, items, strict=True))
    assert [again[n] for n in (1, 3, 4)] == [rows[n] for n in (1, 3, 4)]


def test_killed_and_resumed_nothing_is_asked_twice_and_nothing_is_lost(tmp_path):
    items = [Item(f"q{n}", "small", [f"question {n}?", f"and {n} then?"][: 1 + n % 2]) for n in range(24)]
    path, calls = tmp_path / "answers.jsonl", sum(len(item.prompts) for item in items)
    code = (
        "import json, sys; from pathlib import Path\n"
        "from bailong.evaluate import answers; from bailong.evaluate.benchmark.item import Item\n"
        "from tests.evaluate import talker; from tests.evaluate.test_answers import served\n"
        "items = [Item(**row) for row in json.loads(sys.argv[1])]\n"
        "answers.collect(served(sys.argv[2]), items, talker.greedy(), Path(sys.argv[3]))\n"
    )
    with server.Scripted(lambda body: server.slow(0.05, f"to {body['messages'][-1]['content']}")) as scripted:
        arguments = [json.dumps([item.row() for item in items]), scripted.url, str(path)]
        for wanted in (4, 30):  # killed in the first wave, then in the second
            child = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT)
            until = time.monotonic() + 60
            while len(scripted.asked) < wanted and time.monotonic() < until and child.poll() is None:
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert child.returncode == -signal.SIGKILL
        with path.open("ab") as torn:
            torn.write('{"benchmark": "small", "id": "q3", "key": "\u4e2d'.encode()[:-1])
        before = {(row["id"], len(row["turns"])) for row in journal.read(path)}
        rows = answers.collect(served(scripted.url), items, talker.greedy(), path)
        asked = Counter(request.last for request in scripted.asked)
    assert before and calls <= sum(asked.values()) <= calls + 2 * 2  # what was under way: `concurrency` a kill
    assert set(asked) == {prompt for item in items for prompt in item.prompts}
    kept = journal.read(path)
    assert len(kept) == len(items) and {row["id"] for row in kept} == {item.id for item in items}
    for row, item in zip(rows, items, strict=True):
        assert [turn["answer"] for turn in row["turns"]] == [f"to {prompt}" for prompt in item.prompts]
    assert not path.with_name("turns.jsonl").exists()


def test_a_local_model_goes_on_where_it_was_killed(folder, tmp_path):
    path = tmp_path / "answers.jsonl"
    whole = answers.collect(local(folder, batch=1), ITEMS, talker.card(), tmp_path / "whole" / "answers.jsonl")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from bailong.evaluate import answers\n"
        "from tests.evaluate import talker; from tests.evaluate.test_answers import ITEMS, local\n"
        "kill = lambda done, of: done == int(sys.argv[3]) and os.kill(os.getpid(), signal.SIGKILL)\n"
        "answers.collect(local(sys.argv[1], batch=1), ITEMS, talker.card(), Path(sys.argv[2]), kill)\n"
    )
    for turns in (5, 11):  # in the first wave, then in the second
        done = subprocess.run([sys.executable, "-c", code, folder, path, str(turns)], cwd=ROOT, timeout=120)
        assert done.returncode == -signal.SIGKILL
    seen = []
    rows = answers.collect(local(folder, batch=1), ITEMS, talker.card(), path, lambda done, of: seen.append(done))
    assert seen[0] == 12 and [row["turns"] for row in rows] == [row["turns"] for row in whole]


def test_answers_from_elsewhere(tmp_path):
    rows = [{"id": item.id, "answers": [f"甲{n}\u2028" for n, _ in enumerate(item.prompts)]} for item in ITEMS]
    rows += [{"id": 99, "answers": ["more than is asked is no fault"]}]
    path = tmp_path / "answers.jsonl"
    got = answers.collect(given(tmp_path / "mine.jsonl", rows), ITEMS, talker.greedy(), path)
    assert [[turn["answer"] for turn in row["turns"]] for row in got] == [row["answers"] for row in rows[:-1]]
    assert got[0]["turns"][0]["finish_reason"] is None
    rows[0]["answers"][0] = "changed"
    got = answers.collect(given(tmp_path / "mine.jsonl", rows), ITEMS, talker.greedy(), path)
    assert got[0]["turns"][0]["answer"] == "changed" and len(journal.read(path)) == len(ITEMS) + 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "1", "answers": "text"}], r'line 1: expected \{"id": .., "answers": \[one text a turn\]\}'),
        ([{"answers": ["text"]}], "line 1: expected"),
        ([{"id": "1", "answers": ["a", "b"]}] * 2, "line 2: 1 is answered twice"),
        ([{"id": "1", "answers": ["a", "b"]}], "no answer to 7 of 8 questions of small: 2, 3, 4, ..."),
        ([{"id": i.id, "answers": ["a"]} for i in ITEMS], "1 has 1 answers, and the question has 2 turns"),
    ],
)
def test_a_file_of_answers_that_will_not_do(rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        answers.collect(given(tmp_path / "mine.jsonl", rows), ITEMS, talker.greedy(), tmp_path / "answers.jsonl")


@pytest.mark.parametrize(("encoding", "byte"), [("big5", 8), ("utf-16", 0)])
def test_answers_in_another_charset_are_refused_by_name(encoding, byte, tmp_path):
    (tmp_path / "mine.jsonl").write_bytes('{"id": "甲", "answers": ["好"]}'.encode(encoding))
    with pytest.raises(ValueError, match=rf"answers=.*mine.jsonl is not UTF-8 \(byte {byte}\)"):
        answers.FileSource(str(tmp_path / "mine.jsonl"))


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ({"answers": "nothing.jsonl"}, "answers=nothing.jsonl is not there"),
        ({"path": "models/nothing"}, "models/nothing is not there"),
        ({"api": {"modle": "m"}}, r"models\[x\].api.modle is not accepted \(did you mean model\?\)"),
        ({"api": {"base_url": "http://127.0.0.1:1/v1"}}, r"models\[x\].api.model has no value"),
        ({"api": {"model": "m", "concurrency": "many"}}, r"models\[x\].api: .*many"),
    ],
)
def test_a_subject_that_will_not_do(subject, message):
    with pytest.raises(ValueError, match=message):
        answers.source(Subject("x", **subject), talker.generator())


def test_a_question_too_long_is_refused_before_any_is_asked(folder, tmp_path):
    items = [*ITEMS, Item("long", "small", ["hi", "rain " * 300])]
    with pytest.raises(ValueError, match="small, question long alone takes"):
        answers.collect(local(folder), items, talker.greedy(), tmp_path / "answers.jsonl")
    assert journal.read(tmp_path / "answers.jsonl") == []


def test_one_writer_at_a_time(tmp_path):
    path = tmp_path / "answers.jsonl"
    with journal.Journal(path) as first:
        first.append({"text": "a\u2028b\u0085c"})
        assert journal.read(path) == [{"text": "a\u2028b\u0085c"}]
        code = "import sys, pathlib; from bailong.run.journal import Journal; Journal(pathlib.Path(sys.argv[1]))"
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, env=os.environ
        )
        assert "is being written by another process" in done.stderr
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    with pytest.raises(ValueError, match="line 2 is no JSON object"):
        journal.Journal(path)
