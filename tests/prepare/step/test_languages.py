"""What the text steps do to languages other than Chinese: nothing that is made for Chinese, and their own sentences."""

import textwrap

import pytest

from bailong.data.settings import Data, Source
from bailong.data.turns import Dialogue, Turn
from bailong.prepare.dialogue.convert import ConvertDialogues
from bailong.prepare.pipeline import steps_of
from bailong.prepare.settings import Prepare
from bailong.prepare.step import ORDER, PER_DOCUMENT, load, step_class
from bailong.prepare.step.convert import Convert
from bailong.prepare.step.markup import Markup
from bailong.prepare.step.normalize import Normalize
from bailong.prepare.step.punctuate import Punctuate
from bailong.prepare.step.quality import Quality
from bailong.prepare.step.sentence_filter import SentenceFilter
from bailong.reader.wikitext import Cleaner, Wiki
from bailong.text.templates import keys

FOREIGN = {
    "ja": "国会の会議で“決定”が出た, そう学生が言った. 实际(簡体字)です！体验发现变化关系问题",
    "ko": '大韓民國(대한민국)의 국회, "결정"이 나왔다. 国会发现问题变化, 그렇다!',
    "tr": 'Çinceden "国会发现问题" (变化), sonra “evet” dedi. 实际体验, öyle mi?',
    "hi": "उसने कहा, “国会发现问题变化” (实际体验), फिर गया।",
    "en": "He said “国会发现问题变化”, (实际体验). Then -{简体}- left.",
    "vi": 'Ông nói "国会发现问题" (变化), rồi đi: “实际体验”.',
}


@pytest.mark.parametrize("language", FOREIGN)
def test_what_is_made_for_chinese_leaves_a_source_of_another_language_alone(language):
    for step in (Convert(mode="always"), Convert(), Punctuate(mode="naive"), Punctuate()):
        assert not step.of_language(language).enabled, step
        assert all(step.of_language(chinese).enabled for chinese in ("", "zh", "zh-Hant", "zh-Hans", "yue"))
    text = FOREIGN[language]
    assert Convert(mode="always").open()(text).text != text != Punctuate(mode="naive").open()(text).text
    assert Markup().of_language(language).open()(text).text == text
    knobs = {name: load(name, {"enabled": False} if name == "semdedup" else {}) for name in ORDER}
    source = Source(path="x.jsonl", name="x", language=language)
    steps = steps_of(Prepare(data=Data(name="mine", sources=[source]), **knobs), source, "x")
    assert "convert" not in steps and "punctuate" not in steps and steps["quality"].language == language
    for name in PER_DOCUMENT:
        if hasattr(step_class(name), "open") and name in steps and name != "tokenize":
            assert steps[name].open()(text).text == text, name


def test_dialogues_of_another_language_are_not_converted():
    piece = Dialogue("a", (Turn("国会发现问题变化", "实际体验变化关系"),), language="ja")
    assert list(ConvertDialogues(mode="always").run(iter([piece]), None)) == [piece]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "text"),
    [("tr", "Bu -{metin}- kalır."), ("ja", "この-{本文}-は残る。"), ("sr", "Овај текст остаје."), ("zh", "這是文字。")],
)
def test_a_wiki_without_variants_has_no_marks_of_them(language, text):
    marked = {"sr": "Овај -{текст}- остаје.", "zh": "這是-{zh-tw:文字;zh-cn:text}-。"}
    assert Cleaner(Wiki(language=language), "zh-tw", True)(marked.get(language) or text) == text


def test_sections_without_prose_are_known_in_the_language_of_the_wiki():
    clean = Cleaner(Wiki(language="tr"), "zh-tw", True)
    assert clean("Metin burada.\n\n== Kaynakça ==\n* [http://a.tr A]\n\n== Dış bağlantılar ==\n* B") == "Metin burada."
    prose = "Ankara başkenttir ve çok büyük bir şehirdir; orada birçok üniversite vardır."
    text = f"{prose}\n\nKaynakça"
    assert Quality().of_language("tr").open()(text).text == prose
    assert Quality().of_language("zh-Hant").open()(text).text == text


@pytest.mark.parametrize(
    ("language", "text", "kept"),
    [
        ("hi", "यह वाक्य अच्छा है। इसे https://a.in/b पर देखें। यह भी रहता है।", "यह वाक्य अच्छा है। यह भी रहता है।"),
        ("ur", "یہ رہتا ہے۔ دیکھیں https://a.pk/b یہاں۔ یہ بھی۔", "یہ رہتا ہے۔ یہ بھی۔"),
        ("tr", "Kent M.Ö. 5. yüzyılda kuruldu (https://a.tr/b). Sonra büyüdü.", "Sonra büyüdü."),
        ("am", "ይህ ይቀራል። ይህ https://a.et/b ይሄዳል። ይህም ይቀራል።", "ይህ ይቀራል። ይህም ይቀራል።"),
        ("el", "Τι είναι; Δες https://a.gr/b τώρα. Μένει;", "Τι είναι; Μένει;"),
    ],
)
def test_a_url_takes_the_sentence_of_its_language(language, text, kept):
    assert SentenceFilter().of_language(language).open()(text).text == kept


@pytest.mark.parametrize(
    "text",
    [
        "Installing packages from several different repositories",
        "यह किताब बहुत अच्छी है। इसके लेखक के बारे में के के लोग नहीं जानते।",
        "ما الذي يجعل المدينة القديمة أجمل من المدينة الحديثة في الربيع، برأيك",
        "Değiştirilmiş dosyaları birleştirilmiş depodan geri getirmek",
        "Εγκατάσταση πακέτων από διαφορετικά αποθετήρια λογισμικού",
        "`nmcli {{agent|connection|device|general|help|monitor|networking|radio}} {{komut_seçenekleri}}`",
    ],
)
def test_a_heading_or_a_command_is_no_list_of_keywords_and_no_menu(text):
    assert Quality().open()(text).text == text


def test_keywords_are_still_found():
    turkish = "ucuz ayakkabı en ucuz ayakkabı al ayakkabı spor ayakkabı"
    for text in (turkish, "सस्ते जूते खरीदें जूते ऑनलाइन जूते नए जूते सबसे सस्ते जूते दिल्ली जूते मुंबई जूते कोलकाता जूते"):
        assert Quality().open()(text).reason == "keywords"


HINDI = (
    "भारत एक विशाल देश है और यहाँ अनेक भाषाएँ बोली जाती हैं। हिन्दी उनमें से एक प्रमुख भाषा है, जिसे करोड़ों लोग समझते हैं। "
    "इसके अलावा बांग्ला, मराठी, तेलुगु, तमिल और उर्दू भी बहुत से लोगों की मातृभाषा है। इन सबका अपना साहित्य है।"
)


def test_wrapped_lines_of_hindi_are_joined_and_sentences_on_lines_of_their_own_are_not():
    assert Normalize().open()(textwrap.fill(HINDI, 70)).text == HINDI
    lines = HINDI.replace("। ", "।\n")
    assert Normalize().open()(lines).text == lines


def test_a_no_break_space_keeps_words_of_korean_apart():
    assert Normalize().open()("서울은\xa0대한민국의\xa0수도").text == "서울은 대한민국의 수도"
    assert Normalize().open()("臺北\xa0市").text == "臺北市"


def test_the_ends_of_a_clause_are_words_in_any_alphabet():
    """Two templates that share their first word alone have no end in common; two that share two words do."""
    one, two, three = "Belirtilmiş dosyayı yükle", "Belirtgeci kaldır artık", "Belirtilmiş dosyayı göster"
    assert not keys(one) & keys(two) and keys(one) & keys(three)
    assert keys("從檔案讀取設定") & keys("從檔案讀取金鑰")
