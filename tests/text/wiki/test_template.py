"""Templates of prose are rendered; what cannot be leaves no half sentence."""

import time

import pytest

from bailong.reader.wikitext import Cleaner, Wiki
from bailong.text.wiki.hole import HOLE, MAYBE, close
from bailong.text.wiki.template import resolve

clean = Cleaner(Wiki(), "zh-tw", True)


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (
            "面積{{convert|2951|km2}}，人口{{formatnum:2734567}}人，年均溫{{nowrap|25℃}}",
            "面積2,951平方公里，人口2,734,567人，年均溫25℃",
        ),
        (
            "長{{CONVERT|5|-|10|km|abbr=on}}，高{{cvt|5|ft|7|in}}，{{convert|2,951|km²}}",
            "長5–10公里，高5英尺7英寸，2,951平方公里",
        ),
        ("The area is {{convert|2951|km2}} and {{convert|3|mi}}.", "The area is 2,951 km² and 3 mi."),
        (
            "生於{{birth date and age|1980|1|2}}，{{Start_date|2001|5}}起，{{dts|2019-03-05}}。",
            "生於1980年1月2日，2001年5月起，2019年3月5日。",
        ),
        ("Born {{birth date|1980|5|6|df=y}}, {{birth date|1980|May|6}}.", "Born 6 May 1980, May 6, 1980."),
        ("甲（{{bd|1912年|6月23日|1954年|6月7日}}）", "甲（1912年6月23日—1954年6月7日）"),
        ("享年{{age|1900|5|6|1980|1|2}}歲。", "享年79歲。"),
        (
            "見{{link-en|甲|A}}、{{le|乙|B|丙}}、{{tsl|en|X|丁}}、{{tsl|en|X|丁|戊}}、{{ill|己|en|F|lt=庚}}。",
            "見甲、丙、丁、戊、庚。",
        ),
        ("見{{internal link helper/en|辛|G}}的{{lang|en|Dragon}}（{{lang-ja|竜}}）。", "見辛的Dragon（竜）。"),
        ("{{ruby|漢字|かんじ}}{{small|小}}{{ red | 紅 }}{{color|blue|藍}}字", "漢字小紅藍字"),
        ("質量{{val|1.5|0.2|e=6|u=kg}}，{{sfrac|1|2}}、{{frac|3|1|2}}。", "質量(1.5±0.2)×10⁶ kg，1/2、3 1/2。"),
        ("H{{sub|2}}O與{{chem|C|O|2}}，2.5{{e|8}}。", "H₂O與CO₂，2.5×10⁸。"),
        (
            "{{flag|JPN}}與{{ROC}}，{{pi}}約3.14，{{circa|1900}}年，佔{{percentage|3|4}}。",
            "日本與中華民國，π約3.14，約1900年，佔75%。",
        ),
        ("甲{{!}}乙{{=}}丙{{nowrap|1=丁}}{{nobr|[[戊|己]]}}", "甲|乙=丙丁己"),
        ("{{#expr:3*4}}個，{{plural:3|page|pages}}，{{#if:甲|有|無}}。", "12個，pages，有。"),
        ("{{{參數|預設}}}值", "預設值"),
        ("E{{=}}<math>mc^2</math>。", "E=mc^2。"),
    ],
)
def test_prose_is_rendered(markup, text):
    assert clean(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("前句。人口{{某|x}}人。後句。", "前句。後句。"),
        ("截至{{CURRENTYEAR}}年。甲{{{1}}}乙。丙。", "丙。"),
        ("現年{{age|1980|1|2}}歲。甲。", "甲。"),
        ("面積{{convert|未知|km2}}。甲。", "甲。"),
        ("由<math>\\frac{a}{b}</math>可知。甲。", "甲。"),
        ("面積為{{某}}\n下行。", "下行。"),
        ("{{某}}是甲。乙。", "乙。"),
        ("甲（面積{{某|x}}公里）大，（{{拼音|x}}，乙）。", "甲大，（乙）。"),
        ("It has {{unknown|x}} people. It is old.", "It is old."),
    ],
)
def test_a_hole_costs_its_sentence(markup, text):
    assert clean(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("甲{{r|a}}{{sfn|b|p=3}}乙{{來源請求|time=2020}}。{{refn|x{{efn|y}}}}", "甲乙。"),
        ("{{Infobox 城市|名=[[甲|乙]]\n|人口={{formatnum:5}}}}\n'''甲'''是城市。", "甲是城市。"),
        ("{{某框|a=1}}'''甲'''是乙。{{某圖標}}\n{{導航}}", "甲是乙。"),
        ("* {{flagicon|JPN}} 日本\n* 甲 {{某}}", "日本\n甲"),
    ],
)
def test_silent_ones_cost_nothing(markup, text):
    assert clean(markup) == text


def test_a_page_knows_its_name():
    assert clean("{{PAGENAME}}是縣。", "宜蘭") == "宜蘭是縣。"


def test_lost_sentences_are_counted():
    assert close(f"甲{HOLE}乙。丙。丁{HOLE}。\n{MAYBE}戊。") == ("丙。\n戊。", 2)
    assert close("甲。") == ("甲。", 0)


def test_raw_stretches_and_open_braces_stay():
    for text in ("<nowiki>{{x}}</nowiki>甲", "甲{{nowrap|乙", "乙}}丙", "{{" * 50):
        assert resolve(text) == text


def test_hostile_input_is_linear():
    began = time.process_time()
    for unit in ("{{", "}}", "{{a|", "{{{", "{{a}}", "|", "{{a|b}}", "<math>", "[[a|"):
        resolve(unit * 20_000)
        resolve("{{nowrap" + unit * 20_000 + "}}")
    assert time.process_time() - began < 8
