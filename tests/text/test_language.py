"""Labels of languages: what they mean."""

import pytest

from bailong.text.language import bcp47, code, is_chinese, language, other_than_chinese, own_code, same


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *[(tag, "tr") for tag in ("tr", "tr-TR", "TR", "tr_TR", "tur", "Turkish")],
        *[(tag, "zh") for tag in ("zh", "zh-Hant", "zh_TW", "zho", "cmn-Hans", "yue", "zht", "Chinese")],
        *[(tag, "yo") for tag in ("yo", "yor", "Yoruba", "yo-NG")],
        *[("zul", "zu"), ("Zulu", "zu"), ("ceb", "ceb"), ("Brazilian Portuguese", "pt"), ("Serbian (Latin)", "sr")],
        *[(tag, "zh") for tag in ("Chinese (Traditional)", "Traditional Chinese", "Cantonese", "Chinese_Simplified")],
        *[("no", "nb"), ("nn", "nb"), ("fas", "fa"), ("iw", "he"), ("tl", "fil"), ("qaa-Latn", "qaa"), ("", "")],
    ],
)
def test_a_tag_has_a_code(tag, expected):
    assert code(tag) == expected


def test_what_is_chinese_and_what_certainly_is_not():
    assert is_chinese("zh-Hant") and not is_chinese("ja") and not is_chinese("")
    assert [tag for tag in ("", "zh", "yue", "und", "ja", "ko-Hani", "tr", "qaa") if other_than_chinese(tag)] == [
        *("ja", "ko-Hani", "tr", "qaa")
    ]
    assert (found := language("hi-IN")) is not None and (found.name, found.script) == ("Hindi", "Devanagari")
    assert language("qaa") is None


@pytest.mark.parametrize(
    ("tag", "one_with", "other_than"),
    [
        ("en", ("EN", "en-GB", "en_US", "eng", "English"), ("", "enm", "fr", "zh")),
        ("sr-Latn", ("sr", "srp-Latn", "sr-Latn-RS"), ("sr-Cyrl", "sr-Cyrl-RS", "hr")),
        ("zh-Hant", ("zh", "zh-TW", "zht", "zh-Hant-HK", "Chinese"), ("zh-CN", "zh-Hans", "zh-Hans-TW", "ja")),
        ("zh-Hant", ("Chinese (Traditional)", "Traditional Chinese"), ("Chinese (Simplified)", "Simplified Chinese")),
        ("yo", ("yor", "Yoruba"), ("ig", "ibo")),
        ("zh", ("zho", "zh-Hans", "zh-TW"), ("en",)),
        ("pt-BR", ("pt", "pt-PT", "Portuguese"), ("es",)),
        ("qaa", ("qaa-Latn",), ("qab", "")),
        ("", (), ("", "en")),
    ],
)
def test_tags_of_one_language(tag, one_with, other_than):
    assert [other for other in one_with if not (same(tag, other) and same(other, tag))] == []
    assert [other for other in other_than if same(tag, other) or same(other, tag)] == []


@pytest.mark.parametrize(
    ("label", "own", "tag"),
    [
        ("Turkish", "tr", "tr"),
        ("en_us", "en", "en-US"),
        ("yor", "yo", "yo"),
        ("yue-HK", "yue", "yue-HK"),
        ("nno", "nn", "nn"),
        ("zht", "zh", "zh-Hant"),
        ("zh_hant_TW", "zh", "zh-Hant-TW"),
        ("Chinese (Traditional)", "zh", "zh-Hant"),
        ("Chinese-Traditional", "zh", "zh-Hant"),
        ("sr-latn", "sr", "sr-Latn"),
        ("es-419", "es", "es-419"),
    ],
)
def test_a_label_has_a_tag_that_others_read(label, own, tag):
    assert (own_code(label), bcp47(label)) == (own, tag)
