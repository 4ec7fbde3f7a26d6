"""Verdicts of a judge, each asked for once: kept as rows of a file, asked once more when the mark cannot be read.

A row is found again by all that decides it: endpoint, model, messages, sampling, template, sample, and what it is
about. So nothing is judged twice, a changed answer is judged anew, and whatever stops a run, the next one goes on.

What a row says was read when it was written. It is read again from its stored reply, and where that gives another
score, a row of the new reading follows (`reread`), which asked nothing and is in no account.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bailong.api.call import Call, Reply
from bailong.api.client import Client
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import JudgePrompt
from bailong.run.journal import Journal

#: reads a reply's text and finish_reason; gives a named tuple with `status`, and what it found
Reader = Callable[[str | None, str | None], Any]


class Request(NamedTuple):
    """A prompt, what it is about (`facts`, with which the row begins), and who reads the reply."""

    facts: dict[str, Any]
    prompt: JudgePrompt
    sample: int
    read: Reader


def calls(settings: Judge, requests: Iterable[Request]) -> list[Call]:
    """The call of each request, as `Client.plan` and `Client.ask` take them; a second asking is not among them."""
    return [_call(settings, request, request.prompt.text) for request in requests]


def collect(
    client: Client,
    settings: Judge,
    requests: Sequence[Request],
    path: Path,
    done: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """A row for each request, in their order; what the file has already is not asked.

    A row holds the facts, `key`, `template`, `version`, `sample`, what was read (`status`, `matched`, and `score` or
    `choice`), `text` (the reply), `reasked` and `again` (whether the mark was asked for once more, and that reply;
    `finish_reason` and `again_finish` say how each ended), and of both replies together `attempts`, `tokens`, `cost` in
    dollars, `seconds`. Failures are rows with a status;
    an `api_error` is asked again next time.

    Args:
        done: sees how many rows of how many are settled, also for each that is known already.

    Raises:
        ValueError: nothing more can be asked (`Client.ask`); rows so far are in the file.
    """
    asked = calls(settings, requests)
    names = [_name(client.key(call), request) for call, request in zip(asked, requests, strict=True)]
    rows: dict[str, dict[str, Any]] = {}
    with Journal(path) as journal:
        kept = {row["key"]: row for row in journal.rows}

        def note(row: dict[str, Any]) -> None:
            rows[row["key"]] = row
            if done is not None:
                done(len(rows), len(names))

        def keep(row: dict[str, Any]) -> None:
            journal.append(row)
            note(row)

        unsettled: list[int] = []
        unread: list[tuple[int, Reply]] = []
        for place, name in enumerate(names):
            row = _read_again(kept[name], requests[place]) if name in kept else None
            if row is not None and row is not kept[name] and not _settled(row, settings):
                unread.append((place, _stored(asked[place], client, row)))
            elif row is None or not _settled(row, settings):
                unsettled.append(place)
            elif row is kept[name]:
                note(row)
            else:
                keep(row)

        def read(at: int, reply: Reply) -> None:
            place = unsettled[at]
            row = _row(client, names[place], requests[place], [reply])
            if _settled(row, settings) or row["status"] == "api_error":
                keep(row)
            else:
                unread.append((place, reply))

        def read_again(at: int, last: Reply) -> None:
            place, first = unread[at]
            keep(_row(client, names[place], requests[place], [first, last]))

        client.ask([asked[place] for place in unsettled], read)
        client.ask([_again(settings, requests[place], reply) for place, reply in unread], read_again)
    return [rows[name] for name in names]


def _settled(row: dict[str, Any], settings: Judge) -> bool:
    """Whether nothing more is to be asked: no failure of the endpoint, no mark that was never asked for again."""
    unread = row["status"] == "parse_error" and not row["reasked"]
    return row["status"] != "api_error" and not (unread and settings.reask)


def _read_again(row: dict[str, Any], request: Request) -> dict[str, Any]:
    """The row as it is read today: itself, unless that gives another score or choice, or none."""
    if row["status"] in ("refused", "api_error"):
        return row
    text, finish = (row["again"], row.get("again_finish")) if row["reasked"] else (row["text"], row["finish_reason"])
    if row["reasked"] and "again_finish" not in row:
        # Rows of before do not say how the second reply ended
        finish = "length" if row["status"] == "truncated" else "stop"
    found = request.read(text, finish)._asdict()
    if all(row.get(name) == found[name] for name in ("score", "choice") if name in found):
        return row
    return row | found | {"reread": True}


def _stored(call: Call, client: Client, row: dict[str, Any]) -> Reply:
    """The first reply of a row, which is in the account already."""
    return Reply(
        client.key(call),
        "ok",
        row["text"],
        row["finish_reason"],
        prompt_tokens=0,
        answer_tokens=0,
        model=row["model"],
        fingerprint=row["fingerprint"],
        cached=True,
    )


def _call(settings: Judge, request: Request, text: str, before: Sequence[dict[str, str]] = ()) -> Call:
    return Call(
        [*before, {"role": "user", "content": text}],
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        # a server that draws with one seed for all would give the same verdict every time
        seed=request.sample if settings.samples > 1 else None,
        salt=f"{request.prompt.version}:{request.sample}",
        kind="judge",
    )


def _again(settings: Judge, request: Request, reply: Reply) -> Call:
    """The call that asks for the mark alone, behind the reply that lacks it."""
    prompt = request.prompt
    if not (reply.text or "").strip():
        # many servers refuse an empty turn, and two turns of the user in a row
        return _call(settings, request, f"{prompt.text}\n\n{prompt.again}")
    before = [{"role": "user", "content": prompt.text}, {"role": "assistant", "content": reply.text or ""}]
    return _call(settings, request, prompt.again, before)


def _row(client: Client, name: str, request: Request, replies: list[Reply]) -> dict[str, Any]:
    last = replies[-1]
    reading = request.read(last.text, last.finish_reason)
    if last.status in ("refused", "api_error"):
        reading = request.read(None, None)._replace(status=last.status)
    costs = [client.cost(reply) for reply in replies]
    return {
        **request.facts,
        "key": name,
        "template": request.prompt.template,
        "version": request.prompt.version,
        "sample": request.sample,
        **reading._asdict(),
        "text": replies[0].text,
        "finish_reason": replies[0].finish_reason,
        "reasked": len(replies) > 1,
        "again": replies[1].text if len(replies) > 1 else None,
        "again_finish": replies[1].finish_reason if len(replies) > 1 else None,
        "error": last.error,
        "attempts": sum(reply.attempts for reply in replies),
        "retries": dict(sum((Counter(reply.retries) for reply in replies), Counter())),
        "tokens": {
            "prompt": sum(reply.prompt_tokens or 0 for reply in replies),
            "answer": sum(reply.answer_tokens or 0 for reply in replies),
            "cached": sum(reply.cached_tokens or 0 for reply in replies),
        },
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
        "model": last.model,
        "fingerprint": last.fingerprint,
        "seconds": round(sum(reply.seconds for reply in replies), 3),
    }


def _name(key: str, request: Request) -> str:
    about = json.dumps([key, request.facts], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()
