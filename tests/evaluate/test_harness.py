"""The export for lm-evaluation-harness: files that need no code of ours, and that lm-eval loads and runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bailong.evaluate.benchmark.extractive import exact_match
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.loader import load
from bailong.evaluate.generate import LocalModel
from bailong.evaluate.harness import write
from bailong.evaluate.likelihood import Question, choose
from bailong.evaluate.settings import Benchmark
from tests.evaluate import talker
from tests.evaluate.pages.evaluations import questions

BENCHMARKS = {
    "standin_bench": Benchmark(
        name="standin_bench", path="sample:standin_bench.jsonl", shape="bench", template="by_turns", licence="CC0-1.0"
    ),
    "drcd": Benchmark(name="drcd", path="x", shape="squad", template="single", max_new_tokens=8),
    "xquad_en": Benchmark(name="xquad_en", path="x", shape="squad", metric="extractive", language="en"),
    "gsm8k": Benchmark(name="gsm8k", path="x", shape="gsm8k", metric="number", language="en"),
    "imdb_tc": Benchmark(name="imdb_tc", path="x", shape="labelled", template="single"),
    "mt_bench": Benchmark(name="mt_bench", path="x", shape="mt_bench", template="mt_bench", language="en"),
    "text": Benchmark(
        name="text", path="sample:corpus.jsonl", shape="text", columns={"text": "zht"}, metric="bits_per_byte"
    ),
}
BENCHMARKS["cmmlu"] = Benchmark(name="cmmlu", path="x", shape="multiple_choice", metric="likelihood", prompt="cmmlu")
TASKS = ["standin_bench", "drcd", "xquad_en", "gsm8k", "imdb_tc", "mt_bench_first_turn", "text", "cmmlu"]


def items() -> dict[str, list[Item]]:
    return {
        "standin_bench": load(BENCHMARKS["standin_bench"]),
        "drcd": questions("drcd", 3),
        "xquad_en": [Item("1", "xquad_en", ["Who? {{ x }}"], golds=["The Denver Broncos", "Broncos"])],
        "gsm8k": [
            Item(str(i), "gsm8k", [f"{i} cows and 1,000 more. How many?"], golds=[f"{1000 + i:,}"]) for i in (1, 2)
        ],
        "imdb_tc": [Item(label, "imdb_tc", ["這篇影評如何？"], golds=[label]) for label in ("positive", "negative")],
        "mt_bench": [Item("81", "mt_bench", ["Say hello.", "Again."])],
        "text": load(BENCHMARKS["text"])[:2],
        "cmmlu": [
            Item(
                str(i),
                "cmmlu",
                [f"{i}?\nA. x\nB. y\n:"],
                context="1?\nA. x\nB. y\n: A\n\n",
                choices=["A", "B"],
                golds=[gold],
            )
            for i, gold in enumerate("AB")
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert write(tmp_path, BENCHMARKS, items(), 16) == [f"bailong_{name}" for name in TASKS]
    return tmp_path


def settings(folder: Path, name: str) -> dict:
    return yaml.safe_load((folder / f"bailong_{name}.yaml").read_text(encoding="utf-8"))


def test_tasks_are_data_and_yaml_without_code_or_paths(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {f"bailong_{name}{end}" for name in TASKS for end in (".yaml", ".jsonl")} | {
        "bailong.yaml",
        "README.md",
    }
    for path in folder.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "!function" not in text and str(folder) not in text and text.startswith("# ")
    for name in TASKS:
        found = settings(folder, name)
        assert found["dataset_kwargs"]["data_files"]["test"] == f"bailong_{name}.jsonl"
        assert {"version", "source", "licence", "left_out"} <= found["metadata"].keys()


def test_items_of_several_turns_are_left_out_and_counted(folder: Path) -> None:
    rows = [
        json.loads(line) for line in (folder / "bailong_standin_bench.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    whole = items()["standin_bench"]
    multi = sum(len(one.prompts) > 1 for one in whole)
    assert multi and len(rows) == len(whole) - multi
    assert settings(folder, "standin_bench")["metadata"]["left_out"] == multi
    assert settings(folder, "mt_bench_first_turn")["metadata"]["left_out"] == 0
    assert rows[0]["prompt"] == whole[0].prompts[0]


def test_what_only_a_judge_can_score_claims_no_score(folder: Path) -> None:
    for name in ("standin_bench", "mt_bench_first_turn"):
        assert [one["metric"] for one in settings(folder, name)["metric_list"]] == ["bypass"]
    for name in ("drcd", "xquad_en", "gsm8k", "imdb_tc"):
        assert [one["metric"] for one in settings(folder, name)["metric_list"]] == ["exact_match"]


def test_exact_match_passes_over_what_ours_passes_over(folder: Path) -> None:
    import re

    ignored = {name: settings(folder, name)["metric_list"][0]["regexes_to_ignore"] for name in ("drcd", "xquad_en")}

    def bare(text: str, name: str) -> str:
        for pattern in ignored[name]:
            text = re.sub(pattern, "", text)
        return text.lower()

    for name, language, said, gold in (
        ("drcd", "zh-Hant", "「西元 1900 年」。", "西元1900年"),
        ("drcd", "zh-Hant", "西元1901年", "西元1900年"),
        ("drcd", "zh-Hant", "《紅樓夢》！（全）", "紅樓夢：全"),
        ("xquad_en", "en", "the Denver Broncos.", "Denver Broncos"),
        ("xquad_en", "en", "A theme", "theme"),
        ("xquad_en", "en", "theory", "ory"),
    ):
        assert (bare(said, name) == bare(gold, name)) == bool(exact_match(said, gold, language)), said


def test_lm_eval_scores_as_meant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = pytest.importorskip("lm_eval.tasks")
    monkeypatch.chdir(folder)
    manager = tasks.TaskManager(include_path=str(folder), include_defaults=False)
    said = {
        "drcd": ("「西元1900年」。", "西元 1901 年"),
        "xquad_en": ("Denver Broncos!", "Seahawks"),
        "gsm8k": ("So 1 + 1000 = 1001.", "1002"),
        "imdb_tc": ("這篇影評是正面的。", "負面"),
    }
    for name, (right, wrong) in said.items():
        (task,) = manager.load([f"bailong_{name}"])["tasks"].values()
        doc = task.test_docs()[0]
        for text, score in ((right, 1.0), (wrong, 0.0)):
            for chain in task._filters or [None]:
                kept = text
                for step in chain.filters if chain else []:
                    kept = step().apply([[kept]], [doc])
                    kept = next(iter(kept))
                    kept = kept[0] if isinstance(kept, list) else kept
                assert task.process_results(doc, [kept])["exact_match"] == score, (name, text)


def test_lm_eval_runs_every_task(folder: Path, bench: Path) -> None:
    pytest.importorskip("lm_eval")
    model = bench / "models" / "tied"
    command = [
        sys.executable,
        "-m",
        "lm_eval",
        "run",
        "--model",
        "hf",
        "--model_args",
        f"pretrained={model},dtype=float32",
    ]
    command += ["--include_path", ".", "--tasks", "bailong", "--limit", "2", "--device", "cpu"]
    command += ["--log_samples", "--output_path", "results"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"HF_HOME": str(folder)})
    assert run.returncode == 0, run.stderr[-3000:]
    (path,) = (folder / "results").glob("*/results_*.json")
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert {f"bailong_{name}" for name in TASKS} <= results.keys()
    assert results["bailong_text"]["bits_per_byte,none"] > 0
    (path,) = (folder / "results").glob("*/samples_bailong_cmmlu_*.jsonl")
    theirs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    local = LocalModel(str(model), talker.generator())
    asked = [Question(one.context, one.prompts[0], one.choices, one.id) for one in items()["cmmlu"]]
    for found, item, row in zip(choose(local, asked), items()["cmmlu"], theirs, strict=True):
        assert found.log_likelihoods == pytest.approx([float(likely[0]) for likely in row["filtered_resps"]], abs=1e-4)
        assert float(found.letter == item.golds[0]) == row["acc"]
