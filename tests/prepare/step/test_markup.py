"""Markup goes, and text that only looks like it stays."""

import pytest

from bailong.prepare.step.markup import Markup
from tests.prepare.step.raw import must_stay, rows


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>一</p><p>二<br/>三</p>", "一\n\n二\n三"),
        ("<td>甲</td><td>乙</td>", "甲\t乙"),
        ('文<script>var a="<p>";</script>字<!-- 廣告 --><img src="a.png" alt="圖">', "文\n字"),
        ("淘米水&gt;豆渣水 A&amp;amp;B &#24744;&#x597D;&nbsp;吧", "淘米水>豆渣水 A&B 您好 吧"),
        ("喝口茶&lt;br&gt;走", "喝口茶\n走"),
        ("<b>粗</b>，&lt;b&gt;", "粗，<b>"),
        ("石板古道[編輯]\n海拔620公尺[1][2]，是[來源請求]古道。", "石板古道\n海拔620公尺，是古道。"),
        ("{{需要{{巢狀}}圖片}}[[檔案:A.jpg|右|[[月桃]]的花]]月桃是[[植物|草]]。<ref name=a>書</ref>", "月桃是草。"),
        ("'''月桃'''是[[草本]]。\n== 歷史 ==\n古。", "月桃是草本。\n歷史\n古。"),
        ('{| class="w"\n|-\n! 名 !! 值\n|-\n| style="x" | 甲 || 乙\n|}', "名\t值\n甲\t乙"),
        ("文[1]。\n分類：古道\n目录 [隐藏]  1 历史", "文。"),
        ("[quote=某人]引[/quote]\n[img]http://a/b.gif[/img][url=http://x]字[/url]", "引\n字"),
    ],
)
def test_markup_goes(text, plain):
    result = Markup().open()(text)
    assert result.text == plain
    assert result.counts
    assert Markup().open()(plain).text == plain


@pytest.mark.parametrize(
    "text",
    [
        "I <3 you <grinning> a<b and c>d, x<y>z",
        "<ravi_k> hi <link> yo",
        "use the <b> tag, or a <br> tag, or <br> 標籤",
        "a[1] = b[2]; list[0]",
        "{{ name }} [[1, 2], [3, 4]] if [[ -f x ]]",
        r"\frac{{x}}{{y}}",
        ">>> CLICK <<< A&B ?a=1&copy=2&lt=3",
        "| 名稱 | 月桃 |\n|------|------|\n| 高度 | 1.5 |",
        "收到[抱拳] [貼圖] 【新品】[10:42] Amy: 好",
        "分類：甲\n乙",
        "if (a<b && c>d) { return x[i]; }",
        "",
    ],
)
def test_text_stays(text):
    assert Markup().open()(text) == (text, "", (), ())


def test_nothing_left_and_knobs():
    assert Markup().open()("<script>x</script>") == (None, "only_markup", (), ("html",))
    assert Markup(html=False, wiki=False, bbcode=False).open()("<p>一</p>[1][b]x[/b]").text == "<p>一</p>[1][b]x[/b]"


def test_raw_sample():
    apply = Markup().open()
    changed = {"016", "032", "055", "057", "074", "076", "079", "094", "106", "121", "135"}
    for key, row in rows().items():
        result = apply(row["text"])
        assert (result.text != row["text"]) == (key.removeprefix("raw-") in changed), key
        assert not [string for string in must_stay(row) if string not in (result.text or "")], key
    left = apply(rows()["raw-074"]["text"]).text or ""
    assert "<grinning>" in left and "track(" not in left and '"Don\'t look down,"' in left


def test_hostile_input_is_linear():
    import time

    began = time.process_time()
    for bomb in (
        "<" * 20_000,
        "<p " * 10_000,
        "{{" * 10_000,
        "[[" * 10_000,
        "<!--" * 10_000,
        "&amp;" * 20_000,
        "<ref>" * 2_000,
    ):
        Markup().open()(bomb)
    assert time.process_time() - began < 4
