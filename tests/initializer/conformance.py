"""Makes conformance.json anew: python -m tests.initializer.conformance

Rows of each rule by its formula, in exact fractions or float64 of numpy; nothing of `bailong` is imported, so that the
file is evidence for or against it, and for or against any other implementation. The format stands at the file's head.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("conformance.json")
ABOUT = [
    "Rows of new tokens by published rules, to 1e-6. Worlds hold what a rule is given, cases what it must make of",
    "it. A world: old, the rows of the old vocabulary [V, d]; old_tokens and new_tokens, the UTF-8 of each in",
    "hexadecimal; pieces, for each new token the old ids that it splits into; halves, the two ids that a merge",
    "joins to a new id (the first new one is V); before and after, documents in ids of the old tokenizer and of",
    "the extended one; respelled, old tokens and the older ones that spell each; vectors, by id, of tokens in a",
    "space of their own (FOCUS, CLP). A case: preset and knobs of bailong's initializer, side (embed or head),",
    "rows [k, d] in the order of new tokens. Medians are the lower of two middle ones. A character weighs where",
    "it begins; a piece weighs at least 1. directions: k = M^-1 h / (h' M^-1 h), with h the mean of the states, M",
    "their second moment plus ridge times the mean of its diagonal: the vector along which new rows of a head are",
    "moved to give them another share of all mass.",
]
Row = list[Any]


def hexadecimal(tokens: list[bytes]) -> list[str]:
    return [token.hex() for token in tokens]


def han() -> dict[str, Any]:
    """Twelve old tokens, bytes of a character among them, and seven new ones."""
    old = [b"\xe9", b"\x81", b"\x8e", b"a", b"b", b"ab", b"c", b"bc", b" the", "通".encode(), b"", "國".encode()]
    new = [b"abc", "過".encode(), "通過".encode(), "國國".encode(), "國".encode(), b"abcabc", b"bca"]
    generator = np.random.default_rng(7)
    vectors = {i: generator.integers(-2, 9, 3).tolist() for i in (3, 5, 6, 7, 8, 9, 12, 14, 15, 17)}
    return {
        "old": (generator.integers(-16, 17, (12, 4)) / 8).tolist(),
        "old_tokens": hexadecimal(old),
        "new_tokens": hexadecimal(new),
        "pieces": [[5, 6], [0, 1, 2], [9, 0, 1, 2], [11, 11], [11], [5, 6, 5, 6], [7, 3]],
        "halves": {"12": [5, 6], "14": [9, 13], "15": [11, 11], "17": [12, 12]},
        # abc is ab c twice and a bc once; bca begins within ab
        "before": [[5, 6, 0, 1, 2, 3, 7], [5, 6, 3, 7, 5, 6, 4], [5, 6, 3]],
        "after": [[12, 13, 12], [12, 17, 4], [3, 18]],
        "respelled": {"5": [3, 4], "7": [4, 6], "8": [3, 6], "9": [1, 2, 0], "11": [0, 1, 2]},
        "vectors": {str(i): vector for i, vector in vectors.items()},
    }


def script() -> dict[str, Any]:
    """Enough old tokens of one script for its median length, which is another than that of all."""
    generator = np.random.default_rng(8)
    letters = [chr(0x4E00 + i).encode() for i in range(21)] + [chr(0x61 + i).encode() for i in range(10)]
    rows = generator.integers(-8, 9, (31, 2)) / 8
    rows[21:] *= 4
    return {
        "old": rows.tolist(),
        "old_tokens": hexadecimal(letters),
        "new_tokens": hexadecimal([letters[0] + letters[1], letters[2] + letters[30] + letters[3]]),
        "pieces": [[0, 1], [2, 30, 3]],
    }


def exact(world: dict[str, Any]) -> list[list[Fraction]]:
    return [[Fraction(x) for x in row] for row in world["old"]]


def mixed(world: dict[str, Any], weights: list[dict[int, Any]]) -> list[Row]:
    """Weighted sums of old rows."""
    old = exact(world)
    return [[sum(w * old[i][x] for i, w in bag.items()) for x in range(len(old[0]))] for bag in weights]


def summed(ids: list[int], weights: list[Any]) -> dict[int, Any]:
    total, bag = sum(weights), Counter()
    for i, weight in zip(ids, weights, strict=True):
        bag[i] += weight / total
    return dict(bag)


def by(world: dict[str, Any], weigh: Callable[[list[int]], list[Any]]) -> list[dict[int, Any]]:
    return [summed(ids, [Fraction(w) for w in weigh(ids)]) for ids in world["pieces"]]


def begun(token: str) -> int:
    """Characters that begin in some bytes."""
    return sum(byte < 0x80 or byte >= 0xC0 for byte in bytes.fromhex(token))


def by_character(world: dict[str, Any], weigh: Callable[[int], list[int]]) -> list[dict[int, Any]]:
    """Weights among characters, times those among the pieces of each."""
    bags = []
    for ids in world["pieces"]:
        characters, data = [[]], b""
        for i in ids:
            characters[-1].append(i)
            data += bytes.fromhex(world["old_tokens"][i])
            try:
                data.decode()
            except UnicodeDecodeError:
                continue
            characters.append([])
            data = b""
        characters = [part for part in characters if part]
        bag = Counter()
        for part, outer in zip(characters, weigh(len(characters)), strict=True):
            for i, inner in zip(part, weigh(len(part)), strict=True):
                bag[i] += Fraction(outer, sum(weigh(len(characters)))) * Fraction(inner, sum(weigh(len(part))))
        bags.append(dict(bag))
    return bags


def tree(world: dict[str, Any]) -> list[dict[int, Any]]:
    """v_lr = (v_l + v_r) / 2 by merges; the mean of pieces where there is none."""
    first, halves = len(world["old"]), {int(i): both for i, both in world["halves"].items()}

    def of(i: int) -> dict[int, Any]:
        if i < first:
            return {i: Fraction(1)}
        if i not in halves:
            ids = world["pieces"][i - first]
            return summed(ids, [Fraction(1)] * len(ids))
        bag = Counter()
        for half in halves[i]:
            for leaf, weight in of(half).items():
                bag[leaf] += weight / 2
        return dict(bag)

    return [of(first + k) for k in range(len(world["pieces"]))]


def aligned(world: dict[str, Any]) -> list[dict[int, Any]]:
    """Shares of the old segmentations that lie over a token, of all its occurrences."""
    first, texts = len(world["old"]), [*world["old_tokens"], *world["new_tokens"]]
    seen: dict[int, Counter[tuple[int, ...]]] = {}
    for before, after in zip(world["before"], world["after"], strict=True):
        owner = [place for place, i in enumerate(before) for _ in bytes.fromhex(texts[i])]
        at = 0
        for i in after:
            size = len(bytes.fromhex(texts[i]))
            over = tuple(before[place] for place in sorted(set(owner[at : at + size])))
            at += size
            if i >= first:
                seen.setdefault(i - first, Counter())[over] += 1
    bags = []
    for k, ids in enumerate(world["pieces"]):
        found, bag = seen.get(k, Counter([tuple(ids)])), Counter()
        for segmentation, count in found.items():
            for i in segmentation:
                bag[i] += Fraction(count, found.total() * len(segmentation))
        bags.append(dict(bag))
    return bags


def inverse_frequency(world: dict[str, Any], a: Fraction) -> list[dict[int, Any]]:
    counts = Counter(i for document in world["before"] for i in document)
    return by(world, lambda ids: [a / (a + Fraction(counts[i], counts.total())) for i in ids])


def lengths(world: dict[str, Any]) -> Any:
    return np.sqrt((np.array(world["old"]) ** 2).sum(1))


def median(values: Any) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def scaled(rows: list[Row], wanted: Any) -> Any:
    made = np.array(rows, float)
    return made / np.sqrt((made**2).sum(1, keepdims=True)) * np.broadcast_to(wanted, len(made))[:, None]


def of_parts(world: dict[str, Any], bags: list[dict[int, Any]]) -> Any:
    return scaled(mixed(world, bags), [sum(float(w) * lengths(world)[i] for i, w in bag.items()) for bag in bags])


def shrunk(world: dict[str, Any], rows: list[Row], c: Fraction) -> list[Row]:
    old = exact(world)
    mean = [sum(column) / len(old) for column in zip(*old, strict=True)]
    return [[m + c * (x - m) for x, m in zip(row, mean, strict=True)] for row in rows]


def least_squares(world: dict[str, Any], prior: float) -> Any:
    """For each n the weights that fit known rows about their mean, prior tokens' worth of equal weights beside them."""
    old = np.array(world["old"])
    mean, rows = old.mean(0), []
    for ids in world["pieces"]:
        n = len(ids)
        known = [(int(u), spelled) for u, spelled in world["respelled"].items() if len(spelled) == n]
        if n == 1:
            rows.append(old[ids[0]])
            continue
        weights = np.full(n, 1 / n)
        if known:
            gram = sum((old[spelled] - mean) @ (old[spelled] - mean).T for _, spelled in known)
            moment = sum((old[spelled] - mean) @ (old[u] - mean) for u, spelled in known)
            penalty = prior * np.trace(gram) / n / len(known)
            weights = np.linalg.inv(gram + penalty * np.eye(n)) @ (moment + penalty / n)
        rows.append(mean + weights @ (old[ids] - mean))
    return rows


def sparsemax(scores: Any) -> Any:
    """By sorting, as in the paper."""
    ordered = np.sort(scores)[::-1]
    within = 1 + np.arange(1, len(scores) + 1) * ordered > np.cumsum(ordered)
    size = within.sum()
    return np.maximum(scores - (ordered[:size].sum() - 1) / size, 0)


def similar(world: dict[str, Any], normalise: Callable[[Any], Any]) -> list[dict[int, Any]]:
    first = len(world["old"])
    unit = {int(i): np.array(v) / np.sqrt(np.dot(v, v)) for i, v in world["vectors"].items()}
    anchors, bags = [i for i in unit if i < first], []
    for k, ids in enumerate(world["pieces"]):
        if first + k not in unit:
            bags.append(summed(ids, [Fraction(1)] * len(ids)))
            continue
        cosines = np.array([unit[first + k] @ unit[i] for i in anchors])
        assert cosines.sum() > 0.3, "a token that the sum cannot place"
        bags.append({i: Fraction(w) for i, w in zip(anchors, normalise(cosines), strict=True)})
    return bags


def cases(worlds: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    made = []

    def case(rows: Any, preset: str, side: str = "embed", world: str = "han", **knobs: Any) -> None:
        floats = [[round(float(x), 9) for x in row] for row in rows]
        made.append({"world": world, "preset": preset, "knobs": knobs, "side": side, "rows": floats})

    h, s = worlds["han"], worlds["script"]
    tokens, count = h["old_tokens"], len(h["pieces"])
    uniform, first, last = (
        by(h, weigh)
        for weigh in (
            lambda ids: [1] * len(ids),
            lambda ids: [1] + [0] * (len(ids) - 1),
            lambda ids: [0] * (len(ids) - 1) + [1],
        )
    )
    rising, falling = (
        by(h, lambda ids: [2**i for i in range(len(ids))]),
        by(h, lambda ids: [2**-i for i in range(len(ids))]),
    )
    byte_len = by(h, lambda ids: [max(1, len(tokens[i]) // 2) for i in ids])
    char_len = by(h, lambda ids: [max(1, begun(tokens[i])) for i in ids])
    case(mixed(h, uniform), "zip_tie")
    case(mixed(h, first), "zip_tie", alpha="first")
    case(mixed(h, last), "zip_tie", alpha="last")
    case(mixed(h, rising), "zip_tie", alpha="exp")
    case(mixed(h, falling), "zip_tie", alpha="exp", heavier="first")
    case(mixed(h, by(h, lambda ids: [3**i for i in range(len(ids))])), "zip_tie", alpha="exp", base=3.0)
    case(mixed(h, byte_len), "zip_tie", alpha="byte_len")
    case(mixed(h, char_len), "zip_tie", alpha="char_len")
    case(mixed(h, inverse_frequency(h, Fraction(1, 8))), "zip_tie", alpha="sif", sif=0.125)
    case(mixed(h, by_character(h, lambda n: [1] * n)), "zip_tie", by_character=True)
    case(mixed(h, by_character(h, lambda n: [2**i for i in range(n)])), "zip_tie", by_character=True, alpha="exp")
    case(shrunk(h, mixed(h, uniform), Fraction(0.9)), "zip_tie_shrunk")
    case(scaled(mixed(h, uniform), median(lengths(h))), "zip_tie", norm="global")
    case(scaled(mixed(h, uniform), median(lengths(h))), "zip_tie", norm="script")  # too few of a script: all
    case(of_parts(h, uniform), "zip_tie", norm="parts")
    case(of_parts(h, byte_len), "zip_tie", norm="parts", alpha="byte_len")
    case(mixed(h, rising), "positional")
    case(mixed(h, falling), "positional", "head")
    case(mixed(h, uniform), "eeve")
    case(mixed(h, first), "eeve", "head")
    case(scaled(mixed(h, uniform), median(lengths(h))), "eeve_norm")
    case(mixed(h, first), "eeve_norm", "head")
    ours = by(s, lambda ids: [1] * len(ids))
    case(scaled(mixed(s, ours), median(lengths(s)[:21])), "bil", world="script")
    case(mixed(s, ours), "bil", "head", world="script")  # pieces of a character each
    case(mixed(h, char_len), "bil", "head")
    case(mixed(h, tree(h)), "merge_tree")
    case(of_parts(h, tree(h)), "merge_tree", norm="parts")
    case(mixed(h, aligned(h)), "align")
    case(of_parts(h, aligned(h)), "align", norm="parts")
    case(least_squares(h, 10.0), "alpha_ls")
    case(least_squares(h, 0.5), "alpha_ls", prior=0.5)
    case([np.array(h["old"]).mean(0)] * count, "mean", covariance=0.0)
    case(mixed(h, similar(h, sparsemax)), "focus")
    case(of_parts(h, similar(h, sparsemax)), "focus", norm="parts")
    case(mixed(h, similar(h, lambda cosines: cosines / cosines.sum())), "clp")
    case(mixed(h, similar(h, sparsemax)), "clp", normalise="sparsemax")
    return made


def directions() -> list[dict[str, Any]]:
    made = []
    for seed, ridge in ((1, 0.01), (2, 0.25)):
        states = (np.random.default_rng(seed).integers(-8, 17, (9, 4)) / 8).tolist()
        moment = np.array(states).T @ np.array(states) / 9
        inverse = np.linalg.inv(moment + ridge * np.trace(moment) / 4 * np.eye(4))
        mean = np.array(states).mean(0)
        k = inverse @ mean / (mean @ inverse @ mean)
        made.append({"states": states, "ridge": ridge, "k": [round(float(x), 9) for x in k]})
    return made


def lines(value: Any, depth: int) -> str:
    """JSON with a line for each of the outer parts."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    inner = (
        [f"{json.dumps(key)}: {lines(part, depth - 1)}" for key, part in value.items()]
        if isinstance(value, dict)
        else [lines(part, depth - 1) for part in value]
    )
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return opened + "\n" + ",\n".join(inner) + "\n" + closed


def text() -> str:
    worlds = {"han": han(), "script": script()}
    return lines({"about": ABOUT, "worlds": worlds, "cases": cases(worlds), "directions": directions()}, 3) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
