"""The judge of 1 to 5 behind two worked examples: its prompts, its scale, and what its replies look like."""

import re

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge import single
from bailong.evaluate.judge.rating import parse
from bailong.evaluate.judge.reading import Shown
from bailong.evaluate.judge.template import LANGUAGES, Scale, load, prompts, scale_of
from bailong.evaluate.settings import Benchmark
from bailong.text.script import tables
from tests.api.server import Scripted
from tests.evaluate.judge.test_single import judged, settings

FIVE = Scale(1, 5, whole=True)
ITEM = Item("q", "b", ["第一個問題"])
DIALOGUE = Item("t", "b", ["第一個問題", "第二個問題"])


def benchmark(language="zh-Hant", **more):
    return Benchmark(name="b", path="x", shape="mt_bench", template="two_shot", language=language, **more)


def read(text, finish="stop", shown=Shown()):  # noqa: B008
    return parse(text, finish, *FIVE[:2], shown, whole=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_examples_keep_to_the_scale_and_are_no_rating_of_the_answer(language):
    (prompt,) = prompts("two_shot", ITEM, ["某個回答"], language)
    assert prompt.template == f"two_shot{LANGUAGES[language]}" and prompt.scale == FIVE == scale_of("two_shot")
    given = [float(found) for found in re.findall(r"\[\[([0-9.]+)\]\]", prompt.text)]
    assert given == [4, 1], "two examples; the paper's second one gave 0 on a scale that begins at 1"
    assert prompt.text.count("第一個問題") == prompt.text.count("某個回答") == 1 and "{" not in prompt.text
    assert read(prompt.text, shown=Shown(prompt.text)).status == "parse_error", "a judge that repeats its prompt"
    assert "[[x]]" in prompt.again and "1" in prompt.again and "5" in prompt.again and "10" not in prompt.again


def test_examples_in_chinese_are_in_both_scripts():
    """An example in Traditional Chinese would contradict a prompt that wants answers in Simplified, and the reverse."""
    prompt = load("two_shot").prompt
    shown = re.findall(r"(?:用戶|助手)：\n(.+)\n", prompt)
    simplified, _, traditional = tables()
    assert len(shown) == 4 and not simplified.search("".join(shown)) and not traditional.search("".join(shown))


@pytest.mark.parametrize(
    ("judge", "language", "asked", "wanted"),
    [
        ("zh-Hant", "zh-Hans", None, "簡體中文：使用其他語言的回答一律給1分"),
        ("zh-Hant", "zh-Hant", None, "必須和提問的語言相同：使用其他語言的回答一律給1分"),
        ("en", "zh-Hans", None, "must be in Simplified Chinese"),
        ("en", "tr", None, "must be in the language of the question: one in another language gets 1"),
        ("tr", "en", "tr", "yanıtın dili Türkçe olmalıdır: başka bir dildeki yanıta 1 ver"),
    ],
)
def test_another_language_gets_the_least_of_the_scale(judge, language, asked, wanted):
    made = benchmark(language, answer_language=asked)
    item = Item("q", "b", ["?"], language=language)
    with Scripted("") as server:
        (request,) = single.requests(settings(server, language=judge), made, [(item, ["!"])])
    assert wanted in request.prompt.text
    assert not re.search("0分|gets 0|yanıta 0", request.prompt.text)


def test_each_turn_has_a_verdict_of_what_came_before_it(tmp_path):
    first, second = prompts("two_shot", DIALOGUE, ["回答甲", "回答乙"])
    assert (first.turn, second.turn) == (1, 2)
    assert "回答甲" in first.text and "第二個問題" not in first.text and "回答乙" not in first.text
    assert all(text in second.text for text in ("第一個問題", "回答甲", "第二個問題", "回答乙"))
    with Scripted(lambda body: "[[5]]" if "乙" in body["messages"][0]["content"] else "[[2]]") as server:
        rows = judged(server, tmp_path, [(DIALOGUE, ["甲", "乙"])], benchmark(), samples=2, temperature=1.0)
    assert len(rows) == 4 and single.item_scores(rows, 1) == {"t": (3.5, "ok", 3.5)}
    rows[0] |= {"score": None, "status": "parse_error"}
    assert single.item_scores(rows, 1)["t"].floor == (1.5 + 5) / 2, "a failure counts as 1, the least"


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("[[5]]", 5),
        ("評分：4", 4),
        ("評分：[[4]]", 4),
        ("4/5", 4),
        ("評分：4/5", 4),
        ("[[4/5]]", 4),
        ("[[4]]/5", 4),
        ("评分：【【3】】", 3),
        ("評分：３分（滿分5分）", 3),
        ("5分滿分，評分：4分", 4),
        ("5 üzerinden 4", 4),
        ("5 üzerinden [[4]]", 4),
        ("Puan: 5 üzerinden 4", 4),
        ("Bu yanıta 5 üzerinden 2 veriyorum, çünkü eksik.", 2),
        ("Yanıt iyi ama kısa: 5 üzerinden 3 puan.", 3),
        ("Rating: 5 out of 5", 5),
        ('{"rating": 2}', 2),
        ("1", 1),
        ("[[4.0]]", 4),
    ],
)
def test_of_five(reply, score):
    found = read(reply)
    usual = re.search(r"\[\[[0-9.]+\]\]", reply)
    assert (found.score, found.status) == (score, "ok" if usual else "repaired")


@pytest.mark.parametrize(
    "reply", ["[[0]]", "[[6]]", "評分：[[0]]", "評分：6", "[[4.5]]", "Rating: 3.5", "[[8/10]]", "Puan: 10 üzerinden 4"]
)
def test_off_the_scale_is_no_score(reply):
    assert (read(reply).status, read(reply).score) == ("out_of_range", None)


@pytest.mark.parametrize(
    ("reply", "finish", "status"),
    [
        ("5 üzerinden değerlendirdim.", "stop", "parse_error"),
        ("Puan: 5 üzerinden dört", "stop", "parse_error"),
        ("滿分5分", "stop", "parse_error"),
        ("評分：5分滿分", "stop", "parse_error"),
        ("[[4]]或[[5]]", "stop", "parse_error"),
        ("評分：3-4", "stop", "parse_error"),
        ("這個回答", "length", "truncated"),
    ],
)
def test_a_scale_without_a_rating_is_none(reply, finish, status):
    assert (read(reply, finish).status, read(reply, finish).score) == (status, None)


def test_ten_is_read_as_before_in_turkish():
    assert parse("Puan: 10 üzerinden 8").score == 8 and parse("8/10").score == 8
    assert parse("Puan: 10 üzerinden 8,5").status == "parse_error", "no 8: asked once more"
    assert parse("Öğrencilerin 100 üzerinden 70 aldığı sınav. Puan: [[3]]").score == 3
