"""Sentences with URLs, e-mail addresses, emoji and special symbols are dropped (paper, section 3.2)."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bailong.prepare.step.base import Result, SpokenStep
from bailong.text.sentences import MARKS

#: drawing and decoration. Signs that carry meaning in prose are not among them: ○ (a zero in 二○一八年), □ and ■ of
#: forms aside, ①, ㎏, ℃, ½, Ⅳ, °, ×, ·, ♀, ♭ and the mathematical operators.
SYMBOLS = (
    "\u2502-\u25a0"  # lines, blocks and ■, without ─, which Chinese pages use as a dash
    "\u25a2-\u25b2\u25b4-\u25bc\u25be-\u25ca\u25cc-\u25ee\u25f0-\u25ff"  # shapes, without □ △ ○ ◯
    "\u25bd\u2190\u2192\u21d0\u21d2\u27a1-\u27be"  # ▽, arrows to the left and to the right
    "\u2600-\u263f\u2641\u2643-\u265f\u2660-\u266c\u2670-\u26a1\u26a7-\u2775\u2794-\u27a0"  # ★ ☎ ☞ ♥ ✓, without ♀ ♂ ♭ ♯
    "\u2b00-\u2bff\u203b\u3004\u3012\u3013\u3020\u32a3\u3299\u3297"  # ⭐ ※ 〄 〒 〓 〠 ㊣ ㊙ ㊗
    "\ue000-\uf8ff\ufffd"  # private use, replacement character
)
EMOJI = (
    "\U0001f000-\U0001faff\U0001fb00-\U0001fbff\u231a\u231b\u23e9-\u23f3\u23f8-\u23fa\ufe0f\u20e3\U000e0020-\U000e007f"
)

#: cheap signs that a document may hold a URL or an address: the patterns of `bailong.text.spans` are run only then
_HINTS = ("://", "：//", "：／／", ":／／", "www", "WWW", "Www", "@", "＠")
_BARE = re.compile(r"[.．。](?:com|net|org|edu|gov|idv|info|io|tw|cn|hk|jp|me|co|tv|cc|ly|gl)(?![A-Za-z0-9_])")

#: signs that names are written with, between letters or inside the marks of a title; ※ is in none
_STARS = "☆★✩✪✰⭐♡♥❤♪♫♬♠♣♦◆◇●◎▲▼✿❀☀☂☁✕✖"
_TITLE = re.compile(r"《[^《》\n]{1,60}》|〈[^〈〉\n]{1,60}〉|「[^「」\n]{1,60}」|『[^『』\n]{1,60}』")
_WITHIN = re.compile(rf"(?<=\w) ?[{_STARS}] ?(?=\w)|(?<=[A-Za-z0-9\u3041-\u30fa])[{_STARS}](?!\s*[{_STARS}])")
#: an arrow from one step, place or formula to the next
_ARROW = re.compile(r"(?<=[\w\])）」』》】]) ?[→⇒] ?(?=[\w\[(（「『《【])")
_STOP = re.compile(rf"[。！？；，、!?;,،؛{MARKS}]|\.(?:\s|$)")
#: what comes before an address that the reader is sent to, which has no scheme and no path
_SENT = re.compile(
    r"(?:網址|官網|网址|官网|詳見|详见|請見|参见|參見|請上|请上|請至|请至|請到|點擊|点击|點選|連結|链接|登入|登录|造訪|瀏覽|轉自|轉載自|"
    r"来源|來源|加入|訂購|洽詢)[在是為为於于至到：:（(「 ]{0,3}\Z"
)


@dataclass
class SentenceFilter(SpokenStep):
    """Cut every sentence that holds a URL, an e-mail address, an emoji or a special symbol.

    `symbols` is the inside of a regular expression's [...]: null takes the list of this module. `patterns` adds
    expressions of one's own, reason -> expression. A document of which less than `min_keep_ratio` of the characters
    stay is dropped, with the reason `mostly_<kind>`; so is one of which nothing stays. A URL takes its whole
    sentence with it: what is left of the sentence rarely is one.

    With `names` a sentence keeps what is part of a name: a domain without scheme, `www.` and path (socket.io), unless
    words send the reader there (請上 a.com) or little else stands beside it; one star, heart or note between letters
    (幽☆遊☆白書) or behind a Latin letter or kana (M♡), or any of them in 《》〈〉「」『』 with none in front.
    A sentence with four such signs outside of titles is decoration, and so is one with another sign or at its edge
    (☆加LINE☆). Up to five arrows between words or brackets stay in a sentence with punctuation, unlike a path of
    links (首頁→新聞). The paper drops all of them: `names: false`.
    """

    url: bool = True
    email: bool = True
    emoji: bool = True
    symbol: bool = True
    symbols: str | None = None
    patterns: dict[str, str] = field(default_factory=dict)
    names: bool = True
    min_keep_ratio: float = 0.0

    name: ClassVar[str] = "sentence_filter"
    version: ClassVar[int] = 3

    def __post_init__(self) -> None:
        self.require(0 <= self.min_keep_ratio <= 1, "min_keep_ratio", "in [0, 1]")
        for reason, pattern in {**self.patterns, "symbols": f"[{self.symbols or SYMBOLS}]"}.items():
            try:
                re.compile(pattern)
            except re.error as error:
                key = f"sentence_filter.{reason if reason == 'symbols' else f'patterns.{reason}'}"
                raise ValueError(f"{key}={pattern} is not accepted: {error}") from None

    def facts(self) -> dict[str, Any]:
        return {"symbols": self.symbols or SYMBOLS} if self.symbol else {}

    def open(self) -> Callable[[str], Result]:
        from bailong.text.cut import Piece, cut
        from bailong.text.sentences import split
        from bailong.text.spans import EMAIL, URL

        language = self.language or ""
        named = _named_sites if self.names else str
        plain = _without_names if self.names and self.symbols is None else str
        signs = self._signs()
        own = [(reason, re.compile(pattern).search) for reason, pattern in sorted(self.patterns.items())]
        tests: list[tuple[str, Callable[[str], Any]]] = []
        if self.email:
            tests.append(("email", lambda text: ("@" in text or "＠" in text) and EMAIL.search(text)))
        if self.url:
            tests.append(("url", lambda text: hinted(text) and URL.search(named(EMAIL.sub("", text)))))
        if self.emoji:
            tests.append(("emoji", re.compile(f"[{EMOJI}]").search))
        if self.symbol:
            symbol = re.compile(f"[{self.symbols or SYMBOLS}]").search
            tests.append(("symbol", lambda text: symbol(text) and symbol(plain(text))))
        tests += own

        def suspicious(text: str) -> bool:
            return bool(
                (signs and signs(text))
                or ((self.url or self.email) and hinted(text))
                or any(search(text) for _, search in own)
            )

        def reason_of(sentence: str) -> str:
            return next((reason for reason, test in tests if test(sentence)), "")

        def apply(text: str) -> Result:
            if not suspicious(text):
                return Result(text)
            pieces, head = [], 0
            for line in text.split("\n"):
                if suspicious(line):
                    position = head
                    for sentence in split(line, language):
                        if reason := reason_of(sentence):
                            pieces.append(Piece(position, position + len(sentence), reason))
                        position += len(sentence)
                head += len(line) + 1
            if not pieces:
                return Result(text)
            kept, removed = cut(text, pieces)
            letters = re.search(r"\w", kept)
            if letters is None or len(kept) < self.min_keep_ratio * len(text):
                sizes: Counter[str] = Counter()
                for reason, piece in removed:
                    sizes[reason] += len(piece)
                return Result(None, f"mostly_{max(sorted(sizes), key=sizes.__getitem__)}")
            return Result(kept, removed=removed)

        return apply

    def _signs(self) -> Callable[[str], Any] | None:
        """One set for emoji and symbols: a single scan at the speed of a table."""
        signs = (EMOJI if self.emoji else "") + ((self.symbols or SYMBOLS) if self.symbol else "")
        return re.compile(f"[{signs}]").search if signs else None


def _named_sites(sentence: str) -> str:
    """The sentence without the domains that are names in it."""
    from bailong.text.spans import URL

    def bare(match: re.Match[str]) -> bool:
        address = match.group()
        return not (
            "/" in address
            or "：" in address
            or address[:4].lower() in ("www.", "www．", "www。")
            or _SENT.search(sentence, max(0, match.start() - 12), match.start())
        )

    rest = URL.sub("", sentence)
    if len(re.findall(r"\w", rest)) < 4:
        return sentence
    return URL.sub(lambda match: "" if bare(match) else match.group(), sentence)


def _without_names(sentence: str) -> str:
    """The sentence without the signs that are part of a name."""
    sentence = _TITLE.sub(
        lambda title: title[0] if title[0][1] in _STARS else re.sub(f"[{_STARS}]", "", title[0]), sentence
    )
    rest, count = _WITHIN.subn("", sentence)
    sentence = rest if count < 4 else sentence
    rest, count = _ARROW.subn("", sentence) if "→" in sentence or "⇒" in sentence else (sentence, 0)
    return rest if count < 6 and _STOP.search(rest) else sentence


def hinted(text: str) -> bool:
    """Whether there may be a URL or an e-mail address."""
    for hint in _HINTS:  # (a loop: any() over a generator takes three times as long on short documents)
        if hint in text:
            return True
    return _BARE.search(text) is not None
