"""bailong-evaluate merge=[..]: models of several sizes, evaluated apart, in one table; nobody is asked again."""

import itertools
import json
import math
import re

import numpy as np
import pytest

from bailong.evaluate import model_folder
from bailong.evaluate.benchmark.loader import load
from bailong.run import journal
from tests.api.server import Scripted
from tests.commands import call
from tests.evaluate import exams, talker
from tests.evaluate.pages.evaluations import write
from tests.evaluate.test_mt_bench_run import SAID, ZH
from tests.evaluate.test_mt_bench_run import bench as mt_bench

SUBJECTS = ("anatomy", "chinese_history", "agronomy")
#: parameters, the share of right letters, and the judge's ratings of four questions
MODELS = {
    "large": (8_030_000_000, 0.9, (5, 4, 5, 3)),
    "small": (135_000_000, 0.3, (1, 2, 1, 1)),
    "middle": (1_700_000_000, 0.6, (3, 3, 2, 4)),
}
WORDS = [
    "evaluation=[cmmlu,mt_bench_zh]",
    "evaluation.cmmlu.shots=1",
    "evaluation.cmmlu.expected=27",
    "evaluation.mt_bench_zh.path=data/mt_bench_zh",
    "evaluation.mt_bench_zh.data_files=null",
    "evaluation.mt_bench_zh.expected=4",
    "resamples=4000",
]


def judged(body):
    """The rating that is written into the answer."""
    return f"評分：[[{re.findall('答([1-5])', body['messages'][0]['content'])[-1]}]]"


def evaluated(place, name, *words, to=None, judge="j", size=True):
    size = f", parameters: {MODELS[name][0]}" if size else ""
    with Scripted(judged) as server:
        api = [f"judge.api.base_url={server.url}", f"judge.api.model={judge}", f"to={to or f'outputs/{name}'}"]
        models = f"models=[{{name: {name}, answers: {name}.jsonl{size}}}]"
        done = call("evaluate", *WORDS, models, *api, *words, cwd=place)
    assert done.returncode == 0, done.stderr


def merged(place, *folders, to="outputs/sizes", words=()):
    return call("evaluate", f"merge=[{','.join(folders)}]", f"to={to}", "resamples=4000", *words, cwd=place)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Three evaluations in folders of their own, of 27 questions of multiple choice and 4 that are judged."""
    folder = tmp_path_factory.mktemp("work")
    exams.cmmlu(folder / "data/cmmlu", SUBJECTS, count=9)
    mt_bench(folder / "data/mt_bench_zh", ZH)
    for place, (name, (_, share, ratings)) in enumerate(MODELS.items()):
        random = np.random.default_rng(place)
        letters = [
            {"id": item.id, "answers": [item.golds[0] if random.random() < share else "ABCD"[random.integers(4)]]}
            for item in load(exams.benchmark(folder / "data/cmmlu", shots=1))
        ]
        texts = [{"id": str(81 + n), "answers": [f"答{rating}。{SAID['zh']}"]} for n, rating in enumerate(ratings)]
        write(folder / f"{name}.jsonl", letters + texts)
        evaluated(folder, name)
    return folder


@pytest.fixture(scope="module")
def scores(place):
    done = merged(place, *(f"outputs/{name}" for name in MODELS))
    assert done.returncode == 0, done.stderr
    return json.loads((place / "outputs/sizes/scores.json").read_text(encoding="utf-8"))


def right(place, name):
    """Which questions a model has right, by group; from what was written for it."""
    said = {row["id"]: row["answers"][0] for row in journal.read(place / f"{name}.jsonl")}
    found = {"": {}}
    for item in load(exams.benchmark(place / "data/cmmlu", shots=1)):
        for group in ("", item.category):
            found.setdefault(group, {})[item.id] = float(said[item.id] == item.golds[0])
    return found


def test_the_smallest_first_with_the_numbers_of_each_alone(place, scores):
    assert list(scores["models"]) == ["small", "middle", "large"]
    for name in MODELS:
        alone = json.loads((place / f"outputs/{name}/scores.json").read_text(encoding="utf-8"))["models"][name]
        mine = scores["models"][name]
        assert mine["benchmarks"] == alone["benchmarks"] and mine["average"] == alone["average"]
        assert mine["judges"] == alone["judges"] and mine["usage"] == alone["usage"]
        row = mine["benchmarks"]["cmmlu"]
        for group, of in right(place, name).items():
            shown = row["categories"][group] if group else row["measures"]["accuracy"]
            assert shown["mean"] == pytest.approx(sum(of.values()) / len(of)) and shown["n"] == len(of)
        judged_ = mine["benchmarks"]["mt_bench_zh"]["headline"]
        assert judged_["mean"] == sum(MODELS[name][2]) / 4


def test_differences_are_paired_over_questions_by_benchmark_and_group(place, scores):
    pairs = {(one["first"], one["second"]): one for one in scores["differences"]}
    assert list(pairs) == list(itertools.combinations(["small", "middle", "large"], 2))
    random = np.random.default_rng(7)
    for (first, second), found in pairs.items():
        mine, theirs = right(place, first), right(place, second)
        assert found["choices"]["cmmlu"].keys() == mine.keys() == {"", "STEM", "China-specific", "other"}
        for group, shown in found["choices"]["cmmlu"].items():
            apart = np.array([mine[group][of] - theirs[group][of] for of in mine[group]])
            assert shown["mean"] == pytest.approx(apart.mean()) and shown["n"] == len(apart)
            drawn = apart[random.integers(len(apart), size=(20_000, len(apart)))].mean(1)
            one = 1.01 / len(apart)  # means of n questions lie that far apart
            assert [shown["low"], shown["high"]] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=one)
            assert shown["clear"] == bool(shown["high"] < 0 or shown["low"] > 0)
        ratings = np.subtract(MODELS[first][2], MODELS[second][2])
        assert found["benchmarks"]["mt_bench_zh"]["mean"] == ratings.mean()
    assert pairs["small", "large"]["choices"]["cmmlu"][""]["clear"], "0.3 and 0.9 of 27 questions"


def test_sizes_stand_in_the_tables_and_in_a_figure(place, scores):
    table = (place / "outputs/sizes/table.md").read_text(encoding="utf-8").replace("\\", "")
    assert "| model | parameters | mt_bench_zh (MT-bench-zh, of 5) | Avg (of 1) |" in table
    assert re.search(r"\| \*\*small\*\* \| 135M \| 1\.25 \[", table) and re.search(r"\*\*large\*\* \| 8\.03B \|", table)
    assert "| *Llama-3-8B* (paper) | – | 1.26 | – |" in table
    assert "| cmmlu: accuracy in %, 1-shot (chance 25 %) | parameters | all (27 questions) |" in table
    assert "| small − large | cmmlu | STEM |" in table
    assert r"small & 135M &" in (place / "outputs/sizes/table.tex").read_text(encoding="utf-8")
    assert "large,evaluated,8030000000,cmmlu" in (place / "outputs/sizes/table.csv").read_text(encoding="utf-8")
    page = (place / "outputs/sizes/report.html").read_text(encoding="utf-8")
    section = page[page.index("Scores over sizes") :]
    panels = re.findall(r'<figure class="panel">.*?</figure>', section, re.S)
    names = [re.search("<figcaption>(.*?)</figcaption>", panel)[1] for panel in panels]
    assert names[:2] == ["mt_bench_zh", "cmmlu, all, %"] and len(names) == 5
    for panel in panels:
        xs = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)"', panel)]
        logs = [math.log10(MODELS[name][0]) for name in ("small", "middle", "large")]
        assert len(xs) == 3
        assert (xs[1] - xs[0]) / (xs[2] - xs[0]) == pytest.approx((logs[1] - logs[0]) / (logs[2] - logs[0]), abs=0.01)
        assert ("stroke-dasharray" in panel) == ("cmmlu" in panel), "chance is known of multiple choice"
    means = [sum(right(place, name)[""].values()) / 27 for name in ("small", "middle", "large")]
    ys = [float(y) for y in re.findall(r'<circle cx="[0-9.]+" cy="([0-9.]+)"', panels[1])]
    assert (ys[0] - ys[1]) / (ys[0] - ys[2]) == pytest.approx((means[1] - means[0]) / (means[2] - means[0]), abs=0.02)


def test_two_sizes_are_no_figure_and_a_merged_folder_is_merged_again(place, scores):
    done = merged(place, "outputs/small", "outputs/middle", to="outputs/two")
    assert done.returncode == 0, done.stderr
    assert "Scores over sizes" not in (place / "outputs/two/report.html").read_text(encoding="utf-8")
    done = merged(place, "outputs/large", "outputs/two", "outputs/small", to="outputs/again")
    assert done.returncode == 0, done.stderr
    again = json.loads((place / "outputs/again/scores.json").read_text(encoding="utf-8"))
    assert again["models"] == scores["models"] and again["differences"] == scores["differences"]
    assert merged(place, "outputs/small", "outputs/middle", to="outputs/two").returncode == 0, "the same once more"


def test_only_what_all_have(place):
    words = [word for word in WORDS if "mt_bench" not in word]
    models = f"models=[{{name: theirs, answers: small.jsonl, parameters: {MODELS['small'][0]}}}]"
    done = call("evaluate", "evaluation=cmmlu", *words, models, "judge=off", "to=outputs/exam", cwd=place)
    assert done.returncode == 0, done.stderr
    done = merged(place, "outputs/exam", "outputs/large", to="outputs/common")
    assert done.returncode == 0, done.stderr
    assert "outputs/large: mt_bench_zh left out, which the others have not" in done.stderr
    found = json.loads((place / "outputs/common/scores.json").read_text(encoding="utf-8"))
    assert list(found["benchmarks"]) == ["cmmlu"] and found["models"]["large"]["usage"]["verdicts"] == 0


OTHERWISE = {
    "judge": (["judge.api.model=k"], "judge.api.model: j and k"),
    "scale": (["judge.language=en"], "judge.language: None and en"),
    "sampling": (["sampling.max_new_tokens=77"], "sampling.max_new_tokens: 1024 and 77"),
    "enforce": (["judge.enforce=zero"], "judge.enforce: flag and zero"),
    "questions": (["evaluation.cmmlu.limit=9"], "cmmlu asked other questions (27 and 9)"),
    "shots": (["evaluation.cmmlu.shots=2"], "cmmlu asked other questions (27 and 27)"),
    "system": (["evaluation.mt_bench_zh.system=null"], "mt_bench_zh asked other questions (4 and 4)"),
}


@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_would_not_compare_is_refused(place, kind):
    words, told = OTHERWISE[kind]
    evaluated(place, "small", *words, to=f"outputs/other_{kind}")
    done = merged(place, "outputs/large", f"outputs/other_{kind}", to="outputs/false")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert f"merge: outputs/large and outputs/other_{kind} do not compare: {told}" in done.stderr
    assert not (place / "outputs/false/scores.json").exists()


def test_a_prompt_of_another_version_is_refused(place):
    evaluated(place, "small", to="outputs/old")
    path = place / "outputs/old/small/verdicts.jsonl"
    rows = [row | {"version": "0" * 12} for row in journal.read(path)]
    write(path, rows)
    done = merged(place, "outputs/large", "outputs/old", to="outputs/false")
    assert done.returncode == 2 and "the judge's prompts of mt_bench_zh are not the same" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["merge=[outputs/small]", "to=outputs/x"], "merge=['outputs/small'] is not accepted: it must be two folders"),
        (["merge=[outputs/small,models]", "to=outputs/x"], "merge=models is not accepted"),
        (["merge=[outputs/small,outputs/large]", "to=outputs/small"], "to=outputs/small is an evaluation of its own"),
        (["merge=[outputs/small,outputs/large]", "to=outputs/middle"], "to=outputs/middle is an evaluation of its own"),
        (["merge=[outputs/small,outputs/large]", "to=outputs/x", "models=a/b"], "models=['b'] is not accepted"),
        (["merge=[outputs/small,outputs/large]", "to=outputs/x", "plan=true"], "plan=True is not accepted"),
        (["evaluation=cmmlu", "judge=off"], "models has no value: give it as models=..."),
    ],
)
def test_what_is_no_merge_is_said_in_a_line(place, words, told):
    done = call("evaluate", *words, cwd=place)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_one_name_for_two_models_is_refused(place):
    write(place / "twin.jsonl", journal.read(place / "large.jsonl"))
    with Scripted(judged) as server:
        api = [f"judge.api.base_url={server.url}", "judge.api.model=j", "to=outputs/twin"]
        done = call("evaluate", *WORDS, "models=[{name: small, answers: twin.jsonl}]", *api, cwd=place)
    assert done.returncode == 0, done.stderr
    done = merged(place, "outputs/small", "outputs/twin", to="outputs/x")
    assert done.returncode == 2 and "merge: small has other answers or verdicts in outputs/small than in" in done.stderr


def test_parameters_of_a_folder(bench, tmp_path):
    from transformers import AutoModelForCausalLM

    folder = talker.build(bench, tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model_folder.parameters(str(folder)) == sum(weight.numel() for weight in model.parameters())
    tied = bench / "models" / "tied"
    whole = sum(weight.numel() for weight in AutoModelForCausalLM.from_pretrained(tied).parameters())
    assert model_folder.parameters(str(tied)) == whole, "a head that is the embedding counts once"
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    assert model_folder.parameters(str(tmp_path / "shards")) == model_folder.parameters(str(folder))
    assert model_folder.parameters("a/b") is None and model_folder.parameters(None) is None
