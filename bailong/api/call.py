"""One call to an endpoint, its reply, and the key by which a paid reply is known again."""

import hashlib
import json
from dataclasses import dataclass, field

from bailong.api.settings import Api
from bailong.run.checks import hidden


@dataclass(frozen=True)
class Call:
    """What is asked. `temperature: None`, `top_p: 1` and `seed: None` are left to the server.

    `salt` tells apart calls of the same content that want answers of their own (the version of a template, the number
    of a sample). `kind` is a word for the record; it changes nothing.
    """

    messages: list[dict[str, str]]
    temperature: float | None
    max_tokens: int
    top_p: float = 1.0
    seed: int | None = None
    salt: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Reply:
    """What came of a call.

    Attributes:
        status: `ok`; `truncated` (it met max_tokens: `text` is a beginning); `refused` (by the content filter or by
            the model itself, whose words are then in `error`); `empty` (nothing but white space, or no choice at
            all); `api_error` (no reply, for the reason in `error`).
        model: as the server names it, which is more precise than what was asked.
        seconds: of the last try, without waits.
        attempts, retries: tries in all, and their causes (`429`, `500`, `timeout`, `connection`, `garbage`, ...).
        cached: from the disk, or the same as another call of this batch: nothing was asked or paid for it.
    """

    key: str
    status: str
    text: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    cached_tokens: int | None = None
    model: str | None = None
    fingerprint: str | None = None
    seconds: float = 0.0
    attempts: int = 0
    retries: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    cached: bool = False


def key(api: Api, call: Call) -> str:
    """SHA-256 of all that decides the answer: endpoint, model, messages, sampling, salt, effort."""
    temperature = None if call.temperature is None else float(call.temperature)
    content = [
        base_url(api),
        api.model,
        call.messages,
        temperature,
        int(call.max_tokens),
        float(call.top_p),
        call.seed,
        call.salt,
        api.effort,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def base_url(api: Api) -> str:
    return (api.base_url or "https://api.openai.com/v1").rstrip("/")


def public_url(api: Api) -> str:
    """The endpoint without the name and password that its address may hold."""
    return hidden(base_url(api))
