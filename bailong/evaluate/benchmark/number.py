"""Exact match of the number that an answer ends in, as GSM8K has it: `#### n`."""

import re
import unicodedata
from decimal import Decimal

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
#: a comma of full width separates thousands between digits of full width alone; elsewhere it ends a clause
WIDE_COMMA = re.compile(r"(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")


def last(text: str) -> Decimal | None:
    """The number an answer gives: after its first `####` if one follows, in its last box, or else its last number.

    Read are thousands separators, digits of full width, signs, decimals, exponents, fractions (1/2), `萬` and `億`;
    currencies, per cent signs and units are passed over. Numbers in words (十八, eighteen) are not read.
    """
    text = plain(text)
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


def score(answer: str, golds: list[str]) -> dict[str, float]:
    """`exact_match`: 1 if the answer's number equals an accepted one, as 18 does 18.00; `read`: 1 if it has any."""
    found = last(answer)
    exact = found is not None and any(found == last(gold) for gold in golds)
    return {"exact_match": float(exact), "read": float(found is not None)}


def _value(match: re.Match[str]) -> Decimal | None:
    if not (match["whole"] or match["part"]):
        return None
    digits = (match["whole"] or "0").replace(",", "") + (match["part"] or "") + (match["exponent"] or "")
    try:
        value = Decimal(digits) / Decimal(match["under"] or 1) * SCALE.get(match["scale"] or "", 1)
    except ArithmeticError:  # an exponent out of all bounds
        return None
    return -value if match["inner"] or (match["sign"] or "+") != "+" else value
