"""Asking, over a real socket: every way a server fails, and that nothing is lost or paid for twice."""

import contextlib
import dataclasses
import email.utils
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from bailong.api import client as module
from bailong.api.call import Call, Reply, key
from bailong.api.client import STATUSES, Client
from bailong.api.settings import Api, Prices
from tests.api.server import (
    Behaviour,
    Scripted,
    api,
    broken,
    choiceless,
    declined,
    dropped,
    garbage,
    in_turn,
    limited,
    quota,
    refused,
    reply,
    silent,
    slow,
    truncated,
    unknown_field,
)
from tests.conftest import ROOT

SECRET = "sk-very-secret-0123456789"


def call(text="你好", **knobs):
    return Call(**{"messages": [{"role": "user", "content": text}], "temperature": 0.0, "max_tokens": 64} | knobs)


def only(server, **knobs):
    return Client(api(server, **knobs)).ask([call()])[0]


def test_a_reply_carries_all_that_the_server_says():
    with Scripted(reply("評分：[[5]]", prompt_tokens=11, answer_tokens=7, cached_tokens=3)) as server:
        got = only(server)
    assert (got.status, got.text, got.finish_reason) == ("ok", "評分：[[5]]", "stop")
    assert (got.prompt_tokens, got.answer_tokens, got.cached_tokens) == (11, 7, 3)
    assert (got.model, got.fingerprint, got.attempts, got.retries, got.cached) == ("judge-0125", "fp_1", 1, {}, False)
    assert got.error is None and 0 < got.seconds < 5


def test_only_standard_fields_that_are_set_are_sent(monkeypatch):
    monkeypatch.setenv("BAILONG_TEST_KEY", SECRET)
    with Scripted("x") as server:
        client = Client(api(server))
        client.ask([call(), call(temperature=None, top_p=0.9, seed=0)])
        Client(api(server, effort="none")).ask([call()])
    plain = {"model": "judge", "messages": call().messages, "max_tokens": 64}
    bodies = [asked.body for asked in server.asked]
    assert plain | {"temperature": 0.0} in bodies[:2] and plain | {"top_p": 0.9, "seed": 0} in bodies[:2]
    assert bodies[2] == plain | {"temperature": 0.0, "reasoning_effort": "none"}
    assert {asked.headers["authorization"] for asked in server.asked} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    "behaviour, status, text, finish",
    [
        (truncated("我認為這"), "truncated", "我認為這", "length"),
        (reply("", finish="length"), "truncated", "", "length"),
        (refused(), "refused", None, "content_filter"),
        (reply("半句", finish="content_filter"), "refused", "半句", "content_filter"),
        (declined(), "refused", None, "stop"),
        (silent(), "empty", None, "stop"),
        (reply(" \n"), "empty", " \n", "stop"),
        (choiceless(), "empty", None, None),
        (reply("好", prompt_tokens=None), "ok", "好", "stop"),
    ],
)
def test_replies_that_are_no_errors(behaviour, status, text, finish):
    with Scripted(behaviour) as server:
        got = only(server)
    assert (got.status, got.text, got.finish_reason, got.attempts) == (status, text, finish, 1)
    assert got.status in STATUSES
    assert got.error == ("I cannot help with that." if behaviour == declined() else None)


def body_of(**changes):
    """A completion as a server may write it: fields of any shape."""
    message = {"role": "assistant", "content": changes.pop("content", "好"), "refusal": None}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    given = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices} | changes
    return Behaviour(json.dumps(given).encode(), headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "content, text",
    [
        ([{"type": "text", "text": "評分：[[6]]"}], "評分：[[6]]"),
        ([{"type": "text", "text": "評分："}, {"type": "text", "text": "[[6]]"}], "評分：[[6]]"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "[[3]]"}]}, {"type": "text", "text": "[[6]]"}],
            "[[6]]",
        ),
        ([{"type": "output_text", "text": {"value": "[[6]]", "annotations": []}}], "[[6]]"),
        ({"type": "text", "text": "[[6]]"}, "[[6]]"),
        (["[[6", "]]"], "[[6]]"),
    ],
)
def test_a_text_in_parts_is_put_together(content, text):
    with Scripted(body_of(content=content)) as server:
        got = only(server, attempts=1)
    assert (got.status, got.text, got.attempts) == ("ok", text, 1)


def test_parts_without_a_text_are_no_text():
    with Scripted(
        [body_of(content=[]), body_of(content=[{"type": "refusal", "refusal": "no"}]), body_of(content=[7])]
    ) as server:
        assert [only(server, attempts=1).status for _ in range(3)] == ["empty", "refused", "api_error"]


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": "many"}, {"prompt_tokens": -3}, "many", [1], {"prompt_tokens": True}]
    + [{"prompt_tokens": 10**400}, {"prompt_tokens": 1e300}],
)
def test_a_usage_that_is_none_is_unknown_also_from_the_cache(usage, tmp_path):
    usage = usage | {"completion_tokens": 5} if isinstance(usage, dict) else usage
    prices = Prices(as_of="2026-01-01", models={"judge": {"input": 1.0, "output": 1.0}})
    with Scripted(body_of(usage=usage)) as server:
        for _ in range(2):
            client = Client(api(server, cache=str(tmp_path)), prices)
            (got,) = client.ask([call()])
            assert (got.status, got.text, got.prompt_tokens, client.cost(got)) == ("ok", "好", None, None)
            assert client.totals.prompt_tokens == 0 and client.totals.line()
        assert len(server.asked) == 1


def test_a_cache_of_before_with_a_count_that_is_none_is_read(tmp_path):
    with Scripted("好") as server:
        client = Client(api(server, cache=str(tmp_path)))
        client.ask([call()])
        path = tmp_path / "judge.jsonl"
        path.write_text(path.read_text("utf-8").replace('"prompt_tokens": 10', '"prompt_tokens": "many"'), "utf-8")
        again = Client(api(server, cache=str(tmp_path)))
        (got,) = again.ask([call()])
    assert (got.text, got.prompt_tokens, got.answer_tokens, got.cached) == ("好", None, 5, True)


@pytest.mark.parametrize("field", ["model", "system_fingerprint"])
def test_names_of_another_shape_are_unknown(field, tmp_path):
    with Scripted(body_of(**{field: {"name": "m"}, "usage": {"prompt_tokens": 3, "completion_tokens": 2}})) as server:
        client = Client(api(server, cache=str(tmp_path)))
        assert client.ask([call()])[0].text == client.ask([call()])[0].text == "好"


def test_an_error_under_a_status_of_200_is_tried_again_and_told():
    away = Behaviour(b'{"error": {"message": "upstream away"}}', headers={"content-type": "application/json"})
    with Scripted(away) as server:
        got = only(server, attempts=2)
    assert (got.status, got.retries) == ("api_error", {"garbage": 1}) and "upstream away" in got.error


@pytest.mark.parametrize(
    "behaviour, cause",
    [
        (limited(), "429"),
        (limited(after="0"), "429"),
        (limited(after="nonsense"), "429"),
        (broken(408), "408"),
        (broken(409), "409"),
        (broken(500), "500"),
        (broken(503, retry_after_ms="5"), "503"),
        (dropped(), "connection"),
        (garbage(), "garbage"),
        (Behaviour(b"<html>Bad gateway", headers={"content-type": "text/html"}), "garbage"),
        (Behaviour(b'{"choices": [{}], "model": "m"}', headers={"content-type": "application/json"}), "garbage"),
        (Behaviour(b"[]", headers={"content-type": "application/json"}), "garbage"),
        (slow(3, "late"), "timeout"),
    ],
)
def test_what_passes_is_tried_again_and_counted(behaviour, cause):
    knobs = {"timeout": 0.3} if cause == "timeout" else {}
    with Scripted([behaviour, behaviour, "好"]) as server:
        got = only(server, **knobs)
        assert (got.status, got.text, got.attempts, got.retries) == ("ok", "好", 3, {cause: 2})
    with Scripted(behaviour) as server:
        got = only(server, attempts=2, **knobs)
        assert (got.status, got.text, got.attempts, got.retries) == ("api_error", None, 2, {cause: 1})
        assert got.error.startswith(f"{cause}: ") and "\n" not in got.error
        assert len(server.asked) == 2


def test_a_trickling_answer_meets_the_timeout_of_the_whole_try():
    """The package's own timeout starts anew with every packet."""
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle():
        with contextlib.suppress(OSError), listener.accept()[0] as peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            for _ in range(100):
                peer.sendall(b" ")
                time.sleep(0.05)

    threading.Thread(target=trickle, daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    settings = Api(name="t", base_url=url, model="m", key="NONE", cache=None, timeout=0.4, attempts=1)
    began = time.monotonic()
    got = Client(settings).ask([call()])[0]
    assert (got.status, got.error) == ("api_error", "timeout: no answer in 0.4 s") and time.monotonic() - began < 2
    listener.close()


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_honoured_by_every_call(date):
    # a date has whole seconds, and some of them pass before a busy machine asks at all
    after = email.utils.formatdate(time.time() + 4, usegmt=True) if date else "1"
    with Scripted([limited(after=after), "好"]) as server:
        replies = Client(api(server, concurrency=2)).ask([call(str(n)) for n in range(6)])
    assert [r.status for r in replies] == ["ok"] * 6
    times = [asked.when for asked in server.asked]
    first = times[0]
    # one may have left together with the first; all others came after the wait
    assert len([t for t in times[1:] if t < first + 0.8]) <= 2 and times[-1] >= first + (0.9 if date else 1.0)


def test_a_wait_of_an_hour_is_cut_and_said(monkeypatch, capfd):
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.2)
    with Scripted([limited(after="3600"), "好"]) as server:
        began = time.monotonic()
        got = only(server)
    assert got.status == "ok" and 0.2 <= time.monotonic() - began < 2
    said = capfd.readouterr().err
    assert said == "api test: the server asks to wait 3600 s (429); it is asked again after 0 s\n"


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "Fri, 01 Jan 2021 00:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_asked_waits(headers, seconds):
    assert module._asked_wait(headers) == seconds


def test_a_bad_call_fails_alone():
    def script(body):
        if body["messages"][0]["content"] == "長":
            return broken(400, "too long", "context_length_exceeded")
        return unknown_field() if body["messages"][0]["content"] == "怪" else "好"

    with Scripted(script) as server:
        good, bad, odd = Client(api(server)).ask([call("好"), call("長"), call("怪")])
    assert good.status == "ok"
    assert (bad.status, bad.error, bad.attempts) == ("api_error", "400: too long", 1)
    assert (odd.status, odd.error, odd.attempts) == (
        "api_error",
        "422: Unexpected fields in the request: {'top_k'}",
        1,
    )


@pytest.mark.parametrize(
    "behaviour, words",
    [
        (broken(401, f"Incorrect API key provided: {SECRET}"), "check the key in the environment variable BAILONG"),
        (broken(403), "check the key in the environment variable BAILONG_TEST_KEY"),
        (broken(404, "no such model"), "no such model); check|: check api.model=judge"),
        (broken(402), "the account is empty"),
        (quota(), "the account is empty"),
    ],
)
def test_what_no_call_will_survive_stops_all(monkeypatch, behaviour, words, tmp_path):
    monkeypatch.setenv("BAILONG_TEST_KEY", SECRET)

    def script(body):
        return "好" if body["messages"][0]["content"] in "012" else behaviour

    with Scripted(script) as server:
        settings = api(server, cache=str(tmp_path), concurrency=1)
        with pytest.raises(ValueError) as caught:
            Client(settings).ask([call(str(n)) for n in range(9)])
        message = str(caught.value)
        assert any(word in message for word in words.split("|")) and "\n" not in message and SECRET not in message
        assert len(server.asked) == 4  # three answers, one stop, nothing after it
        assert [r.cached for r in Client(settings).ask([call(str(n)) for n in range(3)])] == [True] * 3
    assert SECRET not in "".join(p.read_text(encoding="utf-8") for p in tmp_path.iterdir())


def test_the_key_is_never_written(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("BAILONG_TEST_KEY", SECRET)
    with Scripted(broken(400, f"your header was: Bearer {SECRET}\nand so on")) as server:
        got = Client(api(server, cache=str(tmp_path))).ask([call()])[0]
    assert got.error == "400: your header was: Bearer *** and so on"
    written = "".join(p.read_text(encoding="utf-8") for p in tmp_path.iterdir()) + "".join(capfd.readouterr())
    assert SECRET not in written


def test_a_key_where_its_name_belongs_is_refused_and_not_shown():
    with pytest.raises(ValueError, match="must be the NAME of an environment variable") as caught:
        Api(name="openai", model="gpt", key=SECRET)
    assert SECRET not in str(caught.value)


def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch, tmp_path):
    monkeypatch.delenv("BAILONG_TEST_KEY", raising=False)
    settings = Api(name="openai", base_url=None, model="gpt", key="BAILONG_TEST_KEY", cache=str(tmp_path))
    with pytest.raises(ValueError, match="api openai: the environment variable BAILONG_TEST_KEY holds no key"):
        Client(settings).ask([call()])
    assert Client(settings).ask([]) == []
    monkeypatch.setenv("BAILONG_TEST_KEY", "鍵")
    with pytest.raises(ValueError, match="BAILONG_TEST_KEY holds is no key"):
        Client(settings).ask([call()])


def test_a_local_server_needs_no_key_and_no_proxy(monkeypatch):
    monkeypatch.delenv("BAILONG_TEST_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with Scripted("好") as server:
        assert only(server).status == "ok"


def test_a_proxy_that_cannot_be_used_is_one_sentence(monkeypatch):
    pytest.importorskip("httpx2")
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("BAILONG_TEST_KEY", SECRET)
    settings = Api(name="far", base_url="http://example.invalid/v1", model="m", key="BAILONG_TEST_KEY", cache=None)
    with pytest.raises(ValueError, match="api far: the proxy in the environment cannot be used"):
        Client(settings).ask([call()])


def test_the_password_in_an_address_is_not_shown():
    with Scripted(broken(404)) as server:
        url = server.url.replace("//", "//ann:secret@")
        with pytest.raises(ValueError) as caught:
            only(server, base_url=url)
    assert "secret" not in str(caught.value) and server.url in str(caught.value)


def test_models_that_know_the_limit_by_its_new_name():
    def script(body):
        if "max_tokens" in body:
            error = {"message": "Unsupported parameter", "param": "max_tokens", "code": "unsupported_parameter"}
            return Behaviour(json.dumps({"error": error}).encode(), 400, {"content-type": "application/json"})
        return reply(str(body["max_completion_tokens"]))

    with Scripted(script) as server:
        client = Client(api(server, concurrency=4, attempts=1))
        assert {r.text for r in client.ask([call(str(n)) for n in range(20)])} == {"64"}
        assert len(server.asked) <= 24  # only those under way at the first answer had to ask twice


def test_a_temperature_that_the_model_does_not_take_stops_all():
    error = {"message": "Only the default (1) is supported", "param": "temperature", "code": "unsupported_value"}
    refusal = Behaviour(json.dumps({"error": error}).encode(), 400, {"content-type": "application/json"})
    with Scripted(refusal) as server, pytest.raises(ValueError, match="judge does not take this temperature"):
        Client(api(server, concurrency=1)).ask([call(str(n)) for n in range(9)])
    assert len(server.asked) == 1


def test_a_server_that_is_down_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "DOWN_AFTER", 3)
    with Scripted(broken(500)) as server, pytest.raises(ValueError, match="failed 4 calls in a row, the last with 500"):
        Client(api(server, attempts=2, concurrency=1)).ask([call(str(n)) for n in range(50)])
    assert len(server.asked) == 8


def test_order_concurrency_and_twins():
    with Scripted(lambda body: slow(0.05, body["messages"][0]["content"])) as server:
        client = Client(api(server, concurrency=4))
        seen = []
        replies = client.ask(
            [call(str(n % 10)) for n in range(20)], lambda place, reply: seen.append((place, reply.text))
        )
    assert [r.text for r in replies] == [str(n % 10) for n in range(20)]
    assert server.most <= 4 and len(server.asked) == 10 and sorted(seen) == [(n, str(n % 10)) for n in range(20)]
    assert sum(r.cached for r in replies) == 10 and client.totals.cached == 10
    assert len({r.key for r in replies}) == 10


def test_the_key_is_the_content():
    one = Api(name="a", base_url="http://h/v1", model="m")
    same = dataclasses.replace(one, name="b", base_url="http://h/v1/", concurrency=1, timeout=1.0, cache=None)
    assert key(one, call()) == key(same, call(temperature=0, kind="judge"))
    others = [
        call("你好嗎"),
        call(temperature=0.1),
        call(temperature=None),
        call(max_tokens=65),
        call(top_p=0.9),
        call(seed=0),
        call(salt="2"),
        call(messages=[{"role": "system", "content": "你好"}]),
    ]
    different = {key(one, c) for c in [call(), *others]}
    different |= {
        key(dataclasses.replace(one, model="n"), call()),
        key(dataclasses.replace(one, base_url=None), call()),
    }
    assert len(different | {key(dataclasses.replace(one, effort="none"), call())}) == len(others) + 4


def test_a_second_run_asks_nothing(tmp_path):
    calls = [call(str(n)) for n in range(5)]
    with Scripted([truncated(), refused(), silent(), "好"]) as server:
        settings = api(server, cache=str(tmp_path), concurrency=1)
        first = Client(settings).ask(calls)
        assert len(server.asked) == 5
        again = Client(settings)
        assert again.ask(calls) == [dataclasses.replace(r, cached=True) for r in first]
        assert len(server.asked) == 5
        assert again.totals.cached == 5 and again.totals.prompt_tokens == 0
        Client(settings).ask([call("0", salt="again")])
        assert len(server.asked) == 6


@pytest.mark.parametrize("behaviour", [broken(500), broken(400), choiceless(), garbage()])
def test_failures_are_kept_but_asked_again(tmp_path, behaviour):
    with Scripted([behaviour, "好"]) as server:
        settings = api(server, cache=str(tmp_path), attempts=1)
        assert Client(settings).ask([call(kind="judge")])[0].status in ("api_error", "empty")
        (row,) = map(json.loads, (tmp_path / "judge.jsonl").read_text(encoding="utf-8").splitlines())
        assert row["kind"] == "judge" and row["replay"] is False and row["when"]
        got = Client(settings).ask([call(kind="judge")])[0]
        assert (got.status, got.cached) == ("ok", False)
        assert Client(settings).ask([call(kind="judge")])[0].cached
    assert len((tmp_path / "judge.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_text_that_utf8_cannot_hold(tmp_path):
    with Scripted(lambda body: body["messages"][0]["content"] + "\ud83d|\U0001f409|\x00\u2028") as server:
        settings = api(server, cache=str(tmp_path))
        got = Client(settings).ask([call("龍\ud800|\ud83d\udc09")])[0]
        assert got.text == "龍\ufffd|\U0001f409\ufffd|\U0001f409|\x00\u2028"
        assert server.asked[0].last == "龍\ufffd|\U0001f409"
        assert Client(settings).ask([call("龍\ud800|\ud83d\udc09")])[0].text == got.text


def test_an_error_of_the_callback_comes_through_and_loses_nothing(tmp_path):
    def stop(place, reply):
        raise ZeroDivisionError("ours")

    with Scripted("好") as server:
        settings = api(server, cache=str(tmp_path), concurrency=1)
        with pytest.raises(ZeroDivisionError, match="ours"):
            Client(settings).ask([call()], stop)
        assert Client(settings).ask([call()])[0].cached and len(server.asked) == 1


def test_a_plan_asks_nothing_and_knows_the_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("BAILONG_TEST_KEY", raising=False)
    prices = Prices(as_of="2026-01-01", models={"judge": {"input": 1.0, "output": 2.0}})
    with Scripted("好") as server:
        settings = api(server, cache=str(tmp_path / "cache"))
        calls = [call("龍" * 100), call("龍" * 100), call("a" * 400)]
        plan = Client(settings, prices).plan(calls, answer_tokens=10)
        assert not server.asked and not (tmp_path / "cache").exists()
        assert (plan.calls, plan.cached, plan.prompt_tokens, plan.answer_tokens) == (3, 1, 2 * 107, 20)
        assert plan.dollars == pytest.approx((2 * 107 + 2 * 20) / 1e6)
        Client(settings).ask(calls[:1])
        assert Client(settings, prices).plan(calls).cached == 2
    assert Client(Api(name="o", model="gpt-4-turbo", cache=None), prices).plan(calls).unpriced == {"gpt-4-turbo": 2}


SCRIPT = """
import sys
from bailong.api.client import Call, Client
from bailong.api.settings import Api
from bailong.run.process import interruptible
url, cache, count, guarded = sys.argv[1:]
api = Api(name="test", base_url=url, model="judge", key="NONE", cache=cache, first_wait=0.01, concurrency=4)
calls = [Call([{"role": "user", "content": str(n)}], 0.0, 64) for n in range(int(count))]
def ask():
    Client(api).ask(calls, lambda place, reply: print(reply.text, flush=True))
if guarded == "1":
    with interruptible():
        ask()
else:
    ask()
"""


def start(url, cache, count, guarded=0):
    words = [sys.executable, "-c", SCRIPT, url, str(cache), str(count), str(guarded)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def rows(cache):
    found = []
    for line in (cache / "judge.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append(None)
    return found


def test_kill_9_loses_no_answer_and_asks_none_twice(tmp_path):
    moment = random.Random(7)
    with Scripted(lambda body: slow(0.02, "回" * 200 + body["messages"][0]["content"])) as server:
        for _ in range(4):
            with start(server.url, tmp_path, 120) as process:
                told = {process.stdout.readline() for _ in range(moment.randint(3, 20))}
                process.kill()
                told |= set(process.stdout)
            recorded = {row["text"] for row in rows(tmp_path) if row}
            assert {line.strip() for line in told if line.endswith("\n")} <= recorded  # whatever was told is kept
        # and a line torn in its middle, as by a kill within a write
        with (tmp_path / "judge.jsonl").open("ab") as stream:
            stream.write('{"key": "torn", "text": "回回'.encode())
        known = [row["key"] for row in rows(tmp_path) if row]
        assert 0 < len(known) == len(set(known)) < 120
        before = len(server.asked)
        last = start(server.url, tmp_path, 120)
        out, err = last.communicate()
        assert last.returncode == 0, err
        assert len(server.asked) - before == 120 - len(known)
        keys = [row["key"] for row in rows(tmp_path) if row]
        assert len(keys) == len(set(keys)) == 120 and rows(tmp_path).count(None) == 1
        assert len(out.splitlines()) == 120


def test_two_processes_share_one_cache(tmp_path):
    with Scripted(lambda body: "回" * 3000 + body["messages"][0]["content"]) as server:
        both = [start(server.url, tmp_path, 150) for _ in range(2)]
        assert [process.communicate()[1] for process in both] == ["", ""]
        assert None not in rows(tmp_path) and len({row["key"] for row in rows(tmp_path)}) == 150
        before = len(server.asked)
        third = start(server.url, tmp_path, 150)
        assert third.communicate()[1] == "" and len(server.asked) == before


@pytest.mark.parametrize("guarded", [0, 1])
@pytest.mark.parametrize("busy", ["waiting", "asking", "answering"])
def test_ctrl_c_is_immediate_and_keeps_what_is_there(tmp_path, guarded, busy):
    def script(body):
        if int(body["messages"][0]["content"]) < 8 or busy == "answering":
            return "好"
        return limited(after="500") if busy == "waiting" else slow(30, "晚")

    with Scripted(script) as server:
        process = start(server.url, tmp_path, 5000 if busy == "answering" else 40, guarded)
        for _ in range(8):
            process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - began < 8 and process.returncode != 0  # of the 30 or 500 that a reply would take
    kept = [row for row in rows(tmp_path) if row and row["status"] == "ok"]
    assert len(kept) >= 8
    assert err.rstrip().splitlines()[-1] in ("KeyboardInterrupt", "bailong.run.process.Interrupted: SIGINT")
    assert "unhandled" not in err and "never retrieved" not in err and "never awaited" not in err


def test_replies_survive_a_round_trip_through_json():
    one = Reply("k", "ok", "好", "stop", 1, 2, 0, "m", None, 0.5, 2, {"429": 1})
    assert Reply(**json.loads(json.dumps(dataclasses.asdict(one)))) == one


def test_in_turn_gives_each_conversation_its_own_failures():
    with Scripted(in_turn([broken(500), limited(after="0"), "好"])) as server:
        replies = Client(api(server)).ask([call(str(n)) for n in range(10)])
    assert {(r.status, r.attempts) for r in replies} == {("ok", 3)}
    assert len(server.asked) == 30
