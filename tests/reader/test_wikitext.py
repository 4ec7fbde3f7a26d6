import pytest

from bailong.reader.wikitext import Cleaner, Wiki

clean = Cleaner(Wiki("", "Datei", "Kategorie"), "zh-tw", True)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("'''白龍'''是[[龍|一種龍]]，見[[神話]]。", "白龍是一種龍，見神話。"),
        ("前{{注|x={{巢狀|y}}}}後", "前後"),
        ("數值3.14<ref>來源[[甲]]</ref>與<ref name=a />尾", "數值3.14與尾"),
        ("[[File:a.jpg|thumb|說明[[甲]]]]文", "文"),
        ("[[檔案:a.jpg|縮圖|說明]]文[[分類:甲]]", "文"),
        ("[[Datei:a.jpg|mini]]文[[Kategorie:甲]]", "文"),
        ("[[:分類:甲|看分類]]", "看分類"),
        ("見[https://a.tw/b 網站]與[https://a.tw/c]。", "見網站與。"),
        ("一<!-- 隱藏 -->二<br />三", "一二\n三"),
        ("E=<math>mc^2</math>，完", "E=mc^2，完"),
        ("文\n{| class=x\n! 表頭\n|-\n| 格\n|}\n末", "文\n\n末"),
        ("* 甲\n* 乙\n# 一\n: 縮排", "甲\n乙\n一\n縮排"),
        ("&lt;b&gt; &amp; &nbsp;x", "<b> & \xa0x"),
        ("__NOTOC__文__TOC__", "文"),
        ("白龍（{{lang|en|White Dragon}}）", "白龍（White Dragon）"),
        ("白龍（{{lang-en|Dragon}}，{{拼音|x}}）", "白龍（Dragon）"),
        ("白龍（{{拼音|x}}）", "白龍"),
    ],
)
def test_markup(markup, text):
    assert clean(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("-{zh-hans:软件; zh-hant:軟體;}-", "軟體"),
        ("-{zh-cn:信息;zh-tw:資訊;zh-hk:資訊科技}-", "資訊"),
        ("-{zh-cn:信息;zh-hk:訊息}-", "訊息"),
        ("-{zh-cn:信息}-", "信息"),
        ("-{原文}-", "原文"),
        ("-{zh-tw:[[計程車|小黃]];zh-cn:[[出租车]]}-", "小黃"),
        ("-{H|zh-cn:博客;zh-tw:部落格}-文", "文"),
        ("-{A|zh-cn:博客;zh-tw:部落格}-文", "部落格文"),
        ("-{T|zh-cn:甲;zh-tw:乙}-文", "文"),
        ("-{外-{zh-cn:里;zh-tw:裡}-邊}-", "外裡邊"),
        ("-{zh-tw:比例1:2;zh-cn:比例1比2}-", "比例1:2"),
    ],
)
def test_variants_of_chinese(markup, text):
    assert clean(markup) == text


def test_a_simplified_reader_gets_its_own_variant():
    assert Cleaner(Wiki(), "zh-cn", True)("-{zh-cn:信息;zh-tw:資訊}-") == "信息"


def test_sections():
    markup = """導言。

== 歷史 [編輯] ==
=== 早期 ===
古代。
=== 空的 ===
{{待寫}}
== 圖集 ==
<gallery>
a.jpg|說明
</gallery>
== 參考文獻 ==
{{reflist}}
=== 書目 ===
* 某書
== 後世 ==
影響。
== 外部連結 ==
* [https://a.tw 網站]
"""
    assert clean(markup) == "導言。\n\n歷史\n早期\n古代。\n\n後世\n影響。"
    assert "某書" in Cleaner(Wiki(), "zh-tw", False)(markup)


def test_broken_markup_is_no_reason_to_stop():
    for markup in (
        "{{" * 2000,
        "[[" * 2000 + "x",
        "-{" * 500 + "y",
        "<ref>never closed " + "文" * 50,
        "{|\n|never closed",
    ):
        clean(markup)
