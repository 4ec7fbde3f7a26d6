"""The language rule: on sentences made for it, and its errors on real text."""

import gzip
import json
import random
import re
import time
import unicodedata
from collections import Counter

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.language import verdict
from bailong.text.spoken.identify import language_of
from bailong.text.spoken.trace import Trace

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
    ("「台湾の首都は台北です」", "other"),
    ("這個東西很貴。这个问题很难。後來就沒有了，真是遺憾。", "simplified"),
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
        ("fr", [ENGLISH], "violation", "english"),
        ("qaa", [ENGLISH], "undetermined", "english"),
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


# --- what is no prose --------------------------------------------------------------------------------

NO_PROSE = [
    "ㄋㄧˇ ㄏㄠˇ",
    "ㄒㄧㄝˋ ˙ㄒㄧㄝ",
    "https://zh.wikipedia.org/wiki/台湾",
    "zh.wikipedia.org/wiki/中国_(国家)?action=编辑",
    "www.baidu.com/s?wd=简体",
    "zhang@example.com",
    "/srv/用户/数据/汇总.csv",
    "C:\\Users\\张三\\文档\\报告.docx",
    "https://zh.wikipedia.org/wiki/%E5%8F%B0%E6%B9%BE",
    "2公厘",
    "新庄",
    "for i in range(10):\n    print(i)",
    "import numpy as np\n# 这里读取数据\nx = np.array([1, 2, 3])\nfor i in x:\n    print('这是结果', i)",
    "SELECT name FROM users WHERE age > 18 ORDER BY name;",
    "int main() { return 0; }",
    "```python\nprint('这')\n```",
    "CO2 + H2O → H2CO3",
    "α + β = 180°",
    "a + b + a + c = 2a",
    "π",
    "/ˈteɪ.pei/",
    "A",
    "42",
    "😀😀",
    "¯\\_(ツ)_/¯",
    "The Lord of the Rings",
    "1. Spirited Away\n2. The Wind Rises\n3. My Neighbor Totoro",
    "Wang Li, Zhang Wei, Chen Hao",
    "Don Quixote de la Mancha",
]
FRAMED = [
    "他喜歡《The Lord of the Rings》、《Harry Potter and the Philosopher's Stone》和《The Hobbit》。",
    "他喜歡 The Lord of the Rings、Harry Potter and the Philosopher's Stone 和 The Hobbit。",
    "宮崎駿的作品：\n1. Spirited Away\n2. The Wind Rises\n3. The Boy and the Heron",
    "推薦 iPhone 15 Pro Max、Samsung Galaxy S24 Ultra 和 Google Pixel 8。",
    "這是自然語言處理（natural language processing of the text and the speech）。",
    "拼音是 nǐ hǎo，意思是問好。",
    "讀音為 Wǒ shì Táiwān rén, wǒ ài chī niúròu miàn, xièxie nǐ.",
    "請執行：\n\nfor (int i = 0; i < 10; i++) {\n    // 输出结果\n    System.out.println(i);\n}\n\n即可看到結果。",
    "有朋自遠方來，不亦說乎？",
    "| Name | Price | Stock | Unit |\n|---|---|---|---|\n| 蘋果 | 30 | 5 | kg |",
    "| item name | unit price | number of units |\n|---|---|---|\n| 蘋果 | 3 | 4 |\n| 麵 | 5 | 6 |",
    "「学校」（がっこう）是日文，寫作學校。",
    "「ありがとう」的意思是「謝謝」，「こんにちは」是「你好」。",
    "「カラオケ」與「ラーメン」的中文是「卡拉OK」與「拉麵」。",
]


@pytest.mark.parametrize("text", NO_PROSE)
def test_what_is_no_prose_is_no_violation(text):
    assert verdict(item(), [text])[:2] == ("undetermined", "undetermined")


@pytest.mark.parametrize("text", FRAMED)
def test_a_chinese_sentence_may_hold_names_terms_and_readings(text):
    ruling = verdict(item(), [text])
    assert ruling[:2] == ("ok", "traditional") and ruling.trace == Trace()


def test_an_english_sentence_with_chinese_names_is_english():
    for text in (
        "Taiwan (台灣) is an island. New Taipei City (新北市) is big.",
        "Dear [上司的名字], I hope this message finds you well. I am not feeling well today.",
        "The code is x = 3, and it is what the author of the book wrote about 學校.",
    ):
        assert verdict(item(), [text])[:2] == ("violation", "english"), text


# --- languages in Latin letters ----------------------------------------------------------------------

LATIN = [
    ("Ni hao, wo shi Taiwan ren", "pinyin"),
    ("Wo xihuan chi niurou mian.", "pinyin"),
    ("ni3 hao3, wo3 shi4 Tai2wan1 ren2", "pinyin"),
    ("Ibu kota Indonesia adalah Jakarta.", "Indonesian"),
    ("Saya tidak tahu jawabannya.", "Indonesian"),
    ("Ekonomi Taiwan berkembang pesat sejak tahun enam puluhan.", "Indonesian"),
    ("Anak-anak bermain bola di lapangan.", "Indonesian"),
    ("Turkiye'nin baskenti Ankara'dir ve en kalabalik sehri Istanbul'dur.", "Turkish"),
    ("Bu sorunun cevabini bilmiyorum.", "Turkish"),
    ("Lutfen daha yavas konusun.", "Turkish"),
    ("Cocuklar parkta oynuyor.", "Turkish"),
    ("Bumi mengelilingi matahari.", "Indonesian"),
    ("Die Hauptstadt von Taiwan ist Taipeh.", "German"),
    ("No conozco la respuesta a esa pregunta.", "Spanish"),
    ("La capitale de Taiwan est Taipei.", "French"),
    ("Toi khong biet cau tra loi.", "Vietnamese"),
    ("Watashi wa nihonjin desu.", "Japanese"),
]


@pytest.mark.parametrize(("text", "name"), LATIN)
def test_other_languages_without_diacritics_have_a_name(text, name):
    found = language_of(text)
    assert (found.label, found.name) == ("other", name)
    ruling = verdict(item(), [text])
    assert ruling.status == "violation" and ruling.reason.startswith(f"turn 1: other, {name} (")


@pytest.mark.parametrize("text", ["Ya", "Evet", "OK", "Taipei", "Kuala Lumpur, Jakarta, Surabaya", "Leonardo da Vinci"])
def test_a_word_or_a_row_of_names_is_no_language(text):
    assert verdict(item(), [text]).status == "undetermined"


@pytest.mark.parametrize(
    "text",
    [
        "Measure the popularity of clarity, for modular code.",
        "He can sing and dance.",
        "Ban Ki-moon met Kim Dae-jung in Beijing.",
        "A practical way for non-trivial algorithms.",
        "Barón de Claret, the only one in Government with a noble title.",
        "Thomas ate 3 * 2 = 6 hot dogs. John ate 6 / 2 = 3 hot dogs and Ann ate 1.",
    ],
)
def test_english_stays_english(text):
    assert language_of(text).label == "english"


def test_turkish_in_ascii_on_real_text(real_data):
    """Of sentences undetermined at most 3 %, English at most 0.2 %; no English one is another language."""
    with gzip.open(real_data / "ud_pud" / "parallel_en_zhtw_tr.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    assert len(rows) == 1000
    turkish = Counter(language_of(ascii_only(row["tr"])).label for row in rows)
    assert turkish["undetermined"] <= 30 and turkish["english"] <= 2, turkish
    english = Counter(language_of(row["en"]).label for row in rows)
    assert english["english"] >= 998 and not english["other"], english


def ascii_only(text):
    plain = unicodedata.normalize("NFD", text.replace("ı", "i"))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


# --- Simplified Chinese in a Traditional answer -------------------------------------------------------

LEAKED = "這是臺灣經濟發展的歷史，其中经历许多變遷與挑戰，從荷蘭時期到現代。"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LEAKED, ("经历许",)),
        ("我觉得这很好，雖然臺灣經濟發展還是讓人擔憂。", ("觉", "这")),
        ("他說：「我在這裡经历了許多，也學會許多。」", ("经历",)),
        ("什么是經濟學？這門學問研究選擇，然后說明結果。", ("么", "后")),
        ("學生喜歡軟體，也喜歡网络。", ("网络",)),
        ("**优点**：\n- 價格便宜\n- 操作簡單\n\n**缺点**：\n- 電池續航力較差", ("优点", "点")),
        ("没问题！我很樂意為您說明這個問題的來龍去脈。", ("没问题",)),
    ],
)
def test_simplified_words_in_a_traditional_answer_are_a_trace(text, words):
    ruling = verdict(item(), [text])
    assert ruling[:2] == ("ok", "traditional") and ruling.reason.startswith("a trace of Simplified Chinese: ")
    assert ruling.trace is not None
    assert (ruling.trace.words, ruling.trace.characters) == (words, sum(map(len, words)))


def test_the_share_is_of_the_prose():
    three = Trace(("经历许",), 3, 0.1)
    assert verdict(item(), [LEAKED]).trace == verdict(item(), ["https://a.tw/经历许多", LEAKED]).trace == three


@pytest.mark.parametrize(
    "text",
    [
        "台后里干面群的颱風過後，皇后在裡面準備乾糧，松樹下有一只鐘。",
        "他住在新庄，姓涂，經濟拮据，這塊鐵厚2公厘。",
        "在簡體中文裡，這個詞寫作「软件」，台灣則說軟體。",
        "軟體（大陸：软件）是電腦的程式。",
        "他讀過《鲁迅全集》，覺得很難懂。",
        "日本的国会議員討論這項議題，東京大学的學者也參與。",
        "「学校」（がっこう）在日文裡指學校。",
        "請執行下列程式，就會顯示結果：\n\nprint('这里')\n",
        "見 https://zh.wikipedia.org/wiki/台湾 的說明，內容詳細。",
    ],
)
def test_what_taiwan_writes_or_cites_is_no_trace(text):
    assert verdict(item(), [text]) == ("ok", "traditional", "", Trace())


@pytest.mark.parametrize(
    ("question", "answer", "status"),
    [
        ("請用簡體字回答：什麼是軟體？", "软件是计算机的程序。", "exempt"),
        ("請把「我們愛台灣」翻成簡體中文。", "我们爱台湾", "exempt"),
        ("Translate it into Simplified Chinese: 我們愛台灣", "我们爱台湾", "exempt"),
        ("請不要用簡體字。介紹你自己。", "我们爱台湾", "violation"),
        ("把以下簡體中文改成繁體：我们爱台湾", "我们爱台湾", "violation"),
        ("請介紹台灣。", "我们爱台湾", "violation"),
        ("「软件」在台灣怎麼說？", "软件在臺灣稱為軟體。", "ok"),
        ("「发展」的拼音是什麼？", "发展：fā zhǎn", "undetermined"),
    ],
)
def test_a_question_may_ask_for_simplified_chinese_or_hold_it(question, answer, status):
    ruling = verdict(Item("q", "bench", [question], answer_language="zh-Hant"), [answer])
    assert ruling.status == status and not (ruling.trace and ruling.trace.words)


def test_only_an_answer_that_is_to_be_in_traditional_chinese_has_a_trace():
    assert verdict(item("en"), [ENGLISH]).trace is None
    assert verdict(item("zh-Hans"), [SIMPLIFIED]).trace is None
    assert verdict(item(language_free=True), [LEAKED]).trace is None
    assert verdict(item(), [SIMPLIFIED]).trace is None


def test_planted_words_are_seen(real_data):
    """One Simplified word in a paragraph of DRCD: seen in 90 % at least; two: in 98 %. None in 97 % of clean ones."""
    import opencc

    convert, rng = opencc.OpenCC("t2s").convert, random.Random(0)
    articles = json.loads((real_data / "drcd" / "DRCD_dev.json").read_text(encoding="utf-8-sig"))["data"]
    paragraphs = [p["context"] for article in articles for p in article["paragraphs"]]
    clean = [text for text in paragraphs if not seen(text)]
    assert len(clean) >= 970
    for count, least in ((1, 0.9), (2, 0.98)):
        found = [seen(planted(text, count, convert, rng)) for text in clean]
        assert sum(found) >= least * len(found), count


def seen(text):
    ruling = verdict(item(), [text])
    return ruling.status == "violation" or bool(ruling.trace and ruling.trace.words)


def planted(text, count, convert, rng):
    """The text with some pairs of Han characters in Simplified form, of those that have another one."""
    pairs = [m.span() for m in re.finditer("[\u4e00-\u9fff]{2}", text) if convert(m[0]) != m[0]]
    for start, end in rng.sample(pairs, count):
        text = text[:start] + convert(text[start:end]) + text[end:]
    return text


@pytest.mark.parametrize("text", ["a." * 20_000, "ao" * 5_000 + "z", "(" * 20_000, "if " + "< " * 5_000, "「" * 20_000])
def test_the_rule_is_quick_on_any_text(text):
    began = time.process_time()
    verdict(Item("q", "bench", [text], answer_language="zh-Hant"), [text])
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        *("A água ferve a 100 graus.", "No me gusta.", "Voy a la casa de Ana a comer.", "An toàn là trên hết."),
        *(
            "Lui va a casa in treno.",
            "In der Stadt so an die hundert.",
            "Alt ve on taraf",
            "On a dit non.",
            "No me digas.",
        ),
        *("No tengo hambre.", "I ragazzi vanno a scuola.", "Me gusta a mí.", "Do czego to jest?", "Geht so an."),
    ],
)
def test_small_words_of_many_languages_make_no_english(text):
    assert language_of(text).label in ("undetermined", "other")


@pytest.mark.parametrize(
    "text",
    [
        *("No idea, sorry mate.", "A cat on a mat.", "Café on a hill.", "Do it now.", "Go on in.", "A man in a hat."),
        *("Water boils at 100 degrees.", "I am here.", "A naïve idea.", "Stay at home.", "China was defeated"),
        *("No pain, no gain.", "Café de la Paix is in Paris.", "He is ill.", "On to Rome!", "Grumio, my horse."),
    ],
)
def test_short_english_stays_english(text):
    assert language_of(text).label == "english"
