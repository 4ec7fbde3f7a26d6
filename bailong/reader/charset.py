"""Which characters the bytes of a page or a text file are. Pages say it in many places, and not always the truth, so
what is said is checked against the bytes: a reading whose characters nobody would write is no reading."""

import codecs
import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

#: Python's codec -> what pages call it, after the labels of the WHATWG's Encoding Standard (old names stand for the
#: larger sets that browsers read: gb2312 for GB 18030, latin1 for windows-1252)
_LABELS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 utf8mb4 utf-8-sig",
    "gb18030": "gb18030 gbk gb2312 gb_2312 gb_2312-80 gb2312-80 gbk2312 x-gbk cp936 ms936 windows-936 chinese euc-cn"
    " csgb2312 csiso58gb231280 iso-ir-58 cn-gb gb18030-2022",
    "big5hkscs": "big5 big5-hkscs big5hkscs cn-big5 csbig5 x-x-big5 big-5 cp950 ms950 windows-950 big5-eten",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji ms932 windows-31j csshiftjis cp932",
    "euc_jp": "euc-jp x-euc-jp cseucpkdfmtjapanese eucjp",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "cp949": "euc-kr euckr ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 korean cseuckr csksc56011987 iso-ir-149"
    " windows-949 cp949 uhc",
    "hz": "hz-gb-2312 hz",
    "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso88591 iso_8859-1 latin1 latin-1 l1 ascii us-ascii"
    " ansi_x3.4-1968 cp819 ibm819 iso-ir-100 csisolatin1",
    "cp1250": "windows-1250 cp1250 x-cp1250",
    "iso8859_2": "iso-8859-2 iso8859-2 iso_8859-2 latin2 l2",
    "cp1251": "windows-1251 cp1251 x-cp1251",
    "koi8_r": "koi8-r koi8 koi cskoi8r",
    "koi8_u": "koi8-u koi8-ru",
    "iso8859_5": "iso-8859-5 iso8859-5 cyrillic",
    "cp1253": "windows-1253 cp1253",
    "iso8859_7": "iso-8859-7 iso8859-7 greek greek8",
    "cp1254": "windows-1254 cp1254 iso-8859-9 iso8859-9 latin5 l5",
    "cp1255": "windows-1255 cp1255",
    "iso8859_8": "iso-8859-8 iso8859-8 iso-8859-8-i hebrew",
    "cp1256": "windows-1256 cp1256",
    "iso8859_6": "iso-8859-6 iso8859-6 arabic",
    "cp1257": "windows-1257 cp1257",
    "iso8859_4": "iso-8859-4 iso8859-4 latin4",
    "iso8859_13": "iso-8859-13 iso8859-13",
    "iso8859_15": "iso-8859-15 iso8859-15 latin9 l9",
    "cp1258": "windows-1258 cp1258",
    "cp874": "windows-874 tis-620 tis620 iso-8859-11 iso8859-11 dos-874 cp874",
    "utf-16-le": "utf-16 utf-16le ucs-2 unicode iso-10646-ucs-2",
    "utf-16-be": "utf-16be unicodefffe",
}
CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
#: what is tried where nothing that is said holds
GUESSES = ("cp949", "gb18030", "big5hkscs", "euc_jp", "cp932", "cp1252")
WIDE = ("gb18030", "big5hkscs", "euc_jp", "cp932", "cp949")
JAPANESE = ("euc_jp", "cp932")
BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

#: a reading is good from here on, out of 1; one that is said and not sure is overruled by one better by `MARGIN`
GOOD, SURE, MARGIN = 0.85, 0.95, 0.1
#: share of the bytes that are no ASCII which may be broken
BROKEN = 0.05
#: characters looked at together when bytes are missing
WINDOW = 12
#: so many characters beyond ASCII are read to judge a page
ENOUGH = 4000
#: so many bytes of a file are looked at to guess its charset, of which fewer than `FEW` beyond ASCII say nothing
GLANCE, FEW = 1 << 16, 16

_HIDDEN = re.compile(rb"<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>", re.DOTALL | re.IGNORECASE)
_META = re.compile(rb"<meta[\s/][^>]*>", re.IGNORECASE)
_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([\w.:+-]+)""", re.IGNORECASE)
_XML = re.compile(rb"""\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']\s*([\w.:+-]+)""", re.IGNORECASE)
#: bytes that are never the second or later one of a character in any of `WIDE`
_BETWEEN = re.compile(rb"([\x00-\x2f\x3a-\x3f]+)")
_HIGH = re.compile(rb"[\x80-\xff]")
_BEYOND = re.compile(r"[^\x00-\x7f]+")
_FEW_BYTES = re.compile(r"[\x00-\u07ff]*")
#: neighbours that Latin text seldom has, and double bytes read as Latin always
_LATIN_RUN = re.compile(r"[\x80-\u024f\u02c6\u02dc\u2013-\u2122]{2,}")
_SENSELESS = re.compile(r"[\x80-\x9f\ue000-\uf8ff\ufffd\uff61-\uff9f]")
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
#: signs of double-byte charsets that text seldom has: modifiers, Greek, Cyrillic, operators, frames, bopomofo, units
_SIGNS = re.compile(r"[\u02b0-\u02ff\u0391-\u0451\u2190-\u22ff\u2460-\u25ff\u3105-\u312f\u3220-\u33ff\ufe30-\ufe6f]")
_KANA = re.compile(r"[\u3041-\u30fe]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_XML_HEAD = re.compile(r"\s*<\?xml\b[^>]*>", re.IGNORECASE)


#: bytes of ASCII that text is written with
_WRITTEN = frozenset((9, 10, 13, *range(32, 127)))


class Decoded(NamedTuple):
    """Text and the codec that gave it."""

    text: str
    codec: str


def page(data: bytes, header: str = "") -> Decoded | None:
    """The text of a page: HTML or XHTML.

    What is said is tried in this order: a byte-order mark, `header` (the charset of the HTTP answer, or its whole
    Content-Type), the XML declaration, `<meta>` wherever it stands, then guesses. UTF-8 that is valid is UTF-8,
    whatever is said.

    Returns:
        None where no reading is likely: what it would give is mojibake. The XML declaration is left out: lxml takes no
        text that still has one.
    """
    found = _decode(data, lambda: declared(data, header))
    head = found and _XML_HEAD.match(found.text)
    return found._replace(text=found.text[head.end() :]) if found and head else found


def plain(data: bytes, header: str = "") -> Decoded | None:
    """The text of a plain text answer, by its byte-order mark, `header`, or a guess."""
    return _decode(data, lambda: _codecs([header.encode("latin-1", "replace")]))


def codec_of(label: str) -> str | None:
    """Python's codec for a label such as `gb2312`; None for one that nobody knows."""
    return CODECS.get(label.strip().lower())


def marked(head: bytes) -> str | None:
    """The codec that the beginning of a file shows: its byte-order mark, or UTF-16 without one, by its zero bytes."""
    for mark, codec in BOMS:
        if head.startswith(mark):
            return codec
    head = head[: min(len(head), 4096) // 2 * 2]
    pairs = {
        "utf-16-le": zip(head[0::2], head[1::2], strict=True),
        "utf-16-be": zip(head[1::2], head[0::2], strict=True),
    }
    ascii = {codec: sum(high == 0 and low in _WRITTEN for low, high in found) for codec, found in pairs.items()}
    codec, other = sorted(ascii, key=lambda codec: ascii[codec], reverse=True)
    if ascii[codec] < max(2, 3 * ascii[other]):  # 一 is a zero byte and a letter too, the wrong way round
        return None
    # a zero byte is also a character of UTF-8, though one that hardly anybody writes
    return codec if 4 * ascii[codec] >= len(head) // 2 or not _begins_utf8(head) else None


def guessed(head: bytes) -> str:
    """The codec of a text file that begins so and has no mark: UTF-8, unless hardly any of it is and a double-byte
    charset reads it well. A few bad bytes of a UTF-8 file decide nothing."""
    head = head[:GLANCE]
    text = head.decode("utf-8", "replace")
    broken, beyond = text.count("\ufffd"), sum(map(len, _BEYOND.findall(text)))
    if 2 * broken <= beyond or len(_HIGH.findall(head)) < FEW:
        return "utf-8"
    found = _judged(head, [])
    return found.codec if found and found.codec in WIDE and likely(found.text) >= GOOD else "utf-8"


def _begins_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def unmarked(data: bytes, codec: str) -> bytes:
    """The bytes behind a byte-order mark of `codec`."""
    return next((data[len(mark) :] for mark, of in BOMS if of == codec and data.startswith(mark)), data)


def declared(data: bytes, header: str = "") -> list[str]:
    """The codecs that a page is said to be in, the strongest word first."""
    said = [header.encode("latin-1", "replace")] if header else []
    if xml := _XML.match(data[:1024].removeprefix(BOMS[0][0])):
        said.append(xml[1])
    for meta in _META.findall(_HIDDEN.sub(b"", data)):
        # words about charsets in a description say nothing
        low = meta.lower()
        if b"http-equiv" in low or b"content=" not in low:
            said.append(meta)
    return _codecs(said)


def _codecs(said: list[bytes]) -> list[str]:
    found = [codec_of((match[1] if (match := _CHARSET.search(word)) else word).decode("latin-1")) for word in said]
    return list(dict.fromkeys(codec for codec in found if codec))


def _decode(data: bytes, say: Callable[[], list[str]]) -> Decoded | None:
    if codec := marked(data[:4096]):
        text = unmarked(data, codec).decode(codec, "replace")
        if text.count("\ufffd") <= 1 + BROKEN * len(text):
            return Decoded(text, codec)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _judged(data, say())
    if text.isascii():
        shifted = [("hz", b"~{"), ("iso2022_jp", b"\x1b$B"), ("iso2022_jp", b"\x1b$@")]  # charsets of seven bits
        codec = next((codec for codec, mark in shifted if mark in data and (codec != "hz" or codec in say())), "utf-8")
        return _strictly(data, codec) or Decoded(text, "utf-8")
    if _FEW_BYTES.fullmatch(text) and len("".join(_BEYOND.findall(text))) < 6:
        # so few characters of two bytes may be a word of a double-byte charset
        for codec in say():
            other = _strictly(data, codec) if codec in WIDE else None
            if other and likely(other.text) >= GOOD:
                return other
    return Decoded(text, "utf-8")


def _judged(data: bytes, said: list[str]) -> Decoded | None:
    """The best reading of bytes that are no UTF-8: the first one said that is good, else a guess that is."""
    best: Decoded | None = None
    highest = -math.inf
    for codec in said if "utf-8" in said else [*said, "utf-8"]:
        found = _tolerantly(data, codec)
        score = likely(found.text) if found else -math.inf
        if score >= SURE:
            return found
        if score > highest:
            best, highest = found, score
    least = max(GOOD, highest + MARGIN)
    for codec in GUESSES:
        found = _tolerantly(data, codec) if codec not in said else None
        score = likely(found.text) - _alien(found) if found else -math.inf
        if score >= least and score > highest:
            best, highest = found, score
    if best and (highest >= GOOD / 2 or ("\ufffd" not in best.text and len(_HIGH.findall(data)) < 8)):
        return best
    return None


def likely(text: str) -> float:
    """How likely people wrote the characters beyond ASCII, from 1 (all of them are common) down to below 0."""
    beyond = "".join(_BEYOND.findall(text))[:ENOUGH]
    if not beyond:
        return 1.0
    ideographs, hangul = _IDEOGRAPH.findall(beyond), len(_HANGUL.findall(beyond))
    odd = sum(c not in _common() for c in ideographs)
    odd += len(_SIGNS.findall(beyond)) if ideographs else 0
    # Korean has hardly any ideographs, Chinese hardly any Hangul: both together are a charset misread
    odd += min(hangul, len(ideographs) - odd)
    runs = [run for part in _BEYOND.findall(text)[:ENOUGH] for run in _LATIN_RUN.findall(part)]
    odd += min(sum(map(len, runs)) - len(runs), len(beyond))
    return 1 - (odd + 3 * len(_SENSELESS.findall(beyond))) / len(beyond)


def _alien(found: Decoded) -> float:
    """What speaks against a guess: Japanese without kana, Chinese with many, which stand there as in EUC-JP, Korean
    with few words, which in Chinese charsets are common ideographs."""
    kana, ideographs = len(_KANA.findall(found.text)), len(_IDEOGRAPH.findall(found.text))
    if found.codec == "cp949":
        hangul = _HANGUL.findall(found.text)
        common = sum(len(c.encode("euc_kr", "ignore")) == 2 for c in hangul)  # the others are hardly ever written
        return 0.0 if common > max(16, 20 * ideographs, 0.97 * len(hangul)) else 1.0
    japanese = kana * 4 >= ideographs and kana > 0
    return 1.0 if japanese != (found.codec in JAPANESE) and kana + ideographs > 0 else 0.0


@functools.cache
def _common() -> frozenset[str]:
    """The common ideographs of the Chinese standards: level 1 of GB 2312 (3,755) and of Big5 (5,401)."""
    levels = (("gb2312", range(0xB0, 0xD8)), ("big5", range(0xA4, 0xC7)))
    pairs = [(bytes((a, b)), codec) for codec, leads in levels for a in leads for b in range(0x40, 0xFF)]
    return frozenset("".join(pair.decode(codec, "ignore") for pair, codec in pairs))


def _strictly(data: bytes, codec: str) -> Decoded | None:
    for name in (codec, "cp950") if codec == "big5hkscs" else (codec,):
        try:
            return Decoded(data.decode(name), codec)
        except UnicodeDecodeError:
            pass
    return None


def _tolerantly(data: bytes, codec: str) -> Decoded | None:
    """The text where nearly all of it can be read; what cannot becomes U+FFFD."""
    if found := _strictly(data, codec):
        return found
    allowed = max(BROKEN * len(_HIGH.findall(data)), 2)
    if codec not in WIDE:
        text = data.decode(codec, "replace")
        return Decoded(text, codec) if text.count("\ufffd") <= allowed else None
    pieces: list[str] = []
    places = lost = 0
    for piece in _BETWEEN.split(data):
        if found := _strictly(piece, codec):
            pieces.append(found.text)
            continue
        kept = _mended(piece, codec)
        places += kept.count("\ufffd")
        lost += len(piece) - len(kept.encode(codec, "ignore"))
        if places > allowed or lost > max(len(data) // 2, 2):
            return None
        pieces.append(kept)
    return Decoded("".join(pieces), codec)


def _mended(piece: bytes, codec: str) -> str:
    """A run of double-byte characters without its broken bytes, U+FFFD for each gap.

    Behind a missing byte all characters of the run are read askew, up to its end, where it shows: what is askew goes.
    """
    kept: list[str] = []
    at = 0
    while at < len(piece):
        straight = _until_askew(_begun(piece[at:], codec))
        at += len(straight.encode(codec))
        kept.append(straight)
        if at < len(piece):
            kept.append("\ufffd")
            # where a run does not go on soon it is in another charset
            tries = range(at + 1, min(at + 4 * WINDOW, len(piece)))
            at = next((i for i in tries if _resumes(piece[i : i + 2 * WINDOW], codec)), len(piece))
    return "".join(kept)


def _begun(piece: bytes, codec: str) -> str:
    """The characters before the first that is broken."""
    try:
        return piece.decode(codec)
    except UnicodeDecodeError as error:
        return piece[: error.start].decode(codec)


def _resumes(piece: bytes, codec: str) -> bool:
    text = _begun(piece, codec)
    return len(text) >= WINDOW // 2 and len(text.encode(codec)) > len(piece) - 2 and not _odd(text)


def _until_askew(text: str) -> str:
    """The part of a text before a stretch of it that nobody would write."""
    odd = _odd(text)
    if len(text) < WINDOW:
        return text if len(odd) * 4 <= len(text) else ""
    close = zip(odd, odd[2:], strict=False)
    return next((text[: max(first - WINDOW, 0)] for first, last in close if last - first < WINDOW), text)


def _odd(text: str) -> list[int]:
    """Where uncommon characters stand."""
    uncommon = (_SENSELESS.match(c) or (_IDEOGRAPH.match(c) and c not in _common()) for c in text)
    return [i for i, odd in enumerate(uncommon) if odd]
