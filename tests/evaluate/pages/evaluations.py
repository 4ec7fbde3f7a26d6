"""Folders of evaluations as `bailong-evaluate` leaves them: made up, and put together by `collect`."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from tests.conftest import ROOT
from tests.prepare.pages.ledgers import NASTY

BENCH = ROOT / "bailong" / "data" / "sample" / "standin_bench.jsonl"
ANSWERS = {
    "traditional": "親愛的主管您好：我今天頭痛，想請一天病假，工作已經交接給同事，謝謝您的體諒。",
    "simplified": "亲爱的主管您好：我今天头痛，想请一天病假，工作已经交接给同事，谢谢您的体谅。",
    "english": "Dear manager, I have a headache today and would like to take the day off. Thank you for your patience.",
}


def standin() -> list[Item]:
    """The 140 instructions of the stand-in bench."""
    rows = [json.loads(line) for line in BENCH.read_text(encoding="utf-8").splitlines()]
    tags = {"zht": "zh-Hant", "en": "en"}
    return [
        Item(
            id=row["id"],
            benchmark="standin_bench",
            prompts=row["turns"],
            category=row["category"],
            language=tags.get(row["language"], "zh-Hant"),
            answer_language=tags.get(row["answer_language"], "zh-Hant"),
            language_free=row["category"] == "translation",
        )
        for row in rows
    ]


def questions(name: str, count: int, category: str = "") -> list[Item]:
    """Questions with a short answer, as of DRCD."""
    return [
        Item(
            id=f"{i:04}",
            benchmark=name,
            prompts=[f"請閱讀文章並回答問題。\n\n臺北車站在西元 {1900 + i} 年改建。\n\n問題：臺北車站在哪一年改建？"],
            category=category,
            language="zh-Hant",
            answer_language="zh-Hant",
            golds=[f"西元 {1900 + i} 年"],
        )
        for i in range(count)
    ]


def answer(item: Item, texts: list[str], finish: str = "stop") -> dict[str, Any]:
    """A row of `answers.jsonl`."""
    turns = [
        {"prompt": prompt, "answer": text, "finish_reason": finish, "prompt_tokens": 40, "answer_tokens": len(text)}
        for prompt, text in zip(item.prompts, texts, strict=True)
    ]
    told = json.dumps([item.benchmark, item.id, texts], ensure_ascii=True)
    key = hashlib.sha256(told.encode()).hexdigest()
    return {"benchmark": item.benchmark, "id": item.id, "key": key, "turns": turns, "settings": {"temperature": 0.0}}


def verdict(item: Item, score: float | None, status: str = "ok", **more: Any) -> dict[str, Any]:
    """A row of `verdicts.jsonl`, as bailong.evaluate.judge.verdicts writes it."""
    row = {
        "benchmark": item.benchmark,
        "id": item.id,
        "turn": 0,
        "template": "single",
        "version": "0" * 12,
        "sample": 0,
        "status": status,
        "score": score,
        "matched": "" if score is None else f"[[{score:g}]]",
        "text": "回答清楚有禮，也說明了交接。" + ("" if score is None else f"評分：[[{score:g}]]"),
        "finish_reason": "stop",
        "reasked": status == "parse_error",
        "again": "我無法評分。" if status == "parse_error" else None,
        "error": "429: Too Many Requests" if status == "api_error" else None,
        "attempts": 6 if status == "api_error" else 1,
        "tokens": {"prompt": 900, "answer": 60, "cached": 0},
        "cost": 0.0108,
        "model": "judge-2026-11-01",
        "fingerprint": "fp_1",
        "seconds": 1.25,
    }
    row |= more
    return row | {
        "key": hashlib.sha256(json.dumps([item.benchmark, item.id, row["turn"], row["sample"]]).encode()).hexdigest()
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def evaluation(
    to: Path,
    models: tuple[str, ...] = ("bailong-tiny", "llama-tiny"),
    reading: int = 40,
    nasty: bool = False,
    seed: int = 0,
    **more: Any,
) -> dict[str, Any]:
    """A whole evaluation in `to`: the stand-in bench and DRCD with a judge, DRCD by F1, bits per byte of a text."""
    benchmarks = {
        "standin_bench": Benchmark(
            name="standin_bench",
            path="sample:standin_bench.jsonl",
            shape="bench",
            template="by_turns",
            licence="CC0-1.0",
        ),
        "drcd": Benchmark(
            name="drcd", path="DRCD_test.json", shape="squad", template="single", paper="DRCD", expected=3493
        ),
        "gsm8k": Benchmark(name="gsm8k", path="gsm8k.jsonl", shape="gsm8k", metric="number", language="en"),
        "text": Benchmark(name="text", path="sample:corpus.jsonl", shape="text", metric="bits_per_byte"),
    }
    gsm = [
        Item(
            str(i),
            "gsm8k",
            [f"A farmer has {i} cows and buys 2 more. How many?"],
            language="en",
            answer_language="en",
            golds=[str(i + 2)],
        )
        for i in range(20)
    ]
    items = {
        "standin_bench": standin(),
        "drcd": questions("drcd", reading),
        "gsm8k": gsm,
        "text": questions("text", 12),
    }
    for name, of in items.items():
        write(to / "items" / f"{name}.jsonl", [item.row() for item in of])
    rng = random.Random(seed)
    for place, model in enumerate(models):
        answers, verdicts = [], []
        for number, item in enumerate([*items["standin_bench"], *items["drcd"], *gsm]):
            kind = rng.choices(list(ANSWERS), (8, 1, 1) if place == 0 else (5, 1, 4))[0]
            text = ANSWERS["english" if item.answer_language == "en" else kind]
            if item.golds and rng.random() < 0.6:
                text = f"答案是{item.golds[0]}。" if item.benchmark == "drcd" else f"The answer is {item.golds[0]}."
            text = NASTY[number % len(NASTY)] if nasty else text * (1 + number % 2)
            answers.append(answer(item, [text] * len(item.prompts), "length" if number % 17 == 0 else "stop"))
            if item.benchmark == "gsm8k":
                continue
            status = {3: "api_error", 50: "parse_error", 90: "truncated", 120: "out_of_range"}.get(number, "ok")
            wrong = kind != "traditional" and item.answer_language == "zh-Hant" and not item.language_free
            score = 0.0 if wrong and rng.random() < 0.8 else float(max(1, min(10, round(rng.gauss(7 - 2 * place, 2)))))
            row = verdict(item, None if status != "ok" else score, status)
            if nasty:
                row["text"] = NASTY[number % len(NASTY)]
            verdicts.append(row)
        write(to / model / "answers.jsonl", answers)
        write(to / model / "verdicts.jsonl", verdicts)
        found = {"bits_per_byte": 1.234 + place, "loss": 2.5, "targets": 900, "text_bytes": 5000, "documents": 12}
        (to / model / "measures.json").write_text(json.dumps({"text": found}), encoding="utf-8")
    facts = {
        "command": f"bailong-evaluate models=[{','.join(models)}]",
        "created": "2026-11-21 08:00",
        "prices": "2026-11-01",
    }
    return collect(
        to, models, benchmarks, resamples=more.pop("resamples", 500), facts=facts | more.pop("facts", {}), **more
    )
