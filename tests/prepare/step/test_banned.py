"""Banned words: boundaries, case, obfuscation, both scripts, and the list's hash."""

import pytest

from bailong.prepare.step.banned import Banned
from bailong.prepare.step.base import Result
from tests.prepare.step.raw import rows


@pytest.fixture
def listed(tmp_path):
    def make(*lines: str, **knobs):
        path = tmp_path / "words.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return Banned(list=str(path), **knobs)

    return make


def test_raw_sample():
    apply = Banned(list="sample:banned.txt").open()
    for key, row in rows().items():
        assert (apply(row["text"]).text is None) == row["notes"].startswith("banned"), key


def test_reason_names_the_word(listed):
    apply = listed("# reviewed", "壞詞甲", "x7\t壞詞乙").open()
    assert apply("這是壞詞甲。").reason == "banned:2"
    assert apply("這是壞詞乙。").reason == "banned:x7"
    assert apply("這是坏词乙。").reason == "banned:x7"
    assert apply("沒有。") == Result("沒有。")
    assert type(apply("沒有。")) is Result


def test_simplified_list_matches_converted_text(listed):
    apply = listed("坏词甲").open()
    assert apply("這是壞詞甲").text is None
    assert apply("这是坏词甲").text is None
    assert listed("坏词甲", convert=None).open()("這是壞詞甲").text is not None


@pytest.mark.parametrize(
    "text", ["a BadWord1!", "𠮷badword1", "壞badword1壞", "b-a-d-w-o-r-d-1", "b a d w o r d 1", "bad\u200bword1"]
)
def test_ascii_words_are_found(listed, text):
    assert listed("badword1").open()(text).text is None


@pytest.mark.parametrize("text", ["badword12", "xbadword1", "bad word1", "my_badword1", "b-a-d", "台中-出發"])
def test_ascii_words_have_boundaries(listed, text):
    assert listed("badword1", "bad word", "中出").open()(text).text == text


def test_a_failed_hit_hides_no_longer_one(listed):
    assert listed("bad", "badword1").open()("a badword1").reason == "banned:2"


@pytest.mark.parametrize("text", ["壞.詞.乙", "說壞 詞 乙吧", "壞\u200b詞乙", "壞·詞·乙", "壞--詞--乙", "(壞.詞)"])
def test_spelt_apart(listed, text):
    assert listed("壞詞乙", "壞詞").open()(text).text is None
    assert listed("壞詞乙", obfuscated=False).open()(text).text is not None


def test_min_hits(listed):
    apply = listed("壞詞甲", min_hits=2).open()
    assert apply("壞詞甲") == ("壞詞甲", "", (), ("kept:1",))
    assert apply("壞詞甲和壞詞甲").reason == "banned:1"


def test_random_text_agrees_with_plain_search(listed):
    import random

    draw = random.Random(0)
    letters = "壞詞甲乙丙abZ1𠮷 -,乁"
    words = sorted({"".join(draw.choices("壞詞甲乙ab𠮷乁", k=draw.randint(2, 4))) for _ in range(40)})
    words = [word for word in words if not word.isascii()]
    apply = listed(*words, convert=None, obfuscated=False).open()
    for _ in range(2000):
        text = "".join(draw.choices(letters, k=draw.randint(1, 30)))
        expected = any(_found(word, text.lower()) for word in words)
        assert (apply(text).text is None) == expected, text


def _found(word: str, text: str) -> bool:
    import re

    begin = r"(?<![a-z0-9_])" if word[0].isascii() else ""
    end = r"(?![a-z0-9_])" if word[-1].isascii() else ""
    return re.search(begin + re.escape(word) + end, text) is not None


def test_facts_and_refusals(listed, tmp_path):
    one, other = listed("甲"), listed("甲").facts()
    assert one.facts() == other
    assert listed("乙").facts()["sha256"] != other["sha256"]
    assert Banned().facts() == {}
    assert Banned().open()("壞詞甲").text == "壞詞甲"
    with pytest.raises(ValueError, match=r"banned\.list=nowhere\.txt is not accepted"):
        Banned(list="nowhere.txt").facts()
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="UTF-8"):
        Banned(list=str(tmp_path / "latin")).open()
    with pytest.raises(ValueError, match=r"banned\.min_hits"):
        Banned(min_hits=0)


def test_a_loud_word_is_named():
    books = {
        "in": {"documents": 1000},
        "drops": {"banned:3": {"documents": 11}, "banned:4": {"documents": 10}},
    }
    assert Banned().loud(books) == ["3"]
