"""Answers side by side, as Table 7 of the paper shows them: a bounded choice of questions, all text kept as text.

A page cannot hold 13,827 questions of several models. Of at most `QUESTIONS` a benchmark gets its equal part: first
those that have something to show (`KINDS`: no verdict, judge and rule apart, models far apart) in turn, then others by
a hash of their id. Texts are cut where `CHARACTERS` over all of them runs out. Every row stays in the JSONL files.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from bailong.evaluate.fault import FAULTS
from bailong.evaluate.pages.score_table import TEN, Scores, scales_of
from bailong.report import documents, elements, units
from bailong.report.elements import section
from bailong.report.markup import plain, visible
from bailong.run import journal

#: most questions on the page
QUESTIONS = 200
#: most characters of all answers, instructions and verdicts on it
CHARACTERS = 3_000_000
#: bounds of one text's cut
SHORTEST, LONGEST = 300, 3_000
#: models' scores this far apart are shown first, as a part of the greatest
FAR = 0.5
#: statuses of outcomes that nobody has settled yet, or that need no judge
CALM = ("ok", "repaired", "measured", "unanswered", "unjudged")
DISAGREE = ("judge_only", "rule_only")
#: what the flags of an outcome mean, for readers
FLAGS = {
    "judge_only": "the judge gave the least, the language is right",
    "rule_only": "in another language, yet the judge gave points",
    "cut": "cut at the length limit",
    "cut_context": "a part of the prompt was left out",
    "trace": "a trace of Simplified Chinese",
    "partial": "some verdicts have no score",
    "empty": "empty",
    "unspoken": "nothing but reasoning",
    "loop": "goes round in a circle",
    "echo": "the question again",
}

Key = tuple[str, str]
#: outcomes of one question, by model
Of = Mapping[str, Mapping[str, Any]]


def answers(scores: Scores, to: Path) -> str:
    """The section, or nothing while nobody has answered anything."""
    models = list(scores["models"])
    found: dict[Key, dict[str, dict[str, Any]]] = {}
    scales = scales_of(scores)
    for model in models:
        for key, row in _rows(to / model / "outcomes.jsonl"):
            found.setdefault(key, {})[model] = row | {"high": scales.get(key[0], TEN)[1]}
    answered = {key: of for key, of in found.items() if any(row["status"] != "unanswered" for row in of.values())}
    chosen = choose(answered, list(scores["benchmarks"]))
    if not chosen:
        return ""
    limit = max(SHORTEST, min(LONGEST, CHARACTERS // (len(chosen) * (2 * len(models) + 1))))
    asked = [pair for name in scores["benchmarks"] for pair in _rows(to / "items" / f"{name}.jsonl")]
    items = {key: row for key, row in asked if key in chosen}
    given, judged = _texts(to, {key: found[key] for key in chosen})
    shown = [
        _question(key, why, items[key], found[key], given, judged, limit) for key, why in chosen.items() if key in items
    ]
    categories = dict.fromkeys(row["category"] for key in chosen for row in found[key].values() if row["category"])
    total, rule = "All questions", ""
    if len(shown) < len(answered):
        total = f"{len(shown):,} of {units.plural(len(answered), 'question')}"
        rule = "Chosen: failures, disagreements, models far apart, zeros; the rest at random. "
    sub = (
        f"{total}, and what every model said. {rule}Texts are cut at {limit:,} characters; whole ones are in "
        "<code>&lt;model&gt;/answers.jsonl</code> and <code>verdicts.jsonl</code>."
    )
    filters = _filters(list(dict.fromkeys(key[0] for key in chosen)), list(categories))
    return section("Answers side by side", filters + "".join(shown), sub, "answers")


def _rows(path: Path) -> Iterator[tuple[Key, dict[str, Any]]]:
    return (((row["benchmark"], row["id"]), row) for row in journal.read(path))


def choose(found: Mapping[Key, Of], benchmarks: Sequence[str], most: int = QUESTIONS) -> dict[Key, str]:
    """At most `most` questions and why each is shown (empty where it is one of all, or was drawn), in their order."""
    reasons: dict[Key, str] = {
        key: next((name for name, holds in KINDS.items() if holds(of)), "") for key, of in found.items()
    }
    if len(found) <= most:
        return reasons
    by_name = {name: [key for key in found if key[0] == name] for name in benchmarks}
    chosen: set[Key] = set()
    waiting = [name for name in by_name if by_name[name]]
    for left in range(len(waiting), 0, -1):
        # the smallest first: what it does not need goes to the others
        name = min(waiting, key=lambda name: len(by_name[name]))
        waiting.remove(name)
        chosen |= set(_drawn(by_name[name], reasons, (most - len(chosen)) // left))
    return {key: why for key, why in reasons.items() if key in chosen}


def _drawn(keys: Sequence[Key], reasons: Mapping[Key, str], most: int) -> list[Key]:
    """Half of `most` for what has something to show, each kind in turn; the rest by a hash."""
    hashed = sorted(keys, key=lambda key: hashlib.sha256("\x1f".join(key).encode("utf-8", "replace")).digest())
    queues = [[key for key in hashed if reasons[key] == kind] for kind in KINDS]
    told: list[Key] = []
    while any(queues) and len(told) < most // 2:
        told += [queue.pop(0) for queue in queues if queue]
    told = told[: most // 2]
    others = [key for key in hashed if key not in set(told)]
    return told + others[: most - len(told)]


def _apart(of: Of) -> bool:
    scores = [row["score"] / row.get("high", TEN[1]) for row in of.values() if row["score"] is not None]
    return bool(scores) and max(scores) - min(scores) >= FAR


#: why a question is worth reading; the first that holds
KINDS: dict[str, Callable[[Of], bool]] = {
    "no score": lambda of: any(row["status"] not in CALM for row in of.values()),
    "judge and rule disagree": lambda of: any(flag in row["flags"] for row in of.values() for flag in DISAGREE),
    "no answer but a circle, an echo or nothing": lambda of: any(
        flag in row["flags"] for row in of.values() for flag in FAULTS
    ),
    "a trace of Simplified Chinese": lambda of: any("trace" in row["flags"] for row in of.values()),
    "models far apart": _apart,
    "scored 0": lambda of: any(row["score"] == 0 for row in of.values()),
}


def _texts(to: Path, found: Mapping[Key, Of]) -> tuple[dict, dict]:
    """(model, key) -> the answer, and -> verdicts by turn and sample, of these questions."""
    given: dict[tuple[str, Key], dict[str, Any]] = {}
    judged: dict[tuple[str, Key], dict[tuple[int, int], dict[str, Any]]] = {}
    # other verdicts than those behind the scores are of other settings, and may have come later
    counting = {verdict for of in found.values() for row in of.values() for verdict in row["keys"]}
    for model in dict.fromkeys(model for of in found.values() for model in of):
        given |= {(model, key): row for key, row in _rows(to / model / "answers.jsonl") if key in found}
        for key, row in _rows(to / model / "verdicts.jsonl"):
            if key in found and row["key"] in counting:
                judged.setdefault((model, key), {})[row["turn"], row["sample"]] = row
    return given, judged


# --- one question ------------------------------------------------------------------------------------


def _question(key: Key, why: str, item: Mapping[str, Any], of: Of, given: Mapping, judged: Mapping, limit: int) -> str:
    marks = "".join(f'<span class="mark">{visible(model)} <b>{_mark(row)}</b></span>' for model, row in of.items())
    verdicts = {model: _verdict(row, judged.get((model, key), {}), limit) for model, row in of.items()}
    alone = len(item["prompts"]) == 1  # then score and verdict stand with the answer, as in Table 7
    turns = []
    for number, prompt in enumerate(item["prompts"]):
        sides = []
        for model, row in of.items():
            head, told = (_head(model, row), verdicts[model]) if alone else (f"<h5>{visible(model)}</h5>", "")
            sides.append(head + _answer(given.get((model, key)), number, limit, item["answer_language"]) + told)
        shown = documents.passage(_cut(prompt, limit), item["language"])
        turns.append(_sides("Instruction" if alone else f"Turn {number + 1}", sides, shown))
    if not alone:
        turns.append(_sides("Verdicts", [_head(model, row) + verdicts[model] for model, row in of.items()]))
    golds = _origin(f"accepted: {_cut(' · '.join(map(str, item['golds'])), 200)}" if item["golds"] else "")
    kinds = [name for name, holds in KINDS.items() if holds(of)]
    about = " · ".join(filter(None, (key[0], item["category"], key[1])))
    facts = {"benchmark": key[0], "category": item["category"], "kinds": "|".join(kinds)}
    data = "".join(f' data-{name}="{escape(plain(value))}"' for name, value in facts.items())
    reason = f'<span class="tag">{escape(why)}</span>' if why else ""
    beginning = visible(_cut(item["prompts"][0], 70))
    return (
        f'<details class="question"{data}><summary><span class="what">{beginning}</span>'
        f'<span class="marks">{marks}</span><span class="origin">{visible(about)}{reason}</span></summary>'
        f'<div class="inside">{"".join(turns)}{golds}</div></details>'
    )


def _sides(heading: str, sides: Sequence[str], above: str = "") -> str:
    shown = "".join(f'<div class="side">{side}</div>' for side in sides)
    return f'<h4>{heading}</h4>{above}<div class="sides">{shown}</div>'


def _mark(row: Mapping[str, Any]) -> str:
    """The score of an outcome as HTML, or the word for why there is none."""
    if row["score"] is not None:
        told = f"{row['score']:.10g}" if row["score"] == round(row["score"], 2) else f"{row['score']:.2f}"
        return f"{told}/{row['high']}"
    if row["status"] == "measured" and row["measures"]:
        name, value = next(iter(row["measures"].items()))
        return f"{escape(name.replace('_', ' '))} {100 * value:.0f}%"
    return escape(str(row["status"]).replace("_", " "))


def _head(model: str, row: Mapping[str, Any]) -> str:
    """A model's name, its score, and what the language rule and the machine say."""
    labels = [(f"badge {row['ruling']}", row["language"])] if row["language"] else []
    labels += [("badge", FLAGS.get(flag) or flag) for flag in row["flags"]]
    badges = "".join(f'<span class="{escape(kind)}">{visible(text)}</span>' for kind, text in labels)
    reason = _origin(row["reason"]) if row["ruling"] == "violation" or "trace" in row["flags"] else ""
    return f"<h5>{visible(model)} <b>{_mark(row)}</b> {badges}</h5>{reason}"


def _origin(text: str) -> str:
    return f'<p class="origin">{visible(text)}</p>' if text else ""


def _answer(row: Mapping[str, Any] | None, turn: int, limit: int, language: str) -> str:
    if row is None or turn >= len(row["turns"]):
        return elements.note("no answer yet")
    told = row["turns"][turn]
    finish = told.get("finish_reason")
    ended = f"ended by: {finish}" if finish not in ("stop", None) else ""
    ended += f" ({told['error']})" if told.get("error") else ""
    return _text(str(told.get("answer") or ""), limit, language) + _origin(ended)


def _verdict(row: Mapping[str, Any], verdicts: Mapping, limit: int) -> str:
    """What the judge said, folded; of questions that it has settled."""
    if row["status"] in ("unanswered", "unjudged", "measured"):
        return ""
    texts = []
    for place, verdict in sorted(verdicts.items()):
        told = ", ".join(filter(None, (str(verdict["status"]), str(verdict.get("matched") or ""))))
        body = str(verdict.get("text") or verdict.get("error") or "")
        if verdict.get("again"):
            body += f"\n\n[asked again] {verdict['again']}"
        where = f"turn {place[0]}, " if place[0] else ""
        where += f"sample {place[1] + 1}, " if len({sample for _, sample in verdicts}) > 1 else ""
        texts.append(elements.fold(f"verdict: {where}{told}", _text(body, limit)))
    return "".join(texts)


def _text(text: str, limit: int, language: str = "") -> str:
    return documents.passage(_cut(text, limit), language) if text.strip() else elements.note("empty")


def _filters(names: Sequence[str], categories: Sequence[str]) -> str:
    """Menus that a script brings to life; without it all questions are there."""

    def menu(name: str, label: str, every: str, options: Sequence[str]) -> str:
        told = "".join(f'<option value="{escape(plain(option))}">{visible(option)}</option>' for option in options)
        return f'<label>{label} <select data-filter="{name}"><option value="">{every}</option>{told}</select></label>'

    menus = [menu("benchmark", "benchmark", "all", names)] if len(names) > 1 else []
    menus += [menu("category", "category", "all", categories)] if len(categories) > 1 else []
    menus.append(menu("kinds", "show", "all questions", list(KINDS)))
    return f'<form class="filters" id="filters" hidden>{"".join(menus)}<output></output></form>'


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
