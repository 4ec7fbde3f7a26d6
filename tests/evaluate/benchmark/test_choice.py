import pytest

from bailong.evaluate.benchmark import choice


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("正面", "positive"),
        ("「負面」", "negative"),
        ("這篇評論是负面的。", "negative"),
        ("Positive.", "positive"),
        ("The sentiment is NEGATIVE", "negative"),
        ("這不是正面的評論", "negative"),
        ("This is not a negative review.", "positive"),
        ("這篇評論是正面還是負面？答案：負面", "negative"),
        ("請回答「正面」或「負面」。", None),
        ("雖然有正面的句子，也有負面的批評，整體來說是負面的。", "negative"),
        ("There are positive remarks and negative ones.", None),
        ("正面。作者沒有負面的話。", "positive"),
        ("", None),
        ("這部電影很好看", None),
    ],
)
def test_the_label_of_an_answer(answer, label):
    assert choice.label(answer) == label
    assert choice.score(answer, [label or "positive"])["accuracy"] == (label is not None)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("Olumlu", choice.POSITIVE),
        ("Bu yorum olumsuz.", choice.NEGATIVE),
        ("Olumlu değil", choice.NEGATIVE),
        ("Olumlu mu yoksa olumsuz mu? Sonuç: olumlu.", choice.POSITIVE),
        ("Négatif", choice.NEGATIVE),
        ("सकारात्मक", choice.POSITIVE),
        ("سلبي", choice.NEGATIVE),
        ("tích cực", choice.POSITIVE),
    ],
)
def test_labels_in_other_languages(answer, found):
    assert choice.label(answer) == found
