"""Text decoded by the wrong codec is undone where nothing was lost, and found where something was."""

import gzip
import json
from collections import Counter

import pytest

from bailong.prepare.step.normalize import Normalize
from bailong.prepare.step.quality import Quality
from bailong.text.mojibake import is_damaged, repaired, suspicious

CHINESE = "台灣位於東亞，四面環海，島上有許多高山與河流，人口超過兩千萬。"
SIMPLIFIED = "中国位于亚洲东部，人口很多，历史悠久，各地的风俗也不一样。"
JAPANESE = "この駅では毎朝たくさんの人が電車を待っています。改札口の前には小さな喫茶店があります。"
KOREAN = "서울은 대한민국의 수도이며 한강을 끼고 있는 큰 도시이다. 많은 사람들이 매일 지하철을 타고 출근한다."

GOOD = [
    CHINESE,
    "島上的夏天又長又熱，颱風常在七月以後從東南方來，帶來大量的雨水。",
    "北部的冬天多雨，南部則是晴朗的日子居多，農人在這個時候整理田地。",
    "市場、廟宇和學校都在街道的兩旁，早晨特別熱鬧，賣菜的人從四處來。",
    "港口停著許多漁船，傍晚出海，天亮以前回來，魚就在岸邊拍賣。",
    "山上的部落在春天舉行祭典，年輕人穿上祖父母織的衣服唱歌跳舞。",
    "鐵路沿著海岸走，從窗口可以看見白色的浪和遠方的小島。",
]
LOSSLESS = [
    *((SIMPLIFIED, "gbk", wrong) for wrong in ("latin-1", "cp1252")),
    *((CHINESE, right, wrong) for right, wrong in (("gb18030", "latin-1"), ("big5", "latin-1"), ("big5", "cp1252"))),
    (JAPANESE, "shift_jis", "latin-1"),
    (KOREAN, "euc_kr", "latin-1"),
    (KOREAN, "euc_kr", "cp1252"),
    *((text, "utf-8", "latin-1") for text in (CHINESE, SIMPLIFIED, JAPANESE, KOREAN)),
    ("我在这里", "utf-8", "gbk"),
]


def articles(real_data, name, count=30):
    with gzip.open(real_data / "zhwiki" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = (json.loads(line)["text"] for line in lines)
        return [text for text in texts if 200 < len(text) < 1500 and "-{" not in text][:count]


@pytest.mark.parametrize(("text", "right", "wrong"), LOSSLESS)
def test_undone(text, right, wrong):
    assert repaired(text.encode(right).decode(wrong)) == text


@pytest.mark.parametrize("errors", ["strict", "ignore", "replace"])
@pytest.mark.parametrize(("right", "wrong"), [("gbk", "big5"), ("gbk", "cp950"), ("gbk", "big5hkscs"), ("big5", "gbk")])
def test_what_one_double_byte_codec_made_of_another_goes_and_is_not_patched(real_data, right, wrong, errors):
    """What is lost in it leaves no trace, and a text with holes would look mended."""
    texts = articles(real_data, "zh_cn" if right == "gbk" else "zh_tw", 60)
    clean, judge, kept, tried = Normalize().open(), Quality().open(), [], 0
    for text in texts:
        try:
            bad = text.encode(right, "ignore").decode(wrong, errors)
        except UnicodeDecodeError:
            continue
        tried += 1
        normal = clean(bad).text
        if normal is not None and (result := judge(normal)).text is not None:
            kept.append(result.text)
    assert len(kept) <= tried // 10


def test_undone_twice_and_in_part():
    once = CHINESE.encode().decode("latin-1")
    assert repaired(once.encode().decode("latin-1")) == CHINESE
    assert repaired(f"{CHINESE}\n{SIMPLIFIED.encode('gbk').decode('latin-1')}\n好") == f"{CHINESE}\n{SIMPLIFIED}\n好"
    assert repaired(f"他說：{CHINESE.encode('big5').decode('latin-1')}") == f"他說：{CHINESE}"


def test_short_lines_follow_the_others():
    text = f"{CHINESE}\n山\n{CHINESE}\n小河"
    assert repaired(text.encode("big5").decode("latin-1")) == text


@pytest.mark.parametrize(
    ("name", "right"), [("zh_cn", "gbk"), ("zh_tw", "cp950"), ("zh_tw", "gb18030"), ("zh_tw", "utf-8")]
)
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252", "big5", "gbk", "utf-8"])
def test_articles_are_undone_or_dropped(real_data, name, right, wrong):
    normalize, quality = Normalize().open(), Quality().open()
    for text in articles(real_data, name):
        known = text.encode(right, "ignore").decode(right)
        made = normalize(known.encode(right).decode(wrong, "replace")).text
        kept = quality(made).text if made else None
        if kept is not None:
            # what stays is the article, less the characters that were lost on the way
            both = Counter(kept) & Counter(normalize(known).text)
            assert both.total() > 0.9 * len(kept), kept


@pytest.mark.parametrize(
    "text",
    [
        "NESTLÉ à São Paulo : « l'œuvre d'été » coûte 5 €… où çà ? Noël, naïf, Ÿ.",
        "Die Straßenbahn fährt über die Brücke; schöne Grüße aus Köln, Öl, Äpfel, Übung – „gut“.",
        "Türkiye'nin başkenti Ankara'dır; İstanbul ise en büyük şehridir. Çok güzel, öğle, ağaç.",
        "Việt Nam là một quốc gia nằm ở phía đông bán đảo Đông Dương; thủ đô là Hà Nội.",
        "As ações dos cidadãos são úteis: não há opções, corações e mãos em São João, à noite.",
        "Þetta er íslenska: ég á bókina sem þú vildir, æ, ó, ú, ý, ð. Žluťoučký kůň úpěl.",
        "Tâi-oân sī chi̍t ê pó-tó; pe̍h-ōe-jī, Hak-kâ-ngî, sṳ̀n-fa, Bân-lâm-gú hō͘ lán.",
        "[ˈɪŋɡlɪʃ] /ðə ˈkwɪk braʊn fɒks/, tʰai˧˥ wan˥, ʔəŋ, œ̃ ø ɛ̃",
        "┌──────┐\n│ 甲乙 │\n└──────┘ ░▒▓█ ±×÷ ¼½¾ ¹²³ °C µm §§ ¶",
        "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞß àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ",
        "昔者，倉頡作書而天雨粟，鬼夜哭。魑魅魍魎，饕餮檮杌，窮奇渾敦，莫不遁形。",
        "氕氘氚、鈧釔鑭、鈰鐠釹鉕釤銪釓鋱鏑鈥鉺銩鐿鎦、鉿鉭錸鋨銥",
        "踽踽獨行，齟齬不合，蹀躞躑躅，蜿蜒迤邐；餛飩、餑餑、饅頭、饊子。",
        JAPANESE,
        KOREAN,
        "ｶﾀｶﾅ ﾊﾝｶｸ ﾃｷｽﾄ ･ω･｡)",
        "“……”他说：“——不行！”",
        "Привет, мир! Καλημέρα κόσμε! مرحبا بالعالم नमस्ते दुनिया",
    ],
)
def test_text_stays(text):
    assert repaired(text) == text
    assert Normalize().open()(text).text.replace(" ", "") == text.replace(" ", "")
    assert Quality().open()(text).text == text


@pytest.mark.parametrize(
    "line",
    [
        SIMPLIFIED.encode().decode("gbk", "ignore"),
        CHINESE.encode().decode("big5", "ignore"),
        CHINESE.encode("big5").decode("gbk", "ignore"),
        CHINESE.encode().decode("cp1252", "ignore"),
        "锟斤拷锟斤拷锟斤拷锟斤拷维锟角癸拷锟斤拷",
        "錕斤拷錕斤拷錕斤拷，燙燙燙燙燙燙",
        "屯屯屯屯屯屯屯屯屯屯烫烫烫烫烫烫烫烫",
        "這���篇��文章的���字��都不��見了。",
    ],
)
def test_what_is_lost_is_dropped_or_cut(line):
    quality = Quality().open()
    assert suspicious(line)
    assert quality(line).reason == "mojibake"
    text = "\n".join((*GOOD[:4], line, *GOOD[4:]))
    result = quality(text)
    assert result.text is not None and line not in result.text
    assert [why for why, _ in result.removed] == ["mojibake"]
    assert Quality(max_mojibake=1).open()(text).removed == ()


def test_one_lost_character_and_a_word_about_them_stay():
    assert not is_damaged("他的名字叫王\ufffd明。")
    assert not is_damaged("「锟斤拷」是常見的亂碼。")
    assert not is_damaged("燙燙的湯")


@pytest.mark.parametrize(
    "name", ["zhwiki/zh_tw", "zhwiki/zh_cn", "moj_law/zh_tw", "archive_tw/zh_tw", "wikitext2/docs"]
)
def test_real_text_is_no_mojibake(real_data, name):
    with gzip.open(real_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert [text for text in texts if repaired(text) != text] == []
