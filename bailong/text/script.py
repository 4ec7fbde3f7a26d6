"""Which script a stretch of text is in: counts of characters that only Simplified or only Traditional Chinese uses.

The tables come out of OpenCC itself (every Han character through `s2t` and `t2s`), so they can never contradict the
dictionaries that do the converting.
"""

import re
from functools import cache
from typing import NamedTuple

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
#: Hiragana and katakana; not the middle dot and the prolonged sound mark, which Chinese text borrows
KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")


class Tables(NamedTuple):
    """Patterns of one character each.

    Attributes:
        simplified: written only in Simplified Chinese, or in Japanese, which shares some of its forms (学, 国, 会).
        mainland: of these, what Japanese (Shift JIS) lacks as well.
        traditional: written only in Traditional Chinese.
    """

    simplified: re.Pattern[str]
    mainland: re.Pattern[str]
    traditional: re.Pattern[str]


@cache
def tables() -> Tables:
    """Probe OpenCC: 3,800 Simplified and 4,100 Traditional characters, in 0.2 s.

    Characters that stand for themselves in Taiwan as well as for another one in a Simplified text (后, 里, 台, 干,
    云, 余, ...) prove nothing and are left out: those that OpenCC would convert and that the first level of Big5,
    the 5,401 characters of Taiwan's school standard, holds.
    """
    import opencc

    to_traditional, to_simplified = opencc.OpenCC("s2t"), opencc.OpenCC("t2s")
    # of the Basic plane only: with others beside them, `re` looks a character up fifty times slower
    characters = "".join(map(chr, (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000))))
    # one character a line: a run of them could be read as a phrase
    lines = "\n".join(characters)
    changed = {
        name: {a for a, b in zip(characters, converter.convert(lines).split("\n"), strict=True) if a != b}
        for name, converter in (("simplified", to_traditional), ("traditional", to_simplified))
    }
    simplified = {c for c in changed["simplified"] - changed["traditional"] if not _common_in_taiwan(c)}
    mainland = {c for c in simplified if not c.encode("shift_jis", errors="ignore")}
    return Tables(*map(_any_of, (simplified, mainland, changed["traditional"] - changed["simplified"])))


def _common_in_taiwan(character: str) -> bool:
    code = character.encode("big5", errors="ignore")
    return len(code) == 2 and b"\xa4\x40" <= code <= b"\xc6\x7e"


def _any_of(characters: set[str]) -> re.Pattern[str]:
    return re.compile(f"[{''.join(sorted(characters))}]")
