"""Sentences with URLs, addresses, emoji and symbols go, and every character is accounted for."""

import gzip
import json

import pytest

from bailong.prepare.step.sentence_filter import SentenceFilter
from tests.prepare.step.raw import rows


@pytest.mark.parametrize(
    ("text", "stays", "reason"),
    [
        ("好的。看 https://a.tw/x?y=1。再見。", "好的。再見。", "url"),
        ("好的。看https：//a．tw/x。再見。", "好的。再見。", "url"),
        ("好的。寫信到 a@b.tw 吧。再見。", "好的。再見。", "email"),
        ("好的。讚👍。再見。", "好的。再見。", "emoji"),
        ("好的。\n★特價\n再見。", "好的。\n再見。", "symbol"),
        ("Fine. See http://x.org/a.b now. Bye.", "Fine. Bye.", "url"),
    ],
)
def test_the_sentence_goes(text, stays, reason):
    result = SentenceFilter().open()(text)
    assert result.text == stays
    assert [why for why, _ in result.removed] == [reason]
    assert len(result.text) + sum(len(piece) for _, piece in result.removed) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "二○一八年，①水在100℃沸騰；②體重3㎏。",
        "a < b & c > d，5×3=15，50%，NT$100，C++，#1",
        "他──那位老師──說……「好」。□同意 △ ♀ ♂",
        "推文 @某人，版本 v1.2.3，ASP.NET，第3.5節",
        "α≦β，½杯，Ⅳ，½",
    ],
)
def test_ordinary_text_stays(text):
    assert SentenceFilter().open()(text) == (text, "", (), ())


@pytest.mark.parametrize(
    "sentence",
    [
        "這個伺服器以 socket.io 與瀏覽器連線，速度很快。",
        "遊戲在 DMM.com 上推出完整版。",
        "他最喜歡的漫畫是《幽☆遊☆白書》。",
        "Node.js 與 Vue.js 都是常用的工具。",
        "台積電.com 是假的名稱。",
        "偶像團體K☆S出了新歌，專輯M♡。",
        "首張單曲以「Becky♪」名義發行。",
        "《Healin' Good ♥ 光之美少女》的片尾曲。",
        "她加入モーニング娘。後，演出【推しの子】和《Re:從零開始》。",
        "亞馬遜公司（Amazon.com, Inc.）是美國公司。",
        "請從[設定]→[一般]→[關於本機]查看版本。",
        "反應式為A → B → C，其中B不穩定。",
        "路線是北京→上海→廣州→深圳，全程三天。",
    ],
)
def test_names_stay(sentence):
    text = f"好的。{sentence}再見。"
    assert SentenceFilter().open()(text) == (text, "", (), ())


@pytest.mark.parametrize("name", ["socket.io", "DMM.com", "《幽☆遊☆白書》", "M♡"])
def test_the_paper_drops_names_too(name):
    text = f"好的。他也喜歡用{name}。再見。"
    assert SentenceFilter().open()(text).text == text
    assert SentenceFilter(names=False).open()(text).text == "好的。再見。"


@pytest.mark.parametrize(
    "sentence",
    [
        "★★★ 限時 ★★★",
        "☆加LINE☆",
        "超值☆限量☆特價☆快搶☆下殺",
        "【★限時特價★】全館五折。",
        "《★★★★★》評價",
        "詳見 https://socket.io/docs。",
        "更多在 pchome.com.tw/abc 這裡。",
        "請上 abc.com.tw 訂購商品。",
        "官網：shop.com.tw",
        "首頁→新聞→政治",
        "甲→乙→丙→丁→戊→己→庚，再從頭來。",
        "→→→看這裡，快來。",
        "abc.com",
        "寄信到 a@b.com 詢問。",
    ],
)
def test_decoration_and_addresses_go(sentence):
    assert SentenceFilter().open()(f"好的。\n{sentence}\n再見。").removed


def test_drops():
    assert SentenceFilter().open()("★☆★") == (None, "mostly_symbol", (), ())
    assert SentenceFilter().open()("OK 👌") == (None, "mostly_emoji", (), ())
    text = "好。請看 https://example.com/long/address 這裡。"
    assert SentenceFilter().open()(text).text == "好。"
    assert SentenceFilter(min_keep_ratio=0.5).open()(text) == (None, "mostly_url", (), ())


def test_knobs():
    text = "好。看 http://a.tw 吧。\n★星。\n#標籤 在此。"
    assert SentenceFilter(url=False, symbol=False).open()(text).text == text
    assert SentenceFilter(symbols="星", url=False).open()(text).text == "好。看 http://a.tw 吧。\n#標籤 在此。"
    result = SentenceFilter(patterns={"hashtag": r"#\w+"}, url=False, symbol=False).open()(text)
    assert result.removed == (("hashtag", "\n#標籤 在此。"),)
    with pytest.raises(ValueError, match=r"sentence_filter\.patterns\.bad=\("):
        SentenceFilter(patterns={"bad": "("})
    with pytest.raises(ValueError, match=r"sentence_filter\.min_keep_ratio"):
        SentenceFilter(min_keep_ratio=2)


def test_raw_sample_adds_up():
    apply = SentenceFilter().open()
    for key, row in rows().items():
        result = apply(row["text"])
        if result.text is not None:
            gone = "".join(piece for _, piece in result.removed)
            assert sorted(result.text + gone) == sorted(row["text"]), key
            assert apply(result.text).text == result.text, key


def test_real_text_adds_up(real_data):
    apply = SentenceFilter().open()
    cut = total = 0
    with gzip.open(real_data / "zhwiki" / "zh_tw.jsonl.gz", "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            if number % 5:
                continue
            text = json.loads(line)["text"]
            result = apply(text)
            total += 1
            if result.text is None:
                continue
            cut += bool(result.removed)
            assert len(result.text) + sum(len(piece) for _, piece in result.removed) == len(text)
    assert cut < 0.02 * total
