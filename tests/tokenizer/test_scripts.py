"""Which characters a language is written with, and which bytes may become a token of them."""

from __future__ import annotations

import unicodedata

import pytest

from bailong.tokenizer.scripts import Alphabet, checked, scripts_of, split


@pytest.mark.parametrize(
    ("language", "scripts"),
    [
        ("zh", "Hani"),
        ("zh-TW", "Hani"),
        ("zh-Hans", "Hani"),
        ("zh_Hant", "Hani"),
        ("ZH-HANT-hk", "Hani"),
        ("yue", "Hani"),
        ("zho", "Hani"),
        ("cmn", "Hani"),
        ("ja", "Hani Hira Kana"),
        ("ko", "Hang Hani"),
        ("sr", "Cyrl"),
        ("sr-Latn", "Latn"),
        ("sh", "Latn"),
        ("pa", "Guru"),
        ("pa-PK", "Arab"),
        ("uz", "Latn"),
        ("ku", "Latn"),
        ("ckb", "Arab"),
        ("tur", "Latn"),
        ("Turkish", "Latn"),
        ("Traditional Chinese", "Hani"),
        ("Chinese (Simplified)", "Hani"),
        ("Yoruba", "Latn"),
        ("bod", "Tibt"),
        ("japanese", "Hani Hira Kana"),
        ("am", "Ethi"),
        ("my", "Mymr"),
        ("es-419", "Latn"),
    ],
)
def test_the_scripts_of_a_language(language, scripts):
    assert scripts_of(language) == tuple(scripts.split())


@pytest.mark.parametrize("language", ["xx", "und", "englisch", "", "-", "zh-Qqqq", "中文"])
def test_an_unknown_language_is_one_line(language):
    with pytest.raises(ValueError, match=r"^tokenizer\.(language|scripts).* is not accepted: ") as caught:
        scripts_of(language)
    assert "\n" not in str(caught.value) and "Latn" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ("Han", "Hani"),
        ("hani", "Hani"),
        ("Hangul", "Hang"),
        ("ARABIC", "Arab"),
        ("Hira Katakana", "Hira Kana"),
        ("Jpan", "Hani Hira Kana"),
        ("Hant Hans Han", "Hani"),
        ("Canadian_Aboriginal", "Cans"),
        ("Nko", "Nkoo"),
    ],
)
def test_a_script_has_one_name_inside(given, codes):
    """Of two names two tokenizers would come out, and rules for Hani would not be rules for Han."""
    assert checked(tuple(given.split(" "))) == tuple(codes.split())


@pytest.mark.parametrize("script", ["Zyyy", "Common", "Inherited", "Zzzz", "Klingon", "", "Latn}", "L", " Han"])
def test_what_is_no_script_is_one_line(script):
    with pytest.raises(ValueError, match=r"^tokenizer\.scripts: .*is not accepted: it must be a script of Unicode"):
        checked((script,))


#: what each language writes within a word, its second row of UTF-8 included
WRITTEN = {
    "zh-Hant": "臺灣「」、。々，！（）《》㐀𠀀𠮷",
    "ja": "日本のカタカナー・「」。、々",
    "ko": "한국어漢字ㄱ한",
    "th": "เมืองไทยที่ฯๆ",
    "lo": "ເມືອງລາວແກ້ວ",
    "km": "ភាសាខ្មែរ។ៗ",
    "my": "မြန်မာဘာသာ။၊",
    "ar": "العربيةَّ،؟ـ",
    "fa": "پژوهشگاهچیکگ",
    "he": "עִבְרִית׳״",
    "hi": "हिन्दी क्षेत्र क़ॐ।",
    "ta": "தமிழ்க்குறிச்சொல்லை",
    "bn": "বাংলাদেশে ড়ৎ্য",
    "te": "తెలుగులో",
    "kn": "ಕನ್ನಡದಲ್ಲಿ",
    "ml": "മലയാളത്തിൽ",
    "gu": "ગુજરાતીમાં",
    "pa": "ਪੰਜਾਬੀ ਵਿੱਚ",
    "si": "සිංහලෙන්",
    "bo": "བོད་སྐད།",
    "ka": "ქართული",
    "hy": "Հայերեն լեզու",
    "am": "አማርኛ፡፣።ፕፓ",
    "ru": "Русский ёжик",
    "el": "Ελληνικά ἀρχή",
    "vi": "Tiếng Việt phở ữ ạ",
    "tr": "Iİıişğç",
    "mn-CN": "ᠮᠣᠩᠭᠣᠯ",
    "dv": "ދިވެހި",
    "iu": "ᐃᓄᒃᑎᑐᑦ",
}


@pytest.mark.parametrize("language", WRITTEN)
def test_every_character_is_within_reach_of_bytes(language):
    """A base that spells it in bytes joins them from the front: each beginning must be allowed as well."""
    alphabet = Alphabet(scripts_of(language), 8)
    for character in WRITTEN[language].replace(" ", ""):
        encoded = character.encode()
        assert alphabet.has(character) or unicodedata.category(character)[0] == "M"
        if alphabet.owns(character):
            assert alphabet.may(encoded), character
            # two bytes are joined at once
            heads = [encoded[:k] for k in range(2, len(encoded))]
            assert all(map(alphabet.may, heads)), character
    assert alphabet.may(next(word for word in WRITTEN[language].split(" ") if len(word) > 1)[:2].encode())


def test_rows_of_another_script_begin_nothing():
    han, latin = Alphabet(("Hani",), 6), Alphabet(("Latn",), 6)
    for head in (b"\xe2\x80", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xc3", b"\xd0", b"\xea\xb0", b"\xee\x80", b"\xe0\x80"):
        assert not han.may(head) and not han.may("台".encode() + head)
    assert latin.may(b"\xe1\xba") and not latin.may(b"\xe3\x80") and not latin.may(b"\xe2\x80")
    assert all(map(han.may, (b"\xe4", b"\xf0\xa0", b"\xf0\xa0\x80"))) and not han.may(b"\xf0")
    assert not Alphabet(("Geor",), 6).may(b"\xe1\x82")  # Myanmar's row as well


@pytest.mark.parametrize(
    ("language", "token", "may"),
    [
        ("zh-Hant", "台灣", True),
        ("zh-Hant", "，但", True),
        ("zh-Hant", " 台", False),
        ("zh-Hant", "台 灣", False),
        ("zh-Hant", "　台", False),
        ("zh-Hant", "台a", False),
        ("zh-Hant", "台Ａ", True),
        ("zh-Hant", "第1", False),
        ("zh-Hant", "年２", False),
        ("zh-Hant", "·", False),
        ("zh-Hant", "台の", True),  # what stands in Chinese text beside Han
        ("zh-Hant", "台한", False),
        ("zh-Hant", "ㄅㄆ", True),
        ("zh-Hant", "台灣台灣台灣台", False),
        ("ja", "カレー", True),
        ("ja", "食べる", True),
        ("ko", " 한국", True),
        ("ko", " 大韓", True),
        ("ko", "한a", False),
        ("th", " ไทย", False),
        ("ar", " ال", True),
        ("ar", "٢", False),
        ("ar", "۲ی", False),
        ("fa", "می\u200cخو", True),
        ("fa", "\u200cخو", False),
        ("hi", "क्\u200dष", True),
        ("hi", "हि२", False),
        ("hi", "ि", True),
        ("he", "\u05b0", True),
        ("vi", "e\u0302\u0301", True),
        ("vi", "\u0302", False),
        ("vi", "e\u200b", False),
        ("tr", " ığ", True),
        ("tr", "a1", False),
        ("tr", "aб", False),
        ("sr", "аb", False),
        ("sr", " ђ", True),
        ("el", "a", False),
        ("am", "ሀ፩", False),
    ],
)
def test_what_a_token_may_be(language, token, may):
    assert Alphabet(scripts_of(language), 6).may(token.encode()) is may


def test_the_name_of_a_script_makes_no_difference():
    assert Alphabet(checked(("Han",)), 6) == Alphabet(scripts_of("zh-Hant"), 6)
    assert not Alphabet(checked(("Han",)), 6).spaced


def test_no_space_leads_han_beside_latin():
    both = Alphabet(("Hani", "Latn"), 6)
    assert both.may(" ğ".encode()) and not both.may(" 台".encode()) and not both.may(" 台ğ".encode())


def test_bytes_are_whole_characters_and_the_beginning_of_one():
    assert split("台".encode()) == ("台", b"")
    assert split("台".encode() + b"\xe7\x81") == ("台", b"\xe7\x81")
    assert split(b"\xe7") == ("", b"\xe7")
    assert split(b"\x81\xa3") == (None, b"") == split(b"\x80")
    assert split(b"") == ("", b"")
