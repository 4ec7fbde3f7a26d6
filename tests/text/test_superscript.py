"""What stands above or below the line keeps its meaning, whichever markup it comes in."""

import pytest

from bailong.prepare.step.markup import Markup
from bailong.reader.wikitext import Cleaner, Wiki

HTML = [
    ("3×10<sup>8</sup> 公尺", "3×10⁸ 公尺"),
    ("H<sub>2</sub>O與SO<sub>4</sub><sup>2-</sup>", "H₂O與SO₄²⁻"),
    ("面積5 m<sup>2</sup>", "面積5 m²"),
    ("x<sub>i</sub>、v<sub>max</sub>", "x_i、v_(max)"),
    ("e<sup>−x</sup>與e<sup>&minus;x</sup>", "e^(−x)與e^(−x)"),
    ("2<sup>10<sup>3</sup></sup>", "2^(10³)"),
    ('10<sup class="a" style="x">-3</sup>', "10⁻³"),
    ("<i>x</i><sup><b>2</b></sup>", "x²"),
    ("<sup>14</sup>C定年", "¹⁴C定年"),
    ("the 1<sup>st</sup> of 25<sup>o</sup>C", "the 1st of 25°C"),
    ("商標<sup>®</sup>與<sup>TM</sup>，價格<sup>*</sup>", "商標®與™，價格*"),
    ("甲<sup>[1]</sup>乙<sup>註1</sup>。丙。<sup>3</sup>丁", "甲乙。丙。丁"),
    ('甲<sup id="cite_ref-1"><a href="#cite_note-1">a</a></sup>。', "甲。"),
    ("臺灣<sup>（新）</sup>，<sub>in small print</sub>", "臺灣（新），in small print"),
]


@pytest.mark.parametrize(("text", "plain"), HTML)
def test_html_and_dumps(text, plain):
    assert Markup().open()(text).text == plain
    assert Cleaner(Wiki(), "zh-tw", True)(text) == plain
    assert Markup().open()(plain).text == plain


def test_escaped_tags_and_bbcode():
    apply = Markup().open()
    assert apply("3×10&lt;sup&gt;8&lt;/sup&gt; 公尺").text == "3×10⁸ 公尺"
    assert apply("面積2[sup]10[/sup]，x[sub][i]i[/i][/sub]").text == "面積2¹⁰，x_i"


def test_marks_of_a_wiki_within():
    clean = Cleaner(Wiki(), "zh-tw", True)
    assert clean("''e''<sup>''x''</sup>，5公里<sup>[[平方|2]]</sup>") == "e^x，5公里²"
    assert clean("甲<sup><ref>書</ref></sup>。") == "甲。"


@pytest.mark.parametrize("text", ["10<sup>8 公尺", "the <sup> tag", "[sup] 與 [sub]", "x^2, a_i", "x²"])
def test_what_is_no_mark_stays(text):
    assert Markup().open()(text).text == text
