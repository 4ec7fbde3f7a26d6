"""Reasoning is cut from what a model says, whatever marks it stands between, and nothing else is."""

import time

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.outcome import outcome
from bailong.evaluate.reasoning import spoken

CUT = [
    ("<think>3</think>\n9", "9"),
    ("<think>3", ""),
    ("3</think>9", "9"),
    ("<THINK lang='x'>3</THINK>9", "9"),
    ("<thinking>3</thinking>9", "9"),
    ("<reasoning>3</reasoning><answer>9</answer>", "<answer>9</answer>"),
    ("◁think▷3◁/think▷9", "9"),
    ("[THINK]3[/THINK]9", "9"),
    ("<seed:think>3</seed:think>9", "9"),
    ("＜think＞3＜/think＞9", "9"),
    ("<|begin_of_thought|>3<|end_of_thought|>9", "9"),
    ("<|START_THINKING|>3<|END_THINKING|><|START_RESPONSE|>9<|END_RESPONSE|>", "9"),
    ("<|channel|>analysis<|message|>3<|end|><|start|>assistant<|channel|>final<|message|>9<|return|>", "9"),
    ("analysisWe think 3.assistantfinal9", "9"),
    ("<think>3</think>台<think>4</think>北", "台北"),
    ("<think>a<think>b</think>c</think>9", "9"),
    ("<thinking><reflection>x</reflection>3</thinking>9", "9"),
    ("<thinking><reflection>x</reflection>3", ""),
    ("<think/>9", "9"),
    ("<think>```py\n3\n</think>\n9 ```4``` 5", "9 ```4``` 5"),
    ("<think>it ends with `</think>` and 3</think>9", "9"),
    ("```\n<think>3</think>\n9\n```", "9"),
    ("<reason>3</reason>9", "9"),
    ("<antThinking>3</antThinking>9", "9"),
    ("<thought_process>3</thought_process>9", "9"),
    ("<longcat_think>3</longcat_think>9", "9"),
    ("<inner_thoughts>3", ""),
    ("<rationale>3</rationale>9", "9"),
    ("<思考>3</思考>9", "9"),
    ("<think>3＜／think＞9", "9"),
    ("&lt;think&gt;3&lt;/think&gt;9", "9"),
    ("\\<think\\>3\\</think\\>9", "9"),
    ("<|thinking_start|>3<|thinking_end|>9", "9"),
    ("<|begin▁of▁thinking|>3<|end▁of▁thinking|>9", "9"),
    ("<|inner_prefix|>3<|inner_suffix|>9", "9"),
    ("<|channel>thought\n3<channel|>9", "9"),
    ("<unused94>thought\n3<unused95>9", "9"),
    ("<unused94>thought\n3", ""),
    ("【思考】3【/思考】9", "9"),
    ("【思考過程】3【思考結束】9", "9"),
    ("Here is my thought process:\n3\nHere is my response:\n9", "9"),
    ("Here's my thought process:\n3", ""),
    ("Thinking...\n3\n...done thinking.\n\n9", "9"),
]
WHOLE = [
    "台北。\n",
    "The tag `<think>` opens it.",
    "```html\n<p>\n<think>3</think>\n```\n9",
    "I <think it is a < b",
    "[think] twice",
    "<thinker>9</thinker>",
    "assistantfinal analysis",
    "【思考】為什麼天空是藍的？",
    "【推理】小說\n【/推理小說】",
    "Thinking...\nstill",
    "He said: Here is my thought process: none.",
    "<reasons>9</reasons>",
    "channel|> <channel>9</channel>",
]


@pytest.mark.parametrize(("text", "left"), CUT)
def test_reasoning_is_cut(text, left):
    assert spoken(text) == left


@pytest.mark.parametrize("text", WHOLE)
def test_what_is_no_reasoning_stays_to_the_letter(text):
    assert spoken(text) == text


@pytest.mark.parametrize(
    "unit", ["<think>", "</think>", "<", "`", "```", "<think>a</think>`", "analysis", "【思考】", "&lt;think&gt;", "a_"]
)
def test_long_texts_are_read_in_linear_time(unit):
    began = time.process_time()
    spoken(unit * (100_000 // len(unit)))
    assert time.process_time() - began < 2


def answered(text):
    return {"turns": [{"answer": text, "finish_reason": "stop"}]}


SUMS = Benchmark(name="b", path="-", shape="gsm8k", metric="number")


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("<think>#### 12</think>\n#### 18", 1.0),
        ("<thinking>#### 12\n</thinking>\n18", 1.0),
        ("It is 12? Is it?\n#### 12\n</think>\n#### 18", 1.0),
        ("<think>#### 18", 0.0),
    ],
)
def test_metrics_see_no_reasoning(text, exact):
    item = Item("q", "b", ["9 + 9?"], golds=["18"])
    assert outcome(SUMS, item, answered(text), [], 0).measures["exact_match"] == exact


@pytest.mark.parametrize(
    ("text", "label", "ruling"),
    [
        ("<think>The user asks for the capital of Taiwan.</think>台北是台灣的首都。", "traditional", "ok"),
        ("◁think▷The user asks for it, so I will say it.◁/think▷台北是台灣的首都。", "traditional", "ok"),
        ("<think>台灣的首都是台北。</think>The capital of it is Taipei.", "english", "violation"),
    ],
)
def test_the_language_rule_sees_no_reasoning(text, label, ruling):
    item = Item("q", "b", ["首都？"], language="zh-Hant", golds=["台北"])
    found = outcome(SUMS, item, answered(text), [], 0)
    assert (found.language, found.ruling) == (label, ruling)
