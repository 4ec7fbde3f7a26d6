"""Pieces cut out of a text so that every character is either in the text that stays or in one of the pieces."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Piece(NamedTuple):
    """`text[start:end]` goes, for `reason`."""

    start: int
    end: int
    reason: str


def cut(text: str, pieces: Iterable[Piece]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What stays, and (reason, piece) of what goes.

    `pieces` are in order and do not overlap. White space that would stand alone without them goes with them: the line
    break of a line that is gone, a second blank line, blanks at the end of a line and of the text.
    """
    kept: list[str] = []
    removed: list[tuple[str, str]] = []
    position = 0
    for group in _groups(text, pieces):
        start, end = _reach(text, group[0].start, group[-1].end, position)
        kept.append(text[position:start])
        bounds = [start, *(piece.start for piece in group[1:]), end]
        removed += [(piece.reason, text[a:b]) for piece, (a, b) in zip(group, pairwise(bounds), strict=True)]
        position = end
    kept.append(text[position:])
    return "".join(kept), tuple(removed)


def _groups(text: str, pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces with nothing but white space between them belong together, unless a line that stays begins before them:
    the break between it and the next line must stay too."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        if groups:
            first, last = groups[-1][0].start, groups[-1][-1].end
            between = text[last : piece.start]
            head = text[text.rfind("\n", 0, first) + 1 : first]
            if not between.strip() and ("\n" not in between or not head.strip()):
                groups[-1].append(piece)
                continue
        groups.append([piece])
    return groups


def _reach(text: str, start: int, end: int, position: int) -> tuple[int, int]:
    """The stretch to take for `text[start:end]`, where `text[:position]` has been dealt with."""
    before, after = start, end
    while before > position and text[before - 1].isspace():
        before -= 1
    while after < len(text) and text[after].isspace():
        after += 1
    left, right = text[before:start].count("\n"), text[end:after].count("\n")
    if before == 0 or after == len(text):  # blanks have nothing left to part
        return before, after
    if left and right:  # whole lines: of the breaks on both sides the larger stays
        return (start, after) if left >= right else (before, end)
    if right:  # the end of a line
        return before, end
    return start, after if before < start else end
