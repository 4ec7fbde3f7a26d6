"""Words in text: every hit, its place and its id, wherever it stands in a long document."""

import random

import pytest

from bailong.text.words import INVISIBLE, Word, WordFinder

CLEAN = "這裡沒有什麼，"


def find(text: str, *words: str, obfuscated: bool = False) -> list[tuple[int, int, str]]:
    return WordFinder([Word(word, word) for word in words], obfuscated).find(text)


@pytest.mark.parametrize("before", ["", CLEAN, CLEAN * 100, "𠮷" * 50, "a\ud800"])
@pytest.mark.parametrize("after", ["", CLEAN, CLEAN * 100])
def test_a_hit_has_its_place(before, after):
    text = f"{before}壞詞甲{CLEAN * 9}𠮷badword1𠮷{after}"
    start = text.index("badword1")
    assert find(text, "壞詞甲", "badword1", "太長而不會出現的詞") == [
        (len(before), len(before) + 3, "壞詞甲"),
        (start, start + 8, "badword1"),
    ]


def test_a_hit_may_begin_and_end_far_from_the_shortest_candidate():
    assert find(CLEAN * 9 + "一二三四五六七八九" + CLEAN * 9, "五", "一二三四五六七八九") == [
        (63, 72, "一二三四五六七八九")
    ]
    assert find("x " * 40 + "a-b-bad-b-a", "bad", "a-b-bad-b-a") == [(80, 91, "a-b-bad-b-a")]


@pytest.mark.parametrize("apart", [0, 1, 60, 70, 1000])
def test_hits_apart_are_all_found(apart):
    text = CLEAN * 20 + ("壞詞甲" + "，" * apart) * 5 + CLEAN * 20
    assert [start for start, _, _ in find(text, "壞詞甲")] == [140 + (3 + apart) * i for i in range(5)]


@pytest.mark.parametrize("letters", ["壞詞aB𠮷 \ud800-", "abAB- 1", "壞詞甲乾"])
def test_random_text_agrees_with_plain_search(letters):
    draw = random.Random(0)
    words = sorted({"".join(draw.choices(letters, k=draw.randint(1, 7))).strip() for _ in range(30)} - {""})
    finder = WordFinder([Word(word, word) for word in words], False)
    for _ in range(1000):
        text = "".join(draw.choices(letters + CLEAN * draw.randint(0, 1), k=draw.randint(0, 80)))
        assert finder.find(text) == plain(words, text), text


def plain(words: list[str], text: str) -> list[tuple[int, int, str]]:
    """Every word at every place, leftmost and longest first, without overlap."""
    hits: list[tuple[int, int, str]] = []
    for start in range(len(text)):
        here = [word for word in words if text[start:].lower().startswith(word.lower()) and bounded(text, start, word)]
        if here and (not hits or start >= hits[-1][1]):
            longest = min(here, key=lambda word: (-len(word), word))
            hits.append((start, start + len(longest), longest))
    return hits


def bounded(text: str, start: int, word: str) -> bool:
    inside = "abAB1_"
    end = start + len(word)
    return not (word[0] in inside and text[start - 1 : start] in list(inside)) and not (
        word[-1] in inside and text[end : end + 1] in list(inside)
    )


@pytest.mark.parametrize("sign", INVISIBLE)
def test_signs_without_width_are_taken_out(sign):
    assert find(f"{CLEAN}壞{sign}詞{sign}甲", "壞詞甲", obfuscated=True) == [(7, 10, "壞詞甲")]


def test_no_words():
    assert find("壞詞甲") == find("bad") == []
    assert find("bad", "壞詞甲") == []
