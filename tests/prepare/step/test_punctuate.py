"""Chinese gets full-width punctuation; numbers, addresses, code, faces and English do not."""

import gzip
import json

import pytest

from bailong.prepare.step.punctuate import Punctuate


@pytest.fixture(scope="module")
def punctuate():
    return Punctuate().open()


#: text -> expected, one a line
CASES = r"""
圓周率是3.14,你知道嗎? -> 圓周率是3.14，你知道嗎？
時間10:30,地點台北. -> 時間10:30，地點台北。
e.g. 這是例子,i.e. 說明 -> e.g. 這是例子，i.e. 說明
見 https://a.tw/b?x=1,2:3,然後 -> 見 https://a.tw/b?x=1,2:3，然後
Hello, world! 你好,世界! -> Hello, world! 你好，世界！
NT$1,234.50元 -> NT$1,234.50元
C++:模板;Python:裝飾器 -> C++：模板；Python：裝飾器
他說:"你好." -> 他說：「你好。」
f(x, y) 回傳 -> f(x, y) 回傳
(台北)與(Taipei) -> （台北）與(Taipei)
v1.2.3,已發布 -> v1.2.3，已發布
你好... -> 你好……
比例1:2,比分3:2 -> 比例1:2，比分3:2
a.b@c.tw,電話02-1234-5678 -> a.b@c.tw，電話02-1234-5678
`a, b: c` 是程式碼 -> `a, b: c` 是程式碼
ISO 8601:2004,標準 -> ISO 8601:2004，標準
真的?! -> 真的？！
第1,2,3章 -> 第1,2,3章
U.S.A.是美國 -> U.S.A.是美國
檔案:C:\path,結束 -> 檔案：C:\path，結束
3,000人參加;5,000人 -> 3,000人參加；5,000人
A,B兩者 -> A,B兩者
我剛剛把 PR merge 了, 你那邊 pull 一下 -> 我剛剛把 PR merge 了，你那邊 pull 一下
1. 在來米 300 g,水 450 ml,攪到沒有顆粒. -> 1. 在來米 300 g，水 450 ml，攪到沒有顆粒。
1.首先,2.其次 -> 1.首先，2.其次
a) 重灌驅動程式 -> a) 重灌驅動程式
作業系統是 64-bit,記憶體 8 GB.官網說 -> 作業系統是 64-bit，記憶體 8 GB。官網說
先謝謝大家,附上資訊:錯誤代碼 0x0000011b. -> 先謝謝大家，附上資訊：錯誤代碼 0x0000011b。
準確到小數點後第六位.[4] -> 準確到小數點後第六位。[4]
人回來就好.騎士隊贏了沒? -> 人回來就好。騎士隊贏了沒？
麥可.傑克森說，他很好。 -> 麥可.傑克森說，他很好。
請不要說壞.詞.乙，這裡有小孩 -> 請不要說壞.詞.乙，這裡有小孩
好喔:) 晚安;-) -> 好喔:) 晚安;-)
例如:(1)蘋果(紅) -> 例如：(1)蘋果（紅）
真的值得!!! 店員多送我一張 (*´∀`)~♥ -> 真的值得！！！店員多送我一張 (*´∀`)~♥
自序......................1 -> 自序......................1
說。。。。昨天.....又去⋯⋯⋯看到…然後﹍﹍就這樣.. -> 說……昨天……又去……看到……然後……就這樣……
print("你好", x) 會印出 -> print("你好", x) 會印出
{"名稱": "值,值"} -> {"名稱": "值,值"}
Blanch 汆燙: to dip food in hot water, e.g., 30 s. -> Blanch 汆燙: to dip food in hot water, e.g., 30 s.
他說“OK”嗎 -> 他說「OK」嗎
“我說‘好’嗎?”她問。 -> 「我說『好』嗎？」她問。
‘有些東西,修好了反而難過。’ -> 「有些東西，修好了反而難過。」
it’s “fine,” I said. -> it’s “fine,” I said.
請問"品質"跟"質量"差在哪?"mass" 就是質量 -> 請問「品質」跟「質量」差在哪？"mass" 就是質量
螢幕27"很大,15"很小 -> 螢幕27"很大，15"很小
<b>粗體,字</b>&nbsp;好 -> <b>粗體，字</b>&nbsp;好
"""


@pytest.mark.parametrize("case", CASES.strip().split("\n"))
def test_cases(punctuate, case):
    text, expected = case.split(" -> ")
    assert punctuate(text).text == expected
    assert punctuate(expected).text == expected


def test_the_sides_of_a_sign_do_not_need_to_be_chinese_both(punctuate):
    text = "2樓: 意思是,開封後請馬上放冰箱.\n1F: 對\nName:王小明;Tel:02-1234-5678"
    assert punctuate(text).text == "2樓：意思是，開封後請馬上放冰箱。\n1F: 對\nName：王小明；Tel:02-1234-5678"


def test_english_sentences_in_a_chinese_line(punctuate):
    text = "Love the colour, and the weight. 杯底有一點刮痕,但不影響使用。Handle fits three fingers, so it's OK. 推薦!"
    expected = (
        "Love the colour, and the weight. 杯底有一點刮痕，但不影響使用。Handle fits three fingers, so it's OK. 推薦！"
    )
    assert punctuate(text).text == expected


def test_code_of_several_lines_stays(punctuate):
    text = "如下:\n```\nprint(名稱, 值);  # 註解,說明\n```\n完成."
    assert punctuate(text).text == "如下：\n```\nprint(名稱, 值);  # 註解,說明\n```\n完成。"


@pytest.mark.parametrize(
    "code",
    [
        "def 函式(參數=1, 其他=2):",
        "def 函式(參數=1, 其他=2):\n    做事(參數, 其他)\n    return 參數, 其他",
        'print("你好", end="")',
        "SELECT 姓名, 年齡 FROM 使用者 WHERE 城市='台北';",
        "if (年齡 > 18) {",
        '#include "標頭.h"',
        "for 項目 in 清單:",
        "總和 += 項目['價格'] * 數量;",
        "var 結果 = 計算(甲, 乙);",
        "function 相加(甲, 乙) { return 甲 + 乙; }",
        '字典 = {"鍵": 值, "另一": 值}',
        '"姓名": "小明, 小華",',
        '.標題 { color: red; font-family: "微軟正黑體", sans-serif; }',
        "$ echo 你好, 世界! > 檔案.txt",
        '>>> 問候("小明", 早=True, 名=甲)',
        'git commit -m "修正錯誤, 新增測試"',
        "from 模組 import 甲, 乙",
        "姓名,年齡,城市\n小明,18,台北\n小華,20,高雄",
        "[區段]\n名稱=值;其他",
        "server:\n  名稱: 台北\n  說明: 主要, 備用",
        "| 姓名 | 年齡, 歲 |\n|---|---|\n| 王(明) | 三 |",
    ],
)
def test_unfenced_code_stays(punctuate, code):
    assert punctuate(code).text == code
    assert punctuate(f"如下:\n{code}\n完成了,謝謝.").text == f"如下：\n{code}\n完成了，謝謝。"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他說f(x)是函數,所以要先定義.", "他說f(x)是函數，所以要先定義。"),
        ("class 這個字的意思是班級,也是類別.", "class 這個字的意思是班級，也是類別。"),
        ("for 迴圈很常用,while 迴圈也是.", "for 迴圈很常用，while 迴圈也是。"),
        ("select 是選擇的意思,from 是來自.", "select 是選擇的意思，from 是來自。"),
        ("return 是回傳,不是返回.", "return 是回傳，不是返回。"),
        ("蘋果(紅);香蕉(黃);", "蘋果（紅）；香蕉（黃）；"),
        ("姓名:王小明\n年齡:18\n性別:男", "姓名：王小明\n年齡：18\n性別：男"),
        ("注意事項:\n  第一: 先到先贏\n  第二: 售完為止", "注意事項：\n  第一：先到先贏\n  第二：售完為止"),
        ("床前明月光,疑是地上霜,\n舉頭望明月,低頭思故鄉.", "床前明月光，疑是地上霜，\n舉頭望明月，低頭思故鄉。"),
        ("如果(他)來,就說:", "如果（他）來，就說："),
        ("如 \\ref{圖:一} 所示,很好.", "如 \\ref{圖:一} 所示，很好。"),
    ],
)
def test_prose_beside_code_is_converted(punctuate, text, expected):
    assert punctuate(text).text == expected


def test_knobs():
    text = '他說:“好...”,她說:"不好".'
    assert Punctuate(quotes="curly").open()(text).text == '他說：「好……」，她說："不好".'
    assert Punctuate(quotes="keep", ellipsis=False).open()("他說:“好...”").text == "他說：“好...”"
    assert Punctuate(mode="off").open()(text).text == text
    assert Punctuate(mode="naive").open()("3.14,好").text == "3。14，好"
    with pytest.raises(ValueError, match=r"punctuate\.mode=context .* \(did you mean contextual\?\)"):
        Punctuate(mode="context")
    with pytest.raises(ValueError, match=r"punctuate\.quotes=none"):
        Punctuate(quotes="none")


def documents(path, limit):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line, _ in zip(lines, range(limit), strict=False)]


@pytest.mark.parametrize(
    ("name", "limit"), [("zhwiki/zh_tw", 8_000), ("zhwiki/zh_cn", 2_500), ("archive_tw/zh_tw", 40)]
)
def test_a_second_time_changes_nothing(punctuate, real_data, name, limit):
    for text in documents(real_data / f"{name}.jsonl.gz", limit):
        once = punctuate(text).text
        assert punctuate(once).text == once


@pytest.mark.parametrize("name", ["wikitext2/docs", "archive_tw/en"])
def test_english_documents_are_not_touched(punctuate, real_data, name):
    for text in documents(real_data / f"{name}.jsonl.gz", 10**6):
        assert punctuate(text).text == text
