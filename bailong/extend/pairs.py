"""Byte-pair merges learned on words that are cut into symbols already: the loop of BPE training, on arrays.

A trainer of a library begins with characters; continued BPE begins with the tokens that the base makes of a text
(arXiv 2512.03989), and must refuse merges one by one (another script, a digit, too long) while it counts, so that what
is refused takes no pair from what is not. Counts, positions and links lie in arrays; one merge is a handful of
vectorised steps over its occurrences.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

#: a pair that stands less often is never merged
LEAST = 2
#: progress is told every so many new symbols
EVERY = 100


@dataclass
class Words:
    """Distinct words as symbols, with how often each stands in the text.

    Attributes:
        symbols: int32 [N], word after word. starts: int64 [W + 1], where each begins. counts: int64 [W].
    """

    symbols: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, counted: dict[bytes, int]) -> "Words":
        """From int32 symbols as bytes."""
        sizes = np.fromiter((len(word) // 4 for word in counted), dtype=np.int64, count=len(counted))
        symbols = np.frombuffer(b"".join(counted), dtype=np.int32)
        return cls(symbols, np.r_[0, np.cumsum(sizes)], np.fromiter(counted.values(), np.int64, len(counted)))


@dataclass
class Learned:
    """What was learned, in order.

    Attributes:
        tokens: UTF-8 of each new token. merges: UTF-8 of both parts; several may make one token.
        known: how many merges were there when the k-th token came, its own included: a prefix of `tokens` has this
            prefix of `merges`, and is what a smaller size would have learned. saved: how many tokens the text had
            less by then.
    """

    tokens: list[bytes] = field(default_factory=list)
    merges: list[tuple[bytes, bytes]] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    saved: list[int] = field(default_factory=list)

    def cut(self, size: int | None) -> "Learned":
        """The first `size` tokens and the merges that were learned with them."""
        if size is None or size >= len(self.tokens):
            return self
        merges = self.known[size - 1] if size else 0
        return Learned(self.tokens[:size], self.merges[:merges], self.known[:size], self.saved[:size])


def learn(
    words: Words,
    surfaces: list[bytes],
    allowed: Callable[[bytes], bool],
    *,
    size: int,
    unnamed: Iterable[int] = (),
    taken: frozenset[bytes] = frozenset(),
    generations: int | None = None,
    listed: Callable[[bytes], bool] = lambda token: True,
    progress: Callable[[int], None] = lambda done: None,
) -> Learned:
    """Merge the most frequent allowed pair, again and again.

    Args:
        surfaces: UTF-8 of each symbol, in part of a character too; new ones are appended.
        allowed: whether a new token may be these bytes.
        size: new tokens wanted; fewer come out where no pair is left.
        unnamed: symbols that are no token yet (a character that the base spells in bytes). Each becomes one as soon
            as it is as frequent as the best pair, and takes part in merges from then on.
        taken: surfaces that no merge may make (the base has them, and makes them otherwise).
        generations: how deep merges may stand on merges; 1 merges given symbols only.
        listed: which new tokens are wanted; the others are merged on and not counted.
    """
    return _Loop(words, surfaces, allowed, set(unnamed), taken, generations).run(size, listed, progress)


class _Loop:
    def __init__(
        self,
        words: Words,
        surfaces: list[bytes],
        allowed: Callable[[bytes], bool],
        unnamed: set[int],
        taken: frozenset[bytes],
        generations: int | None,
    ) -> None:
        self.surfaces, self.allowed, self.taken = surfaces, allowed, taken
        self.unnamed, self.generations = unnamed, generations
        self.depth: dict[int, int] = {}
        self.saved = 0
        self.symbol_of = {surface: i for i, surface in enumerate(surfaces)}
        self.symbols = words.symbols.astype(np.int32)
        place = np.arange(len(self.symbols), dtype=np.int32)
        self.right, self.left = place + 1, place - 1
        self.right[words.starts[1:] - 1] = -1
        self.left[words.starts[:-1]] = -1
        self.weight = np.repeat(words.counts, np.diff(words.starts))
        order = np.argsort(self.symbols, kind="stable").astype(np.int32)
        present, begin = np.unique(self.symbols[order], return_index=True)
        self.places = dict(zip(present.tolist(), np.split(order, begin)[1:], strict=True))
        self.counts: dict[int, int] = {}
        self.queue: list[tuple[int, int]] = []
        self.merged: dict[int, tuple[int, int]] = {}  # to rank and symbol
        self.refused: set[int] = set()
        self._add(np.flatnonzero(self.right >= 0))
        for symbol in sorted(unnamed & self.places.keys()):
            frequency = int(self.weight[self.places[symbol]].sum())
            if frequency >= LEAST and allowed(surfaces[symbol]):
                self.queue.append((-frequency, -1 - symbol))
        heapq.heapify(self.queue)

    def run(self, size: int, listed: Callable[[bytes], bool], progress: Callable[[int], None]) -> Learned:
        learned = Learned()
        while self.queue and len(learned.tokens) < size:
            found = self._next()
            if found is None:
                break
            if found < 0:  # a character becomes a token
                symbol = -1 - found
                self.unnamed.discard(symbol)
                token, new = self.surfaces[symbol], True
                self.saved += int(self.weight[self.places[symbol]].sum()) * (len(token) - 1)
            else:
                left, right = found >> 32, found & 0xFFFFFFFF
                new = self._merge(found, left, right)
                learned.merges.append((self.surfaces[left], self.surfaces[right]))
                token = self.surfaces[left] + self.surfaces[right]
            if new and listed(token):
                learned.tokens.append(token)
                learned.known.append(len(learned.merges))
                learned.saved.append(self.saved)
                if len(learned.tokens) % EVERY == 0:
                    progress(len(learned.tokens))
        # behind the last token no merge: a smaller size would not have it
        del learned.merges[learned.known[-1] if learned.known else 0 :]
        return learned

    def _next(self) -> int | None:
        """The pair to merge now, or -1 - the symbol to name."""
        while self.queue:
            negative, key = heapq.heappop(self.queue)
            if key < 0:
                return key
            there = self.counts.get(key, 0)
            if there != -negative:
                if LEAST <= there < -negative:
                    heapq.heappush(self.queue, (-there, key))
                continue
            if self._may(key):
                return key
            self.refused.add(key)
        return None

    def _may(self, key: int) -> bool:
        left, right = key >> 32, key & 0xFFFFFFFF
        surface = self.surfaces[left] + self.surfaces[right]
        depth = 1 + max(self.depth.get(left, 0), self.depth.get(right, 0))
        return (
            (self.generations is None or depth <= self.generations)
            and not {left, right} & self.unnamed
            and surface not in self.taken
            and self.allowed(surface)
        )

    def _merge(self, key: int, left: int, right: int) -> bool:
        """Merge every occurrence of a pair; whether that makes a symbol that was not there."""
        surface = self.surfaces[left] + self.surfaces[right]
        symbol = self.symbol_of.get(surface)
        new = symbol is None
        if symbol is None:
            symbol = self.symbol_of[surface] = len(self.surfaces)
            self.surfaces.append(surface)
            self.depth[symbol] = 1 + max(self.depth.get(left, 0), self.depth.get(right, 0))
        self.merged[key] = len(self.merged), symbol
        self._apply(key)
        return new

    def _apply(self, key: int) -> None:
        """Merge a pair everywhere, and what is a merge already and comes to be by that: the first of them first."""
        waiting = [(self.merged[key][0], key)]
        while waiting:
            _, key = heapq.heappop(waiting)
            symbol = self.merged[key][1]
            at = self._occurrences(key >> 32, key & 0xFFFFFFFF)
            self.counts.pop(key, None)
            if not len(at):
                continue
            end = self.right[at]
            self.saved += int(self.weight[at].sum())
            before, after = self.left[at], self.right[end]
            self._take(np.unique(np.concatenate([before[before >= 0], end[after >= 0]])))
            self.symbols[at] = symbol
            self.symbols[end] = -1
            self.right[at] = after
            self.left[after[after >= 0]] = at[after >= 0]
            old = self.places.get(symbol)
            if old is not None:  # several pairs make it: what stands beside it is counted where it stood, too
                at = np.sort(np.concatenate([old[self.symbols[old] == symbol], at]))
            self.places[symbol] = at
            before, after = self.left[at], self.right[at]
            for pair in self._add(np.unique(np.concatenate([before[before >= 0], at[after >= 0]]))):
                heapq.heappush(waiting, (self.merged[pair][0], pair))

    def _occurrences(self, left: int, right: int) -> np.ndarray:
        """Where a pair begins, without overlaps, in order."""
        ones, others = (self.places.get(symbol, np.empty(0, np.int32)) for symbol in (left, right))
        if len(ones) <= len(others):
            at = ones[self.symbols[ones] == left]
            self.places[left] = at
            at = at[self.right[at] >= 0]
            at = at[self.symbols[self.right[at]] == right]
        else:
            end = others[self.symbols[others] == right]
            self.places[right] = end
            end = end[self.left[end] >= 0]
            at = self.left[end]
            at = at[self.symbols[at] == left]
        if left == right and len(at):  # of a run every second one
            at = np.sort(at)
            opens = np.r_[True, self.right[at[:-1]] != at[1:]]
            index = np.arange(len(at))
            at = at[(index - np.maximum.accumulate(np.where(opens, index, 0))) % 2 == 0]
        return at

    def _pairs(self, at: np.ndarray) -> Iterator[tuple[int, int]]:
        """Pairs that begin at places, with how often they stand there."""
        keys = self.symbols[at].astype(np.int64) << 32 | self.symbols[self.right[at]]
        order = np.argsort(keys, kind="stable")
        keys, weight = keys[order], self.weight[at[order]]
        begin = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
        sums = np.add.reduceat(weight, begin) if len(keys) else weight
        return zip(keys[begin].tolist(), sums.tolist(), strict=True)

    def _take(self, at: np.ndarray) -> None:
        for key, count in self._pairs(at):
            if key in self.counts:
                self.counts[key] -= count

    def _add(self, at: np.ndarray) -> list[int]:
        """Count pairs, given every place of theirs; those that are merges already are returned."""
        again = []
        for key, count in self._pairs(at):
            if key in self.merged:
                again.append(key)
            elif count >= LEAST and key not in self.refused and self.counts.get(key) != count:
                self.counts[key] = count
                heapq.heappush(self.queue, (-count, key))
        return again
