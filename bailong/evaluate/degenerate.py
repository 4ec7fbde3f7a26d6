"""Answers that are none: nothing, a circle, the question again, or one and the same whatever is asked.

A model without its chat template, a base model taken for an instruct model, or a run that went wrong answers like
this, and its scores then say nothing about what it knows. So `findings` stand before every number. What one answer
shows is its `fault`; what only many show (`same`, `choice`, `language`) is counted for each benchmark. Of 48,283 good
answers and passages (DRCD, XQuAD, GSM8K, MT-bench, Wikipedia, laws, manuals) 6 have a fault, all of them loops.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bailong.evaluate.benchmark import choice
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.metrics import metric_of
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.fault import FAULTS, bare
from bailong.evaluate.outcome import Outcome
from bailong.evaluate.reasoning import spoken

#: share of a benchmark's answers from which on a kind is a finding
FEWEST = {**dict.fromkeys(FAULTS, 0.1), "same": 0.5, "choice": 0.95, "language": 0.2}
#: different questions below which one answer to all of them, or one choice, is no sign
_QUESTIONS = {"same": 5, "choice": 10}
#: accepted answers that are so often one and the same leave a model that says so alone
_GOLD = 0.8
#: signs of an example
_SHOWN = 80
#: what each kind of answer does
KINDS = {
    "empty": "are empty",
    "unspoken": "are reasoning alone, and nothing after it",
    "loop": "go round in a circle",
    "echo": "only repeat the question or its passage",
    "same": "are one and the same, whatever is asked",
    "choice": "choose the same, whatever is asked (constant choice)",
    "language": "are in another language than asked for",
}
_TEMPLATE = "the chat template (generator.template, tokenizer_config.json)"
_INSTRUCT = "whether this is the instruct model and not its base"
#: and where to look for its cause
CHECKS = {
    "empty": f"{_TEMPLATE}; {_INSTRUCT}; sampling.max_new_tokens",
    "unspoken": "sampling.max_new_tokens, which reasoning alone uses up",
    "loop": f"{_TEMPLATE}; {_INSTRUCT}; how long it was trained; sampling.repetition_penalty; generator.dtype",
    "echo": f"{_TEMPLATE}; {_INSTRUCT}",
    "same": f"{_TEMPLATE}; {_INSTRUCT}; whether prompts were cut (generator.context)",
    "choice": "how the prompt offers the choices; whether prompts were cut (generator.context)",
    "language": f"the language of its training; {_INSTRUCT}; the prompts' language",
}
# a choice among few, as it is said: a letter, a label, yes or no
_CHOICE = re.compile(
    r"(?:答案?[是為为]?|選項?|选项?|(?:the)?(?:correct)?answer(?:is)?|option)?"
    r"(?:[a-j]|是的?|否|不是|對|对|錯|错|正確|正确|錯誤|错误|yes|no|true|false|正面|負面|负面|positive|negative)"
)


class Asked(NamedTuple):
    """One answer that counts: its question, what came of it, and what was said: all turns, those alike once."""

    item: Item
    outcome: Outcome
    text: str


def findings(
    benchmarks: Mapping[str, Benchmark],
    items: Mapping[str, Sequence[Item]],
    outcomes: Mapping[str, Sequence[Outcome]],
    answers: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What is wrong with a model's answers as a whole, the commonest first, as JSON values.

    Each has `kind` (a key of KINDS), `benchmarks` (those in which it is that common), `answers` of `of` with
    their `share`, `cut` (those that met sampling.max_new_tokens), `labels` (of answers in another language), an
    `example` (`benchmark`, `id`, `text`) and what to `check`.
    """
    found: dict[str, dict[str, tuple[list[Asked], int]]] = {kind: {} for kind in KINDS}
    for name, benchmark in benchmarks.items():
        asked = [
            Asked(item, one, _said(answers[name, item.id]))
            for item, one in zip(items[name], outcomes[name], strict=False)
            if (name, item.id) in answers and (one.finish in ("stop", "length") or one.flags)
        ]
        for kind, (mine, of) in _counted(benchmark, asked).items():
            if mine and len(mine) >= FEWEST[kind] * of:
                found[kind][name] = mine, of
    told = [_finding(kind, by_name) for kind, by_name in found.items() if by_name]
    return sorted(told, key=lambda one: -one["answers"])


def _counted(benchmark: Benchmark, asked: Sequence[Asked]) -> dict[str, tuple[list[Asked], int]]:
    """Of each kind the answers that show it, and of how many."""
    found = {kind: ([one for one in asked if kind in one.outcome.flags], len(asked)) for kind in FAULTS}
    found |= dict(zip(("same", "choice"), _alike(benchmark, asked), strict=True))
    ruled = [one for one in asked if one.outcome.ruling in ("ok", "violation", "undetermined")]
    return found | {"language": ([one for one in ruled if one.outcome.ruling == "violation"], len(ruled))}


def _alike(benchmark: Benchmark, asked: Sequence[Asked]) -> Sequence[tuple[list[Asked], int]]:
    """The answers that are the commonest one, as `same` or as `choice`; none of those that have a fault already."""
    nothing: tuple[list[Asked], int] = [], len(asked)
    sound = [one for one in asked if not set(FAULTS) & set(one.outcome.flags)]
    labelled = metric_of(benchmark) == "choice"

    def key(one: Asked) -> str:
        return (labelled and choice.label(one.text)) or bare(one.text)

    keys = [key(one) for one in sound]
    if not keys:
        return nothing, nothing
    top, _ = Counter(keys).most_common(1)[0]
    mine = [one for one, its in zip(sound, keys, strict=True) if its == top]
    chosen = labelled or _CHOICE.fullmatch(top) is not None
    golds = Counter(bare(str(one.item.golds[0])) for one in asked if one.item.golds)
    agreed = golds.most_common(1)[0][1] / len(asked) if golds else 0.0
    different = len({tuple(one.item.prompts) for one in mine})
    if different < _QUESTIONS["choice" if chosen else "same"] or agreed >= _GOLD:
        return nothing, nothing
    return (nothing, (mine, len(asked))) if chosen else ((mine, len(asked)), nothing)


def _finding(kind: str, by_name: Mapping[str, tuple[list[Asked], int]]) -> dict[str, Any]:
    mine = [one for of, _ in by_name.values() for one in of]
    of = sum(count for _, count in by_name.values())
    labels = Counter(one.outcome.language for one in mine) if kind == "language" else Counter()
    shown = next((one for one in mine if one.text.strip()), mine[0])
    text = " ".join(shown.text.split())
    return {
        "kind": kind,
        "benchmarks": list(by_name),
        "answers": len(mine),
        "of": of,
        "share": len(mine) / of,
        "cut": sum("cut" in one.outcome.flags for one in mine),
        "labels": dict(labels.most_common()),
        "example": {
            "benchmark": shown.item.benchmark,
            "id": shown.item.id,
            "text": text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…",
        },
        "check": CHECKS[kind],
    }


def _said(answer: Mapping[str, Any]) -> str:
    texts = [str(turn["answer"] or "") for turn in answer["turns"]]
    return "\n".join(dict.fromkeys(spoken(text) or text for text in texts))
