"""What the tests of making dialogues share: settings around a data config, and a translator that can be scripted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bailong.api.settings import Api, Prices
from bailong.data.settings import Data, Source
from bailong.data.sources import lines
from bailong.prepare.dialogue.settings import Dialogues
from bailong.prepare.step.collect import Collect
from bailong.prepare.step.convert import Convert
from bailong.prepare.step.mix import Mix


def settings(folder: Path, sources: list[Source], url: str | None = None, **changes: Any) -> Any:
    """Of `bailong-prepare`, as far as dialogues use them."""
    api = Api(
        name="test",
        base_url=url,
        model="gpt-3.5-turbo",
        key="NO_KEY_IS_NEEDED",
        cache=str(folder / "cache"),
        first_wait=0.01,
        max_wait=0.05,
        attempts=2,
        concurrency=4,
    )
    parts = {
        "data": Data(name="made", kind="dialogue", folder=str(folder / "made"), sources=sources),
        "collect": Collect(),
        "convert": Convert(),
        "mix": Mix(),
        "dialogue": Dialogues(),
        "api": api,
        "prices": Prices(as_of="2026-11-21", models={"gpt-3.5-turbo": {"input": 0.5, "output": 1.5}}),
        "plan": False,
        "overwrite": False,
        "keep_work": True,
    }
    return SimpleNamespace(**(parts | changes))


def ledger(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "made" / "ledger.json").read_text(encoding="utf-8"))


def documents(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(folder / "made" / "documents" / f"{name}-00000.jsonl.zst")]


def asked(body: dict[str, Any]) -> tuple[str, str]:
    """The question and the answer that a request wants translated."""
    found = re.search(r"原文如下。\n\n\[題目\]\n(.*)\n\[解答\]\n(.*)", body["messages"][0]["content"], re.DOTALL)
    assert found is not None
    return found[1], found[2]


def translated(body: dict[str, Any], last: str | None = None) -> str:
    """A reply in the asked form: numbers stay, words become one Chinese sentence. `last` replaces the last line."""
    question, answer = asked(body)
    numbers = "、".join(re.findall(r"\d[\d,.]*", answer))
    return f"[題目]\n這一題的數字是 {'、'.join(re.findall(r'[0-9]+', question))}，請計算。\n[解答]\n" + (
        f"依序算出 {numbers}。\n{last if last is not None else answer.split(chr(10))[-1]}"
    )


def gsm8k(folder: Path, count: int) -> Source:
    """Problems of our own in GSM8K's shape, with the calculator's notes."""
    path = folder / "problems.jsonl"
    rows = [
        {
            "question": f"A farmer has {n} hens and buys {n + 3} more hens. How many hens are there?",
            "answer": f"There are {n}+{n + 3}=<<{n}+{n + 3}={2 * n + 3}>>{2 * n + 3} hens.\n#### {2 * n + 3:,}",
        }
        for n in range(1, count + 1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    steps = {"translate": {}, "concatenate": {"turns": 4}}
    return Source(path=str(path), kind="gsm8k", name="gsm8k", language="en", steps=steps)


def squad(folder: Path, articles: int) -> Source:
    """Two questions about each passage, one file with a byte-order mark, as DRCD."""
    path = folder / "passages.json"
    data = [
        {
            "title": f"第{n}篇",
            "paragraphs": [
                {
                    "context": f"第{n}號燈塔建於{1900 + n}年，塔高{10 + n}公尺，由島上的居民輪流看守。",
                    "id": f"p{n}",
                    "qas": [
                        {"id": f"p{n}-1", "question": "它建於哪一年？", "answers": [{"text": f"{1900 + n}年"}]},
                        {"id": f"p{n}-2", "question": "它有多高？", "answers": [{"text": f"{10 + n}公尺"}]},
                    ],
                }
            ],
        }
        for n in range(1, articles + 1)
    ]
    path.write_text(json.dumps({"version": "1", "data": data}, ensure_ascii=False), encoding="utf-8-sig")
    steps = {"instances": {}, "concatenate": {"turns": 3}}
    return Source(path=str(path), kind="squad", name="drcd", language="zh-Hant", steps=steps)
