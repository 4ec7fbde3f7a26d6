"""Differences and what cannot be seen."""

import random
import time

import pytest

from bailong.report.documents import alike, changes, difference, visible


def edits(before: str, after: str) -> list[tuple[str, str]]:
    return [(old, new) for kind, old, new in changes(before, after) if kind == "change"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("龍", "龍", []),
        ("软件下载", "軟體下載", [("软件下载", "軟體下載")]),
        ("他說,好", "他說，好", [(",", "，")]),
        ("前面一樣後面也一樣", "前面一樣，後面也一樣", [("", "，")]),
        ("aaa", "aaaa", [("", "a")]),
        ("甲乙丙丁戊己庚辛", "甲乙丁戊己庚", [("丙", ""), ("辛", "")]),
    ],
)
def test_changes(before: str, after: str, expected: list[tuple[str, str]]) -> None:
    assert edits(before, after) == expected


def test_both_texts_can_be_read_from_the_changes() -> None:
    rng = random.Random(0)
    for _ in range(300):
        before, after = ("".join(rng.choices("甲乙丙ab ", k=rng.randrange(40))) for _ in range(2))
        found = changes(before, after)
        assert "".join(old for _, old, _ in found) == before
        assert "".join(new for _, _, new in found) == after
        kinds = [kind for kind, _, _ in found]
        assert all(a != b for a, b in zip(kinds, kinds[1:], strict=False)), "neighbours of one kind are one"
        assert all(old == new for kind, old, new in found if kind == "same")


def test_the_end_of_a_cut_text_is_no_difference() -> None:
    before = "".join(chr(0x4E00 + i) for i in range(100))
    after = f"{before[:10]}新{before[10:99]}"
    assert difference(before, after, 100).count("<del>") == 0
    assert difference(before, after, 101).count("<del>") == 1
    assert "<ins>新</ins>" in difference(before, after, 100)


def test_texts_that_repeat_themselves_take_no_time() -> None:
    began = time.process_time()
    changes("啊" * 600 + "甲", "乙" + "啊" * 599)
    changes("ab" * 300 + "c", "x" + "ba" * 300)
    assert time.process_time() - began < 0.5


def test_alike() -> None:
    assert alike("今天下雨，我沒出門。", "今天下雨，他沒出門。")
    assert not alike("今天下雨，我沒出門。", "捷運站的廣播很長。")


def test_what_cannot_be_seen_is_shown() -> None:
    assert visible("<b>&\n\t") == "&lt;b&gt;&amp;\n\t"
    assert visible("a\r\nb") == "a\nb"
    for character in "\x00\x1b\x85\u200b\u202e\ufeff\ud83d\U000e0041":
        assert visible(character) == f'<span class="unseen">U+{ord(character):04X}</span>'
    for text in ("👩‍👩‍👧‍👦 🏳️‍🌈", "𠮷野家", "é", "שלום", "می‌خواهم"):
        assert visible(text) == text
    assert len(visible("Z" + "\u0315" * 50)) == 5


def test_where_only_one_was_cut() -> None:
    before = "<p>" * 3 + "".join(chr(0x4E00 + i) for i in range(91))
    after = before[9:] + "後面還有"
    shown = difference(before, after, 100)
    assert "<ins>" not in shown and "<del>" in shown and shown.endswith("…</div>"), "the end of what was cut is unknown"
    assert "<ins>後面還有</ins>" in difference(before, after, 101)
    assert "<del>後面還有</del>" in difference(after, before, 101)
