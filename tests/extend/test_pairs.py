"""The kernel of BPE training: the same merges as a trainer that counts everything anew, and its refusals."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest

from bailong.extend.pairs import LEAST, Learned, Words, learn

Pair = tuple[int, int]
everything: Callable[[bytes], bool] = lambda token: True  # noqa: E731


def packed(words: dict[tuple[int, ...], int]) -> Words:
    return Words.of({np.asarray(word, np.int32).tobytes(): times for word, times in words.items()})


def merged(word: list[int], pair: Pair, symbol: int) -> list[int]:
    """A word with a pair replaced from the left."""
    done, i = [], 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            done.append(symbol)
            i += 2
        else:
            done.append(word[i])
            i += 1
    return done


def plainly(
    counted: dict[tuple[int, ...], int],
    surfaces: list[bytes],
    allowed: Callable[[bytes], bool],
    *,
    size: int,
    unnamed: Iterable[int] = (),
    taken: frozenset[bytes] = frozenset(),
    generations: int | None = None,
    listed: Callable[[bytes], bool] = everything,
) -> Learned:
    """BPE as it is told: every pair is counted anew before every merge; words are lists."""
    surfaces, waiting = list(surfaces), set(unnamed)
    words = {word: list(word) for word in counted}
    rank: dict[Pair, int] = {}
    depth: dict[int, int] = {}
    learned = Learned()
    while len(learned.tokens) < size:
        # a pair that occurs again is one of the merges still, the first of them first
        while again := {pair for word in words.values() for pair in pairwise(word)} & rank.keys():
            pair = min(again, key=lambda pair: list(rank).index(pair))
            words = {first: merged(word, pair, rank[pair]) for first, word in words.items()}
        pairs: Counter[Pair] = Counter()
        single: Counter[int] = Counter()
        for first, word in words.items():
            for pair in pairwise(word):
                pairs[pair] += counted[first]
            for symbol in word:
                single[symbol] += counted[first]

        def may(pair: Pair) -> bool:
            left, right = pair
            surface = surfaces[left] + surfaces[right]
            deep = 1 + max(depth.get(left, 0), depth.get(right, 0))
            return (
                not waiting & {left, right}  # noqa: B023
                and surface not in taken
                and allowed(surface)
                and (generations is None or deep <= generations)
            )

        offers = [(-n, 1, pair) for pair, n in pairs.items() if n >= LEAST and may(pair)]
        offers += [(-single[s], 0, (-s, 0)) for s in waiting if single[s] >= LEAST and allowed(surfaces[s])]
        if not offers:
            break
        _, kind, pair = min(offers)
        if kind == 0:
            waiting.discard(-pair[0])
            token, new = surfaces[-pair[0]], True
        else:
            token = surfaces[pair[0]] + surfaces[pair[1]]
            new = token not in surfaces
            if new:
                depth[len(surfaces)] = 1 + max(depth.get(symbol, 0) for symbol in pair)
                surfaces.append(token)
            rank[pair] = surfaces.index(token)
            learned.merges.append((surfaces[pair[0]], surfaces[pair[1]]))
            words = {first: merged(word, pair, rank[pair]) for first, word in words.items()}
        if new and listed(token):
            learned.tokens.append(token)
            learned.known.append(len(learned.merges))
    del learned.merges[learned.known[-1] if learned.known else 0 :]
    return learned


def drawn(seed: int, letters: int = 4, words: int = 25, longest: int = 12) -> tuple[dict, list[bytes]]:
    """Random words over few letters: runs, overlaps and tokens that two pairs make are common."""
    rng = random.Random(seed)
    surfaces = [bytes([97 + i]) for i in range(letters)]
    weights = [rng.random() for _ in range(letters)]
    counted = {
        tuple(rng.choices(range(letters), weights, k=rng.randint(1, longest))): rng.randint(1, 9)
        for _ in range(rng.randint(1, words))
    }
    return counted, surfaces


def both(counted: dict, surfaces: list[bytes], allowed=everything, **more) -> Learned:
    """What the kernel learns, which is what the plain trainer learns."""
    found = learn(packed(counted), list(surfaces), allowed, **more)
    wanted = plainly(counted, surfaces, allowed, **more)
    assert (found.tokens, found.merges, found.known) == (wanted.tokens, wanted.merges, wanted.known)
    return found


@pytest.mark.parametrize("seed", range(120))
def test_the_plain_trainer_learns_the_same(seed):
    counted, surfaces = drawn(seed, letters=2 + seed % 5)
    both(counted, surfaces, size=30)


@pytest.mark.parametrize("seed", range(80))
def test_refusals_take_nothing_from_what_is_not_refused(seed):
    counted, surfaces = drawn(1000 + seed, letters=3 + seed % 3)
    rng = random.Random(seed)
    refused = {surfaces[rng.randrange(3)] + surfaces[rng.randrange(3)] for _ in range(2)}
    options = {
        "unnamed": rng.sample(range(len(surfaces)), seed % 3),
        "taken": frozenset(rng.sample([b"ab", b"aa", b"abc", b"ca"], seed % 2)),
        "generations": (None, 1, 2)[seed % 3],
        "listed": (everything, lambda token: len(token) % 2 == 0)[seed % 2],
    }
    found = both(
        counted, surfaces, lambda token: len(token) <= 5 and not any(r in token for r in refused), size=20, **options
    )
    assert not options["taken"] & {left + right for left, right in found.merges}
    if options["generations"] == 1:
        assert all({left, right} <= set(surfaces) for left, right in found.merges)


def test_of_a_run_every_second_pair_is_merged():
    found = both({(0,) * 5: 3, (0,) * 4: 2}, [b"a"], size=3)
    assert found.merges[0] == (b"a", b"a")
    assert found.tokens[:2] == [b"aa", b"aaaa"]


def test_a_token_that_two_pairs_make_is_one_token_with_two_merges():
    # the base cut 'abc' as ab|c here and as a|bc there
    surfaces = [b"ab", b"c", b"a", b"bc", b"d"]
    found = both({(0, 1, 4): 5, (2, 3, 4): 4}, surfaces, size=9)
    assert found.tokens == [b"abc", b"abcd"]
    assert found.merges == [(b"ab", b"c"), (b"abc", b"d")]
    found = both({(0, 1, 4): 5, (2, 3, 4): 4, (0, 1): 9, (2, 3): 8}, surfaces, size=9)
    assert found.merges == [(b"ab", b"c"), (b"a", b"bc"), (b"abc", b"d")] and found.known == [1, 3]


def test_a_pair_that_comes_to_be_once_and_once_again_is_counted_twice():
    # 'abc' stands before 'd' once by each of its two splits
    surfaces = [b"ab", b"c", b"a", b"bc", b"d"]
    found = both({(0, 1, 4): 1, (2, 3, 4): 1, (0, 1): 9, (2, 3): 8}, surfaces, size=9)
    assert found.tokens == [b"abc", b"abcd"]


def test_a_character_is_named_before_it_is_merged_and_only_where_it_may_be():
    surfaces = [b"a", b"X", b"Y"]
    counted = {(0, 1): 5, (1,): 2, (0, 2): 6}
    found = both(counted, surfaces, lambda token: b"Y" not in token, size=9, unnamed=[1, 2])
    assert found.tokens == [b"X", b"aX"] and found.merges == [(b"a", b"X")] and found.known == [0, 1]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("listed", [everything, lambda token: len(token) != 3])
def test_a_smaller_size_is_a_prefix(seed, listed):
    counted, surfaces = drawn(2000 + seed)
    whole = learn(packed(counted), list(surfaces), everything, size=10_000, listed=listed)
    for size in range(len(whole.tokens) + 1):
        less = learn(packed(counted), list(surfaces), everything, size=size, listed=listed)
        assert whole.cut(size) == less
    assert whole.cut(None) == whole.cut(10_000) == whole


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_words_says_nothing(seed):
    counted, surfaces = drawn(3000 + seed)
    items = list(counted.items())
    random.Random(seed).shuffle(items)
    one, other = (learn(packed(dict(words)), list(surfaces), everything, size=50) for words in (counted, items))
    assert one == other


def test_a_merge_stands_twice_at_least():
    assert both({(0, 1): 1}, [b"a", b"b"], size=5) == Learned()
    assert both({(0, 1): LEAST}, [b"a", b"b"], size=5).tokens == [b"ab"]


def test_nothing_is_learned_of_nothing():
    assert learn(packed({}), [b"a"], everything, size=5) == Learned()
    assert learn(packed({(0, 0): 5}), [b"a"], everything, size=0) == Learned()


def test_progress_is_told():
    rng = random.Random(0)
    counted = {tuple(rng.choices(range(20), k=8)): 3 for _ in range(200)}
    told: list[int] = []
    learned = learn(packed(counted), [bytes([97 + i]) for i in range(20)], everything, size=250, progress=told.append)
    assert told == [100, 200] and len(learned.tokens) == 250
