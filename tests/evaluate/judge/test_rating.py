"""Ratings as judges really write them, each with the status it deserves."""

import random
import time

import pytest

from bailong.evaluate.judge.rating import SCORED, STATUSES, parse

USUAL = [
    ("評分：[[5]]", 5),
    ("[[0]]", 0),
    ("[[10]]", 10),
    ("[[7.5]]", 7.5),
    ("Rating: [[5]]", 5),
    ("[[5]]/10", 5),
    ("**評分：[[8]]**", 8),
    ("**評分：** [[8]]", 8),
    ("回答切題，但不夠深入。\n\n評分：[[6]]\n", 6),
    ("如格式「[[5]]」所示，我的結論是 [[2]]", 2),
    ("請按照格式，例如：“評分：[[5]]”。這個回答使用簡體中文，[[2]]", 2),
    ("例如：“評分：[[5]]”。\n評分：[[2]]", 2),
    ("評分：[[2]]\n（格式例如：“評分：[[5]]”）", 2),
    ("評分：[[3]]。若補上 [[9]] 項細節會更好", 3),
    ("準確性評分：[[7]]，深度評分：[[4]]，總評分：[[5]]", 5),
    ("the index arr[0] and df[[0]] are right. Rating: [[8]]", 8),
    ("按照格式評分：[[7]]", 7),
    ("準確性：[[3]]。格式正確，總評分：[[7]]", 7),
    ("準確性：[[3]]。例如缺少步驟，評分：[[7]]", 7),
    ("準確性：[[3]]。按照格式評分：[[7]]", 7),
    ("評分：[[2]]，依照「評分：[[5]]」的格式", 2),
    ("如“評分：[[5]]”的格式。我給 [[2]]", 2),
    ('The format is "Rating: [[5]]". Mine: [[2]]', 2),
    ('My rating is [[2]], for example, not "[[5]]" as in the format: "Rating: [[5]]"', 2),
    ('Rating: "[[9]]"', 9),
]
UNUSUAL = [
    ("[[ 5 ]]", 5),
    ("評分：［［５］］", 5),
    ("［［5］］", 5),
    ("[[５]]", 5),
    ("評分：【【5】】", 5),
    ("[[8/10]]", 8),
    ("[[ 8 / 10 ]]", 8),
    ("[[5分]]", 5),
    ("評分：5", 5),
    ("评分：5分", 5),
    ("評分（0-10）：5", 5),
    ("評分為 7。", 7),
    ("Score: 8/10", 8),
    ("**Rating:** 8", 8),
    ("Rating: [8]", 8),
    ("評分：[[8]", 8),
    (r"\[\[4\]\]", 4),
    (r"評分：\[\[4\]\]", 4),
    ("[[**4**]]", 4),
    ("[[05]]", 5),
    ("[[評分：5]]", 5),
    ("[[rating]]: 5", 5),
    ("[[評分]]：5", 5),
    ("陣列的第一項是 arr[0]，說明正確。評分：8", 8),
    ("例如：“評分：[[5]]”。最終評分：8", 8),
    ("8", 8),
    ("8 分。", 8),
    ("[[-0]]", 0),
]
NONE = [
    "",
    "   \n",
    "這個回答很好。",
    "[[rating]]",
    "[[nan]]",
    "[[NaN]]",
    "[[inf]]",
    "[[1e1]]",
    "[[]]",
    "[[五]]",
    "[0]",
    "arr[0] 與 arr[1]",
    "df[[0]]",
    "[[7-8]]",
    "評分：7-8",
    "評分：7 到 8",
    "在0到10的範圍內評分",
    "評分：1,000",
    "[[1], [2]]",
    "underscore 5",
    "[[1.2.3]]",
]
BEYOND = [
    "[[11]]",
    "[[-3]]",
    "[[−3]]",
    "評分：11",
    "[[4/5]]",
    "[[80/100]]",
    "評分：100",
    "[[10.01]]",
    "[[" + "9" * 400 + "]]",
]


@pytest.mark.parametrize(("text", "score"), USUAL)
def test_as_asked(text, score):
    assert parse(text)[:2] == ("ok", score)


@pytest.mark.parametrize(("text", "score"), UNUSUAL)
def test_unusual_spellings_are_repaired(text, score):
    assert parse(text)[:2] == ("repaired", score)


@pytest.mark.parametrize("text", NONE)
def test_no_rating_is_no_zero(text):
    assert parse(text)[:2] == ("parse_error", None)


@pytest.mark.parametrize("text", BEYOND)
def test_out_of_range(text):
    rating = parse(text)
    assert rating[:2] == ("out_of_range", None)
    assert rating.matched


def test_range_of_another_scale():
    assert parse("[[0]]", low=1).status == "out_of_range"
    assert parse("[[4/5]]", high=5)[:2] == ("repaired", 4)


def test_zero_is_a_score():
    assert parse("評分：[[0]]").score == 0.0
    assert str(parse("[[-0]]").score) == "0.0"


@pytest.mark.parametrize(
    "text",
    ["", "我認為這個回答", "例如：“評分：[[5]]”。我認為", "格式為「評分：[[5]]」，首先", "評分標準包括 arr[0]", "8"],
)
def test_cut_off_before_its_rating(text):
    assert parse(text, "length")[:2] == ("truncated", None)


def test_cut_off_behind_its_rating():
    assert parse("評分：[[7]]\n\n理由：這個回", "length")[:2] == ("repaired", 7)
    assert parse("說明。\n**最終評分：[[7]]**\n最終評", "length")[:2] == ("repaired", 7)


def test_filtered():
    assert parse(None, "content_filter").status == "refused"
    assert parse(None, "stop").status == "parse_error"
    assert parse(None, None).status == "parse_error"


def test_what_was_read():
    assert parse("評分：[[ 8/10 ]]。").matched == "[[ 8/10 ]]"
    assert parse("評分：8 分").matched == "8 分"


PIECES = [
    *"[]【】［］〔〕()（）/.,:：-−+0123456789５٣½²\\*`_ \n\t\u200b\0\ud800",
    "評分",
    "Rating",
    "例如",
    "格式",
    "分",
    "[[",
    "]]",
]


def test_any_text_gives_a_score_in_range_or_none():
    rng = random.Random(0)
    seen = set()
    for _ in range(20_000):
        text = "".join(rng.choices(PIECES, k=rng.randint(0, 24)))
        low, high = rng.choice([(0, 10), (1, 10), (1, 5)])
        rating = parse(text, rng.choice(["stop", "length", "content_filter", None, "tool_calls"]), low, high)
        assert rating.status in STATUSES
        assert (rating.score is not None) == (rating.status in SCORED)
        assert rating.score is None or low <= rating.score <= high
        seen.add(rating.status)
    assert seen == set(STATUSES) - {"api_error"}


@pytest.mark.parametrize(
    "unit",
    ["評分", " ", "\n", "[", "[[", "評分 ", "評分：\n", "9", "[[1", "例如", "(", "1/", "]", "評分(", "評分：[[5 "],
)
def test_long_replies_are_read_in_linear_time(unit):
    text = "評分" + unit * (100_000 // len(unit)) + "："
    began = time.process_time()
    parse(text)
    assert time.process_time() - began < 2
