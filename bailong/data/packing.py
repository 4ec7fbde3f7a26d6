"""How documents fill sequences: what each strategy keeps, pads and cuts, and the plan of `best_fit`."""

from __future__ import annotations

from typing import Any

import numpy as np

STRATEGIES = ("concat", "truncate", "best_fit")


def best_fit(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Pack whole documents into as few sequences as best-fit-decreasing finds (arXiv 2404.10830).

    Documents longer than `capacity` are cut into pieces of `capacity` tokens; every piece but the last fills a
    sequence of its own. The remaining pieces go, longest first, into the fullest sequence that still has room.

    Args:
        lengths: [documents] tokens of each document, markers included.
        capacity: tokens of a sequence.

    Returns:
        pieces: [pieces, 2] int64, begin and end in the flat ids, in the order of the sequences.
        offsets: [sequences + 1] int64, where each sequence begins in `pieces`.
    """
    starts = np.cumsum([0, *lengths])[:-1]
    whole = lengths // capacity
    owner = np.repeat(np.arange(len(lengths)), whole)
    first = np.cumsum(whole) - whole
    full_begin = starts[owner] + (np.arange(len(owner)) - first[owner]) * capacity
    rest = lengths - whole * capacity
    left = np.flatnonzero(rest > 0)
    left = left[np.argsort(-rest[left], kind="stable")]
    bins, bin_of = _fill(rest[left], capacity)
    order = np.lexsort((np.arange(len(left)), bin_of))
    begin = starts[left] + whole[left] * capacity
    pieces = np.concatenate(
        [
            np.stack([full_begin, full_begin + capacity], axis=1),
            np.stack([begin[order], begin[order] + rest[left][order]], axis=1),
        ]
    ).astype(np.int64)
    counts = np.concatenate([np.ones(len(owner), np.int64), np.bincount(bin_of, minlength=bins)])
    return pieces, np.cumsum([0, *counts])


def rows(lengths: np.ndarray, capacity: int, at_least: int = 1) -> list[list[int]]:
    """Whole sequences in rows of at most `capacity` tokens: as few as best fit finds, and of nearly one length.

    Rows that stand in one batch are padded to the longest of them, so they are filled alike: the smallest capacity
    is taken that needs no more rows.

    Args:
        lengths: [sequences] tokens of each, none above `capacity`. at_least: rows wanted, at most as many as sequences.
    """
    assert lengths.max() <= capacity and at_least <= len(lengths)
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    wanted = max(_fill(falling, capacity)[0], at_least)
    low, high = int(falling[0]), capacity
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _fill(falling, middle)[0] <= wanted else (middle + 1, high)
    bins, bin_of = _fill(falling, high)
    packed = [order[bin_of == number].tolist() for number in range(bins)]
    while len(packed) < at_least:
        packed.append([max(packed, key=len).pop()])
    return sorted(packed, key=lambda row: (-int(lengths[row].sum()), row))


def _fill(sizes: np.ndarray, capacity: int) -> tuple[int, np.ndarray]:
    """Best fit for sizes in falling order: the bin of each. Linear in documents times log of capacity.

    Bins are kept by the room left in them; a bit mask over the rooms finds the smallest that fits.
    """
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0  # bit r is set while some bin has room r
    bin_of = np.empty(len(sizes), dtype=np.int64)
    bins = 0
    for i, size in enumerate(sizes.tolist()):
        fitting = rooms >> size
        if fitting:
            room = size + ((fitting & -fitting).bit_length() - 1)
            number = by_room[room].pop()
            if not by_room[room]:
                rooms &= ~(1 << room)
        else:
            room, number = capacity, bins
            bins += 1
        bin_of[i] = number
        if room > size:
            by_room[room - size].append(number)
            rooms |= 1 << (room - size)
    return bins, bin_of


def summary(lengths: np.ndarray, strategy: str, context: int) -> dict[str, Any]:
    """What a strategy makes of documents of these lengths (markers included) at `context` targets a sequence.

    Returns:
        sequences, the tokens kept and lost, and the share of positions that are padding.
    """
    total = int(lengths.sum())
    if strategy == "truncate":
        kept = int(np.minimum(lengths, context).sum())
        sequences = len(lengths)
    elif strategy == "concat":
        sequences = max(total - 1, 0) // context
        kept = sequences * context + (1 if sequences else 0)
    else:
        sequences = len(best_fit(lengths, context + 1)[1]) - 1
        kept = total
    positions = sequences * (context + (strategy == "best_fit"))
    return {
        "sequences": sequences,
        "tokens": kept,
        "lost": total - kept,
        "padding": round(max(0.0, 1 - kept / positions), 6) if positions else 0.0,
    }
