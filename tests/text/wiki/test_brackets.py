"""Marks of a wiki go where the document is a wiki's; the same signs in any other text are words."""

import time

import pytest

from bailong.prepare.step.markup import Markup
from bailong.text.wiki import evidence

ORDINARY = [
    "公式中的x[1]與x[2]分別是橫座標",
    "請點選右上角的[編輯]按鈕，或按[隱藏]，再按[1]號鍵存檔。",
    "v[10]是速度，arr[0]是頭，a[1][2]是角",
    "依第[1]項與第[2]項辦理，詳見[附件1]、附件[2]。",
    "按[1]，再按[2]。如需客服請按[9]。",
    "如需客服請按[9]。",
    "請選擇。[1]新增。[2]修改。[3]刪除。",
    "請先存檔。[1]號鍵離開。",
    "打開電源[1]，然後按下開關[2]，最後關上蓋子[3]。",
    "1. 點選[編輯]\n2. 再按[隱藏]\n3. 按[1]",
    "第一步請點[編輯]\n第二步請按[編輯]\n",
    "Click [edit]\nThen press the [edit]\nPress [1] for sales. Press [2] for support.",
    "工具列\n[檔案]\n[編輯]\n[檢視]",
    "[Ctrl]+[C]複製。[Ctrl]+[V]貼上。",
    "雙環[2.2.1]庚烷，發音為[ə]，日期[2020]年[1]月",
    "臺灣最高的山是[1]。\n臺灣最長的河是[2]。",
    "見王小明的研究[1]與李小華的研究[2]。\n[1] 王小明，2020。\n[2] 李小華，2021。",
    "依結果。[1]\n\n[1] http://a.tw",
    "預設為真值。[1]_ 以下列出其他",
    "根据国务院[65]国基字272号文件",
    "分類：甲\n參考資料\n甲[1]",
    "功能表[編輯]\n工具列[顯示]\n視窗[隱藏]",
    "得分[98]，名次[2]。",
    "臺灣[2]，日本[3]，韓國[4]。",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_brackets_of_other_text_stay(text):
    assert Markup().open()(text) == (text, "", (), ())


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("石板古道[編輯]\n海拔620公尺[1][2]，是[來源請求]古道。", "石板古道\n海拔620公尺，是古道。"),
        ("甲於2010年成立。[1]後於2012年擴大。[2]規模[3]更大。[4]", "甲於2010年成立。後於2012年擴大。規模更大。"),
        ("歷史[编辑]\n甲。[1] 乙[2]，丙。\n地理[编辑]\n丁[3]。", "歷史\n甲。 乙，丙。\n地理\n丁。"),
        ("Pi [edit]\nIt is 3.14.[1][2] It never ends.[citation needed] So.", "Pi\nIt is 3.14. It never ends. So."),
        ("甲更新[2]，乙更新[3][4]，丙結束[5]，丁開始[6]。", "甲更新，乙更新，丙結束，丁開始。"),
        ("近似值準確到小數點後第六位.[4]\n(圖1)", "近似值準確到小數點後第六位.\n(圖1)"),
        (
            "他們將兩者的特徵相互結合，提出了一種新的演算法[2]，效果良好。",
            "他們將兩者的特徵相互結合，提出了一種新的演算法，效果良好。",
        ),
        ("聖殿舉行了參觀。[8]這座聖殿在2015年奉獻。", "聖殿舉行了參觀。這座聖殿在2015年奉獻。"),
        ("甲。[1]\n乙。[2]\n其x[1]按[3]號鍵，見附件[4]。", "甲。\n乙。\n其x[1]按[3]號鍵，見附件[4]。"),
        ("[來源請求]甲\n^ 某書，頁3。\n目錄 [隱藏] 1 歷史\n乙[1]。", "甲\n乙。"),
        ("維基百科，自由的百科全書\n甲[編輯]乙[1]。", "維基百科，自由的百科全書\n甲乙。"),
    ],
)
def test_marks_of_a_page_go(text, plain):
    result = Markup().open()(text)
    assert (result.text, result.counts) == (plain, ("wiki",))
    assert Markup().open()(plain).text == plain


@pytest.mark.parametrize(
    "text",
    [
        "sudo a2enmod {{module}}",
        "歡迎{{ user.name }}，{{user.name}}的訂單{{order_id}}已出貨。",
        "用 ${{ secrets.X }} 與 {{#if x}}甲{{/if}} 與 {{> partial}} 與 {{.Values.image}}",
        "!-{{數字}} 與 --{{install|uninstall}}-extension",
        "tar cf {{目標.tar}} {{路徑/文件}}",
        r"\frac{{x}}{{y}} 與 x^{{2}} 與 {{items|length}}",
        "{{small|large}} 大小擇一，{{ lang|upper }}",
        "用 [[nodiscard]] 與 [[maybe_unused]] 屬性，`[[a]]`",
        "模板寫作`{{convert|5|km}}`。",
        "{{count}}個{{unit}}，{{#each items}}{{this}}{{/each}}",
    ],
)
def test_templates_of_other_text_stay(text):
    assert Markup().open()(text) == (text, "", (), ())
    assert not evidence.from_source(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "面積{{convert|2951|km2}}，人口{{formatnum:2734567}}人，年均溫{{nowrap|25℃}}",
            "面積2,951平方公里，人口2,734,567人，年均溫25℃",
        ),
        ("'''月桃'''是[[草本]]，高{{small|約}}{{val|1.5|u=m}}{{來源請求}}。", "月桃是草本，高約1.5 m。"),
        ("[[甲]]見`{{x}}`與{{module}}。\n[[檔案:a.jpg|乙]]丙", "甲見`{{x}}`與{{module}}。\n丙"),
    ],
)
def test_templates_of_a_wiki_are_rendered(text, plain):
    assert Markup().open()(text).text == plain


def test_a_hole_costs_its_sentence_and_is_counted():
    result = Markup().open()("甲是[[乙]]。人口{{某|x}}人。[[丙]]是丁。")
    assert (result.text, result.counts) == ("甲是乙。丙是丁。", ("wiki", "lost_sentence"))
    assert Markup().open()("{{某框|甲}}") == ("{{某框|甲}}", "", (), ())


def test_hostile_input_is_linear():
    began = time.process_time()
    for unit in (
        "[1]",
        "甲[1]",
        "甲。[1]",
        "[編輯]",
        "甲[編輯]\n",
        "{{a|b}}",
        "[[甲",
        "'''",
        "== ",
        "甲 [1] ",
        "{|\n",
        "`",
    ):
        Markup().open()(unit * 10_000)
    assert time.process_time() - began < 8
