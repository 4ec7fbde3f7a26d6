"""Ledgers as `bailong-prepare` writes them, from documents that went through `Flow`, step by step."""

from __future__ import annotations

import hashlib
import os
import random
import re
from collections.abc import Iterator
from typing import Any

from bailong.prepare.work.books import MEASURES, Flow, measure

#: whatever a web page, a bug or an enemy puts into a document
NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>",
    "</div></details></section></main><style>*{display:none}</style>",
    "{{ user }} {% raw %} } { ${HOME} %s %(x)s {0} &amp;nbsp; &#x202e;",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f next line \x85",
    "\u202egnirts desrever\u202c \u2067שלום עולם\u2069 العربية ZWJ \u200d BOM \ufeff",
    "👩‍👩‍👧‍👦 🏳️‍🌈 é Z̸̛̤͙̘̬͖͚̐͗́̀ͅą̵͔̫̝̃͛̈́l̶̨͇̭͐̏̕g̸̯̈́o̵̱͝ 𠮷野家",
    "無" * 3000,
    "a" * 3000,
    "half a pair \ud83d and its end \udca9",
    "=cmd|'/c calc'!A0\r\n\t\r\n\n\n\n<!-- --> ]]> \"quoted' `code`",
)
SUBJECTS = [
    "臺北的雨",
    "山上的步道",
    "捷運站的廣播",
    "阿嬤的滷肉",
    "圖書館的下午",
    "颱風過後的海邊",
    "夜市的攤販",
    "老街的布店",
]
VERBS = ["說起來很長", "其實不難懂", "總讓人想起從前", "每個人都有話要說", "需要一點耐心", "在清晨最安靜"]
STEPS = [
    "normalize",
    "markup",
    "convert",
    "punctuate",
    "banned",
    "sentence_filter",
    "templates",
    "quality",
    "tokenize",
    "length",
    "exact_dedup",
    "minhash",
    "semdedup",
    "mix",
]
DUPLICATES = {"exact_dedup": "exact_dup", "minhash": "near_dup", "semdedup": "sem_dup"}
SPEED = {"cpu_seconds": 12.5, "mb_per_cpu_second": 31.4, "peak_memory_gb": 0.41}

Document = tuple[bytes, str]
Passed = tuple[list[Document], Flow]


def ledger(
    sources: int = 3, documents: int = 120, steps: tuple[str, ...] = tuple(STEPS), nasty: bool = True, seed: int = 0
) -> dict[str, Any]:
    """A ledger of `sources` sources of `documents` documents each (the second source passes unprocessed)."""
    names = [
        "wiki",
        "refinedweb",
        "zhihu",
        "oscar",
        "firefly",
        "cc",
        "books",
        "webdocs",
        "law_tw",
        "news",
        "forum",
        "subtitles",
    ][:sources]
    rng = random.Random(seed)
    books: dict[str, dict[str, Flow]] = {step: {} for step in ("collect", *steps)}
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    left: dict[str, tuple[int, ...]] = {}
    for place, name in enumerate(names):
        batch = list(_collected(rng, name, documents, nasty))
        books["collect"][name] = _step("collect", batch, 0, {})[1]
        counted = 0
        for step in steps:
            counted |= step == "tokenize"
            if place == 1 and step not in ("tokenize", "mix"):
                continue
            batch, books[step][name] = _step(step, batch, counted, groups.setdefault(step, {}))
        left[name] = tuple(books[steps[-1] if steps else "collect"][name].left)
    for of_source in books.values():
        for name, flow in of_source.items():
            flow.check(name)
    whole = sum(size[3] for size in left.values()) or 1
    return {
        "name": "sample",
        "created": "2026-11-20T12:00:00+0000",
        "command": "bailong-prepare data=sample minhash=recall 'semdedup=paper'",
        "fingerprint": "f" * 64,
        "digest": "0123456789abcdef" * 4,
        "sources": [
            {
                "name": name,
                "path": f"corpora/{name}/*.jsonl.zst",
                "language": "en" if name == "refinedweb" else "zh-Hant",
                "licence": "CC-BY-SA-3.0",
                "files": 2 + i,
                "quarantined": {"bad_json": 2, "bad_utf8": 1} if i == 0 and nasty else {},
            }
            for i, name in enumerate(names)
        ],
        "steps": {
            step: {
                "settings": {"enabled": True, "mode": "guarded", "patterns": {}, "threshold": 0.8, "list": None},
                "facts": {"opencc": "1.4.2", "sha256": "ab" * 32, "wiki": {"words": 12}},
                "sources": {name: flow.to_json() for name, flow in of_source.items()},
                "speed": dict(SPEED),
            }
            for step, of_source in books.items()
        },
        "mixture": [
            {
                "source": name,
                "language": "zh-Hant",
                **dict(zip(MEASURES, size, strict=True)),
                "share": size[3] / whole,
                "paper_share": {"wiki": 0.1703, "refinedweb": 0.2053}.get(name),
            }
            for name, size in left.items()
        ],
        "held_out": dict.fromkeys(MEASURES, 0),
        "clusters": {
            step: sorted(found.values(), key=lambda group: -group["size"])[:20]
            for step, found in groups.items()
            if step in DUPLICATES
        },
        "templates": [
            {
                "skeleton": "本文由〔…〕編輯，轉載請註明出處",
                "documents": 40,
                "share": 0.111,
                "examples": list(NASTY[:3]),
            }
        ]
        if nasty
        else [],
        "pack": {
            "strategy": "concat",
            "context": 2048,
            "strategies": {
                kind: {"sequences": 12, "tokens": 24_000, "lost": lost, "padding": padding}
                for kind, lost, padding in (("concat", 321, 0.0), ("truncate", 9_000, 0.41), ("best_fit", 0, 0.02))
            },
        },
        "provenance": {"versions": {"bailong": "0.3.0", "opencc": "1.4.2", "ray": None}},
    }


def _collected(rng: random.Random, name: str, documents: int, nasty: bool) -> Iterator[Document]:
    texts: list[str] = []
    for i in range(documents):
        if nasty and i < len(NASTY):
            text = NASTY[i]
        elif texts and i % 9 == 0:
            text = texts[rng.randrange(len(texts))]
        elif texts and i % 7 == 0:
            text = texts[rng.randrange(len(texts))].replace("。", "，真的。", 1)
        else:
            many = 1 << rng.randrange(6)
            text = "".join(f"{rng.choice(SUBJECTS)}{rng.choice(VERBS)}{rng.randrange(1000)}。" for _ in range(many))
            text += (" 更多內容請看 http://example.com/?a=<b>&c 。", "这里的软件都要打开网络。", "", "")[i % 4]
        texts.append(text)
        yield hashlib.blake2b(f"{name}{i}".encode(), digest_size=16).digest(), text


def _step(step: str, batch: list[Document], counted: int, groups: dict[str, dict[str, Any]]) -> Passed:
    """Documents that stay, and the books; a step that finds duplicates adds to `groups`, witness -> group."""
    seen: dict[str, Document] = {}
    kept: list[Document] = []
    flow = Flow()
    for key, text in batch:
        tokens = len(text) // 2 + 1 if counted else 0
        size = measure(text, tokens)
        flow.enter(measure(text) if step == "tokenize" else size)
        if step in DUPLICATES:
            witness = seen.setdefault(_likeness(step, text), (key, text))
            if witness[0] != key:
                similarity = 1.0 if step == "exact_dedup" else 0.9137
                flow.drop(DUPLICATES[step], size, key, text, witness=witness[0].hex(), similarity=similarity)
                _shown(groups, witness, (key, text), similarity)
                continue
        elif reason := _reason(step, text):
            flow.drop(reason, size, key, text)
            continue
        new = text
        if step == "sentence_filter" and (found := re.search("[^。]*http[^。]*。?", text)):
            new = text.replace(found[0], "", 1)
            flow.cut("url", found[0], key)
        elif step == "convert":
            new = text.replace("这里的软件都要打开网络", "這裡的軟體都要打開網路")
        elif step == "punctuate":
            new = text.replace(",", "，")
        if new != text:
            flow.changed += 1
            flow.counts["converted"] += step == "convert"
            if len(new) == len(text):
                start = max(0, len(os.path.commonprefix([text, new])) - 60)
                flow.sample("changed", key, before=text[start:], after=new[start:])
        flow.leave(measure(new, tokens))
        kept.append((key, new))
    return kept, flow


def _reason(step: str, text: str) -> str:
    if step == "banned" and (found := re.search("攤販其實不難懂7|廣播其實不難懂1|alert|滷肉總讓人想起從前[12]", text)):
        return f"banned:{found[0]}"
    if step == "quality" and text.count("無") > 99:
        return "repeated"
    return "too_short" if step == "length" and len(text) < 30 else ""


def _likeness(step: str, text: str) -> str:
    """What duplicates have in common."""
    return {"exact_dedup": text, "minhash": text.replace("，真的", "")}.get(step, text[:9])


def _shown(groups: dict[str, dict[str, Any]], witness: Document, document: Document, similarity: float) -> None:
    kept, removed = ({"key": key.hex(), "source": "wiki", "text": text[:600]} for key, text in (witness, document))
    group = groups.setdefault(kept["key"], {"size": 1, "kept": kept, "removed": []})
    group["size"] += 1
    if len(group["removed"]) < 5:
        group["removed"].append(removed | {"similarity": similarity})
