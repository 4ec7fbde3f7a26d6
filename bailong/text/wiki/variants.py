"""`-{zh-hans:计算机;zh-tw:電腦}-`: words that a Chinese wiki shows in the variant of the reader."""

import re

from bailong.text.wiki.hole import HOLE

#: which variant stands in for one that is not given
FALLBACKS = {
    "zh-tw": ("zh-tw", "zh-hant", "zh-hk", "zh-mo", "zh"),
    "zh-hk": ("zh-hk", "zh-hant", "zh-mo", "zh-tw", "zh"),
    "zh-hant": ("zh-hant", "zh-tw", "zh-hk", "zh-mo", "zh"),
    "zh-cn": ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh"),
    "zh-hans": ("zh-hans", "zh-cn", "zh-sg", "zh-my", "zh"),
}

#: wikis that show words by variants; in the text of another, -{ is what it says
CONVERTED = frozenset(
    ("zh", "gan", "crh", "ban", "iu", "kk", "ku", "mni", "sh", "shi", "sr", "tg", "tly", "uz", "wuu", "zgh")
)

_MARK = re.compile(r"-\{((?:(?!-\{|\}-).)*)\}-", re.DOTALL)
_SHORT_MARK = re.compile(r"-\{([^{}]{0,600})\}-")
_FLAGS = re.compile(r"^\s*([A-Za-z;\s-]*)\|", re.DOTALL)
_CODE = r"[a-z]{2,3}(?:-[a-z]{2,4})?"
_RULE = re.compile(rf"\s*({_CODE})\s*[:：]\s*(.*)", re.DOTALL)
_NEXT_RULE = re.compile(rf"[;；](?=\s*(?:[^;；:：{{}}]*=>\s*)?{_CODE}\s*[:：]|\s*$)")
#: what no reader sees where it stands: rules for elsewhere, titles, rules that end, names of variants
_HIDDEN, _SHOWN = frozenset("HTN-"), frozenset("ASD")

_CHINESE_RULE = re.compile(r"(?:^|[;；|>])\s*zh(?:-(?:han[st]|cn|tw|hk|mo|sg|my))?\s*[:：]")
_CHINESE_FLAG = re.compile(r"\s*(?:[AHTSDNR-]|zh-[a-z]{2,4}(?:\s*;\s*zh-[a-z]{2,4})*)\s*\|")
_EAST = re.compile(r"[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff60]")
_RUN = re.compile(r"[^\s，。、；：！？「」（）《》]*")
_NAME_OF_FILE = re.compile(r"[/\\{}=$@`]|\.[A-Za-z0-9]{1,5}$")
_ANY_MARK = re.compile(r"-\{[^{}\n]*(?:\}-)?|\}-")
_UNCLOSED = re.compile(r"-\{(\s*(?:[A-Za-z;\s-]{0,30}\|)?\s*zh(?:-[a-z]{2,4})?\s*[:：][^\n。！？]*)")
_STRAY = re.compile(r"-\{(?=[\u3400-\u9fff])|(?<=[\u3400-\u9fff])\}-")


def resolve(text: str, variant: str) -> str:
    """Wiki text with every mark resolved, inner ones first. One that never ends leaves a hole (`wiki.hole`).

    Args:
        variant: of the reader, such as `zh-tw`; empty: there are no such marks.
    """
    if "-{" not in text or not variant:
        return text
    order = FALLBACKS.get(variant, (variant,))
    for _ in range(8):
        text, found = _MARK.subn(lambda match: _shown(match[1], order), text)
        if not found or "-{" not in text:
            break
    return _ended(text)


def resolve_certain(text: str, variant: str) -> str:
    """Any text with those marks resolved that can be nothing else.

    A mark is certain if it holds rules or flags of Chinese variants, or Chinese words between words. A placeholder
    (`${x}-{y}-`, `--{{bin|lib}}`, `-{日期}-v1.txt`), a formula (`x^{-{a}-}`) and a lone `-{` stay; beside a certain
    mark, `-{}-` and `-{999}-` are marks too.
    """
    if "-{" not in text or not variant:
        return text
    order = FALLBACKS.get(variant, (variant,))
    known = False

    def replace(match: re.Match[str]) -> str:
        nonlocal known
        if _guarded(match) or not (known or _certain(match)):
            return match.group()
        known = True
        return _shown(match[1], order)

    for _ in range(8):
        before, text = text, _SHORT_MARK.sub(replace, text)
        if text == before or "-{" not in text:
            break
    return _ended(text) if known or _UNCLOSED.search(text) else text


def _ended(text: str) -> str:
    """Text in which marks that were only begun, or only ended, leave a hole or nothing."""
    if "-{" in text:
        text = _UNCLOSED.sub(HOLE, text)
    return _STRAY.sub("", text) if "-{" in text or "}-" in text else text


def _shown(inside: str, order: tuple[str, ...]) -> str:
    flags: set[str] = set()
    if flagged := _FLAGS.match(inside):
        flags, inside = {flag.strip().upper() for flag in flagged[1].split(";")}, inside[flagged.end() :]
    if flags & _HIDDEN and not flags & _SHOWN:
        return ""
    if "R" in flags:
        return inside
    rules = {}
    for part in _NEXT_RULE.split(inside):
        if rule := _RULE.fullmatch(part.rpartition("=>")[2]):
            rules[rule[1]] = rule[2].strip()
    if not rules:
        return inside
    return next((rules[name] for name in order if name in rules), next(iter(rules.values())))


def _certain(match: re.Match[str]) -> bool:
    inside = match[1]
    if _CHINESE_RULE.search(inside) or _CHINESE_FLAG.match(inside):
        return True
    beside = match.string[max(match.start() - 1, 0) : match.start()] + match.string[match.end() : match.end() + 1]
    if not inside.strip():
        return (
            len(beside) == 2
            and _EAST.search(beside) is not None
            and all(sign.isalnum() or _EAST.match(sign) for sign in beside)
        )
    return _EAST.search(inside) is not None and len(inside) <= 60


def _guarded(match: re.Match[str]) -> bool:
    """Whether a mark is part of code, a formula or the name of a file."""
    text, inside, start, end = match.string, match[1], match.start(), match.end()
    if inside[:1] == "{" or text[end : end + 1] == "{":
        return True
    before = text[max(start - 2, 0) : start]
    if before[-1:] in ("\\", "^", "_", "$", "{", "`") or (before[-1:] in ("-", "}") and before != "}-"):
        return True
    if _CHINESE_RULE.search(inside):
        return False
    head = _RUN.match(text[max(start - 60, 0) : start][::-1])
    tail = _RUN.match(text, end, end + 60)
    run = f"{head.group()[::-1] if head else ''}\n{tail.group() if tail else ''}"
    return _NAME_OF_FILE.search(_ANY_MARK.sub("", run)) is not None
