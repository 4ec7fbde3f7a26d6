"""How documents fill sequences: what each strategy keeps, pads and cuts, and the plan of `best_fit`."""

from typing import Any

import numpy as np

STRATEGIES = ("concat", "truncate", "best_fit")
#: numbers of rows that are tried for a step of dialogues
CANDIDATES = 8
#: what a forward pass costs beside its places, in shares of a full one: some kernels are started whatever their size
PASS = 1 / 16


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
    """Whole sequences in rows of at most `capacity` tokens, of nearly one length, longest first.

    Rows that stand in one batch are padded to the longest of them. So of all numbers of rows, from as many as the
    longest sequence allows to as few as `capacity` does, that one is taken whose rows hold the least padding; of equals
    the one with the shortest rows, since attention costs the square of a row. (Of many numbers `CANDIDATES` are tried.)

    Args:
        lengths: [sequences] tokens of each, none above `capacity`. at_least: rows wanted, at most as many as sequences.
    """
    assert lengths.max() <= capacity and at_least <= len(lengths)
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    longest, best = int(falling[0]), (0, 0)
    most, fewest = (_fill(falling, room)[0] for room in (longest, capacity))
    most, fewest = max(most, at_least), max(fewest, at_least)
    for wanted in sorted({round(n) for n in np.linspace(fewest, most, CANDIDATES)}, reverse=True):
        low, high = longest, capacity
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _fill(falling, middle)[0] <= wanted else (middle + 1, high)
        if not best[0] or wanted * high < best[0]:
            best = wanted * high, high
    bins, bin_of = _fill(falling, best[1])
    packed = [order[bin_of == number].tolist() for number in range(bins)]
    while len(packed) < at_least:
        packed.append([max(packed, key=len).pop()])
    return sorted(packed, key=lambda row: (-int(lengths[row].sum()), row))


def passes(falling: np.ndarray, places: int, most: int) -> list[int]:
    """Where to cut rows, longest first, into forward passes, each padded to its first: the cheapest way.

    A pass costs its places, padding included, and `PASS` of `places` beside them. So rows of one length go as many at a
    time as there is room for, and a few long ones do not have many short ones padded to their length.

    Args:
        falling: [rows] tokens of each, in falling order. places: of a pass at most, but for a single row.
        most: rows of a pass.

    Returns:
        The first row of each pass, and the number of rows.
    """
    falling = np.maximum(falling, 1)
    begins = np.arange(len(falling))
    best, cut = np.zeros(len(falling) + 1), np.zeros(len(falling) + 1, dtype=np.int64)
    for end in range(1, len(falling) + 1):
        taken = end - begins[:end]
        size = taken * falling[:end]
        cost = best[:end] + size + PASS * places
        cost[(taken > 1) & ((size > places) | (taken > most))] = np.inf
        cut[end] = np.argmin(cost)
        best[end] = cost[cut[end]]
    found = [len(falling)]
    while found[-1]:
        found.append(int(cut[found[-1]]))
    return found[::-1]


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
