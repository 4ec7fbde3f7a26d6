"""What the common templates of prose show: measures, numbers, dates, links to other wikis, countries."""

import re
from calendar import month_name
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from bailong.text.wiki.hole import HOLE

#: names of templates by what they show (templates.yaml)
TABLES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "templates.yaml").read_text(encoding="utf-8"))

EAST = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


class Arguments(dict[int | str, str]):
    """Arguments of a template: by place, counted from 1, and by name in lower case.

    Attributes:
        east: the document is written in Chinese.
    """

    def __init__(self, east: bool) -> None:
        super().__init__()
        self.east = east

    def places(self) -> list[str]:
        """The values by place that are not empty, in order."""
        return [self[key] for key in sorted(key for key in self if isinstance(key, int)) if self[key]]


_NUMBER = re.compile(r"[+\-−–]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
#: between two values of a measure
_BETWEEN = {"-": "–", "to(-)": "–", "to": "to", "and": "and", "or": "or", "x": "×", "by": "×", "+/-": "±"}
_PLAIN = str.maketrans("²³", "23")
_WORDS = {"to": "至", "and": "和", "or": "或"}
_FLAGS = re.compile(r"(?:flag|flagcountry|flagu|fb|fb-rt|country_?data|國家|国旗|國旗)$")


def function(name: str, rest: list[str]) -> str | None:
    """What a parser function or a magic word shows (`#expr:`, `formatnum:`, `PAGENAME`); None if `name` is neither."""
    if name in _MAGIC:
        return HOLE
    word, colon, first = name.partition(":")
    word = word.strip().lower()
    if not colon or not (word.startswith("#") or word in _FUNCTIONS):
        return None
    values = [first.strip(), *(value.strip() for value in rest)]
    return _FUNCTIONS[word](values) if word in _FUNCTIONS else HOLE


def place(key: str, arguments: Arguments) -> str | None:
    """The country that a template of flags names: `{{ROC}}`, `{{flag|JPN}}`."""
    if key in TABLES["countries"] and not arguments.places():
        return TABLES["countries"][key][not arguments.east]
    if _FLAGS.match(key) and (name := arguments.get("name") or arguments.get(1)):
        return TABLES["countries"][name.lower()][not arguments.east] if name.lower() in TABLES["countries"] else name
    return None


def grouped(number: str) -> str:
    """A number with commas between thousands; anything else as it is."""
    plain = number.replace(",", "").strip()
    whole = re.fullmatch(r"([+\-−]?)(\d{4,})(\.\d+)?", plain)
    return f"{whole[1]}{int(whole[2]):,}{whole[3] or ''}" if whole and whole[2][0] != "0" else number


def _convert(arguments: Arguments) -> str | None:
    """The measure as it is given; what it is in other units is left out."""
    shown, number, places = "", "", arguments.places()
    for i, value in enumerate(places):
        follows = _NUMBER.fullmatch((*places, "")[i + 1]) is not None
        if _NUMBER.fullmatch(value):
            if shown and not number:
                shown += "" if arguments.east else " "  # 5 feet 7 inches
            number += grouped(value)
        elif number and follows and (sign := _BETWEEN.get(value.lower())):
            word = _WORDS.get(sign, sign) if arguments.east else sign
            number += f" {word} " if word.isalpha() and word.isascii() else word
        elif number:
            name, short = TABLES["units"].get(value.lower().translate(_PLAIN), (f" {value}", value))
            tight = short.startswith(("/", "°"))
            shown += number + (name if arguments.east else short if tight else f" {short}")
            number = ""
            if not follows:
                break
        else:
            break
    return shown or None


def _date(arguments: Arguments) -> str | None:
    """The first date among the arguments, by year, month and day; an age is left out, it is another one by now."""
    places = arguments.places()
    if len(places) == 1 and not places[0].isdigit():
        iso = re.fullmatch(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?", places[0])
        if iso is None:
            return places[0]
        places = [part for part in iso.groups() if part]
    numbers = []
    for value in places[:3]:
        month = next((i for i in range(1, 13) if month_name[i].lower().startswith(value.lower()[:3])), 0)
        if not value.isdigit() and not (len(value) >= 3 and month):
            break
        numbers.append(int(value) if value.isdigit() else month)
    if not numbers or any(not 1 <= n <= most for n, most in zip(numbers[1:], (12, 31), strict=False)):
        return None
    if arguments.east:
        return "".join(f"{number}{unit}" for number, unit in zip(numbers, "年月日", strict=False))
    year, month, day = (*numbers, 0, 0)[:3]
    if day and arguments.get("df") in ("y", "yes"):
        return f"{day} {month_name[month]} {year}"
    return f"{month_name[month]} {day}, {year}" if day else f"{month_name[month]} {year}" if month else str(year)


def _lifetime(arguments: Arguments) -> str | None:
    """`{{bd|1912年|6月23日|1954年|6月7日}}`."""
    year, day, end, last = (re.sub(r"\s", "", arguments.get(i, "")) for i in (1, 2, 3, 4))
    return f"{year}{day}—{end}{last}" if year else None


def _age(arguments: Arguments) -> str | None:
    """Years between two dates; up to today is another figure each year."""
    places = arguments.places()
    if len(places) < 6 or not all(value.isdigit() for value in places[:6]):
        return None
    year, month, day, year2, month2, day2 = map(int, places[:6])
    return str(year2 - year - ((month2, day2) < (month, day)))


def _value(arguments: Arguments) -> str | None:
    """`{{val|1.5|0.2|e=6|u=km}}`."""
    number, unit = arguments.get(1, ""), arguments.get("u") or arguments.get("ul") or ""
    if not _NUMBER.fullmatch(number):
        return None
    shown = grouped(number) + (f"±{arguments[2]}" if arguments.get(2) else "")
    if power := arguments.get("e"):
        shown = f"({shown})" if "±" in shown else shown
        shown += f"×10<sup>{power}</sup>"
    return f"{shown} {unit}".strip() if unit != "%" else f"{shown}%"


def _fraction(arguments: Arguments) -> str | None:
    places = arguments.places()
    if len(places) == 3:
        return f"{places[0]} {places[1]}/{places[2]}"
    return f"1/{places[0]}" if len(places) == 1 else "/".join(places) or None


def _share(arguments: Arguments) -> str | None:
    try:
        part, whole = (Decimal(arguments.get(i, "").replace(",", "")) for i in (1, 2))
        digits = int(arguments.get(3) or 0)
        return f"{part / whole * 100:.{digits}f}%"
    except (ValueError, ArithmeticError):
        return None


def _as_of(arguments: Arguments) -> str | None:
    date = _date(arguments)
    return date and (f"截至{date}" if arguments.east else f"As of {date}")


def _circa(arguments: Arguments) -> str:
    return ("約" if arguments.east else "c. ") + "–".join(arguments.places())


def _foreign_link(arguments: Arguments) -> str | None:
    """`{{tsl|en|their title|our title|label}}`."""
    return arguments.get(4) or arguments.get(3) or arguments.get(2)


def _japanese(arguments: Arguments) -> str | None:
    """`{{nihongo|name|in kanji|in Latin letters}}`."""
    name, *others = (arguments.get(i, "") for i in (1, 2, 3))
    inside = ("、" if arguments.east else ", ").join(other for other in others if other)
    if not name or not inside:
        return name or inside or None
    return f"{name}（{inside}）" if arguments.east else f"{name} ({inside})"


def _chemical(arguments: Arguments) -> str | None:
    """`{{chem|H|2|O}}`, `{{chem2|H2O}}`: digits stand low."""
    return re.sub(r"(?<=[A-Za-z)\]])\d+", r"<sub>\g<0></sub>", "".join(arguments.places())) or None


def _joined(separator: str) -> Callable[[Arguments], str | None]:
    return lambda arguments: separator.join(arguments.places()) or None


def _around(before: str, after: str) -> Callable[[Arguments], str | None]:
    return lambda arguments: f"{before}{arguments[1]}{after}" if arguments.get(1) else None


def _coordinates(arguments: Arguments) -> str | None:
    return "" if "title" in arguments.get("display", "") or arguments.get("display") == "t" else None


#: name in lower case -> what it shows, from its arguments; None where these make no sense
BY_NAME: dict[str, Callable[[Arguments], str | None]] = {
    **dict.fromkeys(TABLES["dates"].split(), _date),
    **dict.fromkeys(("convert", "cvt", "轉換", "换算"), _convert),
    **dict.fromkeys(("bd", "bd/old", "生卒"), _lifetime),
    **dict.fromkeys(("age", "age_in_years", "年齡"), _age),
    "val": _value,
    **dict.fromkeys(("frac", "sfrac", "fraction", "分數"), _fraction),
    **dict.fromkeys(("percentage", "percent", "pct", "百分比"), _share),
    **dict.fromkeys(("as_of", "asof", "截至"), _as_of),
    **dict.fromkeys(("circa", "c.", "ca", "ca.", "約"), _circa),
    **dict.fromkeys(("tsl", "translink"), _foreign_link),
    **dict.fromkeys(
        ("ill", "interlanguage_link", "interlanguage_link_multi", "illm"),
        lambda arguments: arguments.get("lt") or arguments.get(1),
    ),
    **dict.fromkeys(("nihongo", "nihongo2", "nihongo3"), _japanese),
    **dict.fromkeys(("chem", "chem2", "chemical_formula"), _chemical),
    **dict.fromkeys(("coord", "coor", "坐標"), _coordinates),
    **dict.fromkeys(("ubl", "unbulleted_list", "plainlist", "plain_list", "bulleted_list"), _joined("\n")),
    **dict.fromkeys(("hlist", "flatlist", "flat_list"), _joined(" · ")),
    **dict.fromkeys(("linktext", "gaps"), _joined("")),
    "sortname": _joined(" "),
    "sort": lambda arguments: arguments.get(2) or arguments.get(1),
    "url": lambda arguments: arguments.get(2) or arguments.get(1),
    **dict.fromkeys(("formatnum", "nts", "num", "number"), lambda a: grouped(a[1]) if a.get(1) else None),
    **dict.fromkeys(("sup", "superscript", "上標"), _around("<sup>", "</sup>")),
    **dict.fromkeys(("sub", "subscript", "下標"), _around("<sub>", "</sub>")),
    **dict.fromkeys(("e", "e-sp"), _around("×10<sup>", "</sup>")),
    "10^": _around("10<sup>", "</sup>"),
    "angle_bracket": _around("⟨", "⟩"),
    "sqrt": _around("√", ""),
    "abs": _around("|", "|"),
    **{name: _around(sign, "") for name, sign in TABLES["money"].items()},
}


def _expression(values: list[str]) -> str:
    """A sum or a product of plain numbers; anything more is a hole."""
    found = re.fullmatch(r"\(?\s*(-?[\d.]+)\s*([-+*/])\s*(-?[\d.]+)\s*\)?(?:\s*round\s*(\d))?", values[0])
    try:
        if found is None:
            return str(Decimal(values[0]))
        left, sign, right = Decimal(found[1]), found[2], Decimal(found[3])
        operations = {"+": left + right, "-": left - right, "*": left * right}
        result = operations[sign] if sign in operations else left / right
        return f"{round(result, int(found[4])) if found[4] else result.normalize():f}"
    except ArithmeticError:
        return HOLE


def _chosen(values: list[str], holds: bool, first: int) -> str:
    return (*values, "", "", "")[first if holds else first + 1]


_FUNCTIONS: dict[str, Callable[[list[str]], str]] = {
    "formatnum": lambda v: v[0].replace(",", "") if v[1:2] == ["R"] else grouped(v[0]) if HOLE not in v[0] else HOLE,
    "#expr": _expression,
    "#if": lambda v: _chosen(v, bool(v[0]), 1),
    "#ifeq": lambda v: _chosen(v, v[0] == (*v, "")[1], 2),
    "plural": lambda v: _chosen(v, v[0].strip() == "1", 1) or (*v, "")[1],
    "lc": lambda v: v[0].lower(),
    "uc": lambda v: v[0].upper(),
    "lcfirst": lambda v: v[0][:1].lower() + v[0][1:],
    "ucfirst": lambda v: v[0][:1].upper() + v[0][1:],
    "#tag": lambda v: "" if v[0].lower() in ("ref", "references", "gallery", "timeline") else HOLE,
    **dict.fromkeys(("defaultsort", "displaytitle", "默認排序", "預設排序", "显示标题", "顯示標題"), lambda _: ""),
    **dict.fromkeys(("int", "ns", "fullurl", "localurl", "urlencode", "grammar", "gender"), lambda _: HOLE),
}
_MAGIC = frozenset(
    re.findall(
        r"\S+",
        """PAGENAME FULLPAGENAME BASEPAGENAME SUBPAGENAME SUBJECTPAGENAME NAMESPACE SITENAME CURRENTYEAR CURRENTMONTH
    CURRENTMONTHNAME CURRENTDAY CURRENTDAY2 CURRENTTIME CURRENTTIMESTAMP CURRENTDAYNAME LOCALYEAR LOCALMONTH LOCALDAY
    REVISIONYEAR NUMBEROFARTICLES NUMBEROFPAGES NUMBEROFUSERS CONTENTLANGUAGE""",
    )
)
