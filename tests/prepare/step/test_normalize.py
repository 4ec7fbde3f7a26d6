"""What is invisible or has a second spelling goes; what carries meaning stays."""

import gzip
import json

import pytest

from bailong.prepare.step.normalize import Normalize
from bailong.text.invisible import shows


@pytest.fixture(scope="module")
def normalize():
    return Normalize().open()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeff第一行\r\n第二行\r第三行\u2028第四行", "第一行\n第二行\n第三行\n第四行"),
        ("小\u200b安\u2060說\u200e：\xad好\x00\x07", "小安說：好"),
        ("門開了。\xa0\xa0牠走", "門開了。牠走"),
        ("10\xa0km", "10 km"),
        ("第三章\u3000渡口", "第三章 渡口"),
        ("a\tb", "a\tb"),
        ("豈\uf900，e\u0301", "豈豈，é"),
        ("The ﬁrst ﬂoor of the of\xadﬁce", "The first floor of the office"),
        ("Ｃｈａｐｔｅｒ\u3000３", "Chapter 3"),
        ("日期：１１０年８月１４日（六）ＡＭ１０：００", "日期：110年8月14日（六）AM10:00"),
        ("滿ＮＴ＄１，０００免運，滿ＮＴ＄２，５００", "滿NT$1,000免運，滿NT$2,500"),
        ("約４．５公里，第１，２章", "約4.5公里，第1，2章"),
        ("５０％、Ａ＋、＠＿＠", "50%、A+、@_@"),
        ("ｈｔｔｐｓ：／／ａ．ｔｗ／ｂ？ｃ＝１，好", "https://a.tw/b?c=1，好"),
        ("葛\U000e0100\U000e0101城a\U000e0100", "葛城a"),
        ("a\u200db\u200c，好\u200d", "ab，好"),
        ("好\u3164的\uffa0字\u115f\u1160和\u2800空", "好的字和 空"),
        ("\ufe0f文\ufe0f\ufe01 \ufe0fa\ufe0f", "文 a"),
        ("圖\ufffc片", "圖片"),
        ("他說︰﹁好︒走，明天見︑後天也見﹂", "他說：「好。走，明天見、後天也見」"),
        (
            "﹃書﹄︽史記︾︿項羽︐本紀﹀︵上︶︷甲︸︹乙︺︻丙︼﹇丁﹈︗戊︘",
            "『書』《史記》〈項羽，本紀〉（上）｛甲｝〔乙〕【丙】［丁］〖戊〗",
        ),
        ("等等︙︙走了︕真的︖是︔好︓", "等等……走了！真的？是；好："),
        ("第一章︰︰︰︰12", "第一章……12"),
        ("﹙甲﹚﹝乙﹞﹛丙﹜，丁﹔戊﹖己﹗庚﹐辛﹑壬﹒", "（甲）〔乙〕｛丙｝，丁；戊？己！庚，辛、壬．"),
        ("１﹐０００元、3﹒14、10﹕30、５０﹪﹠﹩5", "1,000元、3.14、10:30、50%&$5"),
        ("⽇⽉⽔⽕，⼀⼈⾏⾛，⿓⿔", "日月水火，一人行走，龍龜"),
        ("⻑江、⺠國、⻄⽅、⻘⾊、⻝物、⻩河、⺟⼥、⻢⻋", "長江、民國、西方、青色、食物、黄河、母女、马车"),
        ("⼈\ufe00", "人"),
        ("\U000e0001\U000e0065文字", "文字"),
        ("cafÃ© â€œflat whiteâ€\x9d", "café “flat white”"),
        ("中文也ä¸\xadæ–‡", "中文也中文"),
    ],
)
def test_rewrites(normalize, text, expected):
    result = normalize(text)
    assert result.text == expected
    assert result.counts or text == expected
    assert normalize(expected).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "① ② ㎏ ㎝ ℃ ㏄ ½ Ⅲ 𝐓𝐡𝐚𝐧𝐤",
        "ｶﾀｶﾅ半形字：ｱﾘｶﾞﾄｳ",
        "全形，標點：留著！（好）／｜～",
        "👨\u200d👩\u200d👧 ☎\ufe0f 👍🏽",
        "ㄋㄧˇ ㄏㄠˇ 𠮷野家",
        "می\u200cخواهم، نامه\u200cای ه\u200d.ق",
        "क्\u200dष और क्\u200cष, ශ්\u200dරී",
        "❤\ufe0f\u200d🔥 🏴\u200d☠\ufe0f 🙂\u200d↔\ufe0f 1\ufe0f\u20e3 ©\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "(︶︿︶) ﹀_﹀ ﹁﹁ ╯︿╰︿ ﹏ 書名﹏﹏﹏ ㆒㆓ ㇀㇁ ⿰⿱",
        "⑴⑵ ㈠㈡ ㊀㊁ 🄰 Ⓐ ㍿ ｱｲｳ ･ω･ ｡",
        "葛飾区 ⠓⠑⠇⠇⠕⠀⠺⠕⠗⠇⠙",
        "\u115fᅡᆫ과 ᄀ\u1160",
        "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ᠋",
        "NESTLÉ® in São Paulo, façade “quoted”",
        "한글 한 줄",
    ],
)
def test_leaves(normalize, text):
    assert normalize(text) == (text, "", (), ())


@pytest.mark.parametrize(
    "text",
    [
        "\u200b \n\t\n \u200b\n \u3000\u3000 \n\u200b",
        " \n\n \t",
        "\ufeff",
        "\xad\u2060\u180e\u200e\u202b\u2069",
        "\ufe0f\n\U000e0100\ufe00",
        "\u200d\u200c\n\u200d",
        "\u3164\n\u115f\u1160 \uffa0",
        "\u2800\u2800\n\u2800",
        "\U000e0001\U000e0065\U000e006e\U000e007f",
        "\u034f\u034f",
        "\x00\x07\x1b\x7f\x85\x9f",
        "\ue000 \uf8ff\U000f0000\U0010fffd",
        "\u0378\U0003fff0\ufdd0",
        "\ufffc\n\u2028\u2029\xa0",
    ],
)
def test_nothing_seen_is_empty(normalize, text):
    assert normalize(text) == (None, "empty", (), ())


@pytest.mark.parametrize("text", ["。", "🙂", "\ue000\ue001字", "̈", "א", "𠮷"])
def test_a_single_sign_is_no_empty_document(text):
    assert shows(text)


def test_private_use(normalize):
    ornaments = "\ue000\ue001好的一段文字，條列符號\uf0b7之外沒有別的\U000f0001。"
    assert normalize(ornaments).text == "好的一段文字，條列符號之外沒有別的。"
    assert normalize(ornaments).counts == ("private_use",)
    assert normalize("\ue000" * 30 + "文字" * 50).reason == "private_use"
    assert normalize("\ue000" * 3 + "文字" * 3).reason == "private_use"
    assert normalize("\ue000" * 40 + "文字" * 2_000).text == "文字" * 2_000
    assert Normalize(max_pua=1).open()("\ue000" * 30 + "文字").text == "文字"


def test_counts_say_what_happened(normalize):
    assert normalize("Ａ\u200b\r\n").counts == ("newlines", "invisible", "fullwidth")


def test_knobs():
    assert Normalize(fullwidth_ascii=False).open()("ＡＢＣ").text == "ＡＢＣ"
    assert Normalize(spaces=False).open()("甲\u3000乙").text == "甲\u3000乙"
    assert Normalize(mojibake=False).open()("cafÃ©").text == "cafÃ©"
    with pytest.raises(ValueError, match=r"normalize\.max_pua=2 .* between 0 and 1"):
        Normalize(max_pua=2)
    with pytest.raises(ValueError, match=r"normalize\.spare_pua=-1"):
        Normalize(spare_pua=-1)


def test_facts():
    assert set(Normalize().facts()) == {"ftfy", "unicode"}
    assert set(Normalize(mojibake=False).facts()) == {"unicode"}


def test_real_text_twice_is_once(normalize, real_data):
    with gzip.open(real_data / "zhwiki" / "zh_cn.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            once = normalize(json.loads(line)["text"]).text
            assert once and normalize(once) == (once, "", (), ())
