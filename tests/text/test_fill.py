import pytest

from bailong.text.fill import fill, slots


def test_filled_text_is_never_read_again():
    template = "{question}\n[答] {answer} {question}"
    values = {"question": "什麼是 {answer}？", "answer": "{question} \\1 {x}"}
    assert fill(template, values) == "什麼是 {answer}？\n[答] {question} \\1 {x} 什麼是 {answer}？"


def test_braces_that_are_no_slot_are_text():
    text = 'f"{x + 1}" {"a": 1} {} {1} \\boxed{5} [[rating]]'
    assert slots(text) == set()
    assert fill(text, {}) == text


def test_a_slot_without_a_value_and_a_value_without_a_slot_are_refused():
    with pytest.raises(ValueError, match=r"prompt=a has a slot \{questoin\} .*did you mean question\?"):
        fill("{questoin}", {"question": "x"}, "prompt=a")
    with pytest.raises(ValueError, match=r"has no slot \{context\}"):
        fill("{question}", {"question": "x", "context": "y"})
