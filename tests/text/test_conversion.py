"""Right Traditional forms, for the phrases that OpenCC gets wrong and for those that it gets right."""

import json
import re

import pytest

from bailong.text.conversion import OVERLAY, converter, facts

#: known wrong conversions of OpenCC 1.4.2 (BYVoid/OpenCC#1497 among them), with the right form
WRONG = """
少数组织→少數組織 改变量子比特→改變量子位元 被发明→被發明 被发掘→被發掘 聚集成群→聚集成群 展示了如何→展示了如何
学习了如何→學習了如何 了解了如何→瞭解了如何 参与制造→參與製造 当当网→當當網 姓范→姓范 发布→發布 村里长→村里長
信息论坛→資訊論壇 数据报告→資料報告 命令行动→命令行動 操作数据→操作資料 用户名单→使用者名單 艾滋病人群→愛滋病人群
先进制造业→先進製造業 女性能够→女性能夠 国内存在问题→國內存在問題 世界面临→世界面臨 领导出席→領導出席
的士兵→的士兵 一个中国→一個中國 是只有→是只有 三天后→三天後 3天后→3天後 天后宫→天后宮 200只羊→200隻羊
法国历史→法國歷史 百年历史→百年歷史 学生发展→學生發展 一直发展→一直發展 喜欢表现→喜歡表現 转速表示→轉速表示
服务台湾→服務臺灣 第一出现→第一出現 民族志愿→民族志願 科学面对→科學面對 太阳历史→太陽歷史 注册机关→註冊機關
香港回归→香港回歸 改制为→改制為 并成为→並成為 安全局→安全局 局部地区→局部地區 包罗万象→包羅萬象
喀布尔→喀布爾 高级中学→高級中學 联合声明→聯合聲明 刷新纪录→刷新紀錄 循环系统→循環系統 电视频道→電視頻道
司法程序→司法程序 证明文件→證明文件 保存完好→保存完好 质量守恒→質量守恆 恒星的质量→恆星的質量 产品质量→產品品質
马里奥→馬里奧 余先生→余先生 小钟→小鍾 效力于波兰→效力於波蘭 目前于丹麦→目前於丹麥 出生于越南→出生於越南
登录后程序→登入後程式 项目组成→項目組成 没有采用→沒有採用 大陆游客→大陸遊客 因此系统→因此系統 个中滋味→箇中滋味"""

#: phrases of one character that stands for several
MANY = """皇后在后面→皇后在後面 后来皇后发了头发→後來皇后發了頭髮 干净的干部在树干旁干燥→乾淨的幹部在樹幹旁乾燥
公里和心里→公里和心裡 松树放松→松樹放鬆 台风吹过舞台→颱風吹過舞臺 面条→麵條 面对→面對 周杰伦→周杰倫 周一→週一
只有一只→只有一隻 沈阳沈先生→瀋陽沈先生 乾隆→乾隆 干涉→干涉 几乎→幾乎 茶几→茶几 丑陋→醜陋 小丑→小丑
山谷→山谷 稻谷→稻穀 剩余→剩餘 表示→表示 手表→手錶 征服→征服 象征→象徵 制度→制度 准备→準備 批准→批准
冲突→衝突 冲洗→沖洗 合并→合併 并且→並且 钟表→鐘錶 钟情→鍾情 胡子→鬍子 党员→黨員 山岳→山岳 忧郁→憂鬱
朴素→樸素 咸鱼→鹹魚 标签→標籤 签名→簽名 胡须→鬍鬚 须知→須知 人云亦云→人云亦云 精致→精緻 复杂→複雜 恢复→恢復
系鞋带→繫鞋帶 关系→關係 系统→系統 历史→歷史 日历→日曆 风采→風采 采访→採訪 海淀→海淀 淀粉→澱粉 划船→划船"""


#: a common word behind a character with which its first one makes a rare phrase
OVERLAPS = """
网上复制→網上複製 粉丝发送→粉絲發送 不干燥→不乾燥 台湾台风→臺灣颱風 早上复习→早上複習 飞机制造商→飛機製造商
木材干燥→木材乾燥 被干燥→被乾燥 广大台风→廣大颱風 境外面包→境外麵包 首秀发生→首秀發生 推迟回应→推遲回應
记录机上复制→記錄機上複製 巴西历史→巴西歷史 年里约→年里約 合并若干→合併若干 展示复杂→展示複雜 伟大斗争→偉大鬥爭
没采用→沒採用 满地核准→滿地核准 虚开发票→虛開發票 丝发送达→絲發送達 第二出线→第二出線 下摆动→下擺動
激素发泄→激素發洩 看钟表→看鐘錶 说尽快→說儘快 不尽早→不儘早 大台灯→大檯燈 老干粮→老乾糧 有面条→有麵條
他向往→他嚮往 在核准→在核准 小克星→小剋星"""

#: the phrase before the word
PHRASES = """上覆→上覆 丝发→絲髮 不干了→不幹了 太后来访→太后來訪 头发生长→頭髮生長 恢复制度→恢復制度 反复发生→反覆發生
人参茶→人參茶 一出戏→一齣戲 制药品→製藥品 提干的→提幹的"""


def pairs(text: str) -> list[tuple[str, str]]:
    return [(a, b) for a, _, b in (pair.partition("→") for pair in text.split())]


@pytest.mark.parametrize(("simplified", "traditional"), pairs(WRONG) + pairs(MANY) + pairs(OVERLAPS) + pairs(PHRASES))
def test_phrases(simplified, traditional):
    assert converter()(simplified) == traditional
    assert converter()(f"据说{simplified}。") == f"據說{traditional}。"
    assert converter()(f"谁都可以看{simplified}。") == f"誰都可以看{traditional}。"


def test_the_overlay_is_what_corrects_them():
    plain = converter(overlay=False)
    wrong = [simplified for simplified, traditional in pairs(WRONG) if plain(simplified) != traditional]
    assert len(wrong) >= 50


def test_taiwan_words_only_where_asked():
    assert converter("s2twp")("软件的质量") == "軟體的品質"
    assert converter("s2tw")("软件的质量") == "軟件的質量"
    assert converter("s2tw")("少数组织被发明") == "少數組織被發明"


def test_what_no_dictionary_holds_passes():
    for text in ("𠮷野家", "ㄅㄆㄇ", "アルゴリズム", "👨\u200d👩\u200d👧", "\ue000", "a\tb\r\nc", "", "葛\U000e0100"):
        assert converter()(text) == text
    assert converter()("\uf900") == "豈"


def test_overlay_is_well_formed():
    saved = json.loads(OVERLAY.read_text(encoding="utf-8"))
    words = [word for line in saved["words"] for word in line.split()]
    assert len(words) == len(set(words))
    assert len(saved["script"]) + len(saved["terms"]) > 1_000
    assert all(len(phrase) > 1 or phrase in "伙占杰朴范烟签账郁恤" for phrase in saved["script"])
    for pattern, replacement, hint in saved["patterns"] + saved["term_patterns"]:
        assert pattern.startswith(hint), "a literal beginning keeps the search fast"
        assert replacement
        re.compile(pattern)


def test_facts_name_version_and_hashes():
    import opencc

    found = facts("s2twp")
    assert found["opencc"] == opencc.__version__
    assert found["dictionaries"] != facts("s2tw")["dictionaries"]
    assert "overlay" in found and "overlay" not in facts("s2twp", overlay=False)
