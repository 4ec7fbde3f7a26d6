"""Labels of languages: what they mean."""

import pytest

from bailong.text.language import code, is_chinese, language, other_than_chinese


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        *[(tag, "tr") for tag in ("tr", "tr-TR", "TR", "tr_TR", "tur", "Turkish")],
        *[(tag, "zh") for tag in ("zh", "zh-Hant", "zh_TW", "zho", "cmn-Hans", "yue", "zht", "Chinese")],
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
