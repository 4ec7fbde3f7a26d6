"""The splitter: nothing lost, nothing cut inside a URL."""

import gzip
import json

import pytest

from bailong.text.cut import Piece, cut
from bailong.text.sentences import split
from bailong.text.spans import protected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("他說：「你好。」然後走了。", ["他說：「你好。」", "然後走了。"]),
        ("真的?!好。。。走", ["真的?!", "好。。。", "走"]),
        ("見 https://a.tw/?b=1!x;c。走吧!", ["見 https://a.tw/?b=1!x;c。", "走吧!"]),
        ("寫信到 a.b@c.tw。好", ["寫信到 a.b@c.tw。", "好"]),
        ("約3.14159.若半徑是2.5公分.好", ["約3.14159.", "若半徑是2.5公分.", "好"]),
        ('"Really?" he asked. Yes.', ['"Really?" he asked. ', "Yes."]),
        (
            "Dr. Smith, i.e., my boss, came at 5 p.m. and left.",
            ["Dr. Smith, i.e., my boss, came at 5 p.m. and left."],
        ),
        ("OMG!!! the kittens", ["OMG!!! ", "the kittens"]),
        ("1. 蘿蔔\n2. 米粉。\n\n完", ["1. 蘿蔔", "\n", "2. 米粉。", "\n\n", "完"]),
        ("", []),
    ],
)
def test_split(text, sentences):
    assert split(text) == sentences


def test_lossless_on_real_text(real_data):
    for name in ("zhwiki/zh_tw", "zhwiki/zh_cn", "archive_tw/en"):
        with gzip.open(real_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                if number % 10:  # all 58,000 were tried once; a tenth keeps the suite fast
                    continue
                text = json.loads(line)["text"]
                pieces = split(text)
                assert "".join(pieces) == text
                bounds, position = set(), 0
                for piece in pieces:
                    assert piece == "\n" * len(piece) or "\n" not in piece
                    position += len(piece)
                    bounds.add(position)
                if "://" in text or "@" in text:
                    for span in protected(text):
                        if span.kind in ("url", "email"):
                            assert not bounds & set(range(span.start + 1, span.end)), text[span.start : span.end]


@pytest.mark.parametrize(
    ("text", "gone", "stays"),
    [
        ("甲。乙。丙。", ["乙。"], "甲。丙。"),
        ("One. Two. Three.", ["Two. "], "One. Three."),
        ("甲\n\n乙\n\n丙", ["乙"], "甲\n\n丙"),
        ("甲\n乙\n丙", ["乙"], "甲\n丙"),
        ("甲\n\n乙\n丙", ["乙"], "甲\n\n丙"),
        ("甲\n乙", ["甲"], "乙"),
        ("甲\n乙\n", ["乙"], "甲"),
        ("甲 乙\n丙", ["乙"], "甲\n丙"),
        ("甲乙\n丙丁", ["乙", "丙"], "甲\n丁"),
        ("甲乙\n丙\n丁", ["乙", "丙"], "甲\n丁"),
        ("甲\n乙", ["甲", "乙"], ""),
    ],
)
def test_cut_leaves_no_gap_and_loses_nothing(text, gone, stays):
    pieces, position = [], 0
    for piece in gone:
        start = text.index(piece, position)
        position = start + len(piece)
        pieces.append(Piece(start, position, "x"))
    kept, removed = cut(text, pieces)
    assert kept == stays
    assert len(removed) == len(gone)
    assert sorted(kept + "".join(piece for _, piece in removed)) == sorted(text)
