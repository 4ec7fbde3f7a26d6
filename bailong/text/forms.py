"""Characters of layout and dictionaries that stand for ordinary ones: vertical punctuation, small forms, radicals."""

import re
import unicodedata

_VERTICAL = dict(
    zip(
        "︐︑︒︓︔︕︖︗︘︙︱︲︵︶︷︸︹︺︻︼︽︾︿﹀﹁﹂﹃﹄﹇﹈",
        "，、。：；！？〖〗…—–（）｛｝〔〕【】《》〈〉「」『』［］",
        strict=True,
    )
)
_SMALL = dict(
    zip("﹐﹑﹒﹔﹕﹖﹗﹘﹙﹚﹛﹜﹝﹞﹟﹠﹡﹢﹣﹤﹥﹦﹨﹩﹪﹫", "，、．；：？！—（）｛｝〔〕#&*+-<>=\\$%@", strict=True)
)
#: Kangxi radicals have their characters as compatibility forms; those of the supplement are in Unicode's
#: EquivalentUnifiedIdeograph.txt (two have none)
_SUPPLEMENT = (
    "⺁厂⺂乛⺃乚⺄乙⺅亻⺆冂⺇𠘨⺈刀⺉刂⺊卜⺋㔾⺌小⺍小⺎兀⺏尣⺐尢⺑𡯂⺒巳⺓幺⺔彑⺕彐⺖忄⺗心⺘扌⺙攵⺛旡⺜日⺝月⺞歺⺟母⺠民⺡氵⺢氺⺣灬⺤爫⺥爫⺦丬⺧牛"
    "⺨犭⺩王⺪𤴔⺫目⺬示⺭礻⺮𥫗⺯糹⺰纟⺱罓⺲罒⺳㓁⺴冗⺵𦉫⺶羊⺷𦍌⺸𦍋⺹耂⺺肀⺻聿⺼肉⺽𦥑⺾艹⺿艹⻀艹⻁虎⻂衤⻃覀⻄西⻅见⻆角⻇𧢲⻈讠⻉贝⻊𧾷⻋车⻌辶⻍辶"
    "⻎辶⻏邑⻐钅⻑長⻒镸⻓长⻔门⻕𨸏⻖阝⻗雨⻘青⻙韦⻚页⻛风⻜飞⻝食⻞𩙿⻟飠⻠饣⻡𩠐⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫斉⻬齐⻭歯⻮齿⻯竜⻰龙⻱龜⻲亀⻳龟"
)
_PLAIN = str.maketrans(
    _VERTICAL
    | _SMALL
    | {chr(i): unicodedata.normalize("NFKC", chr(i)) for i in range(0x2F00, 0x2FD6)}
    | dict(zip(_SUPPLEMENT[::2], _SUPPLEMENT[1::2], strict=True))
)
_ANY = re.compile("[\u2e81-\u2fd5\ufe10-\ufe19\ufe30-\ufe32\ufe35-\ufe44\ufe47\ufe48\ufe50-\ufe6b]")
#: brackets that are eyes and brows: the same twice with a mouth between them
_FACE = re.compile(r"([︵︶︿﹀﹁﹂﹃﹄])[^\w\s，。]{0,2}[_oOωДд口皿▽﹏]?[^\w\s，。]{0,2}\1[︵︶︿﹀﹁﹂﹃﹄]*")
#: Taiwan types the leader of two dots for a colon, which it looks like in many fonts; in a row it is a leader
_LEADER = re.compile("︰{2,}")
#: signs inside a number
_INNER = re.compile("(?<=[0-9０-９])[﹐﹒﹕](?=[0-9０-９])")
_DIGITS = {ord("﹐"): ",", ord("﹒"): ".", ord("﹕"): ":"}


def plain(text: str) -> str:
    """The text in the ordinary characters.

    Circled and parenthesised characters, units and half-width katakana are ordinary themselves; wavy lines under
    titles have no other form.
    """
    if _ANY.search(text) is None:
        return text
    text = _INNER.sub(lambda match: match[0].translate(_DIGITS), text)
    text = _LEADER.sub(lambda match: "…" * max(1, len(match[0]) // 2), text).replace("︰", "：")
    pieces, last = [], 0
    for face in _FACE.finditer(text):
        pieces += [text[last : face.start()].translate(_PLAIN), face[0]]
        last = face.end()
    return "".join((*pieces, text[last:].translate(_PLAIN)))
