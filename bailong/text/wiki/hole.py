"""What cannot be rendered leaves a hole; the sentence around a hole goes, for half a sentence teaches nothing right."""

import re

from bailong.text.sentences import split

#: stands for words that were there and are unknown: a noncharacter of Unicode, which no text holds
HOLE = "\ufdd0"
#: stands for what may have been words, or an icon or a note
MAYBE = "\ufdd1"

_HOLES = re.compile(f"[{HOLE}{MAYBE}]")
_ASIDE = re.compile(rf"[（(]([^（()）\n]*[{HOLE}{MAYBE}][^（()）\n]*)[)）]")
_PART = re.compile(r"[，,、；;]\s*")
#: before all words of a line (an icon, a box), unless what follows goes on with a sentence
_LEADING = re.compile(rf"^([\s*#:;•·-]*)(?:{MAYBE}\s*)+(?![\s，、。；：！？是為为位於于在有的和與与及也將将至到達达])")
#: behind all words of a line, unless these wait for more
_TRAILING = re.compile(rf"(?<![\s，、：:(（是為为位於于在有的和與与及或約约至到達达])\s*(?:{MAYBE}\s*)+$")
_WORD = re.compile(r"\w")


def close(text: str, language: str = "") -> tuple[str, int]:
    """`text` without holes, and the number of sentences that went with one.

    What may have been no words (`MAYBE`) goes silently where it is alone on its line, before all of its words or behind
    all of them. A hole in brackets takes its part of what they hold.
    """
    if HOLE not in text and MAYBE not in text:
        return text, 0
    lines, lost = [], 0
    for line in text.split("\n"):
        if _HOLES.search(line):
            while (closed := _ASIDE.sub(_aside, line)) != line:
                line = closed
            line = _TRAILING.sub("", _LEADING.sub(r"\1", line))
            if _HOLES.search(line):
                sentences = split(line, language)
                damaged = [sentence for sentence in sentences if _HOLES.search(sentence)]
                lost += sum(_WORD.search(sentence) is not None for sentence in damaged)
                line = "".join(sentence for sentence in sentences if not _HOLES.search(sentence)).rstrip()
            if not _WORD.search(line):
                continue
        lines.append(line)
    return "\n".join(lines), lost


def _aside(match: re.Match[str]) -> str:
    kept = [part.strip() for part in _PART.split(match[1]) if not _HOLES.search(part) and _WORD.search(part)]
    separator = _PART.search(match[1])
    whole = match.group()
    return f"{whole[0]}{(separator.group() if separator else '').join(kept)}{whole[-1]}" if kept else ""
