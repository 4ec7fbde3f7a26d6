"""Frames of pages are cut; frames without a page, repetition and noise are dropped; short lines of real text stay."""

import gzip
import json

import pytest

from bailong.prepare.step.markup import Markup
from bailong.prepare.step.quality import Quality
from bailong.text.boilerplate import boilerplate, suspicious
from bailong.text.repetition import repeated
from tests.prepare.step.raw import must_stay, rows


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("首頁 > 最新消息 > 活動花絮", "navigation"),
        ("Home | About | Shop | Contact", "navigation"),
        ("設為首頁 加入收藏 手機版 繁體", "navigation"),
        ("本網站使用 Cookie 以提供更好的瀏覽體驗，繼續瀏覽即表示您同意我們的隱私權政策。", "cookie_banner"),
        ("We use cookies to improve your experience.", "cookie_banner"),
        ("上一篇 | 下一篇 | 回列表", "previous_next"),
        ("下一篇：如何種蔥", "previous_next"),
        ("分享到：Facebook Line", "share"),
        ("Share this: Facebook Twitter", "share"),
        ("Copyright © 2021 巷口圖書室 All Rights Reserved.", "copyright"),
        ("※本網站內容未經授權不得轉載※", "copyright"),
        ("转载请注明出处", "copyright"),
        ("— 47 —", "page_number"),
        ("第 3 頁 / 共 12 頁", "page_number"),
        ("Page 3 of 10", "page_number"),
        ("您需要登录才可以下载或查看。没有账号?立即注册", "login_wall"),
        ("Log in to reply", "login_wall"),
        ("[全部接受] [仅必要] [管理设置]", "buttons"),
        ("【打印】【关闭】【返回顶部】", "buttons"),
        ("404 Not Found｜找不到頁面", "error_page"),
        ("您的瀏覽器未啟用 JavaScript，部分功能將無法正常運作。", "script_notice"),
        ("請輸入驗證碼：[        ]　[送出]　看不清楚？換一張", "form"),
        ("按讚加入粉絲團　下載APP看更多", "follow"),
        ("Subscribe to our newsletter!", "newsletter"),
        ("如需取消訂閱，請點選此處", "newsletter"),
        ("（廣告）點我看更多超值優惠 >>>", "advertisement"),
        ("延伸閱讀：", "link_list"),
        ("友情链接: 本地生活网 美食地图", "link_list"),
        ("您是第 0012345 位訪客", "counter"),
        ("瀏覽人次：1,234", "counter"),
        ("Sent from my phone", "signature"),
        ("Was this review helpful?", "rating"),
        ("首頁 → 新聞 → 國際", "navigation"),
        ("首頁/新聞/政治", "navigation"),
        ("Home » News", "navigation"),
        ("推 abc: 說得真好", "forum"),
        ("噓 qwer123: 亂寫一通 05/21 13:04", "forum"),
        ("→ user: 沒錯就是這樣 05/21 13:05", "forum"),
        ("※ 發信站: 批踢踢實業坊(ptt.cc), 來自: 1.2.3.4", "forum"),
        ("◆ From: 140.112.1.1", "forum"),
        ("12樓 發表於 2010-5-1", "forum"),
        ("1樓", "forum"),
        ("沙發！", "forum"),
        ("引用:", "forum"),
        ("回覆 #3 小明：", "forum"),
        ("→→→→", "debris"),
        ("↓ ↓ ↓", "debris"),
        ("??????????", "debris"),
        ("????，????。??????", "debris"),
        ("□□□□□□", "debris"),
        ("哈" * 40, "debris"),
        ("asdf asdf asdfasdf", "debris"),
        ("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do.", "debris"),
        ("測試測試123", "debris"),
        ("This is a test.", "debris"),
        ("･ω･｡)", "debris"),
        ("･ω･｡)好可愛的貓咪在窗邊睡覺，看起來很溫暖。", "debris"),
        ("往下看↓↓↓↓↓", "debris"),
        ("↓", "debris"),
        ("目前位置：首頁 / 新聞 / 國際新聞", "navigation"),
        ("您現在的位置: 首頁 > 生活", "navigation"),
        ("You are here: Home / News", "navigation"),
        ("時間: Mon May  4 12:30:00 2020", "forum"),
        ("標題：[問卦] 為什麼天空是藍色的", "forum"),
        ("標題: Re: [新聞] 明天會下雨", "forum"),
        ("樓主好人一生平安！", "forum"),
        ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4", "debris"),
        ("iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4aaaBBBcdd09" * 4, "debris"),
    ],
)
def test_frames(line, kind):
    assert boilerplate(line) == kind
    assert suspicious(line), "the quick look must not miss it"


@pytest.mark.parametrize(
    "line",
    [
        "Cookie 是網站存在瀏覽器裡的小檔案，最早由網景公司的工程師想出來。",
        "醫療產品必須先註冊才能上市開始販售。",
        "2019年，幾間圖書館決定取消訂閱付費期刊。",
        "上一章我們談到河流，這一章談山。",
        "下一個站是松山車站。",
        "他在首頁放了一張照片。",
        "| 名稱 | 新聞 | 論壇 |",
        "潮水把木樁磨成了灰色，",
        "第3條",
        "（刪除）",
        "玩家B: 你自己先衝的好嗎",
        "The copyright of the song belongs to the composer.",
        "阿德比 400 型卡車",
        "10:35\t阿公\t[貼圖]",
        "a > b | c",
        "所在位置：臺北市中正區重慶南路一段",
        "標題：論臺灣的土地改革",
        "時間：2020年5月4日上午十點",
        "希臘字母ω是最後一個，Ω則是大寫，∀是全稱量詞。",
        "草 > 蝗蟲 > 青蛙 > 蛇 > 老鷹",
        "2020-06-18",
        "47",
        "推薦序：一本好書",
        "推 拉 門",
        "→ Note: the file is read once",
        "A → B → C",
        "甲→乙→丙，依此類推。",
        "作者：王小明",
        "沙發與茶几都是新的",
        "1樓是客廳，2樓是臥室。",
        "什麼??",
        "真的嗎？？？",
        "他在電腦前測試程式。",
        "這是測試用的機器，請勿關閉。",
        "http://example.org/aVeryLongPath/thatGoesOn/and/on/without/any/end/at/all/2020/index",
        "啊啊啊啊啊啊，好痛！",
        "□ 同意 □ 不同意",
        "(´・ω・`) 今天好冷",
    ],
)
def test_text(line):
    assert boilerplate(line) == ""


def test_a_sentence_before_a_footer_stays():
    text = "秋天的山上，芒草白了。走累了就喝茶。 攝影：阿樹 © 2018"
    result = Quality().open()(text)
    assert result.text == "秋天的山上，芒草白了。走累了就喝茶。"
    assert [why for why, _ in result.removed] == ["copyright"]


def test_a_post_stays_and_what_stands_around_it_goes():
    post = "昨天去爬山，雨後的路很滑，走到半山腰就看見一整片雲海，等了一個小時才散。"
    around = [
        "首頁 → 旅遊 → 登山",
        "??????????",
        "→→→→",
        "推 abc: 好美 05/21 13:04",
        "→ user: 請問怎麼去 05/21 13:05",
        "※ 發信站: 批踢踢實業坊(ptt.cc)",
        "◆ From: 140.112.1.1",
        "--",
        "Sent from my iPhone",
        "第 12 頁，共 30 頁",
        "- 12 -",
        "･ω･｡)",
    ]
    result = Quality().open()("\n".join((around[0], post, *around[1:])))
    assert result.text.replace("\n--", "") == post
    assert len(result.removed) == len(around) - 1


def test_empty_sections_go():
    text = "松鼠住在樹上，秋天存糧食，春天忘記。\n參考資料\n外部連結"
    result = Quality().open()(text)
    assert result.text == "松鼠住在樹上，秋天存糧食，春天忘記。"
    assert "".join(piece for _, piece in result.removed) == "\n參考資料\n外部連結"
    assert Quality().open()(text + "\n臺北市立動物園").removed == ()


@pytest.mark.parametrize("text", ["................................\n----------\n==========", "……", "。。。", "* * *"])
def test_a_text_without_a_word_goes(text):
    assert Quality().open()(text).reason == "symbols"


def test_drops():
    apply = Quality().open()
    assert apply("簽到簽到簽到簽到\n" + "今日簽到，好人一生平安\n" * 12).reason == "repetition"
    assert (
        apply(
            "搬家 "
            + " ".join(
                f"{city}搬家"
                for city in ["台北", "新竹", "桃園", "便宜", "學生", "假日", "夜間", "鋼琴", "套房", "推薦"] * 2
            )
        ).reason
        == "keywords"
    )
    assert apply("好看★◆■●" * 20).reason in ("symbols", "repetition")
    assert (
        apply("*** BUY NOW *** THE AMAZING TEAPOT!!! ONLY $19.95!!! ORDER NOW AND SAVE\nJust press it").reason
        == "shouting"
    )
    assert apply("首頁 | 登入 | 註冊\nCopyright © 2020\n電話：02-1234").reason == "boilerplate"


@pytest.mark.parametrize(
    "page",
    [
        "This website uses cookies to ensure you get the best experience on our website.\nGot it! Decline",
        "本網站使用 Cookies 以優化您的使用者體驗，點選「同意」即代表您接受我們的政策。\n同意 | 拒絕 | 了解更多",
        "首页 > 资讯 > 行业动态 > 正文\n字号：大 中 小\n来源：本站 作者：佚名 点击：123次",
        "关于我们 | 联系我们 | 诚聘英才\n地址：某路1号\n京ICP备00000000号 版权所有 某某公司",
        "Page not found\nThe page you are looking for might have been removed.\nGo back home",
        "抱歉，您访问的页面不存在！\n3秒后自动跳转到首页\n返回首页 | 联系客服",
        "Service Temporarily Unavailable\nThe server is temporarily unable to service your request.",
        "Please verify you are a human\nPlease make sure that Javascript and cookies are enabled on your browser.",
        "系統維護中，請稍後再試。\n造成不便，敬請見諒。\n回首頁",
        "您需要登录后才可以回帖 登录 | 立即注册\n本版积分规则",
    ],
)
def test_pages_without_text(page):
    assert Quality().open()(page).reason == "boilerplate"


@pytest.mark.parametrize(
    "text",
    [
        "我愛你\n我愛你\n一天一天\n我愛你\n像雨落下來\n我愛你\n像風吹過去\n一天一天",
        "床前明月光，\n疑是地上霜。\n舉頭望明月，\n低頭思故鄉。",
        "A: 在嗎\nB: 在\nA: 吃了嗎\nB: 還沒\nA: 走\nB: 走",
        "第1條\n（刪除）\n第2條\n（刪除）\n第3條\n（刪除）\n第4條\n本法自公布日施行。",
        "年份\t人口\n1990\t1000\n2000\t2000\n2010\t3000",
        "NASA AND ESA ANNOUNCED A JOINT MISSION. THE LAUNCH IS PLANNED FOR 2030.",
        "王小明 李大華 張美麗 陳志強 林淑芬 黃建國 吳佳玲 劉俊傑 蔡依珊 楊宗翰 許雅婷 鄭文龍 何俊傑 高志明",
        "Taipei, Tainan, Taichung, Kaohsiung, Hsinchu, Keelung, Chiayi, Taoyuan",
    ],
)
def test_short_lines_stay(text):
    assert Quality().open()(text) == (text, "", (), ())


def test_raw_sample():
    page, apply = Markup().open(), Quality().open()
    for key, row in rows().items():
        result = apply(page(row["text"]).text or "")
        expected = "expected to be dropped" in row["notes"] or key == "raw-091"
        assert (result.text is None) == expected, (key, result.reason)
        if result.text is not None:
            assert not [string for string in must_stay(row) if string not in result.text], key
            whole = page(row["text"]).text or ""
            assert len(result.text) + sum(len(piece) for _, piece in result.removed) == len(whole)
    poem = rows()["raw-103"]["text"]
    assert apply(poem) == (poem, "", (), ())


@pytest.mark.parametrize(
    ("name", "dropped", "cut"),
    [
        ("zhwiki/zh_tw", 0.0003, 0.0005),
        ("moj_law/zh_tw", 0, 0.001),
        ("archive_tw/zh_tw", 0, 0.01),
        ("archive_tw/en", 0, 0.01),
    ],
)
def test_real_text_stays(real_data, name, dropped, cut):
    apply = Quality().open()
    with gzip.open(real_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
        results = [apply(json.loads(line)["text"]) for number, line in enumerate(stream) if number < 10_000]
    assert sum(result.text is None for result in results) <= dropped * len(results)
    assert sum(bool(result.removed) for result in results) <= cut * len(results)


def test_repeated_share():
    assert repeated("一二三四五六七八九十甲乙丙丁戊己庚辛") == (0, 0)
    text = "一二三四五六七八九十甲乙丙丁戊己庚辛" * 2
    assert repeated(text) == pytest.approx((0.5, 0.5))
    assert repeated("好" * 100)[0] > 0.9
    assert repeated("...." * 100) == (0, 0)
    assert repeated("") == (0, 0)


def test_refusals():
    with pytest.raises(ValueError, match=r"quality\.max_pair=0 is not accepted"):
        Quality(max_pair=0)
    with pytest.raises(ValueError, match=r"quality\.min_letters"):
        Quality(min_letters=-1)


def test_off_switches():
    lines = "首頁 | 登入 | 註冊"
    assert Quality(boilerplate=False).open()(lines).text == lines
