"""Text that was decoded by the wrong codec: found by characters that stand together nowhere else, and undone.

A line is undone if the codec that was used takes it back to bytes, the right one reads them (both strictly), and what
comes out is text by its frequent characters, as what went in was not. Nothing that is text already passes: it has them.
"""

import codecs
import re
from bisect import bisect
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

_SPECIALS = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_HIGH = f"\x80-\xff{_SPECIALS}"
# Each of these goes on behind a first character, which one class for all of them finds at the speed of a table.
#: bytes that were read as Latin-1 or Windows-1252: four in a row, or four pairs of a first byte and a second
_BYTES = (
    f"(?<=[\x80-\xff])[{_HIGH}]{{3}}|(?<=[{_HIGH}])[{_HIGH}]{{2}}[\x80-\xff]"
    "|(?<=[\xa1-\xf9‚ƒ])[@-~\xa1-\xfe](?:[\xa1-\xf9‚ƒ][@-~\xa1-\xfe]){3}"
)
#: UTF-8 that was read as Windows-1252: the first byte of a sequence, then one that goes on
_UTF_8 = f"(?<=[\xc2-\xf4])[\x80-\xbf{_SPECIALS}]"
_SEQUENCE = re.compile(f"[\xc2-\xf4](?:{_UTF_8})")
#: replacement characters, what they become when their bytes are read as GBK (also after conversion), and memory that
#: was never written, read as GBK
_DAMAGE = "(?<=\ufffd)[^\ufffd]{0,20}\ufffd|(?<=[锟錕])(?<![「『《“\"'].)斤拷|(?<=[烫燙])[烫燙]{3}|(?<=[屯葺])[屯葺]{3}"
_DAMAGED = "\ufffd锟錕烫燙屯葺"
_HIGHS = re.compile(f"[{_HIGH}]")
#: letters in the order of Unicode, as a table of them lists them
_ALPHABET = re.compile("ÀÁ|ÄÅ|ÈÉÊ|àáâ|äå|èéê|ìíî|òóô|ùúû|¹²³|¼½|¡¢£|«»¿")
_RUN = re.compile(f"[ -~{_HIGH}]+")
_TO_BYTE = {ord(c): c.encode("cp1252")[0] for c in _SPECIALS}
#: the codec that was used -> those that would have been right. A double-byte codec that read another one loses bytes
#: without a trace, and what it gives back reads well with holes in it: only UTF-8 shows that it is whole.
_WRONG = {
    "latin-1": ("utf-8", "gb18030", "cp950", "big5hkscs", "cp932", "euc_jp", "cp949"),
    **dict.fromkeys(("gb18030", "cp950", "big5hkscs", "cp932", "cp949"), ("utf-8",)),
}
#: the most frequent characters of Chinese in both scripts (a third of Wikipedia, laws and speech) and of Korean
_FREQUENT = re.compile(
    "[的一是有個个在之以會会為为不用人這这第可定於于中式年或我法時时其要及行關关所來来事數们們條本件者理大上公作如分方部應应到他業业物"
    "後后下機机國国資发發得項就二位了也被使出能對对成前與与和實并管地主日員员組三同多十設果因程務务經经文新生外政學学內列由當当回開开"
    "但面月過过自動动合家而她你說说沒没好很都那還还只想看什麼么去吧嗎吗啊人名表點点小等從从现現]"
)
_KOREAN = re.compile("[이다는을를에의가고은로하지한서도사기시자인리나대라어그있으아해만들수]")
_HIRAGANA = re.compile("[\u3041-\u3093]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_WIDE = re.compile("[^\x00-\x7f\\s]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
#: signs that text of East Asia writes: its punctuation, full-width Latin, quotes and dashes
_SIGNS = "\u2010-\u2027\u2030-\u203b\u3000-\u303f\uff01-\uff60·×°"
_LEAST, _FEWEST = 0.12, 4  #: share of frequent characters in text, and characters that a line must hold to be judged


class _Tables(NamedTuple):
    """Patterns over the Basic plane.

    Attributes:
        any: what any of this can be seen by.
        rare: a Han character outside the first levels of Big5, GB 2312 and Shift JIS, or a private one.
        bulk: three of them close together, as in few articles of Wikipedia.
        bytes: bytes read one by one, outside of UTF-8.
        damage: characters in the place of others that are lost.
        good: what text of East Asia consists of.
    """

    any: re.Pattern[str]
    rare: re.Pattern[str]
    bulk: re.Pattern[str]
    bytes: re.Pattern[str]
    damage: re.Pattern[str]
    good: re.Pattern[str]


@cache
def _tables() -> _Tables:
    levels = (
        ("big5", b"\xa4\x40", b"\xc6\x7e"),
        ("gb2312", b"\xb0\xa1", b"\xd7\xfe"),
        ("shift_jis", b"\x88\x9f", b"\x98\x72"),
    )
    characters = [*map(chr, (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)))]
    common = {c for codec, first, last in levels for c in characters if first <= c.encode(codec, "ignore") <= last}
    rare = f"{''.join(c for c in characters if c not in common)}\ue000-\uf8ff"
    bulk = f"(?<=[{rare}])(?:[^、，。,;；\\s]{{0,6}}?[{rare}]){{2}}"
    return _Tables(
        any=re.compile(f"[{rare}{_HIGH}{_DAMAGED}](?:{_BYTES}|{_UTF_8}|{_DAMAGE}|{bulk})"),
        rare=re.compile(f"[{rare}]"),
        bulk=re.compile(f"[{rare}](?:{bulk})"),
        bytes=re.compile(f"[{_HIGH}](?:{_BYTES})"),
        damage=re.compile(f"[{_DAMAGED}](?:{_DAMAGE})"),
        good=re.compile(f"[{''.join(sorted(common))}\u3041-\u30ff\uac00-\ud7a3{_SIGNS}]"),
    )


@lru_cache(maxsize=1)  # two steps ask it of each document, which most others leave as it is
def suspicious(text: str) -> bool:
    """Whether any of it may be mojibake: quick, and never false where the others of this module find something."""
    return _tables().any.search(text) is not None


def repaired(text: str) -> str:
    """The text with its lines undone, where that can be done without loss."""
    if not suspicious(text):
        return text
    from ftfy import fix_encoding

    found: dict[tuple[str, str], int] = {}
    lines = text.split("\n")
    for i, line in enumerate(lines):
        lines[i] = _undone(line, found)
    if found:  # lines too short to be sure of by themselves were read the same way as the others
        way = max(found, key=lambda pair: found[pair])
        lines = [_same_way(line, *way) for line in lines]
    # line by line, because one character that Windows-1252 lacks would keep ftfy from reading the rest
    return "\n".join(fix_encoding(line) if _SEQUENCE.search(line) else line for line in lines)


def is_broken(line: str, *, beside: bool = False) -> bool:
    """Whether a line is mojibake that `repaired` could not undo; `beside` others that are, less has to be seen."""
    for run in _RUN.findall(line) if _tables().bytes.search(line) else ():
        high = len(_HIGHS.findall(run))
        if high >= 8 and high > 0.4 * (len(run) - run.count(" ")) and not _ALPHABET.search(run):
            return True
    if not beside and _tables().bulk.search(line) is None:
        return False
    rare, han = _tables().rare.findall(line), len(_HAN.findall(line))
    many = len(set(rare)) >= _FEWEST and han + len(rare) > 0.3 * len(_WIDE.findall(line))
    return many and len(rare) > (0.15 + 1.5 * _frequent(line)) * han and not _of_one_radical(line)


def is_damaged(sentence: str) -> bool:
    """Whether a sentence has characters in the place of what a codec could not read, and not as its subject."""
    return _tables().damage.search(sentence) is not None


def _undone(line: str, found: dict[tuple[str, str], int]) -> str:
    for _ in range(3):  # what was read wrong twice
        new = (
            _RUN.sub(lambda match: _decoded(match[0], "latin-1", found), line) if _tables().bytes.search(line) else line
        )
        if _tables().bulk.search(new):
            for wrong in ("gb18030", "cp950", "big5hkscs", "cp932", "cp949"):
                if (better := _decoded(new, wrong, found)) != new:
                    new = better
                    break
        if new == line:
            break
        line = new
    return line


def _decoded(text: str, wrong: str, found: dict[tuple[str, str], int]) -> str:
    """The best reading of a stretch, or the stretch; the way it was found is counted in `found`."""
    if wrong == "latin-1" and _tables().bytes.search(text) is None:
        return text
    best, most, way, least = text, 0.0, None, max(_LEAST, 2 * _frequent(text) + 0.05)
    for right, new in _readings(text, wrong):
        if _frequent(new) > least and (share := _frequent(new) + _readable(new)) > most and _is_text(new):
            best, most, way = new, share, right
    if way is not None:
        found[wrong, way] = found.get((wrong, way), 0) + len(text)
    return best


def _of_one_radical(line: str) -> bool:
    """Whether most Han characters stand close together in Unicode, as in a list of elements, fishes or herbs."""
    codes = sorted(map(ord, _HAN.findall(line)))
    return max((bisect(codes, code + 0x300) - i for i, code in enumerate(codes)), default=0) > 0.6 * len(codes)


def _same_way(line: str, wrong: str, right: str) -> str:
    if _HIGHS.search(line) is None if wrong == "latin-1" else _tables().rare.search(line) is None:
        return line
    new = next((new for codec, new in _readings(line, wrong) if codec == right), line)
    return new if _is_text(new, 1) else line


def _readings(text: str, wrong: str) -> Iterator[tuple[str, str]]:
    try:
        data = (text.translate(_TO_BYTE) if wrong == "latin-1" else text).encode(wrong)
    except UnicodeEncodeError:
        return
    for right in _WRONG[wrong]:
        try:
            yield right, codecs.decode(data, right)
        except UnicodeDecodeError:
            continue


def _is_text(text: str, fewest: int = _FEWEST) -> bool:
    found = _WIDE.findall(text)
    return len(found) >= fewest and len(set(found)) >= min(10, len(found) / 3) and _readable(text) >= 0.9


def _readable(text: str) -> float:
    """Share of what text of East Asia consists of among the characters that are not ASCII."""
    return len(_tables().good.findall(text)) / max(1, len(_WIDE.findall(text)))


def _frequent(text: str) -> float:
    """Share of frequent characters among those that are not ASCII, of the language that has most of them."""
    wide = len(_WIDE.findall(text))
    if not wide:
        return 0.0
    hangul, hiragana, chinese = (len(p.findall(text)) for p in (_HANGUL, _HIRAGANA, _FREQUENT))
    korean = len(_KOREAN.findall(text)) if hangul > 0.8 * wide else 0
    japanese = hiragana / 2 if hiragana > 0.25 * wide else 0
    return max(chinese if hiragana <= 0.15 * wide else 0, japanese, korean) / wide
