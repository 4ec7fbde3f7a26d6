"""Variants of Chinese are resolved in dumps and outside of them; formulas, shells and placeholders stay."""

import pytest

from bailong.prepare.step.markup import Markup
from bailong.reader.wikitext import Cleaner, Wiki

MARKS = [
    ("這是-{zh-hans:计算机;zh-tw:電腦}-。", "這是電腦。", "這是计算机。"),
    ("-{臺灣}-是島", "臺灣是島", "臺灣是島"),
    ("見-{zh:甲;zh-hans:乙}-丙", "見甲丙", "見乙丙"),
    ("-{A|zh-cn:博客;zh-tw:部落格}-文", "部落格文", "博客文"),
    ("-{T|zh-cn:甲;zh-tw:乙}-文-{H|zh-cn:甲=>zh-tw:乙}--{-|zh-cn:甲;zh-tw:乙}-", "文", "文"),
    ("用-{zh-hans;zh-hant|計算機}-", "用計算機", "用計算機"),
    ("用-{zh-hans|计算机}-", "用计算机", "用计算机"),
    ("-{D|zh-cn:甲; zh-tw:乙；}-文", "乙文", "甲文"),
    ("明湖-{}-里、震度5-{}-級", "明湖里、震度5級", "明湖里、震度5級"),
    ("眾-{后}-之-{后}-，前-{「}-後", "眾后之后，前「後", "眾后之后，前「後"),
    ("外-{外-{zh-cn:里;zh-tw:裡}-邊}-", "外外裡邊", "外外里邊"),
    ("-{于}-凱，「-{999}-」", "于凱，「999」", "于凱，「999」"),
    ("前句。這是-{zh-hans:计算机;zh-tw:電腦的部分。後句。", "前句。後句。", "前句。後句。"),
]


@pytest.mark.parametrize(("text", "taiwan", "mainland"), MARKS)
def test_marks_are_resolved(text, taiwan, mainland):
    for variant, plain in (("zh-tw", taiwan), ("zh-cn", mainland)):
        assert Markup(variant=variant).open()(text).text == plain
        assert Cleaner(Wiki(), variant, True)(text) == plain


@pytest.mark.parametrize(
    "text",
    [
        "x^{-{a}-} 與 $-{甲}-$ 與 e^{-{甲}-}",
        "${x}-{y}- 與 ${主機}-{日期}-",
        "報告-{日期}-最終版.pdf",
        "備份-{主機}-{日期}-完",
        "logs/-{日期}-/甲",
        "「-{999}-」為警界代號",
        "x = {-{1}-}; y-{}-z",
        "if a -{ 甲",
        "--{名稱}-x",
    ],
)
def test_what_is_no_mark_stays(text):
    assert Markup().open()(text) == (text, "", (), ())


def test_the_variant_is_that_of_the_language():
    marks = "-{zh-hans:计算机;zh-tw:電腦}-"
    assert Markup().of_language("zh-Hans").open()(marks).text == "计算机"
    assert Markup().of_language("zh-Hant").open()(marks).text == "電腦"
    assert Markup(variant="zh-hk").of_language("zh-Hans").variant == "zh-hk"
    with pytest.raises(ValueError, match=r"markup\.variant=zh is not accepted.*zh-tw"):
        Markup(variant="zh")


def test_marks_without_end_are_linear():
    import time

    began = time.process_time()
    for unit in ("-{", "-{甲", "-{zh-tw:", "}-", "-{甲}-", "-{zh-tw:a;"):
        Markup().open()(unit * 10_000)
    assert time.process_time() - began < 4
