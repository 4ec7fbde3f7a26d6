"""Hard wraps: joined where one width explains them, and nowhere else."""

import textwrap
from collections import Counter

import pytest

from bailong.prepare.step.normalize import Normalize
from bailong.text.wraps import _glued, unwrapped

_CHINESE = (
    "臺灣是一座位於東亞的島嶼，地處琉球群島與菲律賓群島之間，西隔臺灣海峽與中國大陸相望，"
    "四面環海，地勢東高西低，山地與丘陵占全島面積的三分之二以上，平原多分布在西部沿海，人口也集中在那裡。"
)
_ENGLISH = (
    "The committee met on the first day of the month to hear what the engineers had found in the old tunnel, and it "
    "was agreed that the information should be published as soon as the drawings were complete, so that the towns "
    "along the river could prepare for the closing of the bridge in the spring."
)


def _wrapped(text: str, columns: int) -> list[str]:
    return [text[i : i + columns] for i in range(0, len(text), columns)]


@pytest.mark.parametrize("columns", [20, 22, 27])
def test_chinese_is_joined_without_a_blank(columns: int) -> None:
    assert unwrapped("\n".join(_wrapped(_CHINESE, columns)) + "\n") == _CHINESE + "\n"


@pytest.mark.parametrize("columns", [60, 66, 72, 80])
def test_words_are_joined_with_one(columns: int) -> None:
    assert unwrapped(textwrap.fill(_ENGLISH, columns)) == _ENGLISH


@pytest.mark.parametrize(
    "mark", ["- 12 -", "第 12 頁，共 30 頁", "12", "Page 3 of 10", "\n— 7 —\n", "第十二頁", "3/10", "\f- 12 -\n"]
)
def test_the_marks_of_pages_go(mark: str) -> None:
    chinese, english = _wrapped(_CHINESE, 22), textwrap.wrap(_ENGLISH, 70)
    for lines, whole in ((chinese, _CHINESE), (english, _ENGLISH)):
        assert Normalize().open()("\n".join((*lines[:2], mark, *lines[2:]))).text == whole


def test_running_heads_go_with_their_numbers() -> None:
    lines = _wrapped(_CHINESE + _CHINESE, 22)
    page = ["- 11 -", "臺灣地理概論"]
    made = unwrapped("\n".join((*lines[:2], *page, *lines[2:4], "- 12 -", page[1], *lines[4:])))
    assert made == _CHINESE + _CHINESE


def test_divided_words_lose_their_hyphen_and_compounds_keep_it() -> None:
    text = (
        "The committee met on the first day to hear of the old tunnel, and the infor-\n"
        "mation was to be published as soon as the drawings were ready. It was a well-\n"
        "known fact that the long bridge had been closed before, and nobody was sur-\n"
        "prised."
    )
    made = unwrapped(text)
    assert "information was" in made and "well-known fact" in made and made.endswith("nobody was surprised.")
    assert "\n" not in made


def test_a_suspended_hyphen_stays() -> None:
    made = unwrapped(
        "The plans for the tunnel were made by the committee for long-\n"
        "and short-term use, and the towns along the river were sur-\n"
        "prised."
    )
    assert made == (
        "The plans for the tunnel were made by the committee for long- and short-term use, and the towns along the "
        "river were surprised."
    )


def test_both_languages_of_a_document() -> None:
    text = "\n\n".join(("\n".join(_wrapped(_CHINESE, 22)), textwrap.fill(_ENGLISH, 70)))
    assert unwrapped(text) == f"{_CHINESE}\n\n{_ENGLISH}"


def test_a_page_within_a_sentence_of_unwrapped_text() -> None:
    assert unwrapped(
        "會議中委員對於這個問題提出了許多不同的看法，並要求主管機關在\n- 12 -\n三個月內提出報告。\n又及。"
    ) == ("會議中委員對於這個問題提出了許多不同的看法，並要求主管機關在三個月內提出報告。\n又及。")


def test_paragraphs_and_headings_stay() -> None:
    lines = _wrapped(_CHINESE, 22)
    text = "\n".join(("第一章　地理", "", *lines, "", "第二章　歷史", "", *lines))
    assert unwrapped(text) == f"第一章　地理\n\n{_CHINESE}\n\n第二章　歷史\n\n{_CHINESE}"


def test_the_count_and_the_knob() -> None:
    text = "\n".join(_wrapped(_CHINESE, 22))
    assert Normalize().open()(text).counts == ("wraps",)
    assert Normalize(wraps=False).open()(text).text == text


_OTHERS = {
    "references": (
        "王小明，2001，臺灣的土地改革與農村社會的變遷，臺北：某某出版社\n"
        "李大華，2003，日治時期的糖業與殖民地經濟的發展，臺北：某出版社\n"
        "陳美麗，2007，戰後臺灣的都市化與移民社會的形成，高雄：某出版社\n"
        "林一郎，2010，原住民族的傳統領域與土地權利的爭議，花蓮：某某社\n"
    ),
    "quatrain": ("床前明月光\n疑是地上霜\n舉頭望明月\n低頭思故鄉"),
    "couplets": (
        "春江潮水連海平，海上明月共潮生。\n"
        "灩灩隨波千萬里，何處春江無月明。\n"
        "江流宛轉遶芳甸，月照花林皆似霰。\n"
        "空裏流霜不覺飛，汀上白沙看不見。"
    ),
    "lyrics": (
        "我獨自走在這條沒有燈光的路上\n"
        "你的聲音還在遠方輕輕地迴盪\n"
        "就算時間帶走了所有的回憶\n"
        "我也不會忘記那年夏天的雨\n"
        "怎麼能夠忘記那年夏天的你"
    ),
    "frost": (
        "Whose woods these are I think I know.\n"
        "His house is in the village though;\n"
        "He will not see me stopping here\n"
        "To watch his woods fill up with snow."
    ),
    "list": (
        "apples from the orchard behind the old house\n"
        "pears in a wooden box\n"
        "plums, if there are any left by then\n"
        "bread and butter for the whole week\n"
        "a bottle of the red wine that we had in May"
    ),
    "items": (
        "- 第一項工作是把所有的資料都整理成表格並上傳\n"
        "- 第二項工作是請各單位確認資料的內容有無錯誤\n"
        "- 第三項工作是將確認後的資料送交主管機關備查\n"
        "- 第四項工作是等候通知"
    ),
    "addresses": (
        "臺北市中正區重慶南路一段一百二十二號三樓之一\n"
        "高雄市苓雅區四維三路二號十二樓之三服務中心\n"
        "臺中市西屯區臺灣大道三段九十九號惠中樓八樓\n"
        "臺南市安平區永華路二段六號十一樓聯合服務處"
    ),
    "headers": (
        "From: Anna Keller <anna@example.org>\n"
        "To: The Members of the Committee <members@example.org>\n"
        "Subject: closing of the bridge in the spring of next year\n"
        "Date: Mon, 4 May 2020 10:00:00 +0200"
    ),
    "subtitles": (
        "1\n"
        "00:00:01,000 --> 00:00:04,000\n"
        "我們今天要談的是一個很少有人願意去談的\n"
        "\n"
        "2\n"
        "00:00:04,500 --> 00:00:07,000\n"
        "問題，也就是土地的問題\n"
    ),
    "dialogue": (
        "王小明：我覺得這個方案在預算上還有許多可以討論的空間\n"
        "李大華：可是時間只剩下不到三個星期，恐怕沒有辦法再改\n"
        "王小明：那麼至少把第二期的經費先保留下來，以後再說\n"
        "李大華：這個可以"
    ),
    "code": (
        "if x:\n"
        "    total_of_everything = first_part_of_it + second_part_of_it\n"
        "    another_total_of_it = third_part_of_it + fourth_part_of_it\n"
        "    one_more_total_of_it = fifth_part_of_it + sixth_part_of_it\n"
    ),
    "table": (
        "姓名 年齡 城市 職業 電話 備註 姓名 年齡 城市 職業\n"
        "王明 三十 臺北 教師 二二 沒有 林華 四十 臺中 醫師\n"
        "李英 二八 高雄 律師 三三 沒有 陳美 五十 臺南 司機"
    ),
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_other_lines_stay(kind: str) -> None:
    assert unwrapped(_OTHERS[kind]) == _OTHERS[kind]


_KOREAN = (
    "한국어는 낱말과 낱말 사이를 띄어 쓰는 언어이므로 정해진 너비에서 줄이 끊어져 있으면 그 자리에는 빈칸이 있어야 "
    "한다. 그렇지 않으면 두 낱말이 하나로 붙어 버려 글의 뜻이 달라지고, 모형은 잘못된 말을 배우게 된다. 그래서 "
    "편집기가 만든 줄바꿈을 지울 때에는 언제나 앞뒤의 글자를 보고, "
    "서울(Seoul)처럼 로마자가 섞인 글에서도 같은 규칙을 따라야 한다."
)


@pytest.mark.parametrize("columns", [58, 64, 70, 76, 80])
def test_korean_is_joined_with_a_blank(columns: int) -> None:
    lines = [""]
    for word in _KOREAN.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if sum(1 + (sign >= "\u1100") for sign in longer) > columns:
            lines.append(word)
        else:
            lines[-1] = longer
    assert unwrapped("\n".join(lines)) == _KOREAN


def test_a_korean_word_that_was_divided_is_whole_again() -> None:
    words = Counter(["끊어져", "끊어", "져", "한국", "사람", "한국"])
    for above, below, whole in (
        ("너비에서", "끊어져", "너비에서 끊어져"),
        ("줄이 끊어", "져 있다", "줄이 끊어져 있다"),
        ("서울", "에서 산다", "서울에서 산다"),
        ("한다,", "그래서", "한다, 그래서"),
        ("GPU", "메모리", "GPU 메모리"),
        ("모형", "GPU", "모형 GPU"),
        ("말했다", ". 그", "말했다. 그"),
        ("1945", "년에", "1945 년에"),
    ):
        assert _glued(above, below, words, chinese=False, spaced=False) == whole
    assert _glued("韓国語で한국", "語と書く", words, chinese=True, spaced=False) == "韓国語で한국語と書く"
