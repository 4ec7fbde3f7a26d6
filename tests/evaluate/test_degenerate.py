"""Answers that are none are the first finding; good answers, however short or alike, are not among them."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.fault import echoes, fault, loops
from bailong.evaluate.pages import score_files, score_page, score_report
from bailong.evaluate.scores import collect
from bailong.evaluate.settings import Benchmark
from bailong.run import journal
from tests.conftest import ROOT
from tests.evaluate.pages.evaluations import ANSWERS, answer, questions, standin, write
from tests.report.parsed import headings, parsed, words

STANDIN = Benchmark(name="standin_bench", path="x", shape="bench", template="by_turns")
DRCD = Benchmark(name="drcd", path="x", shape="squad", metric="extractive")
CHOICE = Benchmark(name="imdb_tc", path="x", shape="labelled", metric="choice")


def found(to: Path, items: list[Item], texts: list[str], benchmark: Benchmark = DRCD, finish: str = "stop") -> Any:
    """`scores.json` of one model that gives these answers in turn."""
    write(to / "items" / f"{benchmark.name}.jsonl", [item.row() for item in items])
    given = [
        answer(item, [texts[number % len(texts)]] * len(item.prompts), finish) for number, item in enumerate(items)
    ]
    write(to / "mine" / "answers.jsonl", given)
    return collect(to, ["mine"], {benchmark.name: benchmark}, samples=0, resamples=20)


def kinds(scores: Any) -> list[str]:
    return [one["kind"] for one in scores["findings"]]


def test_a_model_that_says_1_1_1_is_named_before_every_number(tmp_path: Path, capsys) -> None:
    scores = found(tmp_path, standin(), ["1 " * 64], STANDIN, finish="length")
    (finding,) = scores["findings"]
    assert (finding["kind"], finding["answers"], finding["of"], finding["cut"]) == ("loop", 140, 140, 140)
    assert finding["share"] == 1.0 and finding["example"]["text"].startswith("1 1 1 1 1")
    assert "chat template" in finding["check"] and "instruct" in finding["check"]
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["findings"] == [finding]
    assert all("loop" in row["flags"] for row in journal.read(tmp_path / "mine" / "outcomes.jsonl"))
    told = "mine: 140 of 140 answers (100.0%) go round in a circle; 140 ran on until sampling.max_new_tokens"
    score_files.show(scores, Console(width=200))
    assert capsys.readouterr().out.startswith(told)
    page = score_page.page(scores, tmp_path)
    parsed(page)
    assert headings(page)[0] == "Before any number" and told in words(page)
    assert page.index("Before any number") < page.index("<nav")
    assert score_files.markdown(scores).startswith("- **mine: 140 of 140 answers")
    score_report.write(tmp_path)


LOOPS = [
    "1 1 1 1",
    "1" * 40,
    "!!!!!!!!!!!!",
    "。。。。。。。。。。",
    "的的的的的的的的的的",
    "臺北臺北臺北臺北臺北臺北",
    "the the of the the of of the the the of the of the",
    "\ufffd" * 30,
    "- - - - - - - - - -",
    "".join(f"{number}. 我很好。\n" for number in range(1, 10)),
    "臺灣位於東亞。" * 10,
    "Sure! I can help you with that. " * 8,
    "<unk><unk><unk><unk><unk><unk>",
    "0 1 1 0 1 0 0 0 1 1 1 0 1 0 0 1 0 1 1 0",
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_circle_is_a_circle(text: str, tmp_path: Path) -> None:
    assert loops(text, cut=True)
    scores = found(tmp_path, questions("drcd", 6), [text], finish="length")
    assert set(kinds(scores)) <= {"loop", "language"} and scores["findings"][0]["share"] == 1


def test_a_good_beginning_that_ends_in_a_circle_at_the_length_limit_is_one() -> None:
    begun = "臺北是臺灣的首都，也是政治、文化與經濟的中心，人口約兩百五十萬人，位於臺灣北部的盆地之中。"
    assert loops(begun + "謝謝您的提問。" * 6, cut=True)
    assert not loops(begun + "謝謝您的提問。謝謝您的提問。", cut=True)
    assert not loops(begun, cut=True)


GOOD = [
    "18",
    "台北",
    "New York, New York",
    "10000000000000",
    "1,111,111",
    "哈哈哈",
    "AAAA",
    "是",
    "A",
    "兩隻老虎，兩隻老虎，跑得快，跑得快，一隻沒有眼睛，一隻沒有尾巴，真奇怪，真奇怪。",
    "| 年 | 人口 |\n| --- | --- |\n| 1990 | 20 |\n| 2000 | 22 |\n| 2010 | 23 |",
    "1, 1, 2, 3, 5, 8, 13, 21, 34, 55",
    "for i in range(3):\n    for j in range(3):\n        print(i, j)",
    "一月、二月、三月、四月、五月、六月、七月、八月、九月、十月、十一月、十二月",
    "第1條、第2條、第3條、第4條、第5條、第6條、第7條、第8條",
    "2 + 2 = 4\n4 + 4 = 8\n8 + 8 = 16\n16 + 16 = 32",
    "👍",
    "△",
]


@pytest.mark.parametrize("text", GOOD)
def test_short_answers_songs_tables_and_sums_are_answers(text: str) -> None:
    assert fault(questions("drcd", 1)[0], [text], cut=False) == ""


@pytest.mark.parametrize(
    "text", ["", "  \n", "\u200b", "。", "</s>", "<|im_end|>", "。\n\n", "```\n```", "[PAD][PAD]", "[UNK]"]
)
def test_nothing_is_empty(text: str, tmp_path: Path) -> None:
    assert kinds(found(tmp_path, questions("drcd", 6), [text])) == ["empty"]


def test_what_a_server_gave_nothing_for_counts_and_what_it_refused_does_not(tmp_path: Path) -> None:
    assert kinds(found(tmp_path, questions("drcd", 6), [""], finish="empty")) == ["empty"]
    assert kinds(found(tmp_path, questions("drcd", 6), [""], finish="api_error")) == []


def test_reasoning_alone_has_a_name_of_its_own(tmp_path: Path) -> None:
    scores = found(tmp_path, questions("drcd", 6), ["<think>Let me see, the passage says"], finish="length")
    assert kinds(scores) == ["unspoken"] and "sampling.max_new_tokens" in scores["findings"][0]["check"]


def test_the_question_again_is_an_echo(tmp_path: Path) -> None:
    items = [
        replace(item, context=f"臺北車站在西元 {1900 + number} 年改建。")
        for number, item in enumerate(questions("drcd", 6))
    ]
    for said in (
        items[0].prompts[0],
        "問題：臺北車站在哪一年改建？",
        "臺北車站在哪一年改建？",
        f"Q: {items[0].prompts[0]}\nAssistant:",
        "臺北車站在哪一年改建",
    ):
        assert fault(items[0], [said], cut=False) == "echo", said
    for said in (
        "西元 1900 年",
        items[0].context,
        "臺北車站在哪一年改建？臺北車站在西元 1900 年改建，是日治時期的事。",
    ):
        assert fault(items[0], [said], cut=False) == "", said
    assert echoes("請以海為題寫一首詩", "請以海為題寫一首詩。")
    mend = "請修正錯字：我今天很高興能夠來到這裡和大家見面，並且和各位分享我在旅途中遇到的種種趣事。"
    assert not echoes(mend.partition("：")[2], mend)
    assert not echoes("I have nothing to correct.", "Correct this if need be:\nI have nothing to correct.")
    assert kinds(found(tmp_path, items, ["臺北車站在哪一年改建？"])) == ["echo"]


def test_a_long_passage_given_back_whole_is_an_echo() -> None:
    parts = ["臺北車站在西元一九〇〇年改建", "後來又經過三次搬遷", "鐵路在一九八九年移入地下", "舊站房隨即拆除"]
    parts += ["站前廣場因此擴大許多", "地下街則在二〇〇〇年完工", "連接四條路線的轉乘通道", "每天有五十萬人次進出"]
    passage = "，".join(f"{part}，這是第{number}件要記得的事" for number, part in enumerate(parts, 1)) + "。"
    question = "臺北車站哪一年改建？"
    prompt = f"閱讀下面的文章，用最簡短的字句回答後面的問題。\n\n文章：\n{passage}\n\n問題：{question}"
    item = replace(questions("drcd", 1)[0], context=passage, prompts=[prompt])
    for said in (passage, f"文章：{passage}\n問題：{question}\n答案：", f"{passage}\n{question}"):
        assert fault(item, [said], cut=False) == "echo", said
    for said in (
        "西元一九〇〇年",
        passage[: len(passage) // 2],
        f"{passage}這段文字主要說明車站歷次的搬遷與擴建，以及它對城市交通的影響，讀起來頗有條理。",
    ):
        assert fault(item, [said], cut=False) == "", said


def test_one_answer_to_all_questions(tmp_path: Path) -> None:
    items = questions("drcd", 12)
    for said in ("您好！請問有什麼可以幫您的嗎？", "18", "台北"):
        scores = found(tmp_path, items, [said])
        assert kinds(scores) == ["same"] and scores["findings"][0]["share"] == 1
    assert kinds(found(tmp_path, items, ["18", "20", "台北"])) == [], "a third of them alike may well be right"
    assert kinds(found(tmp_path, items[:4], ["18"])) == [], "four questions are too few to tell"
    two = [replace(item, prompts=[*item.prompts, "再說一次。"]) for item in items[:6]]
    assert found(tmp_path, [*two, *items[6:]], ["您好！"])["findings"][0]["share"] == 1, "however many turns"
    same = [replace(item, golds=["18"]) for item in items]
    assert kinds(found(tmp_path, same, ["18"])) == [], "it is the accepted answer of all"


def test_one_choice_for_all_questions_is_a_constant_choice(tmp_path: Path) -> None:
    letters = [replace(item, golds=["ABCD"[number % 4]]) for number, item in enumerate(questions("drcd", 20))]
    for said in ("A", "(A)", "答案是 A。", "Option A"):
        assert kinds(found(tmp_path, letters, [said])) == ["choice"], said
    assert kinds(found(tmp_path, letters, ["A", "B"])) == []
    assert kinds(found(tmp_path, letters[:8], ["A"])) == [], "eight may well be so"
    reviews = [
        replace(item, benchmark="imdb_tc", golds=[("positive", "negative")[number % 2]])
        for number, item in enumerate(letters)
    ]
    assert kinds(found(tmp_path, reviews, ["正面", "這是正面的評論。"], CHOICE)) == ["choice"]
    assert kinds(found(tmp_path, reviews, ["正面", "負面"], CHOICE)) == []


def test_a_model_in_another_language_is_a_finding(tmp_path: Path) -> None:
    good, english, simplified = ANSWERS["traditional"], ANSWERS["english"], ANSWERS["simplified"]
    others = [f"{good}{number}" for number in range(7)]
    scores = found(tmp_path, questions("drcd", 40), [*others, english, simplified, english + " Again."])
    (finding,) = scores["findings"]
    assert (finding["kind"], finding["share"], finding["labels"]) == ("language", 0.3, {"english": 8, "simplified": 4})
    assert "another language than asked for (english 8, simplified 4)" in words(score_page.page(scores, tmp_path))
    assert kinds(found(tmp_path, questions("drcd", 40), [*others, *others[:2], english])) == [], "one in ten"
    free = [replace(item, language_free=True) for item in questions("drcd", 40)]
    assert kinds(found(tmp_path, free, [*others, english, simplified, english + " Again."])) == []


def test_one_benchmark_of_several_is_named(tmp_path: Path) -> None:
    other = replace_name(questions("drcd", 20), "ttqa")
    write(tmp_path / "items" / "drcd.jsonl", [item.row() for item in questions("drcd", 20)])
    write(tmp_path / "items" / "ttqa.jsonl", [item.row() for item in other])
    rows = [answer(item, [f"{item.golds[0]}改建"]) for item in questions("drcd", 20)]
    write(tmp_path / "mine" / "answers.jsonl", rows + [answer(item, ["2 " * 20]) for item in other])
    ttqa = Benchmark(name="ttqa", path="x", shape="ttqa", metric="extractive")
    scores = collect(tmp_path, ["mine"], {"drcd": DRCD, "ttqa": ttqa}, samples=0, resamples=20)
    assert [(one["kind"], one["benchmarks"], one["of"]) for one in scores["findings"]] == [("loop", ["ttqa"], 20)]
    assert "20 of 20 answers of ttqa (100.0%)" in score_files.markdown(scores)


def replace_name(items: list[Item], name: str) -> list[Item]:
    return [replace(item, benchmark=name) for item in items]


def test_a_name_with_a_slash_is_whole(tmp_path: Path) -> None:
    items = questions("drcd", 6)
    write(tmp_path / "items" / "drcd.jsonl", [item.row() for item in items])
    write(tmp_path / "org" / "model</b>" / "answers.jsonl", [answer(item, [""]) for item in items])
    scores = collect(tmp_path, ["org/model</b>"], {"drcd": DRCD}, samples=0, resamples=20)
    assert [one["model"] for one in scores["findings"]] == ["org/model</b>"]


def test_an_example_stays_text_and_scores_of_before_are_read(tmp_path: Path) -> None:
    scores = found(tmp_path, questions("drcd", 6), ["<script>alert(1)</script>\n" * 9])
    page = score_page.page(scores, tmp_path)
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    del scores["findings"]
    assert "Before any number" not in score_page.page(scores, tmp_path)


def test_good_answers_of_the_sample_are_none_of_these() -> None:
    rows = (ROOT / "bailong" / "data" / "sample" / "dialogues.jsonl").read_text(encoding="utf-8").splitlines()
    turns = [turn for row in rows for turn in json.loads(row)["turns"]]
    assert len(turns) == 205
    for turn in turns:
        item = Item("0", "sample", [turn["instruction"]])
        assert fault(item, [turn["output"]], cut=True) == "", turn["output"]


def test_good_answers_of_published_data_are_none_of_these(real_data: Path, tmp_path: Path) -> None:
    drcd = json.loads((real_data / "drcd" / "DRCD_dev.json").read_text(encoding="utf-8"))["data"]
    asked = [(p["context"], q) for article in drcd for p in article["paragraphs"] for q in p["qas"]]
    items = [
        Item(str(q["id"]), "drcd", [f"{c}\n\n{q['question']}"], context=c, golds=[q["answers"][0]["text"]])
        for c, q in asked
    ]
    assert not [one for one in items if fault(one, one.golds, cut=True)]
    with gzip.open(real_data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as lines:
        sums = [json.loads(line) for line in lines]
    numbers = [
        Item(str(n), "gsm8k", [row["question"]], golds=[row["answer"].partition("#### ")[2]])
        for n, row in enumerate(sums)
    ]
    for item, row in zip(numbers, sums, strict=True):
        assert not fault(item, [row["answer"]], cut=True) and not fault(item, item.golds, cut=True)
    gsm8k = Benchmark(name="gsm8k", path="x", shape="gsm8k", metric="number", language="en")
    write(tmp_path / "items" / "gsm8k.jsonl", [item.row() for item in numbers])
    write(tmp_path / "mine" / "answers.jsonl", [answer(item, item.golds) for item in numbers])
    assert collect(tmp_path, ["mine"], {"gsm8k": gsm8k}, samples=0, resamples=20)["findings"] == []
