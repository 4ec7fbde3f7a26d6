"""Lines of unfenced code with Chinese in it: names of functions, arguments, strings, columns.

A line is code by its own form (a statement of a programming language, of SQL, of a shell behind a prompt or with
options, of JSON or CSS), or beside others: rows of one number of cells with a figure among them (CSV), pairs of key and
value below a [section] or indented below a key, one of them in Latin letters (INI, YAML), rows of a table with a rule,
and what is indented below a statement that opens a block. Comments, headings, lists and single pairs (姓名: 王小明) are
prose, and so is a line that ends with a full stop or holds one of full width.
"""

import re

from bailong.text.sentences import MARKS

_HEAD = r"[ \t]*"
_NAME = r"[\w.$]+"

_CODE = re.compile(
    rf"""{_HEAD}(?:
        (?:async\ )?def\ {_NAME}[ ]?\(.*\).*:{_HEAD}(?:\#.*)?
      | class\ \w+(?:\(.*\))?{_HEAD}[:{{]
      | (?:for\ .+\ in\ .+|(?:while|if|elif|with|except)\b.+|try|else|finally):{_HEAD}(?:\#.*)?
      | (?:from\ {_NAME}\ )?import\ {_NAME}(?:,[ ]?{_NAME})*(?:\ as\ \w+)?;?
      | (?:let|const|var|val|int|long|float|double|char|bool|boolean|auto|String|string)\ \w+(?:\[\])*[ ]?=.*
      | {_NAME}(?:\[[^\]]*\])*[ ](?:[-+*/|&^%:]?=)[ ].*[;)\]}}'"]
      | return\b[^。]*; | (?<=[ \t])return\b[^.。]*
      | .*(?:[ ][-+*/]?=[ ]|\(\)|[A-Za-z_]\w*\(|->|::|\w\[).*;{_HEAD}(?://.*|\#.*)?
      | .*[\w)=>]?{_HEAD}\{{{_HEAD}(?://.*)? | .*\{{[^{{}}]*[;:=][^{{}}]*\}}[,;)]*
      | \}}.*
      | [\[{{].*["']\ ?:.*[\]}}],?;? | "[^"\n]+"[ ]?:[ ].*[,\[{{"0-9el]
      | [a-z-]+[ ]?:[ ][^;]+;
      | \#[ ]?(?:include|define|ifn?def|elif|endif|pragma)\b.* | \#!.*
      | (?:SELECT\b.*\bFROM|INSERT\ INTO|UPDATE\b.*\bSET|DELETE\ FROM
          |(?:CREATE|ALTER|DROP)\ (?:TABLE|VIEW|INDEX|DATABASE)|WHERE
          |(?:ORDER|GROUP)\ BY|(?:LEFT\ |INNER\ )?JOIN|VALUES)\b[^。]*
      | (?:select\b.+\bfrom|insert\ into|update\b.+\bset|delete\ from)\b[^。]*(?:;|\bwhere\b[^。]*)
      | (?:\$|>>>|In\ \[\d+\]:|PS[ ][^>\n]*>|[\w.-]+@[\w.-]+:?[^\s$\#]*[$\#])[ ]\S.*
      | (?:sudo\ )?(?:git|curl|wget|docker|kubectl|npm|npx|yarn|pip3?|apt(?:-get)?|brew|echo|printf|cd|ls|cp|mv|rm|mkdir
          |cat|grep|sed|awk|find|tar|zip|ssh|scp|chmod|chown|python3?|node|java|gcc|go|cargo|make|ffmpeg|export|set|mysql|psql)
        (?:\ [A-Za-z0-9_./:@=-]+)*\ (?:--?[A-Za-z]|["'$~./|>]).*
      | .*\blambda[ ][\w, ]*:.*
    ){_HEAD}\Z""",
    re.X,
)
#: a line can be code only with one of these
_SIGNS = re.compile(r"[=(){};|$>\[:#'\"]|\b(?:return|import|SELECT|WHERE)\b")
_PROMPT = re.compile(rf"{_HEAD}(?:\$|>>>) ")
_SENTENCE = re.compile(rf"[。！？{MARKS}]|[^\W\d_a-zA-Z][.!?]{_HEAD}\Z")
_PAIR = re.compile(r"[ \t]*(?:- )?[\w.-]+[ ]?[=:](?:[ ]?[^ ].*)?\Z")
_SECTION = re.compile(r"[ \t]*(?:\[[^\[\]]+\]|(?:- )?[\w.-]+:)[ \t]*\Z")
_ASCII_KEY = re.compile(r"[ \t]*(?:- )?[A-Za-z_]")
_RULE = re.compile(r"[ \t]*[|+][-+|:= ]{3,}[|+]?[ \t]*\Z")
_FIGURE = re.compile(r"(?:^|,)\"?[0-9.-]+\"?(?:,|$)")


def is_code(lines: list[str], i: int) -> bool:
    """Whether line `i` of a text is code."""
    line = lines[i].rstrip("\r")
    if "。" in line:  # nearly every long line leaves here
        return bool(_PROMPT.match(line))
    if "," in line and _is_row(lines, i):
        return True
    if not _SIGNS.search(line) or (_SENTENCE.search(line) and not _PROMPT.match(line)):
        return False
    return bool(_CODE.match(line)) or _is_body(lines, i) or _is_pair(lines, i) or _is_table(lines, i)


def _around(lines: list[str], i: int, like: re.Pattern[str]) -> tuple[int, int]:
    """The first and last of the neighbouring lines that match, within 50."""
    first = last = i
    while first > max(0, i - 50) and like.match(lines[first - 1]):
        first -= 1
    while last + 1 < min(len(lines), i + 50) and like.match(lines[last + 1]):
        last += 1
    return first, last


def _is_body(lines: list[str], i: int) -> bool:
    """Whether the line is indented below a statement that opens a block."""
    if lines[i][:1] not in (" ", "\t"):
        return False
    for above in reversed(lines[max(0, i - 50) : i]):
        if above.strip() and _indent(above) < _indent(lines[i]):
            return above.rstrip().endswith((":", "{")) and bool(_CODE.match(above))
    return False


def _is_pair(lines: list[str], i: int) -> bool:
    """A key and its value below a section: `[name]` for `=`, a key of its own and deeper indentation for `:`."""
    if not _PAIR.match(lines[i]):
        return False
    first, _ = _around(lines, i, _PAIR)
    heads = lines[max(0, first - 1) : i + 1]
    if any(_SECTION.match(head) and head.strip().startswith("[") for head in heads[:1]):
        return "=" in lines[i]
    if not any(_ASCII_KEY.match(near) for near in (*heads, lines[i])):
        return False
    return any(
        _SECTION.match(head) and ":" in head and _indent(below) > _indent(head) and _PAIR.match(below)
        for head, below in zip(heads, (*heads[1:], *lines[i + 1 : i + 2]), strict=False)
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t-"))


def _is_row(lines: list[str], i: int) -> bool:
    """A row of short cells, beside another one with as many, a figure in one of them."""
    cells = lines[i].split(",")
    if not _cells(cells):
        return False
    for near in lines[max(0, i - 1) : i] + lines[i + 1 : i + 2]:
        others = near.split(",")
        if len(others) == len(cells) and _cells(others) and (_FIGURE.search(near) or _FIGURE.search(lines[i])):
            return True
    return False


def _cells(cells: list[str]) -> bool:
    return (
        len(cells) > 2 and all(len(cell) <= 16 and not cell.startswith(" ") for cell in cells) and cells[-1][-1:] != "."
    )


def _is_table(lines: list[str], i: int) -> bool:
    """A row between bars, in a table with a rule of + or |."""
    if not re.match(r"[ \t]*\|.*\|[ \t]*\Z", lines[i]):
        return False
    first, last = _around(lines, i, re.compile(r"[ \t]*[|+]"))
    return any(_RULE.match(line) for line in lines[first : last + 1])
