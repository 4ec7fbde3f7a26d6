"""The same questions as tasks of EleutherAI's lm-evaluation-harness: YAML and JSON lines that need no code of ours.

lm-eval asks one turn and knows no judge. So of a benchmark with a judge it makes the answers (to be looked at, or
judged elsewhere) and says nothing of their worth; what it can compute are exact match, labels, numbers, multiple
choice, and bits per byte. Character F1 is only in `bailong-evaluate`. Tried with lm-eval 0.4.13.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bailong.evaluate.benchmark import choice
from bailong.evaluate.benchmark.extractive import ARTICLES, PREFIXES
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.metrics import metric_of
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.text.language import code

PREFIX = "bailong_"
TESTED = "0.4.13"
#: white space, and punctuation of either width: what exact match passes over
MARKS = (
    r"[\s!-/:-@\[-`{-~\u00a1-\u00bf\u2010-\u2027\u2030-\u205e\u3000-\u3003\u3008-\u301f\u30fb"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
#: what it computes otherwise (its BLEU knows one tokenizer, its chrF no words) or not at all
UNKNOWN = ("translation",)
#: as lm-eval's own gsm8k takes it: the last number, or two digits or signs at least
NUMBER = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"


def write(
    folder: Path, benchmarks: Mapping[str, Benchmark], items: Mapping[str, Sequence[Item]], tokens: int = 1024
) -> list[str]:
    """Write `<task>.yaml` and `<task>.jsonl` for each benchmark, a group `bailong` of all of them, and `README.md`.

    Args:
        folder: of the export; made if it is not there.
        items: of each benchmark, prompts filled in.
        tokens: most new tokens of an answer where the benchmark sets none (`sampling.max_new_tokens`).

    Returns:
        The names of the tasks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Benchmark] = {}
    for name, benchmark in benchmarks.items():
        single = [item for item in items[name] if len(item.prompts) == 1]
        kept, task = (single, PREFIX + name) if single else (list(items[name]), f"{PREFIX}{name}_first_turn")
        if not kept or benchmark.metric == "representation":  # of which lm-eval has no notion
            continue
        made[task] = benchmark
        text = "".join(json.dumps(_row(item), ensure_ascii=False) + "\n" for item in kept)
        (folder / f"{task}.jsonl").write_bytes(text.encode("utf-8", "replace"))
        facts = {
            "version": 1,
            "source": benchmark.source,
            "licence": benchmark.licence,
            "left_out": len(items[name]) - len(kept),
        }
        settings = _task(task, benchmark, kept, tokens) | {"metadata": facts}
        _write(folder / f"{task}.yaml", settings, _header(benchmark, len(kept), len(items[name]), task))
    _write(
        folder / "bailong.yaml",
        {"group": "bailong", "task": list(made)},
        "All tasks of this folder. No average: their numbers differ in kind.",
    )
    (folder / "README.md").write_text(_readme(made), encoding="utf-8")
    return list(made)


def _row(item: Item) -> dict[str, Any]:
    row = {"id": item.id, "category": item.category, "prompt": item.prompts[0], "golds": item.golds}
    if item.choices:
        row |= {"prompt": item.context + item.prompts[0], "gold": item.choices.index(item.golds[0])}
    return row


def _task(task: str, benchmark: Benchmark, items: Sequence[Item], tokens: int) -> dict[str, Any]:
    common: dict[str, Any] = {
        "task": task,
        "dataset_path": "json",
        # seen from where lm_eval is started: in this folder
        "dataset_kwargs": {"data_files": {"test": f"{task}.jsonl"}},
        "test_split": "test",
    }
    if benchmark.metric == "bits_per_byte":
        return common | {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "prompt",
            "metric_list": [{"metric": name} for name in ("bits_per_byte", "byte_perplexity")],
        }
    if benchmark.metric == "likelihood":
        return common | {
            "output_type": "multiple_choice",
            "doc_to_text": "prompt",  # with its examples
            "doc_to_choice": items[0].choices,
            "doc_to_target": "gold",
            "num_fewshot": 0,
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    metric = metric_of(benchmark)
    exact = metric if metric not in (None, *UNKNOWN) and all(item.golds for item in items) else None
    return common | {
        "output_type": "generate_until",
        # what stands before every question: lm-eval has no system prompt of a task's own
        **({"description": f"{items[0].system}\n\n"} if items[0].system else {}),
        "doc_to_text": "prompt",
        "doc_to_target": "golds" if exact else "",
        "num_fewshot": 0,
        "generation_kwargs": {
            "until": ["</s>"],
            "do_sample": False,
            "max_gen_toks": benchmark.max_new_tokens or tokens,
        },
        **_metric(exact, benchmark.language),
    }


def _metric(metric: str | None, language: str) -> dict[str, Any]:
    """What lm-eval computes of an answer; `bypass` keeps it and computes nothing."""
    if metric is None:
        return {"metric_list": [{"metric": "bypass", "aggregation": "bypass", "higher_is_better": True}]}
    match: dict[str, Any] = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    if metric == "number":
        pick = {"function": "regex", "regex_pattern": NUMBER, "group_select": -1}
        ignored = [",", r"\$", r"(?s).*#### ", r"\.$"]
        return _filtered("last-number", [pick], match | {"regexes_to_ignore": ignored})
    if metric == "choice":
        words = {word: label for label, of in choice.WORDS.items() for word in of}
        pick = {"function": "regex", "regex_pattern": f"({'|'.join(words)})", "group_select": 0}
        label = {"function": "map", "mapping_dict": words, "default_value": "none"}
        return _filtered("first-label", [{"function": "lowercase"}, pick, label], match)
    assert metric == "extractive", metric
    primary = code(language)
    articles = ARTICLES.get(primary, "").split()
    ignored = [rf"(?i)\b(?:{'|'.join(articles)})\b"] if articles else []
    ignored += [PREFIXES[primary]] if primary in PREFIXES else []
    return {"metric_list": [match | {"ignore_case": True, "regexes_to_ignore": [*ignored, MARKS]}]}


def _filtered(name: str, steps: list[dict[str, Any]], metric: dict[str, Any]) -> dict[str, Any]:
    return {"filter_list": [{"name": name, "filter": [*steps, {"function": "take_first"}]}], "metric_list": [metric]}


def _header(benchmark: Benchmark, kept: int, of: int, task: str) -> str:
    left = f" {of - kept} of several turns are left out: lm-eval asks one." if kept < of else ""
    if task.endswith("_first_turn"):
        left = " Their first turns alone, since lm-eval asks one: no number of this task compares with the benchmark's."
    judged = " Scored by a judge, which lm-eval has not: run with --log_samples." if benchmark.metric == "judge" else ""
    if benchmark.metric in UNKNOWN:
        judged = f" lm-eval has no such {benchmark.metric} scores: run with --log_samples."
    about = f" Source: {benchmark.source}; licence: {benchmark.licence}." if benchmark.source else ""
    return f"{benchmark.name}: {kept:,} questions, prompts filled in by bailong-evaluate.{about}{left}{judged}"


def _readme(made: Mapping[str, Benchmark]) -> str:
    tasks = "\n".join(
        f"| `{task}` | {benchmark.source or '–'} | {benchmark.licence or '–'} |" for task, benchmark in made.items()
    )
    first = next(iter(made), "bailong")
    return f"""# Tasks for lm-evaluation-harness

Written by `bailong-evaluate`, tried with lm-eval {TESTED}. Start it in this folder, where the data is:

```
pip install lm-eval=={TESTED}
lm_eval run --model hf --model_args pretrained=MODEL --include_path . --tasks bailong \\
  --apply_chat_template --log_samples --output_path results
```

`--tasks {first}` runs one, `--limit 10` its first ten questions. `--apply_chat_template` wraps each prompt as the
model was trained on it; leave it out for a base model. Answers stop at `</s>` or the end token of the tokenizer. A
`bypass` of 999 is lm-eval's word for "not scored": those answers are for a judge or for sacrebleu; they are in
`results/*/samples_*.jsonl`.

| task | source | licence |
|---|---|---|
{tasks}
"""


def _write(path: Path, settings: Mapping[str, Any], header: str) -> None:
    text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=1000)
    comment = " ".join(header.split())
    path.write_text(f"# {comment}\n{text}", encoding="utf-8")
