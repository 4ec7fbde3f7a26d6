"""The language rule: on sentences made for it, and its errors on real text."""

import json

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.language import language_of, verdict

LABELLED = [
    ("台灣的首都是臺北，這裡有許多夜市。", "traditional"),
    ("台湾的首都是台北，这里有许多夜市。", "simplified"),
    ("國會", "traditional"),
    ("国会", "simplified"),
    ("The capital of Taiwan is Taipei.", "english"),
    ("Yes, I can help you with that.", "english"),
    ("Dear [上司的名字], I hope this message finds you well. I am not feeling well today.", "english"),
    ("使用 Google Cloud Platform 的 API Gateway 服務時，請先啟用 IAM。", "traditional"),
    ("使用 Google Cloud Platform 的 API Gateway 服务时，请先启用 IAM。", "simplified"),
    ("東京は日本の首都であり、人口が最も多い都市です。", "other"),
    ("서울은 대한민국의 수도이다.", "other"),
    ("Москва является столицей России.", "other"),
    ("Ankara, Türkiye'nin başkenti ve en kalabalık ikinci şehridir.", "other"),
    ("Thủ đô của Việt Nam là Hà Nội, một thành phố lớn.", "other"),
    ("La fenêtre était fermée parce qu'il avait gelé pendant la nuit à Genève.", "other"),
    ("", "undetermined"),
    ("1945", "undetermined"),
    ("3.14159 × 2 = 6.28", "undetermined"),
    ("日本", "undetermined"),
    ("New York City", "undetermined"),
    ("iPhone", "undetermined"),
    ("https://example.com/the/of/and/is", "undetermined"),
    # a name, an old variant, a character that both scripts use
    ("這位是庄司先生，他在新莊開了一家麵店，賣的是自己熏的魚。", "traditional"),
    ("皇后在台上看著他的丑角演出，後來隻身離開了。", "traditional"),
    # one sentence slips
    (
        "這是繁體中文的第一句。但是这句话说错了语言。後面又回到繁體中文，而且寫得很長，長得足以蓋過前面那一句。",
        "simplified",
    ),
    # code and quotations are not the answer's language
    ("請執行以下程式：\n```python\n# 这里读取数据并输出结果\nprint('这是结果')\n```\n它會印出結果。", "traditional"),
    ("在簡體中文裡，這個詞寫作「软件质量保证」，台灣則說軟體品質保證。", "traditional"),
    ("他的書《The Art of Doing Science and Engineering》值得一讀。", "traditional"),
    ("「这个问题没有答案」", "simplified"),
    ("答案是 $\\frac{a}{b} = \\text{the sum of all}$，所以選第二個選項。", "traditional"),
    ("注音是 ㄅㄆㄇㄈ，請跟著唸。", "traditional"),
    ("漫畫家おとうさん的作品《我家的魔王不會咬人》在台灣發行。", "traditional"),
]


@pytest.mark.parametrize(("text", "label"), LABELLED)
def test_labels(text, label):
    assert language_of(text).label == label


def item(language="zh-Hant", **more):
    return Item("q", "bench", ["問"], answer_language=language, **more)


CHINESE, SIMPLIFIED, ENGLISH = "這個問題沒有答案。", "这个问题没有答案。", "There is no answer to this question."


@pytest.mark.parametrize(
    ("language", "answers", "status", "label"),
    [
        ("zh-Hant", [CHINESE], "ok", "traditional"),
        ("zh-Hant", [SIMPLIFIED], "violation", "simplified"),
        ("zh-Hant", [ENGLISH], "violation", "english"),
        ("zh-Hant", ["1945"], "undetermined", "undetermined"),
        ("zh-Hant", [""], "undetermined", "undetermined"),
        ("en", [ENGLISH], "ok", "english"),
        ("en", [CHINESE], "violation", "traditional"),
        ("zh-Hans", [SIMPLIFIED], "ok", "simplified"),
        ("zh-Hans", [CHINESE], "violation", "traditional"),
        ("zh-Hant", [CHINESE, SIMPLIFIED, CHINESE], "violation", "simplified"),
        ("zh-Hant", ["42", CHINESE], "ok", "traditional"),
        ("fr", [ENGLISH], "undetermined", "english"),
    ],
)
def test_verdicts(language, answers, status, label):
    assert verdict(item(language), answers)[:2] == (status, label)


def test_a_translation_is_exempt():
    assert verdict(item(language_free=True), [ENGLISH])[:2] == ("exempt", "english")


def test_without_an_answer_language_the_question_s_counts():
    assert verdict(Item("q", "bench", ["Why?"], language="en"), [CHINESE]).status == "violation"


def test_a_violation_says_why():
    ruling = verdict(item(), [CHINESE, SIMPLIFIED])
    assert ruling.reason == "turn 2: simplified (5 Simplified, 0 Traditional of 8 characters), not traditional"


def test_errors_on_real_text(real_data):
    """False positives at most 1 % of paragraphs, recall at least 99 % on their Simplified conversion."""
    import opencc

    articles = json.loads((real_data / "drcd" / "DRCD_dev.json").read_text(encoding="utf-8-sig"))["data"]
    paragraphs = [p["context"] for article in articles for p in article["paragraphs"]]
    assert len(paragraphs) == 1000
    assert share(paragraphs) <= 0.01
    for config in ("tw2s", "t2s"):
        assert share(map(opencc.OpenCC(config).convert, paragraphs)) >= 0.99


def share(texts):
    found = [language_of(text).label == "simplified" for text in texts]
    return sum(found) / len(found)
