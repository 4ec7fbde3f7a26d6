"""Lines that belong to the frame of a page and not to its text: navigation, banners, footers, forms, error messages.

Every kind is a class of short lines with marks of its own, in Traditional and Simplified Chinese and in English. A
line that could be a sentence of an article stays: recall here is worth less than a paragraph lost.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ahocorasick_rs

from bailong.text.sentences import MARKS

#: the kinds of lines and the words of menus
SOURCE = Path(__file__).with_suffix(".yaml")

_NARROW = str.maketrans("，：；！？（）｜＞／　．［］＠", ",:;!?()|>/ .[]@")

#: what may stand in front of a line: marks of lists and quotes
_FRONT = r"\n[\s\[【(「<«‹←>*=■●▲◆◎※（－-]{0,4}"
_SEPARATOR = re.compile(r" *[|>»›•→➔➜▸] *| +[/·-] +| {2,}|\t")
#: a file or a key in letters, as long as one line of it is: it has capitals, small letters and digits
_BLOB = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[A-Za-z0-9+/_-]{60,}={0,2}")
_SENTENCE = re.compile(rf"[。！？!?；;{MARKS}]|\.(?:\s|$)|[，,،].*[，,،]")
#: what commands are written with: `git {{add|commit}}`
_COMMAND = re.compile("[`{}]")
_LABELS = re.compile(r"^(?:[\[【] ?[^\[\]【】:]{1,12} ?[\]】] ?){2,}$")
#: what introduces a breadcrumb
_HERE = re.compile(
    r"^(?:目前|當前|当前|現在|现在|所在|(?:您|你)(?:的|現在的|现在的|所在的)?)?(?:位置|頁面|页面)(?:是|在)? ?: *"
    r"|^you are here ?: *"
)
#: lines of contact details: no sentence, and still worth keeping beside one
_DETAIL = re.compile(
    r"^(?:(?:聯絡|联系|客服|服務|服务|營業|营业|洽詢|諮詢)?(?:電話|电话|專線|专线|熱線|热线|時間|时间)"
    r"|傳真|传真|地址|信箱|邮箱|e-?mail|tel|phone|fax|address|opening hours) ?[:(\d]"
)


def boilerplate(line: str) -> str:
    """The kind of frame a line belongs to; empty for text."""
    line = line.strip()
    if _BLOB.fullmatch(line):
        return "debris"
    if not line or len(line) > frame().longest:
        return ""
    line = line.translate(_NARROW).lower()
    for kind, (longest, _, search) in frame().kinds.items():
        if len(line) <= longest and search(line):
            return kind
    if len(line) <= 120 and _LABELS.match(line):
        return "buttons"
    return "navigation" if _navigation(line) else ""


def is_message(kind: str) -> bool:
    """Whether lines of a kind are messages of the site, which go as a whole. Of the others (a footer, a button) a line
    may begin with text, so that there it is the sentence that goes."""
    return kind in ("navigation", "buttons") or frame().kinds[kind][1]


def is_detail(line: str) -> bool:
    """A telephone number, an address, hours."""
    return _DETAIL.match(line.strip().translate(_NARROW).lower()) is not None


def suspicious(text: str, data: bytes | None = None) -> bool:
    """Whether any line may be boilerplate: quick, and never false where `boilerplate` finds something.

    Args:
        data: the text as UTF-8, where the caller has it.
    """
    _, _, _, _, triggers, heads = frame()
    found = triggers.find_matches_as_indexes((data or text.encode("utf-8", "surrogatepass")).lower())
    return bool(found) or heads.search(f"\n{text}") is not None


def _navigation(line: str) -> bool:
    """Menus and breadcrumbs: short labels between separators, some of them well known."""
    if len(line) > 300 or line[0] == line[-1] == "|" or _SENTENCE.search(line) or _COMMAND.search(line):
        return False
    line = _HERE.sub("", line)
    pieces = line.split("/") if line.split("/")[0].strip() in frame().home else _SEPARATOR.split(line)
    parts = [part.strip(" []【】()：:*-") for part in pieces]
    parts = [part for part in parts if part]
    known = sum(part in frame().menu for part in parts)
    if len(parts) >= 2 and max(map(len, parts)) <= 30:
        breadcrumb = parts[0] in frame().home and any(sign in line for sign in ">»›→➔➜▸/")
        if breadcrumb or known >= 2 or (known and len(parts) >= 3 and any(sign in line for sign in "|•")):
            return True
    words = line.split()
    return len(words) >= 3 and not line.isascii() and 2 * sum(word in frame().menu for word in words) >= len(words)


class Frame(NamedTuple):
    """`boilerplate.yaml`, compiled."""

    kinds: Mapping[str, tuple[int, bool, Callable[[str], object]]]
    longest: int
    home: frozenset[str]
    menu: frozenset[str]
    triggers: ahocorasick_rs.BytesAhoCorasick
    heads: re.Pattern[str]


@cache
def frame() -> Frame:
    """The kinds of lines, loaded once in a process."""
    import yaml

    content = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    kinds = {
        # ASCII: between cookie and 和 is the end of a word
        kind: (row["longest"], row["whole"], re.compile("|".join(row["expressions"]), re.ASCII).search)
        for kind, row in content["kinds"].items()
    }
    return Frame(
        kinds,
        max(longest for longest, _, _ in kinds.values()),
        frozenset(content["home"]),
        frozenset(content["home"] + content["menu"]),
        ahocorasick_rs.BytesAhoCorasick([word.encode() for word in content["triggers"]]),
        re.compile(f"{_FRONT}(?:{'|'.join(content['heads'])})", re.I),
    )
