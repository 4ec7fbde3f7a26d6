"""The tables prove a script: what Taiwan writes in daily life is no sign of Simplified Chinese."""

import pytest

from bailong.text.script import HAN, KANA, tables


@pytest.fixture(scope="module")
def found():
    return tables()


def test_sizes(found):
    assert len(found.simplified.pattern) > 2_000
    assert len(found.traditional.pattern) > 3_000


def test_each_character_is_of_one_script(found):
    assert not set(found.simplified.pattern[1:-1]) & set(found.traditional.pattern[1:-1])
    assert set(found.mainland.pattern[1:-1]) < set(found.simplified.pattern[1:-1])


@pytest.mark.parametrize("ambiguous", "后里台干斗余几云丑划只征准制周么仆伙谷卷")
def test_characters_of_both_prove_nothing(found, ambiguous):
    assert not found.simplified.match(ambiguous)


def test_examples(found):
    assert all(map(found.simplified.match, "们这说时国学会发东车"))
    assert all(map(found.traditional.match, "們這說時國學會發東車"))
    assert not any(map(found.mainland.match, "国学会来"))
    assert all(map(found.mainland.match, "们这说时"))


def test_letters():
    assert all(map(HAN.match, "臺𠮷\uf900"))
    assert not any(map(HAN.match, "あ。ㄅA"))
    assert all(map(KANA.match, "あアｱ"))
    assert not any(map(KANA.match, "・ー台"))


def test_taiwan_writes_no_simplified_characters(found):
    text = "余先生後來隻身從里長家走了三公里，台上干涉若干，皇后一只是個么兒，准許征服卷子與山谷的伙伴。"
    assert not found.simplified.search(text)
