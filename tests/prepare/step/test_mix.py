import numpy as np
import pytest

from bailong.prepare.step.mix import TABLE_3, Mix, _copies, scrambled

NAMES = ["a", "b"]
TOKENS = np.full(200, 10)
SOURCE = np.repeat([0, 1], 100)
ORDER = scrambled(np.arange(200, dtype=np.uint64), 0)
HELD = np.arange(200) % 20 == 0


def taken(settings):
    copies, facts = _copies(settings, NAMES, TOKENS, ORDER, SOURCE, ~HELD, HELD)
    assert (copies[HELD] == 1).all()  # held-out documents are never sampled
    return copies, {name: f["taken"] for name, f in facts.items()}


def test_table_3_adds_up():
    assert sum(TABLE_3.values()) == pytest.approx(1)


def test_without_shares_everything_is_taken_once():
    copies, tokens = taken(Mix())
    assert (copies == 1).all() and tokens == {"a": 950, "b": 950}


def test_proportions_take_as_much_as_the_scarcest_source_allows():
    assert taken(Mix(proportions={"a": 3, "b": 1}))[1] == {"a": 950, "b": 320}


def test_tokens_and_epochs_bound_the_whole():
    assert taken(Mix(proportions={"a": 0.5, "b": 0.5}, tokens=400))[1] == {"a": 200, "b": 200}
    copies, tokens = taken(Mix(proportions={"a": 0.8, "b": 0.2}, tokens=2000, max_epochs=2))
    assert tokens == {"a": 1600, "b": 400}
    assert set(copies[(SOURCE == 0) & ~HELD]) == {1, 2}


def test_quotas_bound_single_sources():
    assert taken(Mix(quotas={"b": 100}))[1] == {"a": 950, "b": 100}


def test_the_choice_follows_the_seed_and_nothing_else():
    small = Mix(quotas={"a": 100})
    first = taken(small)[0]
    assert np.array_equal(first, taken(small)[0])
    other = scrambled(np.arange(200, dtype=np.uint64), 1)
    copies, _ = _copies(small, NAMES, TOKENS, other, SOURCE, ~HELD, HELD)
    assert not np.array_equal(first, copies)
    more = taken(Mix(quotas={"a": 200}))[0]
    assert (more >= first).all()  # a larger quota keeps what a smaller one took


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"proportions": {"a": 0.5, "bb": 0.5}}, r"mix.proportions.bb names no source \(did you mean b\?\)"),
        ({"proportions": {"a": 0.5}}, "mix.proportions says nothing of b"),
        ({"quotas": {"c": 5}}, "mix.quotas.c names no source"),
    ],
)
def test_names_must_be_sources(wrong, words):
    with pytest.raises(ValueError, match=words):
        Mix(**wrong).check(NAMES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"proportions": {"a": 0}},
        {"tokens": 5},
        {"proportions": {"a": 1.0}, "quotas": {"a": 1}},
        {"max_epochs": 0},
        {"quotas": {"a": -1}},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="is not accepted"):
        Mix(**wrong)
