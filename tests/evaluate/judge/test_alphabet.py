"""Languages other than Chinese and English: what they are called, and whether an answer is in the one asked for."""

import gzip
import json
from collections import Counter

import pytest

from bailong.evaluate.benchmark.item import Item
from bailong.evaluate.judge.language import languages, named, verdict
from bailong.text.spoken.identify import language_of

NAMED = {
    "ja": ("Japanese", "東京は日本の首都であり、人口が最も多い都市です。"),
    "ko": ("Korean", "서울은 대한민국의 수도이다."),
    "th": ("Thai", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
    "lo": ("Lao", "ວຽງຈັນເປັນນະຄອນຫຼວງຂອງລາວ"),
    "km": ("Khmer", "ភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា។"),
    "my": ("Burmese", "နေပြည်တော်သည် မြန်မာနိုင်ငံ၏ မြို့တော်ဖြစ်သည်။"),
    "hi": ("Hindi", "दिल्ली भारत की राजधानी है।"),
    "mr": ("Marathi", "मुंबई ही महाराष्ट्राची राजधानी आहे आणि ती मोठी आहे."),
    "ne": ("Nepali", "काठमाडौं नेपालको राजधानी हो र यो ठूलो छ।"),
    "bn": ("Bengali", "ঢাকা বাংলাদেশের রাজধানী।"),
    "as": ("Assamese", "গুৱাহাটী অসমৰ আটাইতকৈ ডাঙৰ চহৰ।"),
    "ta": ("Tamil", "சென்னை தமிழ்நாட்டின் தலைநகரம்."),
    "te": ("Telugu", "హైదరాబాద్ తెలంగాణ రాజధాని."),
    "ar": ("Arabic", "القاهرة هي عاصمة مصر وأكبر مدينة فيها."),
    "fa": ("Persian", "تهران پایتخت ایران است و شهر بزرگی است."),
    "ur": ("Urdu", "اسلام آباد پاکستان کا دارالحکومت ہے۔"),
    "he": ("Hebrew", "ירושלים היא בירת ישראל."),
    "el": ("Greek", "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας."),
    "hy": ("Armenian", "Երևանը Հայաստանի մայրաքաղաքն է։"),
    "ka": ("Georgian", "თბილისი საქართველოს დედაქალაქია."),
    "am": ("Amharic", "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ነው።"),
    "bo": ("Tibetan", "ལྷ་ས་ནི་བོད་ཀྱི་རྒྱལ་ས་ཡིན།"),
    "ru": ("Russian", "Москва является столицей России и самым большим городом."),
    "uk": ("Ukrainian", "Київ є столицею України і найбільшим містом."),
    "bg": ("Bulgarian", "София е столицата на България и най-големият град."),
    "sr": ("Serbian", "Београд је главни град Србије и његов највећи град."),
    "kk": ("Kazakh", "Астана Қазақстанның астанасы және үлкен қала."),
    "tr": ("Turkish", "Ankara, Türkiye'nin başkenti ve en kalabalık ikinci şehridir."),
    "az": ("Azerbaijani", "Bakı Azərbaycanın paytaxtı və ən böyük şəhəridir."),
    "vi": ("Vietnamese", "Thủ đô của Việt Nam là Hà Nội, một thành phố lớn."),
    "pl": ("Polish", "Warszawa jest stolicą Polski i największym miastem w kraju."),
    "hu": ("Hungarian", "Budapest Magyarország fővárosa és a legnagyobb városa, ahol sokan élnek."),
    "fr": ("French", "La fenêtre était fermée parce qu'il avait gelé pendant la nuit."),
    "de": ("German", "Die Hauptstadt von Deutschland ist Berlin, und sie ist sehr groß."),
    "es": ("Spanish", "La capital de España es Madrid y es una ciudad muy grande."),
}
CHINESE, ENGLISH = "這個問題沒有答案，因為沒有人知道。", "There is no answer to this question."


def item(language, **more):
    return Item("q", "bench", ["?"], answer_language=language, **more)


@pytest.mark.parametrize("language", NAMED)
def test_a_language_has_a_name_and_can_be_asked_for(language):
    name, text = NAMED[language]
    found = language_of(text)
    assert (found.label, found.name) == ("other", name)
    assert verdict(item(language), [text]).status == "ok"
    assert verdict(item("zh-Hant"), [text]).status == verdict(item("en"), [text]).status == "violation"
    turns = languages(item(language), [CHINESE, text])
    wrong = verdict(item(language), [text, CHINESE])
    assert (
        wrong.status == "violation" and wrong.reason.startswith("turn 2: traditional") and f"not {name}" in wrong.reason
    )
    assert verdict(item(language), [ENGLISH])[:2] == ("violation", "english")
    assert named(verdict(item("en"), [text]), turns[1:]) == name


@pytest.mark.parametrize(
    ("language", "answer", "status"),
    [
        # what the script leaves open is no violation; what letters or words tell apart is one
        ("mr", "दिल्ली", "ok"),
        ("ne", "भारत, नेपाल", "ok"),
        ("uk", NAMED["ru"][1], "violation"),
        ("fa", NAMED["ar"][1], "violation"),
        ("hi", NAMED["ta"][1], "violation"),
        ("el", NAMED["ru"][1], "violation"),
        ("ja", "東京都", "undetermined"),
        ("ja", "国会議員が法案を提出、来月に採決へ", "ok"),
        ("ja", CHINESE * 3, "violation"),
        ("ko", "서울 (首爾)", "ok"),
        ("tr", "1945", "undetermined"),
        ("tr", "Ankara", "undetermined"),
        ("tr", "Bu sorunun cevabını bilmiyorum.", "ok"),
        ("tr", NAMED["de"][1], "violation"),
        ("hi", "Dilli bharat ki rajdhani hai aur yah bahut bada hai", "undetermined"),
        ("zh", "這是繁體中文的回答。", "ok"),
        ("zh", "这是简体中文的回答。", "ok"),
        ("zh-TW", "这是简体中文的回答。", "violation"),
        ("zh-CN", "這是繁體中文的回答。", "violation"),
        ("tr-TR", NAMED["tr"][1], "ok"),
        ("Turkish", NAMED["tr"][1], "ok"),
    ],
)
def test_rulings(language, answer, status):
    assert verdict(item(language), [answer]).status == status


def test_a_language_that_is_not_known_has_no_rule():
    ruling = verdict(item("qaa"), [ENGLISH])
    assert (ruling.status, ruling.reason) == ("undetermined", "no rule for answers in qaa")


def test_an_english_text_with_foreign_names_stays_english():
    text = "The mayor met Recep Tayyip Erdoğan, Işıl Yağmur and Nguyễn Phú Trọng in Diyarbakır, and they spoke of Łódź."
    assert language_of(text).label == "english"


@pytest.mark.parametrize(
    ("field", "name", "fewest"), [("tr", "Turkish", 985), ("hi", "Hindi", 990), ("ar", "Arabic", 995)]
)
def test_sentences_of_a_treebank(field, name, fewest, real_data):
    with gzip.open(real_data / "ud_pud/parallel_en_ar_hi_tr_zhtw.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    assert Counter(language_of(row[field]).name for row in rows)[name] >= fewest
    rulings = Counter(verdict(item(field), [row[field]]).status for row in rows)
    assert rulings["ok"] >= fewest and rulings["violation"] <= 2
    assert Counter(verdict(item(field), [row["en"]]).status for row in rows)["violation"] >= 995


@pytest.mark.parametrize(("language", "name"), [("vi", "Vietnamese"), ("el", "Greek")])
def test_passages(language, name, real_data):
    with gzip.open(real_data / f"xquad/xquad.{language}.json.gz", "rt", encoding="utf-8") as stream:
        texts = [p["context"] for article in json.load(stream)["data"] for p in article["paragraphs"]]
    assert Counter(language_of(text).name for text in texts)[name] >= 0.99 * len(texts)
