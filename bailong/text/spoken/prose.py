"""What of an answer is prose, so that a rule on its language counts nothing else.

Addresses, file names, code, formulas and pronunciations belong to no language; neither do names and glosses in Latin
letters inside a Chinese sentence, nor the pinyin that it explains.
"""

import re
import unicodedata

from bailong.text.script import HAN, KANA
from bailong.text.spans import protected, replaced
from bailong.text.spoken.latin import LATIN, in_pinyin, titled

#: a name between marks, or a short quotation
QUOTED = re.compile(
    r"「[^「」\n]{1,40}」|『[^『』\n]{1,40}』|《[^《》\n]{1,40}》|〈[^〈〉\n]{1,40}〉|“[^“”\n]{1,40}”|\"[^\"\n]{1,40}\""
)
_HAN = HAN.pattern
_ASCII = r"[A-Za-z0-9\-_~%$&+=@.,;:!?*']"
# Han characters belong to an address where they stand right behind one of its separators, as in /wiki/臺北
_TAIL = rf"(?:[/?\#&=_]{_ASCII}*+(?:(?<=[/=_%\-\#]){_HAN}[\w%.\-]*+(?:\([^()\s]*\))?+)?+)*+"
_HOST = r"[A-Za-z0-9\-]++"
_ADDRESS = re.compile(
    rf"""https?://(?:{_HOST}(?:\.{_HOST})*+|[\w\-]{{1,30}}\.(?:[a-z]{{2,6}}|台[湾灣]|中[国國]))(?::[0-9]++)?+{_TAIL}
      | (?<![A-Za-z0-9.\-])[A-Za-z0-9\-]++(?:\.[A-Za-z0-9\-]++)*?\.[a-z]{{2,6}}(?=/){_TAIL}
      | (?<![\w/.:<])(?:~|\.{{1,2}}+)?(?:/[\w.+\-]++){{2,}}+/?
    """,
    re.X,
)
_SUFFIX = r"\.(?:pdf|docx?|xlsx?|pptx?|csv|txt|py|js|md|json|xml|ya?ml|html?|png|jpe?g|gif|zip|mp[34])(?![A-Za-z0-9])"
_FILE = re.compile(rf"[\w\-]{{1,20}}{_SUFFIX}")
_FORMULA = re.compile(r"\$\$?[^$\n]{1,200}\$?\$|\\[A-Za-z]+")
# a letter of a sum (a + b, Δt, 2π), not a word of a language
_GREEK = re.compile(r"(?<![\u0370-\u03ff])[\u0370-\u03ff](?![\u0370-\u03ff])")
_LETTER = re.compile(rf"(?<!{LATIN})(?<!')(?:[aA](?! {LATIN}{{2}})|I(?![' ]{LATIN}))(?!{LATIN})")

_CALL = r"[A-Za-z_][A-Za-z0-9_.]*+\("
_CODE_LINE = re.compile(
    rf"""[ \t]*+(?:(?:>>>|\#!|\#include|\#define|<\?php|/\*).*
      | (?:async[ ])?(?:def|class)[ ][A-Za-z_]\w*+.*:
      | for[ ]\w++(?:,[ ]?\w++)*[ ]in[ ](?:\w++:$|.*[(\[].*:.*)
      | (?:(?:el)?if|while)[ ].*(?:[=<>\[]|\w\().*:.* | while[ ]True: | with[ ][\w.]++\(.*:
      | (?:else|try|finally):.* | except(?:[ ][\w.()]+)?(?:[ ]as[ ]\w+)?:
      | import[ ][\w.]+(?:[ ]as[ ]\w+)?(?:,[ ]?[\w.]+)*;? | from[ ][\w.]+[ ]import[ ].+
      | return\b.*[;()\[\]+*/=].* | (?:const|let|var)[ ]\w++[ ]?=.*
      | (?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|FROM|WHERE|JOIN|ORDER[ ]BY|GROUP[ ]BY)[ ].*
      | [A-Za-z_][\w.]*+(?:\[[^\[\]]*\])?(?:,[ ]?[A-Za-z_][\w.]*+)*+(?::[ ]?\w++)?[ ]?[-+*/]?=[ ]?
        (?![=>]|.*[a-z][ ][a-z]++[ ][a-z]).*
      | {_CALL}.*\)\.? | [^\u3000-\u9fff]*(?:=|\w\().*; | [^\u3000-\u9fff]*[{{}}] | [\]}})]+[;,]?
    )[ \t]*""",
    re.X,
)
_COMMENT = re.compile(r"[ \t]*+(?:\#|//|--[ ])")
_TRAILING = re.compile(r"(?:(?<=\s)\#|//|--[ ]).*")

# a run of words in Latin letters, with what holds a title together
_RUN = re.compile(rf"{LATIN}(?:{LATIN}|[0-9'&\-–/+.]|[ ,:](?= ?(?:{LATIN}|[0-9&])))*+")
_GLOSS = re.compile(rf"(?<={_HAN[:-1]}」』》])[ ]?\([^()\n]{{1,80}}\)")
#: how a word is read, in kana behind it
_KANA_READING = re.compile(rf"(?<={_HAN[:-1]}」』》])[ ]?\([^()\n]*{KANA.pattern}[^()\n]*\)")
_BRACKETS = re.compile(r"\([^()\n]*\)|\[[^\[\]\n]*\]")
_CELLS = re.compile(r"^[ ]*\|.*\|[ ]*$", re.M)
# what holds a Chinese sentence together
_FRAME = re.compile("[的是有在和與与及或了為为他她它我你這这那也不就都以可用請请等由於会會能讀看音]")


def prose(text: str) -> str:
    """The text without addresses, code and formulas, its compatibility forms made plain."""
    bare = _ADDRESS.sub(" ", text) if "/" in text else text
    bare = _FILE.sub(" ", bare) if "." in bare and re.search(_SUFFIX, bare) else bare
    bare = replaced(bare, ((span.start, span.end, " ") for span in protected(bare)))
    bare = _FORMULA.sub(" ", _without_code(bare))
    return _LETTER.sub(" ", _GREEK.sub(" ", unicodedata.normalize("NFKC", bare).replace("’", "'")))


def unread(text: str) -> str:
    """A text without the kana that say, in brackets, how a word is read."""
    return _KANA_READING.sub(" ", text)


def framed(text: str) -> str | None:
    """A Chinese text without the names, terms and glosses in Latin letters; None where no Chinese sentence is.

    A table needs no sentence, only its cells.
    """
    if not (_FRAME.search(_BRACKETS.sub(" ", text)) or _CELLS.search(text)):
        return None
    bare = _CELLS.sub(lambda row: re.sub(rf"(?<=\|)[^|\n]*{LATIN}[^|\n]*(?=\|)", _short, row[0]), text)
    return _RUN.sub(lambda run: " " if _is_term(run[0]) else run[0], _GLOSS.sub(" ", bare))


def _short(cell: re.Match[str]) -> str:
    return " " if len(cell[0].split()) <= 4 else cell[0]


def _is_term(run: str) -> bool:
    words = [word for word in re.split(r"[^\w'\-]+", run) if word]
    return len(words) <= 2 or titled(words, 40) or (not run.isascii() and in_pinyin(words))


def _without_code(text: str) -> str:
    """The text without code that stands outside fences: its lines, their comments, and what is indented below them."""
    lines = text.split("\n")
    marked = [bool(line.strip()) and _CODE_LINE.fullmatch(_TRAILING.sub("", line)) is not None for line in lines]
    if not any(marked):
        return text
    for places in (range(1, len(lines)), range(len(lines) - 2, -1, -1)):
        step = -1 if places.step > 0 else 1
        for place in places:
            near = marked[place + step] and bool(lines[place].strip())
            if near and (_COMMENT.match(lines[place]) or (step < 0 and lines[place][:2] in ("  ", "\t"))):
                marked[place] = True
    return "\n".join("" if code else line for line, code in zip(lines, marked, strict=True))
