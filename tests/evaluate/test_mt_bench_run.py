"""bailong-evaluate on MT-bench in Chinese and Turkish as a person types it: scale 1 to 5, beside one of 0 to 10."""

import csv
import json
import re

import pytest

from bailong.run import journal
from tests.api.server import Scripted
from tests.commands import call
from tests.evaluate.pages.evaluations import write

CATEGORIES = ("writing", "math")
ZH = ["怎样准备一次面试？请写三点。", "三加四等于多少？", "请介绍一座城市的历史。", "请算出一百除以四。"]
TR = ["Bir mülakata nasıl hazırlanırım?", "Üç artı dört kaç eder?", "Bir kenti tanıt.", "Yüz bölü dört kaç eder?"]
SAID = {
    "zh": "这是一个简短的回答，希望对您有所帮助，谢谢您的提问。",
    "tr": "Bu kısa bir yanıttır, umarım işinize yarar; sorduğunuz için teşekkür ederim.",
}
#: replies of the judge by question; the last of zh answers in English
ZH_REPLIES = ["說明清楚。\n評分：[[5]]", "評分：4", "[[0]]", "評分：[[1]]"]
TR_REPLIES = ["Puan: 5 üzerinden 4", "Puan: [[2]]", "4/5", "[[6]]"]


def bench(folder, questions):
    rows = [
        {"question_id": 81 + n, "category": CATEGORIES[n % 2], "turns": [text, "?"], "reference": ["x"]}
        for n, text in enumerate(questions)
    ]
    write(folder / "question.jsonl", rows)


def judge(body):
    prompt = body["messages"][0]["content"]
    pairs = [*zip(ZH, ZH_REPLIES, strict=True), *zip(TR, TR_REPLIES, strict=True)]
    return next((reply for question, reply in pairs if question in prompt), "評分：[[8]]")


@pytest.fixture
def place(tmp_path):
    bench(tmp_path / "data/mt_bench_zh", ZH)
    bench(tmp_path / "data/mt_bench_tr", TR)
    return tmp_path


#: what is typed for both benchmarks
WORDS = [
    "evaluation.mt_bench_zh.path=data/mt_bench_zh",
    "evaluation.mt_bench_zh.data_files=null",
    "evaluation.mt_bench_zh.expected=4",
    "evaluation.mt_bench_tr.expected=4",
    "to=outputs/e",
]


def answered(body):
    """The model under test: in the language that its system prompt wants, but for one question."""
    system, *turns = body["messages"]
    assert system["role"] == "system" and [turn["role"] for turn in turns] == ["user"], "the first turn alone"
    if turns[0]["content"] == ZH[3]:
        return "One hundred divided by four is twenty-five, which is the answer to your question."
    return SAID["zh" if "简体中文" in system["content"] else "tr"]


def run(place, *words, suite="[mt_bench_zh,mt_bench_tr]"):
    with Scripted(answered) as subject, Scripted(judge) as server:
        models = f"models=[{{name: mine, api: {{base_url: '{subject.url}', model: m}}}}]"
        api = [f"judge.api.base_url={server.url}", "judge.api.model=j", models]
        done = call("evaluate", f"evaluation={suite}", *api, *WORDS, *words, cwd=place)
        asked = [one.body for one in server.asked if one.path.endswith("/chat/completions")]
    assert done.returncode == 0, done.stderr
    return done, json.loads((place / "outputs/e/scores.json").read_text(encoding="utf-8")), asked


def test_of_five_in_two_languages_beside_what_others_printed(place):
    done, scores, asked = run(place)
    assert len(asked) == 8, "one verdict a question, and what is off the scale is not asked again"
    chinese = next(body["messages"][0]["content"] for body in asked if ZH[0] in body["messages"][0]["content"])
    assert "必須使用簡體中文：使用其他語言的回答一律給1分" in chinese
    rows = {row["id"]: row for row in journal.read(place / "outputs/e/mine/verdicts.jsonl") if "zh" in row["benchmark"]}
    assert [rows[str(81 + n)]["status"] for n in range(4)] == ["ok", "repaired", "out_of_range", "ok"]
    zh, tr = (scores["models"]["mine"]["benchmarks"][name] for name in ("mt_bench_zh", "mt_bench_tr"))
    assert (zh["headline"]["mean"], zh["headline"]["n"], zh["failures_as_zero"]) == (10 / 3, 3, 11 / 4)
    assert (tr["headline"]["mean"], tr["headline"]["n"], tr["failures_as_zero"]) == (10 / 3, 3, 11 / 4)
    assert zh["zeros"] == 1 and zh["language"]["disagreement"] == {
        "both": 1,
        "judge_only": 0,
        "rule_only": 0,
        "scored": 3,
    }
    assert zh["categories"].keys() == {"writing", "math"} and zh["categories"]["math"]["mean"] == 2.5
    assert scores["models"]["mine"]["average"]["mean"] == pytest.approx(10 / 3), "of one scale, so there is an average"
    table = (place / "outputs/e/table.md").read_text(encoding="utf-8")
    assert "| model | mt_bench_zh (MT-bench-zh, of 5) | mt_bench_tr (MT-bench-tr, of 5) | Avg (of 2) |" in table
    assert "| *Llama-3-8B, r 16, alpha 32* (paper) | 3.63 | – | – |" in table
    assert "| *Mistral-7B-v0.1, four settings* (paper) | 1.06 to 2.94 | 1.31 to 2.51 | – |" in table
    assert "Exploring the Limits of Fine-Tuning" in table and "another judge, another time" in table
    assert "2404.00862" not in table and "2505.20650" not in table and "(1 to 5)" in table
    found = list(csv.DictReader((place / "outputs/e/table.csv").open(encoding="utf-8")))
    printed = [row for row in found if row["origin"] == "printed" and row["model"] == "Mistral-7B-v0.1, four settings"]
    assert [(row["paper_column"], row["low"], row["high"]) for row in printed][1] == ("MT-bench-tr", "1.31", "2.51")
    assert {row["scale"] for row in found if row["origin"] == "evaluated"} == {"1 to 5", ""}
    page = (place / "outputs/e/report.html").read_text(encoding="utf-8")
    assert "of 5" in page and "/5" in page and "/10" not in page and "of 10<" not in page
    tex = (place / "outputs/e/table.tex").read_text(encoding="utf-8")
    assert tex.count(r"\midrule \multicolumn") == 1 and "3.63" in tex
    assert "(paper)" in done.stdout and "1.06 to 3.63" in re.sub(r"\s+", " ", done.stdout)


def test_five_and_ten_have_no_average(place):
    bench(place / "data/ten", ["Why is the sky blue?"])
    write(place / "data/ten/reference_answer_gpt-4.jsonl", [{"question_id": 101, "choices": [{"turns": ["a", "b"]}]}])
    words = ["evaluation.mt_bench_bailong.path=data/ten", "evaluation.mt_bench_bailong.expected=1"]
    done = call(
        "evaluate",
        "evaluation=[mt_bench_zh,mt_bench_tr,mt_bench_bailong]",
        "models=x/y",
        "judge=gpt4_turbo",
        "plan=true",
        *WORDS,
        *words,
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"mt_bench_zh +│? +4 +│? +4 ", done.stdout), done.stdout
    assert "9 judge calls per model" in done.stdout
    answers = [
        {"id": str(81 + n), "benchmark": f"mt_bench_{of}", "answers": [SAID[of]]} for of in SAID for n in range(4)
    ]
    answers += [{"id": "81", "benchmark": "mt_bench_bailong", "answers": ["Light scatters.", "It does."]}]
    write(place / "given.jsonl", answers)
    with Scripted(judge) as server:
        api = [f"judge.api.base_url={server.url}", "judge.api.model=j"]
        models = "models=[{name: a, answers: given.jsonl},{name: b, answers: given.jsonl}]"
        done = call(
            "evaluate",
            "evaluation=[mt_bench_zh,mt_bench_bailong]",
            models,
            *api,
            *WORDS[:3],
            *words,
            WORDS[-1],
            cwd=place,
        )
    assert done.returncode == 0, done.stderr
    scores = json.loads((place / "outputs/e/scores.json").read_text(encoding="utf-8"))
    mine = scores["models"]["a"]
    assert mine["average"] is None and mine["paper_average"]["mean"] == 8.0
    assert mine["benchmarks"]["mt_bench_zh"]["headline"]["mean"] == 10 / 3
    (apart,) = scores["differences"]
    assert apart["average"] is None and apart["benchmarks"]["mt_bench_zh"]["mean"] == 0
    table = (place / "outputs/e/table.md").read_text(encoding="utf-8")
    head = "| model | mt_bench_zh (MT-bench-zh, of 5) | mt_bench_bailong (MT-bench) | Avg (columns of Table 6) |"
    assert head in table
    assert "since their scales differ: mt_bench_zh 1 to 5, mt_bench_bailong 0 to 10." in table.replace("\\", "")
    assert "| *Gemma-7B-it* (paper) | – | 1.06 | 1.06 |" in table and "| *Llama-3-8B* (paper) | 1.26 | – | – |" in table


def test_both_turns_and_other_judges_languages(place):
    with Scripted("[[3]]") as server:
        api = [f"judge.api.base_url={server.url}", "judge.api.model=j", "judge.samples=2", "judge.temperature=0.7"]
        more = ["evaluation.mt_bench_zh.turns=null", "judge.language=tr", "judge.enforce=zero"]
        texts = [SAID["zh"], "This one is in English, which nobody has asked for."]
        write(place / "given.jsonl", [{"id": str(81 + n), "answers": texts} for n in range(4)])
        models = "models=[{name: a, answers: given.jsonl}]"
        done = call("evaluate", "evaluation=mt_bench_zh", models, *api, *WORDS[:3], *more, WORDS[-1], cwd=place)
        asked = len([one for one in server.asked if one.path.endswith("/chat/completions")])
    assert done.returncode == 0, done.stderr
    assert asked == 4 * 2 * 2, "two turns, two samples"
    rows = journal.read(place / "outputs/e/a/verdicts.jsonl")
    assert {row["template"] for row in rows} == {"two_shot_turkish"} and {row["turn"] for row in rows} == {1, 2}
    row = json.loads((place / "outputs/e/scores.json").read_text(encoding="utf-8"))["models"]["a"]["benchmarks"]
    zh = row["mt_bench_zh"]
    assert zh["mean"]["mean"] == 3.0 and zh["headline"]["mean"] == 1.0, "the least of this scale, and no 0"
