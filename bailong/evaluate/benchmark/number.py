"""Exact match of the number that an answer ends in, as GSM8K has it: `#### n`."""

import re
import unicodedata
from decimal import Decimal

from bailong.text.language import code

NUMBER = re.compile(
    r"""
    (?<![A-Za-z_\d.])                       # not inside a word (H2O) or another number
    (?P<sign>(?<![)\]])[-+−–])?             # a sign; after a bracket or a digit it is an operator
    (?:(?:NT|US|HK)?[$€£¥](?P<inner>[-−–])?)?  # -$5 and $-5
    (?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)?
    (?P<part>\.\d+)?
    (?P<exponent>[eE][-+]?\d+(?![A-Za-z\d]))?
    (?:\s*/\s*(?P<under>[1-9]\d*))?         # a fraction
    \s*(?P<scale>[萬万億亿])?
    """,
    re.VERBOSE,
)
SCALE = {"萬": 10**4, "万": 10**4, "億": 10**8, "亿": 10**8}
#: languages that write a comma before decimals, and a point or a blank between thousands
COMMA = frozenset(
    (
        *("af", "az", "be", "bg", "bs", "ca", "cs", "da", "de", "el", "es", "et", "eu", "fi", "fr", "gl", "hr", "hu"),
        *("hy", "id", "is", "it", "ka", "kk", "ky", "lt", "lv", "mk", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl"),
        *("sq", "sr", "sv", "tr", "uk", "uz", "vi"),
    )
)
_THOUSANDS = re.compile(r"(?<![\w.,])(\d{1,3}(?:[.\xa0\u202f ]\d{3})+)(?:,(\d+))?(?![\d.,]*\d)")
_DECIMALS = re.compile(r"(?<![\w.,])(\d+),(\d+)(?![\d.,]*\d)")
#: a comma of full width separates thousands between digits of full width alone; elsewhere it ends a clause
WIDE_COMMA = re.compile(r"(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")


def last(text: str, language: str = "") -> Decimal | None:
    """The number an answer gives: after its first `####` if one follows, in its last box, or else its last number.

    Read are thousands separators, digits of full width, signs, decimals, exponents, fractions (1/2), `萬` and `億`;
    currencies, per cent signs and units are passed over. Numbers in words (十八, eighteen) are not read.

    Args:
        language: of the text, for its signs before decimals and between thousands (18,5 is 18.5 in Turkish).
    """
    text = plain(text)
    if code(language) in COMMA:
        text = _DECIMALS.sub(r"\1.\2", _THOUSANDS.sub(_pointed, text))
    for place in re.finditer(r"####(.*)", text):
        if found := numbers(place[1]):
            return found[0]
    boxes = [found[-1] for box in re.finditer(r"boxed\{([^{}]*)\}", text) if (found := numbers(box[1]))]
    found = boxes or numbers(text)
    return found[-1] if found else None


def numbers(text: str) -> list[Decimal]:
    """Every number of a text that `plain` has gone over, in order."""
    return [value for match in NUMBER.finditer(text) if (value := _value(match)) is not None]


def plain(text: str) -> str:
    """One way to write digits and separators: full width becomes ASCII, LaTeX's `{,}` and `\\$` become `,` and `$`."""
    text = WIDE_COMMA.sub("", text).replace("，", "、")
    text = unicodedata.normalize("NFKC", text.replace("{,}", ",").replace("\\$", "$").replace("\\!", ""))
    return text.replace("⁄", "/")  # what NFKC makes of ½


def score(answer: str, golds: list[str], language: str = "") -> dict[str, float]:
    """`exact_match`: 1 if the answer's number equals an accepted one, as 18 does 18.00; `read`: 1 if it has any.

    Accepted numbers are written the English way, as those of GSM8K and of its translations; an answer is read in the
    way of its language as well.
    """
    found = {last(answer), last(answer, language)} - {None}
    return {"exact_match": float(any(last(gold) in found for gold in golds)), "read": float(bool(found))}


def _pointed(match: re.Match[str]) -> str:
    return re.sub(r"\D", "", match[1]) + (f".{match[2]}" if match[2] else "")


def _value(match: re.Match[str]) -> Decimal | None:
    if not (match["whole"] or match["part"]):
        return None
    digits = (match["whole"] or "0").replace(",", "") + (match["part"] or "") + (match["exponent"] or "")
    try:
        value = Decimal(digits) / Decimal(match["under"] or 1) * SCALE.get(match["scale"] or "", 1)
    except ArithmeticError:  # an exponent out of all bounds
        return None
    return -value if match["inner"] or (match["sign"] or "+") != "+" else value
