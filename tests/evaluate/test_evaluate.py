"""bailong-evaluate as a person types it: real models behind real servers, killed in the middle, and the tables."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from bailong.data import template
from bailong.run import journal
from bailong.tokenizer.folder import load_tokenizer
from tests.api.server import Scripted, broken, limited, refused, silent, truncated
from tests.commands import call
from tests.conftest import ROOT
from tests.evaluate import tiny_judge
from tests.evaluate.serving import serving


@pytest.fixture(scope="module")
def models(bench, tmp_path_factory) -> Path:
    """A folder with models/tiny (answers anything), and models/judge."""
    folder = tmp_path_factory.mktemp("models")
    words = load_tokenizer(bench / "tokenizers" / "base")
    words.chat_template = template.JINJA
    words.save_pretrained(folder / "models/tiny")
    AutoModelForCausalLM.from_pretrained(bench / "models" / "untied").save_pretrained(folder / "models/tiny")
    tiny_judge.build(folder / "models/judge", bench / "tokenizers" / "extended")
    return folder


def rows(path):
    return journal.read(path)


def test_models_behind_servers_are_judged_once_each_whatever_happens(models, tmp_path):
    """140 questions, answered and judged over HTTP; killed twice, resumed: nothing asked twice, nothing lost."""
    with serving(models / "models/tiny") as subject, serving(models / "models/judge") as judge:
        words = [
            "evaluation=standin_bench",
            f"models=[{{name: tiny, api: {{base_url: '{subject.url}', model: '{subject.model}', concurrency: 4}}}}]",
            f"judge.api.base_url={judge.url}",
            f"judge.api.model={judge.model}",
            "sampling.max_new_tokens=24",
            "judge.max_tokens=64",
        ]
        folder = tmp_path / "outputs/evaluation/standin_bench/tiny"
        for name in ("answers.jsonl", "verdicts.jsonl"):
            code = "import sys; sys.argv[0] = 'bailong-evaluate'; from bailong import cli; cli.evaluate()"
            process = subprocess.Popen(
                [sys.executable, "-c", code, *words],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stderr=subprocess.PIPE,
            )
            end = time.monotonic() + 120
            while len(rows(folder / name)) < 30:
                assert process.poll() is None, process.stderr.read().decode()
                assert time.monotonic() < end
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
            assert 30 <= len(rows(folder / name)) < 140
        before = rows(folder / "verdicts.jsonl")
        done = call("evaluate", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        again = call("evaluate", *words, cwd=tmp_path)
        assert again.returncode == 0 and "judge: 0 calls (0 asked" in again.stderr
    verdicts = rows(folder / "verdicts.jsonl")
    assert verdicts[: len(before)] == before  # what was there is neither touched nor asked again
    assert len(verdicts) == len({row["key"] for row in verdicts}) == len({row["id"] for row in verdicts}) == 140
    assert len({row["id"] for row in rows(folder / "answers.jsonl")}) == 140
    assert Counter(row["status"] for row in verdicts)["ok"] > 120
    assert {row["template"] for row in verdicts} == {"single", "multi_turn"}
    scores = json.loads((folder.parent / "scores.json").read_text(encoding="utf-8"))
    assert scores["models"]["tiny"]["benchmarks"]["standin_bench"]["questions"] == 140
    for name in ("table.md", "table.csv", "table.tex", "report.html"):
        assert "tiny" in (folder.parent / name).read_text(encoding="utf-8")


FAULTS = {
    "creative_writing-01": broken(500),
    "creative_writing-02": silent,
    "creative_writing-03": refused,
    "creative_writing-04": truncated,
    "creative_writing-05": "沒有評分",
    "creative_writing-06": "評分：[[11]]",
    "creative_writing-07": "範例是「評分：[[5]]」，本題評分：[[2]]",
    "creative_writing-08": "評分：［［５］］",
    "creative_writing-09": "評分：[[05]]",
    "creative_writing-10": limited(after="0"),
}


def test_every_failure_of_a_judge_stands_in_the_table_and_none_is_a_zero(models, tmp_path):
    bench = ROOT / "bailong/data/sample/standin_bench.jsonl"
    lines = [line for line in bench.read_text(encoding="utf-8").splitlines() if '"creative_writing-' in line]
    asked = {json.loads(line)["turns"][0]: json.loads(line)["id"] for line in lines}
    answers = [{"id": name, "answers": ["這是答案。"]} for name in asked.values()]
    (tmp_path / "answers.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    (tmp_path / "bench.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def script(body):
        prompt = body["messages"][0]["content"]
        fault = FAULTS[next(name for question, name in asked.items() if question in prompt)]
        return fault() if callable(fault) else fault

    with Scripted(script) as server:
        done = call(
            "evaluate",
            "evaluation=standin_bench",
            "evaluation.standin_bench.path=bench.jsonl",
            "evaluation.standin_bench.expected=10",
            "models=[{name: given, answers: answers.jsonl}]",
            f"judge.api.base_url={server.url}",
            "judge.api.model=judge",
            "judge.api.attempts=2",
            "judge.api.first_wait=0.01",
            "judge.api.max_wait=0.02",
            "to=out",
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    found = {row["id"][-2:]: (row["status"], row["score"]) for row in rows(tmp_path / "out/given/verdicts.jsonl")}
    assert found == {
        "01": ("api_error", None),
        "02": found["02"],
        "03": ("refused", None),
        "04": ("truncated", None),
        "05": ("parse_error", None),
        "06": ("out_of_range", None),
        "07": ("ok", 2.0),
        "08": ("repaired", 5.0),
        "09": ("repaired", 5.0),
        "10": ("api_error", None),
    }
    assert found["02"][0] in ("parse_error", "api_error") and found["02"][1] is None
    with (tmp_path / "out/table.csv").open(encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    assert (row["questions"], row["scored"], float(row["score"])) == ("10", "3", 4)  # 2, 5 and 5; seven failures
    counted = {status: int(row[f"verdicts_{status}"]) for status in ("ok", "repaired", "refused", "truncated")}
    assert counted == {"ok": 1, "repaired": 2, "refused": 1, "truncated": 1}
    assert float(row["failures_as_zero"]) == pytest.approx(1.2)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert all(status in page for status in ("api_error", "refused", "truncated", "parse_error", "out_of_range"))


def test_the_plan_of_table_6_counts_every_call_and_asks_nothing(tmp_path):
    done = call("evaluate", "evaluation=table6", "models=a/b", "judge=gpt4_turbo", "plan=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "13,827 judge calls per model" in done.stdout and "$" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_plan_counts_pairs_and_says_what_it_does_not_count(tmp_path):
    models = "models=[a/b,c/d,{name: e, api: {model: m}}]"
    judge = ["judge=gpt4_turbo", "judge.pairwise=b"]
    done = call("evaluate", "evaluation=standin_bench", models, *judge, "plan=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "140 judge calls per model x 3 models = 420; $" in done.stdout
    assert "280 more per model against b x 2 models = 560; $" in done.stdout
    assert "not counted: the answers of e," in done.stdout


WORDS = {"kind": "好極了。評分：[[9]]", "stern": "差勁。評分：[[2]]"}


def test_what_is_shown_is_of_the_settings_of_today(tmp_path):
    """Judged by one judge, by another, by the first again, by none: no score stands beside another's words."""
    bench = ROOT / "bailong/data/sample/standin_bench.jsonl"
    lines = bench.read_text(encoding="utf-8").splitlines()[:4]
    (tmp_path / "bench.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for name in "xy":
        answers = [{"id": json.loads(line)["id"], "answers": [f"這是{name}的答案。"]} for line in lines]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")

    def script(body):
        return "[[C]]" if "助理甲" in body["messages"][0]["content"] else WORDS[body["model"]]

    def evaluate(*words):
        done = call(
            "evaluate",
            "evaluation=standin_bench",
            "evaluation.standin_bench.path=bench.jsonl",
            "models=[{name: x, answers: x.jsonl},{name: y, answers: y.jsonl}]",
            f"judge.api.base_url={server.url}",
            "to=out",
            *words,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        scores = json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))
        page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
        found = scores["models"]["x"]
        mean = (found["benchmarks"]["standin_bench"].get("headline") or {}).get("mean")
        return mean, len(found["judges"]), len(found["duels"]), [word for word in ("好極了", "差勁") if word in page]

    with Scripted(script) as server:
        assert evaluate("judge.api.model=kind", "judge.pairwise=y") == (9, 1, 1, ["好極了"])
        assert evaluate("judge.api.model=stern") == (2, 1, 0, ["差勁"])
        asked = len(server.asked)
        assert evaluate("judge.api.model=kind") == (9, 1, 0, ["好極了"])
        assert evaluate("judge=off") == (None, 0, 0, [])
        assert evaluate("judge.api.model=kind", "judge.pairwise=y") == (9, 1, 1, ["好極了"])
        assert len(server.asked) == asked


def test_an_endpoint_that_fails_is_no_wrong_answer(tmp_path):
    rows = [{"id": str(n), "question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(4)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with Scripted(lambda body: "#### 1" if "What is 0" in body["messages"][0]["content"] else broken(400)) as server:
        done = call(
            "evaluate",
            "evaluation=gsm8k",
            "evaluation.gsm8k.path=sums.jsonl",
            f"models=[{{name: m, api: {{base_url: '{server.url}', model: m}}}}]",
            "judge=off",
            "to=out",
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    assert "questions without an answer from the model: api_error 3." in " ".join(done.stdout.split())
    scores = json.loads((tmp_path / "out/scores.json").read_text(encoding="utf-8"))
    found = scores["models"]["m"]["benchmarks"]["gsm8k"]["measures"]["exact_match"]
    assert (found["mean"], found["n"]) == (1.0, 1)


NOBODY = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("second", "judge", "said"),
    [
        ("models/nope", "judge=off", "models/nope is not there"),
        ("{name: b, answers: none.jsonl}", "judge=off", "none.jsonl"),
        ("{name: b, answers: few.jsonl}", "judge=off", "has no answer to"),
        (f"{{name: b, api: {{base_url: '{NOBODY}', model: m, attempts: 1}}}}", "judge=off", "nobody answers at"),
        ("{name: b, api: {base_url: 'http://127.0.0.1:9/v1', modle: m}}", "judge=off", "modle"),
        ("models/mute", "judge=off", "models/mute has no chat template"),
        ("{name: b, answers: all.jsonl}", f"judge.api.base_url={NOBODY}", "nobody answers at"),
    ],
)
def test_every_model_file_and_endpoint_is_checked_before_the_first_answer(tmp_path, second, judge, said):
    rows = [{"id": str(n), "question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(4)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    answers = [{"id": str(n), "answers": ["1"]} for n in range(4)]
    (tmp_path / "few.jsonl").write_text(json.dumps(answers[0]), encoding="utf-8")
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, answers)), encoding="utf-8")
    mute = tmp_path / "models/mute"
    mute.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (mute / name).write_text("{}", encoding="utf-8")
    with Scripted("#### 1") as server:
        done = call(
            "evaluate",
            "evaluation=gsm8k",
            "evaluation.gsm8k.path=sums.jsonl",
            *(["evaluation.gsm8k.metric=judge", "evaluation.gsm8k.template=single"] if judge != "judge=off" else []),
            f"models=[{{name: a, api: {{base_url: '{server.url}', model: m}}}},{second}]",
            judge,
            "judge.api.model=m",
            "judge.api.attempts=1",
            "to=out",
            cwd=tmp_path,
        )
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert not server.asked and not (tmp_path / "out/a").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models=nowhere/at/all"], "nowhere/at/all"),
        (["models=[{name: a}]"], "exactly one of path, api, answers"),
        (["models=[{nam: a}]"], "which is not accepted"),
        (["models=a/b", "evaluation=nonsense"], "nonsense"),
        (["models=a/b", "judge.pairwise=c"], "judge.pairwise"),
        (["models=[a/x,b/x]"], "names that differ"),
        (["models=a/b", "evaluation.standin_bench.metric=bleu"], "metric"),
        (["models=a/b", "judge.smples=3"], "smples"),
        (["models=[{name: a, answers: none.jsonl}]"], "none.jsonl"),
        (["models=[]"], "at least one model"),
        (["models=[{path: a/b}]"], "models[].name"),
        (["models=[{name: .., path: a/b}]"], "models[].name"),
        (["models=[{name: items, path: a/b}]"], "models[].name"),
        (["models=[{name: a, path: 7}]"], "models[a].path"),
        (["models=[{name: a, api: gpt}]"], "models[a].api"),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path, words, said):
    done = call("evaluate", "judge.api.model=m", *words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
