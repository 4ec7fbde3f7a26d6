"""Table 4's figures, and the mixture."""

import pytest

from bailong.data.turns import Dialogue, Turn
from bailong.prepare.dialogue.measures import Measures, averages, script
from bailong.prepare.dialogue.mixture import TABLE_4, TOTAL, copies
from bailong.prepare.step.mix import Mix


def test_averages_are_over_turns_as_in_table_4():
    """Its last row follows from the others only so."""
    turns = sum(row.share * row.turns for row in TABLE_4.values())
    assert turns == pytest.approx(TOTAL.turns, abs=0.005)
    for name in ("instruction", "output"):
        mean = sum(row.share * row.turns * getattr(row, name) for row in TABLE_4.values()) / turns
        assert mean == pytest.approx(getattr(TOTAL, name), rel=1e-3)
    assert sum(row.share for row in TABLE_4.values()) == pytest.approx(0.9999)
    assert averages(2, 5, 50, 100) == {"average_instruction": 10, "average_output": 20, "average_turns": 2.5}
    assert averages(0, 0, 0, 0)["average_turns"] == 0


def test_everything_is_counted_once():
    measures = Measures()
    measures.add(Dialogue("a", (Turn("問題", "答案是 </s> 與 <s>"), Turn("再問", "</s>")), language="zh-Hant"))
    measures.add(Dialogue("b", (Turn("Hi", "Hello there, how are you?"),)))
    row = measures.to_json()
    assert (row["dialogues"], row["turns"], row["sizes"]) == (2, 3, {"2": 1, "1": 1} | {"1": 1, "2": 1})
    assert row["control"] == {"</s>": 1, "<s>": 1} and row["instruction_characters"] == 6
    assert sum(row["output_lengths"].values()) == 3 and {s["id"] for s in row["samples"]} == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("這是繁體中文，寫著 Python 與 C++。", "zh-Hant"),
        ("这是简体中文。", "zh-Hans"),
        ("山水木火", "zh"),
        ("Plain English with 一 character.", "en"),
        ("#### 72", "other"),
    ],
)
def test_the_script_of_an_output(text, expected):
    assert script(text) == expected


def test_shares_are_of_dialogues_and_their_choice_is_seeded_by_content():
    ranks = {"a": list(range(100)), "b": [7 * n % 50 for n in range(50)]}
    taken = copies(Mix(proportions={"a": 1, "b": 3}), ranks)
    assert {name: sum(n) for name, n in taken.items()} == {"a": 17, "b": 50}
    assert taken["a"] == [1] * 17 + [0] * 83
    taken = copies(Mix(proportions={"a": 1, "b": 1}, tokens=120, max_epochs=2), ranks)
    assert (sum(taken["a"]), sum(taken["b"]), max(taken["b"]), min(taken["b"])) == (60, 60, 2, 1)
    assert copies(Mix(), ranks) == {"a": [1] * 100, "b": [1] * 50}
    assert copies(Mix(proportions={"a": 1, "b": 1}), {"a": [], "b": [1]}) == {"a": [], "b": [0]}
