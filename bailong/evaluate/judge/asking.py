"""Questions for a judge, each asked once: kept as rows of a file, asked once more when the mark cannot be read.

A row is found again by all that decides it: endpoint, model, messages, sampling, template, sample, and what it is
about. So nothing is judged twice, a changed answer is judged anew, and whatever stops a run, the next one goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bailong.api.call import Call, Reply
from bailong.api.client import Client
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import Prompt
from bailong.run.journal import Journal

#: reads a reply's text and finish_reason; gives a named tuple with `status`, and what it found
Reader = Callable[[str | None, str | None], Any]


class Question(NamedTuple):
    """A prompt, what it is about (`facts`, with which the row begins), and who reads the reply."""

    facts: dict[str, Any]
    prompt: Prompt
    sample: int
    read: Reader


def calls(settings: Judge, questions: Iterable[Question]) -> list[Call]:
    """The call of each question, as `Client.plan` and `Client.ask` take them; a second asking is not among them."""
    return [_call(settings, question, question.prompt.text) for question in questions]


def settle(
    client: Client,
    settings: Judge,
    questions: Sequence[Question],
    path: Path,
    done: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """A row for each question, in their order; what the file has already is not asked.

    A row holds the facts, `key`, `template`, `version`, `sample`, what was read (`status`, `matched`, and `score` or
    `choice`), `text` (the reply), `reasked` and `again` (whether the mark was asked for once more, and that reply), and
    of both replies together `attempts`, `tokens`, `cost` in dollars, `seconds`. Failures are rows with a status;
    an `api_error` is asked again next time.

    Args:
        done: sees every row as it is settled, the known ones first.

    Raises:
        ValueError: nothing more can be asked (`Client.ask`); rows so far are in the file.
    """
    rows: dict[str, dict[str, Any]] = {}
    with Journal(path) as journal:
        kept = {row["key"]: row for row in journal.rows}

        def note(row: dict[str, Any]) -> None:
            rows[row["key"]] = row
            if done is not None:
                done(row)

        def keep(row: dict[str, Any]) -> None:
            journal.append(row)
            note(row)

        names, first, unsettled = [], [], []
        for question, call in zip(questions, calls(settings, questions), strict=True):
            names.append(_name(client.key(call), question))
            row = kept.get(names[-1])
            if row is not None and _settled(row, settings):
                note(row)
            else:
                first.append(call)
                unsettled.append((names[-1], question))

        unread: list[tuple[str, Question, Reply]] = []

        def read(entry: tuple[str, Question], reply: Reply) -> None:
            row = _row(client, entry[0], entry[1], [reply])
            if _settled(row, settings) or row["status"] == "api_error":
                keep(row)
            else:
                unread.append((*entry, reply))

        _ask(client, first, unsettled, read)
        second = [_again(settings, question, reply) for _, question, reply in unread]
        _ask(client, second, unread, lambda entry, reply: keep(_row(client, entry[0], entry[1], [entry[2], reply])))
    return [rows[name] for name in names]


def _settled(row: dict[str, Any], settings: Judge) -> bool:
    """Whether nothing more is to be asked: no failure of the endpoint, no mark that was never asked for again."""
    unread = row["status"] == "parse_error" and not row["reasked"]
    return row["status"] != "api_error" and not (unread and settings.reask)


def _ask(client: Client, asked: list[Call], entries: list[Any], read: Callable[[Any, Reply], None]) -> None:
    """Ask, and hand every reply to `read` with its entry as soon as it is there."""
    waiting: dict[str, list[Any]] = {}
    for call, entry in zip(asked, entries, strict=True):
        waiting.setdefault(client.key(call), []).append(entry)
    client.ask(asked, lambda reply: read(waiting[reply.key].pop(0), reply))


def _call(settings: Judge, question: Question, text: str, before: Sequence[dict[str, str]] = ()) -> Call:
    return Call(
        [*before, {"role": "user", "content": text}],
        temperature=settings.temperature,
        max_tokens=settings.max_tokens,
        # a server that draws with one seed for all would give the same verdict every time
        seed=question.sample if settings.samples > 1 else None,
        salt=f"{question.prompt.version}:{question.sample}",
        kind="judge",
    )


def _again(settings: Judge, question: Question, reply: Reply) -> Call:
    """The call that asks for the mark alone, behind the reply that lacks it."""
    prompt = question.prompt
    if not (reply.text or "").strip():
        # many servers refuse an empty turn, and two turns of the user in a row
        return _call(settings, question, f"{prompt.text}\n\n{prompt.again}")
    before = [{"role": "user", "content": prompt.text}, {"role": "assistant", "content": reply.text or ""}]
    return _call(settings, question, prompt.again, before)


def _row(client: Client, name: str, question: Question, replies: list[Reply]) -> dict[str, Any]:
    last = replies[-1]
    reading = question.read(last.text, last.finish_reason)
    if last.status in ("refused", "api_error"):
        reading = question.read(None, None)._replace(status=last.status)
    costs = [client.cost(reply) for reply in replies]
    return {
        **question.facts,
        "key": name,
        "template": question.prompt.template,
        "version": question.prompt.version,
        "sample": question.sample,
        **reading._asdict(),
        "text": replies[0].text,
        "finish_reason": replies[0].finish_reason,
        "reasked": len(replies) > 1,
        "again": replies[1].text if len(replies) > 1 else None,
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


def _name(key: str, question: Question) -> str:
    about = json.dumps([key, question.facts], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()
