"""Calls to an OpenAI-compatible endpoint: many at once, each paid for once, stoppable at any moment.

We do the retries ourselves: the openai package's own leave no count, wait no longer than two minutes, and repeat what
no wait will cure (an empty account).
"""

import asyncio
import dataclasses
import email.utils
import json
import logging
import math
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bailong.api.cache import Cache
from bailong.api.call import Call, Reply, base_url, key, public_url
from bailong.api.content import content, encodable
from bailong.api.cost import Totals, estimate_tokens
from bailong.api.settings import Api, Prices
from bailong.run.process import ASKING

STATUSES = ("ok", "truncated", "refused", "empty", "api_error")

#: seconds: a server that asks for a longer wait is asked again after this one
LONGEST_WAIT = 600.0
#: no call reads or writes more; a larger count is an error of the server
MOST_TOKENS = 10**9
#: seconds in which a server that is there says something
REACH_TIMEOUT = 10.0
#: so many calls in a row (or four for each that may be under way) that failed in all their tries: the endpoint is down
DOWN_AFTER = 20

_ACCOUNT = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated")
_UNSUPPORTED = ("unsupported_parameter", "unsupported_value")


class Client:
    """An endpoint with its cache and its account (`totals`)."""

    def __init__(self, api: Api, prices: Prices | None = None) -> None:
        self.api = api
        self.totals = Totals(prices)
        self._cache: Cache | None = None
        if api.cache is not None:
            name = re.sub(r"[^\w.-]+", "_", api.model)[-100:].strip("_.") or "model"
            self._cache = Cache(Path(api.cache) / f"{name}.jsonl")
        self._limit = "max_tokens"  # or max_completion_tokens, where the model wants that
        self._quiet_until = 0.0  # the server asked everyone to wait
        self._failed_in_a_row = 0

    def key(self, call: Call) -> str:
        """The name of the call's reply in the cache, and in `Reply.key`."""
        return key(self.api, call)

    def cost(self, reply: Reply) -> float | None:
        """Dollars that this reply cost when it was asked; None where the model has no price."""
        return self.totals.cost_of(reply, self.api.model)

    def plan(self, calls: Iterable[Call], answer_tokens: int | None = None) -> Totals:
        """What `ask` would ask, and about what it would cost; asks nothing and needs no key.

        Args:
            answer_tokens: expected in each answer; null takes each call's `max_tokens`, which bounds it from above.
        """
        totals, seen = Totals(self.totals.prices), set()
        for call in calls:
            name = self.key(call)
            if name in seen or self._recall(name) is not None:
                totals.calls += 1
                totals.cached += 1
                continue
            seen.add(name)
            # about four tokens frame each message, and three open the answer
            prompt = 3 + sum(4 + estimate_tokens(m["content"], self.api.model) for m in call.messages)
            answer = call.max_tokens if answer_tokens is None else min(answer_tokens, call.max_tokens)
            totals.expect(self.api.model, prompt, answer)
        return totals

    def ask(self, calls: Iterable[Call], done: Callable[[int, Reply], None] | None = None) -> list[Reply]:
        """Replies in the order of `calls`; `done` sees each one as it comes, with its place.

        Replies are in the cache before `done` sees them: what stops this (Ctrl-C, an error, a kill) loses none, and
        asking again goes on from there. A call that fails by itself is a reply of status `api_error`, recorded and
        asked again next time.

        Raises:
            ValueError: nothing more can be asked: no key or a wrong one, no such model, an empty account, a setting
                that the model does not take, or an endpoint that is down.
        """
        asked = list(calls)
        places: dict[str, list[int]] = {}
        for place, call in enumerate(asked):
            places.setdefault(self.key(call), []).append(place)
        replies: dict[int, Reply] = {}

        def settle(reply: Reply) -> None:
            for place in places[reply.key]:
                replies[place] = reply
                self.totals.add(reply, self.api.model)
                if done is not None:
                    done(place, reply)
                reply = dataclasses.replace(reply, cached=True)  # its twins were not asked

        missing: list[tuple[str, Call]] = []
        for name, (first, *_) in places.items():
            known = self._recall(name)
            if known is None:
                missing.append((name, asked[first]))
            else:
                settle(known)
        if missing:
            secret = self._secret()
            try:
                _run(self._ask_all(missing, secret, settle))
            except BaseExceptionGroup as group:
                raise group.exceptions[0] from None
        return [replies[place] for place in range(len(asked))]

    def reach(self) -> None:
        """See whether the endpoint is there and takes the key, at no cost; a server that lists no models is there too.

        Raises:
            ValueError: nobody answers, or the key is refused.
        """
        import openai

        secret = self._secret()
        http = openai.DefaultHttpxClient(trust_env=self._outside(), timeout=min(self.api.timeout, REACH_TIMEOUT))
        with http:
            for left in range(min(self.api.attempts, 3) - 1, -1, -1):
                try:
                    url = f"{base_url(self.api)}/models"
                    status = http.get(url, headers={"authorization": f"Bearer {secret}"}).status_code
                    break
                except Exception as error:  # httpx has many, and its name is no part of what openai promises
                    if left:
                        time.sleep(min(self.api.max_wait, self.api.first_wait))
                        continue
                    reason = _clean(f"{type(error).__name__}: {error}", secret)
                    raise ValueError(
                        f"api {self.api.name}: nobody answers at {public_url(self.api)} ({reason}); start the server, "
                        "or check api.base_url"
                    ) from None
        if status == 401:  # 403 may be of a key that may ask and may not list
            raise ValueError(
                f"api {self.api.name}: {public_url(self.api)} answers {status}: check the key in the environment "
                f"variable {self.api.key}"
            )

    def _outside(self) -> bool:
        """A proxy in the environment is for the world, never for a server on this machine."""
        return urlsplit(base_url(self.api)).hostname not in ("localhost", "127.0.0.1", "::1")

    def _recall(self, name: str) -> Reply | None:
        row = None if self._cache is None else self._cache.get(name)
        if row is None:
            return None
        known: dict[str, Any] = {f.name: row[f.name] for f in dataclasses.fields(Reply) if f.name in row}
        # Files of before may hold counts that are none
        return Reply(**known | _facts(known), cached=True)

    def _keep(self, reply: Reply, call: Call) -> None:
        if self._cache is None:
            return
        row = dataclasses.asdict(reply) | {"kind": call.kind, "when": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        del row["cached"]
        # A reason to have finished makes it the model's word, be it empty; without text or reason the server failed.
        self._cache.put(row, replay=bool(reply.text) or reply.finish_reason is not None)

    def _secret(self) -> str:
        secret = os.environ.get(self.api.key, "").strip()
        if not secret.isascii() or " " in secret:
            raise ValueError(f"api {self.api.name}: what the environment variable {self.api.key} holds is no key")
        if not secret and self.api.base_url is None:
            raise ValueError(
                f"api {self.api.name}: the environment variable {self.api.key} holds no key; "
                f"put one there (export {self.api.key}=...), or name a server with api.base_url"
            )
        return secret or "none"  # the package insists on one; a local server does not look

    async def _ask_all(self, missing: list[tuple[str, Call]], secret: str, settle: Callable[[Reply], None]) -> None:
        import openai

        for name in ("httpx", "httpx2", "openai"):
            logging.getLogger(name).setLevel(logging.WARNING)  # a line for every request, else
        try:
            http = openai.DefaultAsyncHttpxClient(trust_env=self._outside(), timeout=self.api.timeout)
        except (ImportError, ValueError) as error:
            raise ValueError(f"api {self.api.name}: the proxy in the environment cannot be used: {error}") from None
        self._failed_in_a_row = 0
        waiting = iter(missing)

        async def work() -> None:
            for name, call in waiting:
                reply = await self._ask_one(client, name, call, secret)
                self._keep(reply, call)
                settle(reply)
                if self._failed_in_a_row >= max(DOWN_AFTER, 4 * self.api.concurrency):
                    # Else each of thousands of calls would wait out its tries.
                    raise ValueError(
                        f"api {self.api.name}: {public_url(self.api)} failed {self._failed_in_a_row} calls in a row, "
                        f"the last with {reply.error}; replies so far are kept: ask again when it is back"
                    )

        base = base_url(self.api)  # always given: a null one would be whatever OPENAI_BASE_URL says
        async with (
            openai.AsyncOpenAI(api_key=secret, base_url=base, max_retries=0, http_client=http) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(min(self.api.concurrency, len(missing))):
                group.create_task(work())

    async def _ask_one(self, client: Any, name: str, call: Call, secret: str) -> Reply:
        import openai

        retries: dict[str, int] = {}
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            while (left := self._quiet_until - loop.time()) > 0:
                await asyncio.sleep(left)
            began, tries, request = time.perf_counter(), tries + 1, self._request(call)
            asked, final = None, False
            try:
                async with asyncio.timeout(self.api.timeout):  # of the whole try, not of each packet
                    completion = await client.chat.completions.create(**request)
                reply = _read(name, completion)
                self._failed_in_a_row = 0
                return dataclasses.replace(reply, seconds=time.perf_counter() - began, attempts=tries, retries=retries)
            except (openai.APITimeoutError, TimeoutError):
                cause, reason = "timeout", f"no answer in {self.api.timeout:g} s"
            except openai.APIConnectionError as error:
                cause, reason = "connection", f"{error} {error.__cause__ or ''}"
            except openai.APIStatusError as error:
                cause, reason = str(error.status_code), _reason(error)
                if error.code in _UNSUPPORTED and error.param == "max_tokens" and "max_tokens" in request:
                    self._limit = "max_completion_tokens"  # newer models of OpenAI know it by this name alone
                    retries["max_tokens"] = 1
                    continue
                self._stop_if_hopeless(error, _clean(reason, secret))
                final = error.status_code not in (408, 409, 429) and error.status_code < 500
                asked = _asked_wait(error.response.headers)
            except (openai.OpenAIError, ValueError, TypeError, AttributeError, LookupError) as error:
                # not JSON, or JSON of another shape: what a gateway says when the server behind it is away
                cause, reason = "garbage", f"not a chat completion ({type(error).__name__}: {error})"
            if final or tries >= self.api.attempts:
                self._failed_in_a_row += not final
                seconds, error = time.perf_counter() - began, _clean(f"{cause}: {reason}", secret)
                return Reply(name, "api_error", seconds=seconds, attempts=tries, retries=retries, error=error)
            retries[cause] = retries.get(cause, 0) + 1
            await self._wait(tries, asked, cause)

    async def _wait(self, tries: int, asked: float | None, cause: str) -> None:
        """Before the next try: what the server asks for, which holds for all calls, else twice the last wait."""
        if asked is None:
            wait = min(self.api.max_wait, self.api.first_wait * 2 ** (tries - 1))
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # apart from the others that failed with it
            return
        now, wait = asyncio.get_running_loop().time(), min(asked, LONGEST_WAIT)
        if wait > self.api.max_wait and now + wait > self._quiet_until + 1:
            cut = "" if wait == asked else f"; it is asked again after {wait:.0f} s"
            print(f"api {self.api.name}: the server asks to wait {asked:.0f} s ({cause}){cut}", file=sys.stderr)
        self._quiet_until = max(self._quiet_until, now + wait)
        await asyncio.sleep(wait + random.uniform(0, min(1.0, self.api.first_wait)))

    def _request(self, call: Call) -> dict[str, Any]:
        """The standard fields alone, and of those only what is set: some servers refuse any other."""
        fields = {
            "model": self.api.model,
            "messages": [{name: encodable(value) for name, value in message.items()} for message in call.messages],
            self._limit: call.max_tokens,
            "temperature": call.temperature,
            "top_p": None if call.top_p == 1 else call.top_p,
            "seed": call.seed,
            "reasoning_effort": self.api.effort,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _stop_if_hopeless(self, error: Any, reason: str) -> None:
        """Raise where every other call would meet the same answer."""
        status, code = error.status_code, error.code
        where = f"api {self.api.name}: {public_url(self.api)} answers {status} ({reason})"
        if status == 402 or code in _ACCOUNT:
            raise ValueError(f"{where}: the account is empty or closed; replies so far are kept")
        if status in (401, 403):
            raise ValueError(f"{where}: check the key in the environment variable {self.api.key}")
        if status == 404:
            raise ValueError(f"{where}: check api.model={self.api.model} and api.base_url")
        if code in _UNSUPPORTED and error.param in ("temperature", "top_p", "seed", "reasoning_effort"):
            raise ValueError(f"{where}: {self.api.model} does not take this {error.param}")


def _read(name: str, completion: Any) -> Reply:
    """A reply from a completion; raises whatever comes of a body of another shape."""
    if error := getattr(completion, "error", None):  # some gateways report one under a status of 200
        raise ValueError(str(error))
    usage = getattr(completion, "usage", None)
    details = getattr(usage, "prompt_tokens_details", None)
    said = {
        "prompt_tokens": getattr(usage, "prompt_tokens", None),
        "answer_tokens": getattr(usage, "completion_tokens", None),
        "cached_tokens": getattr(details, "cached_tokens", None),
        "model": completion.model,
        "fingerprint": getattr(completion, "system_fingerprint", None),
    }
    reply = Reply(key=name, status="empty", **_facts(said))
    if not completion.choices:
        return reply
    choice = completion.choices[0]
    text, refused = content(choice.message.content)
    finish = _word(choice.finish_reason)
    refusal = _word(getattr(choice.message, "refusal", None)) or refused
    if refusal or finish == "content_filter":
        status = "refused"
    elif finish == "length":
        status = "truncated"
    else:
        status = "ok" if text and text.strip() else "empty"
    error = _clean(refusal) if refusal else None
    return dataclasses.replace(reply, status=status, text=text, finish_reason=finish, error=error)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run`, whose calls are cancelled in good order before a signal's own handler has its say.

    A handler that raises (Ctrl-C's, or that of `bailong.run.process.interruptible`) would else do so in the middle of
    any task, and asyncio would complain of it at length. A second signal is not held back.
    """
    held: list[tuple[int, Any]] = []
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)

        def hold(number: int, frame: Any) -> None:
            if held:
                before[number](number, frame)
            held.append((number, frame))
            loop.call_soon_threadsafe(task.cancel)

        async def wait() -> None:
            await asyncio.wait([task])

        main = threading.current_thread() is threading.main_thread()  # only it may ask for signals
        handlers = {number: signal.getsignal(number) for number in ASKING} if main else {}
        before: dict[int, Any] = {number: handler for number, handler in handlers.items() if callable(handler)}
        for number in before:
            signal.signal(number, hold)
        try:
            runner.run(wait())
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    if held:
        number, frame = held[0]
        before[number](number, frame)
        raise KeyboardInterrupt  # its handler did not
    task.result()


def _facts(said: dict[str, Any]) -> dict[str, Any]:
    """What a server says beside its text, as far as it has the shape that it should have; else it is unknown."""
    facts = {name: _count(said.get(name)) for name in ("prompt_tokens", "answer_tokens", "cached_tokens")}
    if (facts["cached_tokens"] or 0) > (facts["prompt_tokens"] or 0):
        facts["cached_tokens"] = None  # a part of the prompt is no more than all of it
    return facts | {name: _word(said.get(name)) for name in ("model", "fingerprint")}


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None


def _word(value: Any) -> str | None:
    return encodable(value) if isinstance(value, str) else None


def _clean(reason: str, secret: str = "") -> str:
    """A reason on one line of bounded length, without the key."""
    if len(secret) > 4:  # shorter is a dummy
        reason = reason.replace(secret, "***")
    return encodable(" ".join(reason.split()))[:400]


def _reason(error: Any) -> str:
    """Why, in the server's words: a 422's own message is empty, its reason stands in the body."""
    body = error.body
    if isinstance(body, dict):
        said = body.get("message") or body.get("detail") or body
        return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    return str(body or error.message)


def _asked_wait(headers: Any) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        said = headers.get(name)
        if said is None:
            continue
        try:
            wait = float(said) * scale
        except ValueError:
            try:
                wait = email.utils.parsedate_to_datetime(said).timestamp() - time.time()
            except ValueError:
                continue
        if math.isfinite(wait):
            return max(0.0, wait)
    return None
