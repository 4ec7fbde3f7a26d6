"""The paper's prompts, filled: nothing lost, nothing expanded twice."""

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.template import FOLDER, load, pairwise_prompt, prompts


def item(*turns, references=(), benchmark="bench"):
    return Item("q1", benchmark, list(turns), language="zh-Hant", references=list(references))


def test_single_is_figure_2():
    (prompt,) = prompts("single", item("何謂通膨？"), ["物價上漲。"])
    assert (prompt.template, prompt.turn, prompt.scale) == ("single", 0, (0, 10, False))
    assert prompt.text.startswith("請充當一位公正的評審")
    assert prompt.text.endswith("例如：“評分：[[5]]”。\n\n[用戶問題]\n何謂通膨？\n\n[助手回答開始]\n物價上漲。")


def test_reference_is_figure_3():
    (prompt,) = prompts("reference", item("問", references=["正解"]), ["答"])
    assert prompt.text.endswith("\n\n[參考答案]\n正解\n\n[用戶問題]\n問\n\n[助手回答開始]\n答")
    with pytest.raises(ValueError, match="q1 has no reference answer"):
        prompts("reference", item("問"), ["答"])


def test_multi_turn_is_figure_4_for_any_number_of_turns():
    (three,) = prompts("by_turns", item("一", "二", "三"), ["甲", "乙", "丙"])
    turns = [f"[用戶問題]\n{q}\n\n[助手回答]\n{a}" for q, a in zip("一二三", "甲乙丙", strict=True)]
    assert three.template == "multi_turn"
    assert three.text.endswith("”。\n\n" + "\n\n".join(turns))
    (five,) = prompts("by_turns", item(*"一二三四五"), list("甲乙丙丁戊"))
    assert five.text.count("[用戶問題]") == five.text.count("[助手回答]") == 5
    assert prompts("by_turns", item("一"), ["甲"])[0].template == "single"


def test_figures_2_and_4_order_their_zero_rules_differently():
    english, chinese = "英語提問而助理用中文", "中文提問而助理用英語"
    single, turns = load("single").prompt, load("multi_turn").prompt
    assert single.index(english) < single.index(chinese)
    assert turns.index(chinese) < turns.index(english)


def test_mt_bench_bailong_is_figure_5():
    (prompt,) = prompts("mt_bench_bailong", item("Q1", "Q2"), ["A1", "A2"])
    assert prompt.scale == (0, 10, False)
    assert 'strictly following this format: "[[rating]]", for example: "Rating: [[5]]".' in prompt.text
    assert "\\" not in prompt.text and "`" not in prompt.text
    assert "User:\nQ1\n\nAssistant:\nA1\n\nUser:\nQ2\n\nAssistant:\nA2\n\n<|The End" in prompt.text
    assert "Write the rating alone" in prompt.again


def test_mt_bench_rates_each_turn_from_1_with_references_where_there_are():
    first, second = prompts("mt_bench", item("Q1", "Q2", references=["R1", "R2"]), ["A1", "A2"])
    assert (first.turn, second.turn, first.scale, second.scale) == (1, 2, (1, 10, False), (1, 10, False))
    assert "R1" in first.text and "R2" not in first.text and "A2" not in first.text
    assert all(text in second.text for text in ("R1", "R2", "A1", "A2", "second question alone"))
    for prompt in prompts("mt_bench", item("Q1", "Q2"), ["A1", "A2"]):
        assert "[Reference" not in prompt.text and "{" not in prompt.text


@pytest.mark.parametrize(
    ("route", "turns"),
    [("single", 3), ("reference", 2), ("mt_bench_bailong", 1), ("mt_bench_bailong", 3), ("mt_bench", 1)],
)
def test_items_that_do_not_fit_are_refused(route, turns):
    with pytest.raises(ValueError, match=f"item q1 has {turns} turns"):
        prompts(route, item(*["問"] * turns, references=["R"]), ["答"] * turns)


def test_unknown_routes_are_refused():
    with pytest.raises(ValueError, match="did you mean by_turns"):
        prompts("by_turn", item("問"), ["答"])


@pytest.mark.parametrize("route", ["single", "reference", "by_turns", "mt_bench_bailong", "mt_bench"])
def test_answers_are_never_expanded(route):
    nasty = "{question} {answer1} {ref_answer} {turns} [助手回答] \\1 \\g<0> --- turn\n--- turn\n${x}"
    turns = 2 if route.startswith("mt_") else 1
    for prompt in prompts(route, item(*["Q {answer}"] * turns, references=["R {question}"]), [nasty] * turns):
        assert prompt.text.count(nasty) >= 1
        assert "Q {answer}" in prompt.text


def test_an_empty_answer_leaves_its_slot_empty():
    (prompt,) = prompts("single", item("問"), [""])
    assert prompt.text.endswith("[助手回答開始]\n")


def test_pairs_show_each_model_in_its_place():
    straight = pairwise_prompt("by_turns", item("問", references=["正解"]), ["我"], ["他"])
    swapped = pairwise_prompt("by_turns", item("問", references=["正解"]), ["他"], ["我"])
    assert straight.text.index("我\n[助理甲的對話結束]") < straight.text.index("他\n[助理乙的對話結束]")
    assert swapped.text.index("他\n[助理甲的對話結束]") < swapped.text.index("我\n[助理乙的對話結束]")
    assert "[參考答案]\n正解\n\n[助理甲" in straight.text
    assert pairwise_prompt("mt_bench", item("Q1", "Q2"), ["A1", "A2"], ["B1", "B2"]).template == "pairwise_english"


def test_versions_are_of_the_content():
    names = [path.stem for path in FOLDER.glob("*.txt")]
    assert len({load(name).version for name in names}) == len(names)
    assert all(load(name).prompt for name in names)
