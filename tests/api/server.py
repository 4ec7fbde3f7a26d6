"""A scripted OpenAI-compatible server on a real local socket, for every test that asks an API.

    with Scripted("評分：[[5]]") as server:                       # every call gets this text
    with Scripted([limited(after="0"), "hello"]) as server:       # in the order of arrival; the last one goes on
    with Scripted(lambda body: body["messages"][-1]["content"]):  # a function of the request's JSON
    with Scripted(in_turn([broken(500), "hello"])):               # each conversation passes through the list by itself

    api(server, attempts=2)                                       # its settings, with short waits and no cache
    server.asked[0].body["messages"], server.asked[0].headers["authorization"], server.most (calls under way at once)

A str is a reply that ends by itself. The other behaviours: `reply(text, ...)`, `truncated`, `refused`, `declined`,
`silent`, `choiceless`, `broken(status)`, `limited(after)`, `quota`, `unknown_field`, `garbage`, `dropped`, and
`slow(seconds, behaviour)` around any of them. A function may return any of these. When a test kills its client, the
server lives in the test and the client in the process that dies.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bailong.api.settings import Api


@dataclass(frozen=True)
class Behaviour:
    """What comes back: `seconds` of silence, then status, headers and body; or no answer at all (`drop`)."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    drop: bool = False


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. Header names are lower case."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    when: float

    @property
    def last(self) -> str:
        return self.body["messages"][-1]["content"]


Script = str | Behaviour | Sequence[str | Behaviour] | Callable[[dict[str, Any]], str | Behaviour]


def reply(
    text: str | None,
    finish: str = "stop",
    prompt_tokens: int | None = 10,
    answer_tokens: int = 5,
    cached_tokens: int = 0,
    refusal: str | None = None,
    model: str = "judge-0125",
    fingerprint: str | None = "fp_1",
    choices: bool = True,
) -> Behaviour:
    """A 200. `prompt_tokens=None` leaves `usage` null, `choices=False` leaves the list of choices empty."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    usage = None
    if prompt_tokens is not None:
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": answer_tokens,
            "total_tokens": prompt_tokens + answer_tokens,
            "prompt_tokens_details": {"cached_tokens": cached_tokens},
        }
    return _json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "system_fingerprint": fingerprint,
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}] if choices else [],
            "usage": usage,
        }
    )


def truncated(text: str = "我認為這個回") -> Behaviour:
    return reply(text, finish="length")


def refused() -> Behaviour:
    """The content filter's way: 200, no content."""
    return reply(None, finish="content_filter")


def declined(words: str = "I cannot help with that.") -> Behaviour:
    """The model's own refusal, in its own field."""
    return reply(None, refusal=words)


def silent() -> Behaviour:
    """200 with `content: null`, and no reason."""
    return reply(None)


def choiceless() -> Behaviour:
    return reply(None, choices=False)


def broken(status: int = 500, message: str = "The server had an error", code: str | None = None, **more: str):
    """An error in OpenAI's form; further keywords are headers, with `_` for `-`."""
    headers = {key.replace("_", "-"): value for key, value in more.items()}
    error = {"message": message, "type": "error", "param": None, "code": code}
    return _json({"error": error}, status, headers)


def limited(after: str | None = None) -> Behaviour:
    """429; `after` is the text of Retry-After (seconds or an HTTP date)."""
    return broken(429, "Rate limit reached", "rate_limit_exceeded", **({"retry_after": after} if after else {}))


def quota() -> Behaviour:
    """429 that no wait will cure."""
    return broken(429, "You exceeded your current quota", "insufficient_quota")


def unknown_field(name: str = "top_k") -> Behaviour:
    """422 as FastAPI writes it: the error's own message is empty, the reason stands in `detail`."""
    return _json({"detail": f"Unexpected fields in the request: {{'{name}'}}"}, 422)


def garbage() -> Behaviour:
    """200, JSON promised, not JSON."""
    return Behaviour(b"<html>upstream {", headers={"content-type": "application/json"})


def dropped() -> Behaviour:
    """The connection ends without a word."""
    return Behaviour(drop=True)


def slow(seconds: float, behaviour: str | Behaviour = "") -> Behaviour:
    known = _behaviour(behaviour)
    return Behaviour(known.body, known.status, known.headers, seconds, known.drop)


def in_turn(answers: Sequence[str | Behaviour]) -> Callable[[dict[str, Any]], str | Behaviour]:
    """Each conversation (the same messages) passes through `answers` by itself; the last one goes on."""
    lock, seen = threading.Lock(), {}

    def answer(body: dict[str, Any]) -> str | Behaviour:
        name = json.dumps(body["messages"])
        with lock:
            seen[name] = seen.get(name, -1) + 1
            return answers[min(seen[name], len(answers) - 1)]

    return answer


def api(server: Any, **knobs: Any) -> Api:
    base = {"name": "test", "model": "judge", "cache": None, "first_wait": 0.01, "max_wait": 0.05, "timeout": 5.0}
    return Api(**base | {"base_url": server.url, "key": "BAILONG_TEST_KEY"} | knobs)


class Scripted:
    """The server, as a context manager. `url` ends in /v1; `asked` is every request, in the order of arrival."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.most = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.scripted = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Scripted:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Behaviour:
        with self._lock:
            place = len(self.asked)
            self.asked.append(asked)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        try:
            if callable(self.script):
                chosen = self.script(asked.body)
            elif isinstance(self.script, str | Behaviour):
                chosen = self.script
            else:
                chosen = self.script[min(place, len(self.script) - 1)]
            behaviour = _behaviour(chosen)
            self._over.wait(behaviour.seconds)
            return behaviour
        finally:
            with self._lock:
                self._under_way -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    scripted: Scripted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {key.lower(): value for key, value in self.headers.items()}
        chosen = self.server.scripted.answer(Asked(self.path, body, headers, time.monotonic()))
        if chosen.drop:
            self.close_connection = True
            return
        self.send_response(chosen.status)
        for key, value in chosen.headers.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(chosen.body)))
        self.end_headers()
        self.wfile.write(chosen.body)

    def log_message(self, *_: object) -> None:
        pass


def _behaviour(chosen: str | Behaviour) -> Behaviour:
    return reply(chosen) if isinstance(chosen, str) else chosen


def _json(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    head = {"content-type": "application/json"} | (headers or {})
    return Behaviour(json.dumps(body).encode(), status, head)
