"""Words out of characters: what is one, and that a document is always cut the same way."""

import time

import numpy as np
import pytest

from bailong.prepare.dedup.words import words


def codes(*texts):
    ids = np.array([ord(sign) for text in texts for sign in text], dtype=np.uint32)
    return ids, np.cumsum([0, *map(len, texts)])


def sizes(*texts):
    return np.diff(words(*codes(*texts))[1]).tolist()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...  ---\n", 0),
        ("Türkiye'nin başkenti, Ankara!", 4),
        ("यह हिन्दी है।", 3),
        ("می‌خواهم بروم", 2),
        ("Tôi là người Việt Nam", 5),
        ("İstanbul\u0307 2024", 2),
        ("대한민국의 수도는 서울", 3),
        ("a2enmod a2ensite `a2enmod`", 3),
        ("The word 漢字 is Chinese for it all", 9),
        # mostly without spaces: every character stays, with its punctuation
        ("這是中文。", 5),
        ("これは日本語です", 8),
        ("ภาษาไทย", 7),
        ("這是 Python 語言的程式設計", 17),
    ],
)
def test_what_is_a_word(text, count):
    assert sizes(text) == [count]


def test_unspaced_text_stays_as_it_is_among_others():
    texts = ["這是中文。", "Bu Türkçe bir cümle.", "", "ภาษาไทย", "Bu Türkçe", "aBu Türkçe"]
    ids, starts = codes(*texts)
    found, bounds = words(ids, starts)
    pieces = [found[start:end].tolist() for start, end in zip(bounds, bounds[1:], strict=False)]
    assert pieces[0] == list(map(ord, texts[0])) and pieces[3] == list(map(ord, texts[3])) and pieces[2] == []
    assert pieces[1][:2] == pieces[4] and len(pieces[1]) == 4 and pieces[5][1] == pieces[4][1]
    assert pieces[5][0] != pieces[4][0], "a word does not reach into the document before it"
    for text, piece in zip(texts, pieces, strict=True):
        assert words(*codes(text))[0].tolist() == piece


def test_words_differ_by_order_and_length():
    texts = ["ab", "ba", "a", "aa", "aaa", "a" * 64 + "b" + "a" * 64, "a" * 129, "tr", "rt", "b" * 65, "b" * 64 + "c"]
    found, bounds = words(*codes(*texts))
    assert len(set(found.tolist())) == len(texts) == bounds[-1]


def test_it_costs_little():
    ids, starts = codes(*["Kent çok eskiden kurulmuş ve sonra büyümüştür. " * 200] * 100)
    words(ids, starts)  # builds its table
    began = time.process_time()
    words(ids, starts)
    assert time.process_time() - began < 1.0  # a million characters, 0.06 s where this was written
