"""Exact match and F1: cases worked out by hand, and agreement with scorers that others wrote on all of XQuAD."""

import gzip
import importlib
import json
import random
import unicodedata
from collections import defaultdict

import pytest

from bailong.evaluate.benchmark.extractive import contains, exact_match, f1, match, score, tokens


def test_what_counts_of_an_answer():
    assert tokens("The “Eiffel” Tower, (Paris)!", "en") == ("eiffel", "tower", "paris")
    assert tokens("the", "en") == ()
    assert tokens("theatre an", "en") == ("theatre",)
    assert tokens("The Hague", "zh-Hant") == ("the", "hague")
    assert tokens("《三國演義》，共120回。", "zh-Hant") == ("三", "國", "演", "義", "共", "120", "回")
    assert tokens("＄５００（約）", "zh-Hant") == ("500", "約")
    assert tokens("iPhone 15手機", "zh-Hans") == ("iphone", "15", "手", "機")
    assert tokens("東京タワー", "ja") == ("東", "京", "タ", "ワ", "ー")
    assert tokens("𠮷野家", "zh-Hant") == ("𠮷", "野", "家")
    assert tokens("el perro", "es") == ("perro",)
    assert tokens("der Hund", "de-DE") == ("hund",)
    assert tokens("the dog", "tr") == ("the", "dog")


@pytest.mark.parametrize(
    ("answer", "gold", "language"),
    [
        ("Cafe\u0301 Zoe\u0308", "Café Zoë", "fr"),
        ("một nghìn", unicodedata.normalize("NFD", "một nghìn"), "vi"),
        (unicodedata.normalize("NFD", "서울"), "서울", "ko"),
        ("か\u3099っこう", "がっこう", "ja"),
        ("\u200e1066\u200f", "1066", "he"),
        ("Pa\u200bris", "\ufeffParis", "en"),
        ("Donau\u00addampfer", "Donaudampfer", "de"),
        ("\u2067القاهرة\u2069", "القاهرة", "ar"),
        ("می\u200cرود", "میرود", "fa"),
        ("İSTANBUL", "istanbul", "tr"),
        ("I\u0307stanbul", "istanbul", "tr-TR"),
        ("IRMAK", "ırmak", "tr"),
        ("BAKI", "Bakı", "az"),
        ("İstanbul", "istanbul", "en"),
        ("１９４５年", "1945 年", "zh-Hant"),
        ("ＮＢＡ", "nba", "ja"),
        ("ｶﾞﾝ", "ガン", "ja"),
        ("２０명", "20명", "ko"),
        ("\u200b%", "%", "en"),
        ("％", "%", "zh-Hant"),
    ],
)
def test_one_answer_in_two_forms_is_one_answer(answer, gold, language):
    best = {"exact_match": 1, "f1": 1, "contains": 1, "match": gold.lower() in answer.lower()}
    assert score(answer, [gold], language) == best
    assert score(gold, [answer], language) == best | {"match": answer.lower() in gold.lower()}


def test_what_a_language_tells_apart_stays_apart():
    assert exact_match("IRMAK", "irmak", "tr") == 0 == exact_match("kız", "kiz", "az")
    assert exact_match("IRMAK", "irmak", "en") == 1
    assert exact_match("２", "2", "en") == 0 == exact_match("cafe", "café", "fr")


def test_f1_counts_characters_of_chinese_and_words_of_english():
    assert f1("台北市", "台北", "zh-Hant") == pytest.approx(0.8)
    assert f1("in Paris France", "Paris", "en") == pytest.approx(0.5)
    assert f1("aa bb", "aa aa bb", "en") == pytest.approx(0.8)
    assert f1("北台", "台北", "zh-Hant") == 1 and exact_match("北台", "台北", "zh-Hant") == 0
    assert f1("東京", "台北", "zh-Hant") == 0


def test_the_best_of_all_accepted_answers_counts():
    best = {"exact_match": 1, "f1": 1, "contains": 1}
    assert score("1945年", ["八月", "1945 年"], "zh-Hant") == best | {"match": 0}, "but the first one alone is matched"
    found = score("答案是八月十五日", ["八月十五日", "八月"], "zh-Hant")
    assert found == {"exact_match": 0, "f1": pytest.approx(10 / 13), "contains": 1, "match": 1}


def test_empty_answers_match_nothing_that_says_something():
    nothing = {"exact_match": 0, "f1": 0, "contains": 0, "match": 0}
    assert score("", ["台北"], "zh-Hant") == score("。！", ["台北"], "zh-Hant") == nothing
    # a gold answer of punctuation or articles alone is compared as it is written
    assert score("%", ["%"], "en")["exact_match"] == score("the", [" the "], "en")["f1"] == 1
    assert score("", ["%"], "en") == score("!", ["%"], "en") == nothing


def test_contained_means_token_by_token():
    assert contains("in 1066 or so", "10", "en") == 0
    assert contains("西元1066年", "10", "zh-Hant") == 0
    assert contains("西元 10 年", "10", "zh-Hant") == 1
    assert contains("答案是台北市。", "台北", "zh-Hant") == 1


def test_a_match_is_a_part_letter_by_letter():
    assert match("It was in 1066.", "10") == match("PARIS, France", "paris") == match("Ελλάδα.", "ΕΛΛΆΔΑ") == 1
    assert match("1 066", "1066") == match("ｐａｒｉｓ", "paris") == match("", "a") == 0


# Agreement with others on real data.


def questions(real_data, language):
    path = next(iter(sorted((real_data / "xquad").glob(f"xquad.{language}.json*"))), None)
    if path is None:
        pytest.skip("no XQuAD here")
    data = path.read_bytes()
    found = json.loads((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig"))
    return [
        (paragraph["context"], [answer["text"] for answer in qa["answers"]], qa["answers"][0]["answer_start"])
        for document in found["data"]
        for paragraph in document["paragraphs"]
        for qa in paragraph["qas"]
    ]


def perturbed(rows, language):
    """(perturbation, prediction, accepted answers): ten predictions for each question."""
    english = language == "en"
    for i, (context, golds, start) in enumerate(rows):
        gold, generator = golds[0], random.Random(i)
        parts = gold.split() if english else list(gold)
        generator.shuffle(parts)
        predictions = {
            "gold": gold,
            "quoted": f'"{gold}".' if english else f"「{gold}」。",
            "case": gold.swapcase(),
            "function words": f"the {gold} and an apple" if english else f"是{gold}的",
            "first half": gold[: (len(gold) + 1) // 2],
            "in context": context[max(0, start - 12) : start + len(gold) + 12],
            "shuffled": (" " if english else "").join(parts),
            "of the next question": rows[(i + 1) % len(rows)][1][0],
            "empty": "",
            "twice in a sentence": f"The answer is: {gold}, {gold}!" if english else f"答案：{gold}，{gold}！",
        }
        for name, prediction in predictions.items():
            yield name, prediction, golds


def compared(rows, language, em, of):
    """Number of predictions that both score alike, and the others."""
    same, others = 0, defaultdict(list)
    for name, prediction, golds in perturbed(rows, language):
        found = score(prediction, golds, language)
        theirs = max(float(em(prediction, gold)) for gold in golds), max(float(of(prediction, gold)) for gold in golds)
        if found["exact_match"] == theirs[0] and abs(found["f1"] - theirs[1]) < 1e-6:
            same += 1
        else:
            others[name].append((prediction, golds))
    return same, others


@pytest.mark.parametrize(("language", "otherwise"), [("en", 0), ("zh", 1), ("ar", 1), ("hi", 1), ("vi", 0)])
def test_agrees_with_the_mlqa_scorer_of_lm_evaluation_harness(real_data, language, otherwise):
    """The one that lm-eval 0.4 ships for its MLQA tasks; runs where lm-eval is installed."""
    theirs = pytest.importorskip("lm_eval.tasks.mlqa.utils")
    rows = questions(real_data, language)
    same, others = compared(
        rows,
        language,
        lambda prediction, gold: theirs.exact_match_score(prediction, gold, language),
        lambda prediction, gold: theirs.f1_score(prediction, gold, language),
    )
    # theirs keeps a byte order mark in a word
    left = [prediction for cases in others.values() for prediction, _ in cases]
    assert (len(rows), same + len(left), len(left)) == (1190, 11_900, otherwise)
    assert all("\ufeff" in prediction for prediction in left)


def test_agrees_with_torchmetrics_in_english(real_data):
    """torchmetrics follows SQuAD 1.1, where only ASCII punctuation is dropped: where there is other, rules differ."""
    theirs = importlib.import_module("torchmetrics.functional.text.squad")
    rows = questions(real_data, "en")
    same, others = compared(rows, "en", theirs._compute_exact_match_score, theirs._compute_f1_score)
    left = [case for cases in others.values() for case in cases]
    assert (len(rows), same + len(left), len(left)) == (1190, 11_900, 7)
    for prediction, golds in left:
        assert any(ord(c) > 127 and unicodedata.category(c)[0] == "P" for c in "".join([prediction, *golds]))


def plain_scorer(prediction, gold):
    """(EM, F1) for Chinese, written another way: characters are sorted into a list one by one, then struck out."""

    def units(text):
        found, word = [], ""
        for c in [*text.lower(), " "]:
            category = unicodedata.category(c)
            if category == "Cf" or category[0] == "P" or c in "$+<=>^`|~":
                continue
            if c.isspace() or unicodedata.name(c, "").startswith("CJK UNIFIED IDEOGRAPH"):
                found += [word] * bool(word) + [c] * (not c.isspace())
                word = ""
            else:
                word += c
        return found

    given, wanted = units(prediction), units(gold)
    left, shared = list(wanted), 0
    for unit in given:
        if unit in left:
            left.remove(unit)
            shared += 1
    if not shared:
        return float(given == wanted), 0.0
    precision, recall = shared / len(given), shared / len(wanted)
    return float(given == wanted), 2 / (1 / precision + 1 / recall)


def test_agrees_with_a_plain_scorer_in_chinese(real_data):
    """None of our dependencies scores Chinese: this scorer was written for the test; lm-eval is the other witness."""
    rows = questions(real_data, "zh")
    same, others = compared(rows, "zh", lambda *pair: plain_scorer(*pair)[0], lambda *pair: plain_scorer(*pair)[1])
    assert (len(rows), same, dict(others)) == (1190, 11_900, {})
