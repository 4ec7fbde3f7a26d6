"""The judge and the questions in the language of a benchmark, where there are prompts in it."""

import pytest

from bailong.api.settings import Api
from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.benchmark.preface import FOLDER, Preface
from bailong.evaluate.benchmark.settings import Benchmark
from bailong.evaluate.judge import pairwise, rating, single
from bailong.evaluate.judge.settings import Judge
from bailong.evaluate.judge.template import FOLDER as TEMPLATES
from bailong.evaluate.judge.template import LANGUAGES, SENTENCES, load, prompts, spoken_to

ITEM = Item("q", "b", ["Başkent neresidir?"], references=["Ankara"])
TURNS = Item("t", "b", ["Bir?", "İki?"])


def judge(**knobs):
    return Judge(name="j", api=Api(name="a", model="m"), **knobs)


def benchmark(language, template="single", **more):
    return Benchmark(name="b", path="x", shape="bench", template=template, language=language, **more)


@pytest.mark.parametrize(
    ("asked", "language", "expected"),
    [
        (None, "zh-Hant", "zh"),
        (None, "tr", "tr"),
        (None, "tr-TR", "tr"),
        (None, "en", "en"),
        (None, "hi", "en"),
        ("tr", "zh-Hant", "tr"),
        ("zh-Hant", "tr", "zh"),
        ("Turkish", "en", "tr"),
    ],
)
def test_the_judge_is_spoken_to_in_the_language_of_its_settings_or_of_the_benchmark(asked, language, expected):
    assert spoken_to(asked, language) == expected
    (request,) = single.requests(judge(language=asked), benchmark(language), [(ITEM, ["Ankara."])])
    assert request.prompt.template == f"single{LANGUAGES[expected]}"


@pytest.mark.parametrize("language", ["en", "tr"])
def test_every_route_has_its_prompt_and_asks_again_in_its_language(language):
    ending = LANGUAGES[language]
    for route, item, answers in (
        ("single", ITEM, ["Ankara."]),
        ("reference", ITEM, ["Ankara."]),
        ("by_turns", TURNS, ["Yanıt bir.", "Yanıt iki."]),
    ):
        (prompt,) = prompts(route, item, answers, language)
        assert prompt.template.endswith(ending) and prompt.scale == (0, 10, False)
        assert all(text in prompt.text for text in (*item.prompts, *answers)) and "{" not in prompt.text
        assert not any("\u4e00" <= sign <= "\u9fff" for sign in prompt.text + prompt.again)
        assert "[[x]]" in prompt.again and " 10" in prompt.again
        assert rating.parse(prompt.text, low=0, high=10).score is None, "an example in the prompt is no rating"
    assert prompts("reference", ITEM, ["?"], language)[0].text.count("Ankara") == 1
    (first, _) = pairwise.requests(judge(language=language), benchmark("zh-Hant"), [(ITEM, ["A"], ["B"])], "other")
    assert first.prompt.template == f"pairwise{ending}" and "[[C]]" in first.prompt.again


def test_mt_bench_stays_english_and_the_paper_s_prompts_stay_the_paper_s():
    two = ["Q1", "Q2"]
    for route in ("mt_bench", "mt_bench_bailong"):
        for prompt in prompts(route, Item("q", "b", two), two, "tr"):
            assert prompt.template in ("mt_bench_1", "mt_bench_2", "mt_bench_bailong")
    assert prompts("single", ITEM, ["?"]) == prompts("single", ITEM, ["?"], "zh")
    assert load("single").prompt.startswith("請充當一位公正的評審")


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Yanıt doğru ve kısa.\nPuan: [[8]]", 8),
        ("Puan: 7", 7),
        ("Yanıt eksik.\n\n**Puanım: 6/10**", 6),
        ('Örneğin "Puan: [[5]]" biçiminde yazılır. Puan: [[9]]', 9),
    ],
)
def test_a_rating_in_turkish_is_read(reply, score):
    assert rating.parse(reply, low=0, high=10).score == score


def test_a_verdict_in_turkish_is_read():
    assert pairwise.parse("İkincisi daha ayrıntılı.\n[[B]]").choice == "second"
    assert pairwise.parse("Karar: A").choice == "first"


def test_a_judge_without_prompts_in_a_language_is_refused():
    with pytest.raises(ValueError, match="judge.language=hi.*zh-Hant, en, tr"):
        judge(language="hi")


@pytest.mark.parametrize("kind", ["reading", "math", "sentiment", "summary", "trivia"])
def test_questions_are_asked_in_the_language_of_the_benchmark(kind):
    texts = {}
    for language, tag in (("zh-Hant", "zh_hant"), ("zh-TW", "zh_hant"), ("en", "en"), ("tr-TR", "tr")):
        made = Preface(benchmark(language, prompt=kind))
        assert made.template == (FOLDER / f"{kind}_{tag}.txt").read_text(encoding="utf-8").rstrip("\n")
        texts[tag] = made.template
    assert len(set(texts.values())) == 3
    assert Preface(benchmark("tr", prompt=f"{kind}_en")).template == texts["en"]
    with pytest.raises(
        ValueError, match=rf"prompt={kind} is not written in sw: there are .*en, .*tr, .*zh_hant; give a file"
    ):
        Preface(benchmark("sw", prompt=kind))


ASKED = Item("q", "b", ["為什麼？"], language="zh-Hant", references=["因為"])


def asked(speaking, item=ASKED, template="single", **languages):
    made = benchmark(languages.pop("of", "zh-Hant"), template, **languages)
    given = ["Cevap."] * len(item.prompts)
    (rated,) = single.requests(judge(language=speaking), made, [(item, given)])
    compared, _ = pairwise.requests(judge(language=speaking), made, [(item, given, given)], "other")
    return rated.prompt.text, compared.prompt.text


@pytest.mark.parametrize(
    ("speaking", "english", "simplified"),
    [
        ("zh-Hant", "英文", "簡體中文"),
        ("en", "English", "Simplified Chinese"),
        ("tr", "İngilizce", "Basitleştirilmiş Çince"),
    ],
)
@pytest.mark.parametrize("template", ["single", "reference", "by_turns"])
def test_the_judge_asks_for_the_language_that_the_benchmark_asks_for(speaking, english, simplified, template):
    turns = ASKED if template != "by_turns" else Item("q", "b", ["一？", "二？"], language="zh-Hant")
    usual = asked(speaking, turns, template)
    for asks, name in (("en", english), ("en-GB", english), ("zh-Hans", simplified), ("zh-CN", simplified)):
        for text, before in zip(asked(speaking, turns, template, answer_language=asks), usual, strict=True):
            assert name in text and text != before
            assert "絕對不能出現" not in text and "必須是繁體中文" not in text and "助理用英語" not in text
            assert "sorunun dilinde" not in text and "must be in the language of" not in text and "  " not in text
    for text, before in zip(asked(speaking, turns, template, answer_language="any"), usual, strict=True):
        assert len(text) < len(before) and "  " not in text
        assert not any(word in text for word in ("簡體", "英語", "用戶的語言", "language", " dil"))
    for same in (None, "zh-Hant", "zh-TW"):
        assert asked(speaking, turns, template, answer_language=same) == usual
    question = Item("q", "b", turns.prompts, language="zh-Hans", references=turns.references)
    for text in asked(speaking, question, template, of="zh-Hans"):
        assert simplified in text and "絕對不能" not in text and "必須是繁體" not in text


def test_a_row_that_is_free_or_of_its_own_language_is_judged_as_before_without_a_setting():
    english = Item("q", "b", ["Why?"], language="en", answer_language="en")
    free = Item("q", "b", ["翻譯"], language="zh-Hant", answer_language="en", language_free=True)
    for item in (english, free):
        (prompt,) = prompts("single", item, ["Cevap."])
        assert asked("zh-Hant", item)[0] == prompt.text and "絕對不能出現簡體中文" in prompt.text
        assert "不論用戶以何種語言" not in asked("zh-Hant", free, answer_language="tr")[0]
    to_turkish = Item("q", "b", ["Why?"], language="en", answer_language="tr")
    assert "土耳其文" in asked("zh-Hant", to_turkish, answer_language="tr")[0]
    assert (
        "in Turkish," in asked(None, Item("q", "b", ["Q", "R"]), "mt_bench_bailong", of="en", answer_language="tr")[0]
    )
    assert (
        "banned" not in asked(None, Item("q", "b", ["Q", "R"]), "mt_bench_bailong", of="en", answer_language="any")[0]
    )


def test_the_sentences_on_language_stand_in_the_templates_as_they_are_known():
    for path in TEMPLATES.glob("*.txt"):
        name, _, ending = path.stem.partition("_english")[0].partition("_turkish")
        if part := SENTENCES.get(name):
            ending = "_english" if name == "mt_bench_bailong" else path.stem[len(name) :]
            said = load(f"language{ending}").parts[part]
            assert load(path.stem).prompt.count(said) == 1, path.stem
            assert "{language}" in load(f"asked{ending}").parts[part]
