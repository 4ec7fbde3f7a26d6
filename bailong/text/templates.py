"""Recurring text with slots: the same line in many documents, but for a name, a number, a date.

A line is cut into clauses at its punctuation. A clause that stands in many documents is fixed; of any other, its
beginning and end may be; the rest is a slot, `＊`. What is left of the line is its *skeleton*. Two passes over a
sample of documents find them: the first counts clauses and their ends, the second skeletons.
"""

import re
import zlib
from collections.abc import Container, Iterable
from pathlib import Path

import ahocorasick_rs

from bailong.text.sentences import MARKS

SLOT = "＊"
_NUMBER = re.compile(
    r"\d+|(?<=第)[一二三四五六七八九十百千零〇○]+|[一二三四五六七八九十百零〇○]+(?=[年月日條条項项款號号])"
)
_SEPARATOR = re.compile(rf"([，。、；：！？,;:!?،؛{MARKS}．（）()「」『』《》〈〉【】\[\]|｜\t]+ *|\. +|  +)")
_LETTER = re.compile(r"[^\W\d_]")
#: scripts in which a word is a character or two
_WIDE = re.compile("[\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]")
_SLOTS = re.compile(rf"{SLOT}(?:[^\w{SLOT}]*{SLOT})+")
#: lines beyond are no templates but texts
LONGEST = 1000


def normalized(line: str) -> str:
    """A line without what differs between two prints of a form: numbers become 0."""
    return _NUMBER.sub("0", line.strip())


def keys(text: str) -> set[int]:
    """32-bit hashes of every clause of a document, its beginnings and its ends.

    Two clauses may share a hash: of 10 million, one in 400 does with another rare one, which does not make it frequent.
    """
    found: set[int] = set()
    for line in set(text.split("\n")):
        for clause in set(_SEPARATOR.split(normalized(line[:LONGEST]))[::2]):
            if clause:
                found.add(_hash("=", clause))
                for size in _edges(clause):
                    found.add(_hash("<", clause[:size]))
                    found.add(_hash(">", clause[-size:]))
    return found


def skeletons(text: str, frequent: Container[int], covered: float) -> dict[str, str]:
    """Skeleton -> line, for the lines of which at least `covered` of the letters are fixed."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line or len(line) > LONGEST:
            continue
        shape = normalized(line)
        pieces = _SEPARATOR.split(shape)
        for i in range(0, len(pieces), 2):
            pieces[i] = _fixed(pieces[i], frequent)
        skeleton = _SLOTS.sub(SLOT, "".join(pieces))
        letters = len(_LETTER.findall(shape))
        if letters and len(_LETTER.findall(skeleton)) >= covered * letters and skeleton not in found:
            found[skeleton] = line
    return found


def _fixed(clause: str, frequent: Container[int]) -> str:
    if not clause or _hash("=", clause) in frequent or not _LETTER.search(clause):
        return clause
    begins = ends = ""
    for size in _edges(clause):
        if _hash("<", clause[:size]) in frequent:
            begins = clause[:size]
        if _hash(">", clause[-size:]) in frequent:
            ends = clause[-size:]
    return clause if len(begins) + len(ends) >= len(clause) else f"{begins}{SLOT}{ends}"


def _edges(clause: str) -> tuple[int, ...]:
    """How many characters of an end are looked at: about two words, or four."""
    sizes = (4, 8) if _WIDE.search(clause) else (12, 24)
    return tuple(size for size in sizes if size < len(clause))


def _hash(kind: str, clause: str) -> int:
    return zlib.crc32(f"{kind}{clause}".encode("utf-8", "surrogatepass"))


def read_list(path: Path) -> list[str]:
    """Skeletons of a reviewed list: one a line, as plain text or as a line of the report; `# ` begins a comment.

    Raises:
        ValueError: a JSON line without a skeleton, or a skeleton that would match every line.
    """
    import json

    skeletons = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.startswith("# "):
            continue
        skeleton = line.strip()
        if skeleton.startswith('{"'):
            try:
                skeleton = json.loads(skeleton)["skeleton"].strip()
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
                raise ValueError(f"{path}:{number}: not a line of the templates report, which has a skeleton") from None
        if not skeleton.strip(f"{SLOT} "):
            raise ValueError(f"{path}:{number}: {skeleton} matches every line; write what is fixed in it")
        skeletons.append(skeleton)
    return list(dict.fromkeys(skeletons))


class Reviewed:
    """Which lines match a list of skeletons. A slot stands for one or more characters."""

    def __init__(self, skeletons: Iterable[str]) -> None:
        self.skeletons = [[normalized(part) for part in skeleton.split(SLOT)] for skeleton in skeletons]
        # Of each the longest part that stands in the text as it does here: without numbers.
        anchors = [max((re.split(r"0", SLOT.join(parts).replace(SLOT, "0"))), key=len) for parts in self.skeletons]
        self.always = [i for i, anchor in enumerate(anchors) if not anchor]
        self.anchored = [i for i, anchor in enumerate(anchors) if anchor]
        self.automaton = ahocorasick_rs.BytesAhoCorasick([anchors[i].encode() for i in self.anchored])

    def suspicious(self, text: str) -> bool:
        """Whether any line may match."""
        data = text.encode("utf-8", "surrogatepass")
        return bool(self.always) or bool(self.automaton.find_matches_as_indexes(data))

    def matches(self, line: str) -> bool:
        data = line.encode("utf-8", "surrogatepass")
        hits = {self.anchored[i] for i, _, _ in self.automaton.find_matches_as_indexes(data, overlapping=True)}
        candidates = sorted(hits.union(self.always))
        shape = normalized(line) if candidates else ""
        return any(_matches(shape, self.skeletons[i]) for i in candidates)


def _matches(shape: str, parts: list[str]) -> bool:
    """Whether `shape` is the parts in their order, with something in between. Linear: leftmost first is enough."""
    if len(parts) == 1:
        return shape == parts[0]
    if not shape.startswith(parts[0]):
        return False
    position = len(parts[0])
    for part in parts[1:-1]:
        position = shape.find(part, position + 1)
        if position < 0:
            return False
        position += len(part)
    return len(shape) - len(parts[-1]) > position and shape.endswith(parts[-1])
