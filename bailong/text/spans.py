"""Stretches of text that are no prose and must stay as they are: URLs, e-mail addresses, code, paths, numbers.

Chinese pages write them without spaces around, and pages that others have cleaned carry them with full-width
signs (`https：//a．tw`, `https：／／a。tw`): both are recognised. Every pattern is linear in the length of the text.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

# Characters of a URL (RFC 3986). The second kind ends a sentence as often as it goes on with the address, so it
# belongs to the URL only when the first kind follows. `[`, `]`, `|`, `"`, `<` and Han characters end a URL: BBCode,
# Markdown, HTML and Chinese text stand right behind one far more often than raw IRIs occur.
_SOLID = r"A-Za-z0-9\-_~%$&+=@/#"
_LOOSE = r".,;:!?'*"
_BODY = rf"(?:[{_SOLID}]|[{_LOOSE}]++(?=[{_SOLID}(])(?<![,;](?=https?:))|\([{_SOLID}{_LOOSE}]*+\))"
_WIDE = r"[．。：／？＃＆＝＿－～％＠，；＋！]"
_WIDE_BODY = rf"(?:{_BODY}|{_WIDE}++(?=[A-Za-z0-9]))"
_DOT = r"[.．。]"
#: top-level domains of addresses without a scheme; lower case only, for the sake of ASP.NET
_TLD = r"(?:com|net|org|edu|gov|idv|info|io|tw|cn|hk|jp|me|co|tv|cc|ly|gl)"

#: an address that can be opened, with a scheme, with `www.`, or bare with a well-known top-level domain
URL = re.compile(
    rf"""[A-Za-z0-9](?<![A-Za-z0-9@._-][A-Za-z0-9])(?:
        (?<=[hH])[tT][tT][pP][sS]?+(?: ://{_BODY}++ | [:：][/／]{{2}}{_WIDE_BODY}++)
      | (?<=[fF])[tT][pP][sS]?+(?: ://{_BODY}++ | [:：][/／]{{2}}{_WIDE_BODY}++)
      | (?<=[wW])[wW][wW](?: \.[A-Za-z0-9]{_BODY}*+ | [．。][A-Za-z0-9]{_WIDE_BODY}*+)
      | [A-Za-z0-9-]*+(?:\.[A-Za-z0-9-]++)*?\.{_TLD}(?![A-Za-z0-9_@-]|\.[A-Za-z0-9])(?::[0-9]++)?(?:/{_BODY}*+)?
    )""",
    re.X,
)

#: an e-mail address, its @ and dots in either width
EMAIL = re.compile(
    rf"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]++[@＠][A-Za-z0-9-]++(?:{_DOT}[A-Za-z0-9-]++)*{_DOT}[A-Za-z]{{2,}}+"
)

#: inline and fenced code, tags of HTML and BBCode, character references, calls with a string among their arguments
CODE = re.compile(
    r"""```.*?(?:```|\Z) | `[^`\n]{1,300}+`
      | </?[A-Za-z][A-Za-z0-9]*+(?:\s[^<>\n]{0,300}+)?/?> | <!--.*?--> | \[/?[a-z]{1,8}+(?:=[^\[\]\n]{1,200}+)?\]
      | &(?:[A-Za-z]{2,10}+|\#[0-9]{1,7}+|\#x[0-9A-Fa-f]{1,6}+);
      | [A-Za-z_](?<![A-Za-z0-9_.][A-Za-z_])[A-Za-z0-9_.]*+
        \((?:[^()"'\n]{0,80}+["'][^"'\n]{0,200}+["'])++[^()"'\n]{0,80}+\)
    """,
    re.S | re.X,
)

#: a file path of Windows, or of Unix with two or more folders
PATH = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]:\\[^\s\"'<>|*?，,；;。：:（）()「」]++|(?<![\w/.:<])~?(?:/[A-Za-z0-9_.+-]++){2,}+/?"
)

#: numbers with inner signs: 3.14, 1,234.50, 10:30, 09:00-17:00, 2019-03-02, v1.2.3, 16:9, 22/7, 02-1234-5678
NUMBER = re.compile(r"(?<![A-Za-z0-9])[vV]?[0-9]++(?:[.,:/~-][0-9]++)++")


class Span(NamedTuple):
    """`text[start:end]` is a `url`, `email`, `code`, `path` or `number`."""

    start: int
    end: int
    kind: str


def protected(text: str, *, numbers: bool = True) -> list[Span]:
    """Spans that no step may rewrite or split, in order and without overlap.

    Where two kinds meet, the one that starts first wins, then the longer one.
    """
    found: list[Span] = []
    for kind, hints, pattern in _KINDS:
        if (numbers or kind != "number") and any(hint in text for hint in hints):
            found += [Span(*match.span(), kind) for match in pattern.finditer(text)]
    found.sort(key=lambda span: (span.start, -span.end))
    spans: list[Span] = []
    for span in found:
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    return spans


def replaced(text: str, pieces: Iterable[tuple[int, int, str]]) -> str:
    """The text with something new for stretches of it: (start, end, new), in order and without overlap."""
    kept, last = [], 0
    for start, end, new in pieces:
        kept += [text[last:start], new]
        last = end
    return "".join((*kept, text[last:]))


# A substring that every match of the kind holds: looking for it costs nothing against the pattern itself.
_KINDS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "url",
        ("://", "：//", "：／／", ":／／", "www", "WWW", "Www", *(f".{tld}" for tld in _TLD[3:-1].split("|"))),
        URL,
    ),
    ("email", ("@", "＠"), EMAIL),
    ("code", ("`", "<", "[", "&", '("', "('", ', "', ", '"), CODE),
    ("path", ("\\", "/"), PATH),
    ("number", tuple("0123456789"), NUMBER),
)
